/* Transactions: whatever is accepted lies inside its bytes, every index means something, and compact lengths have one
 * spelling only. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/tx.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void inside(const tx_view_t *v, const uint8_t *p, size_t n)
{
    XASSERT(p >= v->msg && p + n <= v->msg + v->msg_n);
}

static void walk(const tx_view_t *v)
{
    unsigned total = v->keys_n + v->loaded_writable + v->loaded_readonly, writable = 0, loaded = 0;
    const uint8_t *at = v->ix;
    for (unsigned i = 0; i < v->ix_n; i++) {
        tx_ix_t ix;
        tx_ix_next(&at, &ix);
        inside(v, ix.accounts, ix.accounts_n);
        inside(v, ix.data, ix.data_n);
        XASSERT(ix.program > 0 && ix.program < v->keys_n);
        for (unsigned k = 0; k < ix.accounts_n; k++) XASSERT(ix.accounts[k] < total);
    }
    at = v->lookups;
    for (unsigned i = 0; i < v->lookups_n; i++) {
        tx_lookup_t l;
        tx_lookup_next(&at, &l);
        inside(v, l.table, 32);
        inside(v, l.writable, l.writable_n);
        inside(v, l.readonly, l.readonly_n);
        loaded += l.writable_n + l.readonly_n;
    }
    XASSERT(loaded == v->loaded_writable + v->loaded_readonly);
    for (unsigned i = 0; i < total; i++) writable += tx_is_writable(v, i);
    XASSERT(writable >= 1 && tx_is_signer(v, 0) && tx_is_writable(v, 0));
}

static void lengths(const uint8_t *data, size_t n)
{
    uint16_t v = 0;
    uint8_t again[3];
    size_t used = cu16_get(data, n, &v);
    XASSERT(used <= 3 && used <= n);
    XASSERT(used == 0 || (cu16_put(v, again) == used && memcmp(again, data, used) == 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    tx_view_t v;
    uint8_t *copy = malloc(n ? n : 1); /* of exact size, so that one byte too far is seen */
    if (!copy) return 0;
    memcpy(copy, data, n);
    lengths(copy, n);
    if (tx_parse(copy, n, &v) == XE_OK) {
        XASSERT(v.sigs_n == v.required && v.msg + v.msg_n == copy + n);
        walk(&v);
    }
    if (tx_parse_message(copy, n, &v) == XE_OK) walk(&v);
    free(copy);
    return 0;
}
