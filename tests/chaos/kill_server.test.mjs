// SIGKILL of the server in the middle of writing: nothing acknowledged is lost, nothing happens twice.
// Killing a process is not cutting the power: against that stand PostgreSQL's own settings and the disk.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connect } from '../lib/db.mjs'
import { get, ok, post } from '../lib/http.mjs'
import { judge, startWriter, stored } from '../lib/judge.mjs'
import { sleep, startStack, until } from '../lib/stack.mjs'

const SECONDS = Number(process.env.SECONDS || 0)
const KILLS = Math.max(25, Math.floor(SECONDS / 2))
const s = await startStack({ flavour: 'release', env: { XORJ_LIMITS_ENABLED: 'false' } })
const db = await connect(s)

test('200 toggles from 100 wallets, SIGKILL in the middle, restart: every acknowledged state is there, the audit matches', async () => {
  const wallets = await s.wallets(100)
  const acked = []
  const jobs = wallets.flatMap((w) => ['enable', 'disable'].map((verb) => post(s, `/api/bot/${verb}`, { token: w.token }).then((r) => r.status === 200 && acked.push({ w, r: r.json }), () => {})))
  await until(() => acked.length >= 20, 3000, 'first acknowledgements', 0)
  await s.killServer()
  await Promise.all(jobs)
  await s.startServer()
  const { state, audit } = await stored(db)
  for (const { w, r } of acked) {
    const rows = audit.filter((a) => a.wallet === w.wallet && a.version === r.version)
    assert.equal(rows.length, 1)
    assert.equal(rows[0].enabled, r.enabled)
    const b = ok(await get(s, '/api/bot/status', { token: w.token }))
    const last = audit.filter((a) => a.wallet === w.wallet).at(-1)
    assert.equal(b.enabled, last.enabled)
    assert.equal(state.get(w.wallet).version, last.version)
  }
})

test(`${KILLS} kills under a steady writer: acknowledged lost 0, doubled 0, ready within a second`, async () => {
  const wallets = await s.wallets(32)
  const w = startWriter(s.url, wallets)
  const ready = []
  for (let i = 0; i < KILLS; i++) {
    const before = w.count('A')
    await until(() => w.count('A') > before + 50, 10_000, 'writes go on', 10)
    await sleep((i * 37) % 120)
    await s.killServer()
    const t0 = performance.now()
    await s.startServer()
    ready.push(performance.now() - t0)
  }
  await sleep(200)
  const notes = await w.stop()
  const { state, audit } = await stored(db)
  assert.deepEqual(judge(notes, state, audit.filter((a) => /^w\d+-t\d+$/.test(a.id))), [])
  assert.ok(notes.statuses[200] > KILLS * 50)
  assert.deepEqual(Object.keys(notes.statuses).filter((k) => !['200', '503', 'lost'].includes(k)), [], JSON.stringify(notes.statuses))
  ready.sort((a, b) => a - b)
  assert.ok(ready[Math.floor(ready.length / 2)] < 1000, `ready after ${ready.map((x) => x.toFixed(0))} ms, the start script included`)
  console.log(`# ${KILLS} kills, ${JSON.stringify(notes.statuses)}, ready p50 ${ready[Math.floor(ready.length / 2)].toFixed(0)} ms`)
})

test('the audit chain verifies after all that', async () => {
  assert.deepEqual((await db.query('select * from audit_verify()')).rows, [])
})
