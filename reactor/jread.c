#include "reactor/jread.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "reactor/jfile.h"
#include "reactor/journal.h"

#define NAME_MAX_LEN 48
#define READ_CHUNK 65536

typedef struct {
    char venue[NAME_MAX_LEN], protocol[NAME_MAX_LEN];
    uint64_t conn;
    bool known;
} chan_t;

struct jread {
    char **paths;
    size_t paths_n, next_path;
    FILE *in;
    uint64_t run, number;    /* of the file at hand; number: of the next block */
    bool numbered, gap;      /* a block of this run was seen; a hole is to be told */
    buf_t packed, raw;
    size_t at;               /* in raw */
    chan_t chans[JOURNAL_CHANNELS_MAX];
    jread_stats_t st;
};

static bool is_dir(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static xerr_t head_of(const char *path, uint64_t *run)
{
    uint8_t head[JB_FILE_HEAD];
    FILE *f = fopen(path, "rb");
    if (!f) return XE_NOT_FOUND;
    size_t n = fread(head, 1, sizeof head, f);
    fclose(f);
    return jb_file_check(span_make((char *)head, n), run);
}

bool jread_is_journal(const char *path)
{
    uint64_t run;
    xerr_t err = is_dir(path) ? XE_OK : head_of(path, &run);
    return err == XE_OK || err == XE_UNSUPPORTED;
}

static void add_path(jread_t *r, const char *dir, const char *name)
{
    size_t n = (dir ? strlen(dir) + 1 : 0) + strlen(name) + 1;
    char *p = malloc(n);
    XASSERT(p != NULL);
    snprintf(p, n, "%s%s%s", dir ? dir : "", dir ? "/" : "", name);
    r->paths[r->paths_n++] = p;
}

static xerr_t add_dir(jread_t *r, const char *dir)
{
    jf_entry_t *list;
    size_t n;
    xerr_t err = jf_list(dir, &list, &n);
    if (err) return err;
    r->paths = calloc(n + 1, sizeof *r->paths);
    XASSERT(r->paths != NULL);
    for (size_t i = 0; i < n; i++) add_path(r, dir, list[i].name);
    free(list);
    return n ? XE_OK : XE_NOT_FOUND;
}

static xerr_t add_file(jread_t *r, const char *path)
{
    uint64_t run;
    xerr_t err = head_of(path, &run);
    r->paths = calloc(1, sizeof *r->paths);
    XASSERT(r->paths != NULL);
    if (!err) add_path(r, NULL, path);
    return err;
}

xerr_t jread_open(const char *path, jread_t **out)
{
    jread_t *r = calloc(1, sizeof *r);
    XASSERT(r != NULL);
    buf_init(&r->packed, 2u * JB_RAW_MAX);
    buf_init(&r->raw, JB_RAW_MAX);
    xerr_t err = is_dir(path) ? add_dir(r, path) : add_file(r, path);
    if (err) {
        jread_close(r);
        return err;
    }
    *out = r;
    return XE_OK;
}

void jread_close(jread_t *r)
{
    if (!r) return;
    if (r->in) fclose(r->in);
    for (size_t i = 0; i < r->paths_n; i++) free(r->paths[i]);
    free(r->paths);
    buf_fini(&r->packed);
    buf_fini(&r->raw);
    free(r);
}

const jread_stats_t *jread_stats(const jread_t *r) { return &r->st; }

/* ---- blocks ---- */

static bool read_packed(jread_t *r, size_t n)
{
    char chunk[READ_CHUNK];
    buf_reset(&r->packed);
    while (n) {
        size_t want = n < sizeof chunk ? n : sizeof chunk, got = fread(chunk, 1, want, r->in);
        buf_add(&r->packed, chunk, got);
        if (got < want) return false;
        n -= want;
    }
    return !r->packed.failed;
}

/* The block that begins at offset `from`. False: there is none. */
static bool block_at(jread_t *r, long from, jb_head_t *h)
{
    uint8_t head[JB_HEAD];
    if (fseek(r->in, from, SEEK_SET) != 0 || fread(head, 1, sizeof head, r->in) != sizeof head || jb_head_parse(head, h)) return false;
    return read_packed(r, h->packed_n) && jb_packed_ok(h, buf_span(&r->packed)) && jb_unpack(h, buf_span(&r->packed), &r->raw) == XE_OK;
}

/* Offset of the next place that looks like a block, -1: none. */
static long search(jread_t *r, long from)
{
    static const char magic[] = "XJB1";
    int c, hit = 0;
    if (fseek(r->in, from, SEEK_SET) != 0) return -1;
    for (long at = from; (c = getc(r->in)) != EOF; at++) {
        hit = c == magic[hit] ? hit + 1 : c == magic[0];
        if (hit == 4) return at - 3;
    }
    return -1;
}

/* Behind a broken place: the next whole block; what lies between is skipped, or torn when nothing follows. */
static bool find_block(jread_t *r, long from, jb_head_t *h)
{
    for (long at = search(r, from + 1); at >= 0; at = search(r, at + 1)) {
        if (!block_at(r, at, h)) continue;
        r->st.skipped_bytes += (uint64_t)(at - from);
        return true;
    }
    fseek(r->in, 0, SEEK_END);
    r->st.torn_bytes += (uint64_t)(ftell(r->in) - from);
    return false;
}

static bool at_end(FILE *in)
{
    int c = getc(in);
    if (c != EOF) ungetc(c, in);
    return c == EOF;
}

static bool next_block(jread_t *r)
{
    jb_head_t h;
    long from = ftell(r->in);
    if (at_end(r->in)) return false;
    if (!block_at(r, from, &h) && !find_block(r, from, &h)) {
        buf_reset(&r->raw);
        return false;
    }
    if (r->numbered && h.number != r->number) r->gap = true;
    r->numbered = true;
    r->number = h.number + 1;
    r->at = 0;
    r->st.blocks++;
    r->st.raw_bytes += h.raw_n;
    r->st.packed_bytes += h.packed_n;
    return true;
}

static bool next_file(jread_t *r)
{
    uint8_t head[JB_FILE_HEAD];
    uint64_t run;
    if (r->in) fclose(r->in);
    r->in = NULL;
    while (r->next_path < r->paths_n) {
        r->in = fopen(r->paths[r->next_path++], "rb");
        if (!r->in) {
            r->gap = true; /* removed meanwhile, or not ours to read */
            continue;
        }
        size_t n = fread(head, 1, sizeof head, r->in);
        if (jb_file_check(span_make((char *)head, n), &run) == XE_OK) break;
        r->st.torn_bytes += n;
        fclose(r->in);
        r->in = NULL;
    }
    if (!r->in) return false;
    r->st.files++;
    if (run != r->run) {
        memset(r->chans, 0, sizeof r->chans);
        r->numbered = false;
    }
    r->run = run;
    return true;
}

/* ---- records ---- */

static bool take_name(span_t *text, char out[NAME_MAX_LEN])
{
    const char *end = memchr(text->p, 0, text->n);
    size_t n = end ? (size_t)(end - text->p) : 0;
    if (!end || n >= NAME_MAX_LEN) return false;
    memcpy(out, text->p, n + 1);
    *text = span_make(end + 1, text->n - n - 1);
    return true;
}

static bool take_number(span_t text, uint64_t *out)
{
    *out = 0;
    if (text.n == 0 || text.n > 19) return false;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '9') return false;
        *out = *out * 10 + (uint64_t)(text.p[i] - '0');
    }
    return true;
}

static bool learn(jread_t *r, const jr_t *j)
{
    chan_t c = {.known = true};
    span_t text = j->text;
    if (j->chan >= JOURNAL_CHANNELS_MAX || !take_name(&text, c.venue) || !take_name(&text, c.protocol) || !take_number(text, &c.conn)) return false;
    r->chans[j->chan] = c;
    return true;
}

/* The next record of the block at hand; XE_CLOSED: it has no more. A block whose checksum is right and whose records
 * are not was written by something else: the rest of it counts as a hole. */
static xerr_t next_record(jread_t *r, jrec_t *out)
{
    jr_t j;
    xerr_t err;
    while ((err = jr_next(buf_span(&r->raw), &r->at, &j)) == XE_OK) {
        if (j.kind == JR_CHANNEL ? !learn(r, &j) : j.chan >= JOURNAL_CHANNELS_MAX || !r->chans[j.chan].known) {
            err = XE_BAD_INPUT;
            break;
        }
        if (j.kind == JR_CHANNEL) continue;
        const chan_t *c = &r->chans[j.chan];
        *out = (jrec_t){.kind = j.kind, .venue = c->venue, .protocol = c->protocol, .chan = j.chan, .conn = c->conn, .run = r->run,
                        .mono_ns = j.mono_ns, .wall_us = j.wall_us, .text = j.text};
        r->st.records++;
        return XE_OK;
    }
    if (err == XE_BAD_INPUT) r->gap = true;
    buf_reset(&r->raw);
    r->at = 0;
    return XE_CLOSED;
}

xerr_t jread_next(jread_t *r, jrec_t *out)
{
    for (;;) {
        if (r->gap) {
            r->gap = false;
            r->st.holes++;
            return XE_GAP;
        }
        if (r->raw.n && next_record(r, out) == XE_OK) return XE_OK;
        if (r->gap) continue;
        if (r->in && next_block(r)) continue;
        if (!next_file(r)) return XE_CLOSED;
    }
}
