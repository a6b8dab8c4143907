/* Error codes of the whole program: one list, read as enum, as name and as text.
 *
 * A function that can fail returns xerr_t; XE_OK is 0 and every failure is negative, so `if (err)` reads well.
 * HTTP status is not in here: handlers/ maps codes to answers in one table. */
#ifndef XORJ_BASE_ERR_H
#define XORJ_BASE_ERR_H

#define XERR_LIST(X)                                                                \
    X(XE_OK, 0, "ok")                                                               \
    X(XE_BAD_INPUT, -1, "input is not valid")                                       \
    X(XE_RANGE, -2, "number does not fit")                                          \
    X(XE_STALE, -3, "data is older than allowed")                                   \
    X(XE_GAP, -4, "sequence gap, book not usable")                                  \
    X(XE_CROSSED, -5, "book is crossed")                                            \
    X(XE_DEPTH, -6, "not enough depth loaded")                                      \
    X(XE_CONFLICT, -7, "row changed under us")                                      \
    X(XE_NOT_FOUND, -8, "no such thing")                                            \
    X(XE_DENIED, -9, "not allowed")                                                 \
    X(XE_AUTH, -10, "not authenticated")                                            \
    X(XE_DOWN, -11, "dependency is not available")                                  \
    X(XE_TIMEOUT, -12, "deadline passed")                                           \
    X(XE_FULL, -13, "queue or table is full")                                       \
    X(XE_CLOSED, -14, "connection closed")                                          \
    X(XE_AGAIN, -15, "not complete yet")                                            \
    X(XE_TOO_BIG, -16, "larger than its limit")                                     \
    X(XE_UNSUPPORTED, -17, "known but refused by rule")                             \
    X(XE_INTERNAL, -18, "defect in this program")

typedef enum {
#define X(id, n, text) id = (n),
    XERR_LIST(X)
#undef X
} xerr_t;

const char *xerr_name(xerr_t err); /* "XE_STALE"; static storage */
const char *xerr_text(xerr_t err); /* "data is older than allowed"; static storage */

/* A broken invariant: say where, abort. The restart goes through the ordinary boot path. */
#define XASSERT(cond) ((cond) ? (void)0 : xassert_fail(#cond, __FILE__, __LINE__))
_Noreturn void xassert_fail(const char *cond, const char *file, int line);

#endif
