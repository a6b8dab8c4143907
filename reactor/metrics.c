#include "reactor/metrics.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

typedef enum { KIND_CTR, KIND_GAUGE, KIND_HIST } kind_t;

struct hist {
    size_t n; /* finite buckets; counts[n] is the rest */
    double *bounds;
    uint64_t *counts;
    uint64_t count;
    double sum;
};

typedef struct series {
    struct series *next;
    char *labels; /* "" when there are none */
    union {
        ctr_t ctr;
        gauge_t gauge;
        hist_t hist;
    } u;
} series_t;

typedef struct family {
    struct family *next;
    char *name, *help;
    kind_t kind;
    series_t *first, **last;
} family_t;

struct metrics {
    family_t *first, **last;
};

static const double default_bounds[] = {5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2,
                                        5e-2, 0.1,  0.2,  0.5,  1,    2,    5,    10};

static void *must(void *p)
{
    XASSERT(p);
    return p;
}

metrics_t *metrics_new(void)
{
    metrics_t *m = must(calloc(1, sizeof *m));
    m->last = &m->first;
    return m;
}

static void series_free(series_t *s, kind_t kind)
{
    if (kind == KIND_HIST) {
        free(s->u.hist.bounds);
        free(s->u.hist.counts);
    }
    free(s->labels);
    free(s);
}

void metrics_free(metrics_t *m)
{
    if (!m) return;
    for (family_t *f = m->first, *fnext; f; f = fnext) {
        fnext = f->next;
        for (series_t *s = f->first, *snext; s; s = snext) {
            snext = s->next;
            series_free(s, f->kind);
        }
        free(f->name);
        free(f->help);
        free(f);
    }
    free(m);
}

static family_t *family_of(metrics_t *m, kind_t kind, const char *name, const char *help)
{
    for (family_t *f = m->first; f; f = f->next) {
        if (strcmp(f->name, name) != 0) continue;
        XASSERT(f->kind == kind);
        return f;
    }
    family_t *f = must(calloc(1, sizeof *f));
    f->kind = kind;
    f->name = must(strdup(name));
    f->help = must(strdup(help));
    f->last = &f->first;
    *m->last = f;
    m->last = &f->next;
    return f;
}

/* *fresh tells a histogram that its buckets are still to be made. */
static series_t *series_of(family_t *f, const char *labels, bool *fresh)
{
    if (!labels) labels = "";
    *fresh = false;
    for (series_t *s = f->first; s; s = s->next)
        if (strcmp(s->labels, labels) == 0) return s;
    series_t *s = must(calloc(1, sizeof *s));
    s->labels = must(strdup(labels));
    *f->last = s;
    f->last = &s->next;
    *fresh = true;
    return s;
}

ctr_t *metrics_ctr(metrics_t *m, const char *name, const char *labels, const char *help)
{
    bool fresh;
    return &series_of(family_of(m, KIND_CTR, name, help), labels, &fresh)->u.ctr;
}

gauge_t *metrics_gauge(metrics_t *m, const char *name, const char *labels, const char *help)
{
    bool fresh;
    return &series_of(family_of(m, KIND_GAUGE, name, help), labels, &fresh)->u.gauge;
}

hist_t *metrics_hist(metrics_t *m, const char *name, const char *labels, const char *help, const double *bounds,
                     size_t n)
{
    bool fresh;
    hist_t *h = &series_of(family_of(m, KIND_HIST, name, help), labels, &fresh)->u.hist;
    if (!fresh) return h;
    if (!bounds) {
        bounds = default_bounds;
        n = sizeof default_bounds / sizeof *default_bounds;
    }
    h->n = n;
    h->bounds = must(malloc((n + 1) * sizeof *h->bounds));
    h->counts = must(calloc(n + 1, sizeof *h->counts));
    memcpy(h->bounds, bounds, n * sizeof *bounds);
    return h;
}

void hist_add(hist_t *h, double v)
{
    size_t i = 0;
    while (i < h->n && v > h->bounds[i]) i++;
    h->counts[i]++;
    h->count++;
    h->sum += v;
}

uint64_t hist_count(const hist_t *h)
{
    return h->count;
}

double hist_quantile(const hist_t *h, double q)
{
    if (!h->count) return 0;
    double want = q * (double)h->count;
    uint64_t seen = 0;
    for (size_t i = 0; i < h->n; i++) {
        seen += h->counts[i];
        if ((double)seen >= want && seen) return h->bounds[i];
    }
    return INFINITY;
}

/* Whole numbers without an exponent, others as the shortest text that reads back equal; the format spells the infinities its own way. */
static void put_number(buf_t *out, double v)
{
    char text[40];
    if (isnan(v)) {
        buf_str(out, "NaN");
        return;
    }
    if (isinf(v)) {
        buf_str(out, v > 0 ? "+Inf" : "-Inf");
        return;
    }
    if (v == floor(v) && fabs(v) < 9007199254740992.0) {
        buf_fmt(out, "%.0f", v);
        return;
    }
    for (int digits = 6; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, v);
        if (strtod(text, NULL) == v) break;
    }
    buf_str(out, text);
}

static void put_line(buf_t *out, const char *name, const char *suffix, const char *labels, double v)
{
    buf_str(out, name);
    buf_str(out, suffix);
    if (*labels) buf_fmt(out, "{%s}", labels);
    buf_add(out, " ", 1);
    put_number(out, v);
    buf_add(out, "\n", 1);
}

static void put_hist(buf_t *out, const char *name, const series_t *s)
{
    const hist_t *h = &s->u.hist;
    uint64_t seen = 0;
    for (size_t i = 0; i <= h->n; i++) {
        seen += h->counts[i];
        buf_fmt(out, "%s_bucket{%s%sle=\"", name, s->labels, *s->labels ? "," : "");
        put_number(out, i < h->n ? h->bounds[i] : INFINITY);
        buf_fmt(out, "\"} %llu\n", (unsigned long long)seen);
    }
    put_line(out, name, "_sum", s->labels, h->sum);
    put_line(out, name, "_count", s->labels, (double)h->count);
}

static void put_help(buf_t *out, const family_t *f)
{
    static const char *const kinds[] = {"counter", "gauge", "histogram"};
    buf_fmt(out, "# HELP %s ", f->name);
    for (const char *p = f->help; *p; p++) {
        if (*p == '\\')
            buf_str(out, "\\\\");
        else if (*p == '\n')
            buf_str(out, "\\n");
        else
            buf_add(out, p, 1);
    }
    buf_fmt(out, "\n# TYPE %s %s\n", f->name, kinds[f->kind]);
}

void metrics_write(const metrics_t *m, buf_t *out)
{
    for (const family_t *f = m->first; f; f = f->next) {
        put_help(out, f);
        for (const series_t *s = f->first; s; s = s->next) {
            if (f->kind == KIND_HIST)
                put_hist(out, f->name, s);
            else
                put_line(out, f->name, "", s->labels, f->kind == KIND_CTR ? (double)s->u.ctr.v : s->u.gauge.v);
        }
    }
}
