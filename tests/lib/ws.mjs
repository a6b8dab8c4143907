// A websocket subscriber on the `ws` package that keeps what it hears.
import WebSocket from 'ws'
import { until } from './stack.mjs'

export class Sub {
  constructor(stack, { token, path = '/api/v1/ws', headers = {} } = {}) {
    this.got = []
    this.code = undefined
    this.status = undefined
    this.ws = new WebSocket(`ws://127.0.0.1:${stack.port}${path}`, {
      headers: { ...(token ? { Authorization: `Bearer ${token}` } : {}), ...headers },
      handshakeTimeout: 5000,
    })
    this.ws.on('message', (d) => this.got.push({ at: performance.now(), ...JSON.parse(d.toString()) }))
    this.ws.on('close', (code) => (this.code = code))
    this.ws.on('unexpected-response', (_, res) => {
      this.status = res.statusCode
      this.code = -1
      res.resume()
    })
    this.ws.on('error', (e) => (this.error = e))
    this.opened = new Promise((r) => {
      this.ws.on('open', () => r(true))
      this.ws.on('close', () => r(false))
      this.ws.on('unexpected-response', () => r(false))
      this.ws.on('error', () => r(false))
    })
  }

  async open() {
    if (!(await this.opened)) throw new Error(`websocket refused: ${this.status ?? this.code ?? this.error}`)
    return this
  }

  send(msg) {
    this.ws.send(typeof msg === 'string' ? msg : JSON.stringify(msg))
  }

  /** The first message for which match is true, already here or still to come. */
  wait(match, ms = 5000, what = 'message') {
    return until(() => this.got.find(match), ms, `${what}; got ${JSON.stringify(this.got.slice(-3)).slice(0, 400)}`, 5)
  }

  async subscribe(channels, extra = {}) {
    this.send({ action: 'subscribe', channels, ...extra })
    return this.wait((m) => m.type === 'subscribed' || m.type === 'error', 5000, 'answer to subscribe')
  }

  closed(ms = 5000) {
    return until(() => this.code !== undefined, ms, 'websocket closed', 5).then(() => this.code)
  }

  close() {
    this.ws.terminate()
  }
}
