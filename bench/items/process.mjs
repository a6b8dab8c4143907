// P13, P14, P15: memory, the start, and what grows with the number of connections.
import crypto from 'node:crypto'
import fs from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import { B, freshServer, load, median, rssBytes, say, sleep, stop } from '../lib/common.mjs'
import { READ } from './http.mjs'
import { fanout } from './live.mjs'
import { plot } from '../lib/plot.mjs'

async function openSockets(n, to, hello, done) {
  const [host, port] = to.split(':')
  const out = []
  for (let i = 0; i < n; i += 100) {
    await Promise.all(Array.from({ length: Math.min(100, n - i) }, () => new Promise((res, rej) => {
      const s = net.connect({ host, port: Number(port) }, () => s.write(hello))
      let text = ''
      s.on('data', (d) => { if (text.length < 4096) text += d.toString('latin1'); if (done(text)) res() })
      s.on('error', rej)
      out.push(s)
    })))
  }
  return out
}

export async function p13(ctx) {
  const N = 1000, server = await freshServer(ctx.stack, { XORJ_WS_PER_PRINCIPAL: '20000', XORJ_LIMITS_ENABLED: 'false' })
  const idle = rssBytes(server.pid)
  const http = await openSockets(N, server.to, 'GET /health HTTP/1.1\r\nHost: x\r\n\r\n', (t) => t.includes('\r\n\r\n'))
  await sleep(300)
  const conn = (rssBytes(server.pid) - idle) / N
  http.forEach((s) => s.destroy())
  await sleep(500)
  const base = rssBytes(server.pid), key = crypto.randomBytes(16).toString('base64')
  const sub = Buffer.from('{"action":"subscribe","channels":["opportunities"]}'), mask = Buffer.from([1, 2, 3, 4])
  const frame = Buffer.concat([Buffer.from([0x81, 0x80 | sub.length]), mask, Buffer.from(sub.map((b, i) => b ^ mask[i % 4]))])
  const ws = await openSockets(N, server.to, `GET /api/v1/ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: ${key}\r\nSec-WebSocket-Version: 13\r\nAuthorization: Bearer ${ctx.viewer}\r\n\r\n`, (t) => t.startsWith('HTTP/1.1 101'))
  ws.forEach((s) => s.write(frame))
  await sleep(700)
  // Memory of the closed connections is used again, so a subscriber's share is the larger of both readings.
  const each = Math.max((rssBytes(server.pid) - base) / N, (rssBytes(server.pid) - idle) / N)
  ws.forEach((s) => s.destroy())
  await stop(server.child)
  const kb = (b) => `${(b / 1024).toFixed(1)} KB`
  return [{ id: 'P13', what: 'memory: idle process (no feeds) / keep-alive connection / subscriber', ours: `${(idle / 1048576).toFixed(1)} MB / ${kb(conn)} / ${kb(each)}`, peer: '-', ratio: null, target: '< 20 MB / 4 KB / 8 KB', ok: idle < 20 * 1048576 && conn < 4096 && each < 8192, errors: 0 }]
}

export async function p14(ctx) {
  const ms = []
  for (let i = 0; i < ctx.rounds * 2; i++) {
    const s = await freshServer(ctx.stack)
    ms.push(s.ready_ms)
    await stop(s.child)
  }
  const v = median(ms)
  return [{ id: 'P14', what: 'start of the process to /health/ready 200, warm database', ours: `${v.toFixed(0)} ms`, peer: '-', ratio: null, target: '< 200 ms', ok: v < 200, errors: 0, rounds: ms }]
}

const STEPS = [100, 1000, 10000], RATE = 10000

/** The same 10,000 requests a second from ever more connections, and one message to ever more subscribers. */
export async function p15(ctx) {
  const rows = []
  for (const n of STEPS) {
    const server = await freshServer(ctx.stack, { XORJ_LIMITS_ENABLED: 'false', XORJ_HTTP_CONNS_MAX: '14000' })
    await load(server.to, ['--conns', 100, '--seconds', 1, '--tokens', ctx.tokens, ...READ])
    const base = rssBytes(server.pid), out = []
    for (let i = 0; i < Math.min(3, ctx.rounds); i++) out.push(await load(server.to, ['--conns', n, '--rate', RATE, '--seconds', ctx.seconds, '--pid', server.pid, '--tokens', ctx.tokens, ...READ]))
    const memory = (rssBytes(server.pid) - base) / n
    await stop(server.child)
    const sub = ctx.fanouts?.find((f) => f.n === n) ?? (await fanout(ctx, n))
    rows.push({ n, cpu_us: median(out.map((r) => r.cpu_us)), p99_ms: median(out.map((r) => r.p99_us)) / 1e3, memory_kb: memory / 1024, errors: out.reduce((s, r) => s + r.errors, 0), sub_cpu_us: sub.cpu_us, sub_ms: sub.published_to_last_ms })
    say(`  P15 ${n}: ${rows.at(-1).cpu_us.toFixed(2)} us per request, p99 ${rows.at(-1).p99_ms.toFixed(2)} ms, ${sub.cpu_us.toFixed(2)} us per subscriber`)
  }
  const svg = path.join(B, 'bench-growth.svg')
  fs.writeFileSync(svg, plot('Cost from 100 to 10,000 connections', STEPS, [
    { name: 'CPU per request, us', values: rows.map((r) => r.cpu_us) },
    { name: 'p99 at 10,000 requests/s, ms', values: rows.map((r) => r.p99_ms) },
    { name: 'memory each connection, KB', values: rows.map((r) => Math.max(0, r.memory_kb)) },
    { name: 'CPU per message and subscriber, us', values: rows.map((r) => r.sub_cpu_us) },
    { name: 'publication to the last socket, ms', values: rows.map((r) => r.sub_ms) },
  ]))
  const ratio = Math.max(...rows.map((r) => r.cpu_us)) / rows[0].cpu_us, errors = rows.reduce((s, r) => s + r.errors, 0)
  return [{ id: 'P15', what: `CPU per request from 100 to 1,000 to 10,000 connections at ${RATE}/s; plot: ${path.relative(process.cwd(), svg)}`, ours: rows.map((r) => `${r.cpu_us.toFixed(2)} us p99 ${r.p99_ms.toFixed(1)} ms`).join(' / '), peer: '-', ratio, target: '<= 1.3', ok: ratio <= 1.3 && !errors, errors, rounds: rows }]
}
