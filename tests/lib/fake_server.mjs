// A server that the judge must see through. MODE honest: stores, then answers. early: answers, then stores.
// double: stores twice. forget: answers and never stores. Its "database" is a file of lines.
//   node fake_server.mjs MODE FILE
import http from 'node:http'
import { appendFileSync } from 'node:fs'

const [, , mode, file] = process.argv
const state = new Map()
const sleep = (ms) => new Promise((r) => setTimeout(r, ms))

const server = http.createServer(async (req, res) => {
  const wallet = req.headers.authorization.slice('Bearer '.length)
  const enabled = req.url.endsWith('/enable')
  const version = (state.get(wallet) ?? 0) + 1
  state.set(wallet, version)
  const store = () => appendFileSync(file, `${JSON.stringify({ wallet, id: req.headers['x-request-id'], version, enabled })}\n`)
  const answer = () => res.setHeader('Content-Type', 'application/json').end(JSON.stringify({ success: true, enabled, version }))
  if (mode === 'early') {
    answer()
    await sleep(15)
    store()
  } else if (mode === 'forget' && version % 5 === 0) {
    answer()
  } else {
    await sleep(1)
    store()
    if (mode === 'double' && version % 5 === 0) store()
    answer()
  }
})
server.listen(0, '127.0.0.1', () => console.log(server.address().port))
