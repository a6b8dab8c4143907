// SIGTERM under a steady writer, again and again: exit code 0, nothing acknowledged lost, nothing but 200 and 503 said.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connect } from '../lib/db.mjs'
import { judge, startWriter, stored } from '../lib/judge.mjs'
import { sleep, startStack, until } from '../lib/stack.mjs'

const STOPS = Math.max(10, Math.floor(Number(process.env.SECONDS || 0) / 6))
const s = await startStack({ env: { XORJ_LIMITS_ENABLED: 'false' } })

test(`${STOPS} graceful stops: 0 lost, exit code 0 within 10 s`, async () => {
  const w = startWriter(s.url, await s.wallets(24))
  for (let i = 0; i < STOPS; i++) {
    const before = w.count('A')
    await until(() => w.count('A') > before + 40, 10_000, 'writes go on')
    await sleep((i * 31) % 90)
    const t0 = performance.now()
    s.signal('SIGTERM')
    await until(() => !s.alive(), 10_000, 'exit within 10 s', 5)
    await until(() => s.serverExit() !== undefined, 2000, 'exit code', 5)
    assert.equal(s.serverExit(), 0, `stop ${i}: ${s.log('server').split('\n').slice(-8).join('\n')}`)
    assert.ok(performance.now() - t0 < 10_000)
    await s.startServer()
  }
  await sleep(200)
  const notes = await w.stop()
  const db = await connect(s)
  const { state, audit } = await stored(db)
  assert.deepEqual(judge(notes, state, audit), [])
  assert.deepEqual(Object.keys(notes.statuses).filter((k) => !['200', '503', 'lost'].includes(k)), [])
  assert.equal(s.sanitizerReports(), '')
})
