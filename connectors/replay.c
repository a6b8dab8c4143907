/* `xorj replay --books`: recorded text frames, one per line, through the parsers of the live feeds into books. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/books.h"
#include "connectors/replay.h"
#include "reactor/jread.h"

#define LINE_MAX_BYTES ((size_t)256 << 20)
#define SEED_MAX_BYTES ((size_t)64 << 20)
#define OUT_MAX_BYTES ((size_t)64 << 20)

typedef struct {
    vp_t *vp;
    books_t *books;
    uint64_t lines, blank, restarts;
} replay_t;

static int64_t no_clock(void) { return 0; }

static void one_frame(replay_t *r, span_t text)
{
    vp_frame(r->vp, text, 0, 0);
    (void)vp_run(r->vp, 0);
}

/* What a live link does: a lost message ends the connection. The line that revealed it belongs to the next one. */
static void restart(replay_t *r, span_t text)
{
    xerr_t why = r->vp->reconnect;
    r->vp->reconnect = XE_OK;
    if (why == XE_DENIED) return;
    vp_all_bad(r->vp, why);
    vp_reset(r->vp);
    r->restarts++;
    if (why == XE_GAP) one_frame(r, text);
}

static void one_line(replay_t *r, char *line, size_t n)
{
    while (n > 0 && (line[n - 1] == '\n' || line[n - 1] == '\r')) n--;
    size_t blank = 0;
    while (blank < n && (line[blank] == ' ' || line[blank] == '\t')) blank++;
    r->lines++;
    if (blank == n) {
        r->blank++;
        return;
    }
    span_t text = span_make(line, n);
    one_frame(r, text);
    if (r->vp->reconnect) restart(r, text);
}

static bool read_lines(replay_t *r, FILE *in)
{
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;
    bool ok = true;
    while (ok && (n = getline(&line, &cap, in)) >= 0) {
        ok = (size_t)n <= LINE_MAX_BYTES;
        if (ok) one_line(r, line, (size_t)n);
    }
    free(line);
    return ok && !ferror(in);
}

static void write_books(const replay_t *r, buf_t *out)
{
    jw_t w;
    jw_init(&w, out);
    jw_obj(&w);
    jw_key(&w, "books");
    jw_obj(&w);
    for (unsigned i = 0; i < r->vp->mkts_n; i++) {
        const book_t *b = books_get(r->books, r->vp->mkts[i].inst);
        if (!b) continue;
        jw_key(&w, r->vp->mkts[i].wire);
        book_json(b, &w);
    }
    jw_end(&w);
    jw_end(&w);
    buf_str(out, "\n");
}

bool replay_save(const char *path, span_t text)
{
    bool std = strcmp(path, "-") == 0;
    FILE *f = std ? stdout : fopen(path, "wb");
    if (!f) return false;
    bool ok = fwrite(text.p, 1, text.n, f) == text.n && fflush(f) == 0;
    if (!std && fclose(f) != 0) ok = false;
    return ok;
}

static void report(const replay_t *r)
{
    const vp_stats_t *s = &r->vp->stats;
    fprintf(stderr, "replay: lines=%llu blank=%llu levels=%llu gaps=%llu garbled=%llu unknown=%llu refused_levels=%llu "
            "old=%llu before_snapshot=%llu venue_errors=%llu books_lost=%llu\n",
            (unsigned long long)r->lines, (unsigned long long)r->blank, (unsigned long long)s->levels,
            (unsigned long long)s->gaps, (unsigned long long)s->garbled, (unsigned long long)s->unknown,
            (unsigned long long)s->refused_levels, (unsigned long long)s->old, (unsigned long long)s->early,
            (unsigned long long)s->errors, (unsigned long long)books_faults(r->books));
}

static int run(replay_t *r, FILE *in, const char *in_path, const char *out_path)
{
    if (!read_lines(r, in)) {
        fprintf(stderr, "xorj replay: cannot read %s to its end\n", in_path);
        return REPLAY_FAILED;
    }
    buf_t out;
    buf_init(&out, OUT_MAX_BYTES);
    write_books(r, &out);
    bool ok = !out.failed && replay_save(out_path, buf_span(&out));
    buf_fini(&out);
    if (!ok) fprintf(stderr, "xorj replay: cannot write %s\n", out_path);
    report(r);
    return ok ? REPLAY_DONE : REPLAY_FAILED;
}

/* "MARKET=FILE": the REST book of a market, into the stream as its first frame. */
static bool one_seed(replay_t *r, const char *seed)
{
    const char *eq = strchr(seed, '=');
    FILE *f = eq && eq > seed ? fopen(eq + 1, "rb") : NULL;
    if (!f) return false;
    buf_t body, frame;
    char chunk[65536];
    buf_init(&body, SEED_MAX_BYTES);
    buf_init(&frame, SEED_MAX_BYTES + 1024);
    for (size_t n; (n = fread(chunk, 1, sizeof chunk, f)) > 0;) buf_add(&body, chunk, n);
    bool ok = !ferror(f) && !body.failed;
    fclose(f);
    char name[VP_NAME_MAX] = {0};
    size_t len = (size_t)(eq - seed);
    ok = ok && len < sizeof name;
    if (ok) memcpy(name, seed, len);
    int m = ok ? vp_market(r->vp, span_of(name)) : -1;
    span_t text = buf_span(&body);
    if (m >= 0) r->vp->ops->seed_frame(r->vp, (unsigned)m, &text, &frame);
    ok = m >= 0 && !frame.failed;
    if (ok) one_frame(r, buf_span(&frame));
    ok = ok && !r->vp->reconnect && r->vp->mkts[m].synced;
    buf_fini(&frame);
    buf_fini(&body);
    return ok;
}

static bool read_seeds(replay_t *r, const char *const *seeds, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        if (one_seed(r, seeds[i])) continue;
        fprintf(stderr, "xorj replay: --seed %s: MARKET=FILE with a readable order book is wanted\n", seeds[i]);
        return false;
    }
    return true;
}

static const venue_ops_t *protocol_of(const char *name, unsigned seeds_n)
{
    const venue_ops_t *ops = venue_by_protocol(name);
    if (!ops) {
        fprintf(stderr, "xorj replay: protocol '%.40s' is not known; known:", name);
        for (const venue_ops_t *const *o = venue_protocols; *o; o++) fprintf(stderr, " %s", (*o)->protocol);
        fprintf(stderr, "\n");
    } else if (seeds_n && !ops->seed_frame) {
        fprintf(stderr, "xorj replay: protocol '%s' takes no --seed\n", name);
        ops = NULL;
    }
    return ops;
}

int replay_books(const char *protocol, const char *in_path, const char *out_path, const char *const *seeds, unsigned seeds_n)
{
    if (strcmp(in_path, "-") != 0 && jread_is_journal(in_path)) return replay_journal(protocol, in_path, out_path);
    if (!protocol) {
        fprintf(stderr, "xorj replay: --protocol is needed for plain frames\n");
        return REPLAY_USAGE;
    }
    const venue_ops_t *ops = protocol_of(protocol, seeds_n);
    if (!ops) return REPLAY_USAGE;
    FILE *in = strcmp(in_path, "-") == 0 ? stdin : fopen(in_path, "rb");
    if (!in) {
        fprintf(stderr, "xorj replay: cannot open %s\n", in_path);
        return REPLAY_FAILED;
    }
    replay_t r = {.books = books_new()};
    XASSERT(r.books != NULL);
    r.vp = vp_new(ops, books_door(r.books), no_clock);
    XASSERT(r.vp != NULL);
    r.vp->adopt = true;
    int code = read_seeds(&r, seeds, seeds_n) ? run(&r, in, in_path, out_path) : REPLAY_FAILED;
    vp_free(r.vp);
    books_free(r.books);
    if (in != stdin) fclose(in);
    return code;
}
