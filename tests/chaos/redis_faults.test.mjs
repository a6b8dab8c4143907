// Redis killed, flushed, frozen, cut, talking nonsense, answering late: slower reads at most, no wrong admission, no 5xx
// beyond the first second. The server reaches Redis through a small proxy that plays the faults.
import assert from 'node:assert/strict'
import net from 'node:net'
import { test } from 'node:test'
import Redis from 'ioredis'
import { connect, rows } from '../lib/db.mjs'
import { get, isError, ok, post } from '../lib/http.mjs'
import { now, sleep, startStack, until } from '../lib/stack.mjs'
import { Wallet } from '../lib/wallet.mjs'

const ROUNDS = Math.max(2, Math.floor(Number(process.env.SECONDS || 0) / 30))
let target = 0
let mode = 'pass'
const open = new Set()
const proxy = net.createServer((c) => {
  open.add(c)
  const up = net.connect(target, '127.0.0.1')
  c.on('error', () => {}).on('close', () => (open.delete(c), up.destroy()))
  up.on('error', () => c.destroy()).on('close', () => c.destroy())
  c.on('data', (d) => mode !== 'mute' && up.write(d))
  up.on('data', (d) => {
    if (mode === 'pass') c.write(d)
    else if (mode === 'late') setTimeout(() => c.writable && c.write(d), 400)
    else if (mode === 'garbage') c.write(Buffer.from('!!not redis at all\r\n\x00\xff'))
    else if (mode === 'wrong') c.write(':1\r\n$-1\r\n*2\r\n+OK\r\n:7\r\n')
    else if (mode === 'lie') c.write('$46\r\n{"wallet":"11111111111111111111111111111111"}\r\n')
    else if (mode === 'huge') c.write('$999999999999\r\n')
    else if (mode === 'halves') c.write(d.subarray(0, Math.max(1, d.length >> 1)))
  })
})
await new Promise((r) => proxy.listen(0, '127.0.0.1', r))
const s = await startStack({ redisPort: proxy.address().port, env: { XORJ_LIMITS_ENABLED: 'false', XORJ_CACHE_SESSION_TTL_MS: '100', XORJ_CACHE_PERF_TTL_MS: '200' } }).catch((e) => {
  proxy.close()
  throw e
})
target = Number(new URL(s.env.REDIS_URL).port)
const db = await connect(s)
const wallets = await s.wallets(6)
const redis = new Redis(s.env.REDIS_URL, { lazyConnect: true, retryStrategy: (n) => Math.min(n * 50, 500) })
redis.on('error', () => {})
test.after(() => {
  redis.disconnect()
  open.forEach((c) => c.destroy())
  proxy.close()
})

const healthy = () => until(async () => ok(await get(s, '/health/ready')).checks?.redis, 10_000, 'Redis seen')
const faults = {
  killed: [() => s.sh('redis-kill'), () => s.sh('redis-start')],
  flushed: [() => redis.flushall(), () => {}],
  frozen: [() => process.kill(Number(s.env.REDIS_PID), 'SIGSTOP'), () => process.kill(Number(s.env.REDIS_PID), 'SIGCONT')],
  'cut at random': [() => ((mode = 'pass'), open.forEach((c) => c.destroy())), () => {}],
  mute: [() => (mode = 'mute'), () => (mode = 'pass')],
  late: [() => (mode = 'late'), () => (mode = 'pass')],
  'talking nonsense': [() => (mode = 'garbage'), () => (mode = 'pass')],
  'answering the wrong thing': [() => (mode = 'wrong'), () => (mode = 'pass')],
  'lying about sessions': [() => (mode = 'lie'), () => (mode = 'pass')],
  'announcing gigabytes': [() => (mode = 'huge'), () => (mode = 'pass')],
  'sending halves': [() => (mode = 'halves'), () => (mode = 'pass')],
}

// What must hold while Redis is ill: own data only, revoked and used things stay so, no 5xx beyond the first second.
async function rules(used, usedWallet, revoked) {
  const t0 = now()
  let errors = 0
  while (now() - t0 < 1500) {
    const w = wallets[Math.floor(now()) % wallets.length]
    const got = await Promise.all([
      get(s, '/api/user/performance', { token: w.token }),
      get(s, '/api/bot/status', { token: w.token }),
      post(s, '/api/bot/enable', { token: w.token }),
      get(s, '/api/bot/status', { token: revoked.token }),
      usedWallet.authenticate(s, used),
      get(s, '/health'),
    ])
    const late = now() - t0 > 1000
    got.slice(0, 3).forEach((r) => {
      if (r.status >= 500) errors++
      assert.ok(r.status === 200 || (r.status >= 500 && !late), `${r.status} at ${(now() - t0).toFixed(0)} ms: ${r.text.slice(0, 120)}`)
      assert.ok(r.ms < 2000, `answer after ${r.ms.toFixed(0)} ms`)
    })
    assert.equal(got[3].status, 401, 'a revoked session is not let in')
    assert.ok(got[4].status === 401 || got[4].status === 503, `a used nonce does not pass: ${got[4].status}`)
    assert.equal(got[5].status, 200)
  }
  return errors
}

for (const [name, [begin, end]] of Object.entries(faults)) {
  test(`Redis ${name}: ${ROUNDS} rounds, no wrong admission, no lasting error`, async () => {
    for (let i = 0; i < ROUNDS; i++) {
      const u = new Wallet()
      const c = await u.challenge(s)
      ok(await u.authenticate(s, c.message))
      const [revoked] = await s.wallets(1)
      ok(await get(s, '/api/bot/status', { token: revoked.token }))
      await rows(db, 'update sessions set revoked_at=now() where wallet=$1', [revoked.wallet])
      await sleep(150)
      try {
        await begin()
        await rules(c.message, u, revoked)
        ok(await new Wallet().signIn(s).then((r) => ({ status: 200, headers: { 'content-type': 'application/json' }, json: r })))
      } finally {
        await end()
      }
      await healthy()
      isError(await u.authenticate(s, c.message), 401)
    }
  })
}

test('writes done while Redis was away are what everybody reads afterwards', async () => {
  const [w] = await s.wallets(1)
  ok(await get(s, '/api/bot/status', { token: w.token }))
  await s.sh('redis-kill')
  ok(await post(s, '/api/bot/enable', { token: w.token }))
  await s.sh('redis-start')
  await healthy()
  assert.equal(ok(await get(s, '/api/bot/status', { token: w.token })).enabled, true)
})

test('no sanitizer reported anything', async () => {
  await s.sh('stop-server')
  assert.equal(s.sanitizerReports(), '')
  assert.equal(s.serverExit(), 0)
})
