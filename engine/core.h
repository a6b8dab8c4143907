/* The engine's own state, shared by engine.c (events, instruments) and signal.c (opportunities). Nobody else includes
 * this header. */
#ifndef XORJ_ENGINE_CORE_H
#define XORJ_ENGINE_CORE_H

#include "engine/engine.h"

typedef struct {
    whirl_pool_t state;
    bool have;
    uint64_t slot;
    unsigned arrays_n;
    uint64_t array_slot[WHIRL_ARRAYS_MAX];
    whirl_array_t arrays[WHIRL_ARRAYS_MAX];
    bool have_oracle;
    uint64_t oracle_slot;
    whirl_oracle_t oracle; /* of a pool with an adaptive fee */
} pool_t;

typedef struct {
    inst_conf_t conf;
    book_t *book;       /* SPOT and BASIS */
    pool_t *pool;       /* POOL */
    int64_t alive_ns;   /* last proof of life; 0 never */
    bool in_message;
    bool told_usable;   /* as the last EFF_INST said */
    xerr_t why;         /* why the book is empty, when it is */
} instr_t;

/* One place where an opportunity can live: a pair, a direction and the two venues. */
typedef struct {
    int8_t pair;
    dir_t dir;
    venue_t cex, dex;
    bool live;
    opp_t opp;          /* as last told */
    inst_t spot, pool;  /* the instruments behind it */
    int64_t opened_ns, told_ns;
    int32_t told_net;
} route_t;

struct engine {
    eng_conf_t conf;
    instr_t inst[ENG_INSTS_MAX];
    bool down[VENUE_N];
    route_t *routes;
    unsigned routes_n;
    int64_t now_ns;     /* never goes back */
    int64_t wall_us;    /* likewise */
    uint64_t seed, made; /* for ids */
    uint64_t evaluations, rejected[REJ_N];
};

bool signal_init(engine_t *e); /* routes from the configuration; false when memory is out */
/* Looks at every route the instrument belongs to. */
void signal_evaluate(engine_t *e, inst_t i, const ev_t *ev, eff_list_t *out);
/* An instrument stopped being usable: what lives on it ends. */
void signal_drop(engine_t *e, inst_t i, xerr_t why, const ev_t *ev, eff_list_t *out);

eff_t *eff_push(eff_list_t *out, eff_kind_t kind); /* never NULL: past EFF_MAX overflow is set and the last one is reused */

#endif
