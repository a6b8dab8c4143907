// A program on a client whose types are generated from the served description: compiled strictly, then run.
import createClient from 'openapi-fetch'
import type { paths } from './api'

const [url, walletToken, viewerToken] = process.argv.slice(2) as [string, string, string]
const open = createClient<paths>({ baseUrl: url })
const wallet = createClient<paths>({ baseUrl: url, headers: { Authorization: `Bearer ${walletToken}` } })
const viewer = createClient<paths>({ baseUrl: url, headers: { Authorization: `Bearer ${viewerToken}` } })

function must<T>(r: { data?: T; error?: unknown; response: Response }): T {
  if (r.data === undefined) throw new Error(`${r.response.status}: ${JSON.stringify(r.error)}`)
  return r.data
}

const health = must(await open.GET('/health'))
const word: 'ok' = health.status

const on = must(await wallet.POST('/api/bot/enable', { body: {} }))
const state = must(await wallet.GET('/api/bot/status'))
const status: 'active' | 'stopped' | 'paused' = state.status
if (!on.enabled || !state.enabled || state.version !== on.version) throw new Error('the bot is not on')

const perf = must(await wallet.GET('/api/user/performance', { params: { query: { timeRange: '7D' } } }))
const value: number | null = perf.data.currentVaultValueUSD
const exact: string | null = perf.data.currentVaultValueUSD_str

const page = must(await viewer.GET('/api/v1/opportunities', { params: { query: { limit: 5 } } }))
const directions: ('CEX_TO_DEX' | 'DEX_TO_CEX')[] = page.data.map((o) => o.direction)

const refused = await open.GET('/api/bot/status')
if (!refused.error || refused.error.error.code !== 'AUTHENTICATION_ERROR') throw new Error('a stranger was let in')

console.log(JSON.stringify({ word, status, value, exact, rows: directions.length, cursor: page.pagination.next_cursor }))
