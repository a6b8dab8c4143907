#include "handlers/tickets.h"

#include <stdlib.h>

#include "base/codec.h"
#include "base/crypto.h"

/* A ring in order of issue: all live equally long, so the oldest expires first and nothing needs a search to be freed. */
typedef struct {
    uint64_t hash;
    int64_t until_ns; /* 0: used */
    char text[TICKET_LEN + 1];
    principal_t p;
} ticket_t;

struct tickets {
    uint64_t sip[2];
    unsigned first, n;
    ticket_t t[TICKETS_MAX];
};

tickets_t *tickets_new(const uint64_t sip_key[2])
{
    tickets_t *t = calloc(1, sizeof *t);
    if (t) memcpy(t->sip, sip_key, sizeof t->sip);
    return t;
}

void tickets_free(tickets_t *t) { free(t); }

static void drop_expired(tickets_t *t, int64_t now_ns)
{
    while (t->n && t->t[t->first].until_ns <= now_ns) {
        t->first = (t->first + 1) % TICKETS_MAX;
        t->n--;
    }
}

static ticket_t *nth(tickets_t *t, unsigned i) { return &t->t[(t->first + i) % TICKETS_MAX]; }

/* Used ones count as well: their place is not free before its time. */
static unsigned share_of(tickets_t *t, uint64_t principal)
{
    unsigned n = 0;
    for (unsigned i = 0; i < t->n; i++) n += nth(t, i)->p.key == principal;
    return n;
}

xerr_t tickets_issue(tickets_t *t, const principal_t *p, int64_t now_ns, char out[TICKET_LEN + 1])
{
    uint8_t raw[32];
    drop_expired(t, now_ns);
    if (t->n == TICKETS_MAX) return XE_FULL;
    if (share_of(t, p->key) >= TICKETS_EACH) return XE_UNSUPPORTED;
    ticket_t *k = nth(t, t->n++);
    random_bytes(raw, sizeof raw);
    b64url_encode(raw, sizeof raw, k->text, sizeof k->text);
    k->hash = siphash(t->sip, k->text, TICKET_LEN);
    k->until_ns = now_ns + TICKET_TTL_S * 1000000000LL;
    k->p = *p;
    memcpy(out, k->text, sizeof k->text);
    return XE_OK;
}

xerr_t tickets_take(tickets_t *t, span_t text, int64_t now_ns, principal_t *out)
{
    drop_expired(t, now_ns);
    if (text.n != TICKET_LEN) return XE_AUTH;
    uint64_t hash = siphash(t->sip, text.p, text.n);
    for (unsigned i = 0; i < t->n; i++) {
        ticket_t *k = nth(t, i);
        if (k->hash != hash || k->until_ns <= now_ns || !ct_equal(k->text, text.p, TICKET_LEN)) continue;
        k->until_ns = 0;
        *out = k->p;
        return XE_OK;
    }
    return XE_AUTH;
}
