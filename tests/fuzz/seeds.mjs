// Where each fuzzer starts: a few inputs of our own, files of tests/fuzz/corpus/<entry>, and what ../shared holds.
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { deflateSync } from 'node:zlib'

const bytes = (...parts) => Buffer.concat(parts.map((p) => (typeof p === 'string' ? Buffer.from(p) : Buffer.from(p))))
const filled = (n, tag, at = {}) => {
  const b = Buffer.alloc(n)
  Buffer.from(tag, 'hex').copy(b)
  for (const [k, v] of Object.entries(at)) b[Number(k)] = v
  return b
}

const OWN = {
  fuzz_accounts: () => [
    [0, filled(82, '', { 45: 1 })], [0, filled(165, '', { 108: 1 })], [0, filled(170, '', { 108: 1, 165: 2, 166: 7 })],
    [0, filled(278, '', { 45: 1, 165: 1, 166: 1, 168: 108 })], [0, filled(56 + 64, '01', { 20: 1 })], [0, filled(80, '0000000001')],
    [1, filled(653, '3f95d10ce1806309', { 41: 1, 73: 1 })], [1, filled(148, '11d8f68ee1c7da38')], [1, filled(9988, '4561bdbe6e0742bb')],
    [1, filled(254, '8bc283b38cb3e5f4', { 62: 1 })], [2, filled(1544, 'f7ede3f5d7c3de46', { 235: 1, 261: 1, 904: 7 })],
    [2, filled(10240, 'c09b55cd31f9812a')], [2, filled(117, 'daf42168cbcb2b6f', { 51: 1 })], [2, filled(1832, '3c9624db61808b99')],
    [3, filled(752, '06', { 176: 25, 185: 39, 184: 16 })], [3, filled(637, 'f7ede3f5d7c3de46')], [3, filled(236, 'daf42168cbcb2b6f')],
    [3, filled(49, '17b7f83760d8ac60')], [3, filled(151, '17b7f83760d8ac60')],
  ].map(([kind, b]) => bytes([kind, 1], b)),
  fuzz_codec: () => ['11111111111111111111111111111111', 'So11111111111111111111111111111111111111112', 'aGVsbG8=', 'aGVsbG8', '%41%20', '0OIl'].map((s) => bytes(s)),
  fuzz_dec: () => ['0', '0.000', '83399.5', '9000000000000', '0.000000000001', '1e9', '-1', '.5'].map((s) => bytes(s)),
  fuzz_siws: () => {
    const head = 'xorj.example wants you to sign in with your Solana account:\nSo11111111111111111111111111111111111111112'
    return [head, `${head}\n\nHello`, `${head}\n\nHello\n\nURI: https://x.example\nVersion: 1\nChain ID: solana:mainnet\nNonce: abcdefgh12\nIssued At: 2026-11-20T13:00:00.000Z\nResources:\n- https://x.example/a`].map((s) => bytes(s))
  },
  fuzz_jwt: () => [bytes('eyJhbGciOiJub25lIn0.e30.'), bytes([255], 'AAAA'), bytes([128], '.e30.')],
  fuzz_tx: () => {
    const key = (n) => Buffer.alloc(32, n)
    const legacy = bytes([1, 0, 1, 2], key(1), key(2), key(9), [1, 1, 1, 0, 2, 7, 7])
    const v0 = bytes([0x80, 1, 0, 1, 2], key(1), key(2), key(9), [1, 1, 2, 0, 2, 0], [1], key(5), [1, 3, 0])
    return [legacy, v0].flatMap((m) => [m, bytes([1], Buffer.alloc(64), m)])
  },
  fuzz_quotes: () => [0, 1, 2].map((k) => bytes([k], Buffer.from(Array.from({ length: 400 }, (_, i) => (i * 37 + k * 11) & 255)))),
  fuzz_http_head: () => [bytes('GET /health HTTP/1.1\r\nHost: x\r\n\r\n'), bytes('POST /a?b=c HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}')],
  fuzz_answer: () => [bytes('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}'), bytes('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n')],
  fuzz_json: () => [bytes('{"a":[1,2.5,-3e4,true,null,"x\\u00e9"]}'), bytes('[]'), bytes('"\\ud83d\\ude80"')],
  fuzz_config: () => [bytes('[server]\nport = 8080\n'), bytes('postgres://u:p@localhost:5432/db?sslmode=require')],
  fuzz_ws_frame: () => [bytes([0x81, 0x82, 1, 2, 3, 4, 0x69, 0x6b]), bytes([0x88, 0x82, 0, 0, 0, 0, 3, 0xe8])],
  fuzz_journal: () => {
    const rec = (kind, text) => {
      const head = Buffer.alloc(24)
      head.writeUInt32LE(Buffer.byteLength(text), 0)
      head[6] = kind
      return bytes(head, text)
    }
    const records = bytes(rec(1, 'coinbase\x00coinbase-advanced\x001'), rec(2, ''), rec(3, '{"a":1}'), rec(6, '3'), rec(4, 'XE_CLOSED'))
    return [bytes([0], records), bytes([1], 'XORJJNL1', Buffer.alloc(16), 'XJB1', Buffer.alloc(44)), bytes([2], deflateSync(Buffer.alloc(195)))]
  },
  fuzz_rpc: () => {
    const account = (n, at = {}) => filled(n, '', { 64: 5, 108: 1, ...at }).toString('base64')
    const row = (key, data, owner) => ({ pubkey: key.repeat(32), account: { data: [data, 'base64'], owner, lamports: 1 } })
    const classic = 'TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA'
    const ctx = (value) => JSON.stringify({ context: { slot: 7 }, value })
    const mint = { owner: classic, data: [filled(82, '', { 44: 6, 45: 1 }).toString('base64'), 'base64'] }
    return [
      [0, ctx([row('1', account(165), classic)])], [1, ctx([row('1', account(170, { 165: 2, 166: 7 }), 'TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb')])],
      [2, ctx([mint, null])], [3, ctx(5)], [4, '{"solana":{"usd":150.5,"last_updated_at":1796000000}}'],
      [5, '{"So11111111111111111111111111111111111111112":{"usdPrice":147.478934}}'],
      [6, '{"parsed":[{"id":"ef0d8b6fda2ceba41da15d4095d1da392a0d2f8ed0c6c7bc0f4cfac8c280b56d","price":{"price":"15012345678","conf":"75","expo":-8,"publish_time":1796000001}}]}'],
    ].map(([k, text]) => bytes([k], text))
  },
  fuzz_venue: () => {
    const diff = (us, event = 'data') => `{"data":{"microtimestamp":"${us}","bids":[["2","1"]],"asks":[["3","1"]]},"channel":"diff_order_book_a","event":"${event}"}\n`
    const texts = ['{"channel":"l2_data","sequence_num":0,"events":[]}\n{"type":"heartbeat"}\n', diff(5) + diff(7) + diff(6, 'xorj:seed') + diff(8, 'xorj:keep') + diff(9),
      '{"type":"snapshot","product_id":"A","bids":[["1","1"]],"asks":[]}\n{"type":"match","product_id":"A","trade_id":7}\n{"type":"heartbeat","product_id":"A","last_trade_id":9}\n']
    return texts.flatMap((t) => Array.from({ length: 12 }, (_, k) => bytes([k % 6 | (k > 5 ? 64 : 0)], t)))
  },
}

const read = (path) => JSON.parse(readFileSync(path, 'utf8'))
const vectors = (dir, set) => {
  const path = join(dir, 'vectors', 'solana', `${set}.json`)
  return existsSync(path) ? read(path).vectors : []
}
const accounts = (dir, set, kind) => vectors(dir, set).filter((v) => v.data_b64).map((v) => bytes([kind, 1], Buffer.from(v.data_b64, 'base64')))

/** First lines of each recorded stream, for every protocol: the first byte chooses it, modulo their number. */
function streams(dir) {
  const root = join(dir, 'venues', 'recordings')
  const out = []
  for (const folder of existsSync(root) ? readdirSync(root, { withFileTypes: true }).filter((e) => e.isDirectory()).map((e) => e.name) : []) {
    const at = join(root, folder)
    for (const f of readdirSync(at, { recursive: true }).filter((x) => String(x).endsWith('.jsonl')).slice(0, 6)) {
      const lines = readFileSync(join(at, String(f)), 'utf8').split('\n').slice(0, 12)
      const raw = lines.map((l) => { try { const o = JSON.parse(l); return typeof o.raw === 'string' ? o.raw : typeof o.frame === 'string' ? o.frame : l } catch { return l } })
      for (let kind = 0; kind < 8; kind++) out.push(bytes([kind | 64], raw.join('\n').slice(0, 6000)))
    }
  }
  return out
}

const SHARED = {
  fuzz_accounts: (d) => [...accounts(d, 'token_accounts', 0), ...accounts(d, 'whirlpool_accounts', 1), ...accounts(d, 'raydium_accounts', 2),
    ...accounts(d, 'raydium_accounts', 3), ...accounts(d, 'pump_bonding_curve_accounts', 3)],
  fuzz_codec: (d) => vectors(d, 'base58').map((v) => bytes(v.base58 ?? '')),
  fuzz_tx: (d) => [...['tx_legacy', 'tx_v0'].flatMap((s) => vectors(d, s).map((v) => Buffer.from(v.expect.tx_b64, 'base64'))),
    ...vectors(d, 'tx_malformed').map((v) => Buffer.from(v.tx_b64, 'base64'))],
  fuzz_siws: (d) => vectors(d, 'siws').map((v) => Buffer.from(v.message_b64 ?? v.text_b64, 'base64')),
  fuzz_venue: streams,
}

/** @returns {Buffer[]} */
export function seedsOf(entry, corpus, shared) {
  const own = OWN[entry]?.() ?? []
  const dir = join(corpus, entry)
  const kept = existsSync(dir) ? readdirSync(dir).map((f) => readFileSync(join(dir, f))) : []
  return [...own, ...kept, ...(existsSync(shared) ? (SHARED[entry]?.(shared) ?? []) : [])]
}
