// Forged, altered and misused tokens: each is refused with the same 401, none with a 5xx.
import assert from 'node:assert/strict'
import { createHmac, randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { answers, get, isError, ok, raw } from '../lib/http.mjs'
import { connect, rows } from '../lib/db.mjs'
import { cleanEnd, startStack } from '../lib/stack.mjs'

const s = await startStack({ env: { XORJ_LIMITS_ENABLED: 'false' } })
const db = await connect(s)
const [mine, other] = await s.wallets(2)
const viewer = await s.role('viewer')
const secret = s.env.JWT_SECRET

const b64 = (x) => Buffer.from(typeof x === 'string' ? x : JSON.stringify(x)).toString('base64url')
const part = (t, i) => JSON.parse(Buffer.from(t.split('.')[i], 'base64url').toString())
const HEAD = part(mine.token, 0)
const BODY = part(mine.token, 1)
const OPER = part(viewer, 1)
function sign(head, body, { key = secret, alg = 'sha256' } = {}) {
  const text = `${b64(head)}.${b64(body)}`
  return `${text}.${createHmac(alg, key).update(text).digest('base64url')}`
}
const now = () => Math.floor(Date.now() / 1000)
const status = (token, opts) => get(s, '/api/bot/status', { token, ...opts })
const same = new Set()
async function refused(token, what) {
  const r = isError(await status(token), 401, 'AUTHENTICATION_ERROR')
  same.add(JSON.stringify({ ...r.json, request_id: '' }))
  assert.equal(same.size, 1, `${what}: another body than the others`)
}

test('our own signature over the same parts passes, so what follows fails for its reason', async () => {
  ok(await status(sign(HEAD, BODY)))
  ok(await get(s, '/api/v1/status', { token: sign(part(viewer, 0), OPER) }))
})

test('algorithms: none, others, other spellings', async () => {
  for (const alg of ['none', 'None', 'NONE', 'nOnE', '', 'HS384', 'HS512', 'RS256', 'ES256', 'EdDSA', 'hs256', 'HS256 ', null, 256, ['HS256']]) {
    await refused(sign({ ...HEAD, alg }, BODY), `alg ${alg}`)
    await refused(`${b64({ ...HEAD, alg })}.${b64(BODY)}.`, `alg ${alg}, no signature`)
  }
  await refused(sign({ ...HEAD, alg: 'HS512' }, BODY, { alg: 'sha512' }), 'HS512 signed as such')
  await refused(sign({ typ: HEAD.typ, kid: HEAD.kid }, BODY), 'no alg')
})

test('keys: other, empty, the public parts of it, and kid as a path or query', async () => {
  for (const key of ['x'.repeat(32), 'secret', 'y', secret.slice(1), `${secret} `, HEAD.kid, 'null']) await refused(sign(HEAD, BODY, { key }), 'key')
  await refused(sign(HEAD, BODY, { key: Buffer.alloc(32) }), 'zero key')
  for (const kid of ['', 'k0', 'K1', '../../dev/null', '/dev/null', "k1' or '1'='1", 'http://127.0.0.1/key', 'k1\u0000', 1, null, ['k1'], 'k'.repeat(1000)])
    await refused(sign({ ...HEAD, kid }, BODY), `kid ${kid}`)
  await refused(sign({ alg: HEAD.alg, typ: HEAD.typ }, BODY), 'no kid')
})

test('header members that bring their own key or rules', async () => {
  const jwk = { kty: 'oct', k: Buffer.from('x'.repeat(32)).toString('base64url') }
  for (const extra of [{ jwk }, { jku: 'https://example.org/k' }, { x5u: 'https://example.org/c' }, { x5c: ['AA'] }, { crit: ['exp'] }, { zip: 'DEF' }, { b64: false }, { cty: 'JWT' }, { enc: 'A256GCM' }, { foo: 1 }]) {
    await refused(sign({ ...HEAD, ...extra }, BODY), Object.keys(extra)[0])
    await refused(sign({ ...HEAD, ...extra }, BODY, { key: 'x'.repeat(32) }), `${Object.keys(extra)[0]}, its key`)
  }
})

test('times: expired, from the future, too long, wrong types, absent', async () => {
  const n = now()
  const bad = [
    { exp: n - 1 }, { exp: 0 }, { exp: -1 }, { exp: n + 86400 * 3650 }, { iat: n + 60 }, { iat: n + 60, exp: n + 120 }, { nbf: n + 60 },
    { exp: String(n + 100) }, { exp: n + 100.5 }, { exp: null }, { exp: undefined }, { iat: undefined }, { iat: String(n) }, { iat: null }, { exp: true },
    { exp: 1e300 }, { exp: (n + 100) * 1000 }, { iat: -1e18 }, { nbf: 'x' }, { exp: [n + 100] },
  ]
  for (const b of bad) await refused(sign(HEAD, { ...BODY, ...b }), JSON.stringify(b))
})

test('a jti that is unknown, revoked, absent, or of another wallet', async () => {
  await refused(sign(HEAD, { ...BODY, jti: randomUUID() }), 'unknown')
  await refused(sign(HEAD, { ...BODY, jti: undefined }), 'absent')
  for (const jti of ['', 1, null, {}, "' or 1=1 --", BODY.jti.toUpperCase() + 'x', `${BODY.jti} `]) await refused(sign(HEAD, { ...BODY, jti }), `jti ${jti}`)
  await refused(sign(HEAD, { ...part(other.token, 1), jti: BODY.jti }), "another wallet's session")
  await refused(sign(HEAD, { ...BODY, wallet_address: other.wallet }), 'wallet changed')
  const [gone] = await s.wallets(1)
  await rows(db, 'update sessions set revoked_at=now() where wallet=$1', [gone.wallet])
  await refused(gone.token, 'revoked before its first use')
})

test('claims of the wrong kind or type', async () => {
  for (const b of [{ wallet_address: 1 }, { wallet_address: null }, { wallet_address: undefined }, { user_id: 5 }, { permissions: 'admin' }, { aud: undefined }, { aud: 1 }, { aud: [BODY.aud] }, { aud: OPER.aud }])
    if (JSON.stringify({ ...BODY, ...b }) !== JSON.stringify(BODY)) await refused(sign(HEAD, { ...BODY, ...b }), JSON.stringify(b))
  for (const body of ['null', '[]', '1', '"x"', '{}', '', '{', JSON.stringify(BODY) + 'x', JSON.stringify(BODY).replace('{', `{"jti":"${BODY.jti}",`)])
    await refused(sign(HEAD, body), body.slice(0, 30))
  for (const head of ['null', '[]', '{}', '', JSON.stringify(HEAD).replace('{', '{"alg":"none",'), JSON.stringify(HEAD).replace('{', '{"\\u0061lg":"none",')])
    await refused(sign(head, BODY), head.slice(0, 30))
})

test('no kind opens the other kind of door', async () => {
  for (const p of ['/api/v1/status', '/api/v1/opportunities', '/api/v1/connectors']) {
    const r = await get(s, p, { token: mine.token })
    assert.ok([401, 403].includes(r.status), `${p} ${r.status}`)
    isError(r, r.status)
  }
  const r = await status(viewer)
  assert.ok([401, 403].includes(r.status))
  for (const role of ['admin', 'owner', '', 1, null, 'Admin', 'viewer ', ['admin']]) {
    const t = sign(HEAD, { ...BODY, role, permissions: ['admin'] })
    const x = await get(s, '/api/v1/status', { token: t })
    assert.ok([401, 403].includes(x.status), `role ${role}: ${x.status}`)
  }
  for (const role of ['owner', '', 1, null, 'Admin', 'viewer ', ['admin'], 'wallet']) {
    const x = await get(s, '/api/v1/status', { token: sign(part(viewer, 0), { ...OPER, role }) })
    assert.ok([401, 403].includes(x.status), `operator role ${role}: ${x.status}`)
  }
})

test('encodings: padding, stray bits, other alphabets, more or fewer parts', async () => {
  const t = mine.token
  const [h, b, m] = t.split('.')
  const std = (x) => x.replaceAll('-', '+').replaceAll('_', '/')
  const stray = m.slice(0, -1) + String.fromCharCode(m.charCodeAt(m.length - 1) + 1)
  for (const x of [`${h}.${b}`, `${h}..${m}`, `.${b}.${m}`, `${h}.${b}.`, `${t}.`, `${t}.${m}`, `.${t}`, `${h}=.${b}.${m}`, `${h}.${b}.${m}=`, `${h}.${b}.${m}==`, `${h}.${b}.${stray}`, `${h}.${b}.${m}A`,
    `${h}.${b}.${m.slice(1)}`, `${h} .${b}.${m}`, `${h}.${b}.${'A'.repeat(43)}`, 'a', '...', 'null', t.toUpperCase(), t.slice(0, -1)])
    if (x !== t) await refused(x, x.slice(-20))
  if (std(t) !== t) await refused(std(t), 'plain base64')
  for (let i = 0; i < m.length; i += 7) await refused(`${h}.${b}.${m.slice(0, i)}${m[i] === 'A' ? 'B' : 'A'}${m.slice(i + 1)}`, `signature byte ${i}`)
  await refused('A'.repeat(3000), 'long')
})

test('the Authorization header: one, Bearer, and nowhere else', async () => {
  const t = mine.token
  const line = async (...lines) => answers((await raw(s.port, `GET /api/bot/status HTTP/1.1\r\nHost: x\r\n${lines.map((l) => `${l}\r\n`).join('')}\r\n`, { idle: 800 })).text)[0]
  assert.equal((await line(`Authorization: Bearer ${t}`)).status, 200)
  for (const l of [`Authorization: ${t}`, `Authorization: Basic ${t}`, `Authorization: Bearer`, `Authorization: Bearer ${t} ${t}`, `Authorization: Bearer ${t},${t}`, `Authorization: Bearer\t${t}x`,
    `X-Authorization: Bearer ${t}`, `Cookie: token=${t}`, `X-Access-Token: ${t}`, `Authorization: Bearer "${t}"`])
    assert.ok([400, 401].includes((await line(l)).status), l.slice(0, 40))
  assert.ok([400, 401].includes((await line(`Authorization: Bearer ${t}`, `Authorization: Bearer ${t}`)).status), 'twice')
  assert.ok([400, 401].includes((await line('Authorization: Bearer x.y.z', `Cookie: session=${t}`)).status), 'bad header, good cookie')
  for (const q of ['token', 'access_token', 'jwt', 'authorization']) assert.ok([400, 401].includes((await get(s, `/api/bot/status?${q}=${t}`)).status), q)
  assert.ok([401, 431].includes((await line(`Authorization: Bearer ${'A'.repeat(5000)}`)).status), 'over 4 KiB')
})

test('headers that claim an identity are ignored', async () => {
  for (const h of ['X-User', 'X-Forwarded-User', 'X-Wallet-Address', 'X-Role', 'X-Original-URL', 'X-HTTP-Method-Override', 'Remote-User'])
    isError(await get(s, '/api/bot/status', { headers: { [h]: mine.wallet } }), 401)
  assert.equal(ok(await get(s, '/health', { headers: { 'X-Original-URL': '/api/bot/status', 'X-Rewrite-URL': '/api/bot/status' } })).status, 'ok')
})

test('two thousand random alterations of a good token', async () => {
  let seed = 20261120
  const rnd = (n) => (seed = (seed * 1103515245 + 12345) % 2147483648) % n
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.'
  const forged = []
  while (forged.length < 2000) {
    const c = [...mine.token]
    for (let k = 0; k <= rnd(3); k++) c[rnd(c.length)] = alphabet[rnd(alphabet.length)]
    const t = c.join('')
    if (t !== mine.token) forged.push(t)
  }
  for (let i = 0; i < forged.length; i += 50) {
    const got = await Promise.all(forged.slice(i, i + 50).map((t) => status(t)))
    got.forEach((r, k) => assert.equal(r.status, 401, forged[i + k]))
  }
  ok(await status(mine.token))
})

cleanEnd(() => s)
