// Vector files, each checked by the program made for it. They lie outside the repository and are used where they are.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { SHARED, buildDir } from '../lib/stack.mjs'

const DIR = join(SHARED, 'vectors', 'solana')
const PROGRAM = join(buildDir('asan'), 'tests', 'vectors')
const INDEX = 'INDEX.json'

for (const f of existsSync(DIR) ? readdirSync(DIR).filter((x) => x.endsWith('.json') && x !== INDEX).sort() : []) {
  const kind = f.replace(/\.json$/, '')
  test(`vectors: ${kind}`, () => {
    const r = spawnSync(PROGRAM, [kind, join(DIR, f)], { encoding: 'utf8' })
    assert.match(r.stdout, /^\d+ passed, 0 failed$/m, `${r.stdout.split('\n').slice(-20).join('\n')}${r.stderr}`)
    assert.ok(!/^0 passed/m.test(r.stdout), 'something was checked')
    assert.equal(r.status, 0)
  })
}
test('the program refuses what it does not know', () => {
  const r = spawnSync(PROGRAM, ['nonsense', '/dev/null'], { encoding: 'utf8' })
  assert.notEqual(r.status, 0)
  assert.equal(r.signal, null)
})
