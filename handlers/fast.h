/* The member that the fast routes add: how long the server took, in milliseconds, from the handler's start to the answer. */
#ifndef XORJ_HANDLERS_FAST_H
#define XORJ_HANDLERS_FAST_H

#include "handlers/ctx.h"

static inline void fast_start(req_t *r) { call_of(r)->started_ns = mono_ns(); }

static inline void fast_put(req_t *r, jw_t *w)
{
    jw_key(w, "performance");
    jw_f64(w, (double)((mono_ns() - call_of(r)->started_ns) / 1000) / 1000.0);
}

#define FAST_ROW S_REQ("performance", SC_NUM, .doc = "Milliseconds the server took.")

#endif
