// The shipped nginx configuration in front of the server: what nginx refuses by itself has the one error shape, it adds
// no way around a rule, and who asks through it is who he is.
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { answers, get, ok, post, raw } from '../lib/http.mjs'
import { ROOT, cleanEnd, sleep, startStack, until } from '../lib/stack.mjs'
import { Sub } from '../lib/ws.mjs'

process.env.PATH += ':/usr/sbin' // where Debian keeps it, and where not every user looks
const missing = spawnSync('nginx', ['-v']).error ? 'nginx is not installed' : false
const s = await startStack({ env: { XORJ_LIMITS_ENABLED: 'false' } })
const front = { port: missing ? 0 : await startNginx() }
const HOST = 'Host: localhost\r\n'
const GOOD = `GET /health HTTP/1.1\r\n${HOST}\r\n`
const req = (line, lines = '', body = '') => `${line} HTTP/1.1\r\n${HOST}${lines}\r\n${body}`
const post1 = (lines, body = '') => req('POST /api/auth/authenticate', `Content-Type: application/json\r\n${lines}`, body)

function freePort() {
  return new Promise((resolve) => {
    const l = net.createServer().listen(0, '127.0.0.1', () => {
      const { port } = l.address()
      l.close(() => resolve(port))
    })
  })
}

async function startNginx() {
  const dir = mkdtempSync(join(tmpdir(), 'xorj-nginx-'))
  const port = await freePort()
  const r = spawnSync('sh', ['deploy/nginx/render.sh', 'local.conf', `UPSTREAM=127.0.0.1:${s.port}`, `LISTEN=127.0.0.1:${port}`, `DIR=${dir}`, 'EXEMPT=127.0.0.1'], { cwd: ROOT })
  assert.equal(r.status, 0, String(r.stderr))
  writeFileSync(join(dir, 'nginx.conf'), r.stdout)
  const p = spawn('nginx', ['-p', dir, '-c', join(dir, 'nginx.conf')], { stdio: ['ignore', 'ignore', 'inherit'] })
  after(async () => {
    p.kill()
    await sleep(200)
    rmSync(dir, { recursive: true, force: true })
  })
  await until(async () => (await get({ port }, '/health', { timeout: 500 })).status === 200, 5000, 'nginx answers')
  return port
}

/** Every refusal in the text has the shape; gives the statuses. */
function judged(text, what) {
  return answers(text).map((a) => {
    if (a.status < 400) return a.status
    assert.match(a.head, /\r\nContent-Type: application\/json/i, `${what}: ${a.head} ${a.body}`)
    const j = JSON.parse(a.body)
    assert.deepEqual(Object.keys(j).sort(), ['error', 'request_id', 'success'], what)
    assert.equal(j.success, false)
    assert.equal(new RegExp('X-Request-ID: (\\S+)', 'i').exec(a.head)?.[1], j.request_id, what)
    assert.equal(Buffer.byteLength(a.body), a.length, what)
    if ([429, 503].includes(a.status)) assert.match(a.head, /\r\nRetry-After: \d/i, what)
    return a.status
  })
}

const REFUSED = [
  ['no target', 'GET\r\n\r\n', 400],
  ['bytes of no protocol', '\x16\x03\x01\0\xa5\r\n\r\n', 400],
  ['lower-case method', req('get /health'), [400, 501]],
  ['unknown method', req('BREW /health'), 501],
  ['CONNECT', req('CONNECT localhost:443'), [400, 501]],
  ['asterisk', req('OPTIONS *'), 400],
  ['HTTP/2.0', `GET /health HTTP/2.0\r\n${HOST}\r\n`, 505],
  ['no Host', 'GET /health HTTP/1.1\r\n\r\n', 400],
  ['two Hosts', req('GET /health', HOST), 400],
  ['Host with a path', 'GET /health HTTP/1.1\r\nHost: a/b\r\n\r\n', 400],
  ['Host with a user', 'GET /health HTTP/1.1\r\nHost: a@b\r\n\r\n', 400],
  ['absolute form, other authority', req('GET http://other/health'), 400],
  ['absolute form, longer authority', req('GET http://localhost.other/health'), 400],
  ['blank before the colon', req('GET /health', 'X-A : b\r\n'), 400],
  ['NUL in a value', req('GET /health', 'X-A: a\0b\r\n'), 400],
  ['NUL in the path', req('GET /health%00'), [400, 404]],
  ['path above the root', req('GET /../health'), [400, 404]],
  ['target too long', req(`GET /${'a'.repeat(8300)}`), 414],
  ['target far too long', req(`GET /${'a'.repeat(40_000)}`), 414],
  ['line too long', req('GET /health', `X-A: ${'a'.repeat(9000)}\r\n`), 431],
  ['head too large', req('GET /health', `X-A: ${'a'.repeat(7000)}\r\n`.repeat(4)), 431],
  ['body too large', post1('Content-Length: 65537\r\n'), 413],
  ['two lengths', post1('Content-Length: 2\r\nContent-Length: 2\r\n', '{}'), 400],
  ['length with a sign', post1('Content-Length: +2\r\n', '{}'), 400],
  ['length list', post1('Content-Length: 2, 2\r\n', '{}'), 400],
  ['chunked', post1('Transfer-Encoding: chunked\r\n', '2\r\n{}\r\n0\r\n\r\n'), 411],
  ['chunked and a length', post1('Content-Length: 2\r\nTransfer-Encoding: chunked\r\n', '0\r\n\r\n'), [400, 411]],
  ['Transfer-Encoding: identity', post1('Transfer-Encoding: identity\r\n'), [411, 501]],
  ['Transfer-Encoding: xchunked', post1('Transfer-Encoding: xchunked\r\n'), [411, 501]],
  ['unknown Expect', post1('Content-Length: 2\r\nExpect: x\r\n', '{}'), 417],
]

test('what nginx refuses by itself has the one error shape', { skip: missing }, async () => {
  const got = await Promise.all(REFUSED.map(([, bytes]) => raw(front.port, Buffer.from(bytes, 'latin1'), { idle: 700 })))
  REFUSED.forEach(([what, , status], i) => {
    const all = judged(got[i].text, what)
    assert.equal(all.length, 1, `${what}: ${JSON.stringify(all)} ${got[i].text.slice(0, 200)}`)
    assert.ok([].concat(status).includes(all[0]), `${what}: ${all[0]}`)
  })
})

test('nothing behind a refusal that leaves framing in doubt is answered', { skip: missing }, async () => {
  for (const [what, bytes] of REFUSED.filter(([w]) => /lengths|list|sign|chunked and|no target|two Hosts/.test(w))) {
    const r = await raw(front.port, Buffer.from(bytes + GOOD, 'latin1'), { idle: 700 })
    assert.equal(judged(r.text, what).length, 1, what)
    assert.ok(r.closed, `${what}: closed`)
  }
})

test('what is right passes: pipelines, empty lines, 100-continue, HEAD, absolute form, HTTP/1.0', { skip: missing }, async () => {
  const two = await raw(front.port, `\r\n${GOOD}${GOOD}`, { idle: 500 })
  assert.deepEqual(judged(two.text), [200, 200])
  const abs = await raw(front.port, `GET http://localhost:81/health HTTP/1.1\r\nHost: localhost:81\r\n\r\n`, { idle: 500 })
  assert.deepEqual(judged(abs.text), [200])
  const old = await raw(front.port, `GET /health HTTP/1.0\r\n\r\n`, { idle: 2000 })
  assert.deepEqual(judged(old.text), [200])
  const cont = await raw(front.port, post1('Content-Length: 2\r\nExpect: 100-continue\r\n', '{}'), { idle: 500 })
  assert.deepEqual(judged(cont.text), [100, 400])
})

test('the errors of the server pass as they are', { skip: missing }, async () => {
  for (const [method, path] of [['GET', '/nothing'], ['GET', '/api/bot/status'], ['DELETE', '/health'], ['GET', '/health?x=1']]) {
    const one = await raw(front.port, req(`${method} ${path}`, 'X-Request-ID: same\r\n'), { idle: 500 })
    const other = await raw(s.port, req(`${method} ${path}`, 'X-Request-ID: same\r\n'), { idle: 500 })
    assert.deepEqual(judged(one.text), judged(other.text))
    assert.equal(answers(one.text)[0].body, answers(other.text)[0].body)
    assert.equal(/Allow: .*/i.exec(one.text)?.[0], /Allow: .*/i.exec(other.text)?.[0])
  }
})

test('who half-closes still gets the answer', { skip: missing }, async () => {
  const sock = net.connect({ port: front.port, host: '127.0.0.1', allowHalfOpen: true })
  let text = ''
  sock.on('data', (d) => (text += d.toString('latin1')))
  sock.end(GOOD)
  await until(() => answers(text).length, 3000, 'an answer')
  assert.deepEqual(judged(text), [200])
})

test('a slow body ends at the deadline of the server, in its words', { skip: missing, timeout: 40_000 }, async () => {
  const sock = net.connect(front.port, '127.0.0.1')
  let text = ''
  const t0 = performance.now()
  sock.on('data', (d) => (text += d.toString('latin1')))
  sock.on('error', () => {})
  sock.write(post1('Content-Length: 6000\r\n'))
  const drip = setInterval(() => sock.write(' '), 500)
  try {
    await until(() => answers(text).length, 20_000, '408')
  } finally {
    clearInterval(drip)
    sock.destroy()
  }
  assert.deepEqual(judged(text), [408])
  assert.ok(performance.now() - t0 < 17_000)
})

test('an address that the client claims is not believed', { skip: missing }, async () => {
  for (const h of [{ 'X-Forwarded-For': '203.0.113.9' }, { 'X-Real-IP': '203.0.113.9' }, { 'X-Forwarded-For': '203.0.113.9, 198.51.100.1' }, { Forwarded: 'for=203.0.113.9' }])
    assert.equal((await get(front, '/metrics', { headers: h })).status, 200, 'the peer is this machine, whatever it says')
  assert.equal((await get(s, '/metrics', { headers: { 'X-Forwarded-For': '203.0.113.9' } })).status, 403)
  assert.equal((await get(s, '/metrics', { headers: { 'X-Forwarded-For': '127.0.0.1, 203.0.113.9' } })).status, 403)
})

test('a websocket through it: the own origin with its port, a foreign one, a ticket', { skip: missing }, async () => {
  const token = await s.role('viewer')
  const own = await new Sub(front, { token, headers: { Origin: `http://127.0.0.1:${front.port}` } }).open()
  assert.equal((await own.subscribe(['status'])).type, 'subscribed')
  own.close()
  const foreign = new Sub(front, { token, headers: { Origin: 'http://127.0.0.1.evil.example' } })
  await foreign.opened
  assert.equal(foreign.status, 403)
  const { ticket } = ok(await post(front, '/api/v1/ws-ticket', { token }))
  const one = await new Sub(front, { path: `/api/v1/ws?ticket=${ticket}` }).open()
  one.close()
})

test('without the server behind it: 503 with Retry-After in the shape', { skip: missing }, async () => {
  await s.sh('stop-server')
  const r = await raw(front.port, GOOD, { idle: 3000 })
  assert.deepEqual(judged(r.text), [503])
  await s.startServer()
})

cleanEnd(() => s)
