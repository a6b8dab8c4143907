// Forged sign-ins: other words, other keys, bent signatures, used and old nonces.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { get, isError, ok, post } from '../lib/http.mjs'
import { connect, rows } from '../lib/db.mjs'
import { cleanEnd, sleep, startStack } from '../lib/stack.mjs'
import { Wallet, bs58, nacl } from '../lib/wallet.mjs'

const s = await startStack({ env: { XORJ_LIMITS_ENABLED: 'false', XORJ_AUTH_NONCE_TTL_S: '10' } })
const w = new Wallet()
const send = (body) => post(s, '/api/auth/authenticate', { body })
const refused = async (body, what) => {
  const r = await send(body)
  assert.ok([400, 401].includes(r.status), `${what}: ${r.status} ${r.text.slice(0, 200)}`)
  isError(r, r.status)
  return r
}
const L = 2n ** 252n + 27742317777372353535851937790883648493n
const le = (b) => [...b].reduceRight((a, x) => (a << 8n) | BigInt(x), 0n)
const toLe = (n) => Uint8Array.from({ length: 32 }, (_, i) => Number((n >> BigInt(8 * i)) & 255n))

test('the message must be the issued one to the byte', async () => {
  const c = await w.challenge(s)
  const m = c.message
  const other = [
    `${m} `, `${m}\n`, ` ${m}`, m.replace('\n', '\r\n'), m.toLowerCase(), m.replace('localhost', 'localhosts'), m.replace('localhost', 'evil.example'),
    m.replace(/Chain ID: .*/, 'Chain ID: devnet'), m.replace(/URI: .*/, 'URI: https://evil.example'), m.replace('Version: 1', 'Version: 2'),
    m.replace(/Issued At: (\d{4})/, 'Issued At: 2031'), m.replace(/Expiration Time: (\d{4})/, 'Expiration Time: 2099'),
    m.replace(/Nonce: .*/, 'Nonce: 12345678'), m.replace(/Nonce: .*/, ''), m.replace(w.address, new Wallet().address), `${m}\nResources:\n- https://evil.example`,
    m.slice(0, -1), m + m, m.split('\n').reverse().join('\n'), m.replace('Nonce', '\u041donce'), '', 'hello',
  ]
  for (const x of other) if (x !== m) await refused(w.body(x), JSON.stringify(x).slice(0, 60))
  for (let i = 0; i < m.length; i += 11) await refused(w.body(`${m.slice(0, i)}${m[i] === 'a' ? 'b' : 'a'}${m.slice(i + 1)}`), `byte ${i}`)
})

test("another wallet's challenge, signature or address", async () => {
  const o = new Wallet()
  const mine = await w.challenge(s)
  const theirs = await o.challenge(s)
  await refused(w.body(theirs.message), 'their message, my name')
  await refused({ ...o.body(mine.message), wallet_address: w.address }, 'their signature')
  await refused({ ...w.body(theirs.message), wallet_address: o.address }, 'my signature, their name')
  await refused({ ...w.body(mine.message), wallet_address: o.address }, 'their name, my message')
})

test('a bent signature: S + L, other halves, other lengths, other encodings', async () => {
  const fresh = async () => {
    const c = await w.challenge(s)
    return { m: c.message, sig: w.sign(c.message) }
  }
  let { m, sig } = await fresh()
  const S = le(sig.slice(32))
  await refused(w.body(m, Uint8Array.from([...sig.slice(0, 32), ...toLe(S + L)])), 'S + L')
  const bad = [
    (x) => new Uint8Array(64), (x) => Uint8Array.from([...x.slice(32), ...x.slice(0, 32)]), (x) => x.map((b, i) => (i === 0 ? b ^ 1 : b)), (x) => x.map((b, i) => (i === 63 ? b ^ 0x80 : b)),
    (x) => x.map((b, i) => (i === 40 ? b ^ 4 : b)), (x) => x.slice(0, 63), (x) => Uint8Array.from([...x, 0]), (x) => Uint8Array.from([...x.slice(0, 32), ...new Uint8Array(32)]),
    (x) => Uint8Array.from([...new Uint8Array(32), ...x.slice(32)]), (x) => new Uint8Array(64).fill(255), (x) => Uint8Array.from([1, ...new Uint8Array(63)]),
  ]
  for (const f of bad) {
    ;({ m, sig } = await fresh())
    await refused(w.body(m, f(sig)), f.toString())
  }
  ;({ m, sig } = await fresh())
  const b64 = Buffer.from(sig).toString('base64')
  for (const t of [b64.slice(0, -1), b64.slice(0, -2), `${b64}=`, b64.replace('==', ''), ` ${b64}`, `${b64}\n`, Buffer.from(sig).toString('hex'), bs58.encode(sig), b64.replace(/[^=](==)$/, (x, e) => `B${e}`)])
    if (t !== b64) await refused({ ...w.body(m, sig), signature: t }, t.slice(-10))
})

test('keys of small order, for which anybody can forge, and keys in another spelling', async () => {
  const hex = [
    '0100000000000000000000000000000000000000000000000000000000000000', '0000000000000000000000000000000000000000000000000000000000000000',
    'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f', '0000000000000000000000000000000000000000000000000000000000000080',
    '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05', '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85',
    'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a', 'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa',
    'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f', 'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff', 'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff',
    '0100000000000000000000000000000000000000000000000000000000000080', 'ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff',
  ]
  for (const h of hex) {
    const address = bs58.encode(Buffer.from(h, 'hex'))
    if (address.length < 32 || address.length > 44) continue
    const fake = Object.assign(new Wallet(), { address })
    const sigs = [
      Uint8Array.from([1, ...new Uint8Array(63)]), new Uint8Array(64), Uint8Array.from([...Buffer.from(h, 'hex'), ...new Uint8Array(32)]),
      Uint8Array.from([...Buffer.from('ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f', 'hex'), ...new Uint8Array(32)]),
    ]
    for (let i = 0; i < 12; i++) {
      const r = await post(s, '/api/auth/authenticate', { body: fake.body('x', sigs[i % sigs.length]) })
      assert.ok([400, 401].includes(r.status), h)
      const c = await get(s, `/api/auth/challenge?wallet_address=${address}`)
      if (c.status !== 200) {
        isError(c, c.status)
        continue
      }
      await refused(fake.body(c.json.message, sigs[i % sigs.length]), h)
    }
  }
})

test('of many at once with one nonce exactly one passes', async () => {
  for (let round = 0; round < 5; round++) {
    const c = await w.challenge(s)
    const got = await Promise.all(Array.from({ length: 16 }, () => w.authenticate(s, c.message)))
    assert.equal(got.filter((r) => r.status === 200).length, 1)
    got.filter((r) => r.status !== 200).forEach((r) => isError(r, 401, 'AUTHENTICATION_ERROR'))
  }
})

test('an attempt with a wrong signature uses the nonce up', async () => {
  const c = await w.challenge(s)
  const wrong = w.sign(`${c.message}x`)
  isError(await send(w.body(c.message, wrong)), 401, 'AUTHENTICATION_ERROR')
  const again = await send(w.body(c.message))
  isError(again, 401, 'AUTHENTICATION_ERROR')
})

test('a used nonce stays used after Redis was emptied and the server was killed', async () => {
  const c = await w.challenge(s)
  ok(await w.authenticate(s, c.message))
  await s.sh('redis-kill')
  await s.sh('redis-start')
  await s.killServer()
  await s.startServer()
  isError(await w.authenticate(s, c.message), 401)
  ok(await w.authenticate(s, (await w.challenge(s)).message))
})

test('an old message is refused', async () => {
  const c = await w.challenge(s)
  await sleep(10_600)
  isError(await w.authenticate(s, c.message), 401)
})

test('two thousand random forgeries leave no session', async () => {
  const db = await connect(s)
  const before = (await rows(db, 'select count(*) as n from sessions'))[0].n
  let seed = 7
  const rnd = (n) => (seed = (seed * 1103515245 + 12345) % 2147483648) % n
  for (let i = 0; i < 40; i++) {
    const c = await w.challenge(s)
    const good = w.sign(c.message)
    const got = await Promise.all(
      Array.from({ length: 50 }, () => {
        const sig = Uint8Array.from(good)
        sig[rnd(64)] ^= 1 << rnd(8)
        return send(w.body(c.message, sig))
      }),
    )
    got.forEach((r) => assert.equal(r.status, 401))
  }
  assert.equal((await rows(db, 'select count(*) as n from sessions'))[0].n, before)
  assert.ok(nacl.sign.detached.verify(new TextEncoder().encode('x'), w.sign('x'), w.key.publicKey.toBytes()))
})

cleanEnd(() => s)
