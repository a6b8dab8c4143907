/* Host names to addresses without waiting: the resolver that runs on the loop. Numeric addresses and the hosts file are
 * answered by themselves. For the files of reactor/ only. */
#ifndef XORJ_REACTOR_NAMES_H
#define XORJ_REACTOR_NAMES_H

#include <stdint.h>
#include <sys/socket.h>

#include "base/err.h"
#include "reactor/loop.h"

typedef struct names names_t;
typedef struct lookup lookup_t;

#define NAMES_ADDRS_MAX 8

typedef struct {
    struct sockaddr_storage addr;
    socklen_t len;
} name_addr_t;

/* nameserver: "127.0.0.1:5353" in place of the system's; NULL: the system's. */
names_t *names_new(loop_t *l, const char *nameserver);
void names_free(names_t *n); /* open lookups are cancelled; memory goes when the resolver has let go of them */

/* Fires once, from the loop, never before names_ask returned; not after names_cancel. XE_DOWN: *why says more. */
typedef void (*names_cb)(void *ctx, xerr_t err, const name_addr_t *addrs, unsigned n, const char *why);
lookup_t *names_ask(names_t *n, const char *host, uint16_t port, names_cb cb, void *ctx);
void names_cancel(lookup_t *k);

#endif
