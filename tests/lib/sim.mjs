// A simulator of its own for one test file, with clients that trust only its test authority.
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import https from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import WebSocket from 'ws'
import { buildDir, until } from './stack.mjs'

export const SIM = join(buildDir(process.env.TEST_FLAVOUR || 'asan'), 'xorj-sim')

export class Sim {
  /** args: further command line arguments. The process ends with the test file. */
  static async start(args = [], dir = mkdtempSync(join(tmpdir(), 'xorj-sim-'))) {
    const s = new Sim()
    s.dir = dir
    s.err = ''
    s.p = spawn(SIM, ['--state', dir, ...args], { stdio: ['ignore', 'ignore', 'pipe'] })
    s.p.stderr.setEncoding('utf8').on('data', (d) => (s.err += d))
    s.ended = new Promise((r) => s.p.on('close', (code, sig) => r((s.end = code ?? sig))))
    after(async () => {
      await s.stop()
      rmSync(dir, { recursive: true, force: true })
    })
    await until(() => s.end !== undefined || s.err.includes('venues are simulated'), 15_000, 'simulator listening')
    if (s.end !== undefined) throw new Error(`simulator ended with ${s.end}: ${s.err}`)
    const env = readFileSync(join(dir, 'sim.env'), 'utf8')
    s.url = /^SIM_URL=(.*)$/m.exec(env)[1]
    s.port = Number(/^SIM_TLS_PORT=(.*)$/m.exec(env)[1])
    s.ca = readFileSync(join(dir, 'ca.pem'))
    return s
  }

  async stop(sig = 'SIGTERM') {
    if (this.end === undefined) this.p.kill(sig)
    return this.ended
  }

  async status() {
    return (await fetch(`${this.url}/status`)).json()
  }

  async fault(venue, kind, ms) {
    const r = await fetch(`${this.url}/fault`, { method: 'POST', body: JSON.stringify({ venue, kind, ...(ms === undefined ? {} : { ms }) }) })
    return { status: r.status, json: await r.json() }
  }

  client(path, opts) {
    return new Feed(this, path, opts)
  }

  /** One JSON-RPC POST; body is sent as given when it is text. */
  rpc(body, { timeout = 5000, agent, type = 'application/json' } = {}) {
    const data = typeof body === 'string' ? body : JSON.stringify(body)
    return new Promise((resolve, reject) => {
      const req = https.request(
        { host: '127.0.0.1', port: this.port, path: '/solana', method: 'POST', ca: this.ca, agent, timeout,
          headers: { 'Content-Type': type, 'Content-Length': Buffer.byteLength(data) } },
        (res) => {
          const parts = []
          res.on('data', (d) => parts.push(d)).on('error', reject)
          res.on('end', () => resolve({ status: res.statusCode, text: Buffer.concat(parts).toString() }))
        },
      )
      req.on('timeout', () => req.destroy(new Error('no answer')))
      req.on('error', reject)
      req.end(data)
    })
  }

  async call(method, params) {
    const r = await this.rpc({ jsonrpc: '2.0', id: 7, method, ...(params ? { params } : {}) })
    return JSON.parse(r.text)
  }
}

/** A websocket that keeps what it hears: text as it came, json when it parses. */
export class Feed {
  constructor(sim, path, { send = [] } = {}) {
    this.got = []
    this.pings = 0
    this.pongs = 0
    this.ws = new WebSocket(`wss://127.0.0.1:${sim.port}${path}`, { ca: sim.ca, perMessageDeflate: false, maxPayload: 64 << 20, handshakeTimeout: 4000 })
    this.ws.on('open', () => send.forEach((m) => this.send(m)))
    this.ws.on('message', (d) => {
      const text = d.toString()
      let json
      try {
        json = JSON.parse(text)
      } catch {}
      this.got.push({ at: performance.now(), text, json })
    })
    this.ws.on('ping', () => this.pings++)
    this.ws.on('pong', () => this.pongs++)
    this.ws.on('error', (e) => (this.error = e))
    this.ws.on('close', (code) => (this.code = code))
  }

  send(m) {
    this.ws.send(typeof m === 'string' ? m : JSON.stringify(m))
  }

  json() {
    return this.got.map((m) => m.json)
  }

  wait(match, ms = 5000, what = 'message') {
    return until(() => this.got.find((m) => m.json && match(m.json))?.json, ms, what, 5)
  }

  count(n, ms = 10_000) {
    return until(() => this.got.length >= n, ms, `${n} messages, have ${this.got.length}`, 5)
  }

  closed(ms = 5000) {
    return until(() => this.code !== undefined, ms, 'closed', 5).then(() => this.code)
  }

  close() {
    this.ws.terminate()
  }
}
