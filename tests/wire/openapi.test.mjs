// The description the server gives of itself, and what HTTP promises around it: ETags, HEAD, OPTIONS, caching.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { get, isError, ok, request } from '../lib/http.mjs'
import { cleanEnd, startStack } from '../lib/stack.mjs'

const s = await startStack({ env: { XORJ_LIMITS_OPEN_PER_MIN: '100000', XORJ_LIMITS_STATUS_PER_MIN: '100000', XORJ_LIMITS_AUTH_PER_15MIN: '100000' } })
const PATH = '/api/openapi.json'
const doc = ok(await get(s, PATH))
const operations = Object.entries(doc.paths).flatMap(([path, ops]) => Object.entries(ops).map(([method, op]) => ({ path, method, op })))
const filled = (path) => path.replace(/\{id\}/g, '0b8e4f0a-6a58-4c3e-9d1f-2f6b1c7a9e01').replace(/\{\w+\}/g, 'x')

test('an OpenAPI 3.1 document with the parts a client needs', () => {
  assert.match(doc.openapi, /^3\.1\.\d+$/)
  assert.ok(operations.length > 20)
  for (const { path, method, op } of operations) {
    const what = `${method} ${path}`
    assert.ok(op.operationId && op.summary && op['x-role'], what)
    assert.ok(op.responses[400] && op.responses[503] && op.responses.default, what)
    for (const [status, r] of Object.entries(op.responses)) {
      if (!r.$ref) continue
      const named = doc.components.responses[r.$ref.split('/').pop()]
      assert.equal(named.content['application/json'].schema.$ref, '#/components/schemas/Error', `${what} ${status}: the one error shape`)
    }
    if (op.security.length && op.security.every((w) => Object.keys(w).length)) assert.ok(op.responses[401], `${what}: says 401`)
    if (op['x-rate-limit']) assert.ok(op['x-rate-limit'].requests > 0 && op.responses[429], `${what}: says its limit`)
    for (const name of path.match(/\{\w+\}/g) ?? [])
      assert.ok(op.parameters.some((p) => p.in === 'path' && `{${p.name}}` === name && p.required), `${what} ${name}`)
  }
})

test('its ETag holds while it is unchanged', async () => {
  const first = await get(s, PATH)
  const tag = first.headers.etag
  assert.match(tag, /^"[0-9a-f]{24}"$/)
  assert.equal(first.headers['cache-control'], 'no-cache')
  for (const value of [tag, `W/${tag}`, `"x", ${tag}`, `W/"y",${tag}, "z"`, '*']) {
    const r = await get(s, PATH, { headers: { 'If-None-Match': value } })
    assert.equal(r.status, 304, value)
    assert.equal(r.text, '')
    assert.equal(r.headers.etag, tag)
    assert.equal(r.headers['content-length'], undefined)
  }
  for (const value of ['"x"', tag.slice(1, -1), tag.slice(0, -1), '', 'W/', '"', '"x" "y']) {
    const r = await get(s, PATH, { headers: { 'If-None-Match': value } })
    assert.equal(r.status, 200, value)
    assert.equal(r.text, first.text)
  }
})

test('the public status has an ETag that its clock does not change', async () => {
  const first = await get(s, '/api/system/status')
  assert.match(first.headers.etag, /^W\/"[0-9a-f]{24}"$/)
  assert.equal((await get(s, '/api/system/status', { headers: { 'If-None-Match': first.headers.etag } })).status, 304)
})

test('HEAD is GET without the body', async () => {
  for (const path of [PATH, '/health', '/api/v1/version', '/api/bot/status', '/nowhere']) {
    const a = await get(s, path)
    const b = await request(s, 'HEAD', path)
    assert.equal(b.status, a.status, path)
    assert.equal(b.text, '', path)
    for (const h of ['content-type', 'etag', 'cache-control', 'allow']) assert.equal(b.headers[h], a.headers[h], `${path} ${h}`)
    assert.equal(b.headers['content-length'], a.headers['content-length'], path)
  }
})

test('OPTIONS tells the methods of every path; other methods get 405 with the same list', async () => {
  for (const [path, ops] of Object.entries(doc.paths)) {
    const want = Object.keys(ops).map((m) => m.toUpperCase())
    if (want.includes('GET')) want.push('HEAD')
    want.push('OPTIONS')
    const r = await request(s, 'OPTIONS', filled(path))
    assert.equal(r.status, 204, path)
    assert.deepEqual(r.headers.allow.split(', ').sort(), want.sort(), path)
    for (const method of ['PUT', 'DELETE', 'POST', 'PATCH', 'TRACE'].filter((m) => !want.includes(m))) {
      const bad = isError(await request(s, method, filled(path)), 405, 'VALIDATION_ERROR')
      assert.deepEqual(bad.headers.allow.split(', ').sort(), want, `${method} ${path}`)
    }
  }
  isError(await request(s, 'OPTIONS', '/nowhere'), 404, 'NOT_FOUND')
})

test('nothing private may be kept, and nothing is a page', async () => {
  const [w] = await s.wallets(1)
  const viewer = await s.role('viewer')
  for (const { path, method, op } of operations.filter((o) => o.method === 'get' && o.path !== PATH)) {
    const r = await get(s, filled(path), { token: op['x-role'] === 'wallet' ? w.token : viewer })
    assert.equal(r.headers['cache-control'], 'no-store', `${method} ${path}`)
    assert.equal(r.headers['x-content-type-options'], 'nosniff', path)
    assert.match(r.headers['content-security-policy'], /default-src 'none'/, path)
    assert.ok(String(r.status) in op.responses, `${path}: ${r.status} is described`)
  }
})

test('segments of a path are taken by what their escapes mean', async () => {
  const token = await s.role('viewer')
  const at = (path) => get(s, `/api/v1/opportunities/${path}`, { token })
  isError(await at('0b8e4f0a-6a58-4c3e-9d1f-2f6b1c7a9e01'), 404, 'NOT_FOUND')
  isError(await at('%30b8e4f0a-6a58-4c3e-9d1f-2f6b1c7a9e01'), 404, 'NOT_FOUND')
  for (const bad of ['x', '%30', '%00', '%ff', '0B8E4F0A-6A58-4C3E-9D1F-2F6B1C7A9E01']) isError(await at(bad), 400, 'VALIDATION_ERROR')
  isError(await get(s, '/api/v1/connectors/%ff/health', { token }), 400, 'VALIDATION_ERROR')
  isError(await get(s, '/api/v1/connectors/a%2Fb/health', { token }), 404, 'NOT_FOUND')
})

test('a described route without a token is refused as described', async () => {
  for (const { path, method, op } of operations) {
    if (!op.security.length || op.security.some((w) => !Object.keys(w).length)) continue
    isError(await request(s, method.toUpperCase(), filled(path), method === 'get' ? {} : { body: {} }), 401, 'AUTHENTICATION_ERROR')
  }
})

cleanEnd(() => s)
