/* Comparing a result with what a vector says; each notes the difference and answers false. */
#ifndef XORJ_TESTS_VEC_CMP_H
#define XORJ_TESTS_VEC_CMP_H

#include "tests/vec.h"

bool same_num(vec_ctx_t *c, const char *what, u128_t got, vv_t want);
bool same_i32(vec_ctx_t *c, const char *what, int32_t got, vv_t want);
bool same_flag(vec_ctx_t *c, const char *what, bool got, vv_t want);
bool same_key(vec_ctx_t *c, const char *what, const uint8_t got[32], vv_t want); /* base58 text */
bool same_hex(vec_ctx_t *c, const char *what, const uint8_t *got, size_t n, vv_t want);

#endif
