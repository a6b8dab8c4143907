// What the measuring programs share: where things are, a stack of their own, other processes, the kernel's figures.
// Everything started here is ended by its own pid.
import { execFileSync, spawn } from 'node:child_process'
import fs from 'node:fs'
import net from 'node:net'
import os from 'node:os'
import path from 'node:path'

export const ROOT = path.resolve(path.dirname(new URL(import.meta.url).pathname), '..', '..')
export const B = path.resolve(ROOT, process.env.B || 'build')
export const WORK = path.join(B, 'bench')
process.env.PATH += ':/usr/sbin' // where Debian keeps nginx, and where not every user looks

export const sleep = (ms) => new Promise((r) => setTimeout(r, ms))
export const say = (s) => process.stdout.write(`${s}\n`)
export const median = (a) => [...a].sort((x, y) => x - y)[Math.floor(a.length / 2)]
export const commit = () => execFileSync('git', ['rev-parse', '--short=12', 'HEAD'], { cwd: ROOT, encoding: 'utf8' }).trim()

export function machine() {
  const cpu = os.cpus()
  const text = fs.existsSync('/etc/os-release') ? fs.readFileSync('/etc/os-release', 'utf8') : ''
  const version = (cmd, args) => { try { return execFileSync(cmd, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim().split('\n')[0] } catch { return null } }
  return {
    cpu: cpu[0]?.model, cores: cpu.length, memory_gib: Math.round(os.totalmem() / 2 ** 30), kernel: os.release(),
    system: /PRETTY_NAME="(.*)"/.exec(text)?.[1] ?? os.type(), load_before: os.loadavg(),
    postgres: version(pgbin('postgres'), ['--version']), node: process.version,
  }
}

// ---- figures of the kernel

/** Nanoseconds on a core, every thread of the processes. */
export function cpuNs(...pids) {
  let sum = 0
  for (const pid of pids)
    for (const t of fs.readdirSync(`/proc/${pid}/task`))
      try { sum += Number(fs.readFileSync(`/proc/${pid}/task/${t}/schedstat`, 'utf8').split(' ')[0]) } catch { /* ended meanwhile */ }
  return sum
}

export function rssBytes(pid) {
  return Number(/VmRSS:\s+(\d+)/.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1024
}

export function children(pid) {
  try { return fs.readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number) } catch { return [] }
}

/** A process with all it started. */
export const family = (pid) => [pid, ...children(pid).flatMap(family)]

// ---- other processes

const started = []

export function start(cmd, args, opts = {}) {
  const p = spawn(cmd, args, { stdio: ['ignore', 'ignore', 'inherit'], ...opts })
  p.on('error', (e) => (p.failed = e))
  p.over = new Promise((r) => { p.on('exit', (code, sig) => r(code ?? sig)); p.on('error', () => r(127)) })
  started.push(p)
  return p
}

export async function stop(p, sig = 'SIGTERM') {
  if (!p || p.exitCode !== null || p.signalCode !== null || p.failed) return
  p.kill(sig)
  const gone = await Promise.race([p.over.then(() => true), sleep(5000)])
  if (!gone) p.kill('SIGKILL')
}

export async function stopAll() {
  await Promise.all(started.splice(0).map((p) => stop(p)))
}

/** Runs to the end and gives what it said; throws with the end of stderr. */
export function run(cmd, args, opts = {}) {
  return new Promise((resolve, reject) => {
    const p = start(cmd, args, { stdio: ['ignore', 'pipe', 'pipe'], ...opts })
    let out = '', err = ''
    p.stdout.setEncoding('utf8').on('data', (d) => (out += d))
    p.stderr.setEncoding('utf8').on('data', (d) => (err += d))
    p.on('error', (e) => reject(new Error(`${cmd}: ${e.message}`)))
    p.on('close', (code) => (code === 0 ? resolve(out) : reject(new Error(`${path.basename(cmd)} ended with ${code}: ${err.trim().split('\n').slice(-3).join(' | ')}`))))
  })
}

export function which(cmd) {
  for (const d of process.env.PATH.split(':')) {
    const p = path.join(d, cmd)
    try { fs.accessSync(p, fs.constants.X_OK); return p } catch { /* next */ }
  }
  return null
}

export function freePort() {
  return new Promise((r) => {
    const s = net.createServer().listen(0, '127.0.0.1', () => { const p = s.address().port; s.close(() => r(p)) })
  })
}

/** Polls until an HTTP answer has the status; throws after ms. */
export async function answers(url, ms, what, child, status = 200) {
  const end = Date.now() + ms
  while (Date.now() < end) {
    if (child && (child.exitCode !== null || child.failed)) throw new Error(`${what} did not start`)
    const r = await fetch(url).catch(() => null)
    if (r) await r.arrayBuffer().catch(() => {})
    if (r?.status === status) return
    await sleep(25)
  }
  throw new Error(`${what} did not answer within ${ms} ms`)
}

export function pgbin(name) {
  const dirs = fs.existsSync('/usr/lib/postgresql') ? fs.readdirSync('/usr/lib/postgresql').sort((a, b) => b - a) : []
  for (const v of dirs) { const p = `/usr/lib/postgresql/${v}/bin/${name}`; if (fs.existsSync(p)) return p }
  return which(name)
}

// ---- the stack

/** A stack of one's own under build/bench; env: further XORJ_ settings of the server. */
export class Stack {
  constructor(name, { feeds = 'sim', env = {} } = {}) {
    this.dir = path.join(WORK, name)
    this.opts = { RUN_DIR: this.dir, B, PORT: '0', FEEDS: feeds, XORJ_LOG_OPPORTUNITIES: 'false', ...env }
  }

  #sh(args, more = {}) {
    const env = {}
    for (const [k, v] of Object.entries(process.env)) if (!/^(XORJ_|DATABASE_|REDIS_URL|JWT_SECRET|MAKE|MFLAGS)/.test(k)) env[k] = v
    return execFileSync('bash', [path.join(ROOT, 'deploy', 'stack.sh'), ...args], {
      cwd: ROOT, env: { ...env, ...this.opts, ...more }, encoding: 'utf8', maxBuffer: 256 << 20, stdio: ['ignore', 'pipe', 'inherit'],
    })
  }

  up() { this.#sh(['up']); return this.read() }
  restart(env = {}) { this.#sh(['restart-server'], env); return this.read() }
  down() { this.#sh(['down']) }

  read() {
    this.env = {}
    for (const line of fs.readFileSync(path.join(this.dir, 'env'), 'utf8').split('\n')) {
      const m = /^([A-Z_]+)=(.*)$/.exec(line)
      if (m) this.env[m[1]] = m[2]
    }
    this.url = this.env.XORJ_URL
    this.to = this.url.replace('http://', '')
    this.pid = Number(this.env.XORJ_PID)
    return this
  }

  xorj(...args) { return this.#sh(['xorj', ...args]) }
  wallets(n) { return JSON.parse(this.xorj('token', '--wallets', String(n))) }
  viewer() { return this.xorj('token', '--role', 'viewer').trim() }

  /** Rows as arrays of text. */
  sql(text, { admin = false } = {}) {
    const out = execFileSync(pgbin('psql'), [admin ? this.env.DATABASE_ADMIN_URL : this.env.DATABASE_URL, '-AtqX', '-F', '\t', '-v', 'ON_ERROR_STOP=1', '-c', 'SET client_min_messages = warning', '-c', text], { encoding: 'utf8', maxBuffer: 256 << 20, stdio: ['ignore', 'pipe', 'inherit'] })
    return out.split('\n').filter(Boolean).map((l) => l.split('\t'))
  }
}

/** Ctrl-C ends what runs, too. */
export function onSignal(...stacks) {
  for (const sig of ['SIGINT', 'SIGTERM', 'SIGHUP'])
    process.once(sig, async () => {
      await stopAll()
      for (const s of stacks) s.down()
      process.exit(130)
    })
}

/** Tokens as bench/load reads them: a line "WALLET TOKEN" each. */
export function tokensFile(name, creds) {
  const file = path.join(WORK, name)
  fs.writeFileSync(file, creds.map((c) => `${c.wallet} ${c.token}\n`).join(''), { mode: 0o600 })
  return file
}

// ---- bench/load and bench/subs

/** One run of bench/load. pids: whose CPU time is divided by the requests. */
export async function load(to, args, { pids, progress = false } = {}) {
  const before = pids ? cpuNs(...pids) : 0
  const p = start(path.join(B, 'bench', 'load'), ['--to', to, ...args.map(String)], { stdio: ['ignore', 'pipe', progress ? 'inherit' : 'pipe'] })
  let out = '', err = ''
  p.stdout.setEncoding('utf8').on('data', (d) => (out += d))
  p.stderr?.setEncoding('utf8').on('data', (d) => (err += d))
  await new Promise((r) => p.on('close', r))
  let res
  try { res = JSON.parse(out) } catch { throw new Error(`load: ${err.trim() || 'no result'}`) }
  if (pids) res.cpu_us = (cpuNs(...pids) - before) / 1e3 / res.requests
  return res
}

/** Subscribers in a process of their own. ready: resolves when all have subscribed; end(): their report. */
export function subscribers(to, args) {
  const p = start(path.join(B, 'bench', 'subs'), ['--to', to, ...args.map(String)], { stdio: ['pipe', 'pipe', 'inherit'] })
  const s = { pid: p.pid }
  let out = ''
  s.ready = new Promise((res, rej) => {
    p.stdout.setEncoding('utf8').on('data', (d) => { out += d; if (out.includes('READY\n')) res() })
    p.on('exit', (c) => rej(new Error(`subs ended with ${c}`)))
  })
  s.ready.catch(() => {})
  s.end = async () => {
    p.stdin.end()
    await p.over
    return JSON.parse(out.slice(out.indexOf('{')))
  }
  return s
}

// ---- nginx

async function nginx(dir, conf, port, probe) {
  fs.mkdirSync(dir, { recursive: true })
  fs.writeFileSync(path.join(dir, 'nginx.conf'), conf)
  const child = start('nginx', ['-p', dir, '-c', path.join(dir, 'nginx.conf')], { stdio: 'ignore' })
  await answers(`http://127.0.0.1:${port}${probe}`, 5000, 'nginx', child)
  return { port, to: `127.0.0.1:${port}`, child, pid: child.pid, pids: () => family(child.pid) }
}

/** The shipped configuration in front of a stack. */
export async function nginxFront(stack) {
  const port = await freePort(), dir = path.join(WORK, 'nginx-front')
  fs.mkdirSync(dir, { recursive: true })
  const conf = execFileSync('sh', ['deploy/nginx/render.sh', 'local.conf', `UPSTREAM=${stack.to}`, `LISTEN=127.0.0.1:${port}`, `DIR=${dir}`, 'EXEMPT=127.0.0.1'], { cwd: ROOT, encoding: 'utf8' })
  return nginx(dir, conf, port, '/health')
}

/** nginx that answers by itself: /fixed is `return 200`, /file the same bytes from a file, POST is answered 200. */
export async function nginxStatic(body) {
  const port = await freePort(), dir = path.join(WORK, 'nginx-static')
  fs.mkdirSync(path.join(dir, 'www'), { recursive: true })
  fs.writeFileSync(path.join(dir, 'www', 'file'), body)
  const user = process.getuid() === 0 ? 'user root;' : ''
  return nginx(dir, `${user} daemon off; master_process off; worker_processes 1; pid ${dir}/pid; error_log ${dir}/error.log;
worker_rlimit_nofile 20000;
events { worker_connections 16384; }
http { access_log off; keepalive_requests 1000000000; open_file_cache max=16; default_type application/json;
client_body_temp_path ${dir}/b; proxy_temp_path ${dir}/p; fastcgi_temp_path ${dir}/f; uwsgi_temp_path ${dir}/u; scgi_temp_path ${dir}/s;
server { listen 127.0.0.1:${port} backlog=4096; root ${dir}/www; location /fixed { return 200 '${body}'; } location = /file { } location = /post { return 200 '${body}'; } } }`, port, '/fixed')
}

// ---- /metrics

/** Prometheus text to a map from the whole name, labels included, to the number. */
export async function metrics(url) {
  const m = new Map()
  for (const line of (await (await fetch(`${url}/metrics`)).text()).split('\n')) {
    const at = line.lastIndexOf(' ')
    if (at > 0 && line[0] !== '#') m.set(line.slice(0, at), Number(line.slice(at + 1)))
  }
  return m
}

/** What a histogram gained between two readings: quantile(q) is the upper bound of the bucket that holds it. */
export function gained(before, after, name) {
  const rows = []
  for (const [k, v] of after) {
    const m = new RegExp(`^${name}_bucket\\{le="([^"]+)"\\}$`).exec(k)
    if (m) rows.push({ le: m[1] === '+Inf' ? Infinity : Number(m[1]), n: v - (before.get(k) ?? 0) })
  }
  const total = rows.at(-1)?.n ?? 0
  const name_of = (k) => (after.get(`${name}_${k}`) ?? 0) - (before.get(`${name}_${k}`) ?? 0)
  return { total, mean: name_of('count') ? name_of('sum') / name_of('count') : null, quantile: (q) => rows.find((r) => r.n >= q * total)?.le ?? 0, under: (le) => rows.find((r) => r.le >= le)?.n ?? 0, buckets: rows }
}

/** A second server on a stack's database: env in, {pid, url, to, child, ready_ms} out. */
export async function freshServer(stack, env = {}) {
  const t0 = process.hrtime.bigint(), e = stack.env
  const child = start(path.join(B, 'xorj'), ['serve'], { env: { PATH: process.env.PATH, DATABASE_URL: e.DATABASE_URL, REDIS_URL: e.REDIS_URL, JWT_SECRET: e.JWT_SECRET, XORJ_SERVER_PORT: '0', XORJ_LOG_LEVEL: 'error', XORJ_FEEDS_ENABLED: 'false', ...env }, stdio: ['ignore', 'pipe', 'inherit'] })
  const port = await new Promise((res, rej) => {
    let text = ''
    child.stdout.on('data', (d) => {
      const m = /XORJ_PORT=(\d+)/.exec((text += d))
      if (m) res(m[1])
    })
    child.on('exit', (c) => rej(new Error(`the server ended with ${c}`)))
  })
  const url = `http://127.0.0.1:${port}`
  for (;;) {
    const r = await fetch(`${url}/health/ready`).catch(() => null)
    await r?.arrayBuffer()
    if (r?.status === 200) break
    await sleep(2)
  }
  return { child, pid: child.pid, url, to: `127.0.0.1:${port}`, ready_ms: Number(process.hrtime.bigint() - t0) / 1e6 }
}
