// Rate limits by principal or real client address, their headers, and what does not get around them.
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { get, isError, ok, post } from '../lib/http.mjs'
import { startReplica } from '../lib/replica.mjs'
import { cleanEnd, sleep, startStack, until } from '../lib/stack.mjs'
import { Wallet } from '../lib/wallet.mjs'

const s = await startStack({
  env: {
    XORJ_LIMITS_OPEN_PER_MIN: '40', XORJ_LIMITS_USER_PER_MIN: '80', XORJ_LIMITS_USER_BURST: '60', XORJ_LIMITS_AUTH_PER_15MIN: '15', XORJ_LIMITS_OPP_PER_MIN: '10',
  },
})
const from = (ip) => ({ headers: { 'X-Forwarded-For': ip } })

async function taken(n, fn) {
  const got = []
  for (let i = 0; i < n; i++) got.push(await fn(i))
  return got
}
function limited(r) {
  isError(r, 429, 'RATE_LIMIT_ERROR')
  assert.match(r.headers['retry-after'], /^[1-9]\d*$/)
  const names = Object.keys(r.headers)
  assert.ok(names.includes('ratelimit'), names.join())
  assert.ok(names.includes('ratelimit-policy'), names.join())
}

test('an address gets its number, then 429 that says when', async () => {
  const got = await taken(60, () => get(s, '/health', from('198.51.100.1')))
  const passed = got.filter((r) => r.status === 200).length
  assert.ok(passed >= 40 && passed <= 42, `${passed}`)
  limited(got.at(-1))
  ok(await get(s, '/health', from('198.51.100.2')))
})

test('spelling the address differently or adding addresses in front does not help', async () => {
  await taken(45, () => get(s, '/health', from('198.51.100.7')))
  for (const xff of ['203.0.113.1, 198.51.100.7', '10.0.0.1,203.0.113.5,198.51.100.7', ' 198.51.100.7 ', 'nonsense, 198.51.100.7'])
    limited(await get(s, '/health', from(xff)))
})

test('a principal is one caller wherever it comes from', async () => {
  const [w, other] = await s.wallets(2)
  const got = await Promise.all(Array.from({ length: 120 }, (_, i) => get(s, '/api/bot/status', { token: w.token, ...from(`203.0.113.${i % 50}`) })))
  const passed = got.filter((r) => r.status === 200).length
  assert.ok(passed >= 55 && passed <= 82, `${passed}`)
  limited(got.find((r) => r.status === 429))
  ok(await get(s, '/api/bot/status', { token: other.token }))
})

test('sign-in has its own, small allowance per address', async () => {
  const w = new Wallet()
  const got = await taken(22, () => get(s, `/api/auth/challenge?wallet_address=${w.address}`, from('198.51.100.9')))
  const passed = got.filter((r) => r.status === 200).length
  assert.ok(passed >= 15 && passed <= 16, `${passed}`)
  limited(got.at(-1))
})

test('a refused token counts against the address it came from, a good one from there still passes', async () => {
  const got = await taken(60, () => get(s, '/api/bot/status', { token: 'a.b.c', ...from('198.51.100.11') }))
  const refused = got.filter((r) => r.status === 401).length
  assert.ok(refused >= 40 && refused <= 42, `${refused}`)
  limited(got.at(-1))
  const [w] = await s.wallets(1)
  ok(await get(s, '/api/bot/status', { token: w.token, ...from('198.51.100.11') }))
})

test('every answer says what is left', async () => {
  const [w] = await s.wallets(1)
  for (let i = 1; i <= 3; i++) {
    const r = await get(s, '/api/bot/status', { token: w.token })
    ok(r)
    assert.equal(r.headers['ratelimit-policy'], '"user";q=80;w=60')
    assert.match(r.headers.ratelimit, new RegExp(`^"user";r=${80 - i};t=[1-3]$`))
    assert.equal(r.headers['retry-after'], undefined)
  }
})

test('limited toggles change nothing', async () => {
  const [w] = await s.wallets(1)
  const got = await Promise.all(Array.from({ length: 120 }, () => post(s, '/api/bot/enable', { token: w.token })))
  const passed = got.filter((r) => r.status === 200)
  assert.ok(got.every((r) => r.status === 200 || r.status === 429))
  assert.equal(Math.max(...passed.map((r) => r.json.version)), passed.length)
})

test('metrics count the refusals', async () => {
  const m = (await get(s, '/metrics')).text
  const n = [...m.matchAll(/^rate_limited_total(?:\{[^}]*\})? (\d+)/gm)].reduce((a, x) => a + Number(x[1]), 0)
  assert.ok(n > 0, 'rate_limited_total')
})

test('what is used up at one process is used up at the other, to the last of the few controls', async () => {
  const b = await startReplica(s)
  after(() => b.stop('SIGKILL'))
  const knows = async (x) => / 1$/.test(/^xorj_bus_others .*/m.exec((await get(x, '/metrics')).text)?.[0])
  await until(async () => (await knows(s)) && (await knows(b)), 5000, 'they know of each other', 250)
  const act = (x, w) => post(x, '/api/bot/emergency', { token: w.token, body: { action: 'pause', reason: 'x' } })
  await act(s, (await s.wallets(1))[0]) // the count's script is loaded on the first use
  await act(b, (await s.wallets(1))[0])
  await sleep(200)
  for (const [at, other] of [[s, b], [b, s]]) {
    const [w] = await s.wallets(1)
    for (const r of await taken(10, () => act(at, w))) ok(r)
    for (const r of await taken(4, () => act(other, w))) limited(r)
  }
  assert.equal((await b.stop()).code, 0)
})

cleanEnd(() => s)
