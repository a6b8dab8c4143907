// Who writes, and who judges, when something is killed in the middle.
//
// The writer is a process of its own: it notes each try before sending it and each answer after reading it. The judge
// reads those notes and what the database holds afterwards. Per wallet:
//   - the stored version is at least the highest acknowledged one
//   - the stored value is that of the highest acknowledged try, or of a later one that was never acknowledged
//   - the audit has exactly one row for each acknowledged try and at most one for any other
//   - versions in the audit run 1, 2, 3, ... and end at the stored one
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { rows } from './db.mjs'

const WRITER = join(dirname(fileURLToPath(import.meta.url)), 'writer.mjs')

export function parseNotes(text) {
  const wallets = new Map()
  const statuses = {}
  for (const line of text.split('\n')) {
    const f = line.split(' ')
    if (f.length < 3) continue
    const [kind, w, id] = f
    if (!wallets.has(w)) wallets.set(w, [])
    const tries = wallets.get(w)
    if (kind === 'T') tries.push({ id, enabled: f[3] === '1', answer: undefined })
    const t = tries.findLast?.((x) => x.id === id) ?? tries.filter((x) => x.id === id).at(-1)
    if (kind === 'A') Object.assign(t, { answer: 'ack', version: Number(f[3]), said: f[4] === '1' })
    if (kind === 'F') t.answer = Number(f[3])
    if (kind === 'U') t.answer = 'lost'
    if (kind !== 'T') statuses[kind === 'A' ? 200 : kind === 'F' ? f[3] : 'lost'] = (statuses[kind === 'A' ? 200 : kind === 'F' ? f[3] : 'lost'] ?? 0) + 1
  }
  return { wallets, statuses }
}

/** state: Map wallet -> {enabled, version}; audit: [{wallet, id, version, enabled}] in order. Gives the faults found. */
export function judge(notes, state, audit) {
  const faults = []
  const byWallet = new Map()
  for (const a of audit) {
    if (!byWallet.has(a.wallet)) byWallet.set(a.wallet, [])
    byWallet.get(a.wallet).push(a)
  }
  for (const [wallet, tries] of notes.wallets) {
    const has = state.get(wallet) ?? { enabled: false, version: 0 }
    const log = byWallet.get(wallet) ?? []
    const count = new Map()
    for (const a of log) count.set(a.id, (count.get(a.id) ?? 0) + 1)
    const acked = tries.filter((t) => t.answer === 'ack')
    const top = acked.reduce((m, t) => (!m || t.version > m.version ? t : m), undefined)
    const bad = (what) => faults.push(`${wallet}: ${what}`)
    if (top && has.version < top.version) bad(`version ${has.version} is stored, ${top.version} was acknowledged`)
    if (top) {
      const later = tries.slice(tries.indexOf(top) + 1).filter((t) => t.answer !== 'ack')
      if (has.version === top.version ? has.enabled !== top.enabled : !later.some((t) => t.enabled === has.enabled))
        bad(`value ${has.enabled} at version ${has.version} is nobody's; acknowledged was ${top.enabled} at ${top.version}`)
    }
    for (const t of tries) {
      const n = count.get(t.id) ?? 0
      if (t.answer === 'ack' && n !== 1) bad(`try ${t.id} was acknowledged and has ${n} audit rows`)
      if (t.answer !== 'ack' && n > 1) bad(`try ${t.id} has ${n} audit rows`)
      if (t.answer === 'ack' && t.said !== t.enabled) bad(`try ${t.id} asked ${t.enabled} and was told ${t.said}`)
    }
    const versions = log.map((a) => a.version)
    versions.forEach((v, i) => v !== i + 1 && bad(`audit row ${i + 1} has version ${v}`))
    if (has.version !== versions.length) bad(`version ${has.version} is stored, the audit has ${versions.length} rows`)
    if (new Set(acked.map((t) => t.version)).size !== acked.length) bad('one version was acknowledged twice')
  }
  return faults
}

export async function stored(db) {
  const state = new Map()
  for (const r of await rows(db, 'select user_vault_address w, is_enabled, version from bot_states'))
    state.set(r.w, { enabled: r.is_enabled, version: r.version })
  const audit = (await rows(db, "select target w, request_id id, after from audit_log where action like 'bot.%' order by seq")).map((r) => {
    const after = typeof r.after === 'string' ? JSON.parse(r.after) : r.after
    return { wallet: r.w, id: r.id, version: Number(after.version), enabled: after.enabled }
  })
  return { state, audit }
}

/** A writer process against url for these wallets, each toggled by one try at a time. */
export function startWriter(url, wallets, { pause = 0 } = {}) {
  const dir = mkdtempSync(join(tmpdir(), 'xorj-writer-'))
  const file = join(dir, 'notes')
  writeFileSync(file, '')
  writeFileSync(join(dir, 'wallets.json'), JSON.stringify(wallets), { mode: 0o600 })
  const p = spawn(process.execPath, [WRITER, url, join(dir, 'wallets.json'), file, String(pause)], { stdio: ['pipe', 'inherit', 'inherit'] })
  const ended = new Promise((r) => p.on('close', r))
  return {
    text: () => readFileSync(file, 'utf8'),
    count: (kind) => (readFileSync(file, 'utf8').match(new RegExp(`^${kind} `, 'gm')) ?? []).length,
    /** Ends after the tries on their way have been answered. */
    async stop() {
      p.stdin.end()
      await ended
      return parseNotes(readFileSync(file, 'utf8'))
    },
  }
}
