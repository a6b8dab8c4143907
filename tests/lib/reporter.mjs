// node:test events as one JSON line per finished test, for tests/run.mjs.
export default async function* reporter(source) {
  for await (const e of source) {
    if (e.type !== 'test:pass' && e.type !== 'test:fail') continue
    const d = e.data
    if (d.details?.type === 'suite' || d.nesting > 0) continue
    const err = d.details?.error
    const cause = err?.cause ?? err
    yield JSON.stringify({
      t: 'result',
      ok: e.type === 'test:pass',
      skip: d.skip === undefined || d.skip === false ? undefined : String(d.skip === true ? '' : d.skip),
      name: d.name,
      ms: Math.round(d.details?.duration_ms ?? 0),
      error: e.type === 'test:fail' ? String(cause?.stack ?? cause?.message ?? cause ?? '').slice(0, 4000) : undefined,
    }) + '\n'
  }
}
