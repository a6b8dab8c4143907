// Hostile websocket clients on raw sockets, and the real `ws` client beside them. Runs against XORJ_URL where that is
// given (XORJ_VIEWER_TOKEN opens the socket, XORJ_WS its path), else starts a stack.
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import net from 'node:net'
import { test } from 'node:test'
import WebSocket from 'ws'
import { answers, raw } from '../lib/http.mjs'
import { cleanEnd, sleep, startStack } from '../lib/stack.mjs'

const given = process.env.XORJ_URL
const s = given
  ? { port: Number(new URL(given).port) }
  : await startStack({ env: { XORJ_LIMITS_ENABLED: 'false', XORJ_WS_PER_PRINCIPAL: '1000', XORJ_WS_MSGS_PER_S: '100000' } })
const PATH = process.env.XORJ_WS || '/api/v1/ws'
const TOKEN = process.env.XORJ_VIEWER_TOKEN ?? (given ? '' : await s.role('viewer'))
const AUTH = TOKEN ? `Authorization: Bearer ${TOKEN}\r\n` : ''

const shake = (over = {}, method = 'GET', version = 'HTTP/1.1') => {
  const h = { Host: 'localhost', Upgrade: 'websocket', Connection: 'Upgrade', 'Sec-WebSocket-Version': '13', 'Sec-WebSocket-Key': randomBytes(16).toString('base64'), ...over }
  const lines = Object.entries(h).filter(([, v]) => v !== null).map(([k, v]) => `${k}: ${v}\r\n`).join('')
  return `${method} ${PATH} ${version}\r\n${lines}${AUTH}\r\n`
}

/** One masked frame. */
function frame(op, payload = '', { fin = true, rsv = 0, mask = true, announce } = {}) {
  const p = Buffer.from(payload)
  const n = announce ?? p.length
  const head = [(fin ? 0x80 : 0) | (rsv << 4) | op]
  const m = mask ? 0x80 : 0
  if (n < 126) head.push(m | n)
  else if (n < 65536) head.push(m | 126, n >> 8, n & 255)
  else {
    head.push(m | 127)
    const b = Buffer.alloc(8)
    b.writeBigUInt64BE(BigInt(n))
    head.push(...b)
  }
  if (!mask) return Buffer.concat([Buffer.from(head), p])
  const key = randomBytes(4)
  return Buffer.concat([Buffer.from(head), key, Buffer.from(p.map((c, i) => c ^ key[i & 3]))])
}
const TEXT = 1
const BIN = 2
const CLOSE = 8
const PING = 9
const PONG = 10
const closeBody = (code, why = '') => Buffer.concat([Buffer.from([code >> 8, code & 255]), Buffer.from(why)])

/** Server frames of a byte string. */
function frames(b) {
  const out = []
  let at = 0
  while (at + 2 <= b.length) {
    let n = b[at + 1] & 127
    let h = 2
    assert.equal(b[at + 1] & 128, 0, 'a server does not mask')
    if (n === 126) [n, h] = [b.readUInt16BE(at + 2), 4]
    else if (n === 127) [n, h] = [Number(b.readBigUInt64BE(at + 2)), 10]
    if (at + h + n > b.length) break
    const body = b.subarray(at + h, at + h + n)
    out.push({ fin: !!(b[at] & 128), rsv: (b[at] >> 4) & 7, op: b[at] & 15, body, code: (b[at] & 15) === CLOSE && n >= 2 ? body.readUInt16BE(0) : undefined })
    at += h + n
  }
  return out
}

class Peer {
  constructor() {
    this.buf = Buffer.alloc(0)
    this.ended = false
    this.sock = net.connect(s.port, '127.0.0.1')
    this.sock.on('error', () => {})
    this.sock.on('data', (d) => (this.buf = Buffer.concat([this.buf, d])))
    this.sock.on('end', () => (this.ended = true))
    this.sock.on('close', () => (this.ended = true))
  }
  async open(extra = Buffer.alloc(0)) {
    this.sock.write(Buffer.concat([Buffer.from(shake()), extra]))
    await this.until(() => this.buf.includes('\r\n\r\n'))
    assert.match(this.buf.toString('latin1'), /^HTTP\/1\.1 101 /)
    this.buf = this.buf.subarray(this.buf.indexOf('\r\n\r\n') + 4)
    return this
  }
  async until(fn, ms = 5000) {
    const end = performance.now() + ms
    while (!fn()) {
      assert.ok(performance.now() < end, `not in time; got ${this.buf.subarray(0, 200).toString('latin1')}`)
      await sleep(3)
    }
  }
  send(...parts) {
    for (const p of parts) if (this.sock.writable) this.sock.write(p)
    return this
  }
  get frames() {
    return frames(this.buf)
  }
  async code(ms = 5000) {
    await this.until(() => this.ended || this.frames.some((f) => f.op === CLOSE), ms)
    const f = this.frames.find((x) => x.op === CLOSE)
    await this.until(() => this.ended, ms)
    this.sock.destroy()
    return f ? (f.code ?? 1005) : 1006
  }
}

test('the accept value is that of RFC 6455', async () => {
  const key = 'dGhlIHNhbXBsZSBub25jZQ=='
  const r = await raw(s.port, shake({ 'Sec-WebSocket-Key': key }), { idle: 200 })
  assert.match(r.text, /^HTTP\/1\.1 101 /)
  assert.match(r.text, /Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=\r\n/i)
  assert.doesNotMatch(r.text, /Sec-WebSocket-Extensions/i)
  const key2 = randomBytes(16).toString('base64')
  const want = createHash('sha1').update(`${key2}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
  const r2 = await raw(s.port, shake({ 'Sec-WebSocket-Key': key2, 'Sec-WebSocket-Extensions': 'permessage-deflate' }), { idle: 200 })
  assert.ok(r2.text.includes(want))
  assert.doesNotMatch(r2.text, /Sec-WebSocket-Extensions/i)
})

const BAD_SHAKES = [
  ['version 8', shake({ 'Sec-WebSocket-Version': '8' }), [426]],
  ['version 14', shake({ 'Sec-WebSocket-Version': '14' }), [426]],
  ['no version', shake({ 'Sec-WebSocket-Version': null }), [400, 426]],
  ['version list', shake({ 'Sec-WebSocket-Version': '13, 8' }), [400, 426]],
  ['no key', shake({ 'Sec-WebSocket-Key': null }), [400]],
  ['key of 15 bytes', shake({ 'Sec-WebSocket-Key': randomBytes(15).toString('base64') }), [400]],
  ['key of 17 bytes', shake({ 'Sec-WebSocket-Key': randomBytes(17).toString('base64') }), [400]],
  ['key without padding', shake({ 'Sec-WebSocket-Key': 'A'.repeat(22) }), [400]],
  ['key with stray bits', shake({ 'Sec-WebSocket-Key': `${'A'.repeat(21)}B==` }), [400]],
  ['two keys', shake({ 'sec-websocket-key': randomBytes(16).toString('base64') }), [400]],
  ['no upgrade', shake({ Upgrade: null }), [400, 426]],
  ['other upgrade', shake({ Upgrade: 'h2c' }), [400, 426]],
  ['no connection', shake({ Connection: 'keep-alive' }), [400, 426]],
  ['POST', shake({}, 'POST'), [400, 405]],
  ['HTTP/1.0', shake({}, 'GET', 'HTTP/1.0'), [400, 426]],
  ['a body', `${shake({ 'Content-Length': '5' })}hello`, [400]],
]
for (const [what, bytes, statuses] of BAD_SHAKES) {
  test(`handshake refused: ${what}`, async () => {
    const [a] = answers((await raw(s.port, bytes, { idle: 500 })).text)
    assert.ok(statuses.includes(a.status), `${a.status}`)
    if (a.status === 426) assert.match(a.head, /Sec-WebSocket-Version: 13/i)
    assert.equal(JSON.parse(a.body).success, false)
  })
}

const VIOLATIONS = [
  ['unmasked frame', [frame(TEXT, '{}', { mask: false })], 1002],
  ['rsv1', [frame(TEXT, '{}', { rsv: 4 })], 1002],
  ['rsv2', [frame(TEXT, '{}', { rsv: 2 })], 1002],
  ['rsv3', [frame(PING, '', { rsv: 1 })], 1002],
  ...[3, 4, 5, 6, 7, 11, 12, 13, 14, 15].map((op) => [`opcode ${op}`, [frame(op, '')], 1002]),
  ['ping in fragments', [frame(PING, 'a', { fin: false })], 1002],
  ['close in fragments', [frame(CLOSE, closeBody(1000), { fin: false })], 1002],
  ['ping of 126 bytes', [frame(PING, 'a'.repeat(126))], 1002],
  ['close of 126 bytes', [frame(CLOSE, closeBody(1000, 'a'.repeat(124)))], 1002],
  ['continuation of nothing', [frame(0, 'a')], 1002],
  ['continuation after the end', [frame(TEXT, '{', { fin: false }), frame(0, '}'), frame(0, 'x')], 1002],
  ['new message inside a fragmented one', [frame(TEXT, 'a', { fin: false }), frame(TEXT, 'b')], 1002],
  ['length with the top bit', [Buffer.from([0x81, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 1, 1, 2, 3, 4])], 1002],
  ['length in two bytes that fits in one', [Buffer.from([0x81, 0xfe, 0, 5, 1, 2, 3, 4, 0, 0, 0, 0, 0])], 1002],
  ['length in eight bytes that fits in two', [Buffer.from([0x81, 0xff, 0, 0, 0, 0, 0, 0, 0, 5, 1, 2, 3, 4])], 1002],
  ['close of one byte', [frame(CLOSE, 'a')], 1002],
  ...[0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535].map((c) => [`close code ${c}`, [frame(CLOSE, closeBody(c))], 1002]),
  ['close reason not UTF-8', [frame(CLOSE, Buffer.concat([closeBody(1000), Buffer.from([0xc3, 0x28])]))], 1007],
  ['text not UTF-8', [frame(TEXT, Buffer.from([0xc3, 0x28]))], 1007],
  ['overlong slash', [frame(TEXT, Buffer.from([0xc0, 0xaf]))], 1007],
  ['surrogate', [frame(TEXT, Buffer.from([0xed, 0xa0, 0x80]))], 1007],
  ['above U+10FFFF', [frame(TEXT, Buffer.from([0xf4, 0x90, 0x80, 0x80]))], 1007],
  ['text that ends inside a character', [frame(TEXT, Buffer.from([0xe2, 0x82]))], 1007],
  ['bad UTF-8 in the second fragment, before its end', [frame(TEXT, 'ab', { fin: false }), frame(0, Buffer.from([0xff]), { fin: false })], 1007],
  ['character broken between fragments', [frame(TEXT, Buffer.from([0xe2, 0x82]), { fin: false }), frame(0, Buffer.from([0x41]))], 1007],
  ['binary', [frame(BIN, 'abc')], 1003],
  ['announced 16 KiB and one', [frame(TEXT, '', { announce: 16385 })], 1009],
  ['announced 4 GiB', [frame(TEXT, '', { announce: 2 ** 32 })], 1009],
  ['summed over 16 KiB', [...Array(3)].map((_, i) => frame(i ? 0 : TEXT, ' '.repeat(6000), { fin: false })), 1009],
  ['65 fragments', [...Array(65)].map((_, i) => frame(i ? 0 : TEXT, ' ', { fin: false })), 1009],
  ['65 empty fragments', [...Array(65)].map((_, i) => frame(i ? 0 : TEXT, '', { fin: false })), 1009],
  ['HTTP after the upgrade', [Buffer.from('GET /health HTTP/1.1\r\nHost: a\r\n\r\n')], 1002],
]
for (const [what, bytes, code] of VIOLATIONS) {
  test(`closed ${code}: ${what}, at once and byte by byte`, async () => {
    const p = await new Peer().open()
    assert.equal(await p.send(...bytes, frame(PING, 'after')).code(), code)
    assert.ok(!p.frames.some((f) => f.op === PONG), 'nothing behind the violation is interpreted')
    const all = Buffer.concat(bytes)
    if (all.length > 400) return
    const q = await new Peer().open()
    q.sock.setNoDelay(true)
    for (const b of all) {
      if (q.ended) break
      q.send(Buffer.from([b]))
      await new Promise(setImmediate)
    }
    assert.equal(await q.code(), code)
  })
}

test('every close code a peer may send is echoed', async () => {
  for (const c of [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999]) {
    const p = await new Peer().open()
    assert.equal(await p.send(frame(CLOSE, closeBody(c, 'bye'))).code(), c)
  }
  assert.equal(await (await new Peer().open()).send(frame(CLOSE)).code(), 1005)
})

test('pings are answered with their payload, also inside a fragmented message and byte by byte', async () => {
  const p = await new Peer().open()
  const payload = randomBytes(125)
  p.send(frame(TEXT, '{"a":', { fin: false }), frame(PING, payload), frame(0, '1}'))
  for (const b of frame(PING, 'slow')) {
    p.send(Buffer.from([b]))
    await new Promise(setImmediate)
  }
  for (let i = 0; i < 10; i++) p.send(frame(PING, `n${i}`))
  await p.until(() => p.frames.filter((f) => f.op === PONG).length >= 12)
  const got = p.frames.filter((f) => f.op === PONG).map((f) => f.body)
  assert.ok(got[0].equals(payload))
  assert.deepEqual(got.slice(1).map(String), ['slow', ...Array.from({ length: 10 }, (_, i) => `n${i}`)])
  assert.equal(await p.send(frame(CLOSE, closeBody(1000))).code(), 1000)
})

test('unsolicited pongs are ignored; 64 fragments and 16 KiB are taken', async () => {
  const p = await new Peer().open()
  p.send(frame(PONG, 'unasked'))
  const parts = [...Array(64)].map((_, i) => frame(i ? 0 : TEXT, i === 63 ? 'x' : ' ', { fin: i === 63 }))
  p.send(...parts, frame(TEXT, 'y'.repeat(16384)), frame(PING, 'end'))
  await p.until(() => p.frames.some((f) => f.op === PONG))
  assert.ok(p.frames.filter((f) => f.op === TEXT).length >= 2, 'both messages got an answer')
  assert.equal(await p.send(frame(CLOSE, closeBody(1000))).code(), 1000)
})

test('frames sent together with the handshake are heard', async () => {
  const p = await new Peer().open(frame(PING, 'early'))
  await p.until(() => p.frames.some((f) => f.op === PONG && f.body.toString() === 'early'))
  p.sock.destroy()
})

test('a handshake behind a pipelined request is served in order', async () => {
  const r = await raw(s.port, `GET ${process.env.XORJ_GET || '/health'} HTTP/1.1\r\nHost: localhost\r\n\r\n${shake()}`, { idle: 400 })
  assert.deepEqual([...r.text.matchAll(/HTTP\/1\.1 (\d{3})/g)].map((m) => m[1]), ['200', '101'])
})

test('peers that vanish in any state leave nothing behind', async () => {
  const cut = [frame(TEXT, 'x'.repeat(300)), frame(TEXT, 'a', { fin: false }), frame(PING, 'abc')]
  for (let i = 0; i < 60; i++) {
    const p = await new Peer().open()
    const b = cut[i % cut.length]
    p.send(b.subarray(0, 1 + (i % b.length)))
    if (i % 2) p.sock.resetAndDestroy()
    else p.sock.destroy()
  }
  await sleep(200)
})

test('the real client opens, is pinged by its own ping, and closes', async () => {
  const ws = new WebSocket(`ws://127.0.0.1:${s.port}${PATH}`, { headers: TOKEN ? { Authorization: `Bearer ${TOKEN}` } : {}, perMessageDeflate: true })
  await new Promise((ok, no) => ws.on('open', ok).on('error', no))
  assert.equal(ws.extensions, '')
  const pong = new Promise((r) => ws.once('pong', r))
  ws.ping('hello')
  assert.equal(String(await pong), 'hello')
  const closed = new Promise((r) => ws.once('close', r))
  ws.close(3333, 'enough')
  assert.equal(await closed, 3333)
})

test('a thousand pings in one write do not close a peer that reads', async () => {
  const p = await new Peer().open()
  p.send(Buffer.concat(Array.from({ length: 1000 }, (_, i) => frame(PING, `${i}`))))
  await p.until(() => p.frames.some((f) => f.op === PONG && f.body.toString() === '999'))
  assert.equal(await p.send(frame(CLOSE, closeBody(1000))).code(), 1000)
})

test('a flood of pings or pongs ends with 4029', async () => {
  for (const op of [PING, PONG]) {
    const p = await new Peer().open()
    p.send(Buffer.concat(Array.from({ length: 4000 }, () => frame(op))))
    assert.equal(await p.code(), 4029)
  }
})

if (!given) cleanEnd(() => s)
