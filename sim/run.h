/* Wiring of the simulator: routes connections to endpoints and drives the market by the clock. */
#ifndef XORJ_SIM_RUN_H
#define XORJ_SIM_RUN_H

#include "sim/sim.h"

#define RUN_RESTS_MAX 16

typedef struct {
    const char *state;
    uint64_t seed;
    unsigned rate;
    uint16_t tls_port, ctl_port;
    struct {
        const char *file;
        ep_t ep;
        unsigned rate;
        const char *rest[RUN_RESTS_MAX]; /* MARKET=FILE */
        unsigned rests_n;
    } play[EP_N];
    unsigned plays_n;
} run_conf_t;

/* Runs until a signal; returns the process exit code. Failures are one line on stderr. */
int sim_run(const run_conf_t *conf);

#endif
