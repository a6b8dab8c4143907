// HTTP as clients speak it: a plain one on node's own client, and a raw one that sends exactly the bytes it is given.
import http from 'node:http'
import net from 'node:net'
import assert from 'node:assert/strict'
import { described } from './contract.mjs'

const agents = new Map()
function agentOf(port) {
  if (!agents.has(port)) agents.set(port, new http.Agent({ keepAlive: true, maxSockets: 64 }))
  return agents.get(port)
}

/** One request. Never throws for a status; a lost connection rejects, and so does an answer outside its description. */
export function request(stack, method, path, { token, body, headers = {}, agent, timeout = 10_000, port = stack.port, contract = true } = {}) {
  return new Promise((resolve, reject) => {
    const h = { ...headers }
    if (token) h.Authorization = `Bearer ${token}`
    let data
    if (body !== undefined) {
      data = typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body)
      if (!('Content-Type' in h)) h['Content-Type'] = 'application/json'
      if (h['Content-Type'] === null) delete h['Content-Type']
      h['Content-Length'] = Buffer.byteLength(data)
    } else if (method !== 'GET' && method !== 'HEAD') {
      h['Content-Length'] = 0
    }
    const t0 = performance.now()
    const req = http.request({ host: '127.0.0.1', port, method, path, headers: h, agent: agent ?? agentOf(port), timeout }, (res) => {
      const parts = []
      res.on('data', (d) => parts.push(d))
      res.on('error', reject)
      res.on('end', () => {
        const text = Buffer.concat(parts).toString('utf8')
        let json
        try {
          json = text ? JSON.parse(text) : undefined
        } catch {
          json = undefined
        }
        const r = { status: res.statusCode, headers: res.headers, text, json, ms: performance.now() - t0 }
        const fault = contract ? described(stack, method, path, r) : ''
        if (fault) reject(new Error(`not as /api/openapi.json says: ${method} ${path}: ${fault}\n${text.slice(0, 500)}`))
        else resolve(r)
      })
    })
    req.on('timeout', () => req.destroy(new Error(`no answer within ${timeout} ms: ${method} ${path}`)))
    req.on('error', reject)
    req.end(data)
  })
}
export const get = (stack, path, opts) => request(stack, 'GET', path, opts)
export const post = (stack, path, opts) => request(stack, 'POST', path, opts)

/** Sends bytes as they are; gives everything that came until the server closed or was quiet for a while. */
export function raw(port, bytes, { idle = 400, max = 15_000, chunks } = {}) {
  return new Promise((resolve) => {
    const parts = []
    let closed = false
    let timer
    const sock = net.connect(port, '127.0.0.1')
    const end = () => {
      clearTimeout(timer)
      clearTimeout(hard)
      sock.destroy()
      resolve({ text: Buffer.concat(parts).toString('latin1'), closed })
    }
    const hard = setTimeout(end, max)
    const arm = () => {
      clearTimeout(timer)
      timer = setTimeout(end, idle)
    }
    sock.on('connect', async () => {
      for (const b of chunks || [bytes]) {
        sock.write(b)
        if (chunks) await new Promise((r) => setTimeout(r, 20))
      }
      arm()
    })
    sock.on('data', (d) => {
      parts.push(d)
      arm()
    })
    sock.on('error', () => {})
    sock.on('close', () => {
      closed = true
      end()
    })
  })
}

/** The answers in a raw text, split by their Content-Length. */
export function answers(text) {
  const out = []
  let at = 0
  while (at < text.length) {
    const m = /^HTTP\/1\.[01] (\d{3})[^\r\n]*\r\n/.exec(text.slice(at))
    if (!m) break
    const headEnd = text.indexOf('\r\n\r\n', at)
    if (headEnd < 0) break
    const head = text.slice(at, headEnd)
    const len = Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0)
    out.push({ status: Number(m[1]), head, body: text.slice(headEnd + 4, headEnd + 4 + len), length: len })
    at = headEnd + 4 + len
  }
  return out
}

/** The one error shape. */
export function isError(r, status, code) {
  assert.equal(r.status, status, `status; body: ${r.text?.slice(0, 300)}`)
  assert.match(r.headers['content-type'] ?? '', /^application\/json/)
  assert.equal(Number(r.headers['content-length']), Buffer.byteLength(r.text), 'exact Content-Length')
  assert.equal(r.json?.success, false)
  assert.deepEqual(
    Object.keys(r.json).filter((k) => !['success', 'error', 'request_id'].includes(k)),
    [],
    'nothing beside success, error, request_id',
  )
  assert.equal(typeof r.json.error.message, 'string')
  assert.equal(typeof r.json.request_id, 'string')
  if (code) assert.equal(r.json.error.code, code)
  assert.doesNotMatch(r.text, /select |insert |\.c:\d|libpq|\/home\/|postgres/i, 'no internals')
  return r
}

export function ok(r, status = 200) {
  assert.equal(r.status, status, `status; body: ${r.text?.slice(0, 300)}`)
  assert.match(r.headers['content-type'] ?? '', /^application\/json/)
  return r.json
}
