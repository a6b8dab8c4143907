#include "storage/migrate.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/codec.h"
#include "base/crypto.h"
#include "storage/migrations.h"
#include "storage/pg.h"

#define LOCK_SQL "SELECT pg_advisory_lock(7525083614)"

int migrate_wanted(void)
{
    return migrations[migrations_n - 1].version;
}

static void checksum(const migration_t *m, char hex[65])
{
    uint8_t sum[32];
    sha256(m->sql, strlen(m->sql), sum);
    hex_encode(sum, sizeof sum, hex);
}

pgb_t *pgb_open_cfg(const cfg_t *cfg)
{
    buf_t info;
    buf_init(&info, 8192);
    cfg_conninfo(cfg, &info);
    buf_fmt(&info, " connect_timeout='%d' application_name='xorj/migrate' options='-c timezone=UTC -c client_min_messages=warning'",
            (int)((cfg->database_connect_ms + 999) / 1000) + 1);
    buf_add(&info, "", 1);
    pgb_t *b = info.failed ? NULL : pgb_open(info.p);
    buf_fini(&info);
    return b;
}

/* Reads what is recorded of one migration: *found, and whether its text is still the one that was applied. */
static xerr_t recorded(pgb_t *b, const migration_t *m, bool *found, char at[40])
{
    char version[16], hex[65];
    const pg_rows_t *rows;
    snprintf(version, sizeof version, "%d", m->version);
    xerr_t err = pgb_query(b, "SELECT checksum, to_char(applied_at, 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') FROM schema_migrations WHERE version = $1::int",
                           1, (const char *const[]){version}, &rows);
    if (err)
        return err;
    *found = pg_rows_n(rows) == 1;
    if (!*found)
        return XE_OK;
    checksum(m, hex);
    pg_copy(rows, 0, 1, at, 40);
    return span_is(pg_text(rows, 0, 0), hex) ? XE_OK : XE_CONFLICT;
}

static xerr_t apply(pgb_t *b, const migration_t *m)
{
    char version[16], hex[65];
    const pg_rows_t *rows;
    snprintf(version, sizeof version, "%d", m->version);
    checksum(m, hex);
    xerr_t err = pgb_exec(b, "BEGIN");
    if (!err)
        err = pgb_exec(b, m->sql);
    if (!err)
        err = pgb_query(b, "INSERT INTO schema_migrations (version, name, checksum) VALUES ($1::int, $2, $3)", 3,
                        (const char *const[]){version, m->name, hex}, &rows);
    if (!err)
        return pgb_exec(b, "COMMIT");
    pgb_exec(b, "ROLLBACK");
    return err;
}

static xerr_t one(pgb_t *b, const migration_t *m, migrate_mode_t mode, bool table)
{
    bool found = false;
    char at[40] = "";
    xerr_t err = table ? recorded(b, m, &found, at) : XE_OK;
    if (err == XE_CONFLICT) {
        printf("%04d %-20s CHANGED since it was applied at %s: refused\n", m->version, m->name, at);
        return err;
    }
    if (err)
        return err;
    if (found) {
        printf("%04d %-20s applied %s\n", m->version, m->name, at);
        return XE_OK;
    }
    if (mode != MIGRATE_APPLY) {
        printf("%04d %-20s %s\n", m->version, m->name, mode == MIGRATE_DRY_RUN ? "would be applied" : "pending");
        return XE_OK;
    }
    err = apply(b, m);
    printf("%04d %-20s %s\n", m->version, m->name, err ? "FAILED, nothing of it remains" : "applied now");
    return err;
}

static xerr_t has_table(pgb_t *b, bool *table)
{
    const pg_rows_t *rows;
    xerr_t err = pgb_query(b, "SELECT to_regclass('schema_migrations') IS NOT NULL", 0, NULL, &rows);
    if (!err)
        *table = pg_bool(rows, 0, 0);
    return err;
}

static xerr_t run(pgb_t *b, migrate_mode_t mode)
{
    bool table = false;
    xerr_t err = XE_OK;
    /* Held to the end of the session: two runs at once go one after the other. */
    if (mode == MIGRATE_APPLY) {
        err = pgb_exec(b, LOCK_SQL);
        if (!err)
            err = pgb_exec(b, "CREATE TABLE IF NOT EXISTS schema_migrations (version int PRIMARY KEY, name text NOT NULL,"
                              " checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())");
    }
    if (!err)
        err = has_table(b, &table);
    for (unsigned i = 0; i < migrations_n && !err; i++)
        err = one(b, &migrations[i], mode, table);
    return err;
}

xerr_t migrate_run(const cfg_t *cfg, migrate_mode_t mode)
{
    pgb_t *b = pgb_open_cfg(cfg);
    if (!b)
        return XE_DOWN;
    xerr_t err = run(b, mode);
    pgb_close(b);
    fflush(stdout);
    return err;
}

/* ---- sessions for load runs ---- */

static void arr_add(buf_t *b, const char *s)
{
    buf_str(b, b->n ? "," : "{");
    buf_str(b, s[0] ? s : "NULL");
}

static void arr_num(buf_t *b, long long v)
{
    char text[24];
    snprintf(text, sizeof text, "%lld", v);
    arr_add(b, text);
}

static xerr_t mint(pgb_t *b, const char *const *params, struct session_row *out, unsigned n)
{
    const pg_rows_t *rows = NULL;
    /* Each statement names every parameter, so that all types are known. */
#define GIVEN "WITH p AS (SELECT $1::uuid[], $2::text[], $3::bigint[], $4::bigint[], $5::bool, $6::text[]) "
    static const char *const steps[] = {
        GIVEN "INSERT INTO users (wallet_address) SELECT DISTINCT w FROM unnest($2::text[]) AS w WHERE w IS NOT NULL ON CONFLICT DO NOTHING",
        GIVEN "INSERT INTO user_settings (wallet_address, user_id) SELECT wallet_address, id FROM users WHERE wallet_address = ANY ($2::text[])"
        " ON CONFLICT DO NOTHING",
        GIVEN "INSERT INTO bot_states (user_vault_address, is_enabled, version) SELECT DISTINCT w, $5::bool, 0 FROM unnest($2::text[]) AS w"
        " WHERE w IS NOT NULL ON CONFLICT DO NOTHING",
        GIVEN "INSERT INTO sessions (jti, user_id, wallet, kind, operator, role, issued_at, expires_at) SELECT j, u.id, w,"
        " CASE WHEN w IS NULL THEN 'operator' ELSE 'wallet' END, CASE WHEN w IS NULL THEN 'cli.' || r END, r, to_timestamp(i), to_timestamp(e)"
        " FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::bigint[], $6::text[]) AS q(j, w, i, e, r)"
        " LEFT JOIN users u ON u.wallet_address = q.w",
        GIVEN "SELECT u.id FROM unnest($2::text[]) WITH ORDINALITY AS q(w, o) LEFT JOIN users u ON u.wallet_address = q.w ORDER BY q.o",
    };
    xerr_t err = pgb_exec(b, "BEGIN");
#undef GIVEN
    for (unsigned i = 0; i < sizeof steps / sizeof *steps && !err; i++)
        err = pgb_query(b, steps[i], 6, params, &rows);
    for (unsigned i = 0; i < n && !err; i++)
        pg_copy(rows, i, 0, out[i].user_id, sizeof out[i].user_id);
    if (err) {
        pgb_exec(b, "ROLLBACK");
        return err;
    }
    return pgb_exec(b, "COMMIT");
}

xerr_t sessions_mint(const cfg_t *cfg, struct session_row *rows, unsigned n)
{
    buf_t a[5];
    if (n == 0)
        return XE_OK;
    for (unsigned k = 0; k < 5; k++)
        buf_init(&a[k], 64u << 20);
    for (unsigned i = 0; i < n; i++) {
        arr_add(&a[0], rows[i].jti);
        arr_add(&a[1], rows[i].wallet);
        arr_num(&a[2], rows[i].issued_s);
        arr_num(&a[3], rows[i].expires_s);
        arr_add(&a[4], rows[i].role);
    }
    xerr_t err = XE_TOO_BIG;
    bool fits = true;
    for (unsigned k = 0; k < 5; k++) {
        buf_add(&a[k], "}", 2);
        fits = fits && !a[k].failed;
    }
    pgb_t *b = fits ? pgb_open_cfg(cfg) : NULL;
    if (fits)
        err = XE_DOWN;
    if (b)
        err = mint(b, (const char *const[]){a[0].p, a[1].p, a[2].p, a[3].p, cfg->bot_default_enabled ? "t" : "f", a[4].p}, rows, n);
    pgb_close(b);
    for (unsigned k = 0; k < 5; k++)
        buf_fini(&a[k]);
    return err;
}
