// The judge itself: it must find a server that acknowledges before it has stored, and stay silent about an honest one.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { judge, startWriter } from '../lib/judge.mjs'
import { ROOT, sleep } from '../lib/stack.mjs'

async function verdict(mode) {
  const file = join(mkdtempSync(join(tmpdir(), 'xorj-fake-')), 'rows')
  const p = spawn(process.execPath, [join(ROOT, 'tests/lib/fake_server.mjs'), mode, file], { stdio: ['ignore', 'pipe', 'inherit'] })
  const port = await new Promise((r) => p.stdout.once('data', (d) => r(String(d).trim())))
  const wallets = Array.from({ length: 20 }, (_, i) => ({ wallet: `wallet${i}`, token: `wallet${i}` }))
  const w = startWriter(`http://127.0.0.1:${port}`, wallets, { pause: 2 })
  await sleep(500)
  p.kill('SIGKILL')
  await sleep(50)
  const notes = await w.stop()
  const audit = existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n').map((l) => JSON.parse(l)) : []
  const state = new Map()
  for (const a of audit) if ((state.get(a.wallet)?.version ?? 0) < a.version) state.set(a.wallet, { enabled: a.enabled, version: a.version })
  assert.ok(notes.statuses[200] > 50, 'the writer got answers')
  return judge(notes, state, audit)
}

test('an honest server killed in the middle: no fault', async () => {
  assert.deepEqual(await verdict('honest'), [])
})
for (const mode of ['early', 'double', 'forget']) {
  test(`a server that is ${mode}: found`, async () => {
    assert.ok((await verdict(mode)).length > 0)
  })
}
