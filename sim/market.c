#include "sim/market.h"

#include <stdio.h>
#include <string.h>

#define ANCHOR (150 * MICRO)
#define FAIR_LOW (138 * MICRO)
#define FAIR_HIGH (162 * MICRO)
#define BTC_ANCHOR (65000 * MICRO)
#define STEPS_PER_S (1000 / MARKET_STEP_MS)
#define E8 100000000LL

static const mspec_t specs[BOOK_N] = {
    [BOOK_CB_SOL] = {"SOL-USD", 2, 8, 10000, 4, E8 / 2, 30 * E8, 320, 75},
    [BOOK_CB_BTC] = {"BTC-USD", 2, 8, 500000, 900, E8 / 1000, E8, 320, 25},
    [BOOK_GM_SOL] = {"solusd", 3, 6, 12000, 40, E8 / 2, 40 * E8, 280, 65},
    [BOOK_GM_USDC] = {"usdcusd", 5, 6, 20, 4, 500 * E8, 90000 * E8, 120, 15},
    [BOOK_GM_BTC] = {"btcusd", 2, 8, 800000, 1200, E8 / 1000, E8, 280, 20},
    [BOOK_BS_SOL] = {"solusd", 2, 8, 20000, 6, E8 / 2, 25 * E8, 240, 60},
    [BOOK_BS_BTC] = {"btcusd", 2, 8, 900000, 1500, E8 / 1000, E8, 240, 40},
};

static int64_t pow10i(unsigned n)
{
    int64_t v = 1;
    while (n--) v *= 10;
    return v;
}

static int64_t clampi(int64_t v, int64_t lo, int64_t hi)
{
    return v < lo ? lo : v > hi ? hi : v;
}

/* micro-dollars of one price step of the book */
static int64_t px_unit(const mbook_t *b)
{
    return MICRO / pow10i(b->spec->px_dec);
}

static int64_t random_qty(market_t *m, const mspec_t *s)
{
    int64_t step = pow10i(QTY_DEC - s->qty_dec);
    /* The smaller of two draws: small levels are common, large ones rare. */
    int64_t a = rng_range(&m->rng, s->qty_min, s->qty_max), b = rng_range(&m->rng, s->qty_min, s->qty_max);
    int64_t q = (a < b ? a : b) / step * step;
    return q ? q : step;
}

static void note(mbook_t *b, mside_t side, int64_t px, int64_t qty)
{
    for (unsigned i = 0; i < b->chg_n; i++) {
        if (b->chg[i].side == side && b->chg[i].lv.px == px) {
            b->chg[i].lv.qty = qty;
            return;
        }
    }
    b->chg[b->chg_n++] = (mchange_t){side, {px, qty}};
}

static bool room(const mbook_t *b)
{
    return b->chg_n < MBOOK_CHANGES - 4;
}

static void level_drop(mbook_t *b, mside_t side, unsigned i)
{
    mlevel_t *l = b->side[side];
    note(b, side, l[i].px, 0);
    memmove(l + i, l + i + 1, (b->n[side] - i - 1) * sizeof(*l));
    b->n[side]--;
}

/* Inserts or replaces; nothing happens when the side is full. */
static void level_put(mbook_t *b, mside_t side, int64_t px, int64_t qty)
{
    mlevel_t *l = b->side[side];
    unsigned i = 0;
    while (i < b->n[side] && (side == MSIDE_BID ? l[i].px > px : l[i].px < px)) i++;
    if (i == b->n[side] || l[i].px != px) {
        if (b->n[side] == MBOOK_LEVELS || px <= 0) return;
        memmove(l + i + 1, l + i, (b->n[side] - i) * sizeof(*l));
        b->n[side]++;
    }
    l[i] = (mlevel_t){px, qty};
    note(b, side, px, qty);
}

static void targets(const market_t *m, const mbook_t *b, int64_t *bid, int64_t *ask)
{
    int64_t unit = px_unit(b), mid = m->mid[b - m->book];
    *bid = (mid - b->spec->half_spread) / unit;
    *ask = (mid + b->spec->half_spread + unit - 1) / unit;
    if (*ask <= *bid) *ask = *bid + 1;
}

/* Moves the touch of both sides to where the price is now. */
static void follow(market_t *m, mbook_t *b)
{
    int64_t bid, ask;
    targets(m, b, &bid, &ask);
    while (b->n[MSIDE_BID] && b->side[MSIDE_BID][0].px > bid && room(b)) level_drop(b, MSIDE_BID, 0);
    while (b->n[MSIDE_ASK] && b->side[MSIDE_ASK][0].px < ask && room(b)) level_drop(b, MSIDE_ASK, 0);
    /* A jump with more removals than one update holds finishes in the next one; until then the far side stays back. */
    bool bid_done = !b->n[MSIDE_BID] || b->side[MSIDE_BID][0].px <= bid;
    bool ask_done = !b->n[MSIDE_ASK] || b->side[MSIDE_ASK][0].px >= ask;
    if (ask_done && (!b->n[MSIDE_BID] || b->side[MSIDE_BID][0].px < bid))
        level_put(b, MSIDE_BID, bid, random_qty(m, b->spec));
    if (bid_done && (!b->n[MSIDE_ASK] || b->side[MSIDE_ASK][0].px > ask))
        level_put(b, MSIDE_ASK, ask, random_qty(m, b->spec));
}

static void touch_one(market_t *m, mbook_t *b)
{
    mside_t side = rng_chance(&m->rng, 50) ? MSIDE_BID : MSIDE_ASK;
    if (b->n[side] < 8 || !room(b)) return;
    int64_t i1 = rng_range(&m->rng, 0, b->n[side] - 1), i2 = rng_range(&m->rng, 0, b->n[side] - 1);
    unsigned i = (unsigned)(i1 < i2 ? i1 : i2);
    int64_t px = b->side[side][i].px, what = rng_range(&m->rng, 0, 9);
    if (what < 2 && i) {
        level_drop(b, side, i);
    } else if (what < 5) {
        int64_t d = rng_range(&m->rng, 1, b->spec->gap_max);
        level_put(b, side, side == MSIDE_BID ? px - d : px + d, random_qty(m, b->spec));
    } else {
        level_put(b, side, px, random_qty(m, b->spec));
    }
}

static void keep_count(market_t *m, mbook_t *b, mside_t side)
{
    while (b->n[side] > b->spec->levels && room(b)) level_drop(b, side, b->n[side] - 1);
    while (b->n[side] < b->spec->levels - 8 && b->n[side] && room(b)) {
        int64_t px = b->side[side][b->n[side] - 1].px, d = rng_range(&m->rng, 1, b->spec->gap_max);
        if (side == MSIDE_BID && px <= d) return;
        level_put(b, side, side == MSIDE_BID ? px - d : px + d, random_qty(m, b->spec));
    }
}

static void maybe_trade(market_t *m, mbook_t *b)
{
    b->traded = rng_chance(&m->rng, 15) && b->n[MSIDE_BID] && b->n[MSIDE_ASK];
    if (!b->traded) return;
    int64_t step = pow10i(QTY_DEC - b->spec->qty_dec);
    b->trade.buy = rng_chance(&m->rng, 50);
    const mlevel_t *l = &b->side[b->trade.buy ? MSIDE_ASK : MSIDE_BID][0];
    b->trade.px = l->px;
    b->trade.qty = rng_range(&m->rng, 1, l->qty / step) * step;
    b->trade.id++;
}

static void book_update(market_t *m, mbook_t *b)
{
    b->chg_n = 0;
    follow(m, b);
    for (int64_t k = rng_range(&m->rng, 1, 3); k > 0; k--) touch_one(m, b);
    keep_count(m, b, MSIDE_BID);
    keep_count(m, b, MSIDE_ASK);
    maybe_trade(m, b);
}

static void next_due(market_t *m, mbook_t *b)
{
    b->due = rng_range(&m->rng, 50, 150) * 1000;
}

static void book_init(market_t *m, mbook_id_t id)
{
    mbook_t *b = &m->book[id];
    b->spec = &specs[id];
    do {
        b->chg_n = 0;
        follow(m, b);
        keep_count(m, b, MSIDE_BID);
        keep_count(m, b, MSIDE_ASK);
    } while (b->n[MSIDE_BID] < b->spec->levels - 8 || b->n[MSIDE_ASK] < b->spec->levels - 8);
    b->chg_n = 0;
    b->trade = (mtrade_t){b->side[MSIDE_BID][0].px, 100000000, false, 2840141000000000ULL + (uint64_t)id};
    next_due(m, b);
}

static void mids(market_t *m)
{
    const int64_t ref[BOOK_N] = {m->fair, m->btc, m->fair, m->basis, m->btc, m->fair, m->btc};
    for (unsigned i = 0; i < BOOK_N; i++) {
        int64_t wide = i == BOOK_GM_USDC ? 20 : i == BOOK_GM_SOL ? 300 : 150; /* millionths */
        m->noise[i] = clampi(m->noise[i] + rng_range(&m->rng, -wide / 10, wide / 10) - m->noise[i] / 64, -wide, wide);
        int64_t goal = ref[i] + ref[i] / MICRO * m->noise[i] + ref[i] % MICRO * m->noise[i] / MICRO;
        /* An exchange follows the common price with a lag of a few steps. */
        m->mid[i] = m->steps ? m->mid[i] + (goal - m->mid[i]) / 4 : goal;
    }
}

static void walk(market_t *m)
{
    m->fair = clampi(m->fair + rng_range(&m->rng, -6000, 6000) - (m->fair - ANCHOR) / 131072, FAIR_LOW, FAIR_HIGH);
    int64_t b = rng_range(&m->rng, -2000000, 2000000) - (m->btc - BTC_ANCHOR) / 131072;
    m->btc = clampi(m->btc + b, BTC_ANCHOR / 100 * 92, BTC_ANCHOR / 100 * 108);
    if (m->steps % 8 == 0) m->basis = clampi(m->basis + rng_range(&m->rng, -6, 6), 999500, 1000500);
}

/* The pool's course: calm, away to one side, some seconds there, arbitraged back. Lengths keep several openings a
 * minute and never more than a dozen seconds between the end of one and the next. */
static void drift_phase(market_t *m)
{
    m->drift = (drift_t)((m->drift + 1) % 4);
    int64_t ms = 0;
    switch (m->drift) {
    case DRIFT_CALM:
        ms = rng_range(&m->rng, 2500, 6000);
        m->dev_goal = rng_range(&m->rng, -800, 800);
        break;
    case DRIFT_AWAY:
        ms = rng_range(&m->rng, 1500, 3500);
        if (rng_chance(&m->rng, 70)) m->dev_sign = -m->dev_sign;
        m->dev_goal = m->dev_sign * rng_range(&m->rng, 16000, 34000);
        break;
    case DRIFT_HOLD: ms = rng_range(&m->rng, 1500, 5000); break;
    case DRIFT_BACK:
        ms = rng_range(&m->rng, 600, 1600);
        m->dev_goal = rng_range(&m->rng, -800, 800);
        break;
    }
    m->drift_left = ms / MARKET_STEP_MS;
}

static void drift(market_t *m)
{
    if (m->drift_left <= 0) drift_phase(m);
    m->dev += (m->dev_goal - m->dev) / m->drift_left;
    m->drift_left--;
}

void market_init(market_t *m, uint64_t seed, unsigned rate)
{
    memset(m, 0, sizeof(*m));
    rng_init(&m->rng, seed);
    m->rate = rate;
    m->fair = ANCHOR + rng_range(&m->rng, -2 * MICRO, 2 * MICRO);
    m->btc = BTC_ANCHOR;
    m->basis = MICRO + rng_range(&m->rng, -200, 200);
    m->drift = DRIFT_BACK;
    m->dev_sign = rng_chance(&m->rng, 50) ? 1 : -1;
    mids(m);
    for (unsigned i = 0; i < BOOK_N; i++) book_init(m, (mbook_id_t)i);
}

void market_step(market_t *m)
{
    m->steps++;
    if (m->held) return;
    walk(m);
    mids(m);
    drift(m);
    for (unsigned i = 0; i < BOOK_N; i++)
        m->book[i].credit += (int64_t)m->rate * m->book[i].spec->share * MARKET_STEP_MS;
}

bool market_book_due(market_t *m, mbook_id_t id)
{
    mbook_t *b = &m->book[id];
    if (m->held || b->credit < b->due) return false;
    b->credit -= b->due;
    next_due(m, b);
    book_update(m, b);
    return b->chg_n > 0;
}

int64_t market_pool_target(const market_t *m)
{
    int64_t usdc = m->fair * MICRO / m->basis;
    return usdc + usdc / 1000 * m->dev / 1000;
}

int64_t mbook_mid(const mbook_t *b)
{
    if (!b->n[MSIDE_BID] || !b->n[MSIDE_ASK]) return 0;
    return (b->side[MSIDE_BID][0].px + b->side[MSIDE_ASK][0].px) * px_unit(b) / 2;
}

size_t sim_dec(char out[DEC_SIM_MAX], int64_t v, unsigned dec, int show)
{
    int64_t scale = pow10i(dec);
    int n = dec ? snprintf(out, DEC_SIM_MAX, "%s%lld.%0*lld", v < 0 ? "-" : "", (long long)((v < 0 ? -v : v) / scale),
                           (int)dec, (long long)((v < 0 ? -v : v) % scale))
                : snprintf(out, DEC_SIM_MAX, "%lld%s", (long long)v, show > 0 ? "." : "");
    size_t len = (size_t)n;
    if (show < 0) {
        while (dec && out[len - 1] == '0') len--;
        if (dec && out[len - 1] == '.') len--;
    } else {
        size_t have = dec;
        while (have > (size_t)show && out[len - 1] == '0') have--, len--;
        while (have < (size_t)show && len < DEC_SIM_MAX - 1) out[len++] = '0', have++;
    }
    out[len] = 0;
    return len;
}
