#include "engine/tx.h"

#include <string.h>

#include "base/crypto.h"

#define V0_MARK 0x80

/* ---- compact-u16 -------------------------------------------------------------------------------------------------- */

size_t cu16_put(uint16_t v, uint8_t out[3])
{
    size_t n = 0;
    for (; v > 0x7f; v = (uint16_t)(v >> 7)) out[n++] = (uint8_t)((v & 0x7f) | 0x80);
    out[n++] = (uint8_t)v;
    return n;
}

size_t cu16_get(const uint8_t *p, size_t n, uint16_t *out)
{
    unsigned v = 0;
    for (size_t i = 0; i < 3 && i < n; i++) {
        v |= (unsigned)(p[i] & 0x7f) << (7 * i);
        if (p[i] & 0x80) continue;
        if ((i > 0 && p[i] == 0) || v > UINT16_MAX) return 0;
        *out = (uint16_t)v;
        return i + 1;
    }
    return 0;
}

/* ---- which keys, in which order ----------------------------------------------------------------------------------- */

typedef struct {
    const uint8_t *key;
    bool signer, writable, invoked;
    int16_t table;           /* of the lookup it comes from; -1: static */
    uint8_t in_table;        /* its index there */
    uint8_t index;           /* in the message */
} slot_t;

typedef struct {
    const tx_plan_t *plan;
    slot_t slots[TX_KEYS_MAX];
    unsigned n, statics;
    uint8_t required, readonly_signed, readonly_unsigned;
} draft_t;

static slot_t *slot_of(draft_t *d, const uint8_t *key)
{
    for (unsigned i = 0; i < d->n; i++)
        if (memcmp(d->slots[i].key, key, 32) == 0) return &d->slots[i];
    if (d->n == TX_KEYS_MAX) return NULL;
    d->slots[d->n] = (slot_t){.key = key, .table = -1};
    return &d->slots[d->n++];
}

static xerr_t collect(draft_t *d)
{
    slot_t *s = slot_of(d, d->plan->payer);
    s->signer = s->writable = true;
    for (unsigned i = 0; i < d->plan->ix_n; i++) {
        const ix_t *ix = &d->plan->ix[i];
        if (ix->full) return XE_BAD_INPUT;
        s = slot_of(d, ix->program);
        if (!s) return XE_TOO_BIG;
        s->invoked = true;
        for (unsigned k = 0; k < ix->accounts_n; k++) {
            s = slot_of(d, ix->accounts[k].key);
            if (!s) return XE_TOO_BIG;
            s->signer |= ix->accounts[k].signer;
            s->writable |= ix->accounts[k].writable;
        }
    }
    return XE_OK;
}

static int find_in(const tx_table_t *t, const uint8_t *key)
{
    for (unsigned i = 0; i < t->n; i++)
        if (memcmp(t->keys + 32 * (size_t)i, key, 32) == 0) return (int)i;
    return -1;
}

/* Signers and programs must stand in the message itself. */
static void look_up(draft_t *d)
{
    for (unsigned t = 0; d->plan->v0 && t < d->plan->tables_n; t++) {
        for (unsigned i = 0; i < d->n; i++) {
            slot_t *s = &d->slots[i];
            if (s->signer || s->invoked || s->table >= 0) continue;
            int at = find_in(&d->plan->tables[t], s->key);
            if (at < 0) continue;
            s->table = (int16_t)t;
            s->in_table = (uint8_t)at;
        }
    }
}

static bool in_group(const slot_t *s, bool is_static, bool signer, bool writable)
{
    return (s->table < 0) == is_static && s->signer == signer && s->writable == writable;
}

static unsigned number_group(draft_t *d, unsigned *next, bool signer, bool writable)
{
    unsigned from = *next;
    for (unsigned i = 0; i < d->n; i++)
        if (in_group(&d->slots[i], true, signer, writable)) d->slots[i].index = (uint8_t)(*next)++;
    return *next - from;
}

static void number_loaded(draft_t *d, unsigned *next, bool writable)
{
    for (unsigned t = 0; t < d->plan->tables_n; t++)
        for (unsigned i = 0; i < d->n; i++)
            if (d->slots[i].table == (int16_t)t && d->slots[i].writable == writable) d->slots[i].index = (uint8_t)(*next)++;
}

static xerr_t number(draft_t *d)
{
    unsigned next = 0, ws = number_group(d, &next, true, true), rs = number_group(d, &next, true, false);
    (void)number_group(d, &next, false, true);
    unsigned ru = number_group(d, &next, false, false);
    if (ws + rs > TX_SIGNERS_MAX || ru > UINT8_MAX) return XE_TOO_BIG;
    d->required = (uint8_t)(ws + rs);
    d->readonly_signed = (uint8_t)rs;
    d->readonly_unsigned = (uint8_t)ru;
    d->statics = next;
    number_loaded(d, &next, true);
    number_loaded(d, &next, false);
    return XE_OK;
}

/* ---- writing ------------------------------------------------------------------------------------------------------ */

typedef struct { uint8_t *p; size_t n, cap; bool full; } out_t;

static void add(out_t *o, const void *p, size_t n)
{
    if (n > o->cap - o->n) o->full = true;
    if (o->full) return;
    if (n) memcpy(o->p + o->n, p, n);
    o->n += n;
}

static void add_u8(out_t *o, unsigned v)
{
    uint8_t b = (uint8_t)v;
    add(o, &b, 1);
}

static void add_count(out_t *o, size_t v)
{
    uint8_t b[3];
    if (v > UINT16_MAX) o->full = true;
    else add(o, b, cu16_put((uint16_t)v, b));
}

static void add_keys(out_t *o, const draft_t *d)
{
    add_count(o, d->statics);
    for (unsigned index = 0; index < d->statics; index++)
        for (unsigned i = 0; i < d->n; i++)
            if (d->slots[i].table < 0 && d->slots[i].index == index) add(o, d->slots[i].key, 32);
}

static void add_instructions(out_t *o, draft_t *d)
{
    add_count(o, d->plan->ix_n);
    for (unsigned i = 0; i < d->plan->ix_n; i++) {
        const ix_t *ix = &d->plan->ix[i];
        add_u8(o, slot_of(d, ix->program)->index);
        add_count(o, ix->accounts_n);
        for (unsigned k = 0; k < ix->accounts_n; k++) add_u8(o, slot_of(d, ix->accounts[k].key)->index);
        add_count(o, ix->data_n);
        add(o, ix->data, ix->data_n);
    }
}

static unsigned loaded_of(const draft_t *d, unsigned table, bool writable)
{
    unsigned n = 0;
    for (unsigned i = 0; i < d->n; i++) n += d->slots[i].table == (int16_t)table && d->slots[i].writable == writable;
    return n;
}

static void add_indexes(out_t *o, const draft_t *d, unsigned table, bool writable)
{
    add_count(o, loaded_of(d, table, writable));
    for (unsigned i = 0; i < d->n; i++)
        if (d->slots[i].table == (int16_t)table && d->slots[i].writable == writable) add_u8(o, d->slots[i].in_table);
}

static bool table_used(const draft_t *d, unsigned t)
{
    return loaded_of(d, t, true) + loaded_of(d, t, false) > 0;
}

static void add_lookups(out_t *o, const draft_t *d)
{
    unsigned used = 0;
    for (unsigned t = 0; t < d->plan->tables_n; t++) used += table_used(d, t);
    add_count(o, used);
    for (unsigned t = 0; t < d->plan->tables_n; t++) {
        if (!table_used(d, t)) continue;
        add(o, d->plan->tables[t].key, 32);
        add_indexes(o, d, t, true);
        add_indexes(o, d, t, false);
    }
}

xerr_t tx_compile(const tx_plan_t *plan, uint8_t *out, size_t cap, size_t *n)
{
    draft_t d = {.plan = plan};
    out_t o = {.p = out, .cap = cap};
    if (plan->tables_n > TX_TABLES_MAX) return XE_TOO_BIG;
    for (unsigned t = 0; t < plan->tables_n; t++)
        if (plan->tables[t].n > TX_KEYS_MAX) return XE_BAD_INPUT;
    xerr_t err = collect(&d);
    if (err) return err;
    look_up(&d);
    err = number(&d);
    if (err) return err;
    if (plan->v0) add_u8(&o, V0_MARK);
    add_u8(&o, d.required);
    add_u8(&o, d.readonly_signed);
    add_u8(&o, d.readonly_unsigned);
    add_keys(&o, &d);
    add(&o, plan->blockhash, 32);
    add_instructions(&o, &d);
    if (plan->v0) add_lookups(&o, &d);
    *n = o.n;
    return o.full ? XE_TOO_BIG : XE_OK;
}

xerr_t tx_wrap(const uint8_t *msg, size_t msg_n, uint8_t *out, size_t cap, size_t *n)
{
    static const uint8_t none[64];
    out_t o = {.p = out, .cap = cap};
    unsigned mark = msg_n > 1 && msg[0] == V0_MARK;
    if (msg_n < 2 || (msg[0] & V0_MARK && !mark)) return XE_BAD_INPUT;
    add_count(&o, msg[mark]);
    for (unsigned i = 0; i < msg[mark]; i++) add(&o, none, sizeof none);
    add(&o, msg, msg_n);
    *n = o.n;
    return o.full ? XE_TOO_BIG : XE_OK;
}

xerr_t tx_sign(uint8_t *tx, size_t n, const uint8_t seed[32])
{
    uint8_t key[32];
    tx_view_t v;
    xerr_t err = tx_parse(tx, n, &v);
    if (!err) err = ed25519_public(seed, key);
    if (err) return err;
    for (unsigned i = 0; i < v.required; i++)
        if (memcmp(v.keys + 32 * (size_t)i, key, 32) == 0) return ed25519_sign(seed, v.msg, v.msg_n, tx + (v.sigs - tx) + 64 * (size_t)i);
    return XE_NOT_FOUND;
}
