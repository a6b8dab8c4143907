#include "reactor/names.h"

#include <event2/dns.h>
#include <event2/util.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "reactor/log.h"
#include "reactor/loop_internal.h"

struct lookup {
    TAILQ_ENTRY(lookup) all;
    names_t *n;
    struct evdns_getaddrinfo_request *req; /* NULL: the resolver is done with it */
    ltimer_t *soon;                        /* brings the answer in a later turn */
    bool done, cancelled;
    int fault;
    unsigned count;
    name_addr_t addrs[NAMES_ADDRS_MAX];
    names_cb cb;
    void *ctx;
};

struct names {
    loop_t *l;
    struct evdns_base *dns;
    bool closing;
    TAILQ_HEAD(lookup_list, lookup) open;
};

names_t *names_new(loop_t *l, const char *nameserver)
{
    names_t *n = calloc(1, sizeof *n);
    int flags = EVDNS_BASE_DISABLE_WHEN_INACTIVE;
    XASSERT(n);
    n->l = l;
    TAILQ_INIT(&n->open);
    if (!nameserver) n->dns = evdns_base_new(loop_base(l), flags | EVDNS_BASE_INITIALIZE_NAMESERVERS);
    /* Without a usable resolv.conf numeric addresses and the hosts file still work. */
    if (!n->dns) n->dns = evdns_base_new(loop_base(l), flags);
    XASSERT(n->dns);
    if (nameserver && evdns_base_nameserver_ip_add(n->dns, nameserver) != 0)
        log_error("names", "-", "name server is not an address");
    return n;
}

static void final_free(void *p)
{
    names_t *n = p;
    evdns_base_free(n->dns, 0);
    free(n);
}

void names_free(names_t *n)
{
    lookup_t *k, *next;
    if (!n || n->closing) return;
    for (k = TAILQ_FIRST(&n->open); k; k = next) {
        next = TAILQ_NEXT(k, all);
        names_cancel(k);
    }
    n->closing = true;
    if (TAILQ_EMPTY(&n->open)) loop_defer(n->l, final_free, n); /* else the last of them does it */
}

/* Only when the resolver no longer knows it. */
static void lookup_end(lookup_t *k)
{
    names_t *n = k->n;
    TAILQ_REMOVE(&n->open, k, all);
    ltimer_free(k->soon);
    loop_defer(n->l, free, k);
    if (n->closing && TAILQ_EMPTY(&n->open)) loop_defer(n->l, final_free, n);
}

static void deliver(void *ctx)
{
    lookup_t *k = ctx;
    xerr_t err = k->fault || !k->count ? XE_DOWN : XE_OK;
    names_cb cb = k->cb;
    cb(k->ctx, err, k->addrs, k->count, k->fault ? evutil_gai_strerror(k->fault) : "no address");
    if (!k->cancelled) lookup_end(k);
}

static void on_resolved(int fault, struct evutil_addrinfo *res, void *ctx)
{
    lookup_t *k = ctx;
    k->done = true;
    k->req = NULL;
    k->fault = fault;
    for (const struct evutil_addrinfo *a = res; a && k->count < NAMES_ADDRS_MAX; a = a->ai_next) {
        if (a->ai_addrlen > sizeof k->addrs[0].addr) continue;
        memcpy(&k->addrs[k->count].addr, a->ai_addr, a->ai_addrlen);
        k->addrs[k->count++].len = (socklen_t)a->ai_addrlen;
    }
    if (res) evutil_freeaddrinfo(res);
    if (k->cancelled) {
        lookup_end(k);
        return;
    }
    ltimer_arm(k->soon, 0);
}

lookup_t *names_ask(names_t *n, const char *host, uint16_t port, names_cb cb, void *ctx)
{
    struct evutil_addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = EVUTIL_AI_ADDRCONFIG};
    char service[8];
    lookup_t *k = calloc(1, sizeof *k);
    XASSERT(k && !n->closing);
    *k = (lookup_t){.n = n, .cb = cb, .ctx = ctx};
    k->soon = ltimer_new(n->l, deliver, k);
    TAILQ_INSERT_TAIL(&n->open, k, all);
    snprintf(service, sizeof service, "%u", port);
    k->req = evdns_getaddrinfo(n->dns, host, service, &hints, on_resolved, k);
    if (k->done) k->req = NULL;
    return k;
}

void names_cancel(lookup_t *k)
{
    if (!k || k->cancelled) return;
    k->cancelled = true;
    ltimer_stop(k->soon);
    if (k->done)
        lookup_end(k);
    else if (k->req)
        evdns_getaddrinfo_cancel(k->req); /* it still calls on_resolved, later */
}
