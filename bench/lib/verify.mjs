// Every acknowledged toggle is compared with the rows: a write that was answered 200 and is not there is lost.

/** What a run was told, per wallet. */
export class Acks {
  constructor() { this.of = new Map() }

  #row(wallet) {
    if (!this.of.has(wallet)) this.of.set(wallet, { acked: 0, unknown: 0, version: 0, enabled: null, twice: 0, seen: new Set() })
    return this.of.get(wallet)
  }

  ack(wallet, version, enabled) {
    const r = this.#row(wallet)
    r.acked++
    if (r.seen.has(version)) r.twice++
    r.seen.add(version)
    if (version > r.version) Object.assign(r, { version, enabled })
  }

  unknown(wallet) { this.#row(wallet).unknown++ }

  /** From bench/load, which keeps the sums itself. */
  put(wallet, sums) { Object.assign(this.#row(wallet), sums) }
}

/** Reads the rows of a stack and judges. The wallets were fresh when the run began. */
export function verify(stack, acks) {
  const rows = new Map(stack.sql('SELECT user_vault_address, is_enabled, version FROM bot_states').map(([w, e, v]) => [w, { enabled: e === 't', version: Number(v) }]))
  const bad = []
  let acked = 0, unknown = 0
  for (const [wallet, a] of acks.of) {
    const row = rows.get(wallet)
    const no = (why) => bad.push({ wallet, why, acked: a.acked, last: a.version, row })
    acked += a.acked
    unknown += a.unknown
    if (!a.acked) continue
    if (!row || row.version < a.version) no('an acknowledged toggle is not in the row')
    else if (row.version === a.version && row.enabled !== a.enabled) no('the state is not the last acknowledged toggle')
    else if (row.version < a.acked || row.version > a.acked + a.unknown) no('the number of changes is not the number of acknowledgements')
    if (a.twice) no('one version was acknowledged twice')
  }
  const audit = stack.sql("SELECT bad_seq, what FROM audit_verify()")
  return { wallets: acks.of.size, acked, unknown, lost: bad.length, bad: bad.slice(0, 20), audit: audit.length ? audit[0].join(' ') : 'intact', ok: bad.length === 0 && audit.length === 0 }
}
