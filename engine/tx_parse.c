#include <string.h>

#include "base/crypto.h"
#include "engine/tx.h"

#define V0_MARK 0x80

typedef struct { const uint8_t *p; size_t n; bool bad; } in_t;

static const uint8_t *take(in_t *in, size_t n)
{
    const uint8_t *p = in->p;
    if (in->bad || n > in->n) {
        in->bad = true;
        return NULL;
    }
    in->p += n;
    in->n -= n;
    return p;
}

static unsigned take_u8(in_t *in)
{
    const uint8_t *p = take(in, 1);
    return p ? *p : 0;
}

static uint16_t take_count(in_t *in)
{
    uint16_t v = 0;
    size_t used = in->bad ? 0 : cu16_get(in->p, in->n, &v);
    if (used == 0) in->bad = true;
    else (void)take(in, used);
    return v;
}

/* Counts only: what the indexes mean is judged when all of them are known. */
static void skim_instructions(in_t *in, tx_view_t *v)
{
    v->ix_n = take_count(in);
    v->ix = in->p;
    for (unsigned i = 0; i < v->ix_n && !in->bad; i++) {
        (void)take(in, 1);
        (void)take(in, take_count(in));
        (void)take(in, take_count(in));
    }
}

static void skim_lookups(in_t *in, tx_view_t *v)
{
    v->lookups_n = take_count(in);
    v->lookups = in->p;
    for (unsigned i = 0; i < v->lookups_n && !in->bad; i++) {
        (void)take(in, 32);
        unsigned w = take_count(in);
        (void)take(in, w);
        unsigned r = take_count(in);
        (void)take(in, r);
        if (w + r == 0) in->bad = true;
        v->loaded_writable += w;
        v->loaded_readonly += r;
    }
}

static bool header_fits(const tx_view_t *v)
{
    if (v->required == 0 || v->readonly_signed >= v->required) return false;
    return (unsigned)v->required + v->readonly_unsigned <= v->keys_n;
}

static bool indexes_fit(const tx_view_t *v)
{
    unsigned total = v->keys_n + v->loaded_writable + v->loaded_readonly;
    const uint8_t *at = v->ix;
    if (total > TX_KEYS_MAX) return false;
    for (unsigned i = 0; i < v->ix_n; i++) {
        tx_ix_t ix;
        tx_ix_next(&at, &ix);
        if (ix.program == 0 || ix.program >= v->keys_n) return false; /* the payer is no program, and none is loaded */
        for (unsigned k = 0; k < ix.accounts_n; k++)
            if (ix.accounts[k] >= total) return false;
    }
    return true;
}

static bool keys_differ(const tx_view_t *v)
{
    for (unsigned i = 0; i < v->keys_n; i++)
        for (unsigned k = 0; k < i; k++)
            if (memcmp(v->keys + 32 * (size_t)i, v->keys + 32 * (size_t)k, 32) == 0) return false;
    return true;
}

xerr_t tx_parse_message(const uint8_t *msg, size_t n, tx_view_t *out)
{
    tx_view_t v = {.msg = msg, .msg_n = n};
    in_t in = {.p = msg, .n = n};
    if (n > TX_MAX) return XE_TOO_BIG;
    if (n == 0) return XE_BAD_INPUT;
    v.v0 = msg[0] & V0_MARK;
    if (v.v0 && take_u8(&in) != V0_MARK) return XE_UNSUPPORTED;
    v.required = (uint8_t)take_u8(&in);
    v.readonly_signed = (uint8_t)take_u8(&in);
    v.readonly_unsigned = (uint8_t)take_u8(&in);
    v.keys_n = take_count(&in);
    v.keys = take(&in, 32 * (size_t)v.keys_n);
    v.blockhash = take(&in, 32);
    skim_instructions(&in, &v);
    if (v.v0) skim_lookups(&in, &v);
    if (in.bad || in.n != 0 || !header_fits(&v) || !indexes_fit(&v) || !keys_differ(&v)) return XE_BAD_INPUT;
    *out = v;
    return XE_OK;
}

xerr_t tx_parse(const uint8_t *p, size_t n, tx_view_t *out)
{
    in_t in = {.p = p, .n = n};
    tx_view_t v;
    if (n > TX_MAX) return XE_TOO_BIG;
    unsigned sigs_n = take_count(&in);
    const uint8_t *sigs = take(&in, 64 * (size_t)sigs_n);
    if (in.bad) return XE_BAD_INPUT;
    xerr_t err = tx_parse_message(in.p, in.n, &v);
    if (err) return err;
    if (v.required != sigs_n) return XE_BAD_INPUT;
    v.sigs = sigs;
    v.sigs_n = sigs_n;
    *out = v;
    return XE_OK;
}

bool tx_is_signer(const tx_view_t *v, unsigned key) { return key < v->required; }

bool tx_is_writable(const tx_view_t *v, unsigned key)
{
    if (key < v->required) return key < (unsigned)v->required - v->readonly_signed;
    if (key < v->keys_n) return key < v->keys_n - v->readonly_unsigned;
    return key < v->keys_n + v->loaded_writable;
}

static uint16_t next_count(const uint8_t **at)
{
    uint16_t v = 0;
    *at += cu16_get(*at, 3, &v);
    return v;
}

void tx_ix_next(const uint8_t **at, tx_ix_t *out)
{
    out->program = *(*at)++;
    out->accounts_n = next_count(at);
    out->accounts = *at;
    *at += out->accounts_n;
    out->data_n = next_count(at);
    out->data = *at;
    *at += out->data_n;
}

void tx_lookup_next(const uint8_t **at, tx_lookup_t *out)
{
    out->table = *at;
    *at += 32;
    out->writable_n = next_count(at);
    out->writable = *at;
    *at += out->writable_n;
    out->readonly_n = next_count(at);
    out->readonly = *at;
    *at += out->readonly_n;
}

xerr_t tx_verify(const tx_view_t *v)
{
    if (v->sigs_n == 0 || v->sigs_n != v->required) return XE_AUTH;
    for (unsigned i = 0; i < v->sigs_n; i++)
        if (ed25519_verify(v->keys + 32 * (size_t)i, v->msg, v->msg_n, v->sigs + 64 * (size_t)i)) return XE_AUTH;
    return XE_OK;
}
