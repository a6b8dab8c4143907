// Every answer that a test's client gets is held against the description the program prints of itself. A small judge of
// the JSON Schema words that description uses; contract/schemathesis holds it against a full one.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'

const docs = new Map()

function load(program) {
  if (!docs.has(program)) {
    const r = spawnSync(program, ['openapi'], { encoding: 'utf8', maxBuffer: 16 << 20, env: { PATH: process.env.PATH } })
    const doc = r.status === 0 ? JSON.parse(r.stdout) : null
    docs.set(program, doc && { doc, routes: Object.entries(doc.paths).map(([path, ops]) => ({ ops, re: new RegExp(`^${path.replace(/[.]/g, '\\.').replace(/\{\w+\}/g, '[^/]+')}$`) })) })
  }
  return docs.get(program)
}

const typeOf = (v) => (v === null ? 'null' : Array.isArray(v) ? 'array' : typeof v)
const isType = (v, t) => (t === 'integer' ? Number.isInteger(v) : t === 'number' ? typeof v === 'number' : typeOf(v) === t)
const same = (a, b) => JSON.stringify(a) === JSON.stringify(b)
const FORMATS = { 'date-time': (v) => !Number.isNaN(Date.parse(v)) }

function objectFault(doc, sc, v, at) {
  for (const k of sc.required ?? []) if (!(k in v)) return `${at}.${k} is missing`
  for (const [k, x] of Object.entries(v)) {
    const own = sc.properties?.[k]
    const f = own ? fault(doc, own, x, `${at}.${k}`) : sc.additionalProperties === false ? `${at}.${k} is not described` : typeof sc.additionalProperties === 'object' ? fault(doc, sc.additionalProperties, x, `${at}.${k}`) : ''
    if (f) return f
  }
  return ''
}

/** '' or the first thing about v that the schema does not allow. */
export function fault(doc, sc, v, at = '$') {
  if (sc.$ref) return fault(doc, sc.$ref.slice(2).split('/').reduce((o, k) => o[k], doc), v, at)
  for (const some of ['oneOf', 'anyOf']) {
    if (!sc[some]) continue
    const faults = sc[some].map((s) => fault(doc, s, v, at))
    const fit = faults.filter((f) => !f).length
    if (!fit) return faults.join(' / ')
    if (some === 'oneOf' && fit > 1) return `${at} is of several shapes`
  }
  const types = sc.type && [sc.type].flat()
  if (types && !types.some((t) => isType(v, t))) return `${at} is ${typeOf(v)}, not ${types.join(' or ')}`
  if (sc.enum && !sc.enum.some((e) => same(e, v))) return `${at} is ${JSON.stringify(v)}, none of ${sc.enum.join(', ')}`
  if ('const' in sc && !same(sc.const, v)) return `${at} is ${JSON.stringify(v)}, not ${sc.const}`
  if (typeof v === 'string') {
    if (sc.pattern && !new RegExp(sc.pattern, 'u').test(v)) return `${at} is ${JSON.stringify(v)}, not ${sc.pattern}`
    if (sc.minLength > [...v].length || sc.maxLength < [...v].length) return `${at} has ${v.length} characters`
    if (FORMATS[sc.format] && !FORMATS[sc.format](v)) return `${at} is no ${sc.format}`
  }
  if (typeof v === 'number' && (sc.minimum > v || sc.maximum < v)) return `${at} is ${v}`
  if (Array.isArray(v)) {
    if (sc.minItems > v.length || sc.maxItems < v.length) return `${at} has ${v.length} elements`
    for (let i = 0; sc.items && i < v.length; i++) {
      const f = fault(doc, sc.items, v[i], `${at}[${i}]`)
      if (f) return f
    }
  }
  return typeOf(v) === 'object' ? objectFault(doc, sc, v, at) : ''
}

/** '' or what about this answer is not as described. Stacks whose program cannot say are not judged. */
export function described(stack, method, path, r) {
  const known = stack.b && load(join(stack.b, 'xorj'))
  const op = known && known.routes.find((x) => x.re.test(path.split('?')[0]))?.ops[method.toLowerCase()]
  if (!op) return ''
  const { doc } = known
  let says = op.responses[r.status] ?? ([404, 405, 408, 411, 414, 417, 431, 501, 505].includes(r.status) ? op.responses.default : undefined)
  if (!says) return `status ${r.status} is not described`
  if (says.$ref) says = doc.components.responses[says.$ref.split('/').pop()]
  const type = (r.headers['content-type'] ?? '').split(';')[0]
  if (!says.content) return r.text ? 'an answer without a body is described' : ''
  if (!says.content[type]) return `type ${type || 'none'} is not described`
  return type === 'application/json' ? fault(doc, says.content[type].schema, r.json) : ''
}
