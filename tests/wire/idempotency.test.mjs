// Idempotency-Key: one effect and equal answers, however many ask at once, from wherever, across kills.
import assert from 'node:assert/strict'
import http from 'node:http'
import { after, test } from 'node:test'
import { connect, rows } from '../lib/db.mjs'
import { get, isError, ok, post, request } from '../lib/http.mjs'
import { startReplica } from '../lib/replica.mjs'
import { cleanEnd, sleep, startStack } from '../lib/stack.mjs'

// Locks are waited for longer than a request may take: the deadline decides.
const s = await startStack({ env: { XORJ_LIMITS_ENABLED: 'false', XORJ_DATABASE_SLOW_LOCK_MS: '3500' } })
const db = await connect(s)
const wallets = await s.wallets(40)
let at = 0
const fresh = () => wallets[at++]
const elsewhere = new http.Agent({ keepAlive: true, maxSockets: 128 })
const wide = new http.Agent({ keepAlive: true, maxSockets: 128 })
const keyed = (w, key, path, body, { method = 'POST', headers } = {}) =>
  request(s, method, path, { token: w.token, body, agent: wide, headers: { 'Idempotency-Key': key, ...headers } })
const effects = async (w) => (await rows(db, "select count(*)::int as n from audit_log where target in ($1, 'wallet:' || $1) and action not like 'session.%'", [w.wallet]))[0].n

const kinds = [
  ['POST', '/api/user/settings', { riskProfile: 'Aggressive', investmentAmount: 10 }],
  ['PUT', '/api/user/settings', { maxDrawdownLimit: 7 }],
  ['PUT', '/api/bot/configuration', { enabled: true, maxTradeAmount: 12.5 }],
  ['POST', '/api/bot/emergency', { action: 'pause', reason: 'x' }],
  ['POST', '/api/bot/enable', {}],
  ['POST', '/api/bot/disable', undefined],
]

for (const [method, path, body] of kinds) {
  test(`${method} ${path}: a hundred at once leave one effect and a hundred equal answers`, async () => {
    const w = fresh()
    const got = await Promise.all(Array.from({ length: 100 }, () => keyed(w, 'k-1', path, body, { method })))
    got.forEach((r) => ok(r))
    assert.equal(new Set(got.map((r) => r.text)).size, 1, 'one answer')
    assert.equal(new Set(got.map((r) => r.headers.etag)).size, 1, 'one tag')
    assert.equal(await effects(w), 1, 'one effect')
    const later = await keyed(w, 'k-1', path, body, { method })
    assert.equal(later.text, got[0].text)
    assert.equal(await effects(w), 1)
  })
}

test('another body, path or method under the same key is 422, at once and later', async () => {
  const w = fresh()
  const first = keyed(w, 'k', '/api/user/settings', { investmentAmount: 1 })
  const others = await Promise.all(Array.from({ length: 10 }, () => keyed(w, 'k', '/api/user/settings', { investmentAmount: 2 })))
  ok(await first)
  others.forEach((r) => isError(r, 422))
  isError(await keyed(w, 'k', '/api/user/settings', { investmentAmount: 1 }, { method: 'PUT' }), 422)
  isError(await keyed(w, 'k', '/api/bot/enable', { investmentAmount: 1 }), 400)
  isError(await keyed(w, 'k', '/api/bot/enable', {}), 422)
  assert.equal(await effects(w), 1)
  assert.equal(ok(await get(s, '/api/user/settings', { token: w.token })).settings.investmentAmount, 1)
})

test('keys belong to their principal; other keys are other requests', async () => {
  const [a, b] = [fresh(), fresh()]
  ok(await keyed(a, 'same', '/api/bot/enable'))
  assert.equal(ok(await keyed(b, 'same', '/api/bot/enable')).version, 1)
  assert.equal(ok(await keyed(b, 'other', '/api/bot/enable')).version, 2)
  assert.equal(ok(await keyed(b, 'same', '/api/bot/enable')).version, 1, 'the first answer, though the version moved on')
  assert.equal(await effects(b), 2)
})

test('what is no key is refused: empty, too long, control or foreign characters, twice', async () => {
  const w = fresh()
  for (const k of ['', 'x'.repeat(256), 'a\tb', 'é']) isError(await keyed(w, k, '/api/bot/enable'), 400, 'VALIDATION_ERROR')
  isError(await keyed(w, ['a', 'b'], '/api/bot/enable'), 400)
  assert.equal(await effects(w), 0)
  ok(await keyed(w, 'x'.repeat(255), '/api/bot/enable'))
  ok(await keyed(w, ' ~!"#$ %\'()', '/api/bot/enable'))
})

test('refusals are not kept: the key is free again', async () => {
  const w = fresh()
  isError(await keyed(w, 'k', '/api/bot/enable', {}, { headers: { 'If-Match': '"5"' } }), 412)
  isError(await keyed(w, 'k', '/api/user/settings', { riskProfile: 'no' }), 400)
  const r = ok(await keyed(w, 'k', '/api/bot/enable', {}, { headers: { 'If-Match': '"0"' } }))
  assert.equal(r.version, 1)
  assert.equal(ok(await keyed(w, 'k', '/api/bot/enable', {}, { headers: { 'If-Match': '"0"' } })).version, 1)
  isError(await keyed(w, 'k2', '/api/bot/enable', {}, { headers: { 'If-Match': '"5"' } }), 412)
  ok(await keyed(w, 'k2', '/api/user/settings', { investmentAmount: 3 }))
  assert.equal(await effects(w), 2)
})

test('reads take no notice of a key', async () => {
  const w = fresh()
  ok(await get(s, '/api/bot/status', { token: w.token, headers: { 'Idempotency-Key': 'k' } }))
  assert.equal((await rows(db, 'select count(*)::int as n from idempotency_keys where principal like $1', [`%${w.wallet}`]))[0].n, 0)
})

test('a key whose time is over is new', async () => {
  const w = fresh()
  ok(await keyed(w, 'k', '/api/bot/enable', {}))
  await rows(db, "update idempotency_keys set expires_at = now() - interval '1 s' where principal like $1", [`%${w.wallet}`])
  assert.equal(ok(await keyed(w, 'k', '/api/bot/enable')).version, 2)
})

test('a first request that is held up: those who wait are sent away with 409 in time, and the effect is one', async () => {
  const w = fresh()
  ok(await keyed(w, 'before', '/api/user/settings', {}))
  const locker = await connect(s)
  await locker.query('begin')
  await locker.query('select * from user_settings where wallet_address=$1 for update', [w.wallet])
  const t0 = performance.now()
  const got = await Promise.all(Array.from({ length: 20 }, () => keyed(w, 'k', '/api/user/settings', { investmentAmount: 9 })))
  assert.ok(performance.now() - t0 < 4000)
  const kinds = got.map((r) => r.status)
  assert.ok(kinds.every((x) => x === 409 || x === 503), `${kinds}`)
  assert.ok(kinds.filter((x) => x === 409).length >= 15, `${kinds}`)
  got.filter((r) => r.status === 409).forEach((r) => assert.ok(Number(r.headers['retry-after']) >= 1))
  await locker.query('commit')
  await sleep(500)
  let r
  for (let i = 0; i < 40 && r?.status !== 200; i++) {
    r = await keyed(w, 'k', '/api/user/settings', { investmentAmount: 9 })
    if (r.status !== 200) await sleep(250)
  }
  ok(r)
  assert.equal((await keyed(w, 'k', '/api/user/settings', { investmentAmount: 9 })).text, r.text)
  assert.equal(await effects(w), 2)
})

test('killed between the commit and the answer: the repeat gives the first answer and no second effect', async () => {
  let between = 0
  for (let round = 0; round < 12; round++) {
    const w = wallets[25 + round]
    const [method, path, body] = kinds[round % kinds.length]
    // The answer is kept by an UPDATE of the key's row: held up, so that the kill falls between the effect and that.
    const locker = await connect(s)
    const first = keyed(w, 'k', path, body, { method }).catch(() => null)
    if (round % 2) {
      for (let i = 0; i < 200; i++) {
        await locker.query('begin')
        const { rowCount } = await locker.query("select 1 from idempotency_keys where principal like '%' || $1 for update", [w.wallet])
        if (rowCount) break
        await locker.query('rollback')
      }
      for (let i = 0; i < 50 && (await effects(w)) === 0; i++) await sleep(5)
    } else {
      await sleep(round)
    }
    await s.killServer()
    const r0 = await first
    const [{ n: open }] = await rows(db, "select count(*)::int as n from idempotency_keys where principal like '%' || $1 and answer is null", [w.wallet])
    if (open && (await effects(w)) === 1) between++
    await locker.query('rollback')
    await s.startServer()
    const r1 = await keyed(w, 'k', path, body, { method })
    ok(r1)
    if (r0?.status === 200) assert.equal(r1.text, r0.text)
    const again = await Promise.all(Array.from({ length: 8 }, () => keyed(w, 'k', path, body, { method })))
    again.forEach((r) => assert.equal(r.text, r1.text))
    assert.equal(await effects(w), 1, `${method} ${path}`)
    isError(await keyed(w, 'k', path, path.includes('settings') ? { investmentAmount: 77 } : path.includes('config') ? { investmentAmount: 77 } : path.includes('emergency') ? { action: 'resume', reason: 'y' } : ' ', { method }), 422)
  }
  assert.ok(between >= 3, `${between} kills fell between commit and answer`)
})

test('R6: many keys, two to eight copies of each at once: one effect each, equal answers', async () => {
  const w = fresh()
  const keys = Number(process.env.SECONDS) > 300 ? 10_000 : 500
  const before = await effects(w)
  const answers = new Map()
  for (let from = 0; from < keys; from += 50) {
    const copies = Array.from({ length: 50 }, (_, i) => Array.from({ length: 2 + ((from + i) % 7) }, () => `n-${from + i}`)).flat()
    const got = await Promise.all(copies.map((k) => keyed(w, k, '/api/bot/enable').then((r) => [k, r])))
    for (const [k, r] of got) {
      ok(r)
      assert.equal(r.text, answers.get(k) ?? r.text, k)
      answers.set(k, r.text)
    }
  }
  assert.equal(new Set(answers.values()).size, keys)
  assert.equal((await effects(w)) - before, keys)
  assert.deepEqual(await rows(db, 'select * from audit_verify()'), [])
})

test('two processes: copies at both leave one effect and equal answers', async () => {
  const b = await startReplica(s)
  after(() => b.stop('SIGKILL'))
  for (const [n, [method, path, body]] of kinds.entries()) {
    const w = wallets[n]
    const before = await effects(w)
    const send = (x) => request(x, method, path, { token: w.token, body, agent: wide, headers: { 'Idempotency-Key': 'both' } })
    const other = (x) => request(x, method, path, { token: w.token, body, agent: elsewhere, headers: { 'Idempotency-Key': 'both' } })
    const got = await Promise.all(Array.from({ length: 60 }, (_, i) => (i % 2 ? send(s) : other(b))))
    got.forEach((r) => ok(r))
    assert.equal(new Set(got.map((r) => r.text)).size, 1, path)
    assert.equal((await effects(w)) - before, 1, path)
  }
  assert.equal((await b.stop()).code, 0)
})

test('accounts and API keys: one is made, the secret is shown to each copy and kept nowhere', async () => {
  const admin = await s.role('admin')
  const w = { token: admin }
  const account = { username: 'dora.one', password: 'correct horse battery 7', role: 'operator' }
  const made = await Promise.all(Array.from({ length: 20 }, () => keyed(w, 'acc', '/api/v1/auth/register', account)))
  made.forEach((r) => ok(r, 201))
  isError(await keyed(w, 'acc', '/api/v1/auth/register', { ...account, password: 'another horse battery 7' }), 422)
  isError(await keyed(w, 'acc2', '/api/v1/auth/register', account), 409)
  assert.equal((await rows(db, "select count(*)::int as n from audit_log where action='operator.create' and target='dora.one'"))[0].n, 1)

  const ask = { name: 'a program', scopes: ['desk:read'] }
  const got = await Promise.all(Array.from({ length: 20 }, () => keyed(w, 'key', '/api/v1/auth/api-key', ask)))
  got.forEach((r) => ok(r, 201))
  assert.equal(new Set(got.map((r) => r.text)).size, 1)
  await s.killServer()
  await s.startServer()
  assert.equal((await keyed(w, 'key', '/api/v1/auth/api-key', ask)).text, got[0].text)
  const { key, id } = got[0].json
  assert.equal((await rows(db, 'select count(*)::int as n from api_keys where id=$1', [id]))[0].n, 1)
  assert.equal((await rows(db, "select count(*)::int as n from audit_log where action='api_key.create'"))[0].n, 1)
  ok(await get(s, '/api/v1/auth/me', { headers: { 'X-API-Key': key } }))
  const kept = JSON.stringify(await rows(db, 'select * from idempotency_keys'))
  assert.ok(!kept.includes(key) && !kept.includes('horse'), 'no secret among the keys')
  assert.notEqual(ok(await keyed(w, 'key2', '/api/v1/auth/api-key', ask), 201).key, key)
})

test('without a key nothing of this happens', async () => {
  const w = fresh()
  assert.equal(ok(await post(s, '/api/bot/enable', { token: w.token })).version, 1)
  assert.equal(ok(await post(s, '/api/bot/enable', { token: w.token })).version, 2)
})

cleanEnd(() => s)
