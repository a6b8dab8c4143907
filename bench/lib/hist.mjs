// Latencies in microseconds, log-linear: 64 steps per power of two (1.6 %), as bench/lat.c counts them.
const SUB = 64

export class Hist {
  constructor() {
    this.count = new Map()
    this.n = 0
    this.max = 0
  }

  add(us) {
    const v = Math.max(0, Math.round(us))
    const e = v < SUB ? 0 : Math.floor(Math.log2(v)) - 6
    const top = v < SUB ? v : (Math.floor(v / 2 ** e) + 1) * 2 ** e - 1
    this.count.set(top, (this.count.get(top) ?? 0) + 1)
    this.n++
    if (us > this.max) this.max = us
  }

  static of(buckets) {
    const h = new Hist()
    for (const [top, n] of buckets) {
      h.count.set(top, n)
      h.n += n
      h.max = Math.max(h.max, top)
    }
    return h
  }

  /** Upper edge of the step that holds the quantile. */
  at(q) {
    let n = 0
    for (const [top, c] of this.rows()) if ((n += c) > q * this.n || n === this.n) return Math.min(top, Math.max(this.max, 1))
    return 0
  }

  rows() { return [...this.count].sort((a, b) => a[0] - b[0]) }

  json() {
    const ms = (q) => this.at(q) / 1e3
    return {
      p50_ms: ms(0.5), p90_ms: ms(0.9), p95_ms: ms(0.95), p99_ms: ms(0.99), p999_ms: ms(0.999), max_ms: this.max / 1e3,
      histogram: { unit: 'us', what: 'upper edge and count of each step, 64 steps per power of two', steps: this.rows() },
    }
  }
}
