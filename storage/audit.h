/* The audit log as others see it: pages of rows, newest first, and whether its hash chain holds. Rows are written by the
 * statements that make the changes they tell of; nobody else writes them. */
#ifndef XORJ_STORAGE_AUDIT_H
#define XORJ_STORAGE_AUDIT_H

#include "storage/store.h"

typedef struct {
    unsigned limit;            /* 1..1000 */
    int64_t before_seq;        /* cursor: rows with a smaller seq; 0: from the newest */
    span_t actor, action;      /* empty: all; at most 127 bytes */
    int64_t from_us, to_us;    /* from inclusive, to exclusive; 0: open */
} audit_query_t;

typedef struct {
    int64_t seq, at_us;
    span_t actor, role, action, target, request_id, source_ip;
    span_t before, after;      /* JSON text, empty: none */
    span_t prev_hash, hash;    /* 64 hex digits */
} audit_row_t;

typedef struct {
    unsigned n;
    const audit_row_t *rows;
    bool has_more;
    int64_t next_seq, total;   /* total: rows that match without the cursor, counted up to 100,000 */
} audit_page_t;

/* page and all its texts are borrowed until the callback returns; NULL on error. */
void audit_list(store_t *s, const audit_query_t *q, void (*cb)(void *ctx, xerr_t err, const audit_page_t *page), void *ctx);

typedef struct {
    bool complete;             /* the walk came to the head; false: it goes on, seq is how far it is */
    int64_t seq, bad_seq;      /* bad_seq 0: nothing wrong was found */
    char what[128];
    int64_t at_us;             /* wall time of this verdict, 0 while there is none */
} audit_chain_t;

/* Walks the chain from its start, in slices, one walk at a time however many ask; answers when it is through, at the
 * latest after two seconds with what is known by then. A walk over a long log is good for a minute. */
void audit_chain(store_t *s, void (*cb)(void *ctx, xerr_t err, const audit_chain_t *c), void *ctx);

/* For the command line: blocking. progress (may be NULL) is called about once per slice. XE_OK: *out says. */
xerr_t audit_walk(const cfg_t *cfg, void (*progress)(int64_t seq, int64_t head), audit_chain_t *out, char head_hex[65]);

#endif
