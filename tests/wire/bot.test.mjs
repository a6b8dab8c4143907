// The bot of a wallet: status, enable, disable, their rows and audit, and what subscribers hear.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connect, rows } from '../lib/db.mjs'
import { get, isError, ok, post, request } from '../lib/http.mjs'
import { cleanEnd, sleep, startStack, until } from '../lib/stack.mjs'
import { Sub } from '../lib/ws.mjs'

const s = await startStack({ env: { XORJ_LIMITS_ENABLED: 'false' } })
const db = await connect(s)
const wallets = await s.wallets(120)
let at = 0
const fresh = () => wallets[at++ % 20] // the last hundred belong to one test
const stored = (w) => rows(db, 'select is_enabled, version from bot_states where user_vault_address=$1', [w.wallet])
const audit = (w) => rows(db, "select request_id, after::jsonb as after from audit_log where target=$1 and action like 'bot.%' order by seq", [w.wallet])

test('who never chose is stopped, and says so without inventing figures', async () => {
  const w = fresh()
  const b = ok(await get(s, '/api/bot/status', { token: w.token }))
  assert.equal(b.enabled, false)
  assert.equal(b.status, 'stopped')
  for (const k of ['user_id', 'health_score', 'configuration', 'performance_metrics', 'performance', 'circuit_breakers', 'last_execution', 'updated_at'])
    assert.ok(k in b, k)
  assert.equal(b.configuration.risk_profile, 'Balanced')
  assert.equal(b.last_execution, null)
})

test('enable and disable are answered with the new state and a version that grows by one', async () => {
  const w = fresh()
  for (let i = 1; i <= 4; i++) {
    const on = i % 2 === 1
    const r = ok(await post(s, `/api/bot/${on ? 'enable' : 'disable'}`, { token: w.token, headers: { 'X-Request-ID': `bot-${i}` } }))
    assert.equal(r.success, true)
    assert.equal(r.enabled, on)
    assert.equal(typeof r.message, 'string')
    assert.equal(r.version, i)
    const b = ok(await get(s, '/api/bot/status', { token: w.token }))
    assert.equal(b.enabled, on)
    assert.equal(b.status, on ? 'active' : 'stopped')
    assert.deepEqual(await stored(w), [{ is_enabled: on, version: i }])
  }
  const a = await audit(w)
  assert.deepEqual(a.map((x) => x.request_id), ['bot-1', 'bot-2', 'bot-3', 'bot-4'])
  assert.deepEqual(a.map((x) => x.after.enabled), [true, false, true, false])
})

test('enabling twice is fine: two acknowledged requests, two versions', async () => {
  const w = fresh()
  assert.equal(ok(await post(s, '/api/bot/enable', { token: w.token })).version, 1)
  assert.equal(ok(await post(s, '/api/bot/enable', { token: w.token })).version, 2)
})

test('body: none, blanks or {} and nothing else', async () => {
  const w = fresh()
  for (const body of [undefined, '', ' \r\n\t', '{}', ' { } ']) ok(await post(s, '/api/bot/enable', { token: w.token, body }))
  const before = await stored(w)
  for (const body of ['[]', 'null', '{"x":1}', '{"enabled":true}', '{', 'x', '{}{}', '{"walletAddress":"x"}'])
    isError(await post(s, '/api/bot/disable', { token: w.token, body }), 400, 'VALIDATION_ERROR')
  isError(await post(s, '/api/bot/disable', { token: w.token, body: '{}', headers: { 'Content-Type': 'text/plain' } }), 415)
  isError(await post(s, '/api/bot/disable', { token: w.token, body: '{}', headers: { 'Content-Encoding': 'gzip' } }), 415)
  assert.deepEqual(await stored(w), before)
})

test('without a token, with an operator token: not this door', async () => {
  isError(await post(s, '/api/bot/enable'), 401, 'AUTHENTICATION_ERROR')
  isError(await get(s, '/api/bot/status'), 401, 'AUTHENTICATION_ERROR')
  const r = await post(s, '/api/bot/enable', { token: await s.role('viewer') })
  assert.ok([401, 403].includes(r.status))
  isError(r, r.status)
  isError(await request(s, 'PUT', '/api/bot/enable', { token: wallets[0].token }), 405)
})

test("a wallet's subscribers hear of a change within 250 ms, others do not", async () => {
  const w = fresh()
  const other = fresh()
  const mine = await new Sub(s, { token: w.token }).open()
  const theirs = await new Sub(s, { token: other.token }).open()
  await mine.subscribe(['bot'])
  await theirs.subscribe(['bot'])
  const heardBefore = theirs.got.length
  ok(await post(s, '/api/bot/enable', { token: w.token }))
  const acked = performance.now()
  const m = await mine.wait((x) => x.channel === 'bot' && x.data?.enabled === true, 2000, 'bot message')
  assert.ok(m.at - acked < 250, `${m.at - acked} ms`)
  for (const k of ['seq', 'ts', 'type', 'data']) assert.ok(k in m, k)
  await sleep(300)
  assert.deepEqual(theirs.got.slice(heardBefore).filter((x) => x.channel === 'bot' && x.data && JSON.stringify(x).includes(w.wallet)), [])
  mine.close()
  theirs.close()
})

test('200 toggles from 100 wallets at once: each acknowledged, each with its own version and audit row', async () => {
  const crowd = wallets.slice(20)
  const got = await Promise.all(
    crowd.flatMap((w) => [post(s, '/api/bot/enable', { token: w.token }), post(s, '/api/bot/disable', { token: w.token })]),
  )
  got.forEach((r) => ok(r))
  for (let i = 0; i < crowd.length; i++) {
    const [a, b] = [got[2 * i].json, got[2 * i + 1].json]
    assert.deepEqual([a.version, b.version].sort(), [1, 2])
    const last = a.version === 2 ? a : b
    assert.deepEqual(await stored(crowd[i]), [{ is_enabled: last.enabled, version: 2 }])
    assert.equal((await audit(crowd[i])).length, 2)
  }
})

test('one wallet toggled by many at once: versions without a hole, the last acknowledged wins', async () => {
  const w = fresh()
  const v0 = (await stored(w))[0]?.version ?? 0
  const got = await Promise.all(Array.from({ length: 300 }, (_, i) => post(s, `/api/bot/${i % 3 ? 'enable' : 'disable'}`, { token: w.token })))
  const versions = got.map((r) => ok(r).version).sort((a, b) => a - b)
  assert.deepEqual(versions, Array.from({ length: 300 }, (_, i) => v0 + i + 1))
  const last = got.map((r) => r.json).find((r) => r.version === v0 + 300)
  assert.deepEqual(await stored(w), [{ is_enabled: last.enabled, version: v0 + 300 }])
  assert.equal((await audit(w)).length, v0 + 300)
})

test('a locked row delays its own wallet only', async () => {
  const w = fresh()
  const other = fresh()
  ok(await post(s, '/api/bot/enable', { token: w.token }))
  const locker = await connect(s)
  await locker.query('begin')
  await locker.query('select * from bot_states where user_vault_address=$1 for update', [w.wallet])
  const slow = post(s, '/api/bot/disable', { token: w.token })
  const times = []
  const end = performance.now() + 900
  while (performance.now() < end) {
    const r = await post(s, '/api/bot/enable', { token: other.token })
    ok(r)
    times.push(r.ms)
  }
  await locker.query('commit')
  const r = await slow
  assert.ok(r.status === 200 || r.status === 503, `${r.status}`)
  times.sort((a, b) => a - b)
  assert.ok(times[Math.floor(times.length * 0.95)] < 150, `p95 of the other wallet ${times[Math.floor(times.length * 0.95)].toFixed(1)} ms`)
  await until(async () => (await post(s, '/api/bot/enable', { token: w.token })).status === 200, 3000, 'the locked wallet works again')
})

test('the audit chain verifies', async () => {
  assert.deepEqual(await rows(db, 'select * from audit_verify()'), [])
})

cleanEnd(() => s)
