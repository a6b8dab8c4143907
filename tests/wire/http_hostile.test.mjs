// Hostile HTTP on raw sockets: each refusal has its status, the error shape and a closed connection, and nothing that
// stands behind a broken request is ever answered. Runs against XORJ_URL where that is given, else starts a stack.
// XORJ_GET and XORJ_POST name a public route of each method; XORJ_HEAD_MS and XORJ_BODY_MS the deadlines in force.
import assert from 'node:assert/strict'
import net from 'node:net'
import { test } from 'node:test'
import { answers, raw } from '../lib/http.mjs'
import { cleanEnd, sleep, startStack } from '../lib/stack.mjs'

const given = process.env.XORJ_URL
const s = given ? { port: Number(new URL(given).port) } : await startStack({ env: { XORJ_LIMITS_ENABLED: 'false' } })
const GET = process.env.XORJ_GET || '/health'
const POST = process.env.XORJ_POST || '/api/auth/authenticate'
const HEAD_MS = Number(process.env.XORJ_HEAD_MS || 10_000)
const BODY_MS = Number(process.env.XORJ_BODY_MS || 15_000)
const HOST = 'Host: localhost\r\n'
const JSONT = 'Content-Type: application/json\r\n'
const good = `GET ${GET} HTTP/1.1\r\n${HOST}\r\n`

/** The last answer is this refusal, and the connection was closed by the server. */
function refused(r, statuses, what, before = 0) {
  const list = answers(r.text)
  const want = [].concat(statuses)
  assert.equal(list.length, before + 1, `${what}: one answer expected, got ${JSON.stringify(list.map((a) => a.status))}`)
  const a = list.at(-1)
  assert.ok(want.includes(a.status), `${what}: ${a.status}, expected ${want}`)
  assert.match(a.head, /\r\nConnection: close/i, what)
  assert.match(a.head, /\r\nContent-Type: application\/json/i, what)
  const j = JSON.parse(a.body)
  assert.equal(Buffer.byteLength(a.body), a.length, what)
  assert.equal(j.success, false)
  assert.match(j.request_id, /^[A-Za-z0-9._-]{1,64}$/)
  assert.match(a.head, new RegExp(`X-Request-ID: ${j.request_id}`))
  assert.equal(typeof j.error.code, 'string')
  assert.ok(r.closed, `${what}: the server closes`)
}

const head = (lines, method = 'GET', path = GET) => `${method} ${path} HTTP/1.1\r\n${HOST}${lines}\r\n`
const post = (lines, body = '') => `POST ${POST} HTTP/1.1\r\n${HOST}${JSONT}${lines}\r\n${body}`

const BROKEN = [
  ['bare LF', `GET ${GET} HTTP/1.1\nHost: localhost\n\n`, 400],
  ['bare LF after a header', `GET ${GET} HTTP/1.1\r\nHost: localhost\n\r\n`, 400],
  ['bare CR in a value', head('X-A: b\rc\r\n'), 400],
  ['CR without LF at the end', `GET ${GET} HTTP/1.1\r\n${HOST}\rX`, 400],
  ['NUL in a value', head('X-A: b\0c\r\n'), 400],
  ['NUL in the target', `GET ${GET}\0 HTTP/1.1\r\n${HOST}\r\n`, 400],
  ['DEL in a value', head('X-A: \x7f\r\n'), 400],
  ['vertical tab in a value', head('X-A: a\x0bb\r\n'), 400],
  ['form feed before the value', head('X-A:\x0cb\r\n'), 400],
  ['two empty lines first', `\r\n\r\n${good}`, 400],
  ['blank before the method', ` GET ${GET} HTTP/1.1\r\n${HOST}\r\n`, 400],
  ['two blanks after the method', `GET  ${GET} HTTP/1.1\r\n${HOST}\r\n`, 400],
  ['tab after the method', `GET\t${GET} HTTP/1.1\r\n${HOST}\r\n`, 400],
  ['two blanks before the version', `GET ${GET}  HTTP/1.1\r\n${HOST}\r\n`, 400],
  ['blank behind the version', `GET ${GET} HTTP/1.1 \r\n${HOST}\r\n`, 400],
  ['no version', `GET ${GET}\r\n${HOST}\r\n`, 400],
  ['lower-case version', `GET ${GET} http/1.1\r\n${HOST}\r\n`, 400],
  ['version without minor', `GET ${GET} HTTP/1\r\n${HOST}\r\n`, 400],
  ['version with two digits', `GET ${GET} HTTP/1.10\r\n${HOST}\r\n`, 400],
  ['version with a leading zero', `GET ${GET} HTTP/01.1\r\n${HOST}\r\n`, 400],
  ['HTTP/2.0', `GET ${GET} HTTP/2.0\r\n${HOST}\r\n`, 505],
  ['HTTP/0.9', `GET ${GET} HTTP/0.9\r\n${HOST}\r\n`, 505],
  ['HTTP/3.1', `GET ${GET} HTTP/3.1\r\n${HOST}\r\n`, 505],
  ['HTTP/2 preface', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', [400, 501, 505]],
  ['TLS hello', Buffer.from('16030100a5010000a1', 'hex').toString('latin1'), 400],
  ['lower-case method', `get ${GET} HTTP/1.1\r\n${HOST}\r\n`, 501],
  ['CONNECT', `CONNECT localhost:443 HTTP/1.1\r\n${HOST}\r\n`, [400, 405, 501]],
  ['unknown method', head('', 'BREW'), 501],
  ['method of 33 bytes', head('', 'A'.repeat(33)), 501],
  ['method of 4000 bytes', head('', 'A'.repeat(4000)), 501],
  ['method with a colon', head('', 'GE:T'), 400],
  ['no slash', `GET health HTTP/1.1\r\n${HOST}\r\n`, 400],
  ['asterisk', `OPTIONS * HTTP/1.1\r\n${HOST}\r\n`, 400],
  ['fragment', `GET ${GET}#x HTTP/1.1\r\n${HOST}\r\n`, 400],
  ['backslash', `GET \\health HTTP/1.1\r\n${HOST}\r\n`, 400],
  ['byte over 127 in the target', `GET ${GET}\xff HTTP/1.1\r\n${HOST}\r\n`, 400],
  ['absolute form, other authority', `GET http://other${GET} HTTP/1.1\r\n${HOST}\r\n`, 400],
  ['absolute form with user', `GET http://a@localhost${GET} HTTP/1.1\r\n${HOST}\r\n`, 400],
  ['absolute form, foreign scheme', `GET ftp://localhost${GET} HTTP/1.1\r\n${HOST}\r\n`, 400],
  ['no Host', `GET ${GET} HTTP/1.1\r\n\r\n`, 400],
  ['two Hosts', `GET ${GET} HTTP/1.1\r\n${HOST}${HOST}\r\n`, 400],
  ['empty Host', `GET ${GET} HTTP/1.1\r\nHost:\r\n\r\n`, 400],
  ['Host with a path', `GET ${GET} HTTP/1.1\r\nHost: localhost/x\r\n\r\n`, 400],
  ['Host with a user', `GET ${GET} HTTP/1.1\r\nHost: a@localhost\r\n\r\n`, 400],
  ['Host with a blank', `GET ${GET} HTTP/1.1\r\nHost: local host\r\n\r\n`, 400],
  ['Host list', `GET ${GET} HTTP/1.1\r\nHost: a, b\r\n\r\n`, 400],
  ['Host with a bad port', `GET ${GET} HTTP/1.1\r\nHost: localhost:99999\r\n\r\n`, 400],
  ['Host with a named port', `GET ${GET} HTTP/1.1\r\nHost: localhost:http\r\n\r\n`, 400],
  ['blank before the colon', head('X-A : b\r\n'), 400],
  ['tab before the colon', head('X-A\t: b\r\n'), 400],
  ['Content-Length with a blank before the colon', post('Content-Length : 5\r\n', 'hello'), 400],
  ['Transfer-Encoding with a blank before the colon', post('Transfer-Encoding : chunked\r\n', '0\r\n\r\n'), 400],
  ['folded line', head('X-A: b\r\n c\r\n'), 400],
  ['folded first line', `GET ${GET} HTTP/1.1\r\n ${HOST}\r\n`, 400],
  ['no colon', head('X-A\r\n'), 400],
  ['no name', head(': b\r\n'), 400],
  ['name with a blank', head('X A: b\r\n'), 400],
  ['name with a bracket', head('X(A): b\r\n'), 400],
  ['name with a byte over 127', head('X\xe9: b\r\n'), 400],
  ['two Authorization', head('Authorization: Bearer a\r\nAuthorization: Bearer b\r\n'), [400, 401]],
  ['two Content-Type', post(`${JSONT}Content-Length: 2\r\n`, '{}'), 400],
  ['chunked', post('Transfer-Encoding: chunked\r\n', '5\r\nhello\r\n0\r\n\r\n'), [400, 411, 501]],
  ['chunked and a length', post('Content-Length: 5\r\nTransfer-Encoding: chunked\r\n', '0\r\n\r\nGET'), [400, 411, 501]],
  ['a length and chunked', post('Transfer-Encoding: chunked\r\nContent-Length: 5\r\n', '0\r\n\r\nGET'), [400, 411, 501]],
  ['Transfer-Encoding: identity', post('Transfer-Encoding: identity\r\n'), [400, 411, 501]],
  ['Transfer-Encoding: xchunked', post('Transfer-Encoding: xchunked\r\n'), [400, 411, 501]],
  ['Transfer-Encoding: gzip, chunked', post('Transfer-Encoding: gzip, chunked\r\n'), [400, 411, 501]],
  ['Transfer-Encoding empty', post('Transfer-Encoding:\r\n'), [400, 411, 501]],
  ['tRANSFER-eNCODING', post('tRANSFER-eNCODING: chunked\r\n'), [400, 411, 501]],
  ['Transfer-Encoding on GET', head('Transfer-Encoding: chunked\r\n'), [400, 411, 501]],
  ['a body that nothing announced', post('', '{}'), 411],
  ['an array that nothing announced', post('', '[1]'), 411],
  ['two lengths, equal', post('Content-Length: 2\r\nContent-Length: 2\r\n', '{}'), 400],
  ['two lengths, different', post('Content-Length: 2\r\nContent-Length: 44\r\n', '{}'), 400],
  ['length list', post('Content-Length: 2, 2\r\n', '{}'), 400],
  ['length with plus', post('Content-Length: +2\r\n', '{}'), 400],
  ['length with minus', post('Content-Length: -2\r\n', '{}'), 400],
  ['length in hex', post('Content-Length: 0x2\r\n', '{}'), 400],
  ['length with a fraction', post('Content-Length: 2.0\r\n', '{}'), 400],
  ['length with an exponent', post('Content-Length: 2e0\r\n', '{}'), 400],
  ['length with a blank inside', post('Content-Length: 1 2\r\n', '{}'), 400],
  ['length of letters', post('Content-Length: two\r\n', '{}'), 400],
  ['length empty', post('Content-Length:\r\n', '{}'), 400],
  ['length of 20 digits', post('Content-Length: 00000000000000000002\r\n', '{}'), 400],
  ['length that wraps', post('Content-Length: 18446744073709551618\r\n', '{}'), 400],
  ['quoted length', post('Content-Length: "2"\r\n', '{}'), 400],
  ['unknown Expect', post('Expect: 200-ok\r\nContent-Length: 2\r\n', '{}'), 417],
  ['body over the limit', post('Content-Length: 65537\r\n'), 413],
  ['body far over the limit', post('Content-Length: 9223372036854775807\r\n'), 413],
  ['target too long', `GET /${'a'.repeat(8192)} HTTP/1.1\r\n${HOST}\r\n`, 414],
  ['target far too long', `GET /${'a'.repeat(60_000)}`, [414, 431]],
  ['header line too long', head(`X-A: ${'a'.repeat(8200)}\r\n`), 431],
  ['header name too long', head(`${'a'.repeat(8200)}: b\r\n`), 431],
  ['head too large', head(`X-A: ${'a'.repeat(5000)}\r\nX-B: ${'a'.repeat(5000)}\r\nX-C: ${'a'.repeat(7000)}\r\n`), 431],
  ['101 lines', head('X-A: b\r\n'.repeat(100)), 431],
  ['5000 lines', head('A:b\r\n'.repeat(5000)), 431],
]

for (const [what, bytes, status] of BROKEN) {
  test(`${what} is refused, alone, split and behind a good request`, async () => {
    const b = Buffer.from(bytes, 'latin1')
    const smuggled = Buffer.from(good, 'latin1')
    const half = b.length >> 1
    const [whole, split, behind] = await Promise.all([
      raw(s.port, Buffer.concat([b, smuggled]), { idle: 3000 }),
      raw(s.port, null, { idle: 3000, chunks: [b.subarray(0, half), b.subarray(half)] }),
      raw(s.port, Buffer.concat([smuggled, b, smuggled]), { idle: 3000 }),
    ])
    refused(whole, status, what)
    refused(split, status, `${what}, split`)
    refused(behind, status, `${what}, behind a good one`, 1)
    assert.equal(answers(behind.text)[0].status, 200)
  })
}

const FINE = [
  ['one empty line first', `\r\n${good}`],
  ['HTTP/1.1 with a higher minor', `GET ${GET} HTTP/1.7\r\n${HOST}\r\n`],
  ['absolute form, same authority', `GET http://localhost${GET} HTTP/1.1\r\n${HOST}\r\n`],
  ['Host with a port', `GET ${GET} HTTP/1.1\r\nHost: localhost:8080\r\n\r\n`],
  ['Host as an IPv6 address', `GET ${GET} HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n`],
  ['tab and bytes over 127 in a value', head('X-A: \ta\xff\t\r\n')],
  ['empty value', head('X-A:\r\n')],
  ['names with underscore are unknown names', head('Content_Length: 5\r\nTransfer_Encoding: chunked\r\n')],
  ['a body on GET', `GET ${GET} HTTP/1.1\r\n${HOST}Content-Length: 5\r\n\r\nhello`],
  ['a length with leading zeros', `GET ${GET} HTTP/1.1\r\n${HOST}Content-Length: 0000000000000000000\r\n\r\n`],
  ['100 lines', head('X-A: b\r\n'.repeat(99))],
  ['method override headers', head('X-HTTP-Method-Override: DELETE\r\nX-Original-URL: /other\r\nX-Rewrite-URL: /other\r\n')],
  ['an upgrade nobody offers', head('Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n')],
]

for (const [what, bytes] of FINE) {
  test(`${what} is served and the connection stays`, async () => {
    const r = await raw(s.port, Buffer.from(bytes + good, 'latin1'), { idle: 500 })
    assert.deepEqual(answers(r.text).map((a) => a.status), [200, 200])
    assert.equal(r.closed, false)
  })
}

test('a head that arrives byte by byte is served', async () => {
  const r = await raw(s.port, null, { idle: 600, chunks: [...head('X-A: b\r\n')].map((c) => c) })
  assert.deepEqual(answers(r.text).map((a) => a.status), [200])
})

test('other spellings of a path name nothing', async () => {
  const paths = [GET.toUpperCase(), `${GET}/`, `/${GET}`, `/.${GET}`, `/x/..${GET}`, `${GET};a=b`, `/%${GET.charCodeAt(1).toString(16)}${GET.slice(2)}`]
  for (const p of paths) {
    const [a] = answers((await raw(s.port, `GET ${p} HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`, { idle: 1000 })).text)
    assert.ok([400, 404].includes(a.status), `${p}: ${a.status}`)
  }
})

test('HTTP/1.0 is answered and closed, also without Host', async () => {
  for (const lines of ['', HOST, `${HOST}Connection: keep-alive\r\n`]) {
    const r = await raw(s.port, `GET ${GET} HTTP/1.0\r\n${lines}\r\n${good}`, { idle: 3000 })
    const list = answers(r.text)
    assert.deepEqual(list.map((a) => a.status), [200])
    assert.match(list[0].head, /Connection: close/i)
    assert.ok(r.closed)
  }
})

test('Connection: close ends the conversation after that answer', async () => {
  const r = await raw(s.port, head('Connection: close\r\n') + good, { idle: 3000 })
  assert.deepEqual(answers(r.text).map((a) => a.status), [200])
  assert.ok(r.closed)
})

test('HEAD has the length of GET and no body', async () => {
  const r = await raw(s.port, head('', 'HEAD') + head('Connection: close\r\n'), { idle: 3000 })
  const at = r.text.indexOf('\r\n\r\n') + 4
  assert.match(r.text.slice(0, at), /Content-Length: [1-9]/i)
  assert.match(r.text.slice(at), /^HTTP\/1\.1 200 /, 'the next answer follows at once')
})

test('pipelined requests are answered in order, far more than wait at once', async () => {
  const n = 300
  const bytes = Array.from({ length: n }, (_, i) => head(`X-Request-ID: p-${i}\r\n`)).join('')
  const r = await raw(s.port, bytes, { idle: 1500 })
  const ids = answers(r.text).map((a) => /X-Request-ID: (\S+)/i.exec(a.head)[1])
  assert.deepEqual(ids, Array.from({ length: n }, (_, i) => `p-${i}`))
})

test('X-Request-ID is echoed when it is plain, replaced when not', async () => {
  for (const [id, same] of [['abc.DEF_1-2', true], ['a'.repeat(64), true], ['a'.repeat(65), false], ['a b', false], ['<x>', false]]) {
    const [a] = answers((await raw(s.port, head(`X-Request-ID: ${id}\r\nConnection: close\r\n`), { idle: 2000 })).text)
    const got = /X-Request-ID: ([^\r]*)/i.exec(a.head)[1]
    if (same) assert.equal(got, id)
    else assert.match(got, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  }
})

test('Expect: 100-continue is answered once the head is accepted, and not for a refusal', async () => {
  const sock = net.connect(s.port, '127.0.0.1')
  let text = ''
  sock.on('data', (d) => (text += d.toString('latin1')))
  sock.on('error', () => {})
  sock.write(post('Content-Length: 2\r\nExpect: 100-continue\r\n'))
  for (let i = 0; i < 100 && !text; i++) await sleep(10)
  assert.match(text, /^HTTP\/1\.1 100 Continue\r\n\r\n$/)
  text = ''
  sock.write('{}')
  for (let i = 0; i < 300 && !text; i++) await sleep(10)
  assert.match(text, /^HTTP\/1\.1 \d{3} /)
  sock.destroy()
  const r = await raw(s.port, post('Content-Length: 70000\r\nExpect: 100-continue\r\n'), { idle: 3000 })
  refused(r, 413, 'too large, with Expect')
})

test('a refusal of a large body is not destroyed by a reset while the client still sends', async () => {
  for (let round = 0; round < 5; round++) {
    const r = await raw(s.port, post('Content-Length: 4000000\r\n', 'x'.repeat(4_000_000)), { idle: 4000 })
    refused(r, 413, 'large body')
  }
})

test('a body in pieces is put together, a body cut short is not executed', async () => {
  const [a] = answers((await raw(s.port, null, { idle: 1500, chunks: [post('Content-Length: 12\r\n'), '{"a"', ':"bc', 'd"}\n'] })).text)
  assert.ok(a.status >= 200 && a.status < 500)
  const sock = net.connect(s.port, '127.0.0.1')
  sock.on('error', () => {})
  sock.end(post('Content-Length: 12\r\n', '{"a"'))
  let text = ''
  sock.on('data', (d) => (text += d.toString('latin1')))
  await new Promise((r) => sock.on('close', r))
  if (text) assert.match(text, /^HTTP\/1\.1 400 /)
})

test('a client that half-closes still gets its answers', async () => {
  const sock = net.connect({ port: s.port, host: '127.0.0.1', allowHalfOpen: true })
  let text = ''
  sock.on('data', (d) => (text += d.toString('latin1')))
  sock.end(good + good)
  await new Promise((r) => sock.on('end', r))
  sock.destroy()
  assert.deepEqual(answers(text).map((a) => a.status), [200, 200])
})

const within = (ms, want) => assert.ok(ms > want - 1000 && ms < want + 1500, `${Math.round(ms)} ms, expected about ${want}`)

async function until408(first, piece, every) {
  const sock = net.connect(s.port, '127.0.0.1')
  const t0 = performance.now()
  let text = ''
  sock.on('error', () => {})
  sock.on('data', (d) => (text += d.toString('latin1')))
  sock.write(first)
  const drip = setInterval(() => sock.writable && sock.write(piece), every)
  await new Promise((r) => sock.on('close', r))
  clearInterval(drip)
  assert.match(text, /^HTTP\/1\.1 408 /)
  assert.match(text, /"code":"TIMEOUT"/)
  return performance.now() - t0
}

test('slow heads and slow bodies are cut at their absolute deadline; others are not delayed', { timeout: 60_000 }, async () => {
  const heads = Array.from({ length: 200 }, () => until408(`GET ${GET} HTTP/1.1\r\nX-A: `, 'a', 500))
  const bodies = Array.from({ length: 50 }, () => until408(post('Content-Length: 6000\r\n'), 'x', 500))
  const took = []
  for (let i = 0; i < 100; i++) {
    const t0 = performance.now()
    const [a] = answers((await raw(s.port, head('Connection: close\r\n'), { idle: 5000 })).text)
    assert.equal(a.status, 200)
    took.push(performance.now() - t0)
  }
  took.sort((a, b) => a - b)
  assert.ok(took[98] < 250, `p99 ${took[98]} ms`)
  for (const ms of await Promise.all(heads)) within(ms, HEAD_MS)
  for (const ms of await Promise.all(bodies)) within(ms, BODY_MS)
})

test('random bytes never get more than a refusal', async () => {
  let seed = 12345
  const rnd = () => (seed = (seed * 1103515245 + 12345) & 0x7fffffff)
  for (let i = 0; i < 60; i++) {
    const b = Buffer.from(good + post('Content-Length: 2\r\n', '{}'), 'latin1')
    for (let k = 0; k < 1 + (rnd() % 4); k++) b[rnd() % b.length] = rnd() & 255
    const r = await raw(s.port, b, { idle: 60 })
    for (const a of answers(r.text)) assert.ok(a.status < 500 || [501, 505].includes(a.status), `${a.status} for ${JSON.stringify(b.toString('latin1'))}`)
  }
})

test('the server still answers', async () => {
  assert.equal(answers((await raw(s.port, good, { idle: 500 })).text)[0].status, 200)
})

if (!given) cleanEnd(() => s)
