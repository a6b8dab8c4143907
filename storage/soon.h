/* Answers that are known at once but may not be given before the call that asked has returned: they wait here for the
 * next step of the loop. Embed soon_t first in the waiting object. Internal to storage/. */
#ifndef XORJ_STORAGE_SOON_H
#define XORJ_STORAGE_SOON_H

#include <stdbool.h>

#include "reactor/loop.h"

typedef struct soon soon_t;
struct soon {
    soon_t *next;
    void (*fire)(soon_t *s); /* owns s from here on */
};

typedef struct soons soons_t;

soons_t *soons_new(loop_t *l);
void soons_post(soons_t *q, soon_t *s, void (*fire)(soon_t *s));
bool soons_empty(const soons_t *q);
void soons_run(soons_t *q);  /* all that wait, now: for closing */
void soons_free(soons_t *q); /* must be empty */

#endif
