// Token keys: changed on a running server without logging anybody out; weak ones stop the start.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { get, isError, ok, post } from '../lib/http.mjs'
import { startReplica } from '../lib/replica.mjs'
import { cleanEnd, ROOT, startStack, until } from '../lib/stack.mjs'
import { Wallet } from '../lib/wallet.mjs'

const s = await startStack({ env: { XORJ_LIMITS_ENABLED: 'false' } })
const secret = () => randomBytes(36).toString('base64url')
const [one, two] = [secret(), secret()]
const file = join(s.dir, 'keys.ini')
const sample = readFileSync(join(ROOT, 'config.ini'), 'utf8')
function configure(key, kid, previous = '') {
  writeFileSync(file, sample.replace(/^jwt_secret =.*$/m, `jwt_secret = ${key}`).replace(/^jwt_kid =.*$/m, `jwt_kid = ${kid}`).replace(/^jwt_previous =.*$/m, `jwt_previous = ${previous}`), { mode: 0o600 })
}
const unset = { JWT_SECRET: undefined, XORJ_AUTH_JWT_SECRET: undefined }
configure(one, 'k1')
const r = await startReplica(s, unset, file)
after(() => r.stop('SIGKILL'))
const status = (token) => get(r, '/api/bot/status', { token })
const kid = (token) => JSON.parse(Buffer.from(token.split('.')[0], 'base64url')).kid

async function reload() {
  const before = r.said().match(/configuration (not )?reloaded/g)?.length ?? 0
  process.kill(r.pid, 'SIGHUP')
  await until(() => (r.said().match(/configuration (not )?reloaded/g)?.length ?? 0) > before, 3000, 'reload said')
}

test('a new key signs, the old one still opens: tokens, challenges and CSRF tokens of before', async () => {
  const [w, x, y] = [new Wallet(), new Wallet(), new Wallet()]
  const old = (await w.signIn(r)).session_token
  const open = await x.challenge(r)
  const c = await y.challenge(r)
  const cookie = await post(r, '/api/auth/authenticate', { body: { ...y.body(c.message), cookie: true } })
  assert.equal(kid(old), 'k1')
  configure(two, 'k2', `k1:${one}`)
  await reload()
  ok(await status(old))
  const next = ok(await x.authenticate(r, open.message)).session_token
  assert.equal(kid(next), 'k2')
  ok(await status(next))
  const mine = { Cookie: cookie.headers['set-cookie'][0].split(';')[0], 'X-CSRF-Token': cookie.json.csrf_token }
  ok(await post(r, '/api/bot/enable', { headers: mine }))
  const followed = ok(await post(r, '/api/auth/refresh', { token: old })).session_token
  assert.equal(kid(followed), 'k2')

  configure(two, 'k2')
  await reload()
  isError(await post(r, '/api/bot/enable', { headers: mine }), 401)
  ok(await status(next))
  ok(await status(followed))
})

test('a bad set of keys changes nothing and is not shown', async () => {
  const w = new Wallet()
  const token = (await w.signIn(r)).session_token
  for (const [key, previous] of [['changeme-changeme-changeme-changeme', ''], [two, 'k1:short'], [two, `k2:${one}`], [two, one]]) {
    configure(key, 'k2', previous)
    await reload()
    ok(await status(token))
  }
  assert.match(r.said(), /configuration not reloaded, old values kept/)
  for (const hidden of [one, two]) assert.ok(!r.said().includes(hidden))
})

test('a start with an empty, short or well-known key says one line and ends', async () => {
  for (const bad of ['', 'hush', 'changeme-changeme-changeme-changeme', 'your-256-bit-secret-your-256-bit-secret', 'x'.repeat(40)]) {
    configure(bad, 'k1')
    await assert.rejects(startReplica(s, unset, file), (e) => /ended with [1-9]/.test(e.message) && /jwt_secret in \[auth\]/.test(e.message) && (!bad || !e.message.includes(bad)))
  }
})

cleanEnd(() => s)
