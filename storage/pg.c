#include "storage/pg.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crypto.h"
#include "reactor/log.h"

#define DEPTH_MAX 1024 /* commands in flight on one link */

typedef enum { ST_WAIT, ST_CONNECT, ST_CHECK, ST_UP, ST_CLOSED } state_t;
static const char *const state_names[] = {"WAIT", "CONNECT", "CHECK", "UP", "CLOSED"};

typedef struct cmd {
    struct cmd *next;
    pg_cb cb;
    void *ctx;
    sql_t stmt;
    int64_t sent_ns;
} cmd_t;

struct pg_rows {
    PGresult *res;
};

struct pg {
    loop_t *l;
    pg_conf_t c;
    char *conninfo;
    pg_metrics_t *m;
    pg_hooks_t h;
    void (*note)(void *ctx, span_t payload, int pid);
    state_t state;
    PGconn *conn;
    watch_t *w;
    ltimer_t *deadline; /* connect deadline, or silence */
    ltimer_t *retry;
    bool was_up, failing, reading, later_queued;
    bool poll_due;      /* the handshake may take its next step */
    unsigned fails;     /* in a row, sets the back-off */
    const char *fail_why;
    bool fail_silent;
    cmd_t *head, *tail, *spare;
    unsigned inflight;
    PGresult *kept;     /* result of the command at the head, until its Sync */
    unsigned check_left;
    pg_info_t info;
    uint64_t rnd;
};

struct stmt_row {
    const char *name, *text;
    unsigned lanes;
    int params;
};
static const struct stmt_row stmts[SQL_N] = {
#define X(id, lane_mask, nparams, sql) {#id, sql, lane_mask, nparams},
    SQL_LIST(X)
#undef X
};

static void on_retry(void *ctx);
static void on_deadline(void *ctx);
static void on_connect_io(void *ctx, int ready);
static void later(pg_t *p);
static void on_io(void *ctx, int ready);
static void link_fail(pg_t *p, const char *why, bool silent);
static void link_fail_later(pg_t *p, const char *why, bool silent);

const char *sql_name(sql_t s)
{
    return stmts[s].name;
}

int sql_params(sql_t s)
{
    return stmts[s].params;
}

static uint64_t rnd_next(pg_t *p)
{
    p->rnd ^= p->rnd << 13;
    p->rnd ^= p->rnd >> 7;
    p->rnd ^= p->rnd << 17;
    return p->rnd;
}

static void link_to(pg_t *p, state_t st)
{
    log_debug("pg", p->c.name, "%s -> %s", state_names[p->state], state_names[st]);
    p->state = st;
    switch (st) {
    case ST_WAIT: {
        /* 40 to 80 % of the doubled step: the longest wait plus connecting stays under backoff_max_ms. */
        int64_t ms = p->c.backoff_min_ms;
        for (unsigned i = 1; i < p->fails && ms < p->c.backoff_max_ms; i++)
            ms *= 2;
        if (ms > p->c.backoff_max_ms)
            ms = p->c.backoff_max_ms;
        ltimer_stop(p->deadline);
        ltimer_arm(p->retry, ms * (int64_t)(40 + rnd_next(p) % 41) / 100);
        break;
    }
    case ST_CONNECT:
        ltimer_arm(p->deadline, p->c.connect_ms);
        break;
    case ST_CHECK: /* still under the deadline of the connect */
        break;
    case ST_UP:
        ltimer_stop(p->deadline);
        break;
    case ST_CLOSED:
        ltimer_stop(p->deadline);
        ltimer_stop(p->retry);
        break;
    }
}

/* Writers look rows up by key in the order of their arrays, whatever the size of the table when the plan was made. */
static char *link_conninfo(const pg_conf_t *c)
{
    char *s = NULL;
    const char *scans = c->lane & (SQL_LANE_WRITER | SQL_LANE_SLOW) ? "off" : "on";
    int n = asprintf(&s,
                     "%s application_name='xorj/%s' client_encoding='UTF8' gssencmode='disable' keepalives='1' "
                     "keepalives_idle='10' keepalives_interval='5' keepalives_count='2' tcp_user_timeout='%u' "
                     "options='-c lock_timeout=%u -c statement_timeout=%u -c timezone=UTC -c jit=off "
                     "-c client_min_messages=warning -c plan_cache_mode=force_generic_plan "
                     "-c enable_seqscan=%s -c enable_bitmapscan=%s -c default_transaction_isolation=read\\\\ committed "
                     "-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=2'",
                     c->conninfo, c->name, c->silent_ms, c->lock_ms, c->statement_ms,
                     scans, scans);
    XASSERT(n > 0);
    return s;
}

pg_t *pg_open(loop_t *l, const pg_conf_t *c, pg_metrics_t *m, pg_hooks_t h)
{
    pg_t *p = calloc(1, sizeof *p);
    XASSERT(p);
    p->l = l;
    p->c = *c;
    p->m = m;
    p->h = h;
    p->conninfo = link_conninfo(c);
    p->info.why = "not connected yet";
    p->deadline = ltimer_new(l, on_deadline, p);
    p->retry = ltimer_new(l, on_retry, p);
    random_bytes(&p->rnd, sizeof p->rnd);
    p->rnd |= 1;
    p->state = ST_WAIT;
    ltimer_arm(p->retry, 0);
    return p;
}

/* ---- connecting ---- */

static void on_notice(void *ctx, const PGresult *res)
{
    (void)ctx;
    (void)res;
}

/* libpq may change its socket between two polls, also to one of the same number: the old watch goes before each poll. */
static void rewatch(pg_t *p, int want, void (*fn)(void *, int))
{
    int fd = PQsocket(p->conn);
    if (fd < 0) {
        link_fail(p, "cannot connect", false);
        return;
    }
    p->w = watch_new(p->l, fd, fn, p);
    watch_set(p->w, want);
}

static void unwatch(pg_t *p)
{
    if (p->w)
        watch_free(p->w);
    p->w = NULL;
}

static void on_retry(void *ctx)
{
    pg_t *p = ctx;
    p->conn = PQconnectStart(p->conninfo);
    link_to(p, ST_CONNECT);
    if (!p->conn || PQstatus(p->conn) == CONNECTION_BAD) {
        link_fail(p, "cannot connect", false);
        return;
    }
    PQsetNoticeReceiver(p->conn, on_notice, p);
    rewatch(p, WATCH_W, on_connect_io);
}

static void cmd_push(pg_t *p, sql_t stmt, pg_cb cb, void *ctx)
{
    cmd_t *k = p->spare;
    if (k)
        p->spare = k->next;
    else
        k = malloc(sizeof *k);
    XASSERT(k);
    *k = (cmd_t){.cb = cb, .ctx = ctx, .stmt = stmt, .sent_ns = loop_now_ns(p->l)};
    if (p->tail)
        p->tail->next = k;
    else
        p->head = k;
    p->tail = k;
    p->inflight++;
}

static void check_done(pg_t *p)
{
    if (--p->check_left > 0 || p->state != ST_CHECK)
        return;
    p->fails = 0;
    p->info.why = "";
    link_to(p, ST_UP);
    if (p->was_up)
        ctr_inc(p->m->reconnects);
    p->was_up = true;
    log_info("pg", p->c.name, "connected");
    p->h.up(p->h.ctx);
}

static void on_prepared(void *ctx, xerr_t err, const pg_rows_t *r)
{
    pg_t *p = ctx;
    (void)r;
    if (err == XE_CLOSED || p->failing)
        return;
    if (err)
        link_fail_later(p, "a statement does not prepare", false);
    else
        check_done(p);
}

static void on_settings(void *ctx, xerr_t err, const pg_rows_t *r)
{
    pg_t *p = ctx;
    if (err == XE_CLOSED || p->failing)
        return;
    if (err) {
        link_fail_later(p, "the server refuses its settings", false);
        return;
    }
    p->info.reached = true;
    p->info.durable = pg_bool(r, 0, 0);
    if (p->c.require_durable && !p->info.durable)
        link_fail_later(p, "fsync, full_page_writes or synchronous_commit is off", false);
    else if (pg_bool(r, 0, 1))
        link_fail_later(p, "the server is read-only", false);
    else
        check_done(p);
}

static void on_schema(void *ctx, xerr_t err, const pg_rows_t *r)
{
    pg_t *p = ctx;
    if (err == XE_CLOSED || p->failing)
        return;
    p->info.schema_version = err ? 0 : (int)pg_i64(r, 0, 0);
    if (p->info.schema_version < p->c.schema_wanted)
        link_fail_later(p, "schema is behind: run xorj migrate", false);
    else
        check_done(p);
}

/* The schema is judged before anything is prepared, since the statements name its tables. */
static void start_check(pg_t *p)
{
    link_to(p, ST_CHECK);
    bool ok = PQsetnonblocking(p->conn, 1) == 0 && PQenterPipelineMode(p->conn) == 1;
    p->check_left = 2;
    ok = ok && PQsendQueryParams(p->conn,
                                 "SELECT current_setting('fsync')::bool AND current_setting('full_page_writes')::bool "
                                 "AND current_setting('synchronous_commit') <> 'off', pg_is_in_recovery()",
                                 0, NULL, NULL, NULL, NULL, 0);
    ok = ok && PQpipelineSync(p->conn);
    cmd_push(p, SQL_N, on_settings, p);
    ok = ok && PQsendQueryParams(p->conn, "SELECT coalesce(max(version), 0) FROM schema_migrations", 0, NULL, NULL, NULL,
                                 NULL, 0);
    ok = ok && PQpipelineSync(p->conn);
    cmd_push(p, SQL_N, on_schema, p);
    for (unsigned i = 0; i < SQL_N && ok; i++) {
        if (!(stmts[i].lanes & p->c.lane))
            continue;
        ok = PQsendPrepare(p->conn, stmts[i].name, stmts[i].text, 0, NULL) && PQpipelineSync(p->conn);
        cmd_push(p, SQL_N, on_prepared, p);
        p->check_left++;
    }
    if (!ok) {
        link_fail(p, "connection lost", false);
        return;
    }
    rewatch(p, WATCH_R | (PQflush(p->conn) > 0 ? WATCH_W : 0), on_io);
}

/* Proving a password costs milliseconds of computing: of all links that connect at once, one takes a step in a turn. */
static void on_connect_io(void *ctx, int ready)
{
    pg_t *p = ctx;
    (void)ready;
    unwatch(p);
    p->poll_due = true;
    later(p);
}

static void connect_step(pg_t *p)
{
    p->poll_due = false;
    switch (PQconnectPoll(p->conn)) {
    case PGRES_POLLING_READING:
        rewatch(p, WATCH_R, on_connect_io);
        break;
    case PGRES_POLLING_WRITING:
        rewatch(p, WATCH_W, on_connect_io);
        break;
    case PGRES_POLLING_OK:
        start_check(p);
        break;
    default:
        link_fail(p, "cannot connect", false);
    }
}

/* ---- serving ---- */

static xerr_t err_of_state(const char *st)
{
    if (!st)
        return XE_CLOSED;
    if (!strcmp(st, "55P03") || !strcmp(st, "57014"))
        return XE_TIMEOUT;
    if (!strncmp(st, "08", 2) || !strncmp(st, "57P", 3))
        return XE_CLOSED;
    if (!strcmp(st, "23505") || !strncmp(st, "40", 2))
        return XE_CONFLICT;
    if (!strcmp(st, "22012")) /* a statement's own guard: see BOT_UPDATE */
        return XE_NOT_FOUND;
    if (!strncmp(st, "53", 2) || !strncmp(st, "58", 2) || !strcmp(st, "25006"))
        return XE_DOWN;
    return XE_INTERNAL;
}

static xerr_t err_of(const pg_t *p, sql_t stmt, const PGresult *res)
{
    if (!res)
        return XE_INTERNAL;
    ExecStatusType st = PQresultStatus(res);
    if (st == PGRES_TUPLES_OK || st == PGRES_COMMAND_OK)
        return XE_OK;
    xerr_t err = err_of_state(PQresultErrorField(res, PG_DIAG_SQLSTATE));
    ctr_inc(p->m->errors);
    if (err == XE_INTERNAL || err == XE_DOWN) {
        char esc[260];
        const char *msg = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);
        log_error("pg", p->c.name, "statement=%s sqlstate=%s %s", stmt < SQL_N ? stmts[stmt].name : "check",
                  PQresultErrorField(res, PG_DIAG_SQLSTATE), log_esc(span_of(msg ? msg : ""), esc, sizeof esc));
    }
    return err;
}

static void cmd_end(pg_t *p, xerr_t err, PGresult *res)
{
    cmd_t k = *p->head, *dead = p->head;
    p->head = dead->next;
    if (!p->head)
        p->tail = NULL;
    dead->next = p->spare;
    p->spare = dead;
    p->inflight--;
    if (k.stmt < SQL_N) {
        double s = (double)(mono_ns() - k.sent_ns) * 1e-9;
        hist_add(p->m->query[k.stmt], s);
        if (s > 1.0) {
            ctr_inc(p->m->slow);
            log_warn("pg", p->c.name, "slow statement=%s seconds=%.3f", stmts[k.stmt].name, s);
        }
    }
    pg_rows_t rows = {res};
    if (k.cb)
        k.cb(k.ctx, err, err ? NULL : &rows);
}

static void take_notes(pg_t *p)
{
    PGnotify *n;
    while (p->note && p->conn && (n = PQnotifies(p->conn))) {
        p->note(p->h.ctx, span_of(n->extra), n->be_pid);
        PQfreemem(n);
    }
}

static void take_results(pg_t *p)
{
    unsigned nulls = 0;
    while (p->conn && p->inflight > 0 && !p->failing && !PQisBusy(p->conn)) {
        PGresult *res = PQgetResult(p->conn);
        if (!res) {
            /* One NULL ends a command's results; two in a row mean that there is nothing to read. */
            if (++nulls > 1)
                break;
            continue;
        }
        nulls = 0;
        if (PQresultStatus(res) != PGRES_PIPELINE_SYNC) {
            if (p->kept)
                PQclear(res); /* the first error of a command is the one that counts */
            else
                p->kept = res;
            continue;
        }
        PQclear(res);
        PGresult *got = p->kept;
        p->kept = NULL;
        xerr_t err = err_of(p, p->head->stmt, got);
        if (err == XE_CLOSED) /* the backend says goodbye: nothing more goes out on this connection */
            link_fail_later(p, "the server ended the connection", false);
        take_notes(p); /* what was told before this answer comes before it */
        cmd_end(p, err, got);
        PQclear(got);
    }
    take_notes(p);
}

void pg_on_note(pg_t *p, void (*note)(void *ctx, span_t payload, int pid))
{
    p->note = note;
}

static void flush(pg_t *p)
{
    int n = PQflush(p->conn);
    if (n < 0)
        link_fail_later(p, "connection lost", false);
    else if (p->w)
        watch_set(p->w, WATCH_R | (n > 0 ? WATCH_W : 0));
}

static void on_io(void *ctx, int ready)
{
    pg_t *p = ctx;
    if (ready & WATCH_R) {
        if (!PQconsumeInput(p->conn)) {
            /* Answers that came before the end of the connection still count. */
            take_results(p);
            link_fail(p, "connection lost", false);
            return;
        }
        take_results(p);
        if (!p->conn || p->failing)
            return;
        if (PQstatus(p->conn) == CONNECTION_BAD) {
            link_fail(p, "connection lost", false);
            return;
        }
        if (p->state == ST_UP) {
            if (p->inflight > 0)
                ltimer_arm(p->deadline, p->c.silent_ms);
            else
                ltimer_stop(p->deadline);
        }
    }
    flush(p);
}

/* lens, formats: NULL for text. */
static void send_stmt(pg_t *p, sql_t stmt, const char *const *params, const int *lens, const int *formats, pg_cb cb, void *ctx)
{
    XASSERT(p->state == ST_UP && stmt < SQL_N && (stmts[stmt].lanes & p->c.lane));
    cmd_push(p, stmt, cb, ctx);
    bool ok = PQsendQueryPrepared(p->conn, stmts[stmt].name, stmts[stmt].params, params, lens, formats, 0) == 1 &&
              PQpipelineSync(p->conn) == 1;
    if (!ok) {
        link_fail_later(p, "connection lost", false);
        return;
    }
    if (!ltimer_armed(p->deadline))
        ltimer_arm(p->deadline, p->c.silent_ms);
    flush(p);
}

void pg_send(pg_t *p, sql_t stmt, const char *const *params, pg_cb cb, void *ctx)
{
    send_stmt(p, stmt, params, NULL, NULL, cb, ctx);
}

void pg_send_arrays(pg_t *p, sql_t stmt, const buf_t *arrays, pg_cb cb, void *ctx)
{
    const char *params[PG_ARRAYS_MAX];
    int lens[PG_ARRAYS_MAX], formats[PG_ARRAYS_MAX];
    XASSERT(stmts[stmt].params <= PG_ARRAYS_MAX);
    for (int i = 0; i < stmts[stmt].params; i++) {
        XASSERT(!arrays[i].failed);
        params[i] = arrays[i].p;
        lens[i] = (int)arrays[i].n;
        formats[i] = 1;
    }
    send_stmt(p, stmt, params, lens, formats, cb, ctx);
}

/* ---- going down ---- */

static void on_deadline(void *ctx)
{
    pg_t *p = ctx;
    if (p->state == ST_UP)
        link_fail(p, "the server is silent", true);
    else
        link_fail(p, "connect deadline passed", true);
}

/* Everything pending ends here with an unknown outcome; runs from the loop only. */
static void link_drop(pg_t *p)
{
    unwatch(p);
    p->poll_due = false;
    PQclear(p->kept);
    p->kept = NULL;
    if (p->conn)
        PQfinish(p->conn);
    p->conn = NULL;
    while (p->head)
        cmd_end(p, XE_CLOSED, NULL);
}

static void link_fail(pg_t *p, const char *why, bool silent)
{
    if (p->state == ST_CLOSED)
        return;
    bool up = p->state == ST_UP;
    if (up || p->fails == 0) {
        char esc[260];
        span_t text = p->conn ? span_of(PQerrorMessage(p->conn)) : span_of("");
        log_warn("pg", p->c.name, "%s: %s", why, log_esc(text, esc, sizeof esc));
    }
    p->info.why = why;
    if (!up && p->state == ST_CONNECT)
        p->info.reached = false;
    if (up)
        p->info.reached = false;
    p->failing = false;
    p->fails++;
    link_to(p, ST_WAIT);
    link_drop(p);
    if (p->state == ST_WAIT)
        p->h.down(p->h.ctx, silent && up);
}

static void on_later(void *ctx)
{
    pg_t *p = ctx;
    p->later_queued = false;
    if (p->failing)
        link_fail(p, p->fail_why, p->fail_silent);
    else if (p->poll_due)
        connect_step(p);
}

static void later(pg_t *p)
{
    if (!p->later_queued)
        loop_later(p->l, on_later, p);
    p->later_queued = true;
}

static void link_fail_later(pg_t *p, const char *why, bool silent)
{
    if (p->failing)
        return;
    p->failing = true;
    p->fail_why = why;
    p->fail_silent = silent;
    later(p);
}

static void pg_free(void *obj)
{
    pg_t *p = obj;
    ltimer_free(p->deadline);
    ltimer_free(p->retry);
    while (p->spare) {
        cmd_t *k = p->spare;
        p->spare = k->next;
        free(k);
    }
    free(p->conninfo);
    free(p);
}

void pg_close(pg_t *p)
{
    if (p->state == ST_CLOSED)
        return;
    link_to(p, ST_CLOSED);
    p->failing = false;
    link_drop(p);
    if (p->later_queued)
        loop_later(p->l, pg_free, p); /* behind on_later, which still names us */
    else
        loop_defer(p->l, pg_free, p);
}

bool pg_up(const pg_t *p)
{
    return p->state == ST_UP && !p->failing && p->inflight < DEPTH_MAX;
}

unsigned pg_inflight(const pg_t *p)
{
    return p->inflight;
}

const pg_info_t *pg_info(const pg_t *p)
{
    return &p->info;
}

void pg_retry_now(pg_t *p)
{
    if (p->state == ST_WAIT) {
        p->fails = 1;
        ltimer_arm(p->retry, 0);
    }
}

void pg_break(pg_t *p)
{
    if (p->state == ST_UP)
        link_fail_later(p, "the server is silent", false);
}

/* ---- rows ---- */

unsigned pg_rows_n(const pg_rows_t *r)
{
    return r && r->res ? (unsigned)PQntuples(r->res) : 0;
}

bool pg_null(const pg_rows_t *r, unsigned row, unsigned col)
{
    return PQgetisnull(r->res, (int)row, (int)col) != 0;
}

span_t pg_text(const pg_rows_t *r, unsigned row, unsigned col)
{
    return span_make(PQgetvalue(r->res, (int)row, (int)col), (size_t)PQgetlength(r->res, (int)row, (int)col));
}

int64_t pg_i64(const pg_rows_t *r, unsigned row, unsigned col)
{
    return strtoll(PQgetvalue(r->res, (int)row, (int)col), NULL, 10);
}

bool pg_bool(const pg_rows_t *r, unsigned row, unsigned col)
{
    return PQgetvalue(r->res, (int)row, (int)col)[0] == 't';
}

void pg_copy(const pg_rows_t *r, unsigned row, unsigned col, char *out, size_t cap)
{
    span_t t = pg_text(r, row, col);
    size_t n = t.n < cap ? t.n : cap - 1;
    memcpy(out, t.p, n);
    out[n] = '\0';
}

/* ---- blocking ---- */

struct pgb {
    PGconn *conn;
    pg_rows_t rows;
};

pgb_t *pgb_open(const char *conninfo)
{
    pgb_t *b = calloc(1, sizeof *b);
    XASSERT(b);
    b->conn = PQconnectdb(conninfo);
    if (PQstatus(b->conn) != CONNECTION_OK) {
        fprintf(stderr, "database: %s", PQerrorMessage(b->conn));
        pgb_close(b);
        return NULL;
    }
    PQsetNoticeReceiver(b->conn, on_notice, NULL);
    return b;
}

void pgb_close(pgb_t *b)
{
    if (!b)
        return;
    PQclear(b->rows.res);
    PQfinish(b->conn);
    free(b);
}

static xerr_t pgb_judge(pgb_t *b, PGresult *res)
{
    ExecStatusType st = PQresultStatus(res);
    if (st == PGRES_TUPLES_OK || st == PGRES_COMMAND_OK || st == PGRES_EMPTY_QUERY)
        return XE_OK;
    fprintf(stderr, "database: %s", PQerrorMessage(b->conn));
    return err_of_state(PQresultErrorField(res, PG_DIAG_SQLSTATE));
}

xerr_t pgb_exec(pgb_t *b, const char *sql)
{
    PGresult *res = PQexec(b->conn, sql);
    xerr_t err = pgb_judge(b, res);
    PQclear(res);
    return err;
}

xerr_t pgb_query(pgb_t *b, const char *sql, unsigned n, const char *const *params, const pg_rows_t **rows)
{
    PQclear(b->rows.res);
    b->rows.res = PQexecParams(b->conn, sql, (int)n, NULL, params, NULL, NULL, 0);
    *rows = &b->rows;
    return pgb_judge(b, b->rows.res);
}
