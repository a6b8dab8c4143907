/* A set of books fed by the events of one protocol connection, one per market, growing with need: the books of `xorj
 * replay` and of tests. The running server's books live in the engine. */
#ifndef XORJ_CONNECTORS_BOOKS_H
#define XORJ_CONNECTORS_BOOKS_H

#include "base/buf.h"
#include "connectors/venue.h"
#include "reactor/json.h"

typedef struct books books_t;

books_t *books_new(void);
void books_free(books_t *b);
door_t books_door(books_t *b);                        /* events of any number of markets go in here */
const book_t *books_get(const books_t *b, inst_t i);  /* NULL: no snapshot was ever seen */
uint64_t books_faults(const books_t *b);              /* times a book became bad after it had been good */
/* SHA-256 over all levels: bids, then asks, best first, each "b PRICE SIZE\n" or "a PRICE SIZE\n". */
void book_digest(const book_t *b, uint8_t out[32]);
/* {"bid_levels":N,"ask_levels":N,"top_bids":[["p","s"],..10],"top_asks":[..],"book_sha256":".."} */
void book_json(const book_t *b, jw_t *w);

#endif
