// PostgreSQL stopped and frozen: 503 within a second, cached reads marked stale, feeds go on, recovery by itself.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connect, rows } from '../lib/db.mjs'
import { get, isError, ok, post } from '../lib/http.mjs'
import { now, sleep, startStack, until } from '../lib/stack.mjs'
import { Sub } from '../lib/ws.mjs'

const s = await startStack({ feeds: 'sim', env: { XORJ_LIMITS_ENABLED: 'false' } })
const [w, cold] = await s.wallets(2)
const viewer = await s.role('viewer')
const perf = () => get(s, '/api/user/performance', { token: w.token })
const toggle = () => post(s, '/api/bot/enable', { token: w.token })

async function beforeFault() {
  ok(await toggle())
  const r = ok(await perf())
  assert.ok(!r.stale && !r.data?.stale, 'fresh')
}
async function during() {
  await sleep(1200)
  for (let i = 0; i < 5; i++) {
    const r = await toggle()
    isError(r, 503, 'STORAGE_UNAVAILABLE')
    assert.match(r.headers['retry-after'], /^[1-9]\d*$/)
    assert.ok(r.ms < 1000, `503 after ${r.ms.toFixed(0)} ms`)
  }
  const p = await perf()
  assert.equal(p.status, 200, 'cached read')
  assert.match(p.text, /"stale":true/)
  assert.match(p.text, /"age_ms":[1-9]/)
  const b = await get(s, '/api/bot/status', { token: w.token })
  assert.ok(b.status === 503, `bot status is read from durable truth: ${b.status}`)
  const c = await get(s, '/api/user/performance', { token: cold.token })
  assert.ok([401, 503].includes(c.status) || (c.status === 200 && /"stale":true/.test(c.text)))
  assert.equal((await get(s, '/health')).status, 200)
  assert.equal((await get(s, '/health/ready')).status, 503)
  const st = ok(await get(s, '/api/system/status'))
  assert.notEqual(st.status, 'healthy')
}
async function recovers(t0) {
  await until(async () => (await toggle()).status === 200, 10_000, 'writes again', 20)
  const took = now() - t0
  await until(async () => (await get(s, '/health/ready')).status === 200, 5000, 'ready again')
  await until(async () => !/"stale":true/.test((await perf()).text), 5000, 'fresh reads again')
  return took
}

test('stopped: 503 with Retry-After within 1 s, stale reads, feeds and subscribers go on, recovery within 2 s', async () => {
  const sub = await new Sub(s, { token: viewer }).open()
  await sub.subscribe(['opportunities', 'connectors'])
  await beforeFault()
  await s.sh('pg-stop')
  await during()
  const book = ok(await get(s, '/api/v1/books/coinbase/SOL-USD?depth=1', { token: viewer }))
  assert.equal(book.usable, true)
  const heard = sub.got.length
  await until(() => sub.got.slice(heard).some((m) => m.channel === 'opportunities'), 45_000, 'opportunities go on without the database')
  await s.sh('pg-start')
  const took = await recovers(now())
  assert.ok(took < 2300, `writes ${took.toFixed(0)} ms after its return`)
  sub.close()
})

test('frozen (SIGSTOP of every backend): writes answered within their deadline, noticed, recovery', async () => {
  await beforeFault()
  const admin = await connect(s, { admin: true })
  const pids = (await rows(admin, "select pid from pg_stat_activity where usename='xorj'")).map((r) => r.pid)
  for (const p of pids) s.signal('SIGSTOP', p)
  try {
    const [r, h, p] = await Promise.all([toggle(), get(s, '/health'), perf()])
    isError(r, 503, 'STORAGE_UNAVAILABLE')
    assert.ok(r.ms < 5000, `write answered after ${r.ms.toFixed(0)} ms`)
    assert.ok(h.ms < 500, `health after ${h.ms.toFixed(0)} ms`)
    assert.equal(p.status, 200)
    const t0 = now()
    let slowest = 0
    while (now() - t0 < 3000) slowest = Math.max(slowest, (await get(s, '/api/v1/ping')).ms)
    assert.ok(slowest < 300, `the loop never waits: slowest ping ${slowest.toFixed(0)} ms`)
  } finally {
    for (const p of pids) {
      try {
        s.signal('SIGCONT', p)
      } catch {}
    }
  }
  await recovers(now())
})

test('a start without PostgreSQL waits for it, not ready, and serves what needs none', async () => {
  await s.sh('stop-server')
  await s.sh('pg-stop')
  await s.sh('start-server', { env: { START_NOWAIT: '1' } })
  ok(await get(s, '/health'))
  assert.equal((await get(s, '/health/ready')).status, 503)
  isError(await toggle(), 503)
  await s.sh('pg-start')
  await recovers(now())
})

test('no sanitizer reported anything', async () => {
  assert.equal(s.sanitizerReports(), '')
})
