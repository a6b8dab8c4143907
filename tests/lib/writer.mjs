// A client that toggles bots and keeps notes (see judge.mjs). Ends when its stdin closes.
//   node writer.mjs URL wallets.json notes PAUSE_MS
import http from 'node:http'
import { openSync, readFileSync, writeSync } from 'node:fs'

const [, , url, walletsFile, notesFile, pause] = process.argv
const wallets = JSON.parse(readFileSync(walletsFile, 'utf8'))
const notes = openSync(notesFile, 'a')
const { port } = new URL(url)
const agent = new http.Agent({ keepAlive: true, maxSockets: wallets.length })
let stop = false
process.stdin.on('end', () => (stop = true)).on('error', () => (stop = true)).resume()
const note = (...f) => writeSync(notes, `${f.join(' ')}\n`)
const sleep = (ms) => new Promise((r) => setTimeout(r, ms))

function send(w, enabled, id) {
  return new Promise((resolve) => {
    const req = http.request(
      { host: '127.0.0.1', port, agent, method: 'POST', path: `/api/bot/${enabled ? 'enable' : 'disable'}`, timeout: 8000, headers: { Authorization: `Bearer ${w.token}`, 'X-Request-ID': id, 'Content-Length': 0 } },
      (res) => {
        let text = ''
        res.setEncoding('utf8').on('data', (d) => (text += d))
        res.on('error', () => resolve({ lost: true }))
        res.on('close', () => {
          if (!res.complete) return resolve({ lost: true })
          try {
            resolve({ status: res.statusCode, json: JSON.parse(text) })
          } catch {
            resolve({ status: 599 })
          }
        })
      },
    )
    req.on('timeout', () => req.destroy())
    req.on('error', () => resolve({ lost: true }))
    req.end()
  })
}

async function one(w, k) {
  for (let i = 0; !stop; i++) {
    const enabled = (i * 7 + k) % 3 !== 0
    const id = `w${k}-t${i}`
    note('T', w.wallet, id, enabled ? 1 : 0)
    const r = await send(w, enabled, id)
    if (r.lost) note('U', w.wallet, id)
    else if (r.status === 200) note('A', w.wallet, id, r.json.version, r.json.enabled ? 1 : 0)
    else note('F', w.wallet, id, r.status)
    if (r.status !== 200) await sleep(20)
    else if (Number(pause) > 0) await sleep(Number(pause))
  }
}

await Promise.all(wallets.map((w, k) => one(w, k)))
process.exit(0)
