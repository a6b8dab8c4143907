/* One centralized venue: a link and the protocol that reads it. Turns what the protocol asks for (reconnect, one market
 * anew) into traffic, and the link's life into EV_CONN and EV_ALIVE. */
#ifndef XORJ_CONNECTORS_CEX_H
#define XORJ_CONNECTORS_CEX_H

#include "connectors/link.h"
#include "reactor/httpc.h"

typedef struct cex cex_t;

typedef struct {
    loop_t *loop;
    wsc_t *wsc;
    httpc_t *http;       /* NULL: no seeds by REST */
    metrics_t *metrics;
    const cfg_t *cfg;
    const venue_ops_t *ops;
    const char *url;
    const char *rest_url; /* of seeds; NULL or "": none */
    const eng_conf_t *insts;
    door_t door;
    journal_t *journal;
} cex_conf_t;

/* Markets are the rows of insts whose venue is that of ops. NULL when there is none. */
cex_t *cex_open(const cex_conf_t *c);
bool cex_has(const cex_t *x, inst_t inst);
void cex_resync(cex_t *x, inst_t inst, xerr_t why);
void cex_stop(cex_t *x);
bool cex_idle(const cex_t *x);
void cex_free(cex_t *x);
const feed_health_t *cex_health(const cex_t *x);

#endif
