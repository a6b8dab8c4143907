// The lists of a wallet's trades: pages by number, offset and cursor, newest first, exact amounts; and the account at a glance.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connect, rows } from '../lib/db.mjs'
import { get, isError, ok } from '../lib/http.mjs'
import { cleanEnd, startStack } from '../lib/stack.mjs'

const SOL = 'So11111111111111111111111111111111111111112'
const USDC = 'EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v'
const s = await startStack({ env: { XORJ_LIMITS_ENABLED: 'false' } })
const db = await connect(s)
const [empty, rich, other] = await s.wallets(3)
const list = (w, q = '') => get(s, `/api/user/transactions${q}`, { token: w.token })
const bot = (w, q = '') => get(s, `/api/bot/trades${q}`, { token: w.token })

test('no history is said so', async () => {
  const r = ok(await list(empty))
  assert.deepEqual(r.transactions, [])
  assert.equal(r.totalCount, 0)
  assert.equal(r.isEmpty, true)
  assert.deepEqual(r.pagination, { page: 1, limit: 10, totalCount: 0, totalPages: 0, hasMore: false, nextCursor: null })
  const b = ok(await bot(empty))
  assert.deepEqual(b.trades, [])
  assert.deepEqual(b.pagination, { limit: 50, offset: 0, has_more: false, next_cursor: null, total_count: 0 })
})

test('rows are shown newest first with exact amounts, unknown ones as null', async () => {
  for (let i = 0; i < 25; i++)
    await rows(
      db,
      `insert into trades (user_vault_address, client_order_id, status, from_token_address, to_token_address, amount_in, actual_amount_out, gas_fee,
         slippage_realized, realized_pnl_usd, created_at) values ($1, $2, $3, $4, $5, $6, $7, 5000, 0.125, $8, now() - $9 * interval '1 minute')`,
      [rich.wallet, `o${i}`, i % 5 === 0 ? 'FAILED' : 'CONFIRMED', SOL, i === 1 ? 'Unknown1111111111111111111111111111111111111' : USDC,
        '1500000000', i === 2 ? null : '221550400', i % 2 ? '-1.25' : null, i >= 20 ? 20 : i],
    )
  const r = ok(await list(rich, '?limit=5'))
  assert.equal(r.totalCount, 25)
  assert.equal(r.isEmpty, false)
  assert.equal(r.pagination.totalPages, 5)
  assert.equal(r.pagination.hasMore, true)
  assert.deepEqual(r.transactions.map((t) => t.clientOrderId), ['o0', 'o1', 'o2', 'o3', 'o4'])
  const [a, b, c] = r.transactions
  assert.equal(a.amountIn, 1.5)
  assert.equal(a.amountIn_raw, '1500000000')
  assert.equal(a.actualAmountOut, 221.5504)
  assert.equal(a.actualAmountOut_raw, '221550400')
  assert.equal(a.gasFee, 0.000005)
  assert.equal(a.slippageRealized, 0.125)
  assert.equal(a.realizedPnlUsd, null)
  assert.equal(b.realizedPnlUsd_str, '-1.25')
  assert.equal(b.actualAmountOut, null)
  assert.equal(b.actualAmountOut_raw, '221550400')
  assert.equal(c.actualAmountOut, null)
  assert.equal(c.actualAmountOut_raw, null)
})

test('pages by number, by cursor and by offset meet every row once', async () => {
  const all = ok(await bot(rich, '?limit=100')).trades.map((t) => t.id)
  assert.equal(new Set(all).size, 25)
  const paged = []
  for (let p = 1; p <= 4; p++) paged.push(...ok(await list(rich, `?limit=7&page=${p}`)).transactions.map((t) => t.id))
  assert.deepEqual(paged, all)
  const cursed = []
  for (let cursor = ''; cursor !== null; ) {
    const r = ok(await list(rich, `?limit=4${cursor ? `&cursor=${cursor}` : ''}`))
    cursed.push(...r.transactions.map((t) => t.id))
    cursor = r.pagination.nextCursor
  }
  assert.deepEqual(cursed, all)
  const off = []
  for (let o = 0; o < 25; o += 9) off.push(...ok(await bot(rich, `?limit=9&offset=${o}`)).trades.map((t) => t.id))
  assert.deepEqual(off, all)
  assert.equal(ok(await bot(rich, '?offset=10000')).trades.length, 0)
})

test('status filters, and counts what it filters', async () => {
  const r = ok(await bot(rich, '?status=FAILED&limit=3'))
  assert.equal(r.pagination.total_count, 5)
  assert.ok(r.trades.every((t) => t.status === 'FAILED'))
  assert.equal(r.pagination.has_more, true)
  const next = ok(await bot(rich, `?status=FAILED&limit=3&cursor=${r.pagination.next_cursor}`))
  assert.equal(next.trades.length, 2)
})

test('refusals', async () => {
  for (const q of ['?limit=0', '?limit=101', '?limit=x', '?limit=', '?page=0', '?page=-1', '?page=1.5', '?cursor=x', `?cursor=01${'0'.repeat(46)}`, `?cursor=00${'A'.repeat(46)}`, `?cursor=00${'0'.repeat(45)}`, '?x=1', '?page=1&page=2'])
    isError(await list(rich, q), 400, 'VALIDATION_ERROR')
  isError(await list(rich, '?page=10001&limit=100'), 422)
  for (const q of ['?offset=-1', '?offset=10001', '?status=failed', '?limit=101']) isError(await bot(rich, q), 400, 'VALIDATION_ERROR')
  isError(await list(other, `?walletAddress=${rich.wallet}`), 403, 'AUTHORIZATION_ERROR')
  isError(await list({}), 401)
})

test('a viewer reads any wallet; a vault of the wallet counts as its own', async () => {
  const viewer = await s.role('viewer')
  assert.equal(ok(await get(s, `/api/user/transactions?walletAddress=${rich.wallet}`, { token: viewer })).totalCount, 25)
  isError(await get(s, '/api/bot/trades', { token: viewer }), 403)
  const vault = '9xQeWvG816bUx9EPjHmaT23yvVM2ZWbrrpZb9PusVFin'
  await rows(db, 'update users set vault_address=$2 where wallet_address=$1', [other.wallet, vault])
  await rows(db, "insert into trades (user_vault_address, client_order_id, from_token_address, to_token_address, amount_in) values ($1, 'v', 'A', 'B', 1)", [vault])
  const r = ok(await list(other))
  assert.equal(r.totalCount, 1)
  assert.equal(r.transactions[0].userVaultAddress, vault)
  assert.equal(r.transactions[0].amountIn, null)
})

test('the fast route', async () => {
  const r = ok(await get(s, '/api/fast/transactions?limit=2', { token: rich.token }))
  assert.equal(r.transactions.length, 2)
  assert.equal(r.totalCount, 25)
  assert.equal(typeof r.performance, 'number')
})

test('account status: account, bot, vault', async () => {
  const r = ok(await get(s, '/api/user/status', { token: other.token }))
  assert.equal(r.data.account.wallet_address, other.wallet)
  assert.equal(r.data.bot.status, 'stopped')
  assert.equal(r.data.vault.address, '9xQeWvG816bUx9EPjHmaT23yvVM2ZWbrrpZb9PusVFin')
  assert.equal(r.data.vault.is_active, null)
  const e = ok(await get(s, '/api/user/status', { token: empty.token }))
  assert.equal(e.data.vault, null)
  assert.equal(e.data.reasons.vault, 'NO_VAULT')
  const viewer = await s.role('viewer')
  const nobody = ok(await get(s, '/api/user/status?walletAddress=DezXAZ8z7PnrnRJjz3wXBoRgixCa6xjnB7YaB1pPB263', { token: viewer }))
  assert.equal(nobody.data.account, null)
  assert.equal(nobody.data.reasons.account, 'NEVER_SIGNED_IN')
  isError(await get(s, `/api/user/status?walletAddress=${rich.wallet}`, { token: empty.token }), 403)
})

test('fast status: bot and system', async () => {
  const r = ok(await get(s, '/api/fast/status', { token: empty.token }))
  assert.equal(r.bot.enabled, false)
  assert.equal(r.system.database, true)
  assert.equal(typeof r.performance, 'number')
})

test('bot performance is the wallet performance', async () => {
  const a = ok(await get(s, '/api/bot/performance?timeRange=ALL', { token: rich.token }))
  const b = ok(await get(s, '/api/user/performance?timeRange=ALL', { token: rich.token }))
  assert.deepEqual(a.data, b.data)
  assert.equal(a.data.totalTrades, 25)
  isError(await get(s, `/api/bot/performance?walletAddress=${rich.wallet}`, { token: rich.token }), 400)
})

cleanEnd(() => s)
