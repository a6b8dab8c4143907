/* How each venue protocol says the same things: for the conformance and mutation runs over all of them. */
#ifndef XORJ_TESTS_VENUE_ROWS_H
#define XORJ_TESTS_VENUE_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SAY_MAX 4096

typedef struct {
    char side; /* 'b' or 'a' */
    const char *px, *qty;
} say_level_t;

typedef enum {
    SAY_FIRST,    /* what comes before a snapshot can be taken; only where vrow_t.first */
    SAY_SNAPSHOT,
    SAY_UPDATE,
    SAY_OTHER     /* a message of a kind nobody knows */
} say_t;

/* A connection's own counters. */
typedef struct {
    unsigned seq, last[2];
} voice_t;

typedef struct {
    const char *protocol;
    const char *markets[3]; /* as configured */
    bool first;   /* SAY_FIRST is needed */
    bool whole;   /* every update is the whole book */
    bool numbered;/* no loss, repetition or change of order goes unnoticed */
    bool chained; /* none that could show a wrong book does */
    size_t (*say)(voice_t *v, say_t what, int market, const say_level_t *l, size_t n, char out[SAY_MAX]);
} vrow_t;

extern const vrow_t venue_rows[]; /* ended by protocol NULL */

#endif
