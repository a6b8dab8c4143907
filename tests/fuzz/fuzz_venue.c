/* Venue frames: the first byte chooses protocol and slice, lines are frames of one connection. The same input is read
 * whole and in the smallest slices, which must come to the same books. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/books.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static int64_t ticking;
static int64_t clock_of_slices(void) { return ticking += 1000; }

typedef struct {
    vp_t *vp;
    books_t *books;
} desk_t;

static desk_t desk(const venue_ops_t *ops, bool adopt)
{
    desk_t d = {.books = books_new()};
    d.vp = vp_new(ops, books_door(d.books), clock_of_slices);
    if (!d.vp) abort();
    d.vp->adopt = adopt;
    if (!adopt && (vp_market_add(d.vp, "SOL-USD", 0) || vp_market_add(d.vp, "SOLUSD", 1))) abort();
    return d;
}

static void play(desk_t *d, span_t text, int64_t budget)
{
    while (text.n) {
        const char *nl = memchr(text.p, '\n', text.n);
        size_t len = nl ? (size_t)(nl - text.p) : text.n;
        vp_frame(d->vp, span_make(text.p, len), 1, 1);
        while (vp_run(d->vp, budget) == VP_MORE) {
        }
        if (d->vp->reconnect) vp_reset(d->vp);
        text = span_make(text.p + len + (nl != NULL), text.n - len - (nl != NULL));
    }
}

static void same(const desk_t *a, const desk_t *b)
{
    if (a->vp->mkts_n != b->vp->mkts_n) abort();
    for (unsigned i = 0; i < a->vp->mkts_n; i++) {
        const book_t *x = books_get(a->books, (inst_t)i), *y = books_get(b->books, (inst_t)i);
        uint8_t dx[32], dy[32];
        if (!x != !y) abort();
        if (!x) continue;
        book_digest(x, dx);
        book_digest(y, dy);
        if (memcmp(dx, dy, 32) != 0) abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const venue_ops_t *const *ops = venue_protocols;
    unsigned ops_n = 0;
    while (ops[ops_n]) ops_n++;
    if (n == 0) return 0;
    span_t text = span_make((const char *)data + 1, n - 1);
    desk_t whole = desk(ops[data[0] % ops_n], data[0] & 64), sliced = desk(ops[data[0] % ops_n], data[0] & 64);
    play(&whole, text, 0);
    play(&sliced, text, 1);
    same(&whole, &sliced);
    vp_free(whole.vp);
    vp_free(sliced.vp);
    books_free(whole.books);
    books_free(sliced.books);
    return 0;
}
