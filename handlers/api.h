/* The HTTP and websocket face: one table of routes, a file per resource. api_hooks is what reactor/http.h calls. */
#ifndef XORJ_HANDLERS_API_H
#define XORJ_HANDLERS_API_H

#include "engine/engine.h"
#include "engine/wallet.h"
#include "reactor/config.h"
#include "reactor/http.h"
#include "reactor/hub.h"
#include "reactor/loop.h"
#include "reactor/metrics.h"
#include "reactor/worker.h"
#include "storage/store.h"

typedef struct api api_t;

/* What a status page may read of parts that handlers cannot include: filled by app/, called at request time. */
typedef struct {
    void (*connectors)(void *ctx, buf_t *json_array); /* health of each connector, as one JSON array */
    bool (*connector)(void *ctx, span_t venue, buf_t *json_object); /* false: no such venue */
    bool (*draining)(void *ctx);
    void *ctx;
    wallet_port_t wallet; /* get NULL: no balances in this process */
} api_views_t;

api_t *api_new(loop_t *l, metrics_t *m, const cfg_t *cfg, store_t *store, const engine_t *eng, door_t door, api_views_t v);
void api_free(api_t *a);
void api_reload(api_t *a); /* live settings changed */
http_hooks_t api_http_hooks(api_t *a);
hub_hooks_t api_hub_hooks(api_t *a);
void api_set_hub(api_t *a, hub_t *hub); /* makes the topics */
void api_set_worker(api_t *a, worker_t *w); /* for password hashes; NULL before it is closed */

/* Effects that subscribers hear; called by app/ while it applies effects. */
void api_publish_opp(api_t *a, const opp_t *o, const char *pair_name);
void api_publish_bot(api_t *a, const char *wallet, bool enabled, int64_t version, int64_t updated_us);
void api_publish_inst(api_t *a, const char *venue, const char *market, bool usable, xerr_t why);

/* `xorj token`: a signed token for a session that storage already knows. out needs 1 KiB. */
struct token_in { const char *jti, *user_id, *wallet, *role; int64_t issued_s, expires_s; };
xerr_t token_mint(const cfg_t *cfg, const struct token_in *in, char *out, size_t cap);

#endif
