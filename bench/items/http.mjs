// P1, P3, P4, P5: requests per second and CPU per request, beside nginx and the peers.
import fs from 'node:fs'
import { load, median, nginxStatic, say, stop, which } from '../lib/common.mjs'
import { startPeers } from '../lib/peers.mjs'

export const READ = ['--get', '/api/user/performance?walletAddress=%W&timeRange=30D']
export const WRITE = ['--post', '/api/bot/enable', '--post', '/api/bot/disable']
export const MIX = [...READ, ...WRITE, '--mix', 80]

/** Rounds of several ways, in turn, so that a slow minute of the machine meets all of them. */
export async function rounds(ctx, id, ways) {
  const rows = Object.fromEntries(ways.map((w) => [w.name, []]))
  for (let i = 0; i < ctx.rounds; i++) {
    for (const w of ways) rows[w.name].push(await w.run())
    say(`  ${id} round ${i + 1}/${ctx.rounds}: ${ways.map((w) => `${w.name} ${w.show(rows[w.name].at(-1))}`).join(', ')}`)
  }
  return rows
}

export const slim = (rows) => Object.fromEntries(Object.entries(rows).map(([k, v]) => [k, v.map(({ histogram, ...r }) => r)]))
export const errorsOf = (rows) => rows.reduce((n, r) => n + r.errors, 0)

async function sample(ctx) {
  const [wallet, token] = fs.readFileSync(ctx.tokens, 'utf8').split('\n')[0].split(' ')
  const res = await fetch(`${ctx.stack.url}/api/user/performance?walletAddress=${wallet}&timeRange=30D`, { headers: { authorization: `Bearer ${token}` } })
  return (await res.arrayBuffer()).byteLength
}

const at = (ctx) => ['--conns', ctx.conns, '--seconds', ctx.seconds]

export async function p1(ctx) {
  if (!which('nginx')) return [{ id: 'P1', missing: 'nginx is not installed' }]
  const size = await sample(ctx), ng = await nginxStatic('x'.repeat(size))
  const show = (r) => `${r.cpu_us.toFixed(2)} us`
  const rows = await rounds(ctx, 'P1', [
    { name: 'xorj', show, run: () => load(ctx.to, [...at(ctx), '--tokens', ctx.tokens, ...READ], { pids: [ctx.stack.pid] }) },
    { name: 'nginx', show, run: () => load(ng.to, [...at(ctx), '--get', '/fixed'], { pids: ng.pids() }) },
  ])
  await stop(ng.child)
  const a = median(rows.xorj.map((r) => r.cpu_us)), b = median(rows.nginx.map((r) => r.cpu_us)), errors = errorsOf(rows.xorj)
  return [{ id: 'P1', what: `CPU per authenticated GET from cache, ${size} bytes, against nginx return 200`, ours: `${a.toFixed(2)} us`, peer: `${b.toFixed(2)} us`, ratio: a / b, target: '<= 1.0', ok: a / b <= 1 && !errors, errors, rounds: slim(rows) }]
}

/** The 80/20 mix against nginx from a file and against every peer, in the same rounds. */
export async function p3p4(ctx) {
  const peers = await startPeers(ctx.stack)
  const show = (r) => `${(r.rps / 1e3).toFixed(1)}k/s`
  const ways = [{ name: 'xorj', show, run: () => load(ctx.to, [...at(ctx), '--tokens', ctx.tokens, ...MIX], { pids: [ctx.stack.pid] }) }]
  const ng = which('nginx') ? await nginxStatic('x'.repeat(await sample(ctx))) : null
  if (ng) ways.push({ name: 'nginx', show, run: () => load(ng.to, [...at(ctx), '--get', '/file', '--post', '/post', '--mix', 80], { pids: ng.pids() }) })
  for (const p of peers.running) {
    const run = () => load(p.to, [...at(ctx), '--tokens', ctx.tokens, ...MIX], { pids: p.pids() })
    await load(p.to, ['--conns', ctx.conns, '--seconds', 1, '--tokens', ctx.tokens, ...MIX]) // caches, statements, compilers
    ways.push({ name: p.name, show, run })
  }
  const rows = await rounds(ctx, 'P3/P4', ways)
  if (ng) await stop(ng.child)
  for (const p of peers.running) await p.stop()
  const of = (name, f) => median(rows[name].map(f))
  const a = of('xorj', (r) => r.rps), errors = errorsOf(rows.xorj)
  const said = (name) => `${of(name, (r) => r.rps).toFixed(0)}/s p95 ${(of(name, (r) => r.p95_us) / 1e3).toFixed(1)} ms ${of(name, (r) => r.cpu_us).toFixed(1)} us CPU`
  const out = [ng ? { id: 'P3', what: '80/20 mix, 100 connections, against nginx static under the same script', ours: said('xorj'), peer: said('nginx'), ratio: a / of('nginx', (r) => r.rps), target: '>= 0.55', ok: a / of('nginx', (r) => r.rps) >= 0.55 && !errors, errors, rounds: slim({ xorj: rows.xorj, nginx: rows.nginx }) } : { id: 'P3', missing: 'nginx is not installed' }]
  const goal = { go: 2.5, node: 4.5, python: 9 }
  for (const p of peers.running) {
    const ratio = a / of(p.name, (r) => r.rps), wrong = errorsOf(rows[p.name])
    out.push({ id: 'P4', what: `the same mix against ${p.name} (${p.version})`, ours: said('xorj'), peer: said(p.name), ratio, target: goal[p.key] ? `>= ${goal[p.key]}` : 'none set', ok: ratio >= (goal[p.key] ?? 0) && !errors && !wrong, errors, peer_errors: wrong, rounds: slim({ peer: rows[p.name] }) })
  }
  for (const m of peers.missing) out.push({ id: 'P4', missing: `${m.name}: ${m.why}` })
  return out
}

/** The gate in short: what `make load` does for its full time. */
export async function p5(ctx) {
  const seconds = ctx.seconds * 4
  const r = await load(ctx.to, ['--conns', 100, '--think', '500-1500', '--seconds', seconds, '--tokens', ctx.tokens, ...MIX])
  const ok = r.p95_us < 5000 && r.p99_us < 20000 && !r.errors
  return [{ id: 'P5', what: `100 users who think, ${seconds} s of the 80/20 mix; the whole gate is make load`, ours: `p95 ${(r.p95_us / 1e3).toFixed(2)} ms p99 ${(r.p99_us / 1e3).toFixed(2)} ms`, peer: '-', ratio: null, target: '< 5 / 20 ms', ok, errors: r.errors, rounds: slim({ xorj: [r] }) }]
}
