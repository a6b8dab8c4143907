// The audit log: what it says of a change, how it is paged, and that nobody changes it unseen.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import pg from 'pg'
import { get, isError, ok, post } from '../lib/http.mjs'
import { cleanEnd, startStack } from '../lib/stack.mjs'

const s = await startStack()
const admin = await s.role('admin')
const [w, x] = await s.wallets(2)
const db = new pg.Client({ connectionString: s.env.DATABASE_ADMIN_URL })
await db.connect()
const audit = async (query = '') => ok(await get(s, `/api/v1/audit${query}`, { token: admin }))

/** The command, whatever its exit code. */
function verify(...args) {
  const r = spawnSync(`${s.b}/xorj`, ['audit', 'verify', ...args], { env: { PATH: process.env.PATH, DATABASE_URL: s.env.DATABASE_URL, ASAN_OPTIONS: 'exitcode=23' }, encoding: 'utf8' })
  return { code: r.status, out: r.stdout.trim(), err: r.stderr.trim() }
}

/** As an owner of the tables would: the guard off, the statement, the guard on again. */
async function tamper(sql, values) {
  await db.query('begin')
  await db.query('alter table audit_log disable trigger all')
  await db.query(sql, values)
  await db.query('alter table audit_log enable trigger all')
  await db.query('commit')
}

test('a change is told with who, what, before, after, from where', async () => {
  for (const [who, verb] of [[w, 'enable'], [w, 'disable'], [x, 'enable'], [w, 'enable']])
    ok(await post(s, `/api/bot/${verb}`, { token: who.token, headers: { 'X-Request-ID': `audit-${verb}` } }))
  const a = await audit(`?actor=${w.wallet}&action=bot.set_enabled`)
  assert.equal(a.data.length, 3)
  assert.equal(a.chain_ok, true)
  const e = a.data[0]
  assert.deepEqual([e.actor, e.role, e.target, e.request_id, e.source_ip], [w.wallet, 'wallet', w.wallet, 'audit-enable', '127.0.0.1'])
  assert.deepEqual([e.before, e.after], [{ enabled: false, version: 2 }, { enabled: true, version: 3 }])
  assert.match(e.hash, /^[0-9a-f]{64}$/)
  assert.ok(Math.abs(Date.parse(e.at) - Date.now()) < 60_000)
})

test('pages hang together: newest first, no row twice, none missing', async () => {
  const all = (await audit('?limit=1000')).data.map((e) => e.seq)
  const seen = []
  let cursor = ''
  do {
    const p = await audit(`?limit=2${cursor}`)
    seen.push(...p.data.map((e) => e.seq))
    assert.equal(p.pagination.total_count, all.length)
    cursor = p.pagination.has_more ? `&cursor=${p.pagination.next_cursor}` : ''
  } while (cursor)
  assert.deepEqual(seen, all)
  assert.deepEqual(all, [...all].sort((a, b) => b - a))
})

test('times bound the list; what is no time or cursor is refused by name', async () => {
  assert.equal((await audit('?from=2100-01-01T00:00:00Z')).data.length, 0)
  for (const to of ['2000-01-01T00:00:00Z', '1970-01-01T00:00:00Z']) assert.equal((await audit(`?to=${to}`)).data.length, 0, to)
  for (const [q, name] of [['from=yesterday', 'from'], ['cursor=xx', 'cursor'], ['limit=0', 'limit'], ['limit=1001', 'limit'], ['actor=', 'actor']])
    assert.match(isError(await get(s, `/api/v1/audit?${q}`, { token: admin }), 400, 'VALIDATION_ERROR').json.error.message, new RegExp(name))
})

test('the command says the chain is whole', () => {
  const r = verify()
  assert.equal(r.code, 0, r.err)
  assert.match(r.out, /^audit: \d+ rows, the chain is intact, head [0-9a-f]{64}$/)
  assert.equal(JSON.parse(verify('--json').out).ok, true)
})

test('one row changed: the command and the route name it', async () => {
  const { seq, actor } = (await audit(`?actor=${w.wallet}`)).data.at(-1)
  await tamper("update audit_log set actor = 'nobody' where seq = $1", [seq])
  const r = verify()
  assert.equal(r.code, 1)
  assert.equal(r.out, `audit: row ${seq}: row changed`)
  const a = await audit()
  assert.deepEqual([a.chain_ok, a.chain.bad_seq], [false, seq])
  await tamper('update audit_log set actor = $2 where seq = $1', [seq, actor])
  assert.equal(verify().code, 0)
})

test('one row deleted, at the end and in the middle: named by its number', async () => {
  const rows = (await audit('?limit=1000')).data
  for (const { seq } of [rows[0], rows[2]]) {
    await db.query('create table kept as select * from audit_log where seq = $1', [seq])
    await tamper('delete from audit_log where seq = $1', [seq])
    const j = JSON.parse(verify('--json').out)
    assert.deepEqual([j.ok, j.bad_seq, j.what], [false, seq, 'row missing'])
    assert.equal((await audit()).chain.bad_seq, seq)
    await db.query('insert into audit_log select * from kept; drop table kept')
    assert.equal(verify().code, 0)
  }
})

test('a row put in before the first or after the last is found', async () => {
  for (const at of [0, -7, 1e6]) {
    await db.query(`insert into audit_log select ${at}, at, actor, role, action, target, before, after, request_id, source_ip, prev_hash, hash from audit_log where seq = 1`)
    const j = JSON.parse(verify('--json').out)
    assert.equal(j.ok, false, `row ${at}`)
    if (at < 1) assert.deepEqual([j.bad_seq, j.what], [at, 'row before the first'])
    assert.equal((await audit()).chain_ok, false)
    await tamper('delete from audit_log where seq = $1', [at])
    assert.equal(verify().code, 0)
  }
})

test('nobody but an owner who first takes the guard off changes a row', async () => {
  for (const sql of ["update audit_log set actor='x'", 'delete from audit_log', 'truncate audit_log']) await assert.rejects(db.query(sql), /append-only/)
})

test('usage', () => {
  const bad = spawnSync(`${s.b}/xorj`, ['audit'], { encoding: 'utf8' })
  assert.equal(bad.status, 2)
  assert.match(bad.stderr, /usage: xorj audit verify/)
})

test('db closed', () => db.end())
cleanEnd(() => s)
