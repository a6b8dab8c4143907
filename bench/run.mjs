// `make bench`: the performance table, each figure measured beside its peer in the same run, in interleaved rounds, as
// medians. Prints one table and writes build/bench.json. Everything runs on loopback and is ended by pid.
//
//   ROUNDS=5 SECONDS=3    ONLY=P1,P4 (some rows)    PEERS=go,rust,node,python|none
//
// Rate limits are off while measuring, and only then.
import fs from 'node:fs'
import path from 'node:path'
import { B, Stack, WORK, commit, load, machine, onSignal, say, stopAll, tokensFile } from './lib/common.mjs'
import { p2, p6, p7 } from './items/db.mjs'
import { MIX, p1, p3p4, p5 } from './items/http.mjs'
import { p11, p12, p8 } from './items/live.mjs'
import { p13, p14, p15 } from './items/process.mjs'
import { quotes } from './items/quotes.mjs'
import { r1, r2, r3 } from './items/routes.mjs'

const ITEMS = [
  { ids: ['P1'], run: p1 }, { ids: ['P2'], run: p2 }, { ids: ['P3', 'P4'], run: p3p4 }, { ids: ['P5'], run: p5 },
  { ids: ['P6'], run: p6 }, { ids: ['P7'], run: p7 }, { ids: ['P8'], run: p8 }, { ids: ['P11'], run: p11 }, { ids: ['P12'], run: p12 },
  { ids: ['P13'], run: p13 }, { ids: ['P14'], run: p14 }, { ids: ['P15'], run: p15 }, { ids: ['Q'], run: quotes },
  { ids: ['R1'], run: r1 }, { ids: ['R2'], run: r2 }, { ids: ['R3'], run: r3 },
]
const positive = (name, v) => { if (!(v > 0)) throw new Error(`${name}: a number above 0 is expected`); return v }

function line(r) {
  if (r.missing) return `${r.id.padEnd(4)} MISSING          ${r.missing}`
  return `${r.id.padEnd(4)} ${r.ok ? 'reached' : 'MISSED '} ${(r.ratio === null ? '' : r.ratio.toFixed(2)).padStart(7)}  ${r.ours}${r.peer === '-' ? '' : ` vs ${r.peer}`}  target ${r.target}  ${r.what}`
}

async function measure(item, ctx) {
  try {
    return await item.run(ctx)
  } catch (e) { // one row that cannot be measured leaves the others
    return item.ids.map((id) => ({ id, missing: e.message }))
  }
}

async function main() {
  const rounds = positive('ROUNDS', Math.round(Number(process.env.ROUNDS || 5))), seconds = positive('SECONDS', Math.round(Number(process.env.SECONDS || 3)))
  const only = process.env.ONLY?.split(',')
  const items = ITEMS.filter((i) => !only || i.ids.some((id) => only.includes(id)))
  if (!items.length) throw new Error('ONLY: no such row')
  fs.mkdirSync(WORK, { recursive: true })
  say('bench: starting a stack of its own')
  const stack = new Stack('run', { feeds: 'sim', env: { XORJ_LIMITS_ENABLED: 'false', XORJ_WS_PER_PRINCIPAL: '20000', XORJ_WS_SUBS_MAX: '12000', XORJ_HTTP_CONNS_MAX: '14000' } })
  onSignal(stack)
  stack.up()
  const table = []
  try {
    const creds = stack.wallets(100)
    const ctx = { stack, to: stack.to, creds, tokens: tokensFile('tokens.txt', creds), viewer: stack.viewer(), rounds, seconds, conns: 100 }
    await load(ctx.to, ['--conns', 100, '--seconds', 1, '--tokens', ctx.tokens, ...MIX])
    for (const item of items) table.push(...(await measure(item, ctx)))
  } finally {
    await stopAll()
    stack.down()
  }
  const out = { commit: commit(), date: new Date().toISOString(), machine: machine(), command: `make bench ROUNDS=${rounds} SECONDS=${seconds}${only ? ` ONLY=${only}` : ''}`, rounds, seconds, table }
  say(`\ncommit ${out.commit}, ${out.date}, ${out.machine.cores} cores ${out.machine.cpu}, ${rounds} interleaved rounds of ${seconds} s, medians\n`)
  for (const r of table) say(line(r))
  fs.writeFileSync(path.join(B, 'bench.json'), JSON.stringify(out, null, 1))
  say(`written: ${path.relative(process.cwd(), path.join(B, 'bench.json'))}`)
}

main().catch(async (e) => {
  console.error(`bench: ${e.message}`)
  process.exitCode = 1
  await stopAll()
})
