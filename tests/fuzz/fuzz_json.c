/* libFuzzer: JSON text. What the recogniser refuses is never parsed, what it accepts never surprises jsmn, and the
 * writer quotes any bytes into valid text.
 * Build: clang -fsanitize=fuzzer,address,undefined -I. this reactor/json*.c reactor/arena.c reactor/log.c base/crypto.c
 * base/codec.c base/buf.c base/err.c -lcrypto */
#include <stdint.h>

#include "base/err.h"
#include "reactor/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void walk(const json_t *v)
{
    int64_t number;
    XASSERT(json_i64(v, &number) == XE_OK || json_type(v) != JSON_NUM || json_raw(v).n > 0);
    XASSERT(json_check(json_raw(v), NULL) == XE_OK);
    for (size_t i = 0; i < json_len(v); i++) {
        XASSERT(json_type(v) != JSON_OBJ || json_key(v, i).p);
        walk(json_at(v, i));
    }
}

static void quote(span_t text)
{
    buf_t out;
    jw_t w;
    buf_init(&out, 1 << 20);
    jw_init(&w, &out);
    jw_arr(&w);
    jw_str(&w, text);
    jw_end(&w);
    XASSERT(out.failed || json_check(buf_span(&out), NULL) == XE_OK);
    buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    span_t text = {(const char *)data, n};
    arena_pool_t *pool = arena_pool_new(4096, 4);
    arena_t *a = arena_new(pool, 1 << 20);
    const json_t *v = NULL;
    const char *msg = NULL;
    size_t where = 0;
    xerr_t judged = json_check(text, &where), parsed = json_parse(text, a, &v, &msg);
    XASSERT(where <= n && parsed != XE_INTERNAL);
    XASSERT(judged ? parsed == judged && msg : true);
    XASSERT(parsed ? msg != NULL : v != NULL);
    if (!parsed) walk(v);
    quote(text);
    arena_free(a);
    arena_pool_free(pool);
    return 0;
}
