// GET /api/wallet/balance against the simulated chain and prices: figures, cache, one read for many, last known values,
// no invented price; and RPC endpoints that lie.
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { after, test } from 'node:test'
import { PublicKey } from '@solana/web3.js'
import { get, isError, ok } from '../lib/http.mjs'
import { cleanEnd, sleep, startStack, until } from '../lib/stack.mjs'

const CLASSIC = 'TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA'
const USDC = 'EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v'
const USDT = 'Es9vMFrzaCERmJfrF4H2FYD4KCoNkY11McCe8BenwNYB'

// A second endpoint of our own: an ordinary node unless `lie` says otherwise. It is asked when the simulator fails.
const node = { calls: [], lie: null, hold: 0, lamports: 5_000_000_000, usdc: 40_000_000n }
const account = (owner, mint, amount, { n = 165, state = 1 } = {}) => {
  const p = Buffer.alloc(n)
  const full = Buffer.alloc(165)
  mint.toBuffer().copy(full, 0)
  owner.toBuffer().copy(full, 32)
  full.writeBigUInt64LE(amount, 64)
  full[108] = state
  full.copy(p)
  return p
}
const row = (pubkey, data, owner = CLASSIC) => ({
  pubkey,
  account: { data: [data.toString('base64'), 'base64'], executable: false, lamports: 2039280, owner, rentEpoch: 18446744073709551615n.toString() * 1, space: data.length },
})
const ctx = (value) => ({ context: { slot: 447_000_000, apiVersion: '2.3.7' }, value })
const A = new PublicKey(new Uint8Array(32).fill(7)).toBase58()
const B = new PublicKey(new Uint8Array(32).fill(8)).toBase58()

function answer({ method, params }) {
  const owner = new PublicKey(params[0]?.[0]?.length > 1 ? params[0][0] : params[0])
  const coin = new PublicKey(USDC)
  if (method === 'getBalance') return ctx(node.lie === 'lamports' ? '5' : node.lie === 'negative' ? -1 : node.lie === 'fraction' ? 1.5 : node.lamports)
  if (method !== 'getTokenAccountsByOwner') return ctx([null])
  if (params[1].programId !== CLASSIC) return ctx([])
  const good = account(owner, coin, node.usdc)
  const other = new PublicKey(new Uint8Array(32).fill(9))
  switch (node.lie) {
    case 'other': return ctx([row(A, account(other, coin, node.usdc))])
    case 'program': return ctx([row(A, good, '11111111111111111111111111111111')])
    case 'truncated': return ctx([row(A, good.subarray(0, 164))])
    case 'longer': return ctx([row(A, Buffer.concat([good, Buffer.alloc(1)]))])
    case 'state': return ctx([row(A, account(owner, coin, node.usdc, { state: 7 }))])
    case 'twice': return ctx([row(A, good), row(A, good)])
    case 'sum': return ctx([row(A, account(owner, coin, 2n ** 64n - 1n)), row(B, account(owner, coin, 1n))])
    case 'base64': return ctx([{ ...row(A, good), account: { ...row(A, good).account, data: ['@@@@', 'base64'] } }])
    case 'encoding': return ctx([{ ...row(A, good), account: { ...row(A, good).account, data: { parsed: {} } } }])
    case 'pubkey': return ctx([row('nonsense', good)])
    case 'object': return ctx({})
    case 'context': return { value: [] }
    case 'huge': return ctx(Array.from({ length: 4000 }, () => row(new PublicKey(crypto.getRandomValues(new Uint8Array(32))).toBase58(), good)))
    default: return ctx(node.usdc ? [row(A, good)] : [])
  }
}
const server = createServer((req, res) => {
  let text = ''
  req.on('data', (d) => (text += d))
  req.on('end', async () => {
    const q = JSON.parse(text)
    node.calls.push(q)
    if (node.hold) await sleep(node.hold)
    const send = (body, status = 200, head = {}) => res.writeHead(status, { 'Content-Type': 'application/json', ...head }).end(body)
    switch (node.lie) {
      case 'html': return send('<html>busy</html>')
      case 'half': return send(JSON.stringify({ jsonrpc: '2.0', id: q.id, result: answer(q) }).slice(0, -20))
      case 'id': return send(JSON.stringify({ jsonrpc: '2.0', id: q.id + 1, result: answer(q) }))
      case 'error': return send(JSON.stringify({ jsonrpc: '2.0', id: q.id, error: { code: -32005, message: 'behind' } }))
      case '429': return send('slow down', 429, { 'Retry-After': '1' })
      case '500': return send('{}', 500)
      case 'null': return send(JSON.stringify({ jsonrpc: '2.0', id: q.id, result: null }))
      case 'empty': return send('')
      default: return send(JSON.stringify({ jsonrpc: '2.0', id: q.id, result: answer(q) }))
    }
  })
})
await new Promise((r) => server.listen(0, '127.0.0.1', r))
after(() => server.close())

const s = await startStack({
  feeds: 'sim',
  env: {
    XORJ_LIMITS_ENABLED: 'false',
    XORJ_FEEDS_SOLANA_RPC_FALLBACK: `http://127.0.0.1:${server.address().port}/`,
    XORJ_FEEDS_SOLANA_RPC_PER_S: '0',
    XORJ_WALLET_CACHE_MS: '400',
    XORJ_PRICES_BIRDEYE_URL: '',
    XORJ_PRICES_POLL_MS: '1000',
    XORJ_PRICES_STALE_MS: '4000',
    XORJ_PRICES_KEEP_MS: '6000',
  },
})
const people = await s.wallets(12)
let next = 0
const someone = () => people[next++]
const SIM = s.env.SIM_URL
const post = (path, body) => fetch(`${SIM}${path}`, { method: 'POST', body: JSON.stringify(body) })
const fault = (venue, kind, ms) => post('/fault', { venue, kind, ms })
const holds = (w, what) => post('/wallet', { address: w.wallet, ...what })
const balance = (w, q = '') => get(s, `/api/wallet/balance${q}`, { token: w.token })
const metric = async (name) => {
  const text = await (await fetch(`${s.url}/metrics`)).text()
  return Number(new RegExp(`^${name.replace(/[{}"]/g, '\\$&')} (.*)$`, 'm').exec(text)?.[1] ?? 0)
}
/** Both endpoints have had their rest, and the second one answers. */
const well = async () => {
  node.lie = null
  node.hold = 0
  const w = people[11]
  await until(async () => {
    const r = await balance(w)
    return r.status === 200 && r.json.data.stale === false
  }, 20_000, 'an endpoint answers', 100)
}
const dec = (n, d) => Number(n) / 10 ** d

test('what is held and what it is worth', async () => {
  const w = someone()
  await holds(w, { lamports: 2_500_000_000, usdc: 40_000_001, usdt: 7_000_000, tokens: 6 })
  const d = ok(await balance(w)).data
  assert.equal(d.walletAddress, w.wallet)
  assert.equal(d.solBalance_str, '2.5')
  const by = Object.fromEntries(d.tokenBalances.map((t) => [t.symbol ?? t.mint, t]))
  assert.equal(by.USDC.amount, '40000001')
  assert.equal(by.USDC.mint, USDC)
  assert.equal(by.USDC.balance_str, '40.000001')
  assert.equal(by.USDT.mint, USDT)
  assert.deepEqual(d.tokenBalances.slice(0, 2).map((t) => t.symbol), ['USDC', 'USDT'], 'known ones first')
  const others = d.tokenBalances.filter((t) => !t.symbol)
  assert.equal(others.length, 6)
  assert.equal(others.filter((t) => t.program === 'token-2022').length, 1)
  for (const t of others) {
    assert.equal(t.usdValue, null)
    assert.equal(typeof t.decimals, 'number')
    assert.equal(t.balance, dec(t.amount, t.decimals))
  }
  const { fair, basis } = await (async () => {
    const st = await (await fetch(`${SIM}/status`)).json()
    return { fair: Number(st.prices.fair), basis: 1 }
  })()
  assert.ok(Math.abs(d.prices.SOL.usd / fair - 1) < 0.05)
  assert.equal(d.prices.SOL.sources, 3)
  const total = 2.5 * d.prices.SOL.usd + 40.000001 * d.prices.USDC.usd + 7 * d.prices.USDT.usd
  assert.ok(Math.abs(d.totalUsdValue - total) < 0.00001 * basis, `${d.totalUsdValue} is ${total}`)
  assert.ok(Math.abs(d.maxInvestable - (total - Math.max(0.02 * total, 10))) < 0.00001)
  assert.equal(d.stale, false)
  assert.equal(d.partial, true)
  assert.ok(Math.abs(d.lastUpdated - Date.now()) < 5000)
})

test('an empty wallet has no funds, and says so', async () => {
  const w = someone()
  await holds(w, {})
  const d = ok(await balance(w)).data
  assert.equal(d.totalUsdValue, 0)
  assert.equal(d.maxInvestable, 0)
  assert.equal(d.insufficientFunds, true)
  assert.deepEqual(d.tokenBalances, [])
})

test('who may ask for what', async () => {
  const w = someone()
  const viewer = { token: await s.role('viewer') }
  isError(await get(s, '/api/wallet/balance'), 401, 'AUTHENTICATION_ERROR')
  isError(await balance(w, `?walletAddress=${people[0].wallet}`), 403, 'AUTHORIZATION_ERROR')
  for (const bad of ['nonsense', '', '0x12', w.wallet.slice(4), w.wallet + w.wallet, '1'.repeat(44), 'O'.repeat(43)])
    isError(await balance(viewer, `?walletAddress=${bad}`), 400, 'VALIDATION_ERROR')
  isError(await balance(viewer), 400, 'VALIDATION_ERROR')
  isError(await balance(w, '?wallet=x'), 400, 'VALIDATION_ERROR')
  assert.equal(ok(await balance(viewer, `?walletAddress=${w.wallet}`)).data.walletAddress, w.wallet)
})

test('one read for many, and none while it is fresh', async () => {
  const w = someone()
  const reads = await metric('xorj_wallet_reads_total')
  await fault('solana', 'slow', 300)
  const got = await Promise.all(Array.from({ length: 60 }, () => balance(w)))
  got.forEach((r) => ok(r))
  assert.equal((await metric('xorj_wallet_reads_total')) - reads, 1)
  await fault('solana', 'clear')
  await sleep(450)
  ok(await balance(w))
  assert.equal((await metric('xorj_wallet_reads_total')) - reads, 2)
})

test('the chain is away: another endpoint answers, then the last known values do', async () => {
  const w = someone()
  const nobody = someone()
  const first = ok(await balance(w)).data
  await fault('solana', 'limit', 60_000)
  await sleep(500)
  node.calls.length = 0
  const second = ok(await balance(w)).data
  assert.ok(node.calls.length >= 3, 'the second endpoint was asked')
  assert.equal(second.solBalance, 5)
  assert.equal(second.stale, false)
  node.lie = '500'
  await sleep(500)
  const third = ok(await balance(w)).data
  assert.equal(third.stale, true)
  assert.equal(third.solBalance, 5)
  assert.equal(third.lastUpdated, second.lastUpdated)
  assert.ok(third.age_ms >= 400)
  assert.notEqual(first.solBalance, undefined)
  isError(await balance(nobody), 503, 'UPSTREAM_ERROR')
  node.lie = null
  await until(async () => ok(await balance(w)).data.stale === false, 8000, 'fresh again')
})

test('an endpoint that lies is refused with a counter, never believed', async () => {
  const w = someone()
  await well()
  const refused = async () =>
    (await metric('xorj_wallet_refused_total{reason="nonsense"}')) + (await metric('xorj_wallet_refused_total{reason="program"}')) + (await metric('xorj_wallet_refused_total{reason="wallet"}'))
  await fault('solana', 'limit', 120_000)
  node.lie = null
  const good = await until(async () => {
    const r = await balance(w)
    return r.status === 200 && ok(r).data.stale === false && ok(r).data
  }, 8000, 'the honest answer')
  assert.equal(good.tokenBalances[0].balance, 40)
  for (const lie of ['other', 'program', 'truncated', 'twice', 'lamports']) {
    const before = await refused()
    node.lie = lie
    // The rest after the lie before may be long: asked again until the endpoint was heard.
    await until(async () => {
      const d = ok(await balance(w)).data
      assert.equal(d.solBalance, 5, lie)
      assert.equal(d.tokenBalances[0]?.balance, 40, lie)
      return (await refused()) > before
    }, 12_000, `${lie} refused`, 100)
    assert.equal(ok(await balance(w)).data.stale, true, lie)
    node.lie = null
    await until(async () => ok(await balance(w)).data.stale === false, 12_000, `well after ${lie}`, 100)
  }
  for (const lie of ['html', 'half', 'id', 'error']) {
    const before = await metric('xorj_rpc_calls_total{endpoint="1",result="failed"}')
    node.lie = lie
    await until(async () => {
      const d = ok(await balance(w)).data
      assert.equal(d.solBalance, 5, lie)
      return (await metric('xorj_rpc_calls_total{endpoint="1",result="failed"}')) > before
    }, 12_000, `${lie} failed`, 100)
    node.lie = null
    await until(async () => ok(await balance(w)).data.stale === false, 12_000, `well after ${lie}`, 100)
  }
})

test('a wallet of very many accounts is bounded', async () => {
  const w = someone()
  await fault('solana', 'limit', 120_000)
  await well()
  node.lie = 'huge'
  const d = ok(await balance(w)).data
  assert.equal(d.truncated, true)
  assert.equal(d.solBalance, 5)
  node.lie = null
  await fault('solana', 'clear')
  const many = someone()
  await holds(many, { lamports: 1, tokens: 400, usdc: 3_000_000 })
  const m = await until(async () => {
    const r = await balance(many)
    return r.status === 200 && ok(r).data.tokenBalances.length > 1 && ok(r).data
  }, 10_000, 'read')
  assert.equal(m.truncated, true)
  assert.equal(m.tokenBalances.length, 100)
  assert.equal(m.tokenBalances[0].symbol, 'USDC')
})

test('a slow chain delays nobody else and has its own deadline', async () => {
  const w = someone()
  await fault('solana', 'limit', 120_000)
  await well()
  node.hold = 6000
  const t = performance.now()
  const slow = balance(w)
  let worst = 0
  for (let i = 0; i < 100; i++) {
    const a = performance.now()
    ok(await get(s, '/api/user/performance', { token: people[0].token }))
    worst = Math.max(worst, performance.now() - a)
  }
  assert.ok(worst < 500, `others waited ${worst} ms`)
  const r = await slow
  const took = performance.now() - t
  assert.ok(took > 3000 && took < 4900, `${took} ms`)
  isError(r, 504, 'TIMEOUT')
  node.hold = 0
  await fault('solana', 'clear')
})

test('without a price there is no dollar, and the two coins say that they are assumed', async () => {
  const w = someone()
  await holds(w, { lamports: 3_000_000_000, usdc: 50_000_000 })
  await well()
  await until(async () => ok(await balance(w)).data.prices.SOL.sources === 3, 15_000, 'prices')
  // one source a tenth off: outvoted
  await fault('jupiter', 'lie', 60_000)
  await sleep(1200)
  let d = await until(async () => {
    const x = ok(await balance(w)).data
    return x.prices.SOL.sources === 2 && x
  }, 5000, 'outvoted')
  assert.equal(d.prices.SOL.disputed, false)
  // two left, and they disagree: the last agreed price as stale, then none
  await fault('pyth', 'limit', 60_000)
  d = await until(async () => {
    const x = ok(await balance(w)).data
    return x.prices.SOL.disputed && x
  }, 8000, 'disputed')
  assert.equal(d.prices.SOL.stale, true)
  assert.equal(d.priceStale, true)
  for (const v of ['coingecko', 'jupiter', 'pyth']) await fault(v, 'limit', 60_000)
  d = await until(async () => {
    const x = ok(await balance(w)).data
    return x.prices.SOL.usd === null && x
  }, 15_000, 'forgotten', 100)
  assert.equal(d.solUsdValue, null)
  assert.equal(d.totalUsdValue, null)
  assert.equal(d.maxInvestable, null)
  assert.ok(d.reasons.totalUsdValue)
  assert.equal(d.solBalance, 3)
  const usdc = d.tokenBalances.find((t) => t.symbol === 'USDC')
  assert.equal(usdc.usdValue, 50)
  assert.equal(usdc.priceAssumed, true)
  for (const v of ['coingecko', 'jupiter', 'pyth']) await fault(v, 'clear')
  await until(async () => ok(await balance(w)).data.totalUsdValue > 0, 20_000, 'priced again', 100)
})

cleanEnd(() => s)
