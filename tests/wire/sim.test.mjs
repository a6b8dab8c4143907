// The simulator on the wire, seen by clients nobody here wrote: each protocol's handshake, order and numbering, the RPC
// answers, every fault, and played files.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { existsSync, mkdtempSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { spawnSync } from 'node:child_process'
import https from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { PublicKey } from '@solana/web3.js'
import { SHARED, sleep, until } from '../lib/stack.mjs'
import { SIM, Sim } from '../lib/sim.mjs'

const POOL = 'Czfq3xZZDmsdGdUyrNLtRhGc47cXcZtLG4crryfu44zE'
const PROGRAM = new PublicKey('whirLbMiicVdio4qvUfM5KAg6Ct8VwpYzGff3uctyCc')
const L2 = { type: 'subscribe', product_ids: ['SOL-USD'], channel: 'level2' }
const BEATS = { type: 'subscribe', channel: 'heartbeats' }
const DEPTH = { id: 'd', method: 'subscribe', params: ['solusd@depth@100ms', 'usdcusd@depth@100ms'] }
const V2 = { type: 'subscribe', subscriptions: [{ name: 'l2', symbols: ['SOLUSD', 'USDCUSD'] }] }

const sim = await Sim.start(['--seed', '7'])
const b64 = { encoding: 'base64' }

/** A book from [side, price, size] changes; throws when it is crossed. */
class Book {
  bids = new Map()
  asks = new Map()
  apply(changes) {
    for (const [side, px, qty] of changes) {
      const m = side === 'bid' || side === 'buy' ? this.bids : this.asks
      if (Number(qty) === 0) m.delete(Number(px))
      else m.set(Number(px), Number(qty))
    }
    this.bid = Math.max(...this.bids.keys())
    this.ask = Math.min(...this.asks.keys())
    assert.ok(this.bid < this.ask, `crossed: ${this.bid} ${this.ask}`)
    return this
  }
  same(book) {
    const text = (m) => [...m].sort((a, b) => a[0] - b[0]).join(';')
    const want = (l) => l.map(([p, q]) => [Number(p), Number(q)]).sort((a, b) => a[0] - b[0]).join(';')
    return text(this.bids) === want(book.bids) && text(this.asks) === want(book.asks)
  }
}

const hold = (on) => fetch(`${sim.url}/market`, { method: 'POST', body: JSON.stringify({ hold: on }) })
const truth = async (path) => (await fetch(`${sim.url}/books/${path}`)).json()

test('coinbase: data before subscriptions, one numbering over all channels, a book that matches', async () => {
  const f = sim.client('/coinbase', { send: [L2, BEATS] })
  await f.wait((m) => m.channel === 'heartbeats' && m.events[0].heartbeat_counter !== undefined && f.got.length > 25, 8000)
  await until(() => f.json().filter((m) => m.channel === 'heartbeats').length >= 3, 5000, 'heartbeats each second')
  await hold(true)
  await sleep(200)
  const want = await truth('coinbase/SOL-USD')
  await hold(false)
  const all = f.json()
  f.close()
  all.forEach((m, i) => assert.equal(m.sequence_num, i))
  assert.deepEqual(all.slice(0, 4).map((m) => m.channel), ['l2_data', 'subscriptions', 'heartbeats', 'subscriptions'])
  assert.deepEqual(all[3].events[0].subscriptions, { level2: ['SOL-USD'], heartbeats: ['heartbeats'] })
  const data = all.filter((m) => m.channel === 'l2_data')
  assert.equal(data[0].events[0].type, 'snapshot')
  const sides = data[0].events[0].updates.map((u) => u.side)
  assert.ok(sides.filter((s) => s === 'bid').length > 200 && sides.filter((s) => s === 'offer').length > 200)
  assert.match(data[0].timestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/)
  const book = new Book()
  for (const m of data) {
    assert.equal(m.events[0].product_id, 'SOL-USD')
    book.apply(m.events[0].updates.map((u) => [u.side, u.price_level, u.new_quantity]))
  }
  assert.ok(book.same(want), 'the book equals the one of the market')
  const beats = all.filter((m) => m.channel === 'heartbeats')
  assert.match(beats[0].events[0].current_time, /^\S+ \S+ \+0000 UTC m=\+\d+\.\d{9}$/)
})

test('coinbase: refusals, ticker and trades, unsubscribe, and no subscribe within 5 s', async () => {
  const idle = sim.client('/coinbase')
  const f = sim.client('/coinbase', {
    send: [
      { ...L2, product_ids: Array(31).fill('SOL-USD') },
      { ...L2, product_ids: ['NOPE-USD'] },
      { ...L2, channel: 'user' },
      'not json',
      { type: 'subscribe', product_ids: ['SOL-USDC'], channel: 'ticker' },
      { type: 'subscribe', product_ids: ['BTC-USD'], channel: 'market_trades' },
    ],
  })
  await f.count(8)
  const [a, b, c, d, ...rest] = f.json()
  assert.equal(a.message, 'too many L2 streams requested in a single session')
  assert.equal(b.message, 'failure to subscribe')
  assert.equal(c.message, 'authentication failure')
  assert.equal(d.type, 'error')
  assert.equal(rest[0].events[0].tickers[0].product_id, 'SOL-USD')
  assert.equal(rest[2].events[0].trades[0].product_id, 'BTC-USD')
  f.send({ type: 'unsubscribe', channel: 'ticker' })
  await f.wait((m) => m.channel === 'subscriptions' && !m.events[0].subscriptions.ticker && m.events[0].subscriptions.market_trades && m.sequence_num > 3)
  f.close()
  await idle.closed(8000)
  assert.equal(idle.got.length, 0)
})

test('gemini: snapshot before the acknowledgement, an unbroken chain per symbol, a book that matches', async () => {
  const f = sim.client('/gemini?snapshot=-1', { send: [DEPTH] })
  await until(() => f.got.length > 40, 10_000, 'updates')
  await hold(true)
  await sleep(200)
  const want = [await truth('gemini/solusd'), await truth('gemini/usdcusd')]
  await hold(false)
  const all = f.json()
  f.close()
  assert.deepEqual([all[0].s, all[1].s], ['solusd', 'usdcusd'])
  assert.deepEqual(all[2], { id: 'd', status: 200 })
  const raw = f.got[0].text
  assert.match(raw, /"E":\d{19},/)
  for (const [i, s] of ['solusd', 'usdcusd'].entries()) {
    const mine = all.filter((m) => m.e === 'depthUpdate' && m.s === s)
    const book = new Book()
    assert.equal(mine[0].U, mine[0].u)
    mine.forEach((m, k) => {
      if (k) assert.equal(m.U, mine[k - 1].u)
      if (k) assert.ok(m.u > m.U)
      book.apply([...m.b.map(([p, q]) => ['bid', p, q]), ...m.a.map(([p, q]) => ['ask', p, q])])
    })
    assert.ok(book.same(want[i]), `${s} equals the market's book`)
    if (s === 'usdcusd') assert.ok(book.bid > 0.9993 && book.ask < 1.0007)
  }
})

test('gemini: methods, errors, resubscription, snapshot limits, the one-second stream', async () => {
  const f = sim.client('/gemini?snapshot=5')
  await until(() => f.ws.readyState === 1, 4000, 'open')
  const ask = async (m) => {
    f.send(m)
    return f.wait((r) => r.id === m.id, 3000, m.method)
  }
  assert.deepEqual(await ask({ id: 1, method: 'ping' }), { id: 1, status: 200 })
  assert.ok(Math.abs((await ask({ id: 'time', method: 'time' })).result.serverTime - Date.now()) < 2000)
  assert.deepEqual((await ask({ id: 2, method: 'subscribe', params: ['solusd@depth@100ms', 'nosuch@depth'] })).error, {
    code: -1013,
    msg: 'Invalid stream name: nosuch@depth',
  })
  assert.equal((await ask({ id: 3, method: 'subscribe', params: 'solusd@depth' })).error.code, -1013)
  assert.equal((await ask({ id: 4, method: 'fly' })).error.code, -1020)
  assert.deepEqual((await ask({ id: 5, method: 'list_subscriptions' })).result, [])
  assert.equal(f.json().filter((m) => m.e).length, 0, 'one bad name refuses the whole request')
  assert.equal((await ask({ id: 6, method: 'subscribe', params: ['SOLUSD@depth', 'btcusd@trade', 'btcusd@bookTicker'] })).status, 200)
  const snap = await f.wait((m) => m.e === 'depthUpdate')
  assert.deepEqual([snap.s, snap.b.length, snap.a.length], ['solusd', 5, 5])
  assert.deepEqual((await ask({ id: 7, method: 'list_subscriptions' })).result, ['solusd@depth', 'btcusd@trade', 'btcusd@bookTicker'])
  await until(() => f.json().filter((m) => m.e === 'depthUpdate').length >= 4, 6000, 'one update a second')
  const d = f.json().filter((m) => m.e === 'depthUpdate')
  assert.ok(d[1].U <= d[0].u && d[0].u <= d[1].u, 'the first update overlaps the snapshot')
  assert.deepEqual([d[2].U, d[3].U], [d[1].u, d[2].u])
  await f.wait((m) => m.s === 'btcusd' && m.B !== undefined)
  assert.equal((await ask({ id: 8, method: 'unsubscribe', params: ['solusd@depth'] })).status, 200)
  const n = f.json().filter((m) => m.e).length
  await sleep(1500)
  assert.equal(f.json().filter((m) => m.e).length, n)
  f.close()
})

test('gemini v2: trades mark the snapshot, one change per message, heartbeats, lower case refused', async () => {
  const f = sim.client('/gemini-v2', { send: [V2] })
  const bad = sim.client('/gemini-v2', { send: [{ type: 'subscribe', subscriptions: [{ name: 'l2', symbols: ['solusd'] }] }] })
  await f.wait((m) => m.type === 'heartbeat', 8000)
  assert.deepEqual(bad.json()[0], { reason: 'NoValidTradingPairs', result: 'error' })
  bad.close()
  await hold(true)
  await sleep(200)
  const want = await truth('gemini/solusd')
  await hold(false)
  const all = f.json().filter((m) => m.type === 'l2_updates' && m.symbol === 'SOLUSD')
  f.close()
  assert.ok(Array.isArray(all[0].trades) && all[0].changes.length > 400)
  const book = new Book().apply(all[0].changes)
  for (const m of all.slice(1)) {
    assert.equal(m.changes.length, 1)
    assert.equal(m.trades, undefined)
    book.apply(m.changes)
  }
  assert.ok(book.same(want))
})

test('solana: accounts, batches and errors over POST', async () => {
  const agent = new https.Agent({ keepAlive: true, maxSockets: 1, ca: sim.ca })
  assert.equal((await sim.call('getHealth')).result, 'ok')
  assert.match((await sim.call('getVersion')).result['solana-core'], /^\d+\.\d+\.\d+$/)
  const a = (await sim.call('getAccountInfo', [POOL, b64])).result
  const pool = Buffer.from(a.value.data[0], 'base64')
  assert.equal(pool.length, 653)
  assert.equal(a.value.space, 653)
  assert.equal(a.value.owner, PROGRAM.toBase58())
  const tick = pool.readInt32LE(81)
  const start = Math.floor(tick / 352) * 352
  const starts = [-5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5].map((k) => start + 352 * k)
  const keys = starts.map((s) => PublicKey.findProgramAddressSync([Buffer.from('tick_array'), new PublicKey(POOL).toBuffer(), Buffer.from(String(s))], PROGRAM)[0].toBase58())
  const r = (await sim.call('getMultipleAccounts', [[...keys, '11111111111111111111111111111111'], b64])).result
  assert.equal(r.value.at(-1), null)
  let dynamic = 0
  r.value.slice(0, -1).forEach((v, i) => {
    const d = Buffer.from(v.data[0], 'base64')
    assert.equal(d.readInt32LE(8), starts[i])
    const isDynamic = d.subarray(0, 8).toString('hex') === '11d8f68ee1c7da38'
    dynamic += isDynamic
    assert.ok(isDynamic ? (d.length - 148) % 112 === 0 : d.length === 9988)
    assert.deepEqual(isDynamic ? d.subarray(12, 44) : d.subarray(9956), new PublicKey(POOL).toBuffer())
  })
  assert.ok(dynamic <= 1)
  const mint = (await sim.call('getAccountInfo', [new PublicKey(pool.subarray(181, 213)).toBase58(), { ...b64, dataSlice: { offset: 44, length: 1 } }])).result
  assert.deepEqual(mint.value.data, ['Bg==', 'base64']) // six decimals
  const s1 = (await sim.call('getSlot')).result
  await sleep(900)
  const s2 = (await sim.call('getSlot')).result
  assert.ok(s2 - s1 >= 2 && s2 - s1 <= 3, `${s2 - s1} slots in 900 ms`)

  const codes = async (body) => JSON.parse((await sim.rpc(body, { agent })).text)
  assert.equal((await codes('{')).error.code, -32700)
  assert.equal((await codes('{"id":1}')).error.code, -32600)
  assert.equal((await codes('[]')).error.code, -32600)
  assert.equal((await codes({ jsonrpc: '2.0', id: 'x', method: 'getNothing' })).error.code, -32601)
  assert.equal((await sim.call('accountSubscribe', [POOL])).error.code, -32601)
  assert.equal((await sim.call('getAccountInfo', ['0OIl'])).error.code, -32602)
  assert.equal((await sim.call('getAccountInfo', [POOL])).error.code, -32600)
  assert.equal((await sim.call('getAccountInfo', [POOL, { encoding: 'base64+zstd' }])).error.code, -32602)
  assert.equal((await sim.call('getMultipleAccounts', [Array(101).fill(POOL), b64])).error.code, -32602)
  const late = (await sim.call('getSlot', [{ minContextSlot: s2 + 1000 }])).error
  assert.equal(late.code, -32016)
  assert.ok(late.data.contextSlot >= s2)
  const batch = await codes([{ jsonrpc: '2.0', id: 1, method: 'getSlot' }, { jsonrpc: '2.0', id: 2, method: 'getHealth' }, 5])
  assert.deepEqual(batch.map((m) => m.id), [1, 2, null])
  assert.equal((await sim.rpc('{}', { type: 'text/plain' })).status, 415)
  agent.destroy()
})

test('solana: notifications follow the pool and agree with what is read', async () => {
  const f = sim.client('/solana')
  await until(() => f.ws.readyState === 1, 4000, 'open')
  const ask = async (id, method, params) => {
    f.send({ jsonrpc: '2.0', id, method, params })
    return f.wait((m) => m.id === id)
  }
  const sub = (await ask(1, 'accountSubscribe', [POOL, b64])).result
  const slots = (await ask(2, 'slotSubscribe')).result
  assert.ok(Number.isInteger(sub) && slots !== sub)
  await until(() => f.json().filter((m) => m.method === 'accountNotification').length >= 4, 20_000, 'pool moves')
  const n = f.json().filter((m) => m.method === 'accountNotification').map((m) => m.params)
  for (let i = 1; i < n.length; i++) assert.ok(n[i].result.context.slot > n[i - 1].result.context.slot)
  const prices = new Set(n.map((p) => Buffer.from(p.result.value.data[0], 'base64').readBigUInt64LE(65)))
  assert.ok(prices.size >= 3 && n[0].subscription === sub)
  const at = f.json().filter((m) => m.method === 'slotNotification').map((m) => m.params.result.slot)
  at.forEach((s, i) => i && assert.ok(s > at[i - 1]))
  assert.equal((await ask(3, 'accountUnsubscribe', [sub])).result, true)
  assert.equal((await ask(4, 'accountUnsubscribe', [sub])).error.code, -32602)
  assert.equal((await ask(5, 'slotUnsubscribe', [slots])).result, true)
  f.close()
})

test('control: status, and bad input answered clearly', async () => {
  const s = await sim.status()
  assert.equal(s.simulated, true)
  assert.equal(s.seed, 7)
  assert.ok(Number(s.prices.fair) > 130 && s.venues.coinbase.messages > 0)
  for (const [venue, kind, ms] of [['binance', 'gap'], ['coinbase', 'flood'], ['coinbase', 'slow', -1], ['coinbase', 'slow', 1.5], ['coinbase', 'slow', '5']]) {
    const r = await sim.fault(venue, kind, ms)
    assert.equal(r.status, 400)
    assert.equal(typeof r.json.error, 'string')
  }
  const post = async (path, body, method = 'POST') => {
    const r = await fetch(sim.url + path, { method, ...(body === undefined ? {} : { body }) })
    return [r.status, typeof (await r.json()).error]
  }
  assert.deepEqual(await post('/fault', '{'), [400, 'string'])
  assert.deepEqual(await post('/fault', '[]'), [400, 'string'])
  assert.deepEqual(await post('/fault', '{"venue":"gemini","kind":"gap","extra":1}'), [400, 'string'])
  assert.deepEqual(await post('/fault', undefined, 'GET'), [405, 'string'])
  assert.deepEqual(await post('/nothing', undefined, 'GET'), [404, 'string'])
  assert.deepEqual(await post('/fault', 'x'.repeat(300_000)), [413, 'string'])
})

test('fault gap: one number is missing, once, and only for who is connected', async () => {
  const cb = sim.client('/coinbase', { send: [L2] })
  const gm = sim.client('/gemini?snapshot=-1', { send: [DEPTH] })
  await Promise.all([cb.count(4), gm.count(6)])
  await Promise.all([sim.fault('coinbase', 'gap'), sim.fault('gemini', 'gap')])
  const marks = [cb.got.length, gm.got.length]
  await Promise.all([cb.count(marks[0] + 12), gm.count(marks[1] + 25)])
  const holes = cb.json().filter((m, i, a) => i && m.sequence_num !== a[i - 1].sequence_num + 1)
  assert.equal(holes.length, 1)
  let breaks = 0
  for (const s of ['solusd', 'usdcusd']) {
    const d = gm.json().filter((m) => m.s === s)
    breaks += d.filter((m, i) => i && m.U !== d[i - 1].u).length
  }
  assert.equal(breaks, 1)
  cb.close()
  gm.close()
})

test('fault garbage: a frame no reader can take for whole, cut or with letters for digits', async () => {
  const cb = sim.client('/coinbase', { send: [L2] })
  await cb.count(3)
  for (let i = 0; i < 2; i++) {
    await sim.fault('coinbase', 'garbage')
    await until(() => cb.got.filter((m) => !m.json || /"new_quantity":"x|"price_level":"[^"]*x/.test(m.text)).length > i, 5000, 'damage')
  }
  assert.equal(cb.got.filter((m) => !m.json).length >= 1, true)
  cb.close()
  await sim.fault('solana', 'garbage')
  const text = (await sim.rpc({ jsonrpc: '2.0', id: 1, method: 'getAccountInfo', params: [POOL, b64] })).text
  const fine = (await sim.rpc({ jsonrpc: '2.0', id: 1, method: 'getAccountInfo', params: [POOL, b64] })).text
  assert.notEqual(text.length === fine.length && !/x{2}/.test(text), true)
  assert.equal(JSON.parse(fine).result.value.space, 653)
})

test('fault disconnect: connections are reset, new ones refused until it ends', async () => {
  const f = sim.client('/gemini?snapshot=-1', { send: [DEPTH] })
  await f.count(3)
  await sim.fault('gemini', 'disconnect', 1200)
  assert.equal(await f.closed(), 1006)
  const refused = sim.client('/gemini?snapshot=-1')
  await refused.closed()
  assert.ok(refused.error)
  assert.equal((await sim.status()).faults[0].kind, 'disconnect')
  await until(async () => (await sim.status()).faults.length === 0, 4000, 'fault over')
  const again = sim.client('/gemini?snapshot=-1', { send: [DEPTH] })
  await again.count(3)
  again.close()
  await sim.fault('solana', 'disconnect', 60_000)
  await assert.rejects(sim.call('getHealth'))
  assert.equal((await sim.fault('solana', 'clear')).status, 200)
  assert.equal((await sim.call('getHealth')).result, 'ok')
})

test('fault silence: nothing at all, then a hole in the numbering', async () => {
  const cb = sim.client('/coinbase', { send: [L2, BEATS] })
  await cb.count(8)
  await sim.fault('coinbase', 'silence', 2500)
  await sleep(150)
  const n = cb.got.length
  cb.ws.ping()
  const fresh = sim.client('/coinbase')
  await sleep(1800)
  assert.equal(cb.got.length, n)
  assert.equal(cb.pongs, 0)
  assert.equal(cb.code, undefined)
  assert.notEqual(fresh.ws.readyState, 1, 'no handshake is answered')
  await cb.count(n + 3, 4000)
  assert.ok(cb.json()[n].sequence_num > cb.json()[n - 1].sequence_num + 1)
  await fresh.closed()
  cb.close()
  await sim.fault('solana', 'silence', 60_000)
  await assert.rejects(sim.rpc({ jsonrpc: '2.0', id: 1, method: 'getHealth' }, { timeout: 700 }), /no answer/)
  await sim.fault('solana', 'clear')
  assert.equal((await sim.call('getHealth')).result, 'ok')
})

test('fault slow: bytes trickle, nothing is lost', async () => {
  await sim.fault('coinbase', 'slow', 60_000)
  const f = sim.client('/coinbase', { send: [L2] })
  await sleep(1500)
  assert.equal(f.got.length, 0, 'a snapshot takes long')
  await sim.fault('coinbase', 'clear')
  await f.count(6)
  f.json().forEach((m, i) => assert.equal(m.sequence_num, i))
  f.close()
})

test('hostile clients are shown the door', async () => {
  const big = sim.client('/coinbase', { send: ['x'.repeat(300_000)] })
  assert.equal(await big.closed(), 1009)
  const other = sim.client('/nowhere')
  await other.closed()
  assert.match(String(other.error), /404/)
  const bin = sim.client('/gemini')
  await until(() => bin.ws.readyState === 1, 4000, 'open')
  bin.ws.send(Buffer.from([1, 2, 3]))
  assert.equal(await bin.closed(), 1003)
  assert.equal((await sim.rpc('y'.repeat(300_000))).status, 413)
  assert.equal((await sim.call('getHealth')).result, 'ok')
})

test('certificates: verified by name and authority, kept while valid, keys private', async () => {
  await assert.rejects(new Promise((ok, no) => https.get(`https://127.0.0.1:${sim.port}/`, ok).on('error', no)), /certificate/)
  const r = await new Promise((ok, no) => https.get({ host: 'localhost', family: 4, port: sim.port, path: '/', ca: sim.ca }, ok).on('error', no))
  r.resume()
  assert.equal(r.statusCode, 404)
  for (const k of ['ca.key', 'server.key']) assert.equal(statSync(join(sim.dir, k)).mode & 0o777, 0o600)
  const other = await Sim.start([])
  const before = readFileSync(join(other.dir, 'ca.pem'), 'utf8')
  assert.equal(await other.stop(), 0)
  writeFileSync(join(other.dir, 'server.pem'), 'broken')
  const again = await Sim.start([], other.dir)
  assert.equal(readFileSync(join(again.dir, 'ca.pem'), 'utf8'), before)
  assert.equal((await again.call('getHealth')).result, 'ok')
  assert.equal(await again.stop('SIGINT'), 0)
})

test('command line: clear refusals', () => {
  const run = (...args) => spawnSync(SIM, args, { encoding: 'utf8', timeout: 10_000 })
  assert.equal(run('--help').status, 0)
  const bad = [[], ['--state'], ['--state', '/x', '--rate', '0'], ['--state', '/x', '--tls-port', '70000'], ['--state', '/x', '--play', 'f'], ['--state', '/x', '--fly'],
    ['--state', '/x', '--protocol', 'gemini-depth'], ['--state', '/x', '--play', 'f', '--protocol', 'kraken'], ['--state', '/x', 'more']]
  for (const args of bad) {
    const r = run(...args)
    assert.equal(r.status, 2, args.join(' '))
    assert.match(r.stderr, /\S/)
  }
  const none = run('--state', mkdtempSync(join(tmpdir(), 'xorj-sim-')), '--play', '/nonexistent', '--protocol', 'gemini-depth')
  assert.equal(none.status, 1)
  assert.match(none.stderr, /cannot read file/)
})

// ---- played files ----

const digest = (lines) => createHash('sha256').update(lines.join('\n')).digest('hex')
const clean = (text) => text.split('\n').filter(Boolean)

async function plays(file, protocol, path, first, { rate, check }) {
  const lines = clean(readFileSync(file, 'utf8'))
  const s = await Sim.start(['--play', file, '--protocol', protocol, ...(rate ? ['--rate', String(rate)] : [])])
  for (let i = 0; i < 2; i++) {
    const f = s.client(path, { send: first })
    await f.count(lines.length, 30_000)
    assert.equal(digest(f.got.slice(0, lines.length).map((m) => m.text)), digest(lines))
    if (i) await check(f, lines)
    f.close()
  }
  await s.stop()
  assert.equal(s.end, 0)
}

const madeUp = (name, lines) => {
  const file = join(mkdtempSync(join(tmpdir(), 'xorj-sim-')), name)
  writeFileSync(file, lines.map((l) => JSON.stringify(l)).join('\n') + '\n')
  return file
}

const beatsFollow = async (f, lines) => {
  const last = Number(/"sequence_num":(\d+)/.exec(lines.at(-1))[1])
  await f.count(lines.length + 2)
  const beats = f.json().slice(lines.length)
  assert.deepEqual(beats.slice(0, 2).map((m) => [m.channel, m.sequence_num]), [['heartbeats', last + 1], ['heartbeats', last + 2]])
}

test('play: a made-up stream with a message of several megabytes, whole, in order, at a rate', async () => {
  const updates = Array.from({ length: 40_000 }, (_, i) => ({ side: 'bid', event_time: '2026-01-01T00:00:00Z', price_level: String(40_000 - i), new_quantity: '1.5' }))
  const head = (n) => ({ channel: 'l2_data', timestamp: '2026-01-01T00:00:00.1Z', sequence_num: n })
  const lines = [{ ...head(0), events: [{ type: 'snapshot', product_id: 'SOL-USD', updates }] }]
  for (let n = 1; n < 60; n++) lines.push({ ...head(n), events: [{ type: 'update', product_id: 'SOL-USD', updates: updates.slice(n, n + 3) }] })
  await plays(madeUp('cb.jsonl', lines), 'coinbase-advanced', '/coinbase', [L2, BEATS], { rate: 100, check: beatsFollow })
})

test('play: gemini goes on answering pings, v2 goes on beating', async () => {
  const depth = Array.from({ length: 30 }, (_, n) => ({ e: 'depthUpdate', E: 1, s: 'solusd', U: n, u: n + (n ? 1 : 0), b: [['1', '1']], a: [] }))
  await plays(madeUp('gm.jsonl', depth), 'gemini-depth', '/gemini?snapshot=-1', [DEPTH], {
    check: async (f) => {
      f.send({ id: 'still', method: 'ping' })
      await f.wait((m) => m.id === 'still' && m.status === 200)
    },
  })
  const v2 = [{ type: 'l2_updates', symbol: 'SOLUSD', changes: [['buy', '1.0', '1.0']], trades: [] }]
  await plays(madeUp('v2.jsonl', v2), 'gemini-v2', '/gemini-v2', [V2], { check: (f) => f.wait((m) => m.type === 'heartbeat', 8000) })
})

const recorded = join(SHARED, 'venues', 'recordings')
test('play: the recorded Coinbase Advanced stream, 5 MB snapshot included', { skip: !existsSync(recorded) && 'no recordings beside the repository' }, async () => {
  await plays(join(recorded, 'coinbase', 'advanced_2026-08-09.jsonl'), 'coinbase-advanced', '/coinbase', [L2], { check: beatsFollow })
})

test('SIGTERM with clients connected ends with 0 and leaves nothing behind', async () => {
  const f = sim.client('/coinbase', { send: [L2] })
  await f.count(3)
  assert.equal(await sim.stop(), 0)
  await f.closed()
  assert.doesNotMatch(sim.err, /ERROR|Sanitizer|leak/i)
})
