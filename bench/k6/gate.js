// The gate: 100 users with wallets and tokens of their own, each waiting for its answer and thinking before the next.
import exec from 'k6/execution'
import { sleep } from 'k6'
import { BASE, CONTRACT, mixed, ramp, summary, thinkTime, wallets } from './lib.js'

const USERS = Number(__ENV.USERS || 100)

export const options = {
  ...BASE,
  scenarios: { gate: { executor: 'ramping-vus', startVUs: 0, stages: ramp(USERS), gracefulRampDown: '5s', gracefulStop: '5s' } },
  thresholds: CONTRACT,
}

export default function () {
  mixed((exec.vu.idInTest - 1) % wallets.length)
  sleep(thinkTime())
}

export const handleSummary = summary
