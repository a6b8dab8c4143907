#include "reactor/http_internal.h"

void dl_init(dl_list_t *l, int64_t ms)
{
    l->ring.prev = l->ring.next = &l->ring;
    l->ring.due = 0;
    l->ns = ms * 1000000;
}

void dl_clear(dl_node_t *n)
{
    if (!n->due) return;
    n->prev->next = n->next;
    n->next->prev = n->prev;
    n->due = 0;
}

void dl_set(dl_list_t *l, dl_node_t *n, int64_t now)
{
    dl_clear(n);
    n->due = now + l->ns;
    n->prev = l->ring.prev;
    n->next = &l->ring;
    n->prev->next = n;
    l->ring.prev = n;
}

dl_node_t *dl_due(const dl_list_t *l, int64_t now)
{
    dl_node_t *n = l->ring.next;
    return n != &l->ring && n->due <= now ? n : NULL;
}
