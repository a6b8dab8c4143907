// Who may call what: every route the OpenAPI file names, by every kind of caller and every kind of bad credential.
// The table below is written from the list of endpoints, not from the server, so a route that changes its door is noticed,
// and a route that is missing here fails the first test.
import assert from 'node:assert/strict'
import { createHmac, randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { get, isError, ok, request } from '../lib/http.mjs'
import { connect, rows } from '../lib/db.mjs'
import { cleanEnd, startStack } from '../lib/stack.mjs'

const s = await startStack({ env: { XORJ_LIMITS_ENABLED: 'false' } })
const db = await connect(s)
const [mine, other, gone] = await s.wallets(3)
const tokens = { wallet: mine.token, viewer: await s.role('viewer'), operator: await s.role('operator'), admin: await s.role('admin') }
const ROLES = Object.keys(tokens)

const PUBLIC = []
const WALLET = ['wallet']
const ANY = ['wallet', 'viewer', 'operator', 'admin']
const DESK = ['viewer', 'operator', 'admin']
const OPERATOR = ['operator', 'admin']
const ADMIN = ['admin']

// PUBLIC: no credential is asked for. own: takes walletAddress. local: open to loopback without a credential.
const TABLE = {
  'GET /health': { may: PUBLIC }, 'GET /health/ready': { may: PUBLIC }, 'GET /api/system/status': { may: PUBLIC },
  'GET /api/database/health': { may: DESK, local: true }, 'GET /api/v1/ping': { may: PUBLIC }, 'GET /api/v1/version': { may: PUBLIC },
  'GET /api/metrics': { may: PUBLIC }, 'GET /metrics': { may: PUBLIC }, 'GET /api/openapi.json': { may: PUBLIC },

  'GET /api/auth/challenge': { may: PUBLIC }, 'POST /api/auth/authenticate': { may: PUBLIC }, 'POST /api/auth/refresh': { may: WALLET },
  'POST /api/auth/logout': { may: WALLET }, 'GET /api/auth/session': { may: WALLET },

  'POST /api/v1/auth/login': { may: PUBLIC }, 'POST /api/v1/auth/refresh': { may: PUBLIC }, 'POST /api/v1/auth/logout': { may: DESK },
  'GET /api/v1/auth/me': { may: DESK }, 'POST /api/v1/auth/register': { may: ADMIN }, 'GET /api/v1/auth/users': { may: ADMIN },
  'DELETE /api/v1/auth/users/{username}': { may: ADMIN }, 'POST /api/v1/auth/password': { may: DESK },
  'POST /api/v1/auth/totp': { may: DESK }, 'POST /api/v1/auth/totp/confirm': { may: DESK }, 'POST /api/v1/auth/totp/disable': { may: DESK }, 'POST /api/v1/auth/api-key': { may: DESK },
  'GET /api/v1/auth/api-keys': { may: DESK }, 'DELETE /api/v1/auth/api-keys/{id}': { may: DESK },

  'GET /api/bot/status': { may: WALLET }, 'POST /api/bot/enable': { may: WALLET }, 'POST /api/bot/disable': { may: WALLET },
  'GET /api/bot/configuration': { may: WALLET }, 'PUT /api/bot/configuration': { may: WALLET }, 'GET /api/bot/trades': { may: WALLET },
  'GET /api/bot/performance': { may: WALLET }, 'POST /api/bot/emergency': { may: ['wallet', 'operator', 'admin'] },

  'GET /api/user/settings': { may: ANY, own: true }, 'PUT /api/user/settings': { may: WALLET }, 'POST /api/user/settings': { may: WALLET },
  'GET /api/user/status': { may: ANY, own: true }, 'GET /api/user/transactions': { may: ANY, own: true },
  'GET /api/user/performance': { may: ANY, own: true }, 'GET /api/fast/transactions': { may: ANY, own: true },
  'GET /api/fast/settings': { may: ANY, own: true }, 'GET /api/fast/status': { may: ANY, own: true },
  'GET /api/wallet/balance': { may: ANY, own: true },

  'GET /api/v1/status': { may: DESK }, 'GET /api/v1/opportunities': { may: DESK }, 'GET /api/v1/opportunities/{id}': { may: DESK },
  'GET /api/v1/connectors': { may: DESK }, 'GET /api/v1/connectors/{venue}/health': { may: DESK },
  'GET /api/v1/books/{venue}/{market}': { may: DESK }, 'GET /api/v1/audit': { may: ADMIN },
  'GET /api/v1/ws': { may: ANY }, 'POST /api/v1/ws-ticket': { may: ANY },
}

const doc = ok(await get(s, '/api/openapi.json'))
const routes = Object.entries(doc.paths).flatMap(([path, item]) =>
  Object.keys(item).filter((m) => ['get', 'post', 'put', 'delete', 'patch'].includes(m)).map((m) => `${m.toUpperCase()} ${path}`))

// What is not served fails the first test alone.
const JUDGED = Object.entries(TABLE).filter(([r]) => routes.includes(r))

// An allowed call must do no harm: a body with an unknown key is refused after the door was passed.
const BODY = { __no_such_key: 1 }
function call(route, { token, headers, query = '' } = {}) {
  const [method, path] = route.split(' ')
  const at = path.replace('{username}', 'nobody-of-this-name').replace('{id}', randomUUID()).replace('{venue}', 'coinbase').replace('{market}', 'SOL-USD')
  return request(s, method, at + query, { token, headers, body: method === 'GET' || method === 'DELETE' ? undefined : BODY })
}

const secret = s.env.JWT_SECRET
const b64 = (x) => Buffer.from(typeof x === 'string' ? x : JSON.stringify(x)).toString('base64url')
const part = (t, i) => JSON.parse(Buffer.from(t.split('.')[i], 'base64url').toString())
function forged(token, { head = {}, body = {}, key = secret } = {}) {
  const text = `${b64({ ...part(token, 0), ...head })}.${b64({ ...part(token, 1), ...body })}`
  return `${text}.${createHmac('sha256', key).update(text).digest('base64url')}`
}

test('the table and the OpenAPI file name the same routes', () => {
  assert.deepEqual(routes.filter((r) => !TABLE[r]), [], 'served, but not judged here')
  assert.deepEqual(Object.keys(TABLE).filter((r) => !routes.includes(r)), [], 'judged here, but not served')
})

test('no credential', async () => {
  for (const [route, { may, local }] of JUDGED) {
    const r = await call(route)
    if (may === PUBLIC || local) assert.ok(![401, 403].includes(r.status), `${route}: ${r.status}`)
    else isError(r, 401, 'AUTHENTICATION_ERROR')
  }
})

for (const role of ROLES)
  test(`${role}: what is open and what is not`, async () => {
    for (const [route, { may }] of JUDGED) {
      const r = await call(route, { token: tokens[role] })
      if (may === PUBLIC || may.includes(role)) assert.ok(![401, 403].includes(r.status), `${route} as ${role}: ${r.status} ${r.text?.slice(0, 200)}`)
      else assert.equal(isError(r, 403, 'AUTHORIZATION_ERROR').status, 403, route)
      assert.ok(r.status < 500 || r.status === 503, `${route} as ${role}: ${r.status} ${r.text?.slice(0, 200)}`)
    }
  })

test("another wallet's data: 403 for a wallet, open to the desk", async () => {
  for (const [route, { own }] of JUDGED) {
    if (!own) continue
    isError(await call(route, { token: mine.token, query: `?walletAddress=${other.wallet}` }), 403, 'AUTHORIZATION_ERROR')
    for (const q of ['', `?walletAddress=${mine.wallet}`]) {
      const r = await call(route, { token: mine.token, query: q })
      assert.ok(![400, 401, 403].includes(r.status), `${route}${q}: ${r.status} ${r.text?.slice(0, 200)}`)
    }
    const r = await call(route, { token: tokens.viewer, query: `?walletAddress=${other.wallet}` })
    assert.ok(![400, 401, 403].includes(r.status), `${route} by a viewer: ${r.status} ${r.text?.slice(0, 200)}`)
  }
})

test('credentials that are none: the same 401 everywhere', async () => {
  await rows(db, 'update sessions set revoked_at = now() where wallet = $1', [gone.wallet])
  const n = Math.floor(Date.now() / 1000)
  for (const [route, { may }] of JUDGED) {
    if (may === PUBLIC) continue
    const good = may.includes('wallet') ? mine.token : tokens.admin
    const bad = {
      'alg none': `${b64({ ...part(good, 0), alg: 'none' })}.${good.split('.')[1]}.`,
      'another key': forged(good, { key: 'k'.repeat(40) }),
      expired: forged(good, { body: { iat: n - 7200, exp: n - 3600 } }),
      'no expiry': forged(good, { body: { exp: undefined } }),
      'another kind': forged(good, { body: { aud: 'xorj:other' } }),
      'not a token': 'abc',
      ...(may.includes('wallet') ? { revoked: gone.token, 'unknown session': forged(good, { body: { jti: randomUUID() } }) } : {}),
    }
    for (const [what, token] of Object.entries(bad)) {
      const r = await call(route, { token })
      assert.equal(r.status, 401, `${route}, ${what}: ${r.status} ${r.text?.slice(0, 200)}`)
      isError(r, 401, 'AUTHENTICATION_ERROR')
    }
    for (const Authorization of ['', 'Bearer', 'Bearer ', `Basic ${b64('admin:admin')}`, `bearer${good}`, `Bearer ${good} x`])
      assert.equal((await call(route, { headers: { Authorization } })).status, 401, `${route}, Authorization: ${Authorization.slice(0, 20)}`)
  }
})

test('a role that is not one, and a wallet that claims a role', async () => {
  for (const role of ['root', 'ADMIN', '', 'wallet'])
    isError(await get(s, '/api/v1/audit', { token: forged(tokens.admin, { body: { role, permissions: [role] } }) }), 401)
  assert.ok([401, 403].includes((await get(s, '/api/v1/audit', { token: forged(mine.token, { body: { role: 'admin' } }) })).status))
})

cleanEnd(() => s)
