// Clients of other languages and their tools, installed once under the build directory from the public registries.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { buildDir } from './stack.mjs'

const home = (name) => join(buildDir('release'), 'tools', name)

function run(cmd, args, opts = {}) {
  const r = spawnSync(cmd, args, { encoding: 'utf8', timeout: 240_000, maxBuffer: 64 << 20, ...opts })
  return { code: r.status ?? 127, out: `${r.stdout ?? ''}${r.stderr ?? ''}${r.error ?? ''}` }
}

const lastLine = (text) => text.trim().split('\n').pop()

/** Installs into a directory of its own, once for one list of packages: {dir} or {missing: why}. */
function once(name, wanted, install) {
  const dir = home(name)
  const stamp = join(dir, `stamp-${wanted.join('_').replace(/[^\w.-]/g, '_')}`)
  if (existsSync(stamp)) return { dir }
  rmSync(dir, { recursive: true, force: true })
  mkdirSync(dir, { recursive: true })
  const why = install(dir)
  if (why) return { missing: why }
  writeFileSync(stamp, '')
  return { dir }
}

/** A Python environment with these packages (name==version). */
export function python(name, packages) {
  return once(name, packages, (dir) => {
    if (run('python3', ['-c', 'import sys; sys.exit(sys.version_info < (3, 10))']).code !== 0) return 'no python3 of version 3.10 or later'
    let r = run('python3', ['-m', 'venv', dir])
    if (r.code !== 0) return `python3 -m venv does not work: ${lastLine(r.out)}`
    r = run(join(dir, 'bin', 'pip'), ['install', '-q', '--disable-pip-version-check', ...packages])
    return r.code === 0 ? '' : `the Python package registry gave no ${packages.join(', ')}: ${lastLine(r.out)}`
  })
}

/** A folder with these npm packages (name@version). */
export function npm(name, packages) {
  return once(name, packages, (dir) => {
    writeFileSync(join(dir, 'package.json'), '{"private":true,"type":"module"}')
    const r = run('npm', ['install', '--no-audit', '--no-fund', '--loglevel=error', ...packages], { cwd: dir })
    return r.code === 0 ? '' : `the npm registry gave no ${packages.join(', ')}: ${lastLine(r.out)}`
  })
}

export { run }
