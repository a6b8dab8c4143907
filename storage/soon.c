#include "storage/soon.h"

#include <stdlib.h>

struct soons {
    loop_t *l;
    soon_t *head, *tail;
    bool armed, dead;
};

soons_t *soons_new(loop_t *l)
{
    soons_t *q = calloc(1, sizeof *q);
    XASSERT(q);
    q->l = l;
    return q;
}

void soons_run(soons_t *q)
{
    while (q->head) {
        soon_t *s = q->head;
        q->head = s->next;
        if (!q->head)
            q->tail = NULL;
        s->fire(s);
    }
}

static void on_later(void *ctx)
{
    soons_t *q = ctx;
    q->armed = false;
    if (q->dead)
        free(q);
    else
        soons_run(q);
}

void soons_post(soons_t *q, soon_t *s, void (*fire)(soon_t *s))
{
    s->next = NULL;
    s->fire = fire;
    if (q->tail)
        q->tail->next = s;
    else
        q->head = s;
    q->tail = s;
    if (!q->armed)
        loop_later(q->l, on_later, q);
    q->armed = true;
}

bool soons_empty(const soons_t *q)
{
    return q->head == NULL;
}

void soons_free(soons_t *q)
{
    XASSERT(!q->head);
    q->dead = true;
    if (!q->armed)
        free(q);
}
