// /api/v1/ws: who may listen to what, commands, tickets, bounds. Frames that break the protocol are in ws_hostile.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isError, ok, post, raw } from '../lib/http.mjs'
import { cleanEnd, sleep, startStack } from '../lib/stack.mjs'
import { Sub } from '../lib/ws.mjs'

const s = await startStack({ env: { XORJ_LIMITS_ENABLED: 'false' } })
const [a, b, c] = await s.wallets(3)
const viewer = await s.role('viewer')

async function refused(opts) {
  const x = new Sub(s, opts)
  if (await x.opened) await x.closed()
  return x.status ?? x.code
}

test('no or bad credentials: 401 at the handshake or 4001 right after', async () => {
  for (const opts of [{}, { token: 'a.b.c' }, { path: '/api/v1/ws?ticket=nope' }, { path: `/api/v1/ws?token=${a.token}` }])
    assert.ok([400, 401, 403, 4001, 4003].includes(await refused(opts)))
})

test('a foreign Origin is refused, a listed one and none are not', async () => {
  for (const Origin of ['https://evil.example', 'null']) assert.ok([403, 4003].includes(await refused({ token: a.token, headers: { Origin } })), Origin)
  const x = await new Sub(s, { token: a.token, headers: { Origin: 'https://xorj.ai' } }).open()
  x.close()
})

test('subscribe, unsubscribe and ping are answered', async () => {
  const x = await new Sub(s, { token: viewer }).open()
  assert.equal((await x.subscribe(['opportunities', 'connectors'])).type, 'subscribed')
  x.send({ action: 'unsubscribe', channels: ['opportunities'] })
  await x.wait((m) => m.type === 'unsubscribed')
  x.send({ action: 'ping' })
  await x.wait((m) => m.type === 'pong')
  x.close()
})

test('bad commands get an error message, and the connection stays', async () => {
  const x = await new Sub(s, { token: viewer }).open()
  const bad = ['{', '[]', 'null', '{}', '{"action":"fly"}', '{"action":"subscribe"}', '{"action":"subscribe","channels":[]}', '{"action":"subscribe","channels":["nowhere"]}', '{"action":"subscribe","channels":"bot"}',
    '{"action":"subscribe","channels":["opportunities"],"x":1}', '{"action":"subscribe","action":"ping","channels":["opportunities"]}', '[1 2]']
  for (const t of bad) {
    const n = x.got.length
    x.send(t)
    const m = await x.wait((m, i) => x.got.indexOf(m) >= n && m.type === 'error', 3000, `error for ${t}`)
    assert.ok(m)
    await sleep(40)
  }
  x.send({ action: 'ping' })
  await x.wait((m) => m.type === 'pong')
  x.close()
})

test('a wallet user may hear its bot and the status, not the desk', async () => {
  const x = await new Sub(s, { token: a.token }).open()
  assert.equal((await x.subscribe(['bot'])).type, 'subscribed')
  x.send({ action: 'subscribe', channels: ['opportunities'] })
  await x.wait((m) => m.type === 'error')
  x.close()
})

test("nobody hears another wallet's bot, whatever the filter says", async () => {
  const spy = await new Sub(s, { token: b.token }).open()
  const plain = await new Sub(s, { token: b.token }).open()
  spy.send({ action: 'subscribe', channels: ['bot'], filter: { wallet: a.wallet } })
  await plain.subscribe(['bot'])
  const own = await new Sub(s, { token: a.token }).open()
  await own.subscribe(['bot'])
  ok(await post(s, '/api/bot/enable', { token: a.token }))
  await own.wait((m) => m.channel === 'bot' && m.data?.enabled === true)
  await sleep(300)
  for (const x of [spy, plain]) assert.ok(!JSON.stringify(x.got.filter((m) => m.channel === 'bot' && m.data)).includes(a.wallet))
  for (const x of [spy, plain, own]) x.close()
})

test('a ticket opens one connection, once', async () => {
  const t = ok(await post(s, '/api/v1/ws-ticket', { token: a.token }))
  assert.ok(t.ticket)
  assert.equal(t.expires_in, 30)
  const x = await new Sub(s, { path: `/api/v1/ws?ticket=${t.ticket}` }).open()
  assert.equal((await x.subscribe(['bot'])).type, 'subscribed')
  assert.ok([400, 401, 403, 4001].includes(await refused({ path: `/api/v1/ws?ticket=${t.ticket}` })))
  isError(await post(s, '/api/v1/ws-ticket'), 401)
  x.close()
})

test('one caller cannot fill the table of tickets: 16 within half a minute, and the others still get theirs', async () => {
  const [greedy] = await s.wallets(1)
  const got = await Promise.all(Array.from({ length: 40 }, () => post(s, '/api/v1/ws-ticket', { token: greedy.token })))
  assert.equal(got.filter((r) => r.status === 200).length, 16)
  const late = isError(got.find((r) => r.status !== 200), 429, 'RATE_LIMIT_ERROR')
  assert.ok(Number(late.headers['retry-after']) >= 1)
  const x = await new Sub(s, { path: `/api/v1/ws?ticket=${got.find((r) => r.status === 200).json.ticket}` }).open()
  x.close()
  ok(await post(s, '/api/v1/ws-ticket', { token: c.token }))
})

test('sequence numbers of a channel grow by one', async () => {
  const x = await new Sub(s, { token: c.token }).open()
  await x.subscribe(['bot'])
  for (let i = 0; i < 6; i++) {
    ok(await post(s, `/api/bot/${i % 2 ? 'disable' : 'enable'}`, { token: c.token }))
    await sleep(30)
  }
  await x.wait(() => x.got.filter((m) => m.channel === 'bot' && m.data?.enabled !== undefined).length >= 1)
  const seqs = x.got.filter((m) => m.channel === 'bot' && Number.isInteger(m.seq)).map((m) => m.seq)
  for (let i = 1; i < seqs.length; i++) assert.ok(seqs[i] > seqs[i - 1])
  x.close()
})

test('more than five sockets, or too many messages, of one principal: 4029', async () => {
  const [w] = await s.wallets(1)
  const open = []
  for (let i = 0; i < 5; i++) open.push(await new Sub(s, { token: w.token }).open())
  const sixth = await refused({ token: w.token })
  assert.ok([4029, 429].includes(sixth), `${sixth}`)
  for (let i = 0; i < 80; i++) open[0].send({ action: 'ping' })
  assert.equal(await open[0].closed(), 4029)
  open.forEach((x) => x.close())
})

test('the handshake is strict', async () => {
  const head = (...l) => raw(s.port, `GET /api/v1/ws HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${a.token}\r\n${l.map((x) => `${x}\r\n`).join('')}\r\n`, { idle: 800 })
  const key = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='
  assert.match((await head('Upgrade: websocket', 'Connection: Upgrade', key, 'Sec-WebSocket-Version: 13')).text, /^HTTP\/1\.1 101 [\s\S]*s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=/)
  assert.match((await head('Upgrade: websocket', 'Connection: Upgrade', key, 'Sec-WebSocket-Version: 12')).text, /^HTTP\/1\.1 426/)
  for (const l of [
    ['Upgrade: websocket', 'Connection: Upgrade', 'Sec-WebSocket-Version: 13'],
    ['Upgrade: websocket', 'Connection: Upgrade', 'Sec-WebSocket-Key: c2hvcnQ=', 'Sec-WebSocket-Version: 13'],
    ['Upgrade: h2c', 'Connection: Upgrade', key, 'Sec-WebSocket-Version: 13'],
    [],
  ])
    assert.match((await head(...l)).text, /^HTTP\/1\.1 (400|426)/, l.join())
})

cleanEnd(() => s)
