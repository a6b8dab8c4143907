// Subscribers beside the load: SUBS sockets, each with a wallet of its own on the channels bot and status, and five with
// the viewer's token on opportunities (the limit of one principal). A socket that closes early is an error.
import { WebSocket } from 'k6/websockets'
import { setTimeout } from 'k6/timers'
import { Counter } from 'k6/metrics'
import { BASE, SECONDS, URL, VIEWER, summary, wallets } from './lib.js'

const SUBS = Number(__ENV.SUBS || 1000)
const USERS = Math.min(20, SUBS)
const opened = new Counter('ws_opened'), early = new Counter('ws_closed_early'), messages = new Counter('ws_messages'), opps = new Counter('ws_opportunities')

export const options = {
  ...BASE,
  scenarios: { subscribers: { executor: 'per-vu-iterations', vus: USERS, iterations: 1, maxDuration: `${SECONDS + 60}s`, gracefulStop: '10s' } },
  thresholds: { ws_opened: [`count==${SUBS}`], ws_closed_early: ['count==0'] },
}

function socket(token, channels) {
  const ws = new WebSocket(`${URL.replace('http', 'ws')}/api/v1/ws`, null, { headers: { Authorization: `Bearer ${token}` }, tags: { name: 'ws' } })
  let over = false
  ws.onopen = () => ws.send(JSON.stringify({ action: 'subscribe', channels }))
  ws.onmessage = (m) => {
    messages.add(1)
    if (m.data.startsWith('{"type":"subscribed"')) {
      opened.add(1)
      console.log('S open')
    } else if (m.data.startsWith('{"channel":"opportunities"')) opps.add(1)
  }
  ws.onclose = () => {
    if (over) return
    early.add(1)
    console.log('S early')
  }
  ws.onerror = () => {}
  setTimeout(() => {
    over = true
    ws.close()
  }, SECONDS * 1000)
}

export default function () {
  early.add(0)
  for (let i = __VU - 1; i < SUBS; i += USERS) {
    if (i < 5) socket(VIEWER, ['opportunities', 'status', 'connectors'])
    else socket(wallets[i % wallets.length].token, ['bot', 'status'])
  }
}

export const handleSummary = summary
