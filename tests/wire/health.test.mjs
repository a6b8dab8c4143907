// Health, status and metrics: what an operator and a load balancer read.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { get, isError, ok, request } from '../lib/http.mjs'
import { cleanEnd, startStack } from '../lib/stack.mjs'

const s = await startStack()

test('liveness touches nothing', async () => {
  assert.deepEqual(ok(await get(s, '/health')), { status: 'ok' })
})

test('readiness names what it checked', async () => {
  const r = ok(await get(s, '/health/ready'))
  assert.equal(r.ready, true)
  for (const k of ['database', 'redis', 'loop']) assert.ok(k in r.checks, k)
})

test('system status is public, its details are for viewers', async () => {
  const open = ok(await get(s, '/api/system/status'))
  assert.match(open.status, /^(healthy|degraded|fail_safe|critical)$/)
  assert.ok('timestamp' in open)
  const more = ok(await get(s, '/api/system/status', { token: await s.role('viewer') }))
  assert.ok(JSON.stringify(more).length > JSON.stringify(open).length, 'a viewer sees more')
})

test('database health for a caller on this machine, and for nobody behind a proxy without a token', async () => {
  const r = ok(await get(s, '/api/database/health'))
  assert.equal(r.connected, true)
  assert.equal(typeof r.latency_ms, 'number')
  for (const k of ['in_use', 'idle', 'waiting']) assert.equal(typeof r.pool[k], 'number', k)
  const far = await get(s, '/api/database/health', { headers: { 'X-Forwarded-For': '203.0.113.9' } })
  assert.ok(far.status === 401 || far.status === 403, `${far.status}`)
  ok(await get(s, '/api/database/health', { headers: { 'X-Forwarded-For': '203.0.113.9' }, token: await s.role('viewer') }))
})

test('ping and version', async () => {
  assert.equal(ok(await get(s, '/api/v1/ping')).status, 'pong')
  const v = ok(await get(s, '/api/v1/version'))
  for (const k of ['version', 'commit']) assert.equal(typeof v[k], 'string', k)
})

test('metrics in Prometheus text, with the histogram of the loop, for allowed addresses only', async () => {
  for (const path of ['/metrics', '/api/metrics']) {
    const r = await get(s, path)
    assert.equal(r.status, 200)
    assert.match(r.headers['content-type'], /^text\/plain/)
    assert.match(r.text, /^# TYPE \S*loop\S* histogram$/m)
    assert.match(r.text, /^http_requests_total\{[^}]*route="\/health"[^}]*\} [1-9]/m)
    for (const line of r.text.split('\n')) assert.match(line, /^(#.*|[a-zA-Z_:][\w:]*(\{.*\})? \S+|)$/, line)
  }
  const far = await get(s, '/metrics', { headers: { 'X-Forwarded-For': '203.0.113.9' } })
  assert.ok(far.status === 401 || far.status === 403, `${far.status}`)
})

test('X-Request-ID is echoed, replaced when it is not one, and made when absent', async () => {
  assert.equal((await get(s, '/health', { headers: { 'X-Request-ID': 'abc-1.2_3' } })).headers['x-request-id'], 'abc-1.2_3')
  assert.notEqual((await get(s, '/health', { headers: { 'X-Request-ID': 'a b' } })).headers['x-request-id'], 'a b')
  const a = (await get(s, '/health')).headers['x-request-id']
  assert.match(a, /^[0-9a-f-]{36}$/)
  const e = await get(s, '/nothing', { headers: { 'X-Request-ID': 'same' } })
  assert.equal(e.json.request_id, 'same')
})

test('unknown paths are 404, known paths with another method 405 with Allow', async () => {
  isError(await get(s, '/nothing'), 404, 'NOT_FOUND')
  for (const p of ['/Health', '/health/', '//health', '/./health', '/%68ealth', '/health;x', '/api/bot/status/'])
    assert.ok([400, 404].includes((await get(s, p)).status), p)
  const r = await request(s, 'DELETE', '/health')
  assert.equal(r.status, 405)
  assert.match(r.headers.allow, /GET/)
  isError(r, 405)
})

test('answers of accounts are not stored by caches', async () => {
  const [w] = await s.wallets(1)
  assert.match((await get(s, '/api/bot/status', { token: w.token })).headers['cache-control'] ?? '', /no-store/)
})

cleanEnd(() => s)
