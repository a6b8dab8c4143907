// Runs every fuzzer for SECONDS and closes with one line: N passed, N failed. `make fuzz` builds them first.
// ONLY=text runs just those whose name holds it. Findings stay under build/fuzz-found and fail their fuzzer; put what
// they show into tests/fuzz/corpus/<entry> with the fix.
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { seedsOf } from './seeds.mjs'

const HERE = dirname(fileURLToPath(import.meta.url))
const ROOT = join(HERE, '..', '..')
const B = (process.env.B || 'build').startsWith('/') ? process.env.B : join(ROOT, process.env.B || 'build')
const BIN = join(B, 'fuzz', 'tests', 'fuzz')
const SECONDS = Math.max(1, Math.floor(Number(process.env.SECONDS) || 60))
const ONLY = process.env.ONLY || ''
const LONGEST = { fuzz_accounts: 10300, fuzz_venue: 8192, fuzz_tx: 1300, fuzz_json: 8192 }

function seed(entry, dir) {
  const seeds = seedsOf(entry, join(HERE, 'corpus'), join(ROOT, '..', 'shared'))
  for (const s of seeds) writeFileSync(join(dir, createHash('sha1').update(s).digest('hex')), s)
  return seeds.length
}

function runOne(entry) {
  return new Promise((resolve) => {
    const corpus = join(B, 'fuzz-corpus', entry)
    const found = join(B, 'fuzz-found', entry)
    mkdirSync(corpus, { recursive: true })
    rmSync(found, { recursive: true, force: true })
    mkdirSync(found, { recursive: true })
    const seeds = seed(entry, corpus)
    const args = [corpus, `-max_total_time=${SECONDS}`, '-timeout=5', '-rss_limit_mb=2048', `-max_len=${LONGEST[entry] ?? 4096}`,
      `-artifact_prefix=${found}/`, '-print_final_stats=1', '-verbosity=1']
    const p = spawn(join(BIN, entry), args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] })
    const tail = []
    let runs = 0
    let cov = 0
    let rest = ''
    const take = (d) => {
      const lines = (rest + d).split('\n')
      rest = lines.pop()
      for (const l of lines) {
        runs = Number(/^stat::number_of_executed_units:\s+(\d+)/.exec(l)?.[1] ?? runs)
        cov = Number(/ cov: (\d+)/.exec(l)?.[1] ?? cov)
        tail.push(l)
        if (tail.length > 40) tail.shift()
      }
    }
    p.stdout.setEncoding('utf8').on('data', take)
    p.stderr.setEncoding('utf8').on('data', take)
    const timer = setTimeout(() => p.kill('SIGKILL'), (SECONDS + 120) * 1000)
    p.on('error', (e) => tail.push(String(e)))
    p.on('close', (code, sig) => {
      clearTimeout(timer)
      const files = readdirSync(found)
      resolve({ entry, ok: code === 0 && files.length === 0, why: sig ?? `exit ${code}`, files, runs, cov, seeds, tail })
    })
  })
}

const entries = existsSync(BIN) ? readdirSync(BIN).filter((f) => /^fuzz_[a-z0-9_]+$/.test(f) && f.includes(ONLY)).sort() : []
if (entries.length === 0) {
  console.log(`no fuzzer in ${BIN}: clang with libFuzzer is needed`)
  console.log('0 passed, 1 failed')
  process.exit(1)
}
let passed = 0
let failed = 0
const queue = [...entries]
const worker = async () => {
  for (let e = queue.shift(); e; e = queue.shift()) {
    const r = await runOne(e)
    r.ok ? passed++ : failed++
    console.log(`  ${r.ok ? 'ok  ' : 'FAIL'} ${r.entry.padEnd(16)} ${String(r.runs).padStart(9)} runs, ${r.cov} edges, ${r.seeds} seeds`)
    if (!r.ok) console.log(`       ${r.why}; ${r.files.map((f) => join('fuzz-found', r.entry, f)).join(' ')}\n${r.tail.map((l) => `       ${l}`).join('\n')}`)
  }
}
await Promise.all(Array.from({ length: Math.min(2, cpus().length) }, worker))
console.log(`${passed} passed, ${failed} failed`)
process.exit(failed > 0 || passed === 0 ? 1 : 0)
