// Every protocol of every venue against the simulator: books that equal the venue's own, and a run of random disconnects,
// silences, gaps and garbage after which every connector is LIVE, every book right again, no descriptor and no memory
// left behind. SECONDS= lengthens the run: ten faults a second.
import assert from 'node:assert/strict'
import { readFileSync, readdirSync } from 'node:fs'
import { test } from 'node:test'
import { get, ok } from '../lib/http.mjs'
import { cleanEnd, sleep, startStack, until } from '../lib/stack.mjs'

const FAULTS = 60 + 10 * Number(process.env.SECONDS || 0)
const STACKS = [
  { coinbase: 'coinbase-advanced', gemini: 'gemini-depth', bitstamp: 'bitstamp-book' },
  { coinbase: 'coinbase-exchange', gemini: 'gemini-v2', bitstamp: 'bitstamp-diff' },
]
const MARKET = { coinbase: 'SOL-USD', gemini: 'solusd', bitstamp: 'solusd' }
const VENUES = Object.keys(MARKET)
const KINDS = ['disconnect', 'silence', 'gap', 'garbage', 'slow']

let seed = 20261120
const rnd = (n) => (seed = (seed * 1103515245 + 12345) % 2147483648) % n

const plain = (l) => l.map(([p, q]) => [Number(p), Number(q)])

for (const protocols of STACKS) {
  const what = Object.values(protocols).join(', ')
  const s = await startStack({
    feeds: 'sim', venues: 'all',
    env: {
      XORJ_LIMITS_ENABLED: 'false', XORJ_FEEDS_CHECK_S: '2', XORJ_FEEDS_COINBASE_PROTOCOL: protocols.coinbase,
      XORJ_FEEDS_GEMINI_PROTOCOL: protocols.gemini, XORJ_FEEDS_BITSTAMP_PROTOCOL: protocols.bitstamp,
    },
  })
  const post = async (path, body) => {
    const r = await fetch(`${s.env.SIM_URL}${path}`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
    assert.ok(r.ok, `${path}: ${r.status} ${await r.text()}`)
  }
  const book = async (v, depth = 5) => ok(await get(s, `/api/v1/books/${v}/${MARKET[v]}?depth=${depth}`, { token: await s.role('viewer') }))
  const health = async (v) => {
    const r = ok(await get(s, `/api/v1/connectors/${v}/health`, { token: await s.role('viewer') }))
    return r.data ?? r
  }
  const live = (v, ms = 30_000) => until(async () => (await health(v)).state === 'LIVE' && (await book(v)).usable, ms, `${v} LIVE and usable`)
  const fds = () => readdirSync(`/proc/${s.pid}/fd`).length
  const rss = () => Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${s.pid}/status`, 'utf8'))[1]) / 1024

  /** With the market held, our book must become the venue's own. */
  const equal = async (v) => {
    const own = await (await fetch(`${s.env.SIM_URL}/books/${v}/${MARKET[v]}`)).json()
    let got
    await until(async () => {
      got = await book(v, 20)
      return got.usable && JSON.stringify(plain(got.bids)) === JSON.stringify(plain(own.bids.slice(0, 20))) && JSON.stringify(plain(got.asks)) === JSON.stringify(plain(own.asks.slice(0, 20)))
    }, 10_000, `${v}: the book of the venue`).catch((e) => {
      throw new Error(`${e.message}\nours ${JSON.stringify(got?.bids?.slice(0, 3))} ${JSON.stringify(got?.asks?.slice(0, 3))}\ntheirs ${JSON.stringify(own.bids.slice(0, 3))} ${JSON.stringify(own.asks.slice(0, 3))}`)
    })
  }

  test(`${what}: live, and the venues' own books`, async () => {
    for (const v of VENUES) await live(v)
    await sleep(5000) /* fresh snapshots come and go meanwhile */
    await post('/market', { hold: true })
    for (const v of VENUES) await equal(v)
    for (const v of VENUES) assert.equal((await health(v)).reconnects, 0, `${v}: no reason to connect again`)
    await post('/market', { hold: false })
  })

  test(`${what}: ${FAULTS} random faults, then LIVE and right again`, async () => {
    const before = { fds: fds(), rss: rss() }
    for (let i = 0; i < FAULTS; i++) {
      await post('/fault', { venue: VENUES[rnd(VENUES.length)], kind: KINDS[rnd(KINDS.length)], ms: 20 + rnd(300) })
      await sleep(100)
    }
    for (const v of VENUES) await post('/fault', { venue: v, kind: 'clear' })
    for (const v of VENUES) await live(v)
    await sleep(3000) /* where a loss leaves no trace, check_s bounds it: here 2 s */
    await post('/market', { hold: true })
    for (const v of VENUES) await equal(v)
    await until(() => fds() <= before.fds + 4, 8000, `descriptors: ${before.fds} before`)
    assert.ok(rss() < before.rss + 150, `memory ${before.rss.toFixed(0)} -> ${rss().toFixed(0)} MiB`)
    await post('/market', { hold: false })
  })

  cleanEnd(() => s)
}
