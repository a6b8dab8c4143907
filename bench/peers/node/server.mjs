// The peer in Node: fastify with response schemas, pg with named prepared statements, fast-jwt with its cache.
// WORKERS above 1: that many processes on one port, by the cluster module.
import cluster from 'node:cluster'
import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createVerifier } from 'fast-jwt'
import Fastify from 'fastify'
import pg from 'pg'

const WORKERS = Number(process.env.WORKERS || 1)
const FRESH_MS = 15_000
const DAYS = { '1D': 1, '7D': 7, '30D': 30, '90D': 90, ALL: 0 }
const text = (file) => readFileSync(join(process.env.PEER_SQL, file), 'utf8')

const saved = {
  type: 'object',
  properties: { success: { type: 'boolean' }, message: { type: 'string' }, enabled: { type: 'boolean' }, version: { type: 'integer' }, updated_at: { type: 'string' } },
}

async function serve() {
  const db = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: Math.ceil(16 / WORKERS), idleTimeoutMillis: 0 })
  const verify = createVerifier({ key: process.env.JWT_SECRET, algorithms: ['HS256'], allowedAud: 'xorj:wallet', cache: 20_000 })
  const perf = { name: 'perf', text: text('perf.sql'), rowMode: 'array' }
  const toggle = { name: 'toggle', text: text('toggle.sql'), rowMode: 'array' }
  const cache = new Map()
  const app = Fastify({ logger: false })

  app.addHook('onRequest', async (req, reply) => {
    if (req.url === '/health') return
    try {
      req.wallet = verify(req.headers.authorization.slice(7)).wallet_address
    } catch {
      return reply.code(401).send({ success: false, error: 'a token is expected' })
    }
  })

  async function load(wallet, range) {
    const key = wallet + range, hit = cache.get(key)
    if (hit && hit.until > Date.now()) return hit.data
    const data = (await db.query({ ...perf, values: [wallet, DAYS[range], range] })).rows[0][0]
    cache.set(key, { data, until: Date.now() + FRESH_MS })
    return data
  }

  app.get('/health', async () => ({ status: 'ok' }))

  const query = { type: 'object', required: ['walletAddress'], properties: { walletAddress: { type: 'string' }, timeRange: { enum: Object.keys(DAYS), default: '30D' } } }
  app.get('/api/user/performance', { schema: { querystring: query } }, async (req, reply) => {
    const { walletAddress, timeRange } = req.query
    if (walletAddress !== req.wallet) return reply.code(403).send({ success: false, error: "not this token's wallet" })
    const data = await load(walletAddress, timeRange)
    reply.header('content-type', 'application/json').header('cache-control', 'no-store')
    return `{"success":true,"stale":false,"data":${data},"requestId":"${randomUUID()}"}`
  })

  // A POST may come without a body and still say application/json.
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (_req, body, done) => done(null, body ? JSON.parse(body) : {}))
  for (const [name, enabled, message] of [['enable', true, 'Bot enabled'], ['disable', false, 'Bot disabled']])
    app.post(`/api/bot/${name}`, { schema: { response: { 200: saved } } }, async (req, reply) => {
      const [version, updated_at] = (await db.query({ ...toggle, values: [req.wallet, enabled] })).rows[0]
      reply.header('cache-control', 'no-store')
      return { success: true, message, enabled, version: Number(version), updated_at }
    })

  await app.listen({ host: '127.0.0.1', port: Number(process.env.PORT), backlog: 4096 })
}

if (WORKERS > 1 && cluster.isPrimary) {
  for (let i = 0; i < WORKERS; i++) cluster.fork()
  process.on('SIGTERM', () => { for (const w of Object.values(cluster.workers)) w.process.kill(); process.exit(0) })
} else await serve()
