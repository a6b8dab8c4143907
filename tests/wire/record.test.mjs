// `xorj record` against the simulated venues, and what `xorj replay` makes of the journal: the venue's own books. A kill
// in the middle leaves everything up to the last whole block.
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { Sim } from '../lib/sim.mjs'
import { buildDir, ROOT, sleep, until } from '../lib/stack.mjs'

const XORJ = join(buildDir(process.env.TEST_FLAVOUR || 'asan'), 'xorj')
const sim = await Sim.start(['--seed', '5'])
const dir = mkdtempSync(join(tmpdir(), 'xorj-record-'))
after(() => rmSync(dir, { recursive: true, force: true }))

const at = `127.0.0.1:${sim.port}`
const env = {
  PATH: process.env.PATH,
  XORJ_FEEDS_CA_FILE: join(sim.dir, 'ca.pem'),
  XORJ_FEEDS_SIMULATED: 'true',
  XORJ_FEEDS_COINBASE_URL: `wss://${at}/coinbase`,
  XORJ_FEEDS_GEMINI_URL: `wss://${at}/gemini?snapshot=-1`,
  XORJ_FEEDS_SOLANA_RPC_URL: `https://${at}/solana`,
  XORJ_FEEDS_SOLANA_WS_URL: `wss://${at}/solana`,
  XORJ_RECORD_FLUSH_MS: '50',
}
const hold = (h) => fetch(`${sim.url}/market`, { method: 'POST', body: JSON.stringify({ hold: h }) })

function record(to, extra = {}, args = []) {
  const p = spawn(XORJ, ['record', '--dir', to, ...args], { env: { ...env, ...extra }, stdio: ['ignore', 'ignore', 'pipe'] })
  p.log = ''
  p.stderr.setEncoding('utf8').on('data', (d) => (p.log += d))
  p.ended = new Promise((r) => p.on('close', (code, sig) => r((p.end = code ?? sig))))
  return p
}
const replay = (...args) => spawnSync(XORJ, ['replay', ...args], { env: { PATH: process.env.PATH }, encoding: 'utf8', maxBuffer: 64 << 20 })
const books = (protocol, from) => {
  const r = replay('--protocol', protocol, '--books', '-', from)
  assert.equal(r.status, 0, r.stderr)
  return { books: JSON.parse(r.stdout).books, log: r.stderr }
}
const live = (p) => until(() => ['coinbase', 'gemini', 'orca'].every((v) => p.log.includes(`feed ${v} SUBSCRIBING -> LIVE`)), 10_000, 'feeds live')

async function same(protocol, venue, market, from, wire = market) {
  const got = books(protocol, from).books[wire]
  const want = await (await fetch(`${sim.url}/books/${venue}/${market}`)).json()
  assert.ok(got, `${market} is there`)
  assert.equal(got.bid_levels, want.bids.length)
  assert.equal(got.ask_levels, want.asks.length)
  assert.deepEqual(got.top_bids, want.bids.slice(0, 10))
  assert.deepEqual(got.top_asks, want.asks.slice(0, 10))
}

test('books replayed from a journal are those of the venue', async () => {
  const to = join(dir, 'a')
  const p = record(to)
  await live(p)
  await sleep(1500)
  await hold(true)
  await sleep(600)
  p.kill('SIGTERM')
  assert.equal(await p.ended, 0, p.log)
  await same('coinbase-advanced', 'coinbase', 'SOL-USD', to)
  await same('gemini-depth', 'gemini', 'solusd', to)
  await hold(false)
  const list = replay('--list', to)
  assert.equal(list.status, 0)
  for (const what of ['coinbase coinbase-advanced', 'gemini gemini-depth', 'orca solana-ws', 'solana solana-rpc']) assert.match(list.stdout, new RegExp(`^${what} connections=1 `, 'm'))
  assert.match(list.stdout, /holes=0 skipped_bytes=0 torn_bytes=0/)
  assert.equal(replay('--books', '-', to).status, 2, 'several protocols: one must be named')
  const frames = replay('--frames', '-', '--protocol', 'coinbase-advanced', to).stdout.trim().split('\n')
  assert.ok(frames.length > 5 && frames.every((f) => JSON.parse(f)))
  const file = join(dir, 'frames.jsonl')
  writeFileSync(file, frames.join('\n') + '\n')
  const plain = replay('--protocol', 'coinbase-advanced', '--books', '-', file)
  assert.equal(JSON.parse(plain.stdout).books['SOL-USD'].book_sha256, books('coinbase-advanced', to).books['SOL-USD'].book_sha256)
})

test('protocols without numbers: fresh snapshots and REST seeds are part of the journal', async () => {
  const to = join(dir, 'unnumbered')
  const p = record(to, {
    XORJ_FEEDS_COINBASE_URL: `wss://${at}/coinbase-exchange`, XORJ_FEEDS_COINBASE_PROTOCOL: 'coinbase-exchange',
    XORJ_FEEDS_GEMINI_URL: `wss://${at}/gemini-v2`, XORJ_FEEDS_GEMINI_PROTOCOL: 'gemini-v2', XORJ_FEEDS_CHECK_S: '1',
    XORJ_FEEDS_BITSTAMP_URL: `wss://${at}/bitstamp`, XORJ_FEEDS_BITSTAMP_REST_URL: `https://${at}/bitstamp`, XORJ_FEEDS_BITSTAMP_PROTOCOL: 'bitstamp-diff',
  })
  await live(p)
  await until(() => p.log.includes('feed bitstamp SUBSCRIBING -> LIVE'), 10_000, 'bitstamp live')
  await sleep(3500)
  await hold(true)
  await sleep(600)
  p.kill('SIGTERM')
  assert.equal(await p.ended, 0, p.log)
  await same('coinbase-exchange', 'coinbase', 'SOL-USD', to)
  await same('gemini-v2', 'gemini', 'solusd', to, 'SOLUSD')
  await same('bitstamp-diff', 'bitstamp', 'solusd', to)
  const frames = replay('--frames', '-', '--protocol', 'bitstamp-diff', to).stdout
  assert.ok(frames.split('"event":"xorj:seed"').length > 3, 'the first seed and fresh ones')
  await hold(false)
})

test('no secret of a URL reaches a journal', async () => {
  const to = join(dir, 'secret')
  const p = record(to, { XORJ_FEEDS_SOLANA_RPC_URL: `https://${at}/solana?api-key=TOPSECRET` }, ['--seconds', '2'])
  await live(p)
  assert.equal(await p.ended, 0, p.log)
  assert.ok(!replay('--frames', '-', to).stdout.includes('TOPSECRET'))
  assert.ok(!p.log.includes('TOPSECRET'))
})

test('a kill in the middle: the rest is readable, the next start cuts what is torn', async () => {
  const to = join(dir, 'b')
  const p = record(to)
  await live(p)
  await sleep(1000)
  p.kill('SIGKILL')
  await p.ended
  const [file] = readdirSync(to).filter((f) => f.endsWith('.xj'))
  const path = join(to, file)
  const whole = books('coinbase-advanced', to)
  assert.ok(whole.books['SOL-USD'].bid_levels > 0)
  const bytes = readFileSync(path)
  writeFileSync(path, bytes.subarray(0, bytes.length - 11))
  assert.match(replay('--list', to).stdout, /torn_bytes=[1-9]/)
  const q = record(to)
  await until(() => q.log.includes('cut after the last whole block'), 5000, 'torn tail said')
  await live(q)
  assert.ok(statSync(path).size < bytes.length - 11)
  const second = record(to)
  assert.equal(await second.ended, 1, 'one process per directory')
  assert.match(second.log, /another process records/)
  q.kill('SIGTERM')
  assert.equal(await q.ended, 0, q.log)
  const list = replay('--list', to).stdout
  assert.match(list, /coinbase coinbase-advanced connections=2 /)
  assert.match(list, /torn_bytes=0/)
})

test('a disconnect empties the book until the next snapshot', async () => {
  const to = join(dir, 'c')
  const p = record(to)
  await live(p)
  await sim.fault('coinbase', 'disconnect', 1500)
  await until(() => p.log.split('feed coinbase SUBSCRIBING -> LIVE').length === 3, 10_000, 'live again')
  await hold(true)
  await sleep(600)
  p.kill('SIGTERM')
  assert.equal(await p.ended, 0, p.log)
  await same('coinbase-advanced', 'coinbase', 'SOL-USD', to)
  assert.match(books('coinbase-advanced', to).log, /books_lost=[1-9]/)
  await hold(false)
})

test('a REST seed is part of the journal, and so is every other protocol', async () => {
  for (const [bitstamp, coinbase] of [['bitstamp-diff', 'coinbase-exchange'], ['bitstamp-book', 'coinbase-exchange']]) {
    const to = join(dir, bitstamp)
    const p = record(to, {
      XORJ_FEEDS_COINBASE_URL: `wss://${at}/coinbase-exchange`,
      XORJ_FEEDS_COINBASE_PROTOCOL: coinbase,
      XORJ_FEEDS_BITSTAMP_URL: `wss://${at}/bitstamp`,
      XORJ_FEEDS_BITSTAMP_REST_URL: `https://${at}/bitstamp`,
      XORJ_FEEDS_BITSTAMP_PROTOCOL: bitstamp,
    })
    await until(() => ['coinbase', 'bitstamp'].every((v) => p.log.includes(`feed ${v} SUBSCRIBING -> LIVE`)), 15_000, 'feeds live')
    await sleep(2500)
    await hold(true)
    await sleep(800)
    p.kill('SIGTERM')
    assert.equal(await p.ended, 0, p.log)
    await same(coinbase, 'coinbase', 'SOL-USD', to)
    if (bitstamp === 'bitstamp-diff') await same(bitstamp, 'bitstamp', 'solusd', to)
    else assert.equal(Object.values(books(bitstamp, to).books)[0].bid_levels, 100)
    await hold(false)
  }
})

test('wrong usage is said', () => {
  assert.equal(replay('--books', '-', join(dir, 'nothing')).status, 2) // plain frames need a protocol
  assert.equal(replay('--list', join(dir, 'nothing')).status, 1)
  assert.equal(replay('--list').status, 2)
  assert.equal(spawnSync(XORJ, ['record', '--seconds', 'x'], { env }).status, 2)
  assert.equal(spawnSync(XORJ, ['record', 'x'], { env }).status, 2)
  assert.equal(existsSync(join(ROOT, 'journal')), false)
})
