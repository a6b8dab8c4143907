/* The trading core: told events, answers with effects. eng_step is the only way in. No clock, socket, malloc, file or
 * random source inside a step, so the same events give the same effects to the byte. Memory is taken in eng_new. */
#ifndef XORJ_ENGINE_ENGINE_H
#define XORJ_ENGINE_ENGINE_H

#include "engine/event.h"

#define ENG_INSTS_MAX 32
#define ENG_PAIRS_MAX 8

typedef enum { INST_SPOT, INST_BASIS, INST_POOL } inst_kind_t; /* BASIS: a book that prices USDC in USD */

typedef struct {
    venue_t venue;
    inst_kind_t kind;
    char market[48];     /* the venue's own name: "SOL-USD", "solusd"; the pool address for ORCA */
    int8_t pair;         /* index into pairs, -1 for BASIS */
    uint32_t taker_bps_x100; /* taker fee, hundredths of a basis point: 9000 = 90 bps; pools: 0 (the fee is in the pool) */
} inst_conf_t;

typedef struct {
    char name[16];       /* "SOL/USD" */
    uint8_t base_decimals, quote_decimals; /* of the pool's tokens: 9, 6; at most 12 */
    bool base_is_b;      /* the pool's token B is the base; A as a rule */
} pair_conf_t;

typedef struct {
    unsigned insts_n, pairs_n;
    inst_conf_t insts[ENG_INSTS_MAX];
    pair_conf_t pairs[ENG_PAIRS_MAX];
    size_t book_levels;      /* per side */
    int64_t stale_ms;        /* 10,000: older books give no signal */
    int64_t basis_stale_ms;
    int64_t pool_stale_ms;
    int32_t min_net_bps_x100;/* threshold, 1000 = 10 bps */
    usd_t size_min, size_max;/* notional tried, dollars */
    unsigned size_steps;     /* sizes tried between them */
    usd_t network_fee;       /* per DEX leg: base + priority fee, dollars */
} eng_conf_t;

typedef enum { DIR_CEX_TO_DEX, DIR_DEX_TO_CEX } dir_t; /* buy on the first, sell on the second */
const char *dir_name(dir_t d); /* "CEX_TO_DEX", "DEX_TO_CEX" */
typedef enum { OPP_OPEN, OPP_UPDATE, OPP_CLOSE } opp_phase_t;

typedef struct {
    char id[37];
    opp_phase_t phase;
    int8_t pair;
    dir_t dir;
    venue_t buy, sell;
    px_t buy_px, sell_px;    /* average executed price at size, in USD per base (basis applied) */
    px_t buy_touch, sell_touch; /* best price / pool mid before the trade */
    qty_t size;              /* base units */
    usd_t buy_cost, sell_proceeds; /* before fees that are not in the price; the pool's fee is in the price */
    /* Dollars, each >= 0. fee_total = cex + dex + network; gross = net + fee_total. Slippage (walk and impact against the
     * touch, both legs) is told beside them: it is inside cost and proceeds already. */
    usd_t fee_cex, fee_dex, fee_network, slippage, fee_total;
    px_t basis;              /* USD per USDC used */
    int32_t gross_bps_x100, net_bps_x100, peak_net_bps_x100;
    usd_t predicted_pnl;
    /* stages: monotonic ns, differences are meaningful; wall us beside */
    int64_t source_us, recv_wall_us, detect_wall_us;
    int64_t recv_ns, parsed_ns, detect_ns;
    int64_t opened_wall_us, closed_wall_us, lifetime_ms;
    uint64_t pool_slot;
    const char *decision;    /* "OBSERVE_ONLY" */
    const char *reason;      /* reason code; "" while open */
} opp_t;

typedef enum {
    EFF_OPP,       /* publish and keep as a row */
    EFF_RESYNC,    /* ask the connector of inst for a fresh snapshot */
    EFF_INST,      /* an instrument changed between usable and not */
    EFF_BOT        /* tell that wallet's subscribers */
} eff_kind_t;

typedef struct {
    eff_kind_t kind;
    union {
        opp_t opp;
        struct { inst_t inst; xerr_t why; } resync;
        struct { inst_t inst; bool usable; xerr_t why; } inst;
        struct { char wallet[48]; bool enabled; int64_t version, updated_us; } bot;
    } u;
} eff_t;

#define EFF_MAX 64
typedef struct {
    unsigned n;
    bool overflow; /* more than EFF_MAX: a defect, counted by the door */
    eff_t e[EFF_MAX];
} eff_list_t;

/* Reasons an evaluated opportunity was not taken or not made, counted per evaluation. */
#define REJECT_LIST(X) X(FEES) X(DEPTH) X(STALE) X(RISK_LIMIT) X(INVENTORY) X(PAUSED) X(OBSERVE_ONLY) X(LATENCY) X(BASIS) X(DUPLICATE)
typedef enum {
#define X(id) REJ_##id,
    REJECT_LIST(X)
#undef X
    REJ_N
} reject_t;
const char *reject_name(reject_t r);

typedef struct engine engine_t;

engine_t *eng_new(const eng_conf_t *c); /* NULL when memory is out or the configuration makes no sense */
void eng_free(engine_t *e);
/* The engine's time is the largest ev->recv_ns it was ever told, whatever the kind. out is emptied first. */
void eng_step(engine_t *e, const ev_t *ev, eff_list_t *out);

/* Read-only views, for status pages and tests. */
const eng_conf_t *eng_conf(const engine_t *e);              /* what it was made with: instruments, pairs, thresholds */
const book_t *eng_book(const engine_t *e, inst_t i);       /* NULL for pools */
bool eng_usable(const engine_t *e, inst_t i, int64_t now_ns, xerr_t *why);
int64_t eng_age_ms(const engine_t *e, inst_t i, int64_t now_ns); /* since last proof of life; -1 never */
const whirl_pool_t *eng_pool(const engine_t *e, inst_t i, uint64_t *slot); /* NULL when none */
uint64_t eng_evaluations(const engine_t *e);
uint64_t eng_rejected(const engine_t *e, reject_t r);

#endif
