/* build/tests/vectors KIND FILE: checks every vector of one file and closes with `N passed, N failed`. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/vec.h"

#define SHOWN_MAX 20

bool vec_fail(vec_ctx_t *c, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(c->why, sizeof c->why, fmt, ap);
    va_end(ap);
    return false;
}

static const vec_row_t *const tables[] = {vec_whirl_rows, vec_clmm_rows, vec_curve_rows, vec_key_rows,
                                          vec_account_rows, vec_instr_rows, vec_tx_rows, vec_siws_rows};

static vec_check_t find(const char *kind)
{
    for (size_t t = 0; t < sizeof tables / sizeof *tables; t++)
        for (const vec_row_t *r = tables[t]; r->kind; r++)
            if (strcmp(r->kind, kind) == 0) return r->check;
    return NULL;
}

static void list_kinds(void)
{
    fputs("known kinds:", stderr);
    for (size_t t = 0; t < sizeof tables / sizeof *tables; t++)
        for (const vec_row_t *r = tables[t]; r->kind; r++) fprintf(stderr, " %s", r->kind);
    fputc('\n', stderr);
}

static void name_of(vv_t v, char *out, size_t cap)
{
    vv_t id = vv_is_object(v) ? vv_find(v, "id") : vv_at(v, 0);
    span_t t = vv_has(id) ? vv_text(id) : SPAN_LIT("?");
    snprintf(out, cap, "%.*s", (int)t.n, t.p);
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fputs("usage: vectors KIND FILE\n", stderr);
        return 2;
    }
    vec_check_t check = find(argv[1]);
    if (!check) {
        fprintf(stderr, "vectors: kind '%s' is not supported\n", argv[1]);
        list_kinds();
        return 2;
    }
    vec_ctx_t c = {.path = argv[2]};
    vj_t *j = vj_load(argv[2]);
    unsigned passed = 0, failed = 0;
    for (vv_t v = vv_first(vv_get(vj_root(j), "vectors")); vv_has(v); v = vv_next(v)) {
        char name[64];
        name_of(v, name, sizeof name);
        c.why[0] = 0;
        if (check(&c, v)) {
            passed++;
        } else if (++failed <= SHOWN_MAX) {
            printf("vector %s: %s\n", name, c.why[0] ? c.why : "differs");
        }
    }
    vj_free(c.side);
    vj_free(j);
    printf("%u passed, %u failed\n", passed, failed);
    return failed || passed == 0;
}
