#include "reactor/config.h"

#include <errno.h>
#include <ini.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reactor/config_internal.h"
#include "reactor/log.h"

const cfg_row_t cfg_rows[] = {
#define X(s, k, TYPE, def, lo, hi, flag, doc) \
    {#s, #k, CFG_##TYPE, def, lo, hi, CFG_##flag, doc, offsetof(cfg_t, s##_##k)},
    CFG_LIST(X)
#undef X
};
const size_t cfg_nrows = sizeof cfg_rows / sizeof *cfg_rows;

/* One reading of a file. Lines are handed to the parser one by one, so that a fault can name its line. */
typedef struct {
    cfg_in_t in;
    FILE *f;
    const char *path;
    unsigned line;
    bool check_only; /* compare with the defaults instead of storing */
    bool seen[sizeof cfg_rows / sizeof *cfg_rows];
} reader_t;

const cfg_row_t *cfg_find(const char *section, const char *key)
{
    for (size_t i = 0; i < cfg_nrows; i++)
        if (strcmp(cfg_rows[i].section, section) == 0 && strcmp(cfg_rows[i].key, key) == 0) return &cfg_rows[i];
    return NULL;
}

void cfg_fault(cfg_in_t *in, const char *fmt, ...)
{
    char text[600];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    buf_fmt(in->errors, "%s: %s\n", in->place, text);
}

static void *slot(cfg_t *c, const cfg_row_t *row)
{
    return (char *)c + row->offset;
}

/* What may be shown of a value: never of a secret. */
static const char *shown(const cfg_row_t *row, span_t value, char *esc, size_t cap)
{
    return cfg_is_secret(row) ? "(secret)" : log_esc(value, esc, cap);
}

static void put_str(cfg_in_t *in, const cfg_row_t *row, span_t v)
{
    if ((int64_t)v.n < row->lo || (int64_t)v.n > row->hi) {
        cfg_fault(in, "%s in [%s] needs %lld to %lld characters, not %zu", row->key, row->section, (long long)row->lo,
                  (long long)row->hi, v.n);
        return;
    }
    for (size_t i = 0; i < v.n; i++) {
        if ((unsigned char)v.p[i] >= 0x20 && v.p[i] != 0x7f) continue;
        cfg_fault(in, "%s in [%s] holds a control character", row->key, row->section);
        return;
    }
    char *to = slot(in->c, row);
    memcpy(to, v.p, v.n);
    to[v.n] = '\0';
}

static bool parse_int(span_t v, int64_t *out)
{
    char text[24], *end;
    size_t digits = v.n && v.p[0] == '-' ? 1 : 0;
    if (v.n <= digits || v.n >= sizeof text) return false;
    for (size_t i = digits; i < v.n; i++)
        if (v.p[i] < '0' || v.p[i] > '9') return false;
    memcpy(text, v.p, v.n);
    text[v.n] = '\0';
    errno = 0;
    *out = strtoll(text, &end, 10);
    return errno == 0;
}

void cfg_put(cfg_in_t *in, const cfg_row_t *row, span_t value)
{
    char esc[260];
    int64_t n;
    switch (row->type) {
    case CFG_STR: put_str(in, row, value); return;
    case CFG_INT:
        if (parse_int(value, &n) && n >= row->lo && n <= row->hi) {
            *(int64_t *)slot(in->c, row) = n;
            return;
        }
        cfg_fault(in, "%s in [%s] must be a whole number from %lld to %lld, not '%s'", row->key, row->section,
                  (long long)row->lo, (long long)row->hi, shown(row, value, esc, sizeof esc));
        return;
    case CFG_BOOL:
        if (span_is(value, "true") || span_is(value, "false")) {
            *(bool *)slot(in->c, row) = value.p[0] == 't';
            return;
        }
        cfg_fault(in, "%s in [%s] must be true or false, not '%s'", row->key, row->section,
                  shown(row, value, esc, sizeof esc));
    }
}

/* Lines longer than the parser's buffer would come back as two: such a line is refused, unless it is a comment. */
static char *next_line(char *to, int size, void *stream)
{
    reader_t *r = stream;
    if (!fgets(to, size, r->f)) return NULL;
    r->line++;
    snprintf(r->in.place, sizeof r->in.place, "%.100s:%u", r->path, r->line);
    size_t n = strlen(to);
    if ((n && to[n - 1] == '\n') || feof(r->f)) return to;
    for (int ch = fgetc(r->f); ch != '\n' && ch != EOF;) ch = fgetc(r->f);
    const char *first = to + strspn(to, " \t");
    if (*first != '#' && *first != ';')
        cfg_fault(&r->in, "line is longer than %d characters; use the environment for this value", size - 2);
    to[0] = '\n';
    to[1] = '\0';
    return to;
}

static int on_value(void *user, const char *section, const char *name, const char *value)
{
    reader_t *r = user;
    char a[260], b[260];
    const cfg_row_t *row = cfg_find(section, name);
    if (!row) {
        cfg_fault(&r->in, "unknown key '%s' in [%s]", log_esc(span_of(name), a, sizeof a),
                  log_esc(span_of(section), b, sizeof b));
        return 1;
    }
    if (r->seen[row - cfg_rows]) cfg_fault(&r->in, "%s in [%s] is set twice", row->key, row->section);
    r->seen[row - cfg_rows] = true;
    if (!r->check_only)
        cfg_put(&r->in, row, span_of(value));
    else if (strcmp(value, row->def) != 0)
        cfg_fault(&r->in, "%s in [%s] does not show the default '%s'", row->key, row->section, row->def);
    return 1;
}

static void read_file(reader_t *r)
{
    snprintf(r->in.place, sizeof r->in.place, "%.100s", r->path);
    r->f = fopen(r->path, "re");
    if (!r->f) {
        cfg_fault(&r->in, "cannot be read: %s", strerror(errno));
        return;
    }
    int bad = ini_parse_stream(next_line, r, on_value, r);
    if (ferror(r->f)) cfg_fault(&r->in, "cannot be read to its end");
    fclose(r->f);
    if (bad <= 0) return;
    snprintf(r->in.place, sizeof r->in.place, "%.100s:%d", r->path, bad);
    cfg_fault(&r->in, "neither [section] nor key = value");
}

/* XORJ_HTTP_IDLE_MS names idle_ms in [http]. */
static bool env_names(const cfg_row_t *row, span_t name)
{
    char want[96];
    int n = snprintf(want, sizeof want, "XORJ_%s_%s", row->section, row->key);
    if ((size_t)n != name.n) return false;
    for (size_t i = 0; i < name.n; i++) {
        char ch = want[i] >= 'a' && want[i] <= 'z' ? (char)(want[i] - 32) : want[i];
        if (ch != name.p[i]) return false;
    }
    return true;
}

static const cfg_row_t *env_row(span_t name)
{
    for (size_t i = 0; i < cfg_nrows; i++)
        if (env_names(&cfg_rows[i], name)) return &cfg_rows[i];
    return NULL;
}

/* A slip in a name must not be lost in silence. One word behind XORJ_ (XORJ_URL, XORJ_PID) is no key, and a few first
 * words belong to scripts. */
static bool looks_like_key(span_t name)
{
    static const char *const foreign[] = {"XORJ_TEST_", "XORJ_BENCH_", "XORJ_SIM_", "XORJ_RUN_", "XORJ_BUILD_"};
    if (!memchr(name.p + 5, '_', name.n - 5)) return false;
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++)
        if (strncmp(name.p, foreign[i], strlen(foreign[i])) == 0) return false;
    return true;
}

static span_t env_get(char **envp, const char *name)
{
    size_t n = strlen(name);
    for (char **e = envp; e && *e; e++)
        if (strncmp(*e, name, n) == 0 && (*e)[n] == '=') return span_of(*e + n + 1);
    return (span_t){NULL, 0};
}

static void read_own_env(cfg_in_t *in, char **envp)
{
    for (char **e = envp; e && *e; e++) {
        const char *eq = strchr(*e, '=');
        if (!eq || strncmp(*e, "XORJ_", 5) != 0) continue;
        span_t name = {*e, (size_t)(eq - *e)};
        char esc[260];
        const cfg_row_t *row = env_row(name);
        snprintf(in->place, sizeof in->place, "environment %.80s", log_esc(name, esc, sizeof esc));
        if (row)
            cfg_put(in, row, span_of(eq + 1));
        else if (looks_like_key(name))
            cfg_fault(in, "unknown key");
    }
}

static void put_database_ssl(cfg_in_t *in, const cfg_row_t *row, span_t v)
{
    if (span_is(v, "true")) v = SPAN_LIT("require");
    if (span_is(v, "false")) v = SPAN_LIT("disable");
    cfg_put(in, row, v);
}

/* The names other programs use too. Empty means not set. */
static void read_known_env(cfg_in_t *in, char **envp)
{
    static const struct {
        const char *name, *section, *key;
    } known[] = {
        {"DATABASE_HOST", "database", "host"},
        {"DATABASE_PORT", "database", "port"},
        {"DATABASE_NAME", "database", "name"},
        {"DATABASE_USER", "database", "user"},
        {"DATABASE_PASSWORD", "database", "password"},
        {"DATABASE_SSL", "database", "ssl"},
        {"DATABASE_MAX_CONNECTIONS", "database", "max_connections"},
        {"REDIS_URL", "redis", "url"},
        {"JWT_SECRET", "auth", "jwt_secret"},
        {"ALLOWED_ORIGINS", "server", "allowed_origins"},
        {"SOLANA_RPC_URL", "feeds", "solana_rpc_url"},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        span_t v = env_get(envp, known[i].name);
        const cfg_row_t *row = cfg_find(known[i].section, known[i].key);
        if (!v.n) continue;
        XASSERT(row);
        snprintf(in->place, sizeof in->place, "environment %s", known[i].name);
        if (strcmp(row->key, "ssl") == 0)
            put_database_ssl(in, row, v);
        else
            cfg_put(in, row, v);
    }
    span_t url = env_get(envp, "DATABASE_URL");
    if (!url.n) return;
    snprintf(in->place, sizeof in->place, "environment DATABASE_URL");
    cfg_put_database_url(in, url);
}

static void put_defaults(cfg_in_t *in)
{
    snprintf(in->place, sizeof in->place, "default");
    for (size_t i = 0; i < cfg_nrows; i++) cfg_put(in, &cfg_rows[i], span_of(cfg_rows[i].def));
}

xerr_t cfg_load(cfg_t *c, const char *path, char **envp, buf_t *errors)
{
    reader_t r = {.in = {.c = c, .errors = errors}, .path = path};
    size_t before = errors->n;
    memset(c, 0, sizeof *c);
    put_defaults(&r.in);
    if (path) read_file(&r);
    read_own_env(&r.in, envp);
    read_known_env(&r.in, envp);
    if (errors->n == before) {
        snprintf(r.in.place, sizeof r.in.place, "configuration");
        cfg_check_rules(&r.in);
    }
    return errors->n > before || errors->failed ? XE_BAD_INPUT : XE_OK;
}

void cfg_take_live(cfg_t *c, const cfg_t *fresh)
{
    for (size_t i = 0; i < cfg_nrows; i++) {
        const cfg_row_t *row = &cfg_rows[i];
        if (!cfg_is_live(row)) continue;
        size_t n = row->type == CFG_STR ? CFG_STR_MAX : row->type == CFG_INT ? sizeof(int64_t) : sizeof(bool);
        memcpy((char *)c + row->offset, (const char *)fresh + row->offset, n);
    }
}

void cfg_print(const cfg_t *c, buf_t *out)
{
    const char *section = "";
    for (size_t i = 0; i < cfg_nrows; i++) {
        const cfg_row_t *row = &cfg_rows[i];
        const char *at = (const char *)c + row->offset;
        if (strcmp(section, row->section) != 0) buf_fmt(out, "%s[%s]\n", i ? "\n" : "", row->section);
        section = row->section;
        buf_fmt(out, "%s = ", row->key);
        if (row->type == CFG_INT)
            buf_fmt(out, "%lld", (long long)*(const int64_t *)(const void *)at);
        else if (row->type == CFG_BOOL)
            buf_str(out, *(const bool *)(const void *)at ? "true" : "false");
        else
            buf_str(out, cfg_is_secret(row) && *at ? "********" : at);
        buf_add(out, "\n", 1);
    }
}

void cfg_write_sample(buf_t *out)
{
    const char *section = "";
    for (size_t i = 0; i < cfg_nrows; i++) {
        const cfg_row_t *row = &cfg_rows[i];
        if (strcmp(section, row->section) != 0) buf_fmt(out, "\n[%s]\n", row->section);
        section = row->section;
        buf_fmt(out, "; %s\n%s =%s%s\n", row->doc, row->key, *row->def ? " " : "", row->def);
    }
}

xerr_t cfg_check_sample(const char *path, buf_t *errors)
{
    reader_t r = {.in = {.errors = errors}, .path = path, .check_only = true};
    size_t before = errors->n;
    read_file(&r);
    snprintf(r.in.place, sizeof r.in.place, "%.100s", path);
    for (size_t i = 0; i < cfg_nrows; i++)
        if (!r.seen[i]) cfg_fault(&r.in, "%s in [%s] is missing", cfg_rows[i].key, cfg_rows[i].section);
    return errors->n > before ? XE_BAD_INPUT : XE_OK;
}
