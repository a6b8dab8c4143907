/* Idempotency keys: what a principal's key stands for, and the answer once it was given.
 *
 * A key's first request gives it a name, a UUID that every repeat gets too. Changes are asked for under that name
 * (who_t.name) and are done once per name, whoever asks and however often: so a process may die between the change's
 * commit and the answer, and two processes may work on one key at a time. Keys live 24 h. */
#ifndef XORJ_STORAGE_IDEM_H
#define XORJ_STORAGE_IDEM_H

#include "storage/store.h"

#define IDEM_KEY_MAX 255

/* principal and key: at most 64 and IDEM_KEY_MAX bytes, no NUL. hash: of the request. */
typedef struct {
    char principal[65], key[IDEM_KEY_MAX + 1];
    uint8_t hash[32];
} idem_key_t;

typedef struct {
    char name[37];
    bool other;        /* the key belongs to another request */
    int status;        /* 0: no answer yet */
    span_t etag, body; /* of the answer; etag may be empty; borrowed */
} idem_row_t;
typedef void (*idem_cb)(void *ctx, xerr_t err, const idem_row_t *row); /* row: NULL on error */

void idem_claim(store_t *s, const idem_key_t *k, idem_cb cb, void *ctx);
/* Keeps an answer (2xx). The row has the answer that is kept: the first one. XE_NOT_FOUND: the key's time is over. */
void idem_keep(store_t *s, const idem_key_t *k, const char *name, int status, span_t etag, span_t body, idem_cb cb, void *ctx);
/* The request was refused: another may have the key. row: NULL. */
void idem_open(store_t *s, const idem_key_t *k, const char *name, idem_cb cb, void *ctx);

#endif
