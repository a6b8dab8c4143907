/* The root: everything the process owns, in boot order. Only app/ sees this struct; every part below is reached from
 * the context handed to its callbacks. */
#ifndef XORJ_APP_APP_H
#define XORJ_APP_APP_H

#include "app/door.h"
#include "app/first.h"
#include "connectors/feeds.h"
#include "connectors/rpc.h"
#include "connectors/wallet.h"
#include "engine/engine.h"
#include "handlers/api.h"
#include "reactor/config.h"
#include "reactor/http.h"
#include "reactor/httpc.h"
#include "reactor/hub.h"
#include "reactor/journal.h"
#include "reactor/loop.h"
#include "reactor/metrics.h"
#include "storage/opps.h"
#include "storage/store.h"

typedef struct {
    cfg_t cfg;
    const char *cfg_path; /* NULL: defaults and environment only */
    metrics_t *metrics;
    loop_t *loop;
    store_t *store;
    worker_t *worker; /* hashes passwords */
    first_t *first;
    eng_conf_t eng_conf;
    engine_t *engine;
    door_queue_t *door;
    journal_t *journal; /* NULL: nothing is recorded */
    httpc_t *httpc;
    rpc_t *rpc;
    wsc_t *wsc;
    prices_t *prices;
    wallets_t *wallets;
    feeds_t *feeds;
    api_t *api;
    http_t *http;
    hub_t *hub;
    ltimer_t *tick;  /* the engine's clock */
    ltimer_t *grace; /* end of patience while draining */
    ltimer_t *probe; /* while draining: are we idle? */
    bool draining;
    int exit_code;
} app_t;

/* `xorj serve`: boots, runs until a signal, returns the exit code. */
int app_serve(const cfg_t *cfg, const char *cfg_path);

#endif
