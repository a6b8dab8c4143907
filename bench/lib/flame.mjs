// `perf script` text to a flame graph as one SVG, and to the share each function has for itself.
const W = 1200, ROW = 16, TOP = 30, MIN = 0.3 // narrower boxes (pixels) are left out
const esc = (s) => s.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/"/g, '&quot;')

/** Stacks, root first, with their counts. */
export function fold(text) {
  const stacks = new Map()
  let frames = null
  for (const line of `${text}\n`.split('\n')) {
    const m = /^\s+[0-9a-f]+ (.+?)(?:\+0x[0-9a-f]+)? \((.*)\)$/.exec(line)
    if (m) (frames ??= []).push(m[1] === '[unknown]' ? `[${m[2].split('/').pop()}]` : m[1])
    else if (!line.trim() && frames) {
      const key = frames.reverse().join(';')
      stacks.set(key, (stacks.get(key) ?? 0) + 1)
      frames = null
    }
  }
  return stacks
}

/** [[function, share]...] by what it does itself, largest first. */
export function selves(stacks) {
  const own = new Map()
  let all = 0
  for (const [key, n] of stacks) {
    const leaf = key.slice(key.lastIndexOf(';') + 1)
    own.set(leaf, (own.get(leaf) ?? 0) + n)
    all += n
  }
  return [...own].map(([f, n]) => [f, n / all]).sort((a, b) => b[1] - a[1])
}

function tree(stacks) {
  const root = { name: 'all', n: 0, kids: new Map() }
  for (const [key, n] of stacks) {
    let at = root
    root.n += n
    for (const name of key.split(';')) {
      if (!at.kids.has(name)) at.kids.set(name, { name, n: 0, kids: new Map() })
      at = at.kids.get(name)
      at.n += n
    }
  }
  return root
}

const hue = (name) => { let h = 7; for (const c of name) h = (h * 31 + c.charCodeAt(0)) % 360; return 15 + (h % 40) }

export function svg(stacks, title) {
  const root = tree(stacks), boxes = []
  let depth = 0
  const walk = (node, x, level) => {
    const w = (node.n / root.n) * W
    if (w < MIN) return
    depth = Math.max(depth, level)
    boxes.push({ node, x, w, level })
    for (const kid of [...node.kids.values()].sort((a, b) => (a.name < b.name ? -1 : 1))) {
      walk(kid, x, level + 1)
      x += (kid.n / root.n) * W
    }
  }
  walk(root, 0, 0)
  const H = TOP + (depth + 1) * ROW + 6
  const draw = ({ node, x, w, level }) => {
    const y = H - 6 - (level + 1) * ROW, room = Math.floor((w - 6) / 6.2)
    const text = room > 2 ? `<text x="${(x + 3).toFixed(1)}" y="${y + 11.5}">${esc(node.name.length > room ? `${node.name.slice(0, room - 1)}~` : node.name)}</text>` : ''
    return `<g><title>${esc(node.name)}: ${((100 * node.n) / root.n).toFixed(2)} %</title><rect x="${x.toFixed(1)}" y="${y}" width="${Math.max(0.4, w - 0.4).toFixed(1)}" height="${ROW - 1}" fill="hsl(${hue(node.name)} 75% 66%)"/>${text}</g>`
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${W} ${H}" width="${W}" height="${H}">
<style>svg{background:#fff}text{font:10.5px ui-monospace,monospace;fill:#222}.t{font:600 13px system-ui,sans-serif}</style>
<text x="6" y="18" class="t">${esc(title)}</text>
${boxes.map(draw).join('\n')}
</svg>
`
}
