#include "connectors/books.h"

#include <stdlib.h>

#include "base/codec.h"
#include "base/crypto.h"

#define BOOK_FIRST_CAP 4096
#define TOP_LEVELS 10

typedef struct {
    book_t *book;
    size_t cap;
} slot_t;

struct books {
    slot_t *slots;
    size_t n;
    uint64_t faults;
};

books_t *books_new(void) { return calloc(1, sizeof(books_t)); }

void books_free(books_t *b)
{
    if (!b) return;
    for (size_t i = 0; i < b->n; i++) book_free(b->slots[i].book);
    free(b->slots);
    free(b);
}

const book_t *books_get(const books_t *b, inst_t i)
{
    return i >= 0 && (size_t)i < b->n ? b->slots[i].book : NULL;
}

uint64_t books_faults(const books_t *b) { return b->faults; }

static slot_t *slot_of(books_t *b, inst_t i)
{
    XASSERT(i >= 0);
    if ((size_t)i >= b->n) {
        size_t n = (size_t)i + 16;
        b->slots = realloc(b->slots, n * sizeof(slot_t));
        XASSERT(b->slots != NULL);
        memset(b->slots + b->n, 0, (n - b->n) * sizeof(slot_t));
        b->n = n;
    }
    return &b->slots[i];
}

static void copy_side(book_t *to, const book_t *from, side_t s)
{
    for (size_t i = 0; i < book_depth(from, s); i++) {
        chg_t c = {.side = (uint8_t)s, .lv = *book_level(from, s, i)};
        (void)book_apply(to, &c, 1);
    }
}

/* Room for n more levels on either side. The copy goes on as an open message, as the original was. */
static void reserve(slot_t *s, size_t n)
{
    size_t bids = book_depth(s->book, SIDE_BID), asks = book_depth(s->book, SIDE_ASK);
    size_t need = (bids > asks ? bids : asks) + n, cap = s->cap;
    if (need <= cap) return;
    while (cap < need) cap *= 2;
    book_t *wide = book_new(cap);
    XASSERT(wide != NULL);
    book_begin(wide, true);
    copy_side(wide, s->book, SIDE_BID);
    copy_side(wide, s->book, SIDE_ASK);
    book_free(s->book);
    s->book = wide;
    s->cap = cap;
}

static void begin(slot_t *s, bool snapshot)
{
    if (!s->book && snapshot) {
        s->cap = BOOK_FIRST_CAP;
        s->book = book_new(s->cap);
        XASSERT(s->book != NULL);
    }
    if (s->book) book_begin(s->book, snapshot);
}

static void levels(slot_t *s, const chg_t *c, uint32_t n)
{
    if (!s->book) return;
    reserve(s, n);
    (void)book_apply(s->book, c, n);
}

static void on_event(void *ctx, const ev_t *ev)
{
    books_t *b = ctx;
    if (ev->inst < 0) return;
    slot_t *s = slot_of(b, ev->inst);
    switch (ev->kind) {
    case EV_BOOK_BEGIN:
        begin(s, ev->u.begin.snapshot);
        break;
    case EV_BOOK_LEVELS:
        levels(s, ev->u.levels.c, ev->u.levels.n);
        break;
    case EV_BOOK_END:
        if (s->book && book_end(s->book) == XE_CROSSED) b->faults++;
        break;
    case EV_BOOK_BAD:
        b->faults++;
        if (s->book) book_clear(s->book);
        break;
    default:
        break;
    }
}

door_t books_door(books_t *b) { return (door_t){on_event, b}; }

static void digest_side(sha256_ctx_t *h, const book_t *b, side_t side)
{
    char line[2 * DEC_TEXT_MAX + 8];
    for (size_t i = 0; i < book_depth(b, side); i++) {
        const level_t *lv = book_level(b, side, i);
        size_t n = 0;
        line[n++] = side == SIDE_BID ? 'b' : 'a';
        line[n++] = ' ';
        n += dec_text(lv->px.raw, line + n, DEC_TEXT_MAX);
        line[n++] = ' ';
        n += dec_text(lv->qty.raw, line + n, DEC_TEXT_MAX);
        line[n++] = '\n';
        sha256_add(h, line, n);
    }
}

void book_digest(const book_t *b, uint8_t out[32])
{
    sha256_ctx_t *h = sha256_new();
    digest_side(h, b, SIDE_BID);
    digest_side(h, b, SIDE_ASK);
    sha256_end_free(h, out);
}

static void json_top(const book_t *b, side_t side, jw_t *w)
{
    char text[DEC_TEXT_MAX];
    jw_arr(w);
    for (size_t i = 0; i < TOP_LEVELS && i < book_depth(b, side); i++) {
        const level_t *lv = book_level(b, side, i);
        jw_arr(w);
        dec_text(lv->px.raw, text, sizeof text);
        jw_cstr(w, text);
        dec_text(lv->qty.raw, text, sizeof text);
        jw_cstr(w, text);
        jw_end(w);
    }
    jw_end(w);
}

void book_json(const book_t *b, jw_t *w)
{
    uint8_t sum[32];
    char hex[65];
    book_digest(b, sum);
    hex_encode(sum, 32, hex);
    jw_obj(w);
    jw_key(w, "bid_levels");
    jw_u64(w, book_depth(b, SIDE_BID));
    jw_key(w, "ask_levels");
    jw_u64(w, book_depth(b, SIDE_ASK));
    jw_key(w, "top_bids");
    json_top(b, SIDE_BID, w);
    jw_key(w, "top_asks");
    json_top(b, SIDE_ASK, w);
    jw_key(w, "book_sha256");
    jw_cstr(w, hex);
    jw_end(w);
}
