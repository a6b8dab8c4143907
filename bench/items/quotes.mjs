// Q: quotes per second, one pool of each kind, beside the official packages on the same pools. Both must come to the same
// amount, or the row fails. The packages are installed for this comparison only.
import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import { B, median, run } from '../lib/common.mjs'
import { copy, need } from '../lib/peers.mjs'

const OURS = path.join(B, 'bench', 'quotes')
const KINDS = ['whirlpool', 'raydium_clmm', 'raydium_cpmm', 'raydium_amm', 'pump']

async function install() {
  const { dir, changed } = copy('sdk', 'package.json', 'package-lock.json', 'quotes.mjs')
  if (changed || !fs.existsSync(path.join(dir, 'node_modules', '.ready'))) {
    await run(need('npm'), ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'], { cwd: dir })
    fs.writeFileSync(path.join(dir, 'node_modules', '.ready'), '')
  }
  return path.join(dir, 'quotes.mjs')
}

function once(cmd, args) {
  const r = spawnSync(cmd, args, { encoding: 'utf8', maxBuffer: 1 << 20 })
  if (r.status !== 0) throw new Error(`${path.basename(cmd)} ended with ${r.status ?? r.signal}: ${r.stderr.trim().split('\n').at(-1)}`)
  return JSON.parse(r.stdout)
}

export async function quotes(ctx) {
  const each = String(Math.max(0.2, ctx.seconds / KINDS.length)), ours = [], theirs = []
  let script = null, why = null
  try {
    script = await install()
  } catch (e) {
    why = e.message
  }
  for (let i = 0; i < ctx.rounds; i++) {
    ours.push(once(OURS, [each]))
    if (script) theirs.push(once(process.execPath, [script, each]))
  }
  const speed = (list, kind) => 1e9 / median(list.map((r) => r[kind].ns))
  return KINDS.map((kind) => {
    const mine = speed(ours, kind), peer = theirs[0]?.[kind], other = peer ? speed(theirs, kind) : null
    const same = !peer || peer.out === ours[0][kind].out
    return {
      id: 'Q', what: `quotes a second, ${kind}${same ? '' : `: ${ours[0][kind].out} beside ${peer.out}`}${!script ? ` (the packages are missing: ${why})` : ''}`,
      ours: `${(mine / 1e6).toFixed(2)} M/s`, peer: other ? `${(other / 1e3).toFixed(1)} k/s` : '-', ratio: other ? mine / other : null,
      target: 'same amounts', ok: same, errors: same ? 0 : 1, rounds: { ours, theirs },
    }
  })
}
