// Two server processes on one database: what one answers, the other knows, however soon the client asks.
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { connect, rows } from '../lib/db.mjs'
import { get, isError, ok, post, request } from '../lib/http.mjs'
import { startReplica } from '../lib/replica.mjs'
import { cleanEnd, sleep, startStack, until } from '../lib/stack.mjs'
import { Sub } from '../lib/ws.mjs'

const s = await startStack({ env: { XORJ_LIMITS_ENABLED: 'false' } })
const b = await startReplica(s)
after(() => b.stop('SIGKILL'))
const db = await connect(s)
const metric = async (x, name) => Number(new RegExp(`^${name} (\\d+)`, 'm').exec((await get(x, '/metrics')).text)?.[1])
const both = () => until(async () => (await metric(s, 'xorj_bus_others')) === 1 && (await metric(b, 'xorj_bus_others')) === 1, 3000, 'they know of each other')
await both()

test('a toggle through one is read back through the other at once', async () => {
  const [w] = await s.wallets(1)
  for (let i = 0; i < 300; i++) {
    const [to, from] = i % 2 ? [s, b] : [b, s]
    const on = i % 3 !== 0
    const r = ok(await post(to, `/api/bot/${on ? 'enable' : 'disable'}`, { token: w.token }))
    const g = ok(await get(from, '/api/bot/status', { token: w.token }))
    assert.equal(g.enabled, on, `round ${i}`)
    assert.equal(g.version, r.version, `round ${i}`)
  }
})

test('settings changed through one are read back through the other at once, though both keep them in memory', async () => {
  const [w] = await s.wallets(1)
  const risk = ['Conservative', 'Balanced', 'Aggressive']
  for (let i = 0; i < 200; i++) {
    const [to, from] = i % 2 ? [s, b] : [b, s]
    for (const x of [s, b]) ok(await get(x, '/api/user/settings', { token: w.token }))
    const want = { riskProfile: risk[i % 3], investmentAmount: 100 + i }
    ok(await request(to, 'PUT', '/api/user/settings', { token: w.token, body: want }))
    const [g, f] = await Promise.all([get(from, '/api/user/settings', { token: w.token }), get(from, '/api/fast/settings', { token: w.token })])
    for (const r of [ok(g), ok(f)]) {
      assert.equal(r.riskProfile, want.riskProfile, `round ${i}`)
      assert.equal(r.settings.investmentAmount, want.investmentAmount, `round ${i}`)
    }
  }
})

test('a session ended through one is refused by both at once, though both had just let it in', async () => {
  const all = await s.wallets(200)
  let worst = 0
  for (const [i, w] of all.entries()) {
    const [at, other] = i % 2 ? [s, b] : [b, s]
    for (const x of [s, b]) for (let k = 0; k < 3; k++) ok(await get(x, '/api/auth/session', { token: w.token }))
    const r = await post(at, '/api/auth/logout', { token: w.token })
    const [p, q] = await Promise.all([get(other, '/api/auth/session', { token: w.token }), get(at, '/api/auth/session', { token: w.token })])
    ok(r)
    worst = Math.max(worst, r.ms)
    isError(p, 401, 'AUTHENTICATION_ERROR')
    isError(q, 401, 'AUTHENTICATION_ERROR')
  }
  assert.ok(worst < 900, `${worst} ms: acknowledged, not waited out`)
})

test('under load too: whoever uses the session all the time is cut off by the answer', async () => {
  const [w] = await s.wallets(1)
  let over = false
  const late = []
  const use = async (x) => {
    for (let n = 0; n < 20_000; n++) {
      const asked_after = over
      const r = await get(x, '/api/auth/session', { token: w.token })
      if (asked_after && r.status === 200) late.push(r)
      if (r.status === 401) return
    }
  }
  const users = [s, b, s, b].map(use)
  await sleep(300)
  ok(await post(s, '/api/auth/logout', { token: w.token }))
  over = true
  await Promise.all(users)
  assert.equal(late.length, 0)
})

test('refresh: the old token is over at both, the new one is good at both', async () => {
  for (const w of await s.wallets(20)) {
    ok(await get(b, '/api/auth/session', { token: w.token }))
    const n = ok(await post(s, '/api/auth/refresh', { token: w.token }))
    isError(await get(b, '/api/auth/session', { token: w.token }), 401)
    ok(await get(b, '/api/auth/session', { token: n.session_token }))
  }
})

test('operators too: signed out, deleted, a key taken back, through one and refused by both', async () => {
  const admin = await s.role('admin')
  const password = 'a password of no small length'
  const me = (x, token) => get(x, '/api/v1/auth/me', { token })
  const keyed = (x, key) => get(x, '/api/v1/auth/me', { headers: { Authorization: `ApiKey ${key}` } })
  for (let i = 0; i < 4; i++) {
    const [at, other] = i % 2 ? [s, b] : [b, s]
    const username = `twice-${i}`
    const headers = { 'X-Forwarded-For': `198.51.100.${40 + i}` }
    ok(await post(at, '/api/v1/auth/register', { token: admin, body: { username, password, role: 'viewer' } }), 201)
    const one = ok(await post(other, '/api/v1/auth/login', { body: { username, password }, headers })).access_token
    const two = ok(await post(at, '/api/v1/auth/login', { body: { username, password }, headers })).access_token
    const { id, key } = ok(await post(at, '/api/v1/auth/api-key', { token: two, body: { name: 'k', scopes: ['desk:read'], expires_in_days: 1 } }), 201)
    const keyWorks = (await keyed(other, key)).status
    for (const x of [s, b]) for (const t of [one, two]) ok(await me(x, t))
    ok(await post(at, '/api/v1/auth/logout', { token: one }))
    for (const x of [other, at]) isError(await me(x, one), 401)
    ok(await request(at, 'DELETE', `/api/v1/auth/api-keys/${id}`, { token: two }))
    assert.notEqual(keyWorks, 401)
    for (const x of [other, at]) isError(await keyed(x, key), 401)
    ok(await me(other, two))
    ok(await request(at, 'DELETE', `/api/v1/auth/users/${username}`, { token: admin }))
    for (const x of [other, at]) isError(await me(x, two), 401)
  }
})

test('a subscriber at one process hears of a toggle made through the other', async () => {
  const [w] = await s.wallets(1)
  const sub = await new Sub(b, { token: w.token }).open()
  await sub.subscribe(['bot'])
  for (let i = 0; i < 20; i++) {
    const t0 = performance.now()
    const r = ok(await post(s, `/api/bot/${i % 2 ? 'disable' : 'enable'}`, { token: w.token }))
    const m = await sub.wait((x) => x.channel === 'bot' && x.data?.version === r.version, 2000, `version ${r.version}`)
    assert.equal(m.data.enabled, r.enabled)
    assert.ok(m.at - t0 < 1000, `${m.at - t0} ms`)
  }
  sub.close()
})

test('a socket at the other process ends with its session', async () => {
  const [w] = await s.wallets(1)
  const sub = await new Sub(b, { token: w.token }).open()
  ok(await post(s, '/api/auth/logout', { token: w.token }))
  assert.equal(await sub.closed(1000), 4001)
})

test('with the notification links cut nothing is believed, and a revocation holds', async () => {
  for (const w of await s.wallets(10)) {
    for (const x of [s, b]) ok(await get(x, '/api/auth/session', { token: w.token }))
    await rows(db, "select pg_terminate_backend(pid) from pg_stat_activity where application_name in ('xorj/bus', 'xorj/listening')")
    ok(await post(s, '/api/auth/logout', { token: w.token }))
    isError(await get(b, '/api/auth/session', { token: w.token }), 401)
    isError(await get(s, '/api/auth/session', { token: w.token }), 401)
  }
  await both()
})

test('a process that stands still is waited for no longer than its lease, and lets nobody in when it wakes', async () => {
  const [w, x] = await s.wallets(2)
  for (const t of [w, x]) ok(await get(b, '/api/auth/session', { token: t.token }))
  process.kill(b.pid, 'SIGSTOP')
  try {
    const r = await post(s, '/api/auth/logout', { token: w.token })
    ok(r)
    assert.ok(r.ms < 3500, `${r.ms} ms`)
  } finally {
    process.kill(b.pid, 'SIGCONT')
  }
  isError(await get(b, '/api/auth/session', { token: w.token }), 401)
  ok(await get(b, '/api/auth/session', { token: x.token }))
  await both()
})

test('a session revoked in the database itself is refused at once', async () => {
  const [w] = await s.wallets(1)
  for (const x of [s, b]) ok(await get(x, '/api/auth/session', { token: w.token }))
  await rows(db, 'update sessions set revoked_at = now() where wallet = $1', [w.wallet])
  await sleep(50)
  for (const x of [s, b]) isError(await get(x, '/api/auth/session', { token: w.token }), 401)
})

test('a limit holds over both, also where they take turns', async () => {
  const c = await startReplica(s, { XORJ_LIMITS_ENABLED: 'true', XORJ_LIMITS_USER_PER_MIN: '40', XORJ_LIMITS_USER_BURST: '1000' })
  const d = await startReplica(s, { XORJ_LIMITS_ENABLED: 'true', XORJ_LIMITS_USER_PER_MIN: '40', XORJ_LIMITS_USER_BURST: '1000' })
  try {
    await until(async () => (await metric(c, 'xorj_bus_others')) === 3 && (await metric(d, 'xorj_bus_others')) === 3, 3000, 'they know of each other')
    const warm = (await s.wallets(1))[0]
    for (const x of [c, d]) await get(x, '/api/auth/session', { token: warm.token })
    const count = async (order) => {
      const [w] = await s.wallets(1)
      let passed = 0
      for (let i = 0; i < 100; i++) {
        const r = await get(order(i), '/api/auth/session', { token: w.token })
        passed += r.status === 200
        if (r.status === 429) assert.match(r.headers['retry-after'], /^[1-9]/)
      }
      return passed
    }
    for (const [k, order] of [(i) => (i % 2 ? c : d), (i) => (i < 30 ? c : d), (i) => (i < 50 ? d : c)].entries()) {
      const passed = await count(order)
      assert.ok(passed >= 40 && passed <= 43, `order ${k}: ${passed} of 40`)
    }
    await s.sh('redis-kill')
    assert.ok((await count((i) => (i % 2 ? c : d))) >= 80) // each for itself
  } finally {
    await s.sh('redis-start')
    await Promise.all([c.stop(), d.stop()])
  }
})

test('alone again: the answer no longer waits for anybody', async () => {
  const [w] = await s.wallets(1)
  assert.deepEqual(await b.stop(), { code: 0, sig: null })
  const r = await post(s, '/api/auth/logout', { token: w.token })
  ok(r)
  assert.ok(r.ms < 500, `${r.ms} ms`)
})

cleanEnd(() => s)
