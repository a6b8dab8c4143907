/* What an endpoint said about a wallet, judged before it is believed. */
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "connectors/scan.h"
#include "connectors/wallet.h"
#include "engine/token.h"

#define DATA_MAX 16384 /* of one account; extensions of real ones stay below 1 KiB */

typedef struct { uint8_t key[32]; } name_t;

/* One answer while it is read: the accounts' names, and the mints that are known. */
typedef struct {
    const uint8_t *owner;
    bool token2022;
    wtokens_t *out;
    unsigned n, cap;
    name_t *names;
    uint8_t mints[ASSET_N][32];
} list_t;

void wtokens_fini(wtokens_t *w)
{
    free(w->t);
    *w = (wtokens_t){0};
}

xerr_t wallet_read_lamports(span_t result, uint64_t *lamports, uint64_t *slot)
{
    scan_t s;
    span_t v;
    xerr_t err = rpc_context(result, slot, &v);
    if (err) return err;
    scan_init(&s, v);
    return scan_u64(&s, lamports) && scan_done(&s) ? XE_OK : XE_BAD_INPUT;
}

/* An account object's bytes, when its owner is the program they must belong to. */
static xerr_t bytes_of(span_t account, const char *program, uint8_t *out, size_t *n)
{
    scan_t s;
    span_t v, text, kind;
    if (!scan_get_str(account, "owner", &text)) return XE_BAD_INPUT;
    if (!span_is(text, program)) return XE_DENIED;
    if (!scan_get(account, "data", &v)) return XE_BAD_INPUT;
    scan_init(&s, v);
    if (!scan_take(&s, '[') || !scan_str(&s, &text) || !scan_take(&s, ',') || !scan_str(&s, &kind) || !scan_take(&s, ']')) return XE_BAD_INPUT;
    return span_is(kind, "base64") ? b64_decode(text, out, DATA_MAX, n) : XE_BAD_INPUT;
}

static void *grow(void *p, unsigned n, unsigned *cap, size_t size)
{
    if (n < *cap) return p;
    *cap = *cap ? *cap * 2 : 16;
    p = realloc(p, *cap * size);
    XASSERT(p != NULL);
    return p;
}

static asset_t asset_of(const list_t *l, const uint8_t mint[32])
{
    for (int a = 0; a < ASSET_N && !l->token2022; a++)
        if (memcmp(l->mints[a], mint, 32) == 0) return (asset_t)a;
    return ASSET_N;
}

static void add(const list_t *l, const token_account_t *a)
{
    wtokens_t *w = l->out;
    if (a->amount == 0) return;
    asset_t asset = asset_of(l, a->mint);
    w->t = grow(w->t, w->n, &w->cap, sizeof *w->t);
    w->t[w->n] = (wtoken_t){.amount = a->amount, .decimals = asset < ASSET_N ? (int16_t)asset_decimals(asset) : -1, .asset = asset,
                            .token2022 = l->token2022, .frozen = a->state == TOKEN_FROZEN};
    memcpy(w->t[w->n++].mint, a->mint, 32);
}

static int by_mint(const void *a, const void *b) { return memcmp(((const wtoken_t *)a)->mint, ((const wtoken_t *)b)->mint, 32); }

/* One row per mint. XE_BAD_INPUT: a sum that no supply can reach. */
static xerr_t merge(wtokens_t *w)
{
    unsigned n = 0;
    if (w->n) qsort(w->t, w->n, sizeof *w->t, by_mint);
    for (unsigned i = 0; i < w->n; i++) {
        wtoken_t *last = n ? &w->t[n - 1] : NULL;
        if (!last || by_mint(last, &w->t[i]) != 0) {
            w->t[n++] = w->t[i];
            continue;
        }
        if (last->amount > UINT64_MAX - w->t[i].amount) return XE_BAD_INPUT;
        last->amount += w->t[i].amount;
        last->frozen |= w->t[i].frozen;
    }
    w->n = n;
    return XE_OK;
}

/* {"pubkey":..,"account":{..}} */
static xerr_t read_one(list_t *l, span_t row)
{
    uint8_t data[DATA_MAX];
    token_account_t a;
    span_t text, account;
    size_t n = 0;
    l->names = grow(l->names, l->n, &l->cap, sizeof *l->names);
    if (!scan_get_str(row, "pubkey", &text) || b58_key(text, l->names[l->n].key) || !scan_get(row, "account", &account)) return XE_BAD_INPUT;
    l->n++;
    xerr_t err = bytes_of(account, l->token2022 ? PROGRAM_2022 : PROGRAM_CLASSIC, data, &n);
    if (err) return err;
    if ((!l->token2022 && n != TOKEN_ACCOUNT_LEN) || token_account_decode(data, n, &a)) return XE_BAD_INPUT;
    if (memcmp(a.owner, l->owner, 32) != 0) return XE_CONFLICT;
    if (a.state == TOKEN_UNINITIALISED) return XE_BAD_INPUT;
    add(l, &a);
    return XE_OK;
}

static int by_name(const void *a, const void *b) { return memcmp(a, b, sizeof(name_t)); }

/* An account named twice would be counted twice. */
static bool repeated(list_t *l)
{
    if (l->n) qsort(l->names, l->n, sizeof *l->names, by_name);
    for (unsigned i = 1; i < l->n; i++)
        if (by_name(&l->names[i - 1], &l->names[i]) == 0) return true;
    return false;
}

static xerr_t read_list(list_t *l, span_t list)
{
    scan_t s;
    bool first = true;
    scan_init(&s, list);
    if (!scan_take(&s, '[')) return XE_BAD_INPUT;
    while (scan_more(&s, ']', &first)) {
        scan_peek(&s);
        const char *from = s.p;
        if (!scan_skip(&s, list.n)) return XE_BAD_INPUT;
        xerr_t err = read_one(l, span_make(from, (size_t)(s.p - from)));
        if (err) return err;
    }
    if (s.err || !scan_done(&s) || repeated(l)) return XE_BAD_INPUT;
    return merge(l->out);
}

xerr_t wallet_read_tokens(span_t result, const uint8_t owner[32], bool token2022, wtokens_t *out, uint64_t *slot)
{
    span_t text;
    list_t l = {.owner = owner, .token2022 = token2022, .out = out};
    for (int a = 0; a < ASSET_N; a++) XASSERT(b58_key(span_of(asset_mint((asset_t)a)), l.mints[a]) == XE_OK);
    xerr_t err = rpc_context(result, slot, &text);
    if (!err) err = read_list(&l, text);
    free(l.names);
    return err;
}

static void learn(wtoken_t *t, span_t account)
{
    uint8_t data[DATA_MAX];
    token_mint_t m;
    size_t n = 0;
    if (span_is(account, "null") || bytes_of(account, t->token2022 ? PROGRAM_2022 : PROGRAM_CLASSIC, data, &n)) return;
    if ((!t->token2022 && n != TOKEN_MINT_LEN) || token_mint_decode(data, n, &m) || !m.initialised) return;
    t->decimals = m.decimals;
}

xerr_t wallet_read_mints(span_t result, wtoken_t *const mints[], unsigned n)
{
    scan_t s;
    span_t list;
    bool first = true;
    uint64_t slot;
    unsigned i = 0;
    xerr_t err = rpc_context(result, &slot, &list);
    if (err) return err;
    scan_init(&s, list);
    if (!scan_take(&s, '[')) return XE_BAD_INPUT;
    for (; scan_more(&s, ']', &first); i++) {
        scan_peek(&s);
        const char *from = s.p;
        if (i == n || !scan_skip(&s, list.n)) return XE_BAD_INPUT;
        learn(mints[i], span_make(from, (size_t)(s.p - from)));
    }
    return s.err || i != n ? XE_BAD_INPUT : XE_OK;
}
