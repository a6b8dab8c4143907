// Small multiples as one SVG: a panel per quantity, the number of connections along the bottom in powers of ten.
const W = 230, H = 150, L = 46, T = 34, PAD = 16
const esc = (s) => String(s).replace(/&/g, '&amp;').replace(/</g, '&lt;')
const short = (v) => (v === null ? '-' : v >= 100 ? v.toFixed(0) : v >= 10 ? v.toFixed(1) : v.toFixed(2))

function panel(xs, { name, values }, at) {
  const top = Math.max(...values.filter((v) => v !== null), 1e-9) * 1.15
  const x = (v) => L + ((Math.log10(v) - Math.log10(xs[0])) / (Math.log10(xs.at(-1)) - Math.log10(xs[0]))) * (W - L - PAD)
  const y = (v) => H - 24 - (v / top) * (H - 24 - T)
  const dots = values.map((v, i) => [xs[i], v]).filter(([, v]) => v !== null)
  const ticks = xs.map((v) => `<text x="${x(v)}" y="${H - 8}" text-anchor="middle">${v.toLocaleString('en')}</text>`).join('')
  const lines = [0, 0.5, 1].map((f) => `<line x1="${L}" x2="${W - PAD}" y1="${y(f * top / 1.15)}" y2="${y(f * top / 1.15)}" class="g"/><text x="${L - 5}" y="${y(f * top / 1.15) + 3}" text-anchor="end">${short(f * top / 1.15)}</text>`).join('')
  const marks = dots.map(([a, b]) => `<circle cx="${x(a).toFixed(1)}" cy="${y(b).toFixed(1)}" r="3"/><text x="${x(a).toFixed(1)}" y="${(y(b) - 7).toFixed(1)}" text-anchor="middle" class="v">${short(b)}</text>`).join('')
  return `<g transform="translate(${at} 30)"><text x="${L}" y="14" class="h">${esc(name)}</text>${lines}${ticks}<polyline points="${dots.map(([a, b]) => `${x(a).toFixed(1)},${y(b).toFixed(1)}`).join(' ')}"/>${marks}</g>`
}

export function plot(title, xs, series) {
  const width = series.length * W
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${H + 34}" width="${width}" height="${H + 34}" role="img" aria-label="${esc(title)}">
<style>svg{background:#fff}text{font:10px system-ui,sans-serif;fill:#555}.h{font-size:11px;font-weight:600;fill:#222}.t{font-size:13px;font-weight:600;fill:#111}.v{fill:#1b5e8c}.g{stroke:#e4e4e4}polyline{fill:none;stroke:#1b5e8c;stroke-width:1.6}circle{fill:#1b5e8c}</style>
<text x="10" y="18" class="t">${esc(title)}</text>
${series.map((s, i) => panel(xs, s, i * W)).join('\n')}
</svg>
`
}
