/* The first account of all. When the server comes up on a database without operators it makes `admin` with the password of
 * auth.admin_password, or with a random one that it prints once, on standard output and nowhere else; either must be
 * changed at the first sign-in. */
#ifndef XORJ_APP_FIRST_H
#define XORJ_APP_FIRST_H

#include "reactor/config.h"
#include "reactor/loop.h"
#include "reactor/worker.h"
#include "storage/store.h"

typedef struct first first_t;
first_t *first_new(loop_t *l, const cfg_t *cfg, store_t *store, worker_t *w); /* begins by itself; NULL: no memory */
void first_free(first_t *f); /* after worker and store are closed */

#endif
