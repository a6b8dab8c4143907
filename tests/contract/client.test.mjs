// A client generated from the served description compiles under the strictest checks, refuses wrong programs, and works.
import assert from 'node:assert/strict'
import { copyFileSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { get, ok } from '../lib/http.mjs'
import { ROOT, cleanEnd, startStack } from '../lib/stack.mjs'
import { npm, run } from '../lib/tools.mjs'

const tool = npm('client', ['openapi-typescript@7.13.0', 'openapi-fetch@0.17.0', 'typescript@5.9.3', '@types/node@20.19.0'])
const skip = tool.missing || false
const s = skip ? null : await startStack()
const dir = s && join(s.dir, 'client')
const bin = (name) => join(tool.dir, 'node_modules', '.bin', name)
const tsc = (...files) =>
  run(bin('tsc'), ['--strict', '--exactOptionalPropertyTypes', '--noUncheckedIndexedAccess', '--skipLibCheck', '--module', 'esnext', '--moduleResolution', 'bundler', '--target', 'es2022',
                   '--lib', 'es2022,dom', '--types', 'node', '--outDir', join(dir, 'out'), ...files], { cwd: dir })

test('types are generated from the served description', { skip }, async () => {
  mkdirSync(dir, { recursive: true })
  symlinkSync(join(tool.dir, 'node_modules'), join(dir, 'node_modules'))
  writeFileSync(join(dir, 'package.json'), '{"type":"module"}')
  writeFileSync(join(dir, 'openapi.json'), JSON.stringify(ok(await get(s, '/api/openapi.json'))))
  const r = run(bin('openapi-typescript'), ['openapi.json', '-o', 'api.d.ts'], { cwd: dir })
  assert.equal(r.code, 0, r.out)
  for (const path of Object.keys(ok(await get(s, '/api/openapi.json')).paths)) assert.ok(readFileSync(join(dir, 'api.d.ts'), 'utf8').includes(`"${path}"`), path)
})

test('a program on them compiles, and runs against the server', { skip }, async () => {
  copyFileSync(join(ROOT, 'tests', 'contract', 'client.ts'), join(dir, 'client.ts'))
  const c = tsc('client.ts')
  assert.equal(c.code, 0, c.out)
  const [w] = await s.wallets(1)
  const r = run(process.execPath, [join(dir, 'out', 'client.js'), s.url, w.token, await s.role('viewer')])
  assert.equal(r.code, 0, r.out)
  assert.equal(JSON.parse(r.out).word, 'ok')
})

test('wrong programs do not compile', { skip }, () => {
  const wrong = [
    "c.GET('/api/bot/state')",
    "c.DELETE('/api/bot/status')",
    "c.GET('/api/user/performance', { params: { query: { timeRange: '2D' } } })",
    "c.POST('/api/bot/enable', { body: { force: true } })",
    "c.POST('/api/auth/authenticate', { body: { message: '' } })",
    "c.GET('/health').then((r) => r.data?.state)",
  ]
  // Each line must be an error: one that compiles makes its own mark one.
  const lines = wrong.map((w) => `  // @ts-expect-error\n  () => ${w},`)
  writeFileSync(join(dir, 'wrong.ts'), ["import createClient from 'openapi-fetch'", "import type { paths } from './api'", "const c = createClient<paths>({ baseUrl: '' })", 'export default [', ...lines, ']'].join('\n'))
  const r = tsc('wrong.ts')
  assert.equal(r.code, 0, r.out)
})

if (!skip) cleanEnd(() => s)
