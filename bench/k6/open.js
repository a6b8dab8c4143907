// Open model: requests start at a constant rate whether or not the ones before were answered, over so many wallets that
// none reaches its limit. An arrival without a free user is a dropped iteration, and none may be dropped.
import exec from 'k6/execution'
import { BASE, CONTRACT, SECONDS, mixed, summary, wallets } from './lib.js'

const RATE = Number(__ENV.RATE || 1000)

export const options = {
  ...BASE,
  scenarios: { open: { executor: 'constant-arrival-rate', rate: RATE, timeUnit: '1s', duration: `${SECONDS}s`, preAllocatedVUs: 100, maxVUs: 400, gracefulStop: '5s' } },
  thresholds: { ...CONTRACT, dropped_iterations: ['count==0'] },
}

export default function () {
  mixed(exec.scenario.iterationInTest % wallets.length)
}

export const handleSummary = summary
