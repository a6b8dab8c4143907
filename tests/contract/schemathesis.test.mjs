// A property-based client reads the served description and tries what it can think of, as each kind of caller: no 5xx, no
// answer outside its shape, nothing accepted that the description forbids, nothing refused that it allows.
// CONTRACT_EXAMPLES=N: requests thought up per operation.
import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { spawn } from 'node:child_process'
import { test } from 'node:test'
import { get, ok } from '../lib/http.mjs'
import { ROOT, cleanEnd, startStack, until } from '../lib/stack.mjs'
import { python, run } from '../lib/tools.mjs'

const tool = python('schemathesis', ['schemathesis==4.32.5', 'openapi-spec-validator==0.9.0'])
const skip = tool.missing || false
const EXAMPLES = process.env.CONTRACT_EXAMPLES || '8'
/* What limits refuse is the matter of wire/limits; here everything must get through. */
const LIMITS = Object.fromEntries(
  ['OPEN_PER_MIN', 'STATUS_PER_MIN', 'OPP_PER_MIN', 'TRADES_PER_MIN', 'CTRL_PER_MIN', 'AUTH_PER_15MIN', 'USER_PER_MIN', 'USER_BURST', 'WS_PER_MIN'].map((k) => [`XORJ_LIMITS_${k}`, '1000000']),
)
Object.assign(LIMITS, { XORJ_AUTH_LOGIN_FAILS_USER: '1000', XORJ_AUTH_LOGIN_FAILS_ADDR: '10000' })
const s = skip ? null : await startStack({ feeds: 'sim', env: LIMITS })
const file = s && join(s.dir, 'openapi.json')
let known = {}

/* These end the caller's own session: tried last, with a session of its own. */
const ENDS = ['/api/auth/logout', '/api/auth/refresh', '/api/v1/auth/logout', '/api/v1/auth/password']

function schemathesis(role, token, more = []) {
  const dir = join(s.dir, `schemathesis-${role}`)
  mkdirSync(dir, { recursive: true })
  const toml = `[checks.positive_data_acceptance]
expected-statuses = ["2xx", "3xx", 401, 403, 404, 409, 412, 422, 426, 429]
[checks.negative_data_rejection]
expected-statuses = ["4xx"]
# A well-formed password may be too weak, which no shape says.
[[operations]]
include-path = "/api/v1/auth/register"
[operations.checks.positive_data_acceptance]
expected-statuses = ["2xx", 400, 401, 403, 409, 422, 429]
`
  writeFileSync(join(dir, 'schemathesis.toml'), toml)
  const args = ['run', file, '--url', s.url, '--max-examples', EXAMPLES, '--seed', '7', '--continue-on-failure', '--no-color', '--warnings', 'off',
                '--phases', 'coverage,fuzzing', '--request-timeout', '10', ...more]
  // With a credential on every request, a case that was to lack its header does not; the run as nobody judges that.
  if (token) args.push('-H', `Authorization: Bearer ${token}`, '--exclude-checks', 'missing_required_header')
  return new Promise((resolve) => {
    const env = { ...process.env, SCHEMATHESIS_HOOKS: 'hooks', PYTHONPATH: join(ROOT, 'tests', 'contract'), CONTRACT_ROLE: role, CONTRACT_KNOWN: JSON.stringify(known),
                  PYTHONDONTWRITEBYTECODE: '1' }
    const p = spawn(join(tool.dir, 'bin', 'schemathesis'), args, { cwd: dir, env, stdio: ['ignore', 'pipe', 'pipe'] })
    let out = ''
    p.stdout.on('data', (d) => (out += d))
    p.stderr.on('data', (d) => (out += d))
    p.on('close', (code) => resolve({ code, out }))
  })
}

function clean(r) {
  assert.match(r.out, /SUMMARY/, r.out)
  const from = r.out.indexOf('FAILURES')
  assert.equal(r.code, 0, r.out.slice(from < 0 ? 0 : from))
}

const without = (paths) => paths.flatMap((p) => ['--exclude-path', p])
const only = (paths) => paths.flatMap((p) => ['--include-path', p])

test('the description is valid OpenAPI 3.1', { skip }, async () => {
  const doc = ok(await get(s, '/api/openapi.json'))
  writeFileSync(file, JSON.stringify(doc))
  const r = run(join(tool.dir, 'bin', 'python'), ['-m', 'openapi_spec_validator', file])
  assert.equal(r.code, 0, r.out)
})

test('as nobody', { skip }, async () => clean(await schemathesis('public')))

test('as a wallet', { skip }, async () => {
  const [w] = await s.wallets(1)
  known = { walletAddress: w.wallet }
  clean(await schemathesis('wallet', w.token, without(ENDS)))
})

// The two roles between see the same routes as the two ends: `make contract` tries them too.
for (const role of process.env.CONTRACT_ALL ? ['viewer', 'operator', 'admin'] : ['admin'])
  test(`as ${role}`, { skip }, async () => {
    const token = await s.role(role)
    const list = await until(async () => {
      const r = ok(await get(s, '/api/v1/opportunities?limit=1', { token: await s.role('viewer') }))
      return r.data.length && r.data
    }, 30_000, 'an opportunity', 500)
    known = { ...known, id: list[0].id, venue: 'coinbase', market: 'SOL-USD' }
    clean(await schemathesis(role, token, without(ENDS)))
  })

test('what ends a session', { skip }, async () => {
  const doc = ok(await get(s, '/api/openapi.json'))
  const there = ENDS.filter((p) => doc.paths[p])
  if (!there.length) return
  const [w] = await s.wallets(1)
  clean(await schemathesis('wallet', w.token, only(there)))
})

if (!skip) cleanEnd(() => s)
