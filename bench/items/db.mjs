// P2, P6, P7: durable writes beside pgbench, one locked row, and every PostgreSQL process stopped.
import fs from 'node:fs'
import path from 'node:path'
import { WORK, children, load, median, pgbin, run, sleep, start, tokensFile } from '../lib/common.mjs'
import { READ, WRITE, errorsOf, rounds, slim } from './http.mjs'

export async function p2(ctx) {
  const pgbench = pgbin('pgbench')
  if (!pgbench) return [{ id: 'P2', missing: 'pgbench is not installed' }]
  const script = path.join(WORK, 'upsert.sql'), { stack } = ctx
  fs.writeFileSync(script, `\\set w random(1, 10000)
INSERT INTO bench_bot_states (user_vault_address, is_enabled, version) VALUES ('bench' || :w, true, 1)
ON CONFLICT (user_vault_address) DO UPDATE SET is_enabled = NOT bench_bot_states.is_enabled, version = bench_bot_states.version + 1, updated_at = now();\n`)
  stack.sql('DROP TABLE IF EXISTS bench_bot_states; CREATE TABLE bench_bot_states (LIKE bot_states INCLUDING ALL)')
  const ours = () => load(ctx.to, ['--conns', ctx.conns, '--seconds', ctx.seconds, '--tokens', ctx.tokens, ...WRITE], { pids: [stack.pid] })
  // pgbench counts the time in which its connections are made: a run too short for that is made longer.
  const theirs = async (t = ctx.seconds) => {
    const text = await run(pgbench, ['-n', '-M', 'prepared', '-c', String(ctx.conns), '-j', '1', '-T', String(t), '-f', script, stack.env.DATABASE_URL])
    const tps = Number(/tps = ([\d.]+)/.exec(text)?.[1] ?? 0)
    if (tps > 0) return { tps, seconds: t }
    if (t > 30) throw new Error('pgbench makes no transaction')
    return theirs(t + 5)
  }
  // A database that has run for a while recycles its log files; a fresh one writes each new one twice. Warm up both.
  await ours()
  await theirs()
  stack.sql('CHECKPOINT', { admin: true })
  const rows = await rounds(ctx, 'P2', [
    { name: 'xorj', run: ours, show: (r) => `${r.rps.toFixed(0)}/s p99 ${(r.p99_us / 1e3).toFixed(1)} ms` },
    { name: 'pgbench', run: theirs, show: (r) => `${r.tps.toFixed(0)}/s` },
  ])
  stack.sql('DROP TABLE bench_bot_states')
  const a = median(rows.xorj.map((r) => r.rps)), b = median(rows.pgbench.map((r) => r.tps)), errors = errorsOf(rows.xorj)
  return [{ id: 'P2', what: 'durable POST enable/disable, 100 connections, against pgbench -M prepared -c 100', ours: `${a.toFixed(0)}/s`, peer: `${b.toFixed(0)}/s`, ratio: a / b, target: '>= 3.0', ok: a / b >= 3 && !errors, errors, rounds: slim(rows) }]
}

/** One wallet's row is locked for 2 s by another session, and its owner keeps asking; how long do the others wait? */
export async function p6(ctx) {
  const [first, ...others] = ctx.creds
  const hot = tokensFile('p6-hot.txt', [first]), rest = tokensFile('p6-rest.txt', others)
  const out = []
  await load(ctx.to, ['--conns', 100, '--seconds', 1, '--tokens', ctx.tokens, ...WRITE])
  for (let i = 0; i < Math.min(3, ctx.rounds); i++) {
    const lock = start(pgbin('psql'), [ctx.stack.env.DATABASE_URL, '-qX', '-c', `BEGIN; SELECT 1 FROM bot_states WHERE user_vault_address = '${first.wallet}' FOR UPDATE; SELECT pg_sleep(2.4); COMMIT`], { stdio: ['ignore', 'ignore', 'inherit'] })
    await sleep(250)
    const [r] = await Promise.all([load(ctx.to, ['--conns', 99, '--seconds', 2, '--tokens', rest, ...WRITE]), load(ctx.to, ['--conns', 1, '--seconds', 2, '--tokens', hot, ...WRITE]).catch(() => null)])
    out.push(r)
    await lock.over
  }
  const p95 = median(out.map((r) => r.p95_us)) / 1e3, errors = errorsOf(out)
  return [{ id: 'P6', what: "other wallets' POST p95 while one row is locked for 2 s", ours: `${p95.toFixed(1)} ms at ${median(out.map((r) => r.rps)).toFixed(0)}/s`, peer: '-', ratio: null, target: '< 20 ms', ok: p95 < 20 && !errors, errors, rounds: slim({ xorj: out }) }]
}

/** Every process of PostgreSQL is stopped for 2 s while answers are read from the cache. */
export async function p7(ctx) {
  const out = []
  for (let i = 0; i < Math.min(3, ctx.rounds); i++) {
    const get = ['--conns', 100, '--rate', 5000, '--tokens', ctx.tokens, ...READ]
    await load(ctx.to, ['--conns', 100, '--seconds', 1, '--tokens', ctx.tokens, ...READ])
    const pids = children(Number(ctx.stack.env.PG_PID))
    const under = load(ctx.to, [...get, '--seconds', 4])
    await sleep(1000)
    const all = (sig) => pids.forEach((p) => { try { process.kill(p, sig) } catch { /* ended meanwhile */ } })
    all('SIGSTOP')
    try { await sleep(2000) } finally { all('SIGCONT') }
    out.push(await under)
  }
  const p99 = median(out.map((r) => r.p99_us)) / 1e3, errors = errorsOf(out)
  return [{ id: 'P7', what: 'GET p99 (from when due, 5,000/s) while every PostgreSQL process is stopped 2 s', ours: `${p99.toFixed(2)} ms, ${errors} errors`, peer: '-', ratio: null, target: '< 5 ms, 0 errors', ok: p99 < 5 && !errors, errors, rounds: slim({ xorj: out }) }]
}
