// SIGKILL of PostgreSQL, and backends ended at random: nothing acknowledged is lost or doubled, only 503 meanwhile.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connect, rows } from '../lib/db.mjs'
import { post } from '../lib/http.mjs'
import { judge, startWriter, stored } from '../lib/judge.mjs'
import { sleep, startStack, until } from '../lib/stack.mjs'

const SECONDS = Number(process.env.SECONDS || 0)
const ROUNDS = Math.max(5, Math.floor(SECONDS / 12))
const CUTS = Math.max(50, SECONDS)
const s = await startStack({ env: { XORJ_LIMITS_ENABLED: 'false' } })
const extra = await s.wallets(1)

async function settle(w) {
  await sleep(300)
  const notes = await w.stop()
  const db = await connect(s)
  const { state, audit } = await stored(db)
  assert.deepEqual(judge(notes, state, audit.filter((a) => /^w\d+-t\d+$/.test(a.id))), [])
  assert.deepEqual(Object.keys(notes.statuses).filter((k) => !['200', '503'].includes(k)), [], `only 200 and 503: ${JSON.stringify(notes.statuses)}`)
  assert.deepEqual(await rows(db, 'select * from audit_verify()'), [])
}
const writesAgain = async () => (await post(s, '/api/bot/enable', { token: extra[0].token })).status === 200

test(`${ROUNDS} kills of PostgreSQL: 0 lost, 0 doubled, writes within 2 s of its return`, async () => {
  const w = startWriter(s.url, await s.wallets(16))
  for (let i = 0; i < ROUNDS; i++) {
    const before = w.count('A')
    await until(() => w.count('A') > before + 30, 15_000, 'writes go on')
    await s.sh('pg-kill')
    await sleep(300)
    await s.sh('pg-start')
    const t0 = performance.now()
    await until(writesAgain, 8000, 'writes again', 20)
    assert.ok(performance.now() - t0 < 2300, `round ${i}: ${(performance.now() - t0).toFixed(0)} ms after its return`)
  }
  await settle(w)
  // A kill between two batches with a quick return is waited out: nobody need be told 503.
  const lost = s.log('server').match(/ pg writer connection lost/g) ?? []
  assert.ok(lost.length >= ROUNDS, `each kill was felt: ${lost.length}`)
})

test(`${CUTS} backends terminated at random: 0 lost, 0 doubled`, async () => {
  const admin = await connect(s, { admin: true })
  const w = startWriter(s.url, await s.wallets(16))
  await until(() => w.count('A') > 20, 10_000, 'writes go on')
  for (let i = 0; i < CUTS; i++) {
    await rows(admin, "select pg_terminate_backend(pid) from pg_stat_activity where usename='xorj' and pid <> pg_backend_pid() order by random() limit 1")
    await sleep(15 + ((i * 13) % 40))
  }
  await until(writesAgain, 8000, 'writes again')
  await settle(w)
})

test('no sanitizer reported anything', async () => {
  await s.sh('stop-server')
  assert.equal(s.sanitizerReports(), '')
  assert.equal(s.serverExit(), 0)
})
