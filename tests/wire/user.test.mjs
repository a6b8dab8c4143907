// GET /api/user/performance: from rows, through the cache, own data only.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connect, rows } from '../lib/db.mjs'
import { get, isError, ok } from '../lib/http.mjs'
import { cleanEnd, startStack } from '../lib/stack.mjs'

const s = await startStack({ env: { XORJ_LIMITS_ENABLED: 'false', XORJ_CACHE_PERF_TTL_MS: '300' } })
const db = await connect(s)
const [empty, rich, other] = await s.wallets(3)
const perf = (w, q = '') => get(s, `/api/user/performance${q}`, { token: w.token })

test('nothing known is null, not invented', async () => {
  const r = ok(await perf(empty))
  assert.equal(r.success, true)
  for (const k of ['currentVaultValueUSD', 'netROI', 'maxDrawdownPercent', 'winRate', 'sharpeRatio']) assert.equal(r.data[k], null, k)
  assert.equal(r.data.totalTrades, 0)
  assert.deepEqual(r.data.chartData, [])
  assert.equal(r.data.timeRange, '30D')
  assert.ok('lastUpdated' in r.data)
  assert.equal(typeof r.requestId, 'string')
})

test('the figures are those of the rows', async () => {
  const v = [1000, 1200, 900, 1500]
  for (let i = 0; i < v.length; i++)
    await rows(db, "insert into vault_valuations values ($1, now() - $2 * interval '1 day', $3)", [rich.wallet, v.length - i, v[i]])
  const pnl = [10, -4, 6, null]
  for (let i = 0; i < pnl.length; i++)
    await rows(
      db,
      `insert into trades (user_vault_address, client_order_id, status, from_token_address, to_token_address, amount_in, realized_pnl_usd)
       values ($1, $2, $3, 'A', 'B', 1, $4)`,
      [rich.wallet, `o${i}`, pnl[i] === null ? 'FAILED' : 'CONFIRMED', pnl[i]],
    )
  const d = ok(await perf(rich, '?timeRange=30D')).data
  assert.equal(d.currentVaultValueUSD, 1500)
  assert.ok(Math.abs(d.netROI - 50) < 0.01, `netROI ${d.netROI}`)
  assert.ok(Math.abs(d.maxDrawdownPercent - 25) < 0.01, `maxDrawdown ${d.maxDrawdownPercent}`)
  assert.ok(Math.abs(d.winRate - 66.667) < 0.01, `winRate ${d.winRate}`)
  assert.equal(d.realizedPnlUSD, 12)
  assert.equal(d.realizedPnlUSD_str, '12')
  assert.equal(d.valueAtRisk95Percent, null)
  assert.equal(d.reasons.valueAtRisk95Percent, 'NOT_ENOUGH_VALUATIONS')
  assert.equal(d.chartData.length, 4)
  for (const p of d.chartData) assert.ok('timestamp' in p && typeof p.value === 'number')
  assert.deepEqual(d.chartData.map((p) => p.value), v)
})

test('each range, and no other spelling', async () => {
  for (const r of ['1D', '7D', '30D', '90D', 'ALL']) assert.equal(ok(await perf(rich, `?timeRange=${r}`)).data.timeRange, r)
  for (const r of ['', '30d', '31D', 'all', 'ALL%20', '1D,7D']) isError(await perf(rich, `?timeRange=${r}`), 400, 'VALIDATION_ERROR')
  isError(await perf(rich, '?timeRange=7D&timeRange=7D'), 400)
  isError(await perf(rich, '?timeRange=%zz'), 400)
})

test('only its own, and a viewer any', async () => {
  ok(await perf(rich, `?walletAddress=${rich.wallet}`))
  isError(await perf(other, `?walletAddress=${rich.wallet}`), 403, 'AUTHORIZATION_ERROR')
  isError(await perf(other, '?walletAddress=nonsense'), 400)
  const viewer = await s.role('viewer')
  assert.equal(ok(await get(s, `/api/user/performance?walletAddress=${rich.wallet}`, { token: viewer })).data.currentVaultValueUSD, 1500)
  isError(await get(s, '/api/user/performance', { token: viewer }), 400)
  isError(await get(s, '/api/user/performance'), 401, 'AUTHENTICATION_ERROR')
})

test('the cache answers many with one query, and forgets after its time', async () => {
  const got = await Promise.all(Array.from({ length: 50 }, () => perf(rich)))
  got.forEach((r) => ok(r))
  await rows(db, 'insert into vault_valuations values ($1, now(), 3000)', [rich.wallet])
  await new Promise((r) => setTimeout(r, 900))
  assert.equal(ok(await perf(rich)).data.currentVaultValueUSD, 3000)
})

cleanEnd(() => s)
