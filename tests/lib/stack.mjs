// A throw-away stack for one test file: own PostgreSQL, Redis, venues and server in a directory of its own.
// It goes through deploy/stack.sh, so what users start is what is tested.
import { spawn, spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import assert from 'node:assert/strict'

export const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..', '..')
export const SHARED = join(ROOT, '..', 'shared')
const BUILD = process.env.B || 'build'

export const sleep = (ms) => new Promise((r) => setTimeout(r, ms))
export const now = () => performance.now()

/** Polls until fn gives something truthy; the last error or "not yet" is the failure. */
export async function until(fn, ms = 10_000, what = 'condition', every = 25) {
  const end = now() + ms
  let last
  for (;;) {
    try {
      const v = await fn()
      if (v) return v
      last = undefined
    } catch (e) {
      last = e
    }
    if (now() > end) throw new Error(`${what}: not within ${ms} ms${last ? ` (${last.message})` : ''}`)
    await sleep(every)
  }
}

export function buildDir(flavour) {
  const b = flavour === 'release' ? BUILD : join(BUILD, 'asan')
  return b.startsWith('/') ? b : join(ROOT, b)
}

function run(cmd, args, env) {
  return new Promise((resolve) => {
    const p = spawn(cmd, args, { cwd: ROOT, env, stdio: ['ignore', 'pipe', 'pipe'] })
    let out = ''
    let err = ''
    p.stdout.on('data', (d) => (out += d))
    p.stderr.on('data', (d) => (err += d))
    p.on('error', (e) => resolve({ code: 127, out, err: String(e) }))
    p.on('close', (code) => resolve({ code, out, err }))
  })
}

/** Environment without what another stack or config may have left there. */
function cleanEnv() {
  const env = {}
  for (const [k, v] of Object.entries(process.env)) if (!/^(XORJ_|DATABASE_|REDIS_URL|JWT_SECRET|MAKE|MFLAGS)/.test(k)) env[k] = v
  return env
}

export class Stack {
  constructor(opts) {
    this.opts = { flavour: process.env.TEST_FLAVOUR || 'asan', feeds: 'none', env: {}, ...opts }
    const name = basename(process.argv[1] || 'test').replace(/\.test\.mjs$/, '')
    const base = process.env.TEST_RUN_DIR || join(BUILD.startsWith('/') ? BUILD : join(ROOT, BUILD), 'test-run')
    mkdirSync(base, { recursive: true })
    this.dir = join(base, `${name}-${process.pid}-${++Stack.count}`)
    this.b = buildDir(this.opts.flavour)
    this.gone = false
  }

  #env(extra = {}) {
    const san = `log_path=${this.dir}/log/sanitizer:exitcode=23`
    const o = this.opts
    return {
      ...cleanEnv(),
      RUN_DIR: this.dir,
      B: this.b,
      PORT: '0',
      FEEDS: o.feeds,
      STACK_QUICK: '1',
      ASAN_OPTIONS: san,
      UBSAN_OPTIONS: `${san}:print_stacktrace=1`,
      ...(o.simArgs ? { SIM_ARGS: o.simArgs } : {}),
      ...(o.play ? { PLAY: o.play, PROTOCOL: o.protocol, MARKETS: o.markets || '', SEEDS: o.seeds || '' } : {}),
      ...(o.venues ? { VENUES: o.venues } : {}),
      ...(o.nofile ? { SERVER_NOFILE: String(o.nofile) } : {}),
      ...(o.redisPort ? { SERVER_REDIS_PORT: String(o.redisPort) } : {}),
      ...o.env,
      ...extra,
    }
  }

  async sh(command, { env = {}, args = [], ok = true } = {}) {
    const r = await run('bash', ['deploy/stack.sh', command, ...args], this.#env(env))
    if (ok && r.code !== 0) throw new Error(`stack ${command} failed (${r.code})\n${r.out}${r.err}`)
    if (existsSync(join(this.dir, 'env'))) this.#read()
    return r
  }

  #read() {
    this.env = {}
    for (const line of readFileSync(join(this.dir, 'env'), 'utf8').split('\n')) {
      const m = /^([A-Z_]+)=(.*)$/.exec(line)
      if (m) this.env[m[1]] = m[2]
    }
    this.url = this.env.XORJ_URL
    this.port = Number(new URL(this.url).port)
    this.pid = Number(this.env.XORJ_PID)
  }

  async start() {
    await this.sh('up')
    return this
  }

  /** The program with this stack's environment. */
  async xorj(...args) {
    const r = await this.sh('xorj', { args, ok: false })
    if (r.code !== 0) throw new Error(`xorj ${args.join(' ')}: ${r.code}\n${r.err}`)
    return r.out.trim()
  }

  async role(role) {
    this.roles ||= {}
    this.roles[role] ||= await this.xorj('token', '--role', role)
    return this.roles[role]
  }

  /** n signed-in wallets: [{wallet, token}] */
  async wallets(n) {
    return JSON.parse(await this.xorj('token', '--wallets', String(n)))
  }

  log(part) {
    const f = join(this.dir, 'log', `${part}.log`)
    return existsSync(f) ? readFileSync(f, 'utf8') : ''
  }

  serverExit() {
    const f = join(this.dir, 'server.exit')
    return existsSync(f) ? Number(readFileSync(f, 'utf8')) : undefined
  }

  signal(sig, pid = this.pid) {
    process.kill(pid, sig)
  }

  alive(pid = this.pid) {
    try {
      const s = readFileSync(`/proc/${pid}/stat`, 'utf8')
      return !/^\d+ \(.*\) [ZX]/.test(s)
    } catch {
      return false
    }
  }

  async killServer() {
    this.signal('SIGKILL')
    await until(() => !this.alive(), 5000, 'server gone after SIGKILL', 2)
  }

  startServer(env) {
    return this.sh('start-server', { env })
  }

  /** What the sanitizers said about any process of this stack. */
  sanitizerReports() {
    const d = join(this.dir, 'log')
    if (!existsSync(d)) return ''
    return readdirSync(d)
      .filter((f) => f.startsWith('sanitizer.'))
      .map((f) => `${f}\n${readFileSync(join(d, f), 'utf8').slice(0, 4000)}`)
      .join('\n')
  }

  /** The logs outlive the stack, for whoever asks why. */
  keepLogs() {
    const to = process.env.TEST_LOG_DIR
    if (to && existsSync(join(this.dir, 'log'))) cpSync(join(this.dir, 'log'), join(to, basename(this.dir)), { recursive: true })
  }

  destroySync() {
    if (this.gone || process.env.TEST_KEEP) return
    this.gone = true
    this.keepLogs()
    spawnSync('bash', ['deploy/stack.sh', 'destroy'], { cwd: ROOT, env: this.#env(), stdio: 'ignore' })
  }

  async destroy() {
    if (this.gone || process.env.TEST_KEEP) return
    this.gone = true
    this.keepLogs()
    await run('bash', ['deploy/stack.sh', 'destroy'], this.#env())
  }
}
Stack.count = 0
const all = []
process.on('exit', () => all.forEach((s) => s.destroySync()))
for (const sig of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(sig, () => process.exit(1))

/** A stack for this file; it is taken down when the file ends. */
export async function startStack(opts = {}) {
  const s = new Stack(opts)
  all.push(s)
  after(() => s.destroy())
  try {
    return await s.start()
  } catch (e) {
    const last = s.log('server').split('\n').slice(-15).join('\n')
    await s.destroy()
    throw new Error(`${e.message}\n${last}`)
  }
}

/** The last test of a file: the server stops with exit code 0 and no sanitizer had anything to say. */
export function cleanEnd(get) {
  test('the server ends cleanly, and no sanitizer reported anything', async () => {
    const s = get()
    await s.sh('stop-server')
    await until(() => s.serverExit() !== undefined, 3000, 'exit code noted')
    assert.equal(s.sanitizerReports(), '', 'sanitizer reports')
    assert.equal(s.serverExit(), 0, `exit code; end of the log:\n${s.log('server').split('\n').slice(-12).join('\n')}`)
  })
}
