// The desk: 50 users, 4 requests each (status, opportunities, trades, metrics), once a minute, which is what the limits
// of one operator allow. load.mjs says in PATHS where each of the four lives in this version.
import { sleep } from 'k6'
import { BASE, SECONDS, VIEWER, get, summary, wallets } from './lib.js'

const PATHS = JSON.parse(__ENV.PATHS)
const ROUNDS = Math.max(1, Math.floor(SECONDS / 61))

export const options = {
  ...BASE,
  scenarios: { desk: { executor: 'per-vu-iterations', vus: 50, iterations: ROUNDS, maxDuration: `${ROUNDS * 61 + 30}s`, gracefulStop: '5s' } },
  thresholds: Object.fromEntries([['errors', ['rate==0']], ...Object.keys(PATHS).map((p) => [`http_req_duration{name:${p}}`, ['p(95)<200']])]),
}

export default function () {
  for (const [what, path] of Object.entries(PATHS)) get(what, path, path.startsWith('/api/bot') ? wallets[__VU - 1].token : VIEWER)
  if (__ITER + 1 < ROUNDS) sleep(61)
}

export const handleSummary = summary
