/* A statement on its way for a domain function: who asked, and what the answer's reader needs to know. The reader is the
 * pg_cb given to ask(); it gets the ask_t as its context, calls back, and frees it. Internal to storage/. */
#ifndef XORJ_STORAGE_ASK_H
#define XORJ_STORAGE_ASK_H

#include <stdint.h>

#include "storage/pg.h"
#include "storage/soon.h"
#include "storage/store.h"

typedef struct {
    soon_t soon; /* used only when the store is closing */
    store_t *s;
    pg_cb read;
    void (*cb)(void);
    void *ctx;
    unsigned n;           /* rows asked for */
    const xerr_t *codes;  /* of outcomes 1, 2, ... */
    bool ends;            /* column 1 lists sessions that ended */
    char reload[37];      /* a session whose memory is out of date now */
} ask_t;

/* The answer may be prepared further through the pointer returned: it is read later. repeat: harmless when done twice. */
ask_t *ask(store_t *s, sql_t stmt, const char *const *params, bool repeat, pg_cb read, void (*cb)(void), void *ctx);

/* Reads column 0 of the one row: 0 is well, n is q->codes[n - 1]; err goes through. */
xerr_t ask_outcome(const ask_t *q, xerr_t err, const pg_rows_t *rows);
/* XE_OK to q->cb, a void (*)(void *ctx, xerr_t err), once every process has heard of the change; frees q. */
void ask_settle(ask_t *q);

#define BYTEA_TEXT 67 /* "\x", two digits a byte of up to 32, and a NUL */
const char *bytea_text(const uint8_t *in, size_t n, char out[BYTEA_TEXT]); /* returns out */

#endif
