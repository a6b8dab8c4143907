// The way down: SIGTERM drains, a second one exits, neither loses an acknowledged write.
import assert from 'node:assert/strict'
import net from 'node:net'
import { test } from 'node:test'
import { answers, get, ok, post } from '../lib/http.mjs'
import { connect, rows } from '../lib/db.mjs'
import { sleep, startStack, until } from '../lib/stack.mjs'
import { Sub } from '../lib/ws.mjs'

const s = await startStack({ env: { XORJ_LIMITS_ENABLED: 'false' } })
const wallets = await s.wallets(40)
const db = await connect(s)

function socket() {
  return new Promise((resolve, reject) => {
    const c = net.connect(s.port, '127.0.0.1', () => resolve(c))
    c.text = ''
    c.ended = false
    c.on('data', (d) => (c.text += d.toString('latin1')))
    c.on('close', () => (c.ended = true))
    c.on('error', reject)
  })
}
async function gone(ms, what) {
  await until(() => !s.alive(), ms, what, 5)
  await until(() => s.serverExit() !== undefined, 2000, 'exit code', 5)
}

test('SIGTERM: requests already read are finished, subscribers get 1001, exit code 0', async () => {
  const sub = await new Sub(s, { token: wallets[0].token }).open()
  await sub.subscribe(['bot'])
  const locker = await connect(s)
  await locker.query('begin')
  await locker.query('insert into bot_states (user_vault_address, is_enabled, version) values ($1, false, 0) on conflict do nothing', [wallets[1].wallet])
  await locker.query('select 1 from bot_states where user_vault_address=$1 for update', [wallets[1].wallet])
  const waiting = post(s, '/api/bot/enable', { token: wallets[1].token }).catch((e) => e)
  const kept = await socket()
  await sleep(100)
  const t0 = performance.now()
  s.signal('SIGTERM')
  await sleep(50)
  const late = await new Promise((resolve) => {
    const c = net.connect(s.port, '127.0.0.1')
    c.on('error', (e) => resolve(e.code))
    c.on('connect', () => {
      c.write('GET /health/ready HTTP/1.1\r\nHost: x\r\n\r\n')
      c.on('data', (d) => resolve(d.toString('latin1').slice(9, 12)))
      c.on('close', () => resolve('closed'))
    })
  })
  assert.ok(['ECONNREFUSED', 'ECONNRESET', 'closed', '503'].includes(late), `new connection: ${late}`)
  kept.write('POST /api/bot/enable HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n')
  await until(() => kept.ended || answers(kept.text).length, 3000, 'open connection answered or closed').catch(() => {})
  if (answers(kept.text).length) assert.equal(answers(kept.text)[0].status, 503)
  await locker.query('commit')
  const r = await waiting
  assert.ok(r.status === 200 || r.status === 503, `the request in flight: ${r.status ?? r}`)
  assert.equal(await sub.closed(9000), 1001)
  await gone(10_000, 'exit within 10 s')
  assert.ok(performance.now() - t0 < 10_000)
  assert.equal(s.serverExit(), 0)
  if (r.status === 200) assert.equal((await rows(db, 'select is_enabled from bot_states where user_vault_address=$1', [wallets[1].wallet]))[0].is_enabled, true)
})

test('under a storm of toggles, no acknowledged one is lost', async () => {
  await s.startServer()
  const acked = new Map()
  let stop = false
  const storm = wallets.slice(2).map(async (w, i) => {
    for (let k = 0; !stop; k++) {
      try {
        const r = await post(s, `/api/bot/${(k + i) % 2 ? 'enable' : 'disable'}`, { token: w.token })
        if (r.status === 200) acked.set(w.wallet, r.json)
        else assert.equal(r.status, 503)
      } catch {
        return
      }
    }
  })
  await sleep(400)
  s.signal('SIGTERM')
  await gone(10_000, 'exit')
  stop = true
  await Promise.all(storm)
  assert.equal(s.serverExit(), 0)
  assert.ok(acked.size > 30)
  for (const [wallet, a] of acked) {
    const [b] = await rows(db, 'select is_enabled, version from bot_states where user_vault_address=$1', [wallet])
    assert.ok(b.version >= a.version)
    if (b.version === a.version) assert.equal(b.is_enabled, a.enabled)
  }
})

test('a second signal ends it within a second', async () => {
  await s.startServer()
  const locker = await connect(s)
  await locker.query('begin')
  await locker.query('select 1 from bot_states where user_vault_address=$1 for update', [wallets[1].wallet])
  const waiting = post(s, '/api/bot/enable', { token: wallets[1].token }).catch((e) => e)
  await sleep(100)
  s.signal('SIGTERM')
  await sleep(150)
  if (s.alive()) s.signal('SIGTERM')
  await gone(1500, 'exit after the second signal')
  await locker.query('rollback')
  await waiting
})

test('SIGHUP keeps the server and its port', async () => {
  await s.startServer()
  s.signal('SIGHUP')
  await sleep(300)
  ok(await get(s, '/health'))
  assert.match(s.log('server'), /reloaded|not reloaded/)
})

test('it starts again and is ready within a second', async () => {
  await s.killServer()
  const t0 = performance.now()
  await s.startServer()
  const took = performance.now() - t0
  assert.ok(took < 2500, `${took.toFixed(0)} ms with the sanitizers`)
  ok(await get(s, '/api/bot/status', { token: wallets[0].token }))
})

test('no sanitizer reported anything on the way down', async () => {
  await s.sh('stop-server')
  assert.equal(s.sanitizerReports(), '')
  assert.equal(s.serverExit(), 0)
})
