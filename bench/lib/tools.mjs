// k6, from where it can be had: the PATH, an earlier installation, Go, the system's packages.
import fs from 'node:fs'
import path from 'node:path'
import { B, run, say, which } from './common.mjs'

async function works(cmd) {
  try { return (await run(cmd, ['version'])).trim().split('\n')[0] } catch { return null }
}

async function fromGo(dir) {
  const go = which('go') ?? (fs.existsSync('/usr/local/go/bin/go') ? '/usr/local/go/bin/go' : null)
  if (!go) throw new Error('no go on this machine')
  say('load: installing k6 with go install go.k6.io/k6@latest (a minute or two, once)')
  fs.mkdirSync(dir, { recursive: true })
  await run(go, ['install', 'go.k6.io/k6@latest'], { env: { ...process.env, GOBIN: dir, GOFLAGS: '' } })
}

async function fromPackages() {
  if (!which('apt-get')) throw new Error('no apt-get on this machine')
  if (!/Candidate: (?!\(none\))/.test(await run('apt-cache', ['policy', 'k6']))) throw new Error('the system has no package k6')
  const root = process.getuid() === 0 ? [] : ['sudo', '-n']
  const [cmd, ...args] = [...root, 'apt-get', 'install', '-y', '--no-install-recommends', 'k6']
  await run(cmd, args)
}

/** {cmd, version}, or {missing: why}. */
export async function k6() {
  const dir = path.join(B, 'tools'), own = path.join(dir, 'k6')
  const why = []
  for (const [cmd, install] of [['k6', null], [own, null], [own, () => fromGo(dir)], ['k6', fromPackages]]) {
    try { await install?.() } catch (e) { why.push(e.message) }
    const version = await works(cmd)
    if (version) return { cmd, version }
  }
  return { missing: why.join('; ') }
}
