/* One row per kind of vector file: how to check one vector. */
#ifndef XORJ_TESTS_VEC_H
#define XORJ_TESTS_VEC_H

#include "tests/vec_json.h"

typedef struct {
    const char *path;  /* of the vector file: neighbours are found beside it */
    vj_t *side;        /* a second file kept open between vectors */
    char side_name[128];
    char why[512];     /* set by a failing check */
} vec_ctx_t;

typedef bool (*vec_check_t)(vec_ctx_t *c, vv_t v);
typedef struct { const char *kind; vec_check_t check; } vec_row_t;

extern const vec_row_t vec_whirl_rows[], vec_key_rows[], vec_curve_rows[], vec_clmm_rows[], vec_account_rows[], vec_instr_rows[],
    vec_tx_rows[], vec_siws_rows[]; /* end with a NULL kind */

bool vec_fail(vec_ctx_t *c, const char *fmt, ...) __attribute__((format(printf, 2, 3))); /* notes why, answers false */

#endif
