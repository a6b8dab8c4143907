// `make load`: the load gate. Profiles of bench/k6 through nginx and directly against a stack of its own, with simulated
// feeds and subscribers beside them; progress each second; afterwards every acknowledged toggle is looked up in its row.
// Writes build/load.json. Where k6 cannot be had, bench/load takes its place and says so.
//
//   DURATION=780     seconds of one run of the gate (ramp : hold : end = 2 : 10 : 1); the other profiles last a sixth of
//                    it, at most DURATION and at least 1 s. "90", "90s" and "13m" are understood.
//   PROFILE=gate,open,desk,hot    VIA=nginx,direct    USERS=100 RATE=1000 SUBS=1000    GENERATOR=k6|c
import fs from 'node:fs'
import path from 'node:path'
import { B, ROOT, Stack, WORK, commit, cpuNs, load, machine, metrics, nginxFront, onSignal, gained, rssBytes, say, sleep, start, stop, stopAll, subscribers, tokensFile } from './lib/common.mjs'
import { Hist } from './lib/hist.mjs'
import { k6 as findK6 } from './lib/tools.mjs'
import { Acks, verify } from './lib/verify.mjs'

const list = (v, all) => { const want = (v || all.join()).split(','); for (const w of want) if (!all.includes(w)) throw new Error(`${w}: one of ${all.join(', ')} is expected`); return want }
function seconds(v) {
  const m = /^(\d+)(s|m|)$/.exec(v || '780')
  if (!m || m[1] === '0') throw new Error('DURATION: seconds are expected, as 90, 90s or 13m')
  return Number(m[1]) * (m[2] === 'm' ? 60 : 1)
}
const DURATION = seconds(process.env.DURATION)
const USERS = Number(process.env.USERS || 100), RATE = Number(process.env.RATE || 1000), SUBS = Number(process.env.SUBS || 1000)
const WALLETS = Math.max(1000, RATE)
const PROFILES = list(process.env.PROFILE, ['gate', 'open', 'desk', 'hot']), VIAS = list(process.env.VIA, ['nginx', 'direct'])
const GOAL = { p95_ms: 5, p99_ms: 20 }, CONTRACT = { p95_ms: 200, p99_ms: 500, errors: 0.001 }
const HOT = { XORJ_LIMITS_USER_PER_MIN: '60000', XORJ_LIMITS_USER_BURST: '1000' }
const lengthOf = (profile) => (profile === 'gate' ? DURATION : Math.max(1, Math.round(DURATION / 6)))

// ---- one run: what it hears

class Tally {
  constructor(creds) {
    this.creds = creds
    this.all = new Hist()
    this.by = new Map()
    this.acks = new Acks()
    this.statuses = {}
    this.errors = 0
    this.second = new Hist()
    this.subs = { open: 0, early: 0 }
    this.said = []
  }

  line(text) {
    const f = text.split(' ')
    if (f[0] === 'S') this.subs[f[1]]++
    else if (f[0] !== 'R') return this.said.push(text)
    else this.#answer(f)
  }

  #answer([, what, ms, status, i, version, enabled]) {
    const us = Number(ms) * 1000
    this.statuses[status] = (this.statuses[status] ?? 0) + 1
    if (!this.by.has(what)) this.by.set(what, new Hist())
    this.by.get(what).add(us)
    this.all.add(us)
    this.second.add(us)
    const write = what === 'enable' || what === 'disable'
    if (write && version) this.acks.ack(this.creds[i].wallet, Number(version), enabled === '1')
    else if (write) this.acks.unknown(this.creds[i].wallet)
    if (status !== '200' || (write && !version)) this.errors++
  }

  tick() {
    const s = this.second
    this.second = new Hist()
    return { n: s.n, p95_ms: s.at(0.95) / 1e3, p99_ms: s.at(0.99) / 1e3 }
  }
}

function eachLine(stream, fn) {
  let rest = ''
  stream.setEncoding('utf8').on('data', (d) => {
    const lines = (rest + d).split('\n')
    rest = lines.pop()
    lines.forEach(fn)
  })
}

function k6run(k6, script, env, tally, local) {
  const out = path.join(WORK, `k6-${script}.json`)
  fs.rmSync(out, { force: true })
  const args = ['run', '--quiet', '--no-color', '--log-format', 'raw', '--no-usage-report', ...(local ? ['--local-ips', local] : []), path.join(ROOT, 'bench', 'k6', `${script}.js`)]
  const p = start(k6.cmd, args, { env: { ...process.env, ...env, SUMMARY: out, K6_NO_USAGE_REPORT: 'true' }, stdio: ['ignore', 'ignore', 'pipe'] })
  eachLine(p.stderr, (l) => tally.line(l))
  return { p, over: p.over.then((code) => ({ code, summary: fs.existsSync(out) ? JSON.parse(fs.readFileSync(out, 'utf8')) : null })) }
}

/** Thresholds of a k6 summary: name to held. */
function thresholds(summary) {
  const out = {}
  for (const [name, m] of Object.entries(summary?.metrics ?? {}))
    for (const [t, v] of Object.entries(m.thresholds ?? {})) out[`${name}: ${t}`] = v.ok
  return out
}

// ---- the server beside it

class Watch {
  constructor(stack) {
    this.stack = stack
    this.rss = []
    this.cpu0 = cpuNs(stack.pid)
    this.t0 = Date.now()
  }

  async begin() { this.before = await metrics(this.stack.url); return this }
  sample() { const v = rssBytes(this.stack.pid); this.rss.push(v); return v }

  /** Memory is flat when nothing is added after the first minute (after a quarter of shorter runs). */
  async end(requests) {
    const from = Math.min(60, Math.floor(this.rss.length / 4)), later = this.rss.slice(from)
    const turns = gained(this.before, await metrics(this.stack.url), 'xorj_loop_turn_seconds')
    const growth = later.length ? later.at(-1) - later[0] : 0
    return {
      cpu_us_per_request: requests ? (cpuNs(this.stack.pid) - this.cpu0) / 1e3 / requests : null,
      rss: { first: this.rss[0], after_first_minute: later[0], last: later.at(-1), growth, flat: growth <= 0.05 * (later[0] ?? 1), each_second: this.rss },
      turns: { n: turns.total, p999_at_most_ms: turns.quantile(0.999) * 1e3, over_5_ms: turns.total - turns.under(0.005), over_10_ms: turns.total - turns.under(0.01) },
    }
  }
}

function progress(at, length, label, tally, rss, sent) {
  const s = tally.tick()
  say(`  ${label} ${String(at).padStart(4)}/${length} s  ${String(sent ?? s.n).padStart(6)}/s  p95 ${s.p95_ms.toFixed(2)} ms  p99 ${s.p99_ms.toFixed(2)} ms  errors ${tally.errors}  subscribers ${tally.subs.open - tally.subs.early}  rss ${(rss / 2 ** 20).toFixed(1)} MB`)
}

async function follow(over, length, label, tally, watch) {
  let done = null, at = 0
  over.then((r) => (done = r))
  for (let next = Date.now() + 1000; !done; next += 1000) {
    await Promise.race([over, sleep(Math.max(0, next - Date.now()))])
    if (!done) progress(++at, length, label, tally, watch.sample())
  }
  watch.sample()
  return done
}

// ---- the two generators

async function beside(ctx, env, tally, length) { // subscribers, up before the load starts
  if (!SUBS) return null
  const s = k6run(ctx.k6, 'ws', { ...env, DURATION: String(length + 5 + Math.ceil(SUBS / 200)) }, tally)
  for (let i = 0; i < 600 && tally.subs.open < SUBS && s.p.exitCode === null; i++) await sleep(50)
  return s
}

async function withK6(ctx, profile, to, creds, length) {
  const tally = new Tally(creds)
  const env = { URL: `http://${to}`, TOKENS: ctx.tokensJson, VIEWER: ctx.viewer, DURATION: String(length), USERS: String(USERS), RATE: String(RATE), SUBS: String(SUBS), PATHS: JSON.stringify(ctx.paths ?? {}) }
  const subs = profile === 'gate' ? await beside(ctx, env, tally, length) : null
  const watch = await new Watch(ctx.stack).begin()
  // A user an address: the edge limit of nginx stays on. The desk comes from loopback, the only one that may read metrics.
  const r = k6run(ctx.k6, profile, env, tally, profile === 'desk' ? null : '127.0.1.1-127.0.1.200')
  const main = await follow(r.over, length, `${profile}/${ctx.via}`, tally, watch)
  const result = { thresholds: thresholds(main.summary), subs: null, ...(await watch.end(tally.all.n)) }
  if (subs) {
    const s = await subs.over
    const count = (m) => s.summary?.metrics?.[m]?.values?.count ?? 0
    result.subs = { asked: SUBS, opened: count('ws_opened'), closed_early: count('ws_closed_early'), messages: count('ws_messages'), opportunities: count('ws_opportunities') }
    Object.assign(result.thresholds, thresholds(s.summary))
  }
  if (!main.summary) throw new Error(`k6 made no summary: ${tally.said.slice(-3).join(' | ')}`)
  return { result, hist: tally.all, by: Object.fromEntries([...tally.by].map(([k, h]) => [k, h.json()])), acks: tally.acks, statuses: tally.statuses, errors: tally.errors, seconds: length }
}

/** The same with bench/load: no k6 on this machine. */
async function withC(ctx, profile, to, creds, length) {
  const acks = path.join(WORK, 'acks.txt'), use = profile === 'hot' ? creds.slice(0, 1) : profile === 'gate' ? creds.slice(0, USERS) : creds
  const tokens = profile === 'desk' ? tokensFile('desk.txt', [{ wallet: 'viewer', token: ctx.viewer }]) : tokensFile('load.txt', use)
  const mix = ['--get', '/api/user/performance?walletAddress=%W&timeRange=30D', '--post', '/api/bot/enable', '--post', '/api/bot/disable', '--mix', 80]
  const how = {
    gate: ['--conns', USERS, '--think', '500-1500', '--ramp', Math.round((length * 2) / 13), ...mix],
    hot: ['--conns', USERS, '--think', '500-1500', '--ramp', Math.round((length * 2) / 13), ...mix],
    open: ['--conns', 200, '--rate', RATE, ...mix],
    desk: ['--conns', 50, '--requests', 50 * Object.keys(ctx.paths ?? {}).length, ...Object.values(ctx.paths ?? {}).flatMap((p) => ['--get', p])],
  }[profile]
  const tally = new Tally(creds)
  const subs = profile === 'gate' && SUBS ? subscribers(to, ['--conns', SUBS, '--tokens', ctx.subTokens, '--say', '{"action":"subscribe","channels":["bot","status"]}']) : null
  if (subs) await subs.ready
  const watch = await new Watch(ctx.stack).begin()
  const over = load(to, ['--tokens', tokens, '--seconds', length, '--acks', acks, '--progress', 1, ...(profile === 'desk' ? [] : ['--sources', 200]), ...how], { progress: true })
  let done = false
  over.then(() => (done = true), () => (done = true))
  while (!done) { watch.sample(); await Promise.race([over.catch(() => {}), sleep(1000)]) }
  const r = await over
  const hist = Hist.of(r.histogram)
  for (const line of fs.readFileSync(acks, 'utf8').split('\n').filter(Boolean)) {
    const [wallet, acked, unknown, version, enabled] = line.split(' ')
    if (Number(acked) + Number(unknown)) tally.acks.put(wallet, { acked: Number(acked), unknown: Number(unknown), version: Number(version), enabled: enabled === '1' })
  }
  const result = { thresholds: {}, subs: null, ...(await watch.end(r.requests)) }
  if (subs) { const s = await subs.end(); result.subs = { asked: SUBS, opened: s.opened, closed_early: s.closed, messages: s.messages } }
  return { result, hist, by: {}, acks: tally.acks, statuses: r.statuses, errors: r.errors, seconds: length }
}

// ---- the whole

/** Where this version serves what the desk asks for (a wallet's own trades while there is no list of all); what answers 404
 *  is named as missing. */
async function deskPaths(ctx, creds) {
  const want = { status: ['/api/v1/status'], opportunities: ['/api/v1/opportunities?limit=50'], trades: ['/api/v1/trades?limit=50', ...(ctx.k6.cmd ? ['/api/bot/trades?limit=50'] : [])], metrics: ['/api/metrics'] }
  ctx.paths = {}
  for (const [what, paths] of Object.entries(want))
    for (const p of paths) {
      const r = await fetch(`${ctx.stack.url}${p}`, { headers: { authorization: `Bearer ${p.startsWith('/api/bot') ? creds.at(-1).token : ctx.roles.admin}` } })
      await r.arrayBuffer()
      if (r.status !== 404) { ctx.paths[what] = p; break }
    }
  return Object.keys(want).filter((w) => !ctx.paths[w])
}

function judge(row) {
  const q = row.latency
  row.contract = q.p95_ms < CONTRACT.p95_ms && q.p99_ms < CONTRACT.p99_ms && row.errors / Math.max(1, row.requests) < CONTRACT.errors && Object.values(row.thresholds).every(Boolean)
  row.goal = row.errors === 0 && (row.profile === 'desk' || (q.p95_ms < GOAL.p95_ms && q.p99_ms < GOAL.p99_ms))
  row.ok = row.contract && row.verify.ok && row.requests > 0 && (!row.subs || (row.subs.opened === row.subs.asked && row.subs.closed_early === 0))
  say(`${row.ok ? (row.goal ? 'PASSED' : 'passed, goal missed') : 'FAILED'}  ${row.profile} via ${row.via}: ${row.requests} requests, p50 ${q.p50_ms} p95 ${q.p95_ms} p99 ${q.p99_ms} max ${q.max_ms} ms, errors ${row.errors} ${JSON.stringify(row.statuses)}; ${row.verify.acked} toggles acknowledged, ${row.verify.lost} lost, audit ${row.verify.audit}${row.missing?.length ? `; not served by this version: ${row.missing}` : ''}`)
  for (const [t, ok] of Object.entries(row.thresholds)) if (!ok) say(`        threshold crossed: ${t}`)
}

async function one(ctx, profile, via) {
  const creds = ctx.stack.wallets(WALLETS) // fresh: their rows begin at version 0
  ctx.tokensJson = path.join(WORK, 'tokens.json')
  fs.writeFileSync(ctx.tokensJson, JSON.stringify(creds), { mode: 0o600 })
  ctx.subTokens = tokensFile('subs.txt', creds)
  ctx.via = via
  ctx.viewer = ctx.roles[via === 'nginx' ? 'viewer' : 'operator'] // each way a principal of its own: the limits stay on
  const length = lengthOf(profile), to = via === 'nginx' ? ctx.front.to : ctx.stack.to
  const missing = profile === 'desk' ? await deskPaths(ctx, creds) : []
  const began = new Date().toISOString()
  say(`\n${profile} via ${via}, ${profile === 'desk' ? '50 users' : profile === 'open' ? `${RATE} arrivals/s` : `${USERS} users`}, ${length} s${profile === 'gate' && SUBS ? `, ${SUBS} subscribers beside it` : ''}`)
  const r = await (ctx.k6.cmd ? withK6 : withC)(ctx, profile, to, creds, length)
  const row = {
    profile, via, began, seconds: r.seconds, requests: r.hist.n, rps: r.hist.n / r.seconds, errors: r.errors, statuses: r.statuses,
    limits: profile === 'hot' ? `on; per principal raised by configuration: ${JSON.stringify(HOT)}` : 'on, as config.ini has them',
    latency: r.hist.json(), by_route: r.by, ...r.result, missing, verify: verify(ctx.stack, r.acks),
  }
  judge(row)
  return row
}

async function main() {
  fs.mkdirSync(WORK, { recursive: true })
  const ctx = { k6: process.env.GENERATOR === 'c' ? { missing: 'GENERATOR=c' } : await findK6() }
  say(ctx.k6.cmd ? `load: ${ctx.k6.version}` : `load: no k6 (${ctx.k6.missing}); bench/load, the generator in C, takes its place`)
  say('load: starting a stack of its own, simulated venues, limits on')
  ctx.stack = new Stack('load-run', { feeds: 'sim' })
  onSignal(ctx.stack)
  ctx.stack.up()
  const out = { commit: commit(), date: new Date().toISOString(), machine: machine(), command: `make load DURATION=${DURATION} PROFILE=${PROFILES} VIA=${VIAS} USERS=${USERS} RATE=${RATE} SUBS=${SUBS}`, generator: ctx.k6.version ?? 'bench/load.c', duration: DURATION, runs: [] }
  try {
    ctx.roles = Object.fromEntries(['viewer', 'operator', 'admin'].map((r) => [r, ctx.stack.xorj('token', '--role', r).trim()]))
    for (const profile of [...PROFILES.filter((p) => p !== 'hot'), ...PROFILES.filter((p) => p === 'hot')]) {
      if (profile === 'hot') ctx.stack.restart(HOT)
      if (ctx.front) await stop(ctx.front.child)
      ctx.front = VIAS.includes('nginx') ? await nginxFront(ctx.stack) : null
      for (const via of VIAS) out.runs.push(await one(ctx, profile, via))
    }
  } finally {
    await stopAll()
    ctx.stack.down()
  }
  fs.writeFileSync(path.join(B, 'load.json'), JSON.stringify(out))
  const failed = out.runs.filter((r) => !r.ok).length
  say(`\n${out.runs.length - failed} of ${out.runs.length} runs passed; written: ${path.relative(process.cwd(), path.join(B, 'load.json'))}`)
  if (failed) process.exitCode = 1
}

main().catch(async (e) => {
  console.error(`load: ${e.message}`)
  process.exitCode = 1
  await stopAll()
})
