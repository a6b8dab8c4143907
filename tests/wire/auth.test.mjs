// Sign-in with a real wallet library, and what it leaves in the database.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connect, rows } from '../lib/db.mjs'
import { get, isError, ok, post } from '../lib/http.mjs'
import { cleanEnd, startStack } from '../lib/stack.mjs'
import { Wallet } from '../lib/wallet.mjs'

const s = await startStack({ env: { XORJ_LIMITS_ENABLED: 'false' } })
const db = await connect(s)
const w = new Wallet()

test('the challenge is a sign-in message for this wallet, different each time', async () => {
  const a = await w.challenge(s)
  const b = await w.challenge(s)
  assert.notEqual(a.nonce, b.nonce)
  assert.match(a.message, new RegExp(`\\n${w.address}\\n`))
  assert.ok(a.message.includes(`Nonce: ${a.nonce}`))
  for (const part of ['URI: ', 'Version: 1', 'Chain ID: ', 'Issued At: ', 'Expiration Time: ']) assert.ok(a.message.includes(part), part)
  assert.ok(Date.parse(a.expires_at) > Date.now())
  assert.ok(Date.parse(a.expires_at) <= Date.now() + 301_000)
})

test('a signed message opens a session that works', async () => {
  const r = await w.signIn(s)
  assert.equal(r.success, true)
  assert.match(r.user_id, /^[0-9a-f]{8}-[0-9a-f]{4}-/)
  const left = Date.parse(r.expires_at) - Date.now()
  assert.ok(left > 23 * 3600e3 && left <= 24 * 3600e3 + 5000, `${left}`)
  ok(await get(s, '/api/bot/status', { token: r.session_token }))
})

test('user, settings, bot row and session are there after the first sign-in, once', async () => {
  await w.signIn(s)
  assert.equal((await rows(db, 'select 1 from users where wallet_address=$1', [w.address])).length, 1)
  assert.deepEqual(await rows(db, 'select risk_profile from user_settings where wallet_address=$1', [w.address]), [{ risk_profile: 'Balanced' }])
  assert.deepEqual(await rows(db, 'select is_enabled, version from bot_states where user_vault_address=$1', [w.address]), [{ is_enabled: false, version: 0 }])
  assert.equal((await rows(db, 'select 1 from sessions where wallet=$1 and revoked_at is null', [w.address])).length, 2)
})

test('the token says what it should, in seconds', async () => {
  const r = await w.signIn(s)
  const [head, body] = r.session_token.split('.').slice(0, 2).map((p) => JSON.parse(Buffer.from(p, 'base64url')))
  assert.equal(head.alg, 'HS256')
  assert.ok(head.kid)
  assert.equal(body.wallet_address, w.address)
  assert.equal(body.user_id, r.user_id)
  assert.ok(Array.isArray(body.permissions))
  for (const k of ['iat', 'exp']) assert.ok(Number.isInteger(body[k]) && body[k] < 1e11, k)
  assert.ok(body.exp - body.iat <= 86400)
  assert.ok(body.jti)
})

test('many wallets at once', async () => {
  const all = Array.from({ length: 30 }, () => new Wallet())
  const got = await Promise.all(all.map((x) => x.signIn(s)))
  assert.equal(new Set(got.map((g) => g.user_id)).size, 30)
})

test('a wallet address that is not one is 400', async () => {
  for (const bad of ['', 'x', '0'.repeat(32), 'l'.repeat(40), '1'.repeat(31), '1'.repeat(45), 'z'.repeat(44), `${w.address}%00`, `${w.address}%20`])
    isError(await get(s, `/api/auth/challenge?wallet_address=${bad}`), 400, 'VALIDATION_ERROR')
  isError(await get(s, '/api/auth/challenge'), 400, 'VALIDATION_ERROR')
  isError(await get(s, `/api/auth/challenge?wallet_address=${w.address}&wallet_address=${w.address}`), 400)
})

test('a body with a missing, unknown, doubled or wrongly typed field is 400', async () => {
  const c = await w.challenge(s)
  const good = w.body(c.message)
  const send = (body) => post(s, '/api/auth/authenticate', { body })
  for (const k of Object.keys(good)) isError(await send({ ...good, [k]: undefined }), 400, 'VALIDATION_ERROR')
  for (const k of Object.keys(good)) for (const v of [1, null, true, [], {}]) isError(await send({ ...good, [k]: v }), 400)
  const unknown = isError(await send({ ...good, role: 'admin' }), 400)
  assert.match(unknown.json.error.message, /^Unrecognized key\(s\) in object: 'role'/)
  isError(await send(JSON.stringify(good).replace('{', `{"wallet_address":"${w.address}",`)), 400)
  isError(await send(`${JSON.stringify(good)}x`), 400)
  isError(await send(''), 400)
  isError(await send({ ...good, signature: 'AAAA' }), 400)
  ok(await send(good)) // none of them has used the nonce up
})

test('a signature over other bytes is 401', async () => {
  const c = await w.challenge(s)
  isError(await post(s, '/api/auth/authenticate', { body: w.body(c.message, w.sign(`${c.message} `)) }), 401, 'AUTHENTICATION_ERROR')
})

test('a message passes once', async () => {
  const c = await w.challenge(s)
  ok(await w.authenticate(s, c.message))
  isError(await w.authenticate(s, c.message), 401, 'AUTHENTICATION_ERROR')
})

test('xorj token mints sessions that the database knows, and operator tokens', async () => {
  const list = await s.wallets(3)
  assert.equal(list.length, 3)
  for (const x of list) {
    ok(await get(s, '/api/bot/status', { token: x.token }))
    assert.equal((await rows(db, 'select 1 from sessions where wallet=$1', [x.wallet])).length, 1)
  }
  ok(await get(s, '/api/v1/status', { token: await s.role('viewer') }))
})

test('a revoked session is refused everywhere within its short memory', async () => {
  const [x] = await s.wallets(1)
  ok(await get(s, '/api/bot/status', { token: x.token }))
  await rows(db, 'update sessions set revoked_at=now() where wallet=$1', [x.wallet])
  const t0 = Date.now()
  for (;;) {
    const r = await get(s, '/api/bot/status', { token: x.token })
    if (r.status === 401) break
    assert.ok(Date.now() - t0 < 6500, 'still let in after 6.5 s')
    await new Promise((r) => setTimeout(r, 200))
  }
})

cleanEnd(() => s)
