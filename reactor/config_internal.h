/* Shared by the files behind reactor/config.h: the table as rows, and how a fault is written down. */
#ifndef XORJ_REACTOR_CONFIG_INTERNAL_H
#define XORJ_REACTOR_CONFIG_INTERNAL_H

#include <stddef.h>

#include "base/span.h"
#include "reactor/config.h"

typedef enum { CFG_STR, CFG_INT, CFG_BOOL } cfg_type_t;
typedef enum { CFG_F, CFG_L, CFG_S, CFG_LS } cfg_flag_t; /* fixed, live, secret, both */

typedef struct {
    const char *section, *key;
    cfg_type_t type;
    const char *def;
    int64_t lo, hi;
    cfg_flag_t flag;
    const char *doc;
    size_t offset;
} cfg_row_t;

extern const cfg_row_t cfg_rows[];
extern const size_t cfg_nrows;

/* A run of settings: the struct to fill, where faults go, and the place that is being read ("config.ini:12"). */
typedef struct {
    cfg_t *c;
    buf_t *errors;
    char place[128];
} cfg_in_t;

static inline bool cfg_is_secret(const cfg_row_t *row) { return row->flag == CFG_S || row->flag == CFG_LS; }
static inline bool cfg_is_live(const cfg_row_t *row) { return row->flag == CFG_L || row->flag == CFG_LS; }

const cfg_row_t *cfg_find(const char *section, const char *key);
/* Parses, checks the range, stores; a fault is written with the place. */
void cfg_put(cfg_in_t *in, const cfg_row_t *row, span_t value);
void cfg_fault(cfg_in_t *in, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* postgresql://user:password@host:port/name?sslmode=.. into the database section. */
void cfg_put_database_url(cfg_in_t *in, span_t url);
/* What no single row can say: words from a list, addresses, URLs, pairs that must agree, rules of production. */
void cfg_check_rules(cfg_in_t *in);
bool cfg_is_address(span_t text); /* numeric IPv4 or IPv6 */

#endif
