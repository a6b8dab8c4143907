// `make flame`: where the server's time goes. For reads, toggles and the 80/20 mix: samples of perf under load as a flame
// graph (build/flame-WORK.svg) and as a list, and the instructions of one request as callgrind counts them. Writes
// build/flame.json. SECONDS=5 of samples for each; a tool that is not installed is named.
import fs from 'node:fs'
import path from 'node:path'
import { B, Stack, WORK, answers, commit, freePort, load, machine, onSignal, run, say, sleep, start, stop, stopAll, tokensFile, which } from './lib/common.mjs'
import { fold, selves, svg } from './lib/flame.mjs'
import { MIX, READ, WRITE } from './items/http.mjs'

const OUT = path.resolve(process.env.OUT || B)
const SECONDS = Math.max(1, Math.round(Number(process.env.SECONDS || 5)))
const WORKS = { reads: READ, toggles: WRITE, mix: MIX }
const REQUESTS = 2000

async function sampled(ctx, name) {
  const data = path.join(WORK, 'perf.data'), args = ['--conns', 100, '--tokens', ctx.tokens, ...WORKS[name]]
  const under = load(ctx.stack.to, [...args, '--seconds', SECONDS + 1])
  await sleep(500)
  await run(which('perf'), ['record', '-q', '-F', '1999', '--call-graph', 'fp', '-p', String(ctx.stack.pid), '-o', data, '--', 'sleep', String(SECONDS)])
  await under
  const stacks = fold(await run(which('perf'), ['script', '-i', data, '-F', 'ip,sym,dso']))
  if (!stacks.size) throw new Error('perf saw nothing (kernel.perf_event_paranoid?)')
  const file = path.join(OUT, `flame-${name}.svg`)
  fs.writeFileSync(file, svg(stacks, `xorj, ${name}, 100 connections, ${commit()}`))
  const list = selves(stacks)
  say(`  ${name}: ${path.relative(process.cwd(), file)}; ${list.slice(0, 8).map(([f, s]) => `${f} ${(100 * s).toFixed(1)} %`).join(', ')}`)
  return { file: path.basename(file), self: list.slice(0, 40) }
}

/** A server under callgrind on the stack's database. It counts only between on and off. */
async function counted(ctx) {
  const e = ctx.stack.env, port = await freePort(), prefix = path.join(WORK, 'callgrind.out')
  for (const f of fs.readdirSync(WORK)) if (f.startsWith('callgrind.out')) fs.rmSync(path.join(WORK, f))
  const p = start(which('valgrind'), ['-q', '--tool=callgrind', '--instr-atstart=no', `--callgrind-out-file=${prefix}`, path.join(B, 'xorj'), 'serve'], {
    env: { PATH: process.env.PATH, HOME: process.env.HOME, DATABASE_URL: e.DATABASE_URL, REDIS_URL: e.REDIS_URL, JWT_SECRET: e.JWT_SECRET, XORJ_SERVER_PORT: String(port), XORJ_LOG_LEVEL: 'error', XORJ_FEEDS_ENABLED: 'false', XORJ_LIMITS_ENABLED: 'false' },
    stdio: ['ignore', 'ignore', 'ignore'],
  })
  await answers(`http://127.0.0.1:${port}/health/ready`, 60_000, 'the server under callgrind', p)
  const control = (...a) => run('callgrind_control', [...a, String(p.pid)]), out = {}
  let dumps = 0
  for (const [name, args] of Object.entries(WORKS)) {
    const ask = (n) => load(`127.0.0.1:${port}`, ['--conns', 10, '--seconds', 120, '--tokens', ctx.few, ...args, '--requests', n])
    await ask(200) // caches and prepared statements
    await control('-z')
    await control('-i', 'on')
    const r = await ask(REQUESTS)
    await control('-i', 'off')
    await control('-d')
    const file = `${prefix}.${++dumps}`
    const rows = (await run('callgrind_annotate', ['--threshold=100', file])).split('\n')
    const total = Number((/([\d,]+) .*PROGRAM TOTALS/.exec(rows.find((l) => l.includes('PROGRAM TOTALS')))?.[1] ?? '0').replaceAll(',', ''))
    const top = rows.map((l) => /^\s*([\d,]+) \(\s*([\d.]+)%\)\s+(\S.*)$/.exec(l)).filter((m) => m && !/PROGRAM TOTALS/.test(m[3]))
    const list = top.slice(0, 40).map((m) => [m[3].replace(/^.*?([^/\s]+:\S+).*$/, '$1'), Math.round(Number(m[1].replaceAll(',', '')) / r.requests)])
    out[name] = { instructions_per_request: Math.round(total / r.requests), requests: r.requests, errors: r.errors, by_function: list }
    say(`  ${name}: ${out[name].instructions_per_request} instructions per request; ${list.slice(0, 6).map(([f, n]) => `${f} ${n}`).join(', ')}`)
  }
  await stop(p)
  return out
}

async function main() {
  fs.mkdirSync(WORK, { recursive: true })
  fs.mkdirSync(OUT, { recursive: true })
  const stack = new Stack('flame-run', { feeds: 'none', env: { XORJ_LIMITS_ENABLED: 'false' } })
  onSignal(stack)
  say('flame: starting a stack of its own')
  stack.up()
  const out = { commit: commit(), date: new Date().toISOString(), machine: machine(), command: `make flame SECONDS=${SECONDS}`, samples: {}, instructions: {}, missing: [] }
  try {
    const creds = stack.wallets(100)
    const ctx = { stack, tokens: tokensFile('tokens.txt', creds), few: tokensFile('few.txt', creds.slice(0, 10)) }
    if (which('perf')) for (const name of Object.keys(WORKS)) await sampled(ctx, name).then((r) => (out.samples[name] = r), (e) => out.missing.push(`samples of ${name}: ${e.message}`))
    else out.missing.push('perf is not installed (Debian: linux-perf)')
    if (which('valgrind')) await counted(ctx).then((r) => (out.instructions = r), (e) => out.missing.push(`instructions: ${e.message}`))
    else out.missing.push('valgrind is not installed')
  } finally {
    await stopAll()
    stack.down()
  }
  for (const m of out.missing) say(`  MISSING ${m}`)
  fs.writeFileSync(path.join(OUT, 'flame.json'), JSON.stringify(out, null, 1))
  say(`written: ${path.relative(process.cwd(), path.join(OUT, 'flame.json'))}`)
  if (!Object.keys(out.samples).length && !Object.keys(out.instructions).length) process.exitCode = 1
}

main().catch(async (e) => {
  console.error(`flame: ${e.message}`)
  process.exitCode = 1
  await stopAll()
})
