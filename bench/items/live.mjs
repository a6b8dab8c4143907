// P8, P11, P12: the turn of the loop under everything at once, and what subscribers wait for.
import { cpuNs, gained, load, median, metrics, nginxFront, sleep, stop, subscribers, tokensFile, which } from '../lib/common.mjs'
import { MIX, slim } from './http.mjs'

const at = (sorted, q) => sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))]

const ms = (s) => (s === Infinity ? 'over 10 s' : `${s * 1e3} ms`)
const viewers = (ctx) => tokensFile('viewer.txt', [{ wallet: 'viewer', token: ctx.viewer }])

/** The gate, feeds and 1,000 subscribers at once. */
export async function p8(ctx) {
  const seconds = Math.max(5, ctx.seconds * 5), { stack } = ctx
  const subs = subscribers(ctx.to, ['--conns', 1000, '--tokens', viewers(ctx), '--say', '{"action":"subscribe","channels":["opportunities","status"]}'])
  await subs.ready
  const front = which('nginx') ? await nginxFront(stack) : null
  const before = await metrics(stack.url)
  const r = await load(front?.to ?? ctx.to, ['--conns', 100, '--think', '500-1500', '--seconds', seconds, '--tokens', ctx.tokens, ...MIX])
  const turns = gained(before, await metrics(stack.url), 'xorj_loop_turn_seconds'), heard = await subs.end()
  if (front) await stop(front.child)
  const over = turns.total - turns.under(0.01), p999 = turns.quantile(0.999)
  return [{ id: 'P8', what: `turn of the loop under the gate, feeds and 1,000 subscribers, ${seconds} s, ${heard.messages} messages`, ours: `p99.9 at most ${ms(p999)}, ${over} of ${turns.total} over 10 ms`, peer: '-', ratio: null, target: '< 5 ms, never over 10', ok: p999 <= 0.005 && over === 0 && !r.errors && !heard.closed, errors: r.errors, turns: turns.buckets.map((b) => [b.le, b.n]), rounds: slim({ xorj: [r] }) }]
}

/** A frame received to the socket of one subscriber, who reads the clock when it has the message: the kernel and its own
 *  waking are in the figure, so in process it is less. */
export async function p11(ctx) {
  const seconds = Math.max(5, ctx.seconds * 7), { stack } = ctx
  const one = subscribers(ctx.to, ['--conns', 1, '--tokens', viewers(ctx), '--say', '{"action":"subscribe","channels":["opportunities"]}'])
  await one.ready
  const before = await metrics(stack.url)
  await sleep(seconds * 1000)
  const after = await metrics(stack.url), delays = (await one.end()).delays_us.sort((a, b) => a - b)
  const detect = gained(before, after, 'xorj_detect_receive_seconds'), fan = gained(before, after, 'xorj_ws_fanout_seconds')
  if (!delays.length) return [{ id: 'P11', missing: `no opportunity came in ${seconds} s` }]
  return [{ id: 'P11', what: `frame received to the reading subscriber, ${delays.length} messages; by the server's own clocks detected p99 at most ${ms(detect.quantile(0.99))}, publication to socket p50 at most ${ms(fan.quantile(0.5))}`, ours: `p50 ${at(delays, 0.5)} us p99 ${at(delays, 0.99)} us`, peer: '-', ratio: null, target: '< 50 us / 1 ms', ok: at(delays, 0.5) < 50 && at(delays, 0.99) < 1000, errors: 0, delays_us: delays, detect: detect.buckets.map((b) => [b.le, b.n]), fanout: fan.buckets.map((b) => [b.le, b.n]) }]
}

const cpuPerSecond = async (pid, seconds) => { const c = cpuNs(pid); await sleep(seconds * 1000); return (cpuNs(pid) - c) / seconds }

/** Opportunities to n subscribers, until eight were published: from publication to the last socket by the server's clock,
 *  from the first subscriber to the last by theirs, and the CPU of the server beyond what it uses without subscribers. */
export async function fanout(ctx, n) {
  const { stack } = ctx, MESSAGES = 8, published = (m) => m.get('xorj_ws_published_total') ?? 0
  ctx.quiet ??= await cpuPerSecond(stack.pid, 3)
  const subs = subscribers(ctx.to, ['--conns', n, '--tokens', viewers(ctx), '--say', '{"action":"subscribe","channels":["opportunities"]}'])
  await subs.ready
  const ready = Number(process.hrtime.bigint())
  await sleep(500)
  const before = await metrics(stack.url), t0 = performance.now(), cpu = cpuNs(stack.pid)
  let after = before
  while (published(after) - published(before) < MESSAGES && performance.now() - t0 < 25_000) {
    await sleep(250)
    after = await metrics(stack.url)
  }
  const last = Number(process.hrtime.bigint())
  await sleep(1000 + n / 10) // what was published until now reaches everybody
  const used = cpuNs(stack.pid) - cpu - (ctx.quiet * (performance.now() - t0)) / 1e3
  const fan = gained(before, await metrics(stack.url), 'xorj_ws_fanout_seconds'), heard = await subs.end()
  const told = heard.fanouts.filter(([c, , , first]) => c === 'opportunities' && first > ready)
  const all = told.filter(([, , , first]) => first < last), got = all.filter(([, , k]) => k === n)
  if (!got.length) throw new Error(all.length ? `none of ${all.length} messages reached all ${n} subscribers` : 'no opportunity came in 25 s')
  return { n, messages: all.length, complete: got.length, closed: heard.closed, published_to_last_ms: fan.mean * 1e3, at_most_ms: fan.quantile(1) * 1e3, first_to_last_ms: median(got.map(([, , , a, z]) => (z - a) / 1e6)), cpu_us: used / 1e3 / told.length / n }
}

export async function p12(ctx) {
  const out = [await fanout(ctx, 1000), await fanout(ctx, 10000)]
  const [a, b] = out, whole = out.every((r) => r.complete === r.messages && !r.closed)
  const ok = whole && a.published_to_last_ms < 10 && b.published_to_last_ms < 120 && a.cpu_us <= 5 && b.cpu_us <= 5
  const said = (r) => `${r.published_to_last_ms.toFixed(1)} ms ${r.cpu_us.toFixed(2)} us`
  ctx.fanouts = out
  return [{ id: 'P12', what: `one opportunity to 1,000 / 10,000 subscribers${whole ? '' : ' (not every one was heard by all)'}: publication to the last socket, CPU of the server each`, ours: `${said(a)} / ${said(b)}`, peer: '-', ratio: null, target: '< 10 / 120 ms, <= 5 us', ok, errors: 0, rounds: out }]
}
