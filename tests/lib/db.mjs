// PostgreSQL of a stack through its own, real client.
import pg from 'pg'
import { after } from 'node:test'

pg.types.setTypeParser(20, Number) // bigint: the tests' versions and counts are small

export async function connect(stack, { admin = false } = {}) {
  const c = new pg.Client({ connectionString: admin ? stack.env.DATABASE_ADMIN_URL : stack.env.DATABASE_URL })
  c.on('error', () => {}) // the chaos suites cut it on purpose
  await c.connect()
  after(() => c.end().catch(() => {}))
  return c
}

export async function rows(c, sql, params) {
  return (await c.query(sql, params)).rows
}
