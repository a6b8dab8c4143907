// A session that ends while its socket is still being opened: the request was let in, and then waits for the count that two
// servers share in Redis. They reach Redis through a small proxy that holds answers back.
import assert from 'node:assert/strict'
import net from 'node:net'
import { after, test } from 'node:test'
import { get, ok, post } from '../lib/http.mjs'
import { startReplica } from '../lib/replica.mjs'
import { cleanEnd, now, sleep, startStack, until } from '../lib/stack.mjs'
import { Sub } from '../lib/ws.mjs'

let target = 0
let held = null
const open = new Set()
const proxy = net.createServer((c) => {
  const up = net.connect(target, '127.0.0.1')
  open.add(c)
  c.on('error', () => {}).on('close', () => (open.delete(c), up.destroy()))
  up.on('error', () => c.destroy()).on('close', () => c.destroy())
  c.on('data', (d) => up.write(d))
  up.on('data', (d) => (held ? held.push(() => c.writable && c.write(d)) : c.write(d)))
})
await new Promise((r) => proxy.listen(0, '127.0.0.1', r))
after(() => {
  open.forEach((c) => c.destroy())
  proxy.close()
})
const release = () => {
  const all = held ?? []
  held = null
  all.forEach((f) => f())
}
const s = await startStack({ redisPort: proxy.address().port, env: { XORJ_REDIS_COMMAND_MS: '2000', XORJ_LIMITS_WS_PER_MIN: '16' } }).catch((e) => {
  proxy.close()
  throw e
})
target = Number(new URL(s.env.REDIS_URL).port)
const b = await startReplica(s)
after(() => b.stop('SIGKILL'))

test('logged out between the door and the socket: it does not stay open', async () => {
  await until(async () => / 1$/m.test(/^xorj_bus_others .*/m.exec((await get(s, '/metrics')).text)?.[0]), 5000, 'they know of each other')
  for (const w of await s.wallets(4)) {
    for (let i = 0; i < 6; i++) (await new Sub(s, { token: w.token }).open()).close() // past a quarter of the allowance the count is waited for
    held = []
    const x = new Sub(s, { token: w.token })
    await until(() => held.length > 0, 2000, 'Redis is asked', 2)
    await sleep(20)
    assert.equal(x.code ?? x.status, undefined, 'the socket waits')
    const out = post(s, '/api/auth/logout', { token: w.token })
    const done = await Promise.race([out.then(() => true), sleep(400).then(() => false)])
    const t0 = now()
    release()
    if (!done) await out
    ok(await out)
    if (await x.opened) assert.equal(await x.closed(3000), 4001, 'session ended')
    assert.ok(now() - t0 < 3000)
    assert.ok(x.code !== undefined || x.status === 401)
  }
})

cleanEnd(() => s)
