// The hot row: the gate's 100 users, all with one wallet and one token. The limit per principal is raised by
// configuration for this profile, and the report says so.
import { sleep } from 'k6'
import { BASE, CONTRACT, mixed, ramp, summary, thinkTime } from './lib.js'

export const options = {
  ...BASE,
  scenarios: { hot: { executor: 'ramping-vus', startVUs: 0, stages: ramp(Number(__ENV.USERS || 100)), gracefulRampDown: '5s', gracefulStop: '5s' } },
  thresholds: CONTRACT,
}

export default function () {
  mixed(0)
  sleep(thinkTime())
}

export const handleSummary = summary
