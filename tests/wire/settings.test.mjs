// GET, PUT, POST /api/user/settings and /api/fast/settings: strict, versioned, own data only, and read back at once.
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { connect, rows } from '../lib/db.mjs'
import { get, isError, ok, request } from '../lib/http.mjs'
import { startReplica } from '../lib/replica.mjs'
import { cleanEnd, startStack } from '../lib/stack.mjs'

const s = await startStack({ env: { XORJ_LIMITS_ENABLED: 'false' } })
const db = await connect(s)
const wallets = await s.wallets(16)
let at = 0
const fresh = () => wallets[at++]
const read = (w, q = '') => get(s, `/api/user/settings${q}`, { token: w.token })
const write = (w, body, { headers, method = 'PUT', q = '' } = {}) => request(s, method, `/api/user/settings${q}`, { token: w.token, body, headers })
const audits = (w) => rows(db, "select before, after, request_id from audit_log where target=$1 and action='settings.put' order by seq", [w.wallet])

test('who never chose has the defaults, and nulls with a reason', async () => {
  const r = ok(await read(fresh()))
  assert.equal(r.success, true)
  assert.equal(r.riskProfile, 'Balanced')
  assert.equal(r.settings.riskProfile, 'Balanced')
  assert.equal(r.settings.slippageTolerance, 1)
  assert.equal(r.settings.slippageTolerance_str, '1')
  for (const k of ['maxTradeAmount', 'maxDrawdownLimit', 'positionSizePercent', 'stopLossEnabled', 'takeProfitEnabled', 'investmentAmount']) {
    assert.equal(r.settings[k], null, k)
    assert.equal(r.reasons[`settings.${k}`], 'NOT_SET', k)
  }
  assert.equal(r.updated_at, null)
  assert.equal(r.version, 0)
  assert.equal(r.stale, false)
})

test('a change is answered with the whole, read back at once, and one audit row', async () => {
  const w = fresh()
  const all = { riskProfile: 'aggressive', maxTradeAmount: 1.5e3, slippageTolerance: 0.5, maxDrawdownLimit: 49.5, positionSizePercent: 25, stopLossEnabled: true, takeProfitEnabled: false, investmentAmount: 0.000001 }
  const r = await write(w, all, { headers: { 'X-Request-ID': 'set-1' } })
  const a = ok(r)
  assert.equal(a.riskProfile, 'Aggressive')
  assert.equal(a.version, 1)
  assert.equal(r.headers.etag, '"1"')
  assert.match(a.updated_at, /^\d{4}-.*Z$/)
  const b = ok(await read(w))
  assert.deepEqual(b.settings, a.settings)
  assert.equal(b.settings.maxTradeAmount, 1500)
  assert.equal(b.settings.maxTradeAmount_str, '1500')
  assert.equal(b.settings.investmentAmount_str, '0.000001')
  assert.equal(b.settings.stopLossEnabled, true)
  assert.equal(b.settings.takeProfitEnabled, false)
  assert.deepEqual(b.reasons, {})
  const [row] = await rows(db, 'select risk_profile, max_trade_amount, slippage_tolerance, settings, version from user_settings where wallet_address=$1', [w.wallet])
  assert.equal(row.risk_profile, 'Aggressive')
  assert.equal(Number(row.max_trade_amount), 1500)
  assert.equal(row.version, 1)
  const log = await audits(w)
  assert.equal(log.length, 1)
  assert.equal(log[0].request_id, 'set-1')
  assert.equal(log[0].before.riskProfile, 'Balanced')
  assert.equal(log[0].after.riskProfile, 'Aggressive')
})

test('what is not given stays; POST is the same; every acknowledged change is one version', async () => {
  const w = fresh()
  ok(await write(w, { maxDrawdownLimit: 10 }))
  ok(await write(w, { riskProfile: 'CONSERVATIVE' }, { method: 'POST' }))
  const r = ok(await write(w, {}))
  assert.equal(r.version, 3)
  assert.equal(r.riskProfile, 'Conservative')
  assert.equal(r.settings.maxDrawdownLimit, 10)
  assert.equal((await audits(w)).length, 3)
})

test('refusals: types, ranges, unknown members; and all or nothing', async () => {
  const w = fresh()
  const bad = [
    { riskProfile: 'Wild' }, { riskProfile: 1 }, { riskProfile: null }, { maxTradeAmount: '15' }, { maxTradeAmount: -1 }, { maxTradeAmount: 1000001 },
    { maxTradeAmount: 0.0000001 }, { slippageTolerance: 100.01 }, { slippageTolerance: 0.001 }, { maxDrawdownLimit: 0.99 }, { maxDrawdownLimit: 50.0001 },
    { positionSizePercent: 25.01 }, { positionSizePercent: 0 }, { stopLossEnabled: 1 }, { takeProfitEnabled: 'true' }, { investmentAmount: 1000000.01 },
    { x: 1 }, { role: 'admin' }, { user_id: 'x' }, { walletAddress: 'x' }, [], null, { maxDrawdownLimit: 10, positionSizePercent: 99 },
  ]
  for (const b of bad) isError(await write(w, JSON.stringify(b)), 400, 'VALIDATION_ERROR')
  isError(await write(w, '{"investmentAmount":1e400}'), 400)
  isError(await write(w, '{"investmentAmount":1,"investmentAmount":2}'), 400)
  isError(await write(w, undefined), 400)
  assert.match((await write(w, { x: 1 })).json.error.message, /Unrecognized key\(s\) in object: 'x'/)
  assert.deepEqual(await rows(db, 'select version from user_settings where wallet_address=$1', [w.wallet]), [{ version: 0 }])
  assert.equal((await audits(w)).length, 0)
})

test('own data only: another wallet is 403 in query and body, a viewer reads any and writes none', async () => {
  const [w, other] = [fresh(), fresh()]
  isError(await read(w, `?walletAddress=${other.wallet}`), 403, 'AUTHORIZATION_ERROR')
  isError(await write(w, { riskProfile: 'Balanced', walletAddress: other.wallet }), 403, 'AUTHORIZATION_ERROR')
  isError(await write(w, { riskProfile: 'Balanced' }, { q: `?walletAddress=${other.wallet}` }), 403, 'AUTHORIZATION_ERROR')
  ok(await write(w, { riskProfile: 'Aggressive', walletAddress: w.wallet }, { q: `?walletAddress=${w.wallet}` }))
  const viewer = await s.role('viewer')
  assert.equal(ok(await get(s, `/api/user/settings?walletAddress=${w.wallet}`, { token: viewer })).riskProfile, 'Aggressive')
  isError(await get(s, '/api/user/settings', { token: viewer }), 400)
  isError(await request(s, 'PUT', '/api/user/settings', { token: viewer, body: {} }), 403)
  isError(await get(s, '/api/user/settings'), 401)
})

test('If-Match: the version read, or 412 and no effect', async () => {
  const w = fresh()
  const tag = (await read(w)).headers.etag
  assert.equal(tag, '"0"')
  ok(await write(w, { stopLossEnabled: true }, { headers: { 'If-Match': tag } }))
  isError(await write(w, { stopLossEnabled: false }, { headers: { 'If-Match': tag } }), 412, 'PRECONDITION_FAILED')
  isError(await write(w, { stopLossEnabled: false }, { headers: { 'If-Match': 'W/"1"' } }), 412)
  isError(await write(w, { stopLossEnabled: false }, { headers: { 'If-Match': '1' } }), 400)
  ok(await write(w, { stopLossEnabled: false }, { headers: { 'If-Match': '*' } }))
  assert.equal(ok(await read(w)).settings.stopLossEnabled, false)
})

test('If-None-Match: 304 while nothing changed', async () => {
  const w = fresh()
  const tag = (await read(w)).headers.etag
  const ask = () => get(s, '/api/user/settings', { token: w.token, headers: { 'If-None-Match': tag } })
  assert.equal((await ask()).status, 304)
  ok(await write(w, { stopLossEnabled: true }))
  assert.equal(ok(await ask()).version, 1)
})

test('a reader always sees its own write, however often both happen', async () => {
  const w = fresh()
  for (let i = 1; i <= 60; i++) {
    ok(await write(w, { investmentAmount: i }))
    const [a, b] = await Promise.all([read(w), get(s, '/api/fast/settings', { token: w.token })])
    assert.equal(ok(a).settings.investmentAmount, i)
    assert.equal(ok(b).settings.investmentAmount, i)
  }
})

test('many writers at once: versions without a hole, the last one stays', async () => {
  const w = fresh()
  const got = await Promise.all(Array.from({ length: 60 }, (_, i) => write(w, { investmentAmount: i })))
  const versions = got.map((r) => ok(r).version).sort((a, b) => a - b)
  assert.deepEqual(versions, Array.from({ length: 60 }, (_, i) => i + 1))
  const last = got.map((r) => r.json).find((r) => r.version === 60)
  assert.equal(ok(await read(w)).settings.investmentAmount, last.settings.investmentAmount)
})

test('the fast route says the same and its own time', async () => {
  const w = fresh()
  ok(await write(w, { riskProfile: 'Conservative' }))
  const r = ok(await get(s, '/api/fast/settings', { token: w.token }))
  assert.equal(r.riskProfile, 'Conservative')
  assert.equal(typeof r.performance, 'number')
  assert.ok(r.performance >= 0 && r.performance < 1000)
})

test('reads come from memory: many at once cost few queries', async () => {
  const w = fresh()
  const before = (await get(s, '/api/metrics')).text.match(/xorj_cache_misses_total\{cache="user"\} (\d+)/)[1]
  for (let i = 0; i < 100; i++) ok(await read(w))
  const after = (await get(s, '/api/metrics')).text.match(/xorj_cache_misses_total\{cache="user"\} (\d+)/)[1]
  assert.ok(after - before <= 5, `${after - before} loads`)
})

test('two processes: a change through one is read back through the other at once', async () => {
  const b = await startReplica(s)
  after(() => b.stop('SIGKILL'))
  const w = fresh()
  let worst = 0
  for (let i = 1; i <= 150; i++) {
    const [to, from] = i % 2 ? [s, b] : [b, s]
    for (const x of [s, b]) ok(await get(x, '/api/fast/settings', { token: w.token })) // both hold it in memory
    const r = await request(to, i % 3 ? 'PUT' : 'POST', '/api/user/settings', { token: w.token, body: { investmentAmount: i } })
    ok(r)
    worst = Math.max(worst, r.ms)
    assert.equal(ok(await get(from, '/api/user/settings', { token: w.token })).settings.investmentAmount, i, `round ${i}`)
  }
  assert.ok(worst < 900, `${worst} ms: acknowledged, not waited out`)
  ok(await request(b, 'PUT', '/api/bot/configuration', { token: w.token, body: { maxTradeAmount: 3, enabled: true } }))
  assert.equal(ok(await read(w)).settings.maxTradeAmount, 3)
  assert.equal((await b.stop()).code, 0)
})

test('the audit chain verifies', async () => {
  assert.deepEqual(await rows(db, 'select * from audit_verify()'), [])
})

cleanEnd(() => s)
