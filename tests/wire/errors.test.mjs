// One error shape, the order in which a request is judged, and connections that stay open where they may.
import assert from 'node:assert/strict'
import http from 'node:http'
import { test } from 'node:test'
import { answers, get, isError, ok, post, raw, request } from '../lib/http.mjs'
import { cleanEnd, startStack } from '../lib/stack.mjs'

const s = await startStack({ env: { XORJ_LIMITS_ENABLED: 'false' } })
const [w] = await s.wallets(1)
const big = 'x'.repeat(70_000)

test('length is judged before the route', async () => {
  isError(await post(s, '/nothing', { body: big }), 413)
})

test('the route is judged before the token', async () => {
  isError(await post(s, '/nothing', { body: '{' }), 404)
  isError(await request(s, 'DELETE', '/api/bot/enable'), 405)
})

test('the token is judged before the content type, the content type before the text', async () => {
  isError(await post(s, '/api/bot/enable', { body: '{', headers: { 'Content-Type': 'text/plain' } }), 401)
  isError(await post(s, '/api/bot/enable', { token: w.token, body: '{', headers: { 'Content-Type': 'text/plain' } }), 415)
  isError(await post(s, '/api/bot/enable', { token: w.token, body: '{' }), 400)
  const large = ' '.repeat(60_000)
  isError(await post(s, '/api/bot/enable', { body: large, headers: { 'Content-Type': 'text/plain' } }), 401)
  isError(await post(s, '/api/bot/enable', { token: w.token, body: large, headers: { 'Content-Type': 'text/plain' } }), 415)
  isError(await post(s, '/api/bot/enable', { token: w.token, body: large + 'x' }), 400)
  ok(await post(s, '/api/bot/enable', { token: w.token, body: large }))
  isError(await post(s, '/api/bot/enable', { token: w.token, headers: { 'Content-Encoding': 'gzip' } }), 415)
})

test('ownership is judged before the parameters behind it', async () => {
  isError(await get(s, `/api/user/performance?walletAddress=${'1'.repeat(32)}&timeRange=bad`, { token: w.token }), 403)
  isError(await get(s, `/api/user/performance?x=1&timeRange=%zz&walletAddress=${'1'.repeat(32)}`, { token: w.token }), 403)
})

test('unknown query parameters are refused by name, and echoed short', async () => {
  const r = isError(await get(s, '/api/user/performance?unknownThing=1', { token: w.token }), 400)
  assert.match(r.json.error.message, /unknownThing/)
  const long = isError(await get(s, `/api/user/performance?${'k'.repeat(500)}=1`, { token: w.token }), 400)
  assert.ok(long.json.error.message.length < 200)
})

test('a precondition that came twice is not halved', async () => {
  isError(await post(s, '/api/bot/enable', { token: w.token, headers: { 'If-Match': ['*', '"777777"'] } }), 400)
})

test('content types: json with or without utf-8, nothing else', async () => {
  for (const ct of ['application/json', 'application/json; charset=utf-8', 'application/json;charset=UTF-8', 'Application/JSON'])
    ok(await post(s, '/api/bot/enable', { token: w.token, body: '{}', headers: { 'Content-Type': ct } }))
  for (const ct of ['application/jsonx', 'text/json', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', 'application/json; charset=latin1'])
    isError(await post(s, '/api/bot/enable', { token: w.token, body: '{}', headers: { 'Content-Type': ct } }), 415)
})

test('a connection survives refusals of content, in order', async () => {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
  const expect = [401, 404, 405, 400, 415, 200]
  const sent = [
    get(s, '/api/bot/status', { agent }),
    get(s, '/nothing', { agent }),
    request(s, 'DELETE', '/health', { agent }),
    post(s, '/api/bot/enable', { token: w.token, body: '[1', agent }),
    post(s, '/api/bot/enable', { token: w.token, body: '{}', headers: { 'Content-Type': 'a/b' }, agent }),
    get(s, '/health', { agent }),
  ]
  const got = []
  for (const p of sent) got.push(await p)
  assert.deepEqual(got.map((r) => r.status), expect)
  agent.destroy()
})

test('broken syntax is answered once in the shape, then the connection ends', async () => {
  const r = await raw(s.port, 'GET /health HTTP/1.1\r\nHost: x\r\nBad Name: 1\r\n\r\nGET /health HTTP/1.1\r\nHost: x\r\n\r\n', { idle: 3000 })
  const a = answers(r.text)
  assert.equal(a.length, 1)
  assert.equal(a[0].status, 400)
  assert.equal(JSON.parse(a[0].body).success, false)
  assert.ok(r.closed)
})

test('no answer of ours names the software or its insides', async () => {
  const r = await get(s, '/api/v1/opportunities?limit=abc', { token: await s.role('viewer') })
  isError(r, 400, 'VALIDATION_ERROR')
  assert.equal(r.headers['x-powered-by'], undefined)
})

test('origins: only those of the list get a grant', async () => {
  const good = await get(s, '/health', { headers: { Origin: 'https://xorj.ai' } })
  assert.equal(good.headers['access-control-allow-origin'], 'https://xorj.ai')
  for (const o of ['https://evil.example', 'null', 'https://xorj.ai.evil.example', 'http://xorj.ai', 'https://XORJ.ai.', 'https://app.xorj.ai:444']) {
    const r = await get(s, '/health', { headers: { Origin: o } })
    assert.equal(r.headers['access-control-allow-origin'], undefined, o)
  }
  const pre = await request(s, 'OPTIONS', '/api/bot/enable', {
    headers: { Origin: 'https://app.xorj.ai', 'Access-Control-Request-Method': 'POST', 'Access-Control-Request-Headers': 'authorization' },
  })
  assert.ok([200, 204].includes(pre.status))
  assert.equal(pre.headers['access-control-max-age'], '86400')
})

cleanEnd(() => s)
