// A second server process on the database and Redis of a stack that is up.
import { spawn } from 'node:child_process'
import { createWriteStream, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { get } from './http.mjs'
import { ROOT, until } from './stack.mjs'

/** {port, pid, url, stop(), said()}: fit wherever a stack is asked for its port. What differs from the first server goes into env
 * (undefined: not set), or into another config file. */
export async function startReplica(s, env = {}, config = join(ROOT, 'config.ini')) {
  const theirs = Object.fromEntries(
    readFileSync(`/proc/${s.pid}/environ`, 'latin1')
      .split('\0')
      .filter(Boolean)
      .map((l) => [l.slice(0, l.indexOf('=')), l.slice(l.indexOf('=') + 1)]),
  )
  const p = spawn(join(s.b, 'xorj'), ['serve', '-c', config], {
    cwd: ROOT,
    env: { ...theirs, XORJ_FEEDS_ENABLED: 'false', XORJ_SERVER_PORT: '0', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let said = ''
  p.stderr.on('data', (d) => (said += d))
  p.stderr.pipe(createWriteStream(join(s.dir, 'log', `replica-${p.pid}.log`)))
  let out = ''
  p.stdout.on('data', (d) => (out += d))
  const exited = new Promise((r) => p.on('exit', (code, sig) => r({ code, sig })))
  const replica = {
    pid: p.pid,
    exited,
    said: () => said,
    async stop(sig = 'SIGTERM') {
      if (p.exitCode === null && p.signalCode === null) p.kill(sig)
      return exited
    },
  }
  await until(() => /XORJ_PORT=(\d+)/.exec(out) || p.exitCode !== null, 10_000, 'replica listens')
  if (p.exitCode !== null) throw new Error(`replica ended with ${p.exitCode}: ${said}`)
  replica.port = Number(/XORJ_PORT=(\d+)/.exec(out)[1])
  replica.url = `http://127.0.0.1:${replica.port}`
  await until(async () => (await get(replica, '/health/ready')).status === 200, 10_000, 'replica ready')
  return replica
}
