// Builds and starts the peers of bench/peers. Everything they need lands in build/peers; one that cannot be had is named.
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { B, ROOT, answers, family, freePort, run, say, start, stop, which } from './common.mjs'

const SRC = path.join(ROOT, 'bench', 'peers'), OUT = path.join(B, 'peers')
const CORES = os.cpus().length

export function need(...cmds) {
  for (const c of cmds) {
    const found = which(c) ?? [`/usr/local/go/bin/${c}`, `${os.homedir()}/.cargo/bin/${c}`].find((p) => fs.existsSync(p))
    if (found) return found
  }
  throw new Error(`${cmds.join(' or ')} is not installed`)
}

export function copy(name, ...files) {
  const dir = path.join(OUT, name)
  fs.mkdirSync(dir, { recursive: true })
  let changed = false
  for (const f of files) {
    const text = fs.readFileSync(path.join(SRC, name, f)), to = path.join(dir, f)
    if (fs.existsSync(to) && fs.readFileSync(to).equals(text)) continue
    fs.writeFileSync(to, text)
    changed = true
  }
  return { dir, changed }
}

async function go() {
  const cmd = need('go'), dir = path.join(OUT, 'go')
  fs.mkdirSync(dir, { recursive: true })
  await run(cmd, ['build', '-o', path.join(dir, 'peer'), '.'], { cwd: path.join(SRC, 'go') })
  return { cmd: path.join(dir, 'peer'), version: await run(cmd, ['env', 'GOVERSION']) }
}

async function rust() {
  const cmd = need('cargo'), dir = path.join(OUT, 'rust')
  await run(cmd, ['build', '--release', '--locked', '--quiet'], { cwd: path.join(SRC, 'rust'), env: { ...process.env, CARGO_TARGET_DIR: dir } })
  return { cmd: path.join(dir, 'release', 'peer'), version: await run(cmd, ['--version']) }
}

async function node() {
  const { dir, changed } = copy('node', 'package.json', 'package-lock.json', 'server.mjs')
  if (changed || !fs.existsSync(path.join(dir, 'node_modules', '.ready'))) {
    await run(need('npm'), ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'], { cwd: dir })
    fs.writeFileSync(path.join(dir, 'node_modules', '.ready'), '')
  }
  return { cmd: process.execPath, args: [path.join(dir, 'server.mjs')], env: { NODE_ENV: 'production' }, version: process.version }
}

async function python() {
  const { dir, changed } = copy('python', 'requirements.txt', 'server.py')
  const venv = path.join(dir, 'venv'), py = path.join(venv, 'bin', 'python')
  if (changed || !fs.existsSync(path.join(venv, '.ready'))) {
    await run(need('python3'), ['-m', 'venv', venv])
    await run(py, ['-m', 'pip', 'install', '-q', '--disable-pip-version-check', '--only-binary', ':all:', '-r', path.join(dir, 'requirements.txt')])
    fs.writeFileSync(path.join(venv, '.ready'), '')
  }
  const args = (port, workers) => ['-m', 'uvicorn', 'server:app', '--host', '127.0.0.1', '--port', port, '--loop', 'uvloop', '--http', 'httptools', '--no-access-log', '--log-level', 'error', '--backlog', '4096', '--workers', workers]
  return { cmd: py, args, cwd: dir, version: (await run(py, ['--version'])).trim() }
}

/** One row per way of running a peer. Go and Rust use every core by themselves; Node and Python by more processes. */
const WAYS = [
  { name: 'Go net/http + pgx', key: 'go', build: go, workers: 1 },
  { name: 'Rust axum + tokio-postgres', key: 'rust', build: rust, workers: 1 },
  { name: 'Node fastify + pg', key: 'node', build: node, workers: 1 },
  { name: `Node, cluster of ${CORES}`, key: 'node', build: node, workers: CORES },
  { name: 'FastAPI + asyncpg', key: 'python', build: python, workers: 1 },
  { name: `FastAPI, ${CORES} workers`, key: 'python', build: python, workers: CORES },
].filter((w, i, all) => w.workers > 1 || all.findIndex((x) => x.key === w.key) === i)

async function begin(way, made, env) {
  const port = await freePort()
  const args = typeof made.args === 'function' ? made.args(String(port), String(way.workers)) : (made.args ?? [])
  const p = start(made.cmd, args, { cwd: made.cwd, env: { PATH: process.env.PATH, HOME: process.env.HOME, DATABASE_URL: env.DATABASE_URL, JWT_SECRET: env.JWT_SECRET, PORT: String(port), WORKERS: String(way.workers), PEER_SQL: SRC, ...made.env } })
  await answers(`http://127.0.0.1:${port}/health`, 20_000, way.name, p)
  return { ...way, version: made.version.trim(), to: `127.0.0.1:${port}`, pids: () => family(p.pid), stop: () => stop(p) }
}

/** {running, missing: [{name, why}]}; PEERS=go,node narrows it, PEERS=none starts none. */
export async function startPeers(stack) {
  const want = process.env.PEERS ? process.env.PEERS.split(',') : ['go', 'rust', 'node', 'python']
  const running = [], missing = [], made = {}
  stack.sql('DROP TABLE IF EXISTS peer_bot_states; CREATE TABLE peer_bot_states (LIKE bot_states INCLUDING ALL)')
  for (const way of WAYS) {
    try {
      if (!want.includes(way.key)) throw new Error(`left out by PEERS=${process.env.PEERS}`)
      if (!made[way.key]) {
        say(`  building the peer in ${way.key}`)
        made[way.key] = await way.build()
      }
      running.push(await begin(way, made[way.key], stack.env))
    } catch (e) {
      missing.push({ name: way.name, why: e.message })
    }
  }
  return { running, missing }
}
