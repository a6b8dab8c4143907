// Shared by the profiles. bench/load.mjs starts them and sets: URL, TOKENS (a file of xorj token), VIEWER, DURATION
// (seconds of the whole run), SUMMARY (where the summary goes). Each answer is one line on the log,
//   R <what> <ms> <status> [<wallet's index> <version> <enabled>]
// from which load.mjs makes the histogram, the progress and the list of acknowledged toggles.
import http from 'k6/http'
import { check } from 'k6'
import { Rate } from 'k6/metrics'
import { SharedArray } from 'k6/data'

export const URL = __ENV.URL
export const SECONDS = Number(__ENV.DURATION)
export const VIEWER = __ENV.VIEWER
export const wallets = new SharedArray('wallets', () => JSON.parse(open(__ENV.TOKENS)))
export const errors = new Rate('errors')

// The contract of the platform. What XORJ itself wants to reach is tighter and judged by load.mjs.
export const CONTRACT = {
  http_req_duration: ['p(95)<200', 'p(99)<500'],
  errors: ['rate<0.001'],
}

export const BASE = {
  summaryTrendStats: ['min', 'med', 'avg', 'p(90)', 'p(95)', 'p(99)', 'p(99.9)', 'max', 'count'],
  systemTags: ['status', 'name', 'scenario'],
}

const bearer = (token, name) => ({ headers: { Authorization: `Bearer ${token}` }, tags: { name }, timeout: '10s' })

function note(what, res, good, more = '') {
  errors.add(!good)
  check(res, { [what]: () => good })
  console.log(`R ${what} ${res.timings.duration.toFixed(3)} ${res.status}${more}`)
  return good
}

export function get(what, path, token) {
  const res = http.get(`${URL}${path}`, bearer(token, what))
  return note(what, res, res.status === 200)
}

export function performance(i) {
  const w = wallets[i]
  const res = http.get(`${URL}/api/user/performance?walletAddress=${w.wallet}&timeRange=30D`, bearer(w.token, 'performance'))
  return note('performance', res, res.status === 200 && res.body.startsWith('{"success":true'))
}

export function toggle(i) {
  const on = Math.random() < 0.5
  const res = http.post(`${URL}/api/bot/${on ? 'enable' : 'disable'}`, null, bearer(wallets[i].token, on ? 'enable' : 'disable'))
  let ack = null
  try { ack = res.status === 200 ? res.json() : null } catch (e) { ack = null }
  const good = ack !== null && ack.success === true && ack.enabled === on && ack.version > 0
  return note(on ? 'enable' : 'disable', res, good, good ? ` ${i} ${ack.version} ${on ? 1 : 0}` : ` ${i}`)
}

/** 80 % reads, 20 % toggles. */
export const mixed = (i) => (Math.random() < 0.8 ? performance(i) : toggle(i))

/** 0.5 to 1.5 s. */
export const thinkTime = () => 0.5 + Math.random()

/** Ramp, hold and end in the proportion 2 : 10 : 1; 780 s give the gate of 13 minutes. */
export function ramp(users) {
  const s = (part) => `${Math.max(1, Math.round((SECONDS * part * 1000) / 13))}ms`
  return [{ duration: s(2), target: users }, { duration: s(10), target: users }, { duration: s(1), target: 0 }]
}

export function summary(data) {
  return { [__ENV.SUMMARY]: JSON.stringify(data) }
}
