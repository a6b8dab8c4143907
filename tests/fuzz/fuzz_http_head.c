/* libFuzzer: request heads. Besides not crashing, a head must be judged the same whole and byte by byte, and what it
 * hands out must lie inside the bytes. Build: clang -fsanitize=fuzzer,address,undefined -I. this reactor/http_parse.c base/err.c */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "reactor/http_parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void inside(const http_head_t *h, size_t n)
{
    XASSERT(h->size <= n && (size_t)h->path + h->path_n <= h->size && (size_t)h->query + h->query_n <= h->size);
    for (size_t i = 0; i < h->n_fields; i++) {
        XASSERT((size_t)h->fields[i].name + h->fields[i].name_n <= h->size);
        XASSERT((size_t)h->fields[i].value + h->fields[i].value_n <= h->size);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const http_limits_t lim = {256, 1024, 16, 256};
    http_field_t a_fields[17], b_fields[17];
    http_head_t a = {.fields = a_fields}, b = {.fields = b_fields};
    http_fault_t a_why = {0}, b_why = {0};
    http_scan_t whole = {0}, steps = {0};
    const char *p = (const char *)data;
    if (n > 2048) n = 2048;
    xerr_t a_err = http_parse_head(&whole, p, n, &lim, &a, &a_why), b_err = XE_AGAIN;
    for (size_t m = 1; m <= n && b_err == XE_AGAIN; m++) b_err = http_parse_head(&steps, p, m, &lim, &b, &b_why);
    if (!n) return 0;
    XASSERT(a_err == b_err);
    XASSERT(a_err != XE_BAD_INPUT || (a_why.status == b_why.status && a_why.message));
    if (a_err) return 0;
    XASSERT(a.size == b.size && a.length == b.length && a.n_fields == b.n_fields && a.close == b.close);
    inside(&a, n);
    return 0;
}
