// Server time by route as a caller sees it, at fixed rates (open model, so waiting is not hidden), sign-in, and memory over a
// million requests.
import { generateKeyPairSync, sign } from 'node:crypto'
import http from 'node:http'
import { load, median, rssBytes, say, sleep } from '../lib/common.mjs'

const RATE = 2000, SIGNINS = 50
const ROUTES = {
  'bot/status': '/api/bot/status',
  'fast/status': '/api/fast/status?walletAddress=%W',
  'fast/settings': '/api/fast/settings?walletAddress=%W',
  'fast/transactions': '/api/fast/transactions?walletAddress=%W',
  'user/performance': '/api/user/performance?walletAddress=%W&timeRange=30D',
}

/** R1: each fast route and the bot's status at 2,000 requests a second. */
export async function r1(ctx) {
  const out = []
  for (const [name, path] of Object.entries(ROUTES)) {
    const rows = []
    await load(ctx.to, ['--conns', 50, '--seconds', 1, '--rate', RATE, '--tokens', ctx.tokens, '--get', path])
    for (let i = 0; i < ctx.rounds; i++) rows.push(await load(ctx.to, ['--conns', 50, '--seconds', ctx.seconds, '--rate', RATE, '--tokens', ctx.tokens, '--get', path], { pids: [ctx.stack.pid] }))
    const p95 = median(rows.map((r) => r.p95_us)) / 1e3, errors = rows.reduce((n, r) => n + r.errors, 0)
    say(`  R1 ${name}: p95 ${p95.toFixed(2)} ms`)
    out.push({ id: 'R1', what: `GET /api/${name} at ${RATE} requests a second: p95, p99, CPU each`, ours: `${p95.toFixed(2)} ms, ${(median(rows.map((r) => r.p99_us)) / 1e3).toFixed(2)} ms, ${median(rows.map((r) => r.cpu_us)).toFixed(1)} us`, peer: '-', ratio: null, target: '< 1 ms', ok: p95 < 1 && !errors, errors })
  }
  return out
}

const B58 = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'
function base58(bytes) {
  let n = BigInt(`0x${bytes.toString('hex')}`), s = ''
  for (; n > 0n; n /= 58n) s = B58[Number(n % 58n)] + s
  for (const b of bytes) { if (b) break; s = `1${s}` }
  return s
}

function ask(agent, to, method, path, body) {
  const [host, port] = to.split(':'), data = body && JSON.stringify(body)
  return new Promise((resolve, reject) => {
    const t0 = performance.now()
    const req = http.request({ agent, host, port, method, path, headers: data ? { 'content-type': 'application/json', 'content-length': Buffer.byteLength(data) } : {} }, (res) => {
      let text = ''
      res.setEncoding('utf8').on('data', (d) => (text += d)).on('end', () => resolve({ status: res.statusCode, json: JSON.parse(text), ms: performance.now() - t0 }))
    })
    req.on('error', reject)
    req.end(data)
  })
}

async function signIn(agent, to, key) {
  const c = await ask(agent, to, 'GET', `/api/auth/challenge?wallet_address=${key.address}`)
  const signature = sign(null, Buffer.from(c.json.message), key.privateKey).toString('base64')
  return ask(agent, to, 'POST', '/api/auth/authenticate', { wallet_address: key.address, signature, message: c.json.message })
}

/** R2: sign-ins of wallets never seen before, 50 a second, each due at its time whatever became of those before. */
export async function r2(ctx) {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 100 }), n = SIGNINS * Math.max(3, ctx.seconds) * 2
  const keys = Array.from({ length: n }, () => {
    const { publicKey, privateKey } = generateKeyPairSync('ed25519')
    return { privateKey, address: base58(publicKey.export({ type: 'spki', format: 'der' }).subarray(-32)) }
  })
  const begin = performance.now(), all = []
  for (let i = 0; i < n; i++) {
    await sleep(Math.max(0, begin + (i * 1000) / SIGNINS - performance.now()))
    all.push(signIn(agent, ctx.to, keys[i]))
  }
  const done = await Promise.all(all), ms = done.map((d) => d.ms).sort((a, b) => a - b), errors = done.filter((d) => d.status !== 200).length
  agent.destroy()
  const p = (q) => ms[Math.min(n - 1, Math.floor(n * q))]
  return [{ id: 'R2', what: `POST /api/auth/authenticate, new wallets, ${SIGNINS} a second: p95, p99`, ours: `${p(0.95).toFixed(1)} ms, ${p(0.99).toFixed(1)} ms`, peer: '-', ratio: null, target: '< 20 ms', ok: p(0.95) < 20 && !errors, errors }]
}

/** R3: resident memory after 100,000 and after 1,100,000 requests, reads and durable writes. */
export async function r3(ctx) {
  const go = (n) => load(ctx.to, ['--conns', 100, '--requests', n, '--seconds', 300, '--tokens', ctx.tokens, ...Object.values(ROUTES).flatMap((p) => ['--get', p]), '--post', '/api/bot/enable', '--post', '/api/bot/disable', '--mix', 80])
  const first = await go(100_000), before = rssBytes(ctx.stack.pid), rest = await go(1_000_000), after = rssBytes(ctx.stack.pid), errors = first.errors + rest.errors
  return [{ id: 'R3', what: 'resident memory after 100,000 and after a million more requests', ours: `${(before / 1048576).toFixed(1)} MB, ${(after / 1048576).toFixed(1)} MB`, peer: '-', ratio: null, target: 'flat (within 1 MB)', ok: after - before < 1048576 && !errors, errors }]
}
