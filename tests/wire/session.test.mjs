// Wallet sessions after the sign-in: refresh, logout, being idle, and sessions in a cookie with their proof of origin.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connect, rows } from '../lib/db.mjs'
import { get, isError, ok, post } from '../lib/http.mjs'
import { cleanEnd, sleep, startStack } from '../lib/stack.mjs'
import { Wallet } from '../lib/wallet.mjs'
import { Sub } from '../lib/ws.mjs'

const IDLE_S = 3
const s = await startStack({ env: { XORJ_LIMITS_ENABLED: 'false', XORJ_AUTH_WALLET_IDLE_S: String(IDLE_S), XORJ_SERVER_ALLOWED_ORIGINS: 'https://app.xorj.ai' } })
const db = await connect(s)
const session = (token, opts = {}) => get(s, '/api/auth/session', { token, ...opts })
const here = `http://127.0.0.1:${s.port}`

async function signedIn() {
  const w = new Wallet()
  return { w, r: await w.signIn(s) }
}

test('a session says whose it is and when it ends', async () => {
  const { w, r } = await signedIn()
  const t0 = Date.now()
  const g = ok(await session(r.session_token))
  assert.equal(g.user_id, r.user_id)
  assert.equal(g.wallet_address, w.address)
  assert.ok(g.permissions.includes('bot:write'))
  assert.equal(Date.parse(g.expires_at), Date.parse(r.expires_at))
  const idle = Date.parse(g.idle_expires_at) - t0
  assert.ok(idle > (IDLE_S - 1.1) * 1000 && idle < (IDLE_S + 1) * 1000, `${idle}`)
  assert.equal(g.csrf_token, undefined)
  isError(await get(s, '/api/auth/session'), 401, 'AUTHENTICATION_ERROR')
  isError(await session(await s.role('admin')), 403, 'AUTHORIZATION_ERROR')
})

test('refresh gives another token for the same day, and the old one is over at once', async () => {
  const { r } = await signedIn()
  const n = ok(await post(s, '/api/auth/refresh', { token: r.session_token }))
  assert.equal(n.success, true)
  assert.notEqual(n.session_token, r.session_token)
  assert.equal(Date.parse(n.expires_at), Date.parse(r.expires_at))
  isError(await session(r.session_token), 401)
  isError(await post(s, '/api/auth/refresh', { token: r.session_token }), 401)
  ok(await session(n.session_token))
})

test('of many refreshes at once one follows, and one audit row says so', async () => {
  const { w, r } = await signedIn()
  const got = await Promise.all(Array.from({ length: 20 }, () => post(s, '/api/auth/refresh', { token: r.session_token })))
  assert.equal(got.filter((x) => x.status === 200).length, 1)
  assert.ok(got.every((x) => x.status === 200 || x.status === 401))
  assert.equal((await rows(db, 'select 1 from sessions where wallet=$1 and revoked_at is null', [w.address])).length, 1)
  assert.equal((await rows(db, "select 1 from audit_log where action='session.refresh' and actor=$1", [w.address])).length, 1)
})

test('logout ends this session only, at once, also its socket', async () => {
  const { w, r } = await signedIn()
  const other = await w.signIn(s)
  const sub = await new Sub(s, { token: r.session_token }).open()
  assert.deepEqual(ok(await post(s, '/api/auth/logout', { token: r.session_token })), { success: true })
  isError(await session(r.session_token), 401, 'AUTHENTICATION_ERROR')
  isError(await post(s, '/api/bot/enable', { token: r.session_token }), 401)
  assert.equal(await sub.closed(1000), 4001)
  ok(await session(other.session_token))
  assert.equal((await rows(db, "select 1 from audit_log where action='session.revoke' and actor=$1", [w.address])).length, 1)
})

test('a session in use stays, an idle one ends', async () => {
  const [a, b] = [(await signedIn()).r.session_token, (await signedIn()).r.session_token]
  const end = Date.now() + (IDLE_S + 1) * 1000
  while (Date.now() < end) {
    ok(await session(a))
    await sleep(400)
  }
  ok(await session(a))
  isError(await session(b), 401, 'AUTHENTICATION_ERROR')
  isError(await session(b), 401)
})

test('a restart forgets neither the use nor the end of a session', async () => {
  const { r } = await signedIn()
  ok(await session(r.session_token))
  await sleep(300)
  await s.sh('restart-server')
  ok(await session(r.session_token))
})

// ---- cookies

async function withCookie() {
  const w = new Wallet()
  const c = await w.challenge(s)
  const r = await post(s, '/api/auth/authenticate', { body: { ...w.body(c.message), cookie: true } })
  ok(r)
  const line = r.headers['set-cookie'][0]
  return { w, r, line, cookie: line.split(';')[0], csrf: r.json.csrf_token }
}

test('a cookie session: out of reach of scripts, and not in the answer', async () => {
  const { line, r, cookie } = await withCookie()
  for (const part of ['HttpOnly', 'Secure', 'SameSite=Strict', 'Path=/']) assert.ok(line.includes(part), part)
  assert.ok(line.startsWith('__Host-'))
  assert.ok(!/domain=/i.test(line))
  assert.equal(r.json.session_token, undefined)
  const g = ok(await get(s, '/api/auth/session', { headers: { Cookie: cookie } }))
  assert.equal(g.csrf_token, r.json.csrf_token)
  ok(await get(s, '/api/bot/status', { headers: { Cookie: `a=b; ${cookie}; c=d` } }))
})

test('a write with a cookie proves where it comes from', async () => {
  const { w, cookie, csrf } = await withCookie()
  const other = await withCookie()
  const write = (headers) => post(s, '/api/bot/enable', { headers: { Cookie: cookie, ...headers } })
  isError(await write({}), 403, 'AUTHORIZATION_ERROR')
  for (const origin of ['https://evil.example', 'null', `${here}.evil.example`, 'https://app.xorj.ai.evil.example', 'http://app.xorj.ai', ''])
    for (const more of [{}, { 'X-CSRF-Token': csrf }]) isError(await write({ Origin: origin, ...more }), 403, 'AUTHORIZATION_ERROR')
  for (const token of ['', 'x', other.csrf, csrf.slice(0, -1), `${csrf}A`]) {
    isError(await write({ 'X-CSRF-Token': token }), 403)
    isError(await write({ Origin: here, 'X-CSRF-Token': token }), 403)
  }
  assert.deepEqual(await rows(db, 'select version from bot_states where user_vault_address=$1', [w.address]), [{ version: 0 }])
  ok(await write({ 'X-CSRF-Token': csrf }))
  ok(await write({ Origin: here }))
  ok(await write({ Origin: 'https://app.xorj.ai', 'X-CSRF-Token': csrf }))
})

test('a bad header is not rescued by a good cookie; two cookies are none; an old cookie is as none where nobody need be known', async () => {
  const { cookie, csrf } = await withCookie()
  isError(await get(s, '/api/bot/status', { token: 'a.b.c', headers: { Cookie: cookie } }), 401)
  isError(await get(s, '/api/bot/status', { headers: { Cookie: `${cookie}; ${cookie}` } }), 401)
  isError(await get(s, '/api/bot/status', { headers: { Cookie: cookie.slice(0, -2) } }), 401)
  const out = await post(s, '/api/auth/logout', { headers: { Cookie: cookie, 'X-CSRF-Token': csrf } })
  ok(out)
  assert.match(out.headers['set-cookie'][0], /^__Host-xorj=; .*Max-Age=0/)
  isError(await get(s, '/api/bot/status', { headers: { Cookie: cookie } }), 401)
  ok(await get(s, '/api/system/status', { headers: { Cookie: cookie } }))
})

test('refresh of a cookie session sets the next cookie', async () => {
  const { cookie, csrf } = await withCookie()
  const r = await post(s, '/api/auth/refresh', { headers: { Cookie: cookie, 'X-CSRF-Token': csrf } })
  const g = ok(r)
  assert.equal(g.session_token, undefined)
  assert.notEqual(g.csrf_token, csrf)
  const next = r.headers['set-cookie'][0].split(';')[0]
  ok(await get(s, '/api/bot/status', { headers: { Cookie: next } }))
  isError(await get(s, '/api/bot/status', { headers: { Cookie: cookie } }), 401)
})

test('no cookie for a foreign page, and its sign-in does not use the nonce up', async () => {
  const w = new Wallet()
  const c = await w.challenge(s)
  const body = { ...w.body(c.message), cookie: true }
  isError(await post(s, '/api/auth/authenticate', { body, headers: { Origin: 'https://evil.example' } }), 403, 'AUTHORIZATION_ERROR')
  ok(await post(s, '/api/auth/authenticate', { body, headers: { Origin: here } }))
})

cleanEnd(() => s)
