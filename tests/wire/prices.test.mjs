// Birdeye's stream as the only source: prices are pushed, the subprotocol is asked for, a lost stream comes back.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { get, ok } from '../lib/http.mjs'
import { cleanEnd, startStack, until } from '../lib/stack.mjs'

const s = await startStack({
  feeds: 'sim',
  env: {
    XORJ_LIMITS_ENABLED: 'false',
    XORJ_PRICES_COINGECKO_URL: '',
    XORJ_PRICES_JUPITER_URL: '',
    XORJ_PRICES_PYTH_URL: '',
    XORJ_PRICES_STALE_MS: '3000',
    XORJ_PRICES_KEEP_MS: '60000',
  },
})
const [w] = await s.wallets(1)
const sol = async () => ok(await get(s, '/api/wallet/balance', { token: w.token })).data.prices.SOL
const fault = (kind, ms) => fetch(`${s.env.SIM_URL}/fault`, { method: 'POST', body: JSON.stringify({ venue: 'birdeye', kind, ms }) })

test('one source alone is believed less', async () => {
  const p = await until(async () => {
    const x = await sol()
    return x.usd !== null && x
  }, 5000, 'a price')
  assert.equal(p.source, 'birdeye')
  assert.equal(p.sources, 1)
  assert.ok(p.confidence > 0 && p.confidence <= 60)
  const { prices } = await (await fetch(`${s.env.SIM_URL}/status`)).json()
  assert.ok(Math.abs(p.usd / Number(prices.fair) - 1) < 0.05)
})

test('a stream that is cut or talks nonsense goes stale, and comes back', async () => {
  for (const kind of ['disconnect', 'garbage']) {
    await fault(kind, 4000)
    if (kind === 'disconnect') await until(async () => (await sol()).stale, 6000, 'stale')
    await until(async () => {
      const p = await sol()
      return !p.stale && p.age_ms < 2000
    }, 15_000, `back after ${kind}`)
  }
  assert.match(s.log('server'), /birdeye stream lost/)
  assert.ok(!s.log('server').includes('api-key'))
})

cleanEnd(() => s)
