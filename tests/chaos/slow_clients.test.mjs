// 500 slow heads, 100 slow bodies, 100 slow readers: cut in time, and nobody else notices.
import assert from 'node:assert/strict'
import net from 'node:net'
import { test } from 'node:test'
import { connect, rows } from '../lib/db.mjs'
import { get, ok, post } from '../lib/http.mjs'
import { cleanEnd, now, sleep, startStack } from '../lib/stack.mjs'

const s = await startStack({ flavour: 'release', env: { XORJ_LIMITS_ENABLED: 'false', XORJ_HTTP_WRITE_MS: '6000' } })
const [w] = await s.wallets(1)
const db = await connect(s)
// A long answer that costs little to make: the cached chart of a wallet with much history.
await rows(db, "insert into vault_valuations select $1, now() - n * interval '1 minute', 1000 + n from generate_series(1, 500) n", [w.wallet])

function slow(first, drip, every, { read = true } = {}) {
  return new Promise((resolve) => {
    const t0 = now()
    let text = ''
    const c = net.connect(s.port, '127.0.0.1', () => c.write(first))
    const timer = setInterval(() => c.writable && drip && c.write(drip), every)
    if (!read) c.pause()
    let answered
    c.on('data', (d) => {
      answered ??= now() - t0
      text += d.toString('latin1')
    })
    c.on('error', () => {})
    c.on('end', () => c.end())
    c.on('close', () => {
      clearInterval(timer)
      resolve({ ms: now() - t0, first: answered, text })
    })
    setTimeout(() => c.destroy(), 40_000).unref()
  })
}

test('slow heads end at 10 s, slow bodies at 15 s, with 408; the others have p99 under 50 ms', async () => {
  const many = async (n, make) => {
    const all = []
    for (let i = 0; i < n; i++) {
      all.push(make())
      if (i % 20 === 19) await sleep(20)
    }
    return all
  }
  const hungry = `GET /api/user/performance?timeRange=30D HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${w.token}\r\n\r\n`.repeat(8)
  const heads = await many(500, () => slow('GET /health HTTP/1.1\r\nHost: x\r\n', 'X-A: b\r\n', 900))
  const bodies = await many(100, () => slow(`POST /api/bot/enable HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${w.token}\r\nContent-Type: application/json\r\nContent-Length: 4000\r\n\r\n`, ' ', 900))
  const readers = await many(100, () => slow(hungry, hungry, 500, { read: false }))
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
      assert.ok(Math.abs(r.first - at) < 1200, `${what}: 408 after ${r.first.toFixed(0)} ms`)
      assert.ok(r.ms < r.first + 3000, 'closed after the linger')
    }
  }
  const r = await Promise.all(readers)
  assert.ok(r.every((x) => x.ms < 30_000), 'readers that take nothing are closed')
  ok(await get(s, '/health'))
})

cleanEnd(() => s)
