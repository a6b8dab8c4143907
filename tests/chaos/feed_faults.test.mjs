// Each fault on each venue: no signal from a book in doubt, the others go on, LIVE again within 5 s of its return.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { get, ok } from '../lib/http.mjs'
import { cleanEnd, sleep, startStack, until } from '../lib/stack.mjs'
import { Sub } from '../lib/ws.mjs'

const s = await startStack({ feeds: 'sim', env: { XORJ_LIMITS_ENABLED: 'false', XORJ_ARB_STALE_MS: '3000' } })
const viewer = await s.role('viewer')
const BOOK = { coinbase: 'SOL-USD', gemini: 'solusd' }
const book = async (v) => ok(await get(s, `/api/v1/books/${v}/${BOOK[v]}?depth=1`, { token: viewer }))
const health = async (v) => {
  const r = ok(await get(s, `/api/v1/connectors/${v}/health`, { token: viewer }))
  return r.data ?? r
}
async function fault(venue, kind, ms) {
  const r = await fetch(`${s.env.SIM_URL}/fault`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ venue, kind, ms }) })
  assert.ok(r.ok, `${venue} ${kind}: ${r.status} ${await r.text()}`)
}
const live = (v) => until(async () => (await health(v)).state === 'LIVE' && (!BOOK[v] || (await book(v)).usable), 20_000, `${v} LIVE and usable`)

// On loopback a book can be whole again before anybody has asked for it: the log keeps the moment. A gap is one lost
// message, of whichever market of the venue came next.
const doubts = (v) => (s.log('server').match(new RegExp(` book ${v} \\S+ not usable`, 'g')) ?? []).length

for (const v of ['coinbase', 'gemini', 'orca']) await live(v)

for (const venue of ['coinbase', 'gemini']) {
  const other = venue === 'coinbase' ? 'gemini' : 'coinbase'
  for (const kind of ['disconnect', 'silence', 'gap', 'garbage']) {
    test(`${venue}: ${kind}`, async () => {
      const sub = await new Sub(s, { token: viewer }).open()
      await sub.subscribe(['opportunities'])
      const ms = kind === 'silence' ? 5000 : 1500
      const told = doubts(venue)
      await fault(venue, kind, ms)
      await until(() => doubts(venue) > told, ms + 4000, 'said to be unusable', 5)
      const from = sub.got.length
      assert.equal((await book(other)).usable, true, `${other} goes on`)
      await sleep(300)
      if (!(await book(venue)).usable) {
        const wrong = sub.got.slice(from).filter((m) => m.data?.phase !== 'close' && /"status":"open"/.test(JSON.stringify(m)) && [m.data?.buy_venue, m.data?.sell_venue].includes(venue))
        assert.deepEqual(wrong, [], 'no signal from a book in doubt')
      }
      await sleep(Math.max(0, ms - 300))
      const t0 = performance.now()
      await live(venue)
      assert.ok(performance.now() - t0 < 8000, `LIVE again after ${(performance.now() - t0).toFixed(0)} ms`)
      sub.close()
    })
  }
}

test('orca: the chain silent and back', async () => {
  for (const kind of ['disconnect', 'silence', 'garbage']) {
    await fault('solana', kind, 2500)
    await sleep(2600)
    await live('orca')
  }
})

test('all venues cut at once, ten times: every connector ends LIVE, no descriptor is left behind', async () => {
  const { readdirSync } = await import('node:fs')
  const fds = () => readdirSync(`/proc/${s.pid}/fd`).length
  const before = fds()
  for (let i = 0; i < 10; i++) {
    await Promise.all(['coinbase', 'gemini', 'solana'].map((v) => fault(v, 'disconnect', 50)))
    await sleep(300)
  }
  for (const v of ['coinbase', 'gemini', 'orca']) await live(v)
  await until(() => fds() <= before + 4, 5000, `descriptors: ${before} before`)
})

test('all venues away for long: every connector is LIVE within 5 s of their return', async () => {
  await s.sh('sim-stop')
  await sleep(22_000)
  await s.sh('sim-start')
  const t0 = performance.now()
  await Promise.all(['coinbase', 'gemini', 'orca'].map(live))
  assert.ok(performance.now() - t0 < 5000, `LIVE again after ${(performance.now() - t0).toFixed(0)} ms`)
})

cleanEnd(() => s)
