/* Reading JSON test vectors of several hundred kilobytes: the whole file is tokenised once, values are found by walking.
 * Any surprise (missing key, wrong type, number out of range) ends the program with the place named: vectors are data
 * that must be whole. */
#ifndef XORJ_TESTS_VEC_JSON_H
#define XORJ_TESTS_VEC_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "engine/dec.h"

typedef struct vj vj_t;               /* one loaded file */
typedef struct { const vj_t *doc; int tok; } vv_t; /* one value in it; tok < 0: absent */

vj_t *vj_load(const char *path);      /* exits with a message when the file cannot be read or is not JSON */
void vj_free(vj_t *j);
vv_t vj_root(const vj_t *j);

bool vv_has(vv_t v);
bool vv_is_object(vv_t v);
bool vv_is_null(vv_t v);
vv_t vv_find(vv_t object, const char *key); /* absent when the key is not there */
vv_t vv_get(vv_t object, const char *key);  /* must be there */
size_t vv_len(vv_t array_or_object);
vv_t vv_first(vv_t array);                  /* absent when empty */
vv_t vv_next(vv_t element);                 /* absent after the last */
vv_t vv_at(vv_t array, size_t i);

span_t vv_text(vv_t v);                     /* raw text of a string or primitive */
size_t vv_str(vv_t v, char *out, size_t cap); /* with its escapes resolved; not NUL-terminated */
bool vv_bool(vv_t v);                       /* true, false, 0, 1 */
i128_t vv_i128(vv_t v);                     /* decimal text, quoted or not */
u128_t vv_u128(vv_t v);
uint64_t vv_u64(vv_t v);
int32_t vv_i32(vv_t v);
uint8_t *vv_hex(vv_t v, size_t *n);         /* malloc'd */
uint8_t *vv_b64(vv_t v, size_t *n);         /* malloc'd */

#endif
