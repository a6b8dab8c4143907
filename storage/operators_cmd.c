/* Accounts from the command line: one blocking session, the same functions of the database as the server calls. */
#include "storage/operators.h"

#include <stdio.h>

#include "base/crypto.h"
#include "storage/pg.h"

static const char ACTOR[] = "cli", ROLE[] = "system";

static xerr_t run(pgb_t *b, operator_cmd_t cmd, const char *name, const char *role, const char *hash)
{
    static const xerr_t add[] = {XE_OK, XE_CONFLICT}, del[] = {XE_OK, XE_NOT_FOUND, XE_DENIED, XE_CONFLICT}, set[] = {XE_OK, XE_NOT_FOUND};
    const pg_rows_t *rows = NULL;
    const xerr_t *codes = add;
    char req[37];
    xerr_t err = XE_INTERNAL;
    uuid4(req);
    switch (cmd) {
    case OPERATOR_ADD:
        err = pgb_query(b, "SELECT operator_add($1::uuid, $2, $3, $4, true, $5, $6, '', '')", 6, (const char *const[]){req, name, role, hash, ACTOR, ROLE}, &rows);
        break;
    case OPERATOR_DELETE:
        codes = del;
        err = pgb_query(b, "SELECT outcome FROM operator_delete($1::uuid, $2, $3, $4, '', '')", 4, (const char *const[]){req, name, ACTOR, ROLE}, &rows);
        break;
    case OPERATOR_PASSWORD:
        codes = set;
        err = pgb_query(b, "SELECT outcome FROM operator_password($1::uuid, $2, NULL, $3, true, NULL, $4, $5, '', '')", 5,
                        (const char *const[]){req, name, hash, ACTOR, ROLE}, &rows);
        break;
    }
    return err || pg_rows_n(rows) != 1 ? XE_INTERNAL : codes[pg_i64(rows, 0, 0)];
}

xerr_t operator_cmd(const cfg_t *cfg, operator_cmd_t cmd, const char *name, const char *role, const char *hash)
{
    pgb_t *b = pgb_open_cfg(cfg);
    if (!b) return XE_DOWN;
    xerr_t err = run(b, cmd, name, role, hash);
    pgb_close(b);
    return err;
}

xerr_t operators_each(const cfg_t *cfg, void (*each)(void *ctx, const operator_t *o), void *ctx)
{
    const pg_rows_t *rows = NULL;
    pgb_t *b = pgb_open_cfg(cfg);
    if (!b) return XE_DOWN;
    xerr_t err = pgb_query(b, "SELECT username, role, must_change, totp_on, us(created_at), us(last_login_at) FROM operators ORDER BY username", 0, NULL, &rows);
    for (unsigned i = 0; !err && i < pg_rows_n(rows); i++) {
        operator_t o = {.must_change = pg_bool(rows, i, 2), .totp = pg_bool(rows, i, 3), .created_us = pg_i64(rows, i, 4), .last_login_us = pg_i64(rows, i, 5)};
        pg_copy(rows, i, 0, o.username, sizeof o.username);
        pg_copy(rows, i, 1, o.role, sizeof o.role);
        each(ctx, &o);
    }
    pgb_close(b);
    return err;
}
