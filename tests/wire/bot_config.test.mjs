// A bot's configuration and its emergency brake: durable, audited, seen in the status with reason codes.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connect, rows } from '../lib/db.mjs'
import { get, isError, ok, post, request } from '../lib/http.mjs'
import { cleanEnd, startStack } from '../lib/stack.mjs'
import { Sub } from '../lib/ws.mjs'

const KEY = 'only-the-owner-knows-this-one'
const s = await startStack({ env: { XORJ_LIMITS_ENABLED: 'false', XORJ_BOT_KILL_SWITCH_KEY: KEY } })
const db = await connect(s)
const wallets = await s.wallets(12)
let at = 0
const fresh = () => wallets[at++]
const config = (w) => get(s, '/api/bot/configuration', { token: w.token })
const put = (w, body, headers) => request(s, 'PUT', '/api/bot/configuration', { token: w.token, body, headers })
const status = async (w) => ok(await get(s, '/api/bot/status', { token: w.token }))
const brake = (token, body, q = '') => post(s, `/api/bot/emergency${q}`, { token, body })
const audit = (target) => rows(db, 'select action, before, after, actor, role from audit_log where target=$1 order by seq', [target])

test('configuration: what was chosen, nulls with a reason', async () => {
  const r = await config(fresh())
  const c = ok(r)
  assert.equal(c.success, true)
  assert.equal(c.configuration.enabled, false)
  assert.equal(c.configuration.riskProfile, 'Balanced')
  assert.equal(c.configuration.slippageTolerance, 1)
  assert.equal(c.configuration.investmentAmount, null)
  assert.equal(c.reasons.investmentAmount, 'NOT_SET')
  assert.equal(r.headers.etag, '"0-0"')
})

test('a change of both: switch and settings in one transaction, one audit row, told to subscribers', async () => {
  const w = fresh()
  const sub = await new Sub(s, { token: w.token }).open()
  await sub.subscribe(['bot'])
  const r = await put(w, { enabled: true, riskProfile: 'AGGRESSIVE', investmentAmount: 2500.5, maxTradeAmount: 100, slippageTolerance: 0.75 })
  const c = ok(r)
  assert.deepEqual(c.configuration, {
    enabled: true, riskProfile: 'Aggressive', investmentAmount: 2500.5, investmentAmount_str: '2500.5', maxTradeAmount: 100, maxTradeAmount_str: '100',
    slippageTolerance: 0.75, slippageTolerance_str: '0.75',
  })
  assert.equal(r.headers.etag, '"1-1"')
  await sub.wait((x) => x.channel === 'bot' && x.data?.enabled === true && x.data.version === 1, 2000, 'bot message')
  sub.close()
  assert.deepEqual(ok(await config(w)).configuration, c.configuration)
  const b = await status(w)
  assert.equal(b.enabled, true)
  assert.equal(b.version, 1)
  assert.equal(b.configuration.investment_amount, 2500.5)
  assert.equal(ok(await get(s, '/api/user/settings', { token: w.token })).settings.investmentAmount, 2500.5)
  const log = await audit(w.wallet)
  assert.deepEqual(log.map((x) => x.action), ['bot.configure'])
  assert.equal(log[0].before.enabled, false)
  assert.equal(log[0].after.enabled, true)
})

test('without enabled the switch keeps its version', async () => {
  const w = fresh()
  ok(await post(s, '/api/bot/enable', { token: w.token }))
  const c = ok(await put(w, { maxTradeAmount: 5 }))
  assert.equal(c.configuration.enabled, true)
  assert.equal(c.version, 1)
  assert.equal(c.settings_version, 1)
  assert.equal(ok(await post(s, '/api/bot/disable', { token: w.token })).version, 2)
})

test('refusals change nothing', async () => {
  const w = fresh()
  for (const b of [{ investmentAmount: 0.99 }, { investmentAmount: 1000000.5 }, { slippageTolerance: 101 }, { enabled: 'yes' }, { strategy: 'x' }, { maxDrawdownLimit: 5 }, { enabled: true, riskProfile: '' }])
    isError(await put(w, b), 400, 'VALIDATION_ERROR')
  isError(await put(w, { enabled: true }, { 'If-Match': '"0-1"' }), 412)
  isError(await put(w, { enabled: true }, { 'If-Match': '"0"' }), 412)
  isError(await put(w, { enabled: true }, { 'If-Match': '0-0' }), 400)
  assert.equal((await status(w)).version, 0)
  ok(await put(w, { enabled: true }, { 'If-Match': '"0-0"' }))
  isError(await put({ token: await s.role('admin') }, {}), 403)
})

test('toggles and configurations at once: every acknowledged change has its own version', async () => {
  const w = fresh()
  const got = await Promise.all(Array.from({ length: 80 }, (_, i) => (i % 2 ? put(w, { enabled: i % 4 === 1 }) : post(s, `/api/bot/${i % 4 ? 'enable' : 'disable'}`, { token: w.token }))))
  const versions = got.map((r) => ok(r).version).sort((a, b) => a - b)
  assert.deepEqual(versions, Array.from({ length: 80 }, (_, i) => i + 1))
})

test('pause holds an enabled bot, resume frees it; both audited, and told to subscribers', async () => {
  const w = fresh()
  ok(await post(s, '/api/bot/enable', { token: w.token }))
  const sub = await new Sub(s, { token: w.token }).open()
  await sub.subscribe(['bot'])
  const r = ok(await brake(w.token, { action: 'pause', reason: 'lunch "\n' }))
  assert.equal(r.action, 'pause')
  assert.equal(r.state.paused, true)
  assert.equal(r.state.reason, 'lunch "\n')
  await sub.wait((x) => x.channel === 'bot' && x.data?.status === 'paused', 2000, 'paused')
  const b = await status(w)
  assert.equal(b.enabled, true)
  assert.equal(b.status, 'paused')
  assert.deepEqual(b.pause_reasons, ['USER_PAUSE'])
  assert.equal(b.health.holds, 0)
  ok(await brake(w.token, { action: 'resume', reason: 'back' }))
  await sub.wait((x) => x.channel === 'bot' && x.data?.status === 'active', 2000, 'active')
  sub.close()
  assert.equal((await status(w)).status, 'active')
  assert.deepEqual((await audit(`wallet:${w.wallet}`)).map((x) => x.action), ['bot.pause', 'bot.resume'])
})

test('close_positions pauses as well', async () => {
  const w = fresh()
  ok(await post(s, '/api/bot/enable', { token: w.token }))
  const r = ok(await brake(w.token, { action: 'close_positions', reason: 'out' }))
  assert.equal(r.state.close_positions, true)
  assert.equal(r.state.open_positions, null)
  assert.deepEqual((await status(w)).pause_reasons, ['USER_CLOSE_POSITIONS'])
})

test('the kill switch needs the key or an admin, and so does its end', async () => {
  const w = fresh()
  ok(await post(s, '/api/bot/enable', { token: w.token }))
  isError(await brake(w.token, { action: 'kill_switch', reason: 'x' }), 403, 'AUTHORIZATION_ERROR')
  isError(await brake(w.token, { action: 'kill_switch', reason: 'x', authorization_key: 'wrong' }), 403)
  assert.deepEqual((await status(w)).pause_reasons, [])
  ok(await brake(w.token, { action: 'kill_switch', reason: 'x', authorization_key: KEY }))
  assert.deepEqual((await status(w)).pause_reasons, ['USER_KILL_SWITCH'])
  isError(await brake(w.token, { action: 'resume', reason: 'x' }), 409, 'CONFLICT')
  assert.equal((await status(w)).status, 'paused')
  ok(await brake(w.token, { action: 'resume', reason: 'x', authorization_key: KEY }))
  assert.equal((await status(w)).status, 'active')
  assert.doesNotMatch(s.log('server'), new RegExp(KEY), 'the key is in no log')
})

test('an operator holds one bot or all; the owner cannot lift it', async () => {
  const w = fresh()
  const [viewer, operator, admin] = [await s.role('viewer'), await s.role('operator'), await s.role('admin')]
  ok(await post(s, '/api/bot/enable', { token: w.token }))
  isError(await brake(viewer, { action: 'pause', reason: 'x' }), 403)
  isError(await brake(operator, { action: 'kill_switch', reason: 'x' }), 403)
  ok(await brake(operator, { action: 'pause', reason: 'odd' }, `?walletAddress=${w.wallet}`))
  ok(await brake(w.token, { action: 'resume', reason: 'mine' }))
  assert.deepEqual((await status(w)).pause_reasons, ['OPERATOR_PAUSE'])
  const all = ok(await brake(admin, { action: 'kill_switch', reason: 'storm' }))
  assert.equal(all.state.scope, 'all')
  assert.equal(all.state.wallet_address, null)
  assert.deepEqual((await status(w)).pause_reasons, ['OPERATOR_PAUSE', 'GLOBAL_KILL_SWITCH'])
  isError(await brake(operator, { action: 'resume', reason: 'x' }), 409)
  ok(await brake(admin, { action: 'resume', reason: 'over' }))
  ok(await brake(operator, { action: 'resume', reason: 'fine' }, `?walletAddress=${w.wallet}`))
  assert.equal((await status(w)).status, 'active')
  const log = await audit('global')
  assert.deepEqual(log.map((x) => [x.action, x.role]), [['bot.kill_switch', 'admin'], ['bot.resume', 'admin']])
})

test('emergency refusals', async () => {
  const w = fresh()
  for (const b of [{}, { action: 'pause' }, { reason: 'x' }, { action: 'stop', reason: 'x' }, { action: 'pause', reason: '' }, { action: 'pause', reason: 'x'.repeat(201) }, { action: 'pause', reason: 'x', y: 1 }, { action: 'pause', reason: 1 }])
    isError(await brake(w.token, b), 400, 'VALIDATION_ERROR')
  isError(await brake(w.token, { action: 'pause', reason: 'x' }, `?walletAddress=${wallets[0].wallet}`), 403)
  isError(await brake(undefined, { action: 'pause', reason: 'x' }), 401)
  assert.equal((await audit(`wallet:${w.wallet}`)).length, 0)
})

test('holds outlive a kill of the server', async () => {
  const w = fresh()
  ok(await post(s, '/api/bot/enable', { token: w.token }))
  ok(await brake(w.token, { action: 'pause', reason: 'x' }))
  await s.killServer()
  await s.startServer()
  assert.equal((await status(w)).status, 'paused')
  assert.deepEqual(await rows(db, 'select * from audit_verify()'), [])
})

cleanEnd(() => s)
