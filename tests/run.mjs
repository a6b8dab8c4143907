// Runs the suites and closes with one line: N passed, N failed. `make test` builds first and then calls this.
//   node tests/run.mjs [unit] [wire] [contract] [replay] [chaos] [browser]
// ONLY=text runs just the files whose name holds it. Logs: build/test-logs.
import { spawn, spawnSync } from 'node:child_process'
import { createWriteStream, existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { setPriority } from 'node:os'
import { fileURLToPath } from 'node:url'

const TESTS = dirname(fileURLToPath(import.meta.url))
const ROOT = join(TESTS, '..')
const B = (process.env.B || 'build').startsWith('/') ? process.env.B : join(ROOT, process.env.B || 'build')
const LOGS = join(B, 'test-logs')
const RUNS = join(B, 'test-run')
const ONLY = process.env.ONLY || ''

// Wire files mostly wait, so two share the cores; replay and chaos measure time and run alone.
const SUITES = {
  unit: { side: 2, limit: 120 },
  wire: { side: 2, limit: 240 },
  contract: { side: 1, limit: 600 },
  replay: { side: 1, limit: 240 },
  chaos: { side: 1, limit: 300 + 4 * Number(process.env.SECONDS || 0) },
  browser: { side: 1, limit: 240 },
}

// The reliability goals that a file stands for, in their quick column.
const GOALS = {
  'unit/test_store_fault': 'R2 R3 R4 R9',
  'unit/test_json': 'R17',
  'unit/test_jwt': 'R19',
  'unit/test_siws': 'R20',
  'wire/http_hostile': 'R16',
  'wire/json_hostile': 'R17',
  'wire/idempotency': 'R6',
  'wire/ws_hostile': 'R18',
  'wire/tokens_forged': 'R19',
  'wire/signin_forged': 'R20',
  'chaos/kill_server': 'R1',
  'chaos/kill_pg': 'R2',
  'chaos/redis_faults': 'R9',
  'chaos/fd_limit': 'R13',
  'chaos/slow_clients': 'R15',
  'chaos/slow_subscribers': 'R18',
  'chaos/graceful_stop': 'R29',
}

// Minutes each: `make chaos` runs them, or their name in ONLY.
const LONG = ['chaos/feed_faults', 'chaos/venue_faults']
const left = (suite, name) => LONG.includes(`${suite}/${name}`) && !ONLY && !process.env.SECONDS

function files(suite) {
  const dir = join(TESTS, suite)
  if (!existsSync(dir)) return []
  const keep = suite === 'unit' ? /^test_.*\.c$/ : /\.test\.mjs$/
  return readdirSync(dir)
    .filter((f) => keep.test(f) && f.includes(ONLY))
    .sort()
    .map((f) => ({ suite, name: f.replace(/\.c$|\.test\.mjs$/g, ''), file: join(dir, f) }))
    .filter((f) => !left(f.suite, f.name))
}

function command(job) {
  if (job.suite === 'unit') return [join(B, 'asan', 'tests', 'unit', job.name), []]
  const reporter = join(TESTS, 'lib', 'reporter.mjs')
  return [process.execPath, [`--test-reporter=${reporter}`, '--test-reporter-destination=stdout', job.file]]
}

// cmocka speaks TAP: a plan, then ok / not ok. What was planned and never reported died with the program.
function cmockaReader(res) {
  let planned = 0
  let seen = 0
  return {
    line(l) {
      let m
      if ((m = /^1\.\.(\d+)/.exec(l))) planned += Number(m[1])
      else if ((m = /^(not )?ok\s+(?:\d+\s+)?-?\s*(.*)$/.exec(l))) {
        seen++
        const skip = /# SKIP/i.test(l)
        res.tests.push({ ok: skip || !m[1], skip: skip ? '' : undefined, name: m[2], error: undefined })
      } else if (/^#/.test(l) && res.tests.length && !res.tests.at(-1).ok) {
        res.tests.at(-1).error = `${res.tests.at(-1).error ?? ''}${l}\n`
      }
    },
    end(code) {
      for (let first = true; seen < planned; seen++, first = false)
        res.tests.push({ ok: false, name: 'a planned test did not report', error: first ? res.tail.join('\n') : '' })
      if (code !== 0 && res.tests.every((t) => t.ok)) res.tests.push({ ok: false, name: `ended with ${code}`, error: res.tail.join('\n') })
    },
  }
}

function nodeReader(res) {
  return {
    line(l) {
      if (!l.startsWith('{"t":"result"')) return
      res.tests.push(JSON.parse(l))
    },
    end(code) {
      if (code !== 0 && res.tests.every((t) => t.ok)) res.tests.push({ ok: false, name: `ended with ${code}`, error: res.tail.join('\n') })
    },
  }
}

function runJob(job) {
  return new Promise((resolve) => {
    const res = { job, tests: [], tail: [], t0: performance.now() }
    const log = createWriteStream(join(LOGS, `${job.suite}-${job.name}.log`))
    const reader = job.suite === 'unit' ? cmockaReader(res) : nodeReader(res)
    const [cmd, args] = command(job)
    const p = spawn(cmd, args, {
      cwd: ROOT,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, B, CMOCKA_MESSAGE_OUTPUT: 'TAP', TEST_RUN_DIR: RUNS, TEST_LOG_DIR: LOGS },
    })
    if (SUITES[job.suite].side === 1 && p.pid) {
      try {
        setPriority(p.pid, -15) // what measures time should not measure the neighbours; only root may
      } catch {}
    }
    let rest = ''
    const take = (d) => {
      log.write(d)
      const lines = (rest + d).split('\n')
      rest = lines.pop()
      for (const l of lines) {
        res.tail.push(l)
        if (res.tail.length > 30) res.tail.shift()
        reader.line(l)
      }
    }
    p.stdout.setEncoding('utf8').on('data', take)
    p.stderr.setEncoding('utf8').on('data', take)
    let over = false
    const timer = setTimeout(() => {
      over = true
      try {
        process.kill(-p.pid, 'SIGTERM')
        setTimeout(() => p.exitCode === null && p.signalCode === null && process.kill(-p.pid, 'SIGKILL'), 15_000).unref()
      } catch {}
    }, SUITES[job.suite].limit * 1000)
    const done = (code) => {
      clearTimeout(timer)
      if (rest) reader.line(rest)
      reader.end(over ? `no end within ${SUITES[job.suite].limit} s` : code)
      if (res.tests.length === 0) res.tests.push({ ok: false, name: 'no test ran', error: res.tail.join('\n') })
      log.end()
      res.ms = performance.now() - res.t0
      resolve(res)
    }
    p.on('error', (e) => (res.tail.push(String(e)), done(127)))
    p.on('close', (code, sig) => done(sig ?? code))
  })
}

const total = { passed: 0, failed: 0, skipped: 0 }
const failures = []

function report(res) {
  const failed = res.tests.filter((t) => !t.ok)
  const skipped = res.tests.filter((t) => t.ok && t.skip !== undefined)
  const passed = res.tests.length - failed.length - skipped.length
  total.passed += passed
  total.failed += failed.length
  total.skipped += skipped.length
  const name = `${res.job.suite}/${res.job.name}`.padEnd(30)
  const goals = GOALS[`${res.job.suite}/${res.job.name}`]
  const more = `${skipped.length ? `, ${skipped.length} skipped` : ''}${goals ? `  [${goals}]` : ''}`
  console.log(`  ${failed.length ? 'FAIL' : 'ok  '} ${name} ${passed} of ${res.tests.length - skipped.length}${more}  ${(res.ms / 1000).toFixed(1)} s`)
  for (const t of failed) {
    const head = String(t.error ?? '').trimEnd().split('\n').slice(0, 14).map((l) => `\n         ${l}`).join('')
    console.log(`       ${t.name}${head.trim() ? head : ''}`)
    failures.push(`${res.job.suite}/${res.job.name}: ${t.name}`)
  }
}

async function runSuite(suite) {
  const queue = files(suite)
  if (queue.length === 0) return console.log(`${suite}: no tests`)
  console.log(`${suite}:`)
  const worker = async () => {
    for (let job = queue.shift(); job; job = queue.shift()) report(await runJob(job))
  }
  await Promise.all(Array.from({ length: SUITES[suite].side }, worker))
}

/** Stacks that a killed test file left behind. */
function sweep() {
  if (!existsSync(RUNS) || process.env.TEST_KEEP) return
  for (const d of readdirSync(RUNS)) {
    const pid = Number(/-(\d+)-\d+$/.exec(d)?.[1])
    if (pid && existsSync(`/proc/${pid}`)) continue
    spawnSync('bash', ['deploy/stack.sh', 'destroy'], { cwd: ROOT, env: { ...process.env, RUN_DIR: join(RUNS, d) }, stdio: 'ignore' })
    rmSync(join(RUNS, d), { recursive: true, force: true })
  }
}

const [major, minor] = process.versions.node.split('.').map(Number)
if (major < 18 || (major === 18 && minor < 15)) {
  console.log(`node ${process.versions.node} is too old for the suites: 18.15 or later is needed`)
  console.log('0 passed, 1 failed')
  process.exit(1)
}
const wanted = process.argv.slice(2)
for (const s of wanted) {
  if (!(s in SUITES)) {
    console.error(`${basename(process.argv[1])}: no suite '${s}'; there are ${Object.keys(SUITES).join(', ')}`)
    process.exit(2)
  }
}
rmSync(LOGS, { recursive: true, force: true })
mkdirSync(LOGS, { recursive: true })
sweep()
const t0 = performance.now()
for (const s of wanted.length ? wanted : Object.keys(SUITES)) await runSuite(s)
sweep()
if (!ONLY && !process.env.SECONDS && wanted.includes('chaos')) console.log(`\nleft to make chaos: ${LONG.join(', ')}`)
if (failures.length) console.log(`\nfailed:\n${failures.map((f) => `  ${f}`).join('\n')}`)
console.log(`\nlogs in ${LOGS.startsWith(ROOT) ? LOGS.slice(ROOT.length + 1) : LOGS}, ${((performance.now() - t0) / 1000).toFixed(0)} s${total.skipped ? `, ${total.skipped} skipped` : ''}`)
console.log(`${total.passed} passed, ${total.failed} failed`)
process.exit(total.failed > 0 || total.passed === 0 ? 1 : 0)
