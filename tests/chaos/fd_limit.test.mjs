// 128 descriptors, 500 connects: who is in stays well served, and nothing spins.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import http from 'node:http'
import net from 'node:net'
import { test } from 'node:test'
import { get, ok, post } from '../lib/http.mjs'
import { cleanEnd, now, sleep, startStack, until } from '../lib/stack.mjs'

const s = await startStack({ nofile: 128, env: { XORJ_LIMITS_ENABLED: 'false' } })
const [w] = await s.wallets(1)
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
const cpu = () => {
  const f = readFileSync(`/proc/${s.pid}/stat`, 'utf8').split(') ')[1].split(' ')
  return (Number(f[11]) + Number(f[12])) * 10
}

test('existing connections are served with p99 under 50 ms and the process idles while 500 others knock', async () => {
  ok(await get(s, '/health', { agent }))
  ok(await post(s, '/api/bot/enable', { token: w.token, agent }))
  const crowd = Array.from({ length: 500 }, () => net.connect(s.port, '127.0.0.1').on('error', () => {}))
  await sleep(700)
  const c0 = cpu()
  const t0 = now()
  await sleep(2000)
  const idle = (cpu() - c0) / (now() - t0)
  assert.ok(idle < 0.2, `CPU ${(idle * 100).toFixed(1)} % while nobody asks anything`)
  const times = []
  for (let i = 0; i < 300; i++) {
    const r = await get(s, i % 3 ? '/api/bot/status' : '/health', { token: w.token, agent })
    ok(r)
    times.push(r.ms)
  }
  times.sort((a, b) => a - b)
  assert.ok(times[Math.floor(times.length * 0.99)] < 50, `p99 ${times[Math.floor(times.length * 0.99)].toFixed(1)} ms`)
  ok(await post(s, '/api/bot/disable', { token: w.token, agent }))
  assert.ok(readFileSync(`/proc/${s.pid}/limits`, 'utf8').match(/Max open files\s+128/))
  crowd.forEach((c) => c.destroy())
})

test('when they are gone, everybody is welcome again', async () => {
  await until(async () => (await get(s, '/health', { agent: new http.Agent(), timeout: 1000 })).status === 200, 5000, 'a new connection')
  await s.sh('redis-kill')
  await s.sh('redis-start')
  ok(await post(s, '/api/bot/enable', { token: w.token, agent }))
  agent.destroy()
})

cleanEnd(() => s)
