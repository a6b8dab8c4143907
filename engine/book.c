/* A side is one run of levels inside an array twice as long as the capacity, worst first, best at the end. Changes near
 * the touch move a few levels at the end; a snapshot sorted either way grows the run at one end. Searches gallop from
 * the best level, since that is where the market moves. Removal and insertion move the shorter part of the run. */
#include "engine/book.h"

#include <stdlib.h>
#include <string.h>

#include "engine/u256.h"

typedef struct {
    level_t *at;      /* 2 * cap slots */
    size_t head, n;   /* levels are at[head .. head+n) */
    bool ascending;   /* bids: the best price is the highest */
} lside_t;

struct book {
    size_t cap;
    lside_t side[2];
    bool open, seen_snapshot, good;
    book_stats_t stats;
};

book_t *book_new(size_t levels_per_side)
{
    if (levels_per_side == 0 || levels_per_side > SIZE_MAX / (4 * sizeof(level_t))) return NULL;
    book_t *b = calloc(1, sizeof *b);
    if (!b) return NULL;
    b->cap = levels_per_side;
    for (int s = 0; s < 2; s++) {
        b->side[s].at = calloc(2 * levels_per_side, sizeof(level_t));
        b->side[s].ascending = s == SIDE_BID;
    }
    if (!b->side[0].at || !b->side[1].at) {
        book_free(b);
        return NULL;
    }
    book_clear(b);
    return b;
}

void book_free(book_t *b)
{
    if (!b) return;
    free(b->side[0].at);
    free(b->side[1].at);
    free(b);
}

static void forget(book_t *b)
{
    for (int s = 0; s < 2; s++) {
        b->side[s].n = 0;
        b->side[s].head = b->cap / 2;
    }
    b->seen_snapshot = false;
    b->good = false;
}

void book_clear(book_t *b)
{
    forget(b);
    b->open = false;
}

void book_begin(book_t *b, bool snapshot)
{
    if (snapshot) {
        forget(b);
        b->seen_snapshot = true;
        b->stats.snapshots++;
    }
    b->good = false;
    b->open = true;
}

/* True when a is worse than b, which is where it stands in the run: before it. */
static inline bool worse(const lside_t *s, i128_t a, i128_t b)
{
    return s->ascending ? a < b : a > b;
}

/* Number of levels worse than px: the place of px in the run. */
static size_t place_of(const lside_t *s, i128_t px)
{
    const level_t *run = s->at + s->head;
    size_t hi = s->n, step = 1;
    if (hi == 0 || !worse(s, px, run[hi - 1].px.raw)) {
        return hi > 0 && run[hi - 1].px.raw == px ? hi - 1 : hi;
    }
    if (!worse(s, run[0].px.raw, px)) return 0;
    hi--;                                         /* run[hi] is not worse than px */
    size_t lo = hi;
    while (lo > 0 && !worse(s, run[lo].px.raw, px)) {
        hi = lo;
        lo = lo > step ? lo - step : 0;
        step *= 2;
    }
    while (hi - lo > 1) {                         /* run[lo] is worse, run[hi] is not */
        size_t mid = lo + (hi - lo) / 2;
        if (worse(s, run[mid].px.raw, px)) lo = mid;
        else hi = mid;
    }
    return hi;
}

/* Puts the run into the middle of the array when it has reached an end. */
static void centre(lside_t *s, size_t slots)
{
    size_t head = (slots - s->n) / 2;
    memmove(s->at + head, s->at + s->head, s->n * sizeof(level_t));
    s->head = head;
}

static void insert_at(lside_t *s, size_t slots, size_t i, const level_t *lv)
{
    bool front = i < s->n / 2;
    if (front ? s->head == 0 : s->head + s->n == slots) centre(s, slots);
    level_t *run = s->at + s->head;
    if (front) {
        memmove(run - 1, run, i * sizeof(level_t));
        s->head--;
    } else {
        memmove(run + i + 1, run + i, (s->n - i) * sizeof(level_t));
    }
    s->n++;
    s->at[s->head + i] = *lv;
}

static void remove_at(lside_t *s, size_t i)
{
    level_t *run = s->at + s->head;
    if (i < s->n / 2) {
        memmove(run + 1, run, i * sizeof(level_t));
        s->head++;
    } else {
        memmove(run + i, run + i + 1, (s->n - i - 1) * sizeof(level_t));
    }
    s->n--;
}

static xerr_t apply_one(book_t *b, const chg_t *c)
{
    if (c->lv.px.raw <= 0 || c->lv.qty.raw < 0 || c->side > SIDE_ASK) {
        b->stats.refused_levels++;
        return XE_OK;
    }
    lside_t *s = &b->side[c->side];
    size_t i = place_of(s, c->lv.px.raw);
    level_t *there = s->at + s->head + i;
    bool present = i < s->n && there->px.raw == c->lv.px.raw;
    b->stats.changes++;
    if (c->lv.qty.raw == 0) {
        if (present) remove_at(s, i);
        else b->stats.removed_absent++;
    } else if (present) {
        there->qty = c->lv.qty;
    } else {
        if (s->n == b->cap) return XE_FULL;
        insert_at(s, 2 * b->cap, i, &c->lv);
    }
    return XE_OK;
}

xerr_t book_apply(book_t *b, const chg_t *c, size_t n)
{
    if (!b->open || !b->seen_snapshot) return XE_STALE;
    for (size_t i = 0; i < n; i++) {
        if (apply_one(b, &c[i]) == XE_FULL) {
            forget(b);
            return XE_FULL;
        }
    }
    return XE_OK;
}

xerr_t book_end(book_t *b)
{
    b->open = false;
    b->stats.messages++;
    if (!b->seen_snapshot) return XE_STALE;
    const level_t *bid = book_level(b, SIDE_BID, 0);
    const level_t *ask = book_level(b, SIDE_ASK, 0);
    if (bid && ask && bid->px.raw >= ask->px.raw) {
        b->stats.crossed++;
        forget(b);
        return XE_CROSSED;
    }
    b->good = true;
    return XE_OK;
}

bool book_good(const book_t *b) { return b->good; }

size_t book_depth(const book_t *b, side_t s) { return b->side[s].n; }

const level_t *book_level(const book_t *b, side_t s, size_t i)
{
    const lside_t *l = &b->side[s];
    return i < l->n ? l->at + l->head + l->n - 1 - i : NULL;
}

const book_stats_t *book_stats(const book_t *b) { return &b->stats; }

xerr_t book_walk(const book_t *b, side_t s, qty_t qty, fill_t *out)
{
    if (!b->good) return XE_STALE;
    if (qty.raw <= 0) return XE_BAD_INPUT;
    u256_t sum = u256_of(0);
    i128_t left = qty.raw;
    fill_t f = {0};
    for (size_t i = 0; left > 0; i++) {
        const level_t *lv = book_level(b, s, i);
        if (!lv) return XE_DEPTH;
        i128_t take = lv->qty.raw < left ? lv->qty.raw : left;
        if (!u256_add(sum, u256_mul((u128_t)lv->px.raw, (u128_t)take), &sum)) return XE_RANGE;
        if (i == 0) f.touch = lv->px;
        f.worst = lv->px;
        f.levels++;
        left -= take;
    }
    u128_t v;
    if (!u256_div_to_128(sum, u256_of(USD_OF_DIVISOR), s == SIDE_ASK, &v) || v > INT64_MAX) return XE_RANGE;
    f.value.raw = (int64_t)v;
    *out = f;
    return XE_OK;
}
