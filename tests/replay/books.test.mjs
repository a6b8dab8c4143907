// Real input: recorded venue streams, through `xorj replay` and through a running server that the simulator plays to.
// Recordings lie outside the repository and are used where they are; a small stream of our own is always there.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { test } from 'node:test'
import { get, ok } from '../lib/http.mjs'
import { SHARED, buildDir, startStack, until } from '../lib/stack.mjs'

const REC = join(SHARED, 'venues', 'recordings')
const STREAMS = [
  { protocol: 'coinbase-advanced', venue: 'coinbase', file: 'coinbase/advanced_2026-08-09' },
  { protocol: 'coinbase-exchange', venue: 'coinbase', file: 'coinbase/exchange_2021-04-17' },
  { protocol: 'bitstamp-diff', venue: 'bitstamp', file: 'bitstamp/diff_2022-01-05' },
  { protocol: 'bitstamp-diff', venue: 'bitstamp', file: 'bitstamp/diff_2021-04-17' },
  { protocol: 'gemini-depth', venue: 'gemini', file: 'gemini/depth_2026-09-30_perps' },
  { protocol: 'gemini-v2', venue: 'gemini', file: 'gemini/v2_2026-08-09_spot' },
  { protocol: 'gemini-v2', venue: 'gemini', file: 'gemini/v2_2021-06-24_alts' },
  { protocol: 'gemini-v2', venue: 'gemini', file: 'gemini/v2_2021-04-17_btc_ltc' },
].map((s) => ({ ...s, path: join(REC, `${s.file}.jsonl`), expected: join(REC, `${s.file}.expected.json`) }))

/** MARKET=FILE of the REST books that belong to a recording. */
function seedsOf({ path }) {
  const at = dirname(path)
  const name = basename(path, '.jsonl')
  if (!existsSync(at)) return []
  return readdirSync(at)
    .map((f) => [new RegExp(`^${name}\\.rest\\.(.+)\\.json$`).exec(f)?.[1], join(at, f)])
    .filter(([m]) => m)
    .map(([m, f]) => `${m}=${f}`)
}

const dir = mkdtempSync(join(tmpdir(), 'xorj-replay-'))
const plain = (t) => (t.includes('.') ? t.replace(/\.?0+$/, '') : t)
const levels = (a) => a.map((l) => [plain(String(l[0])), plain(String(l[1]))])

function same(got, want, what) {
  assert.ok(got, `${what}: no book`)
  assert.equal(Number(got.bid_levels), want.bid_levels, `${what}: bid levels`)
  assert.equal(Number(got.ask_levels), want.ask_levels, `${what}: ask levels`)
  assert.deepEqual(levels(got.top_bids), want.top_bids, `${what}: best bids`)
  assert.deepEqual(levels(got.top_asks), want.top_asks, `${what}: best asks`)
  assert.equal(got.book_sha256, want.book_sha256, `${what}: digest`)
}

function replay(protocol, path, seeds = []) {
  const out = join(dir, 'books.json')
  const r = spawnSync(join(buildDir('release'), 'xorj'), ['replay', '--protocol', protocol, '--books', out, ...seeds.flatMap((x) => ['--seed', x]), path], { encoding: 'utf8' })
  assert.equal(r.status, 0, r.stderr)
  return JSON.parse(readFileSync(out, 'utf8')).books
}

const overBudget = async (s) => Number(/^xorj_loop_over_budget_total\{what="turn"\} (\d+)/m.exec((await get(s, '/metrics')).text)[1])

async function throughServer({ protocol, venue, path, seeds = [] }, books) {
  const markets = Object.keys(books).join(',')
  const s = await startStack({ flavour: 'release', feeds: 'sim', play: path, protocol, markets, seeds: seeds.join(' '), env: { XORJ_LIMITS_ENABLED: 'false' } })
  const token = await s.role('viewer')
  const equal = async () => {
    for (const [market, want] of Object.entries(books)) {
      const url = `/api/v1/books/${venue}/${encodeURIComponent(market)}?depth=10&digest=1`
      let last
      await until(async () => {
        last = ok(await get(s, url, { token }))
        return last.book_sha256 === want.book_sha256
      }, 30_000, `${market}: the running book equals the recording`, 50).catch(() => {})
      same({ ...last, top_bids: last.bids, top_asks: last.asks }, want, market)
      assert.equal(last.simulated, true)
    }
  }
  try {
    await equal()
    const [name, want] = Object.entries(books)[0]
    const url = `/api/v1/books/${venue}/${encodeURIComponent(name)}?depth=10&digest=1`
    const atOnce = await Promise.all(Array.from({ length: 16 }, () => get(s, url, { token })))
    for (const r of atOnce) assert.equal(ok(r).book_sha256, want.book_sha256, 'one of sixteen digests asked for at once')
    // Played again on a connection of its own, with the start of the program behind us. A neighbour on the same cores can
    // stretch any turn, so the best of six plays counts.
    let over
    for (let attempt = 0; attempt < 6 && over !== 0; attempt++) {
      const before = await overBudget(s)
      const r = await fetch(`${s.env.SIM_URL}/fault`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ venue, kind: 'disconnect', ms: 10 }) })
      assert.ok(r.ok, await r.text())
      await until(async () => !ok(await get(s, `/api/v1/books/${venue}/${encodeURIComponent(Object.keys(books)[0])}?depth=1`, { token })).usable, 2000, 'cut', 2).catch(() => {})
      await equal()
      over = (await overBudget(s)) - before
    }
    assert.equal(over, 0, 'turns of the loop longer than 10 ms while it arrived')
  } finally {
    await s.destroy()
  }
}

for (const st of STREAMS) {
  const skip = existsSync(st.path) ? false : 'recording not present'
  test(`xorj replay: ${st.file}`, { skip }, () => {
    const want = JSON.parse(readFileSync(st.expected, 'utf8')).books
    const got = replay(st.protocol, st.path, seedsOf(st))
    for (const [market, w] of Object.entries(want)) same(got[market], w, market)
    assert.deepEqual(Object.keys(got).sort(), Object.keys(want).sort())
  })
}
for (const st of STREAMS) {
  const skip = existsSync(st.path) ? false : 'recording not present'
  test(`running server, simulator plays ${st.file}`, { skip }, async () => {
    await throughServer({ ...st, seeds: seedsOf(st) }, JSON.parse(readFileSync(st.expected, 'utf8')).books)
  })
}

// ---- a stream of our own, with its own reckoning of what the book must be --------------------------------------------

function digest(bids, asks) {
  const text = bids.map(([p, q]) => `b ${p} ${q}\n`).join('') + asks.map(([p, q]) => `a ${p} ${q}\n`).join('')
  return createHash('sha256').update(text).digest('hex')
}

/** Coinbase Advanced frames: a snapshot of n levels a side, then updates that change, add and remove. */
function coinbaseStream(n, updates) {
  const lines = []
  const side = { bid: new Map(), offer: new Map() }
  let seq = 0
  let seed = 42
  const rnd = (k) => (seed = (seed * 1103515245 + 12345) % 2147483648) % k
  const frame = (type, list) =>
    lines.push(
      JSON.stringify({
        channel: 'l2_data', client_id: '', timestamp: '2026-11-20T13:00:00.000000001Z', sequence_num: seq++,
        events: [{ type, product_id: 'SOL-USD', updates: list.map(([s, p, q]) => ({ side: s, event_time: '2026-11-20T13:00:00Z', price_level: p, new_quantity: q })) }],
      }),
    )
  const price = (s, i) => (s === 'bid' ? 15000 - i : 15001 + i) / 100
  const first = []
  for (const s of ['bid', 'offer']) {
    for (let i = 0; i < n; i++) {
      const q = String((1 + rnd(99999)) / 1000)
      side[s].set(String(price(s, i)), q)
      first.push([s, String(price(s, i)), q])
    }
  }
  frame('snapshot', first)
  for (let u = 0; u < updates; u++) {
    const list = Array.from({ length: 1 + rnd(4) }, () => {
      const s = rnd(2) ? 'bid' : 'offer'
      const p = price(s, 1 + rnd(n))
      const gone = rnd(3) === 0
      const q = gone ? ['0', '0.00', '0.00000000'][rnd(3)] : String((1 + rnd(99999)) / 1000)
      if (gone) side[s].delete(String(p))
      else side[s].set(String(p), q)
      return [s, rnd(2) ? p.toFixed(2) : String(p), q]
    })
    frame('update', list)
  }
  const sorted = (s, sign) => [...side[s]].sort((a, b) => sign * (Number(a[0]) - Number(b[0])))
  const bids = sorted('bid', -1)
  const asks = sorted('offer', 1)
  return { lines, book: { bid_levels: bids.length, ask_levels: asks.length, top_bids: bids.slice(0, 10), top_asks: asks.slice(0, 10), book_sha256: digest(bids, asks) } }
}

test('xorj replay: a stream of our own, removals and spellings of zero included', () => {
  const { lines, book } = coinbaseStream(400, 600)
  const f = join(dir, 'own.jsonl')
  writeFileSync(f, `${lines.join('\n')}\n`)
  same(replay('coinbase-advanced', f)['SOL-USD'], book, 'SOL-USD')
})

const small = { bid_levels: 2, ask_levels: 1, top_bids: [['20.5', '2'], ['19.5', '1']], top_asks: [['21', '4']], book_sha256: digest([['20.5', '2'], ['19.5', '1']], [['21', '4']]) }

test('xorj replay: Coinbase Exchange, one snapshot, changes, and a trade that never came', () => {
  const lines = [
    { type: 'subscriptions', channels: [{ name: 'level2_50', product_ids: ['A-USD'] }] },
    { type: 'snapshot', product_id: 'A-USD', asks: [['21.00', '4.00']], bids: [['20.00', '3'], ['19.50', '1']], time: '2026-11-20T10:00:00.000001Z' },
    { type: 'last_match', trade_id: 7, product_id: 'A-USD' },
    { type: 'l2update', product_id: 'A-USD', changes: [['buy', '20.00', '0.00000000'], ['buy', '20.50', '2.00000000']], time: '2026-11-20T10:00:01.000001Z' },
    { type: 'match', trade_id: 8, product_id: 'A-USD' },
    { type: 'heartbeat', last_trade_id: 8, product_id: 'A-USD', sequence: 1, time: '2026-11-20T10:00:02.000000Z' },
  ].map((l) => JSON.stringify(l))
  const f = join(dir, 'exchange.jsonl')
  writeFileSync(f, `${lines.join('\n')}\n`)
  same(replay('coinbase-exchange', f)['A-USD'], small, 'A-USD')
  writeFileSync(f, `${lines.join('\n')}\n${JSON.stringify({ type: 'match', trade_id: 10, product_id: 'A-USD' })}\n`)
  assert.equal(replay('coinbase-exchange', f)['A-USD'].bid_levels, 0, 'trade 9 was lost, and what else was is not known')
})

test('xorj replay: Bitstamp, changes upon a REST seed', () => {
  const diff = (us, bids, asks = []) => JSON.stringify({ data: { timestamp: '1', microtimestamp: String(us), bids, asks }, channel: 'diff_order_book_ausd', event: 'data' })
  const f = join(dir, 'bitstamp.jsonl')
  const seed = join(dir, 'seed.json')
  writeFileSync(f, [diff(1000, [['20', '9']]), diff(1010, [['20', '0.00000000']]), diff(1020, [['20.5', '2.00']]), diff(1020, [['18', '1']])].join('\n') + '\n')
  writeFileSync(seed, '{"timestamp": "1", "microtimestamp": "1005", "bids": [["20.00", "3"], ["19.50", "1.0"]], "asks": [["21", "4"]]}')
  same(replay('bitstamp-diff', f, [`ausd=${seed}`]).ausd, small, 'ausd')
  assert.equal(replay('bitstamp-diff', f).ausd, undefined, 'without a seed there is no book')
  const x = join(buildDir('release'), 'xorj')
  for (const bad of ['ausd', `ausd=${join(dir, 'absent')}`, `ausd=${f}`]) {
    const r = spawnSync(x, ['replay', '--protocol', 'bitstamp-diff', '--books', join(dir, 'o'), '--seed', bad, f], { encoding: 'utf8' })
    assert.equal(r.status, 1, bad)
  }
  assert.equal(spawnSync(x, ['replay', '--protocol', 'gemini-v2', '--books', join(dir, 'o'), '--seed', `a=${seed}`, f]).status, 2)
})

test('running server: the same stream', async () => {
  const { lines, book } = coinbaseStream(3000, 500)
  const f = join(dir, 'own2.jsonl')
  writeFileSync(f, `${lines.join('\n')}\n`)
  await throughServer({ protocol: 'coinbase-advanced', venue: 'coinbase', path: f }, { 'SOL-USD': book })
})

test('xorj replay: a hole in the numbering leaves no book that could be believed', () => {
  const { lines } = coinbaseStream(50, 50)
  const f = join(dir, 'hole.jsonl')
  writeFileSync(f, `${lines.filter((_, i) => i !== 20).join('\n')}\n`)
  const out = join(dir, 'hole.json')
  const r = spawnSync(join(buildDir('release'), 'xorj'), ['replay', '--protocol', 'coinbase-advanced', '--books', out, f], { encoding: 'utf8' })
  const got = existsSync(out) ? JSON.parse(readFileSync(out, 'utf8')).books['SOL-USD'] : undefined
  assert.ok(r.status !== 0 || !got || got.bid_levels === 0, 'the book was forgotten at the hole')
})

test('xorj replay: unknown protocol, unreadable file and broken lines are refused, not crashed on', () => {
  const x = join(buildDir('release'), 'xorj')
  const bad = join(dir, 'bad.jsonl')
  writeFileSync(bad, '{"channel":"l2_data"\n[[[[\n\x00\xff\n{}\n')
  for (const args of [['--protocol', 'nope', '--books', join(dir, 'o'), bad], ['--protocol', 'gemini-v2', '--books', join(dir, 'o'), join(dir, 'absent')], ['--protocol', 'gemini-v2', '--books', '/nonexistent/x', bad], []]) {
    const r = spawnSync(x, ['replay', ...args], { encoding: 'utf8' })
    assert.ok(r.status === 1 || r.status === 2, `${args.join(' ')}: ${r.status} ${r.signal}`)
  }
  const r = spawnSync(x, ['replay', '--protocol', 'coinbase-advanced', '--books', join(dir, 'o'), bad], { encoding: 'utf8' })
  assert.equal(r.signal, null)
})
