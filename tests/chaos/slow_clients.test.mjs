// 500 slow heads, 100 slow bodies, 100 slow readers: cut in time, and nobody else notices.
import assert from 'node:assert/strict'
import net from 'node:net'
import { test } from 'node:test'
import { get, ok, post } from '../lib/http.mjs'
import { cleanEnd, now, sleep, startStack } from '../lib/stack.mjs'

const s = await startStack({ flavour: 'release', env: { XORJ_LIMITS_ENABLED: 'false', XORJ_HTTP_WRITE_MS: '6000' } })
const [w] = await s.wallets(1)

function slow(first, drip, every, { read = true } = {}) {
  return new Promise((resolve) => {
    const t0 = now()
    let text = ''
    const c = net.connect(s.port, '127.0.0.1', () => c.write(first))
    const timer = setInterval(() => c.writable && drip && c.write(drip), every)
    if (!read) c.pause()
    c.on('data', (d) => (text += d.toString('latin1')))
    c.on('error', () => {})
    c.on('end', () => c.end())
    c.on('close', () => {
      clearInterval(timer)
      resolve({ ms: now() - t0, text })
    })
    setTimeout(() => c.destroy(), 40_000).unref()
  })
}

test('slow heads end at 10 s, slow bodies at 15 s, with 408; the others have p99 under 50 ms', async () => {
  const heads = Array.from({ length: 500 }, () => slow('GET /health HTTP/1.1\r\nHost: x\r\n', 'X-A: b\r\n', 900))
  const bodies = Array.from({ length: 100 }, () => slow(`POST /api/bot/enable HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${w.token}\r\nContent-Type: application/json\r\nContent-Length: 4000\r\n\r\n`, ' ', 900))
  const hungry = `GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n`.repeat(16)
  const readers = Array.from({ length: 100 }, () => slow(hungry, hungry, 900, { read: false }))
  const times = []
  const end = now() + 8000
  while (now() < end) {
    const r = await (times.length % 5 ? get(s, '/api/user/performance', { token: w.token }) : post(s, '/api/bot/enable', { token: w.token }))
    ok(r)
    times.push(r.ms)
    await sleep(5)
  }
  times.sort((a, b) => a - b)
  assert.ok(times[Math.floor(times.length * 0.99)] < 50, `p99 ${times[Math.floor(times.length * 0.99)].toFixed(1)} ms of ${times.length}`)
  const h = await Promise.all(heads)
  const b = await Promise.all(bodies)
  for (const [what, got, at] of [['head', h, 10_000], ['body', b, 15_000]]) {
    for (const r of got) {
      assert.match(r.text, /^HTTP\/1\.1 408 /, `${what}: ${r.text.slice(0, 80)}`)
      assert.ok(Math.abs(r.ms - at) < 3200, `${what} cut after ${r.ms.toFixed(0)} ms (the connection lingers up to 2 s behind the answer)`)
    }
  }
  const r = await Promise.all(readers)
  assert.ok(r.every((x) => x.ms < 30_000), 'readers that take nothing are closed')
  ok(await get(s, '/health'))
})

cleanEnd(() => s)
