// 100 subscribers that never read, full to the brim, beside 20 that do: the 20 must not notice.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import net from 'node:net'
import { test } from 'node:test'
import { get, ok, post } from '../lib/http.mjs'
import { cleanEnd, sleep, startStack, until } from '../lib/stack.mjs'
import { Sub } from '../lib/ws.mjs'

const SLOW = Number(process.env.SLOW || 100)
const FAST = 20
const TOGGLES = 600
const s = await startStack({ flavour: 'release', env: { XORJ_LIMITS_ENABLED: 'false', XORJ_WS_PER_PRINCIPAL: '10000' } })
const [w] = await s.wallets(1)
const viewer = await s.role('viewer')
const filter = { wallet: w.wallet }

/** A client frame with the mask 0000, which leaves the text as it is. */
function frame(text) {
  const p = Buffer.from(text)
  const head = p.length < 126 ? Buffer.from([0x81, 0x80 | p.length]) : Buffer.from([0x81, 0xfe, p.length >> 8, p.length & 255])
  return Buffer.concat([head, Buffer.alloc(4), p])
}

function deaf() {
  return new Promise((resolve, reject) => {
    const c = net.connect(s.port, '127.0.0.1', () =>
      c.write(`GET /api/v1/ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\nAuthorization: Bearer ${viewer}\r\n\r\n`))
    c.on('error', reject)
    c.once('data', (d) => {
      if (!d.toString('latin1').startsWith('HTTP/1.1 101')) return reject(new Error(d.toString('latin1')))
      c.pause()
      c.write(frame(JSON.stringify({ action: 'subscribe', channels: ['bot', 'opportunities', 'status', 'connectors'], filter })))
      resolve(c)
    })
  })
}

let on = false
const toggle = () => post(s, `/api/bot/${(on = !on) ? 'enable' : 'disable'}`, { token: w.token }).then(ok)
const wall = () => performance.timeOrigin + performance.now()
const p99 = (a) => a.sort((x, y) => x - y)[Math.floor(a.length * 0.99)]

/** p99 of the time from a publication's stamp to its arrival, over all who listen. */
async function measure(subs) {
  const late = []
  for (const f of subs) f.heard = (m) => m.channel === 'bot' && m.type === 'changed' && late.push(wall() - Date.parse(m.ts.slice(0, 23) + 'Z'))
  for (let i = 0; i < TOGGLES; i++) {
    await toggle()
    await sleep(2)
  }
  await sleep(50)
  for (const f of subs) f.heard = undefined
  assert.ok(late.length >= 0.9 * TOGGLES * FAST, `${late.length} arrived`)
  return p99(late)
}

test(`R18: ${SLOW} subscribers that never read do not delay the others`, { timeout: 120_000 }, async (t) => {
  const subs = await Promise.all(Array.from({ length: FAST }, () => new Sub(s, { token: viewer }).open()))
  for (const f of subs) {
    await f.subscribe(['bot'], { filter })
    f.ws.removeAllListeners('message')
    f.ws.on('message', (d) => f.heard?.(JSON.parse(d.toString())))
  }
  await measure(subs)
  const without = [], beside = []
  for (let round = 0; round < 3; round++) {
    without.push(await measure(subs))
    const slow = []
    for (let i = 0; i < SLOW; i++) slow.push(await deaf())
    await until(async () => (await get(s, '/metrics')).text.includes(`xorj_ws_subscribers ${SLOW + FAST}\n`), 5000, 'all subscribed')
    for (let i = 0; i < 3000; i += 20) await Promise.all(Array.from({ length: 20 }, toggle))
    beside.push(await measure(subs))
    slow.forEach((c) => c.destroy())
    await until(async () => (await get(s, '/metrics')).text.includes(`xorj_ws_subscribers ${FAST}\n`), 5000, 'all gone')
  }
  const [a, b] = [without, beside].map((l) => l.sort((x, y) => x - y)[1])
  const conflated = Number(/^xorj_ws_conflated_total (\d+)/m.exec((await get(s, '/metrics')).text)[1])
  t.diagnostic(`p99 ${a.toFixed(2)} ms without, ${b.toFixed(2)} ms beside them; ${conflated} states conflated`)
  assert.ok(conflated > 0, 'they were full')
  assert.ok(b <= Math.max(2 * a, 3), `p99 ${a.toFixed(2)} ms without, ${b.toFixed(2)} ms beside them`)
  subs.forEach((f) => f.close())
})

cleanEnd(() => s)
