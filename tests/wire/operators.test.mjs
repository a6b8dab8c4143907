// Operators: the first account, signing in, rotation, who may do what, API keys, the second factor, and storms of all that.
import assert from 'node:assert/strict'
import { createHmac, randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { connect, rows } from '../lib/db.mjs'
import { get, isError, ok, post, request } from '../lib/http.mjs'
import { cleanEnd, sleep, startStack, until } from '../lib/stack.mjs'

// The rate limits stay on, because the count of failed sign-ins goes with them; only their figures are out of the way.
const big = Object.fromEntries(['AUTH_PER_15MIN', 'USER_PER_MIN', 'USER_BURST', 'STATUS_PER_MIN', 'CTRL_PER_MIN', 'OPEN_PER_MIN'].map((k) => [`XORJ_LIMITS_${k}`, '1000000']))
const s = await startStack({ env: big })
const db = await connect(s)
const admin = await s.role('admin') // of the command line: belongs to no account
const LONG = 'correct horse battery 7'
let seq = 0
const addr = () => `198.51.${Math.floor(++seq / 250)}.${(seq % 250) + 1}` // each its own client, as a trusted proxy would say
const from = (a) => ({ 'X-Forwarded-For': a })
const login = (username, password, { at = addr(), totp } = {}) =>
  post(s, '/api/v1/auth/login', { body: { username, password, ...(totp ? { totp } : {}) }, headers: from(at) })
const refresh = (refresh_token) => post(s, '/api/v1/auth/refresh', { body: { refresh_token } })
const me = (token) => get(s, '/api/v1/auth/me', { token })
const byKey = (path, key, { method = 'GET', body } = {}) => request(s, method, path, { body, headers: { 'X-API-Key': key } })
const claims = (t) => JSON.parse(Buffer.from(t.split('.')[1], 'base64url').toString())
async function account(role = 'operator', name = `${role}-${++seq}`) {
  assert.deepEqual(ok(await post(s, '/api/v1/auth/register', { token: admin, body: { username: name, password: LONG, role } }), 201), { username: name, role })
  return { name, ...ok(await login(name, LONG)) }
}
const audit = (target, action) => rows(db, 'select actor, role, request_id, source_ip, after from audit_log where target=$1 and action=$2 order by seq', [target, action])

test('the first start makes admin with a password shown once, good for nothing but another password', async () => {
  const line = await until(() => /password (\S+) \(shown this once/.exec(s.log('server')), 5000, 'the first password')
  const first = line[1]
  assert.equal(s.log('server').split(first).length, 2, 'printed once')
  isError(await login('admin', 'admin'), 401, 'AUTHENTICATION_ERROR')
  const t = ok(await login('admin', first))
  assert.deepEqual(Object.keys(t), ['access_token', 'refresh_token', 'token_type', 'expires_in', 'must_change'])
  assert.equal(t.must_change, true)
  assert.equal(t.token_type, 'Bearer')
  assert.equal(t.expires_in, 1800)
  assert.equal(ok(await me(t.access_token)).must_change, true)
  for (const [m, p] of [['GET', '/api/v1/status'], ['GET', '/api/v1/auth/users'], ['GET', '/api/v1/auth/api-keys'], ['POST', '/api/v1/ws-ticket']])
    assert.match(isError(await request(s, m, p, { token: t.access_token }), 403, 'AUTHORIZATION_ERROR').json.error.message, /password must be changed/)
  const change = (current, fresh) => post(s, '/api/v1/auth/password', { token: t.access_token, body: { current, new: fresh }, headers: from(addr()) })
  for (const bad of ['short', 'admin-admin-admin', 'Password12345', 'aaaaaaaaaaaaaaaa', '1234567890123', first]) isError(await change(first, bad), 400, 'VALIDATION_ERROR')
  isError(await change('not the password', LONG), 401, 'AUTHENTICATION_ERROR')
  const other = ok(await login('admin', first))
  assert.deepEqual(ok(await change(first, LONG)), { success: true })
  assert.equal(ok(await me(t.access_token)).must_change, false)
  ok(await get(s, '/api/v1/auth/users', { token: t.access_token }))
  isError(await me(other.access_token), 401)
  isError(await refresh(other.refresh_token), 401)
  isError(await login('admin', first), 401)
  assert.equal(ok(await login('admin', LONG)).must_change, false)
  const [row] = await rows(db, "select password_hash from operators where username='admin'")
  assert.match(row.password_hash, /^\$argon2id\$v=19\$m=19456,t=2,p=1\$/)
  assert.equal((await audit('admin', 'operator.password')).length, 1)
})

test('register: roles, names, passwords, and twice the same', async () => {
  const v = await account('viewer')
  const register = (body, token = admin) => post(s, '/api/v1/auth/register', { token, body })
  isError(await register({ username: v.name, password: LONG, role: 'viewer' }), 409, 'CONFLICT')
  isError(await register({ username: v.name.toUpperCase(), password: LONG, role: 'viewer' }), 409, 'CONFLICT')
  const good = { username: 'somebody', password: LONG, role: 'viewer' }
  for (const bad of [{ username: 'a' }, { username: 'cli.admin' }, { username: '-dash' }, { username: 'a b c' }, { username: "x' or 1=1" }, { username: 'x'.repeat(33) },
    { role: 'root' }, { role: 'wallet' }, { role: null }, { password: 'short' }, { password: 'x'.repeat(129) }, { password: 1 }, { password: 'somebody99' }, { must_change: false }])
    isError(await register({ ...good, ...bad }), 400, 'VALIDATION_ERROR')
  isError(await register(good, v.access_token), 403)
  isError(await register(good, (await account('operator')).access_token), 403)
  isError(await register(good, null), 401)
  assert.equal((await rows(db, "select 1 from operators where username='somebody'")).length, 0)
  const [a] = await audit(v.name, 'operator.create')
  assert.equal(a.actor, 'cli.admin')
  assert.equal(a.source_ip, '127.0.0.1')
})

test('login says the same of an unknown name and a wrong password, after the same work', async () => {
  const v = await account('viewer')
  const times = { unknown: [], wrong: [] }
  const texts = new Set()
  for (let i = 0; i < 12; i++) {
    for (const kind of ['unknown', 'wrong']) {
      const r = isError(await login(kind === 'wrong' ? v.name : `nobody-${i}`, 'not the password at all'), 401, 'AUTHENTICATION_ERROR')
      times[kind].push(r.ms)
      texts.add(JSON.stringify({ ...r.json, request_id: '' }))
      if (kind === 'wrong') await rows(db, 'delete from login_attempts')
    }
  }
  assert.equal(texts.size, 1)
  const mid = (a) => a.sort((x, y) => x - y)[Math.floor(a.length / 2)]
  const ratio = mid(times.unknown) / mid(times.wrong)
  assert.ok(ratio > 0.5 && ratio < 2, `unknown ${mid(times.unknown).toFixed(1)} ms, wrong ${mid(times.wrong).toFixed(1)} ms`)
  for (const body of [{}, { username: v.name }, { username: v.name, password: LONG, x: 1 }, { username: v.name, password: LONG, totp: '12345' }, { username: '', password: LONG }, []])
    isError(await post(s, '/api/v1/auth/login', { body }), 400, 'VALIDATION_ERROR')
})

test('an access token says who and what, lives 30 minutes, and opens no other door', async () => {
  const o = await account('operator')
  const c = claims(o.access_token)
  assert.equal(c.aud, 'xorj:operator')
  assert.equal(c.role, 'operator')
  assert.equal(c.exp - c.iat, 1800)
  const m = ok(await me(o.access_token))
  assert.equal(m.username, o.name)
  assert.equal(m.role, 'operator')
  assert.ok(m.created_at && m.last_login)
  isError(await get(s, '/api/bot/status', { token: o.access_token }), 403)
  isError(await get(s, '/api/v1/auth/users', { token: o.access_token }), 403)
  isError(await me(o.refresh_token), 401)
  isError(await refresh(o.access_token.slice(0, 200)), 401)
  const [w] = await s.wallets(1)
  isError(await me(w.token), 403)
  const [row] = await rows(db, 'select extract(epoch from expires_at - issued_at)::int as s from refresh_tokens where jti=$1', [c.jti])
  assert.ok(Math.abs(row.s - 604800) < 5, `${row.s}`)
  const dump = JSON.stringify(await rows(db, 'select * from refresh_tokens')) + JSON.stringify(await rows(db, 'select * from sessions'))
  assert.ok(!dump.includes(o.refresh_token) && !dump.includes(o.access_token))
})

test('refresh rotates; a token used twice ends the family, and only that', async () => {
  const o = await account('operator')
  const second = ok(await login(o.name, LONG))
  const r1 = ok(await refresh(o.refresh_token))
  assert.notEqual(r1.refresh_token, o.refresh_token)
  ok(await me(r1.access_token))
  const r2 = ok(await refresh(r1.refresh_token))
  isError(await refresh(o.refresh_token), 401, 'AUTHENTICATION_ERROR')
  for (const t of [o, r1, r2]) isError(await me(t.access_token), 401)
  for (const t of [o, r1, r2]) isError(await refresh(t.refresh_token), 401)
  ok(await me(second.access_token))
  ok(await refresh(second.refresh_token))
  assert.equal((await audit(claims(o.access_token).jti, 'operator.refresh_reuse')).length, 1)
  for (const bad of ['x', 'xorj_rt_', `xorj_rt_${'A'.repeat(43)}`, o.refresh_token.toLowerCase(), `${r2.refresh_token} `]) isError(await refresh(bad), 401)
  for (const body of [{}, { refresh_token: 1 }, { refresh_token: '' }, { refresh_token: 'x'.repeat(257) }]) isError(await post(s, '/api/v1/auth/refresh', { body }), 400)
})

test('a hundred refreshes of one token at once: one winner, and the family ends because the token was used again', async () => {
  const o = await account('operator')
  const got = await Promise.all(Array.from({ length: 100 }, () => refresh(o.refresh_token)))
  const won = got.filter((r) => r.status === 200)
  assert.equal(won.length, 1)
  got.filter((r) => r.status !== 200).forEach((r) => isError(r, 401, 'AUTHENTICATION_ERROR'))
  isError(await me(won[0].json.access_token), 401)
  isError(await refresh(won[0].json.refresh_token), 401)
  const jti = claims(o.access_token).jti
  assert.equal((await rows(db, 'select 1 from refresh_tokens where jti=$1', [jti])).length, 2)
  assert.equal((await audit(jti, 'operator.refresh_reuse')).length, 1)
})

test('logout ends the session at once', async () => {
  const o = await account('viewer')
  ok(await get(s, '/api/v1/status', { token: o.access_token }))
  assert.deepEqual(ok(await post(s, '/api/v1/auth/logout', { token: o.access_token })), { success: true })
  isError(await get(s, '/api/v1/status', { token: o.access_token }), 401)
  isError(await post(s, '/api/v1/auth/logout', { token: o.access_token }), 401)
  isError(await refresh(o.refresh_token), 401)
  const cli = await s.xorj('token', '--role', 'viewer')
  ok(await post(s, '/api/v1/auth/logout', { token: cli }))
  isError(await me(cli), 401)
})

test('users: pages by name; deleting one ends all that is theirs, but never oneself or the last admin', async () => {
  const a = await account('admin')
  const b = await account('admin')
  const v = await account('viewer')
  const key = ok(await post(s, '/api/v1/auth/api-key', { token: v.access_token, body: { name: 'k', scopes: ['desk:read'] } }), 201)
  ok(await byKey('/api/v1/status', key.key))
  const seen = []
  for (let cursor = ''; ; ) {
    const p = ok(await get(s, `/api/v1/auth/users?limit=2${cursor && `&cursor=${cursor}`}`, { token: admin }))
    seen.push(...p.data.map((u) => u.username))
    assert.equal(p.pagination.has_more, p.pagination.next_cursor !== null)
    if (!(cursor = p.pagination.next_cursor)) break
  }
  const all = (await rows(db, 'select username from operators order by username')).map((r) => r.username)
  assert.deepEqual(seen, all)
  for (const q of ['limit=0', 'limit=1001', 'cursor=!', 'cursor=-AAA', 'x=1']) isError(await get(s, `/api/v1/auth/users?${q}`, { token: admin }), 400)
  const del = (name, token) => request(s, 'DELETE', `/api/v1/auth/users/${name}`, { token })
  isError(await del(v.name, v.access_token), 403)
  isError(await del('nobody-at-all', a.access_token), 404, 'NOT_FOUND')
  isError(await del(a.name, a.access_token), 409, 'CONFLICT')
  assert.deepEqual(ok(await del(v.name, a.access_token)), { success: true })
  isError(await me(v.access_token), 401)
  isError(await refresh(v.refresh_token), 401)
  isError(await byKey('/api/v1/status', key.key), 401)
  isError(await login(v.name, LONG), 401)
  assert.equal((await audit(v.name, 'operator.delete'))[0].actor, a.name)
  // Two admins delete each other while they are the only two.
  for (const r of await rows(db, "select username from operators where role='admin' and username not in ($1,$2)", [a.name, b.name])) ok(await del(r.username, admin))
  const both = await Promise.all([del(a.name, b.access_token), del(b.name, a.access_token)])
  assert.equal(both.filter((r) => r.status === 200).length, 1)
  assert.equal(both.filter((r) => [401, 409].includes(r.status)).length, 1)
  const [last] = await rows(db, "select username from operators where role='admin'")
  isError(await del(last.username, admin), 409, 'CONFLICT')
})

test('API keys: scopes, shown once, last use, revoked at once', async () => {
  const o = await account('operator')
  const make = (body, token = o.access_token) => post(s, '/api/v1/auth/api-key', { token, body })
  const k = ok(await make({ name: 'a reader', scopes: ['desk:read'], expires_in_days: 7 }), 201)
  assert.match(k.key, /^xorj_[0-9a-f]{32}_[A-Za-z0-9_-]{43}$/)
  assert.deepEqual(k.scopes, ['desk:read'])
  assert.ok(Math.abs(new Date(k.expires_at) - Date.now() - 7 * 86400e3) < 60e3)
  ok(await byKey('/api/v1/status', k.key))
  ok(await get(s, '/api/v1/status', { headers: { Authorization: `ApiKey ${k.key}` } }))
  const m = ok(await byKey('/api/v1/auth/me', k.key))
  assert.deepEqual([m.username, m.role, m.credential], [o.name, 'viewer', 'api_key'])
  const list = async (token) => ok(await get(s, '/api/v1/auth/api-keys', { token })).data
  await until(async () => (await list(o.access_token))[0].last_used, 3000, 'last use noted')
  const [row] = await list(o.access_token)
  assert.deepEqual([row.id, row.name, row.owner], [k.id, 'a reader', o.name])
  assert.ok(!('key' in row))
  assert.ok(!JSON.stringify(await rows(db, 'select * from api_keys')).includes(k.key.slice(38)))
  // What a key may not do, whoever made it.
  for (const [method, path, body] of [['POST', '/api/v1/auth/api-key', { name: 'x', scopes: ['desk:read'] }], ['POST', '/api/v1/auth/logout'], ['DELETE', `/api/v1/auth/api-keys/${k.id}`],
    ['POST', '/api/v1/auth/password', { current: LONG, new: `${LONG}!` }], ['POST', '/api/v1/auth/totp', { password: LONG }]])
    isError(await byKey(path, k.key, { method, body }), 403, 'AUTHORIZATION_ERROR')
  isError(await byKey('/api/v1/auth/users', k.key), 403)
  isError(await byKey('/api/bot/status', k.key), 403)
  isError(await make({ name: 'x', scopes: ['desk:admin'] }), 403)
  for (const bad of [{ scopes: [] }, { scopes: ['*'] }, { scopes: 'desk:read' }, { name: '' }, { name: 'x'.repeat(65) }, { expires_in_days: 0 }, { expires_in_days: 366 }, { expires_in_days: 1.5 }, { id: 1 }])
    isError(await make({ name: 'x', scopes: ['desk:read'], ...bad }), 400, 'VALIDATION_ERROR')
  // One credential, of that form, byte for byte.
  const flip = (t, i) => t.slice(0, i) + (t[i] === 'a' ? 'b' : 'a') + t.slice(i + 1)
  for (const bad of [flip(k.key, 10), flip(k.key, 50), flip(k.key, 80), k.key.slice(0, -1), `${k.key}A`, k.key.toUpperCase(), 'x', `xorj_${randomUUID().replaceAll('-', '')}_${k.key.slice(38)}`])
    isError(await byKey('/api/v1/status', bad), 401, 'AUTHENTICATION_ERROR')
  isError(await get(s, '/api/v1/status', { token: o.access_token, headers: { 'X-API-Key': k.key } }), 401)
  isError(await get(s, '/api/v1/status', { headers: { Authorization: `Bearer ${k.key}` } }), 401)
  isError(await byKey('/api/v1/status', o.access_token), 401)
  isError(await get(s, '/api/v1/status', { headers: { Authorization: `ApiKey ${o.access_token}` } }), 401)
  // Others neither see it nor end it; an admin does both.
  const other = await account('operator')
  assert.deepEqual(await list(other.access_token), [])
  const revoke = (id, token) => request(s, 'DELETE', `/api/v1/auth/api-keys/${id}`, { token })
  isError(await revoke(k.id, other.access_token), 404, 'NOT_FOUND')
  isError(await revoke('x', o.access_token), 400)
  assert.ok((await list(admin)).some((x) => x.id === k.id))
  ok(await revoke(k.id, admin))
  isError(await byKey('/api/v1/status', k.key), 401)
  ok(await revoke(k.id, o.access_token)) // again: no second row
  assert.equal((await audit(k.id, 'api_key.revoke')).length, 1)
  // Pages.
  for (let i = 0; i < 5; i++) ok(await make({ name: `k${i}`, scopes: ['desk:control', 'desk:read', 'desk:read'] }), 201)
  const names = []
  for (let cursor = ''; ; ) {
    const p = ok(await get(s, `/api/v1/auth/api-keys?limit=2${cursor && `&cursor=${cursor}`}`, { token: o.access_token }))
    names.push(...p.data.map((x) => x.name))
    assert.equal(p.pagination.total_count, 5)
    if (!(cursor = p.pagination.next_cursor)) break
  }
  assert.deepEqual(names, ['k4', 'k3', 'k2', 'k1', 'k0'])
  await rows(db, "update sessions set expires_at=now()-interval '1 s', issued_at=now()-interval '1 h' where kind='api_key' and operator=$1", [o.name])
  assert.equal((await rows(db, "select 1 from audit_log where action='api_key.create' and actor=$1", [o.name])).length, 6)
})

test('who bears the name of a deleted account is not given its answers', async () => {
  const headers = { 'Idempotency-Key': 'same' }
  const body = { name: 'k', scopes: ['desk:read'] }
  const before = await account('operator')
  const old = ok(await post(s, '/api/v1/auth/api-key', { token: before.access_token, headers, body }), 201)
  assert.equal(ok(await post(s, '/api/v1/auth/api-key', { token: before.access_token, headers, body }), 201).key, old.key)
  ok(await request(s, 'DELETE', `/api/v1/auth/users/${before.name}`, { token: admin }))
  ok(await post(s, '/api/v1/auth/register', { token: admin, body: { username: before.name, password: LONG, role: 'operator' } }), 201)
  const after = ok(await post(s, '/api/v1/auth/login', { body: { username: before.name, password: LONG } }))
  const fresh = ok(await post(s, '/api/v1/auth/api-key', { token: after.access_token, headers, body }), 201)
  assert.notEqual(fresh.key, old.key)
  ok(await get(s, '/api/v1/auth/me', { headers: { 'X-API-Key': fresh.key } }))
  isError(await get(s, '/api/v1/auth/me', { headers: { 'X-API-Key': old.key } }), 401)
})

test('failed sign-ins are counted: five for a name, twenty for an address, also when they come together', async () => {
  const v = await account('viewer')
  for (const name of [v.name, `ghost-${++seq}`]) {
    const got = await Promise.all(Array.from({ length: 25 }, () => login(name, 'not the password')))
    assert.equal(got.filter((r) => r.status === 401).length, 5, name)
    for (const r of got.filter((x) => x.status !== 401)) {
      isError(r, 429, 'RATE_LIMIT_ERROR')
      assert.ok(Number(r.headers['retry-after']) >= 1 && Number(r.headers['retry-after']) <= 300)
    }
  }
  isError(await login(v.name, LONG), 429)
  const at = addr()
  for (let i = 0; i < 20; i++) isError(await login(`ghost-${++seq}`, 'not the password', { at }), 401)
  isError(await login(`ghost-${++seq}`, 'not the password', { at }), 429)
  await rows(db, "update login_attempts set times = (select coalesce(array_agg(t - interval '6 min'), '{}') from unnest(times) t)")
  ok(await login(v.name, LONG, { at }))
  for (let i = 0; i < 4; i++) isError(await login(v.name, 'not the password', { at }), 401)
  ok(await login(v.name, LONG, { at }))
  for (let i = 0; i < 4; i++) isError(await login(v.name, 'not the password', { at }), 401)
})

test('a storm of sign-ins is refused at its bound and leaves the rest of the server alone', async () => {
  const v = await account('viewer')
  const p95 = (a) => a.sort((x, y) => x - y)[Math.floor(a.length * 0.95)]
  const before = []
  for (let i = 0; i < 60; i++) before.push((await get(s, '/api/v1/ping')).ms)
  const quiet = []
  let over = false
  const watch = (async () => {
    while (!over) {
      const r = await get(s, '/api/v1/ping')
      ok(r)
      quiet.push(r.ms)
      await sleep(5)
    }
  })()
  const storm = await Promise.all(Array.from({ length: 200 }, (_, i) => login(`storm-${i}`, 'not the password')))
  over = true
  await watch
  for (const r of storm) {
    assert.ok([401, 429, 503].includes(r.status), `${r.status}`) // 503: waited past its deadline, on a busy machine
    if (r.status !== 401) assert.ok(Number(r.headers['retry-after']) >= 1)
  }
  assert.ok(storm.some((r) => r.status === 429), 'the bound was met')
  assert.ok(storm.some((r) => r.status === 401), 'what waits is served')
  assert.ok(p95(quiet) < Math.max(60, 5 * p95(before)), `p95 of others ${p95(before).toFixed(1)} ms before, ${p95(quiet).toFixed(1)} ms meanwhile`)
  await until(async () => (await login(v.name, LONG)).status === 200, 15_000, 'sign-in works again')
  assert.equal((await rows(db, "select 1 from login_attempts where key like 'u:storm-%'")).length, storm.filter((r) => r.status !== 429).length, 'the refused were not counted')
})

function base32(text) {
  let bits = ''
  for (const c of text) bits += 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(c).toString(2).padStart(5, '0')
  return Buffer.from(bits.match(/.{8}/g).map((b) => parseInt(b, 2)))
}
function code(secret, shift = 0) {
  const b = Buffer.alloc(8)
  b.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30000) + shift))
  const mac = createHmac('sha1', base32(secret)).update(b).digest()
  return String((mac.readUInt32BE(mac[19] & 15) & 0x7fffffff) % 1000000).padStart(6, '0')
}

test('the second factor: asked for once it is confirmed, each code good once, off again', async () => {
  const o = await account('operator')
  const call = (path, body, token = o.access_token) => post(s, `/api/v1/auth/totp${path}`, { token, body, headers: from(addr()) })
  isError(await call('', { password: 'not the password' }), 403)
  isError(await call('/confirm', { code: '123456' }), 409)
  const { secret, otpauth_uri } = ok(await call('', { password: LONG }), 201)
  assert.match(otpauth_uri, new RegExp(`^otpauth://totp/XORJ:${o.name}\\?secret=${secret}&`))
  isError(await call('/confirm', { code: code(secret, 50) }), 403)
  ok(await login(o.name, LONG)) // not in force yet
  const first = code(secret, -1)
  ok(await call('/confirm', { code: first }))
  assert.equal(ok(await me(o.access_token)).totp, true)
  const r = isError(await login(o.name, LONG), 401)
  assert.equal(r.json.error.details?.totp_required, true)
  isError(await login(o.name, 'not the password', { totp: code(secret) }), 401)
  isError(await login(o.name, LONG, { totp: first }), 401)
  const now = code(secret)
  const got = await Promise.all([login(o.name, LONG, { totp: now }), login(o.name, LONG, { totp: now })])
  assert.equal(got.filter((x) => x.status === 200).length, 1, 'one code, one sign-in')
  isError(await call('', { password: LONG }), 409)
  isError(await call('/disable', { password: LONG, code: now }), 403)
  ok(await call('/disable', { password: LONG, code: code(secret, 1) }))
  ok(await login(o.name, LONG))
  assert.equal((await audit(o.name, 'operator.totp')).length, 2)
  isError(await call('', { password: LONG }, admin), 403)
})

test('xorj user: add, list, password, delete', async () => {
  const password = await s.xorj('user', 'add', 'clara', '--role', 'operator')
  const t = ok(await login('clara', password))
  assert.equal(t.must_change, true)
  const list = JSON.parse(await s.xorj('user', 'list', '--json'))
  assert.deepEqual(Object.keys(list[0]), ['username', 'role', 'created_at', 'last_login', 'must_change', 'totp'])
  assert.ok(list.some((u) => u.username === 'clara' && u.role === 'operator'))
  const again = await s.xorj('user', 'password', 'clara')
  isError(await me(t.access_token), 401)
  isError(await login('clara', password), 401)
  ok(await login('clara', again))
  await assert.rejects(s.xorj('user', 'add', 'clara', '--role', 'viewer'), /reads alike/)
  await assert.rejects(s.xorj('user', 'add', 'cli.admin', '--role', 'viewer'), /no name/)
  await assert.rejects(s.xorj('user', 'add', 'dora', '--role', 'root'), /--role takes/)
  await s.xorj('user', 'delete', 'clara')
  isError(await login('clara', again), 401)
  await assert.rejects(s.xorj('user', 'delete', 'clara'), /no account/)
  const [last] = await rows(db, "select username from operators where role='admin'")
  await assert.rejects(s.xorj('user', 'delete', last.username), /last admin/)
})

test('sockets of operators end with their session', async () => {
  const { Sub } = await import('../lib/ws.mjs')
  const o = await account('viewer')
  const sub = await new Sub(s, { token: o.access_token }).open()
  ok(await post(s, '/api/v1/auth/logout', { token: o.access_token }))
  assert.equal(await sub.closed(15_000), 4001)
})

test('two servers on one database: what one ends or allows, the other knows at once', async () => {
  const { startReplica } = await import('../lib/replica.mjs')
  const r = await startReplica(s)
  const both = async (token, status) => {
    for (const x of [r, s]) assert.equal((await get(x, '/api/v1/status', { token })).status, status)
  }
  const o = await account('operator')
  const k = ok(await post(s, '/api/v1/auth/api-key', { token: o.access_token, body: { name: 'k', scopes: ['desk:read'] } }), 201)
  const keyed = async (status) => {
    for (const x of [r, s]) assert.equal((await request(x, 'GET', '/api/v1/status', { headers: { 'X-API-Key': k.key } })).status, status)
  }
  await both(o.access_token, 200)
  await keyed(200)
  ok(await request(r, 'DELETE', `/api/v1/auth/api-keys/${k.id}`, { token: o.access_token }))
  await keyed(401)
  ok(await post(r, '/api/v1/auth/logout', { token: o.access_token }))
  await both(o.access_token, 401)
  const name = `clara-${++seq}`
  const password = await s.xorj('user', 'add', name, '--role', 'viewer')
  const t = ok(await login(name, password))
  await both(t.access_token, 403)
  ok(await post(r, '/api/v1/auth/password', { token: t.access_token, body: { current: password, new: LONG }, headers: from(addr()) }))
  await both(t.access_token, 200)
  const got = await Promise.all(Array.from({ length: 20 }, (_, i) => post(i % 2 ? r : s, '/api/v1/auth/refresh', { body: { refresh_token: t.refresh_token } })))
  assert.equal(got.filter((x) => x.status === 200).length, 1)
  await both(t.access_token, 401)
  assert.deepEqual(await r.stop(), { code: 0, sig: null })
})

test('nothing secret in the log; the audit chain verifies', async () => {
  const log = s.log('server')
  assert.ok(!log.includes(LONG) && !/xorj_rt_|xorj_[0-9a-f]{32}_|\$argon2/.test(log))
  assert.deepEqual(await rows(db, 'select * from audit_verify()'), [])
})

cleanEnd(() => s)

test('a first password from the environment is taken and not shown; a well-known one stops the start', async () => {
  const t = await startStack({ env: { ...big, XORJ_AUTH_ADMIN_PASSWORD: 'mended fence 42 goats' } })
  await until(() => /first account made/.test(t.log('server')), 5000, 'the account')
  assert.ok(!t.log('server').includes('mended fence') && !t.log('server').includes('shown this once'))
  assert.equal(ok(await post(t, '/api/v1/auth/login', { body: { username: 'admin', password: 'mended fence 42 goats' } })).must_change, true)
  await t.sh('stop-server')
  const r = await t.sh('xorj', { args: ['check-config'], env: { XORJ_AUTH_ADMIN_PASSWORD: 'admin-password-1' }, ok: false })
  assert.equal(r.code, 2)
  assert.match(r.err + r.out, /admin_password in \[auth\] is refused/)
  assert.ok(!(r.err + r.out).includes('admin-password-1'))
})
