#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/crypto.h"
#include "reactor/http_internal.h"
#include "reactor/log.h"

#define KEEP_REQS 1024
#define ARENA_MAX (1024 * 1024)

/* A block given past the arena's ceiling: the request fails, the program goes on. */
typedef struct spill {
    struct spill *next;
    max_align_t data[];
} spill_t;

static req_t *req_get(http_t *h)
{
    req_t *r = h->free_reqs;
    if (r) {
        h->free_reqs = r->next;
        h->n_free_reqs--;
    } else if (!(r = malloc(sizeof *r))) {
        return NULL;
    }
    memset(r, 0, offsetof(req_t, id));
    r->id[0] = r->client[0] = 0;
    return r;
}

static void req_put(http_t *h, req_t *r)
{
#ifndef XORJ_ASAN
    if (h->n_free_reqs < KEEP_REQS) {
        r->next = h->free_reqs;
        h->free_reqs = r;
        h->n_free_reqs++;
        return;
    }
#endif
    free(r);
}

/* The bytes of the head move into the request: whoever keeps a span of them keeps the request. */
static bool keep_head(req_t *r, const http_head_t *head, const char *text)
{
    r->head = *head;
    r->head.fields = r->fields;
    r->text = r->text_in;
    if (head->size > INLINE_HEAD && !(r->text = malloc(head->size))) return false;
    if (head->n_fields > INLINE_FIELDS && !(r->head.fields = malloc(head->n_fields * sizeof *r->head.fields)))
        return false;
    memcpy(r->text, text, head->size);
    memcpy(r->head.fields, head->fields, head->n_fields * sizeof *r->head.fields);
    return true;
}

static void take_id(req_t *r)
{
    span_t v = req_field(r, HF_REQUEST_ID);
    if (v.n < 1 || v.n > REQ_ID_MAX) return;
    for (size_t i = 0; i < v.n; i++) {
        unsigned char c = (unsigned char)v.p[i];
        if (!isalnum(c) && c != '.' && c != '_' && c != '-') return;
    }
    memcpy(r->id, v.p, v.n);
    r->id[v.n] = 0;
    r->id_n = (uint8_t)v.n;
    r->id_made = true;
}

static void req_free(req_t *r)
{
    http_t *h = r->h;
    if (r->text != r->text_in) free(r->text);
    if (r->head.fields != r->fields) free(r->head.fields);
    free(r->body);
    h->body_bytes -= r->body_share;
    free(r->extra);
    if (r->arena) arena_free(r->arena);
    for (spill_t *s = r->spill; s;) {
        spill_t *next = s->next;
        free(s);
        s = next;
    }
    outq_clear(&r->out, &h->chunks);
    dl_clear(&r->deadline);
    req_put(h, r);
    h->live_reqs--;
    http_maybe_free(h);
}

req_t *req_new(http_t *h, conn_t *c, const http_head_t *head, const char *text)
{
    req_t *r = req_get(h);
    if (!r) return NULL;
    r->h = h;
    r->conn = c;
    r->refs = 1;
    r->body_max = h->conf.body_max;
    r->start_ns = loop_now_ns(h->l);
    r->trusted = c->trusted;
    memcpy(r->peer, c->peer, ADDR_TEXT);
    h->live_reqs++;
    r->text = r->text_in;
    r->head.fields = r->fields;
    r->internal = head == NULL;
    if (head && !keep_head(r, head, text)) {
        req_free(r);
        return NULL;
    }
    if (head) take_id(r);
    return r;
}

req_t *req_hold(req_t *r)
{
    r->refs++;
    return r;
}

void req_drop(req_t *r)
{
    XASSERT(r->refs > 0);
    if (--r->refs == 0) req_free(r);
}

/* Handlers may still read the request after they answered it, so the server lets go at the end of the turn. */
void req_finish(req_t *r)
{
    r->conn = NULL;
    r->next = r->h->done;
    r->h->done = r;
    wake_after(r->h->l, r->h->flush_turn);
}

void req_release_done(http_t *h)
{
    while (h->done) {
        req_t *r = h->done;
        h->done = r->next;
        r->next = NULL;
        req_drop(r);
    }
}

/* ---- identity ----------------------------------------------------------------------------------------------------- */

static uint64_t mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* A version 4 UUID from a seeded counter: unique, not secret, and no system call for each request. */
void req_fill_id(req_t *r)
{
    static const char hex[] = "0123456789abcdef";
    http_t *h = r->h;
    if (r->id_made) return;
    uint64_t n = h->id_count++;
    uint64_t half[2] = {mix(h->id_seed ^ mix(n)), mix(~h->id_seed + mix(n ^ 0x5851f42d4c957f2du))};
    char *w = r->id;
    for (unsigned i = 0; i < 32; i++) {
        if (i == 8 || i == 12 || i == 16 || i == 20) *w++ = '-';
        unsigned v = (unsigned)(half[i / 16] >> (60 - 4 * (i % 16))) & 15;
        if (i == 12) v = 4;
        if (i == 16) v = 8 | (v & 3);
        *w++ = hex[v];
    }
    *w = 0;
    r->id_n = 36;
    r->id_made = true;
}

const char *req_id(const req_t *r)
{
    req_t *w = (req_t *)(uintptr_t)r; /* made on first sight */
    req_fill_id(w);
    return r->id;
}

/* The list of a field that may come several times, last entry first. False: no more. */
static bool forwarded_before(const req_t *r, size_t *field, size_t *end, span_t *out)
{
    while (*field > 0) {
        const http_field_t *f = &r->head.fields[*field - 1];
        span_t name = {r->text + f->name, f->name_n};
        if (*end == 0 || name.n != 15 || !http_ieq(name, "x-forwarded-for")) {
            (*field)--;
            *end = SIZE_MAX;
            continue;
        }
        const char *v = r->text + f->value;
        size_t to = *end == SIZE_MAX ? f->value_n : *end - 1, from = to;
        while (from > 0 && v[from - 1] != ',') from--;
        *end = from;
        while (from < to && (v[from] == ' ' || v[from] == '\t')) from++;
        while (to > from && (v[to - 1] == ' ' || v[to - 1] == '\t')) to--;
        *out = (span_t){v + from, to - from};
        return true;
    }
    return false;
}

/* X-Forwarded-For read from its end: the first address that is no trusted proxy; the peer when an entry cannot be read. */
static void resolve_client(req_t *r)
{
    uint8_t addr[16];
    memcpy(r->client, r->peer, ADDR_TEXT);
    if (!r->trusted || !r->head.known[HF_FORWARDED]) return;
    size_t field = r->head.n_fields, end = SIZE_MAX;
    span_t entry;
    char text[ADDR_TEXT] = "";
    while (forwarded_before(r, &field, &end, &entry)) {
        if (!addr_parse(entry, addr)) return;
        addr_text(addr, text);
        if (!addr_trusted(r->h, addr)) break;
    }
    if (text[0]) memcpy(r->client, text, ADDR_TEXT);
}

const char *req_client_addr(const req_t *r)
{
    if (!r->client[0]) resolve_client((req_t *)(uintptr_t)r);
    return r->client;
}

/* ---- reading ------------------------------------------------------------------------------------------------------ */

method_t req_method(const req_t *r)
{
    return r->head.method;
}
span_t req_path(const req_t *r)
{
    return (span_t){r->text + r->head.path, r->head.path_n};
}
span_t req_query(const req_t *r)
{
    return (span_t){r->text + r->head.query, r->head.query_n};
}
span_t req_body(const req_t *r)
{
    return (span_t){r->body ? r->body : "", r->body_n};
}
void *req_user(const req_t *r)
{
    return r->user;
}
void req_set_user(req_t *r, void *p)
{
    r->user = p;
}
bool req_answered(const req_t *r)
{
    return r->answered;
}

span_t req_field(const req_t *r, http_known_t k)
{
    if (!r->head.known[k]) return (span_t){"", 0};
    const http_field_t *f = &r->head.fields[r->head.known[k] - 1];
    return (span_t){r->text + f->value, f->value_n};
}

bool req_header(const req_t *r, const char *name, span_t *out)
{
    size_t n = strlen(name);
    for (size_t i = 0; i < r->head.n_fields; i++) {
        const http_field_t *f = &r->head.fields[i];
        if (f->name_n != n || !http_ieq((span_t){r->text + f->name, n}, name)) continue;
        *out = (span_t){r->text + f->value, f->value_n};
        return true;
    }
    return false;
}

unsigned req_header_count(const req_t *r, const char *name)
{
    unsigned n = 0;
    for (size_t i = 0; i < r->head.n_fields; i++) {
        const http_field_t *f = &r->head.fields[i];
        n += http_ieq((span_t){r->text + f->name, f->name_n}, name);
    }
    return n;
}

static int hex_of(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* Percent escapes and '+'. A decoded control byte is refused: no parameter of ours holds one. */
static xerr_t unescape(req_t *r, span_t in, span_t *out)
{
    char *w = req_alloc(r, in.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < in.n; i++) {
        char c = in.p[i] == '+' ? ' ' : in.p[i];
        if (c == '%') {
            int hi = i + 2 < in.n ? hex_of(in.p[i + 1]) : -1;
            int lo = i + 2 < in.n ? hex_of(in.p[i + 2]) : -1;
            if (hi < 0 || lo < 0) return XE_BAD_INPUT;
            c = (char)(hi << 4 | lo);
            i += 2;
        }
        if ((unsigned char)c < 0x20 || c == 0x7f) return XE_BAD_INPUT;
        w[n++] = c;
    }
    w[n] = 0;
    *out = (span_t){w, n};
    return XE_OK;
}

xerr_t req_param(req_t *r, const char *name, span_t *out)
{
    span_t q = req_query(r), found = {NULL, 0};
    bool seen = false;
    for (size_t at = 0; at < q.n;) {
        const char *amp = memchr(q.p + at, '&', q.n - at);
        size_t end = amp ? (size_t)(amp - q.p) : q.n;
        const char *eq = memchr(q.p + at, '=', end - at);
        size_t name_end = eq ? (size_t)(eq - q.p) : end;
        span_t key;
        if (unescape(r, (span_t){q.p + at, name_end - at}, &key)) return XE_BAD_INPUT;
        if (span_is(key, name)) {
            if (seen) return XE_BAD_INPUT;
            seen = true;
            found = eq ? (span_t){eq + 1, end - name_end - 1} : (span_t){"", 0};
        }
        at = end + 1;
    }
    return seen ? unescape(r, found, out) : XE_NOT_FOUND;
}

/* ---- memory and time ---------------------------------------------------------------------------------------------- */

arena_t *req_arena(req_t *r)
{
    if (!r->arena) r->arena = arena_new(r->h->arenas, ARENA_MAX);
    XASSERT(r->arena);
    return r->arena;
}

void *req_alloc(req_t *r, size_t n)
{
    void *p = arena_alloc(req_arena(r), n);
    if (p) return p;
    r->oom = true;
    spill_t *s = malloc(sizeof *s + n);
    XASSERT(s);
    s->next = r->spill;
    r->spill = s;
    return s->data;
}

void req_limit_body(req_t *r, size_t max)
{
    if (max < r->body_max) r->body_max = max;
}

/* One list for each length of time asked for; past the eighth, the nearest longer one (or the longest) serves. */
static dl_list_t *list_for(http_t *h, int64_t ms)
{
    dl_list_t *best = NULL;
    for (unsigned i = 0; i < h->n_req_lists; i++) {
        dl_list_t *l = &h->reqs[i];
        if (l->ns == ms * 1000000) return l;
        bool longer = l->ns > ms * 1000000;
        if (!best || (longer && (best->ns < ms * 1000000 || l->ns < best->ns)) ||
            (!longer && best->ns < ms * 1000000 && l->ns > best->ns))
            best = l;
    }
    if (h->n_req_lists == REQ_LISTS) return best;
    best = &h->reqs[h->n_req_lists++];
    dl_init(best, ms);
    return best;
}

void req_set_deadline(req_t *r, int64_t ms)
{
    if (!r->answered && ms > 0) dl_set(list_for(r->h, ms), &r->deadline, loop_now_ns(r->h->l));
}

void req_expired(req_t *r)
{
    bool read = r->head.method == M_GET || r->head.method == M_HEAD;
    dl_clear(&r->deadline);
    ctr_inc(r->h->c_timeouts);
    req_error(r, read ? 504 : 503, read ? "TIMEOUT" : "STORAGE_UNAVAILABLE", "the request took too long", NULL, read ? 0 : 1);
}
