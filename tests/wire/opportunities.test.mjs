// Simulated venues, real wire protocols: from a tick to a subscriber, a row and a list.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connect, rows } from '../lib/db.mjs'
import { get, isError, ok } from '../lib/http.mjs'
import { cleanEnd, now, sleep, startStack, until } from '../lib/stack.mjs'
import { Sub } from '../lib/ws.mjs'

const t0 = now()
const s = await startStack({ feeds: 'sim', env: { XORJ_LIMITS_ENABLED: 'false' } })
const upMs = now() - t0
const viewer = await s.role('viewer')
const sub = await new Sub(s, { token: viewer }).open()
await sub.subscribe(['opportunities'])
const isOpp = (m) => m.channel === 'opportunities' && m.data && 'net_bps' in m.data
let first

test('a subscriber hears the first opportunity within 60 s of make up', async () => {
  first = await sub.wait(isOpp, 60_000, 'opportunity')
  assert.ok(upMs + (first.at - t0 - upMs) < 60_000)
})

test('it carries prices, sizes, every fee, net in bps and the times of each stage', async () => {
  const d = first.data
  const flat = JSON.stringify(d)
  for (const k of ['id', 'pair', 'direction', 'buy_venue', 'sell_venue', 'buy_price', 'sell_price', 'size', 'fee_cex', 'fee_dex', 'fee_network', 'slippage', 'gross_bps', 'net_bps', 'decision'])
    assert.ok(flat.includes(`"${k}`) || flat.includes(`"${k.replace(/_(\w)/g, (_, c) => c.toUpperCase())}`), `${k} in ${flat.slice(0, 600)}`)
  assert.match(flat, /"(stages|source_at|received_at|detected_at)/)
  assert.match(d.id, /^[0-9a-f-]{36}$/)
  assert.match(flat, /"simulated":true/, 'simulation is declared')
  assert.ok(Number.isInteger(first.seq))
})

test('the same opportunity is a row in PostgreSQL, and in the list', async () => {
  const db = await connect(s)
  const [row] = await until(async () => {
    const r = await rows(db, 'select * from opportunities where id=$1', [first.data.id])
    return r.length ? r : undefined
  }, 5000, 'row')
  assert.equal(row.pair, first.data.pair)
  assert.equal(row.buy_venue, first.data.buy_venue)
  assert.equal(row.sell_venue, first.data.sell_venue)
  const one = ok(await get(s, `/api/v1/opportunities/${first.data.id}`, { token: viewer }))
  assert.ok(JSON.stringify(one).includes(first.data.id))
  assert.equal((await rows(db, 'select count(*) as n from opportunities where net_bps < 0'))[0].n, 0)
  const fees = await rows(db, 'select count(*) as n from opportunities where abs(fee_total - (fee_cex + fee_dex + fee_network + slippage)) > 0.00001 and abs(fee_total - (fee_cex + fee_dex + fee_network)) > 0.00001')
  assert.equal(fees[0].n, 0, 'fees add up')
})

test('once closed, the last message and the row say the same in every field', async () => {
  const closed = await sub.wait((m) => isOpp(m) && m.data.status === 'closed', 90_000, 'an opportunity that ended')
  const row = await until(async () => {
    const r = await get(s, `/api/v1/opportunities/${closed.data.id}`, { token: viewer })
    const o = r.json?.data ?? r.json
    return o?.status === 'closed' && o
  }, 5000, 'its row')
  for (const k of Object.keys(closed.data)) assert.deepEqual(row[k], closed.data[k], k)
  const opened = sub.got.find((m) => isOpp(m) && m.data.id === closed.data.id)
  assert.deepEqual(closed.data.timestamps, opened.data.timestamps, 'the stages are those of its detection')
})

test('the list: newest first, in pages without overlap, filtered', async () => {
  await until(async () => ok(await get(s, '/api/v1/opportunities?limit=10', { token: viewer })).data.length >= 3, 60_000, 'three opportunities', 500)
  const seen = []
  let cursor
  for (let i = 0; i < 5; i++) {
    const p = ok(await get(s, `/api/v1/opportunities?limit=1${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ''}`, { token: viewer }))
    seen.push(...p.data.map((o) => o.id))
    cursor = p.pagination.next_cursor
    if (!p.pagination.has_more) break
  }
  assert.equal(new Set(seen).size, seen.length)
  assert.ok(seen.length >= 3)
  const all = ok(await get(s, '/api/v1/opportunities?limit=100', { token: viewer })).data
  const times = all.map((o) => Date.parse(o.detected_at))
  for (let i = 1; i < times.length; i++) assert.ok(times[i - 1] >= times[i], 'newest first')
  const coinbase = ok(await get(s, '/api/v1/opportunities?venue=coinbase&limit=100', { token: viewer })).data
  assert.ok(coinbase.every((o) => [o.buy_venue, o.sell_venue].includes('coinbase')))
  assert.equal(ok(await get(s, '/api/v1/opportunities?min_net_bps=1000000', { token: viewer })).data.length, 0)
})

test('bad filters are 400, unknown ids 404, strangers 401', async () => {
  for (const q of ['limit=0', 'limit=1001', 'limit=-1', 'limit=1e2', 'limit=', 'limit=5&limit=6', 'cursor=%00', 'cursor=zzzzzz%ff', 'min_net_bps=abc', 'since=yesterday', 'nope=1', 'venue=%27%20or%201=1'])
    isError(await get(s, `/api/v1/opportunities?${q}`, { token: viewer }), 400)
  isError(await get(s, '/api/v1/opportunities/00000000-0000-4000-8000-000000000000', { token: viewer }), 404)
  const odd = await get(s, '/api/v1/opportunities/not-an-id', { token: viewer })
  assert.ok([400, 404].includes(odd.status))
  isError(await get(s, '/api/v1/opportunities'), 401)
})

test('connectors and books of all three venues are live and usable', async () => {
  const list = await until(async () => {
    const r = ok(await get(s, '/api/v1/connectors', { token: viewer }))
    const a = r.data ?? r.connectors ?? r
    return a.length >= 3 && a.every((c) => c.state === 'LIVE') && a
  }, 20_000, 'all LIVE')
  for (const v of list.map((c) => c.venue)) {
    const h = ok(await get(s, `/api/v1/connectors/${v}/health`, { token: viewer }))
    for (const k of ['venue', 'state', 'last_message_age_ms', 'reconnects', 'gaps']) assert.ok(k in (h.data ?? h), k)
  }
  isError(await get(s, '/api/v1/connectors/nowhere/health', { token: viewer }), 404)
  const b = ok(await get(s, '/api/v1/books/coinbase/SOL-USD?depth=5', { token: viewer }))
  assert.equal(b.usable, true)
  assert.ok(b.bids.length <= 5 && b.bids.length > 0 && b.asks.length > 0)
  assert.ok(Number(b.bids[0][0]) < Number(b.asks[0][0]))
})

test('a line in the log for each', async () => {
  await until(() => s.log('server').includes(first.data.id), 3000, 'log line')
})

test('a venue cut, silent or garbling: its book is unusable at once, LIVE again after it returns', async () => {
  const doubts = () => (s.log('server').match(/ book coinbase SOL-USD not usable/g) ?? []).length
  for (const kind of ['disconnect', 'garbage', 'gap']) {
    const told = doubts()
    const r = await fetch(`${s.env.SIM_URL}/fault`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ venue: 'coinbase', kind, ms: 1000 }) })
    assert.ok(r.ok, `${kind}: ${r.status}`)
    await until(() => doubts() > told, 5000, `${kind}: said to be unusable`, 5)
    await until(async () => ok(await get(s, '/api/v1/books/coinbase/SOL-USD?depth=1', { token: viewer })).usable === true, 15_000, `${kind}: usable again`)
  }
  await sleep(200)
})

test('detection is far inside its service level', async () => {
  const m = (await get(s, '/metrics')).text
  assert.match(m, /opportunit/)
  const db = await connect(s)
  const [p] = await rows(db, 'select percentile_disc(0.95) within group (order by detect_ns) as p95 from opportunities')
  assert.ok(Number(p.p95) < 700e6, `receive to detect p95 ${Number(p.p95) / 1e6} ms`)
})

test('a stop tells subscribers the end of what is open', async () => {
  const live = () => [...new Map(sub.got.filter(isOpp).map((m) => [m.data.id, m.data.status]))].filter(([, status]) => status === 'open')
  await until(() => live().length > 0, 60_000, 'an open opportunity')
  await s.sh('stop-server')
  assert.equal(await sub.closed(), 1001)
  assert.deepEqual(live(), [], 'left open in the stream')
})

test('a kill leaves rows open; the next start ends them where they were last heard of', async () => {
  await s.startServer()
  const db = await connect(s)
  const open = () => rows(db, "select id from opportunities where status = 'open'")
  const left = await until(async () => {
    const r = await open()
    return r.length ? r : undefined
  }, 60_000, 'an open row')
  await s.killServer()
  await s.startServer({ XORJ_ARB_MIN_NET_BPS_X100: '1000000' })
  await until(async () => (await open()).length === 0, 5000, 'no open row')
  for (const { id } of left) {
    const [row] = await rows(db, 'select status, reason_code, ended_at >= opened_at as after from opportunities where id = $1', [id])
    assert.equal(row.status, 'closed')
    assert.ok(row.after)
  }
})

cleanEnd(() => s)
