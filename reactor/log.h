/* Structured log: one line per event, `time level area subject message key=value`, to stderr, never blocking the loop
 * (a full pipe drops lines and counts them). The sink is the one global of reactor/. Values written with %s that come
 * from outside must go through log_esc. No token, signature, key or secret is ever an argument. */
#ifndef XORJ_REACTOR_LOG_H
#define XORJ_REACTOR_LOG_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"

typedef enum { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG, LOG_TRACE } log_level_t;

xerr_t log_level_parse(span_t text, log_level_t *out);
void log_init(int fd, log_level_t level);
void log_set_level(log_level_t level);
log_level_t log_level(void);
uint64_t log_dropped(void);
/* area: "http", "feed", "pg"...; subject: who it is about ("coinbase", a request id), or "-". */
void log_at(log_level_t lv, const char *area, const char *subject, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* At most 64 characters of s, control and non-ASCII bytes escaped, into buf (cap >= 260); returns buf. */
const char *log_esc(span_t s, char *buf, size_t cap);

#define log_error(area, subj, ...) log_at(LOG_ERROR, area, subj, __VA_ARGS__)
#define log_warn(area, subj, ...) log_at(LOG_WARN, area, subj, __VA_ARGS__)
#define log_info(area, subj, ...) log_at(LOG_INFO, area, subj, __VA_ARGS__)
#define log_debug(area, subj, ...) (log_level() >= LOG_DEBUG ? log_at(LOG_DEBUG, area, subj, __VA_ARGS__) : (void)0)

#endif
