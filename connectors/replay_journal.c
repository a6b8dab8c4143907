/* `xorj replay` on journals: the frames of each recorded connection through the parsers of the live feeds, with the
 * connection's own ends and holes; a list of what is recorded; frames as plain text. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rfc3339.h"
#include "connectors/books.h"
#include "connectors/replay.h"
#include "reactor/journal.h"
#include "reactor/jread.h"

#define OUT_MAX_BYTES ((size_t)64 << 20)

typedef struct {
    uint64_t run, conn;
    const venue_ops_t *ops; /* NULL: not a venue's protocol, or not the one asked for */
    char protocol[48];
    vp_t *vp;
    books_t *books;
    bool over;              /* closed, or given up by the parser: deaf until it is opened again */
    bool closed;            /* its books are forgotten when it is opened again: until then they show its last moment */
} chan_t;

typedef struct {
    const char *only;       /* protocol asked for; NULL: the one there is */
    char found[48];
    bool several;
    uint64_t frames;
    chan_t chans[JOURNAL_CHANNELS_MAX];
} job_t;

static int64_t no_clock(void) { return 0; }

static void forget(chan_t *c, xerr_t why)
{
    if (!c->vp) return;
    vp_all_bad(c->vp, why);
    vp_reset(c->vp);
    c->vp->reconnect = XE_OK;
}

static void chan_fini(chan_t *c)
{
    vp_free(c->vp);
    books_free(c->books);
    *c = (chan_t){0};
}

/* The channel as it is described with this record; another venue may have its number after a restart. */
static chan_t *chan_of(job_t *j, const jrec_t *r)
{
    chan_t *c = &j->chans[r->chan];
    if (c->run == r->run && strcmp(c->protocol, r->protocol) == 0) return c;
    chan_t fresh = {.run = r->run, .ops = venue_by_protocol(r->protocol)};
    snprintf(fresh.protocol, sizeof fresh.protocol, "%s", r->protocol);
    if (j->only && strcmp(j->only, r->protocol) != 0) fresh.ops = NULL;
    chan_fini(c);
    *c = fresh;
    if (!c->ops) return c;
    if (!j->found[0]) snprintf(j->found, sizeof j->found, "%s", r->protocol);
    if (strcmp(j->found, r->protocol) != 0) j->several = true;
    c->books = books_new();
    XASSERT(c->books != NULL);
    c->vp = vp_new(c->ops, books_door(c->books), no_clock);
    XASSERT(c->vp != NULL);
    c->vp->adopt = true;
    return c;
}

/* A market that asked for a fresh snapshot gets it once the venue confirmed that the old stream ended. */
static void resync(chan_t *c)
{
    for (unsigned i = 0; i < c->vp->mkts_n; i++)
        if (c->vp->mkts[i].why && c->vp->mkts[i].unsubscribed) vp_market_forget(c->vp, i);
}

static void frame(job_t *j, chan_t *c, const jrec_t *r)
{
    if (c->over) return;
    j->frames++;
    vp_frame(c->vp, r->text, r->mono_ns, r->wall_us);
    (void)vp_run(c->vp, 0);
    if (c->vp->reconnect) {
        forget(c, c->vp->reconnect);
        c->over = true;
    }
    resync(c);
}

static void record(job_t *j, const jrec_t *r)
{
    chan_t *c = chan_of(j, r);
    if (!c->ops) return;
    if (r->conn != c->conn && r->kind != JR_OPEN && c->conn) forget(c, XE_GAP); /* its beginning was not kept */
    if (r->kind == JR_OPEN) {
        if (c->closed || c->conn) forget(c, XE_CLOSED);
        c->over = c->closed = false;
    }
    c->conn = r->conn;
    switch (r->kind) {
    case JR_FRAME: frame(j, c, r); break;
    case JR_LOST: forget(c, XE_GAP); break;
    case JR_CLOSE: c->over = c->closed = true; break;
    case JR_OPEN: case JR_SENT: case JR_CHANNEL: break;
    }
}

static void hole(job_t *j)
{
    for (unsigned i = 0; i < JOURNAL_CHANNELS_MAX; i++) forget(&j->chans[i], XE_GAP);
}

static void write_books(const job_t *j, buf_t *out)
{
    jw_t w;
    jw_init(&w, out);
    jw_obj(&w);
    jw_key(&w, "books");
    jw_obj(&w);
    for (unsigned i = 0; i < JOURNAL_CHANNELS_MAX; i++) {
        const chan_t *c = &j->chans[i];
        for (unsigned m = 0; c->vp && m < c->vp->mkts_n; m++) {
            const book_t *b = books_get(c->books, c->vp->mkts[m].inst);
            if (!b) continue;
            jw_key(&w, c->vp->mkts[m].wire);
            book_json(b, &w);
        }
    }
    jw_end(&w);
    jw_end(&w);
    buf_str(out, "\n");
}

static jread_t *open_or_say(const char *path)
{
    jread_t *r = NULL;
    xerr_t err = jread_open(path, &r);
    if (err) fprintf(stderr, "xorj replay: cannot read %s: %s\n", path, err == XE_UNSUPPORTED ? "written by a later version" : "no journal is there");
    return err ? NULL : r;
}

static void report(const job_t *j, const jread_stats_t *s)
{
    uint64_t lost = 0, gaps = 0, garbled = 0;
    for (unsigned i = 0; i < JOURNAL_CHANNELS_MAX; i++) {
        const chan_t *c = &j->chans[i];
        if (!c->vp) continue;
        lost += books_faults(c->books);
        gaps += c->vp->stats.gaps;
        garbled += c->vp->stats.garbled;
    }
    fprintf(stderr, "replay: files=%" PRIu64 " blocks=%" PRIu64 " frames=%" PRIu64 " holes=%" PRIu64 " torn_bytes=%" PRIu64 " gaps=%" PRIu64
            " garbled=%" PRIu64 " books_lost=%" PRIu64 "\n", s->files, s->blocks, j->frames, s->holes, s->torn_bytes, gaps, garbled, lost);
}

static int finish_books(const job_t *j, const char *out_path)
{
    buf_t out;
    if (j->several) {
        fprintf(stderr, "xorj replay: several protocols are recorded here, name one with --protocol\n");
        return REPLAY_USAGE;
    }
    buf_init(&out, OUT_MAX_BYTES);
    write_books(j, &out);
    bool ok = !out.failed && replay_save(out_path, buf_span(&out));
    buf_fini(&out);
    if (!ok) fprintf(stderr, "xorj replay: cannot write %s\n", out_path);
    return ok ? REPLAY_DONE : REPLAY_FAILED;
}

int replay_journal(const char *protocol, const char *in_path, const char *out_path)
{
    jrec_t rec;
    xerr_t err;
    if (protocol && !venue_by_protocol(protocol)) {
        fprintf(stderr, "xorj replay: protocol '%.40s' has no books\n", protocol);
        return REPLAY_USAGE;
    }
    jread_t *r = open_or_say(in_path);
    job_t *j = r ? calloc(1, sizeof *j) : NULL;
    if (!r) return REPLAY_FAILED;
    XASSERT(j != NULL);
    j->only = protocol;
    while ((err = jread_next(r, &rec)) != XE_CLOSED) {
        if (err == XE_GAP) hole(j);
        else record(j, &rec);
    }
    int code = finish_books(j, out_path);
    report(j, jread_stats(r));
    for (unsigned i = 0; i < JOURNAL_CHANNELS_MAX; i++) chan_fini(&j->chans[i]);
    free(j);
    jread_close(r);
    return code;
}

/* ---- frames as lines ---- */

/* A line break between JSON tokens becomes a blank: inside strings there is none. */
static void put_line(FILE *out, span_t text)
{
    for (size_t i = 0; i < text.n; i++) putc(text.p[i] == '\n' || text.p[i] == '\r' ? ' ' : text.p[i], out);
    putc('\n', out);
}

int replay_frames(const char *protocol, const char *in_path, const char *out_path)
{
    jrec_t rec;
    xerr_t err;
    jread_t *r = open_or_say(in_path);
    if (!r) return REPLAY_FAILED;
    FILE *out = strcmp(out_path, "-") == 0 ? stdout : fopen(out_path, "wb");
    while (out && (err = jread_next(r, &rec)) != XE_CLOSED)
        if (err == XE_OK && rec.kind == JR_FRAME && (!protocol || strcmp(protocol, rec.protocol) == 0)) put_line(out, rec.text);
    jread_close(r);
    bool ok = out && fflush(out) == 0 && !ferror(out);
    if (out && out != stdout && fclose(out) != 0) ok = false;
    if (!ok) fprintf(stderr, "xorj replay: cannot write %s\n", out_path);
    return ok ? REPLAY_DONE : REPLAY_FAILED;
}

/* ---- what is recorded ---- */

typedef struct {
    char venue[48], protocol[48];
    uint64_t connections, frames, bytes, lost;
    int64_t first_us, last_us;
} row_t;

static row_t *row_of(row_t rows[JOURNAL_CHANNELS_MAX], unsigned *n, const jrec_t *r)
{
    unsigned i = 0;
    while (i < *n && (strcmp(rows[i].venue, r->venue) != 0 || strcmp(rows[i].protocol, r->protocol) != 0)) i++;
    if (i == JOURNAL_CHANNELS_MAX) return &rows[i - 1];
    if (i == *n) {
        (*n)++;
        snprintf(rows[i].venue, sizeof rows[i].venue, "%s", r->venue);
        snprintf(rows[i].protocol, sizeof rows[i].protocol, "%s", r->protocol);
        rows[i].first_us = r->wall_us;
    }
    return &rows[i];
}

static uint64_t number_of(span_t text)
{
    char digits[24] = {0};
    memcpy(digits, text.p, text.n < sizeof digits ? text.n : sizeof digits - 1);
    return strtoull(digits, NULL, 10);
}

static void count(row_t *row, const jrec_t *r)
{
    row->last_us = r->wall_us;
    if (r->kind == JR_OPEN) row->connections++;
    if (r->kind == JR_LOST) row->lost += number_of(r->text);
    if (r->kind != JR_FRAME) return;
    row->frames++;
    row->bytes += r->text.n;
}

int replay_list(const char *in_path)
{
    row_t rows[JOURNAL_CHANNELS_MAX] = {0};
    unsigned n = 0;
    jrec_t rec;
    xerr_t err;
    jread_t *r = open_or_say(in_path);
    if (!r) return REPLAY_FAILED;
    while ((err = jread_next(r, &rec)) != XE_CLOSED)
        if (err == XE_OK) count(row_of(rows, &n, &rec), &rec);
    for (unsigned i = 0; i < n; i++) {
        char first[RFC3339_US_LEN + 1], last[RFC3339_US_LEN + 1];
        rfc3339_us(rows[i].first_us, first);
        rfc3339_us(rows[i].last_us, last);
        printf("%s %s connections=%" PRIu64 " frames=%" PRIu64 " bytes=%" PRIu64 " lost=%" PRIu64 " from=%s to=%s\n", rows[i].venue, rows[i].protocol,
               rows[i].connections, rows[i].frames, rows[i].bytes, rows[i].lost, first, last);
    }
    const jread_stats_t *s = jread_stats(r);
    printf("files=%" PRIu64 " blocks=%" PRIu64 " records=%" PRIu64 " raw_bytes=%" PRIu64 " packed_bytes=%" PRIu64 " holes=%" PRIu64
           " skipped_bytes=%" PRIu64 " torn_bytes=%" PRIu64 "\n", s->files, s->blocks, s->records, s->raw_bytes, s->packed_bytes, s->holes,
           s->skipped_bytes, s->torn_bytes);
    jread_close(r);
    return REPLAY_DONE;
}
