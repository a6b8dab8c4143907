/* A Solana node as far as a pool reader needs it: JSON-RPC over POST (single and batch) and over the websocket, with
 * accountSubscribe and slotSubscribe notifications. Every commitment sees the same state. */
#include "base/codec.h"
#include "sim/sim.h"

#define SUBS_MAX 64
#define BATCH_MAX 100
#define ACCOUNTS_MAX 100
#define API_VERSION "2.3.7"
#define TOKEN "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA"
#define TOKEN_2022 "TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb"

typedef enum { ENC_BASE58, ENC_BASE64 } enc_t;
typedef struct {
    uint64_t id;
    bool slots;
    uint8_t key[32];
    enc_t enc;
} sub_t;
typedef struct {
    client_t cl;
    sub_t sub[SUBS_MAX];
    unsigned n;
} solana_t;

typedef struct {
    sim_t *s;
    conn_t *c; /* NULL: over POST */
    jw_t *w;
    const json_t *id, *params;
} rpc_t;

typedef struct {
    enc_t enc;
    bool sliced;
    int64_t offset, length, min_slot;
} opts_t;

/* ---- answers ---- */

static void envelope(rpc_t *r)
{
    jw_obj(r->w);
    key_text(r->w, "jsonrpc", "2.0");
}

static void put_id(rpc_t *r)
{
    jw_key(r->w, "id");
    if (r->id && (json_type(r->id) == JSON_NUM || json_type(r->id) == JSON_STR))
        jw_raw(r->w, json_raw(r->id));
    else
        jw_null(r->w);
}

static void fail_data(rpc_t *r, int code, const char *message, const char *key, int64_t value)
{
    envelope(r);
    jw_key(r->w, "error");
    jw_obj(r->w);
    key_i64(r->w, "code", code);
    key_text(r->w, "message", message);
    if (key) {
        jw_key(r->w, "data");
        jw_obj(r->w);
        jw_key(r->w, key);
        jw_i64(r->w, value);
        jw_end(r->w);
    }
    jw_end(r->w);
    put_id(r);
    jw_end(r->w);
}

static void fail(rpc_t *r, int code, const char *message)
{
    fail_data(r, code, message, NULL, 0);
}

static void begin(rpc_t *r)
{
    envelope(r);
    jw_key(r->w, "result");
}

static void finish(rpc_t *r)
{
    put_id(r);
    jw_end(r->w);
}

static void result_u64(rpc_t *r, uint64_t v)
{
    begin(r);
    jw_u64(r->w, v);
    finish(r);
}

static void context(const sim_t *s, jw_t *w, bool version)
{
    jw_obj(w);
    jw_key(w, "context");
    jw_obj(w);
    if (version) key_text(w, "apiVersion", API_VERSION);
    jw_key(w, "slot");
    jw_u64(w, s->slot);
    jw_end(w);
    jw_key(w, "value");
}

/* ---- accounts ---- */

static void put_key(jw_t *w, const uint8_t key[32])
{
    char text[68];
    b58_encode(key, 32, text, sizeof(text));
    jw_cstr(w, text);
}

static void put_data(jw_t *w, span_t data, enc_t enc)
{
    char text[16384];
    const uint8_t *p = (const uint8_t *)data.p;
    size_t n = enc == ENC_BASE64 ? b64_encode(p, data.n, text, sizeof(text)) : 0;
    if (enc == ENC_BASE58 && data.n) {
        char big[272]; /* the encoder takes 64 bytes at most; longer ones are refused before */
        n = b58_encode(p, data.n, big, sizeof(big));
        memcpy(text, big, n);
    }
    jw_arr(w);
    jw_str(w, span_make(text, n));
    jw_cstr(w, enc == ENC_BASE64 ? "base64" : "base58");
    jw_end(w);
}

/* A mint of the simulated wallets, into s->body. */
static xerr_t mint_account(sim_t *s, const uint8_t key[32], uint8_t owner[32], uint64_t *lamports)
{
    bool token2022;
    xerr_t err = sim_mint(&s->wallets, key, &s->body, &token2022);
    if (!err) (void)b58_key(token2022 ? SPAN_LIT(TOKEN_2022) : SPAN_LIT(TOKEN), owner);
    *lamports = 1461600;
    return err;
}

/* The account's value, or null. Its bytes pass through s->body. */
static void put_account(sim_t *s, jw_t *w, const uint8_t key[32], const opts_t *o)
{
    uint8_t owner[32];
    uint64_t lamports;
    buf_reset(&s->body);
    if (pool_account(&s->pool, key, &s->body, owner, &lamports) && mint_account(s, key, owner, &lamports)) {
        jw_null(w);
        return;
    }
    span_t data = buf_span(&s->body);
    if (o->sliced) {
        size_t from = (size_t)o->offset < data.n ? (size_t)o->offset : data.n;
        size_t n = (size_t)o->length < data.n - from ? (size_t)o->length : data.n - from;
        data = span_make(data.p + from, n);
    }
    jw_obj(w);
    jw_key(w, "data");
    put_data(w, data, o->enc);
    jw_key(w, "executable");
    jw_bool(w, false);
    jw_key(w, "lamports");
    jw_u64(w, lamports);
    jw_key(w, "owner");
    put_key(w, owner);
    jw_key(w, "rentEpoch");
    jw_u64(w, UINT64_MAX);
    jw_key(w, "space");
    jw_u64(w, s->body.n);
    jw_end(w);
}

/* false: answered with an error. */
static bool options(rpc_t *r, const json_t *v, opts_t *o)
{
    *o = (opts_t){.enc = ENC_BASE58};
    if (!v || json_type(v) != JSON_OBJ) return true;
    span_t enc = json_str(json_get(v, "encoding"));
    const json_t *slice = json_get(v, "dataSlice"), *min = json_get(v, "minContextSlot");
    /* No parser here knows these accounts, so jsonParsed falls back as it does in life. */
    if (span_is(enc, "base64") || span_is(enc, "jsonParsed"))
        o->enc = ENC_BASE64;
    else if (enc.n && !span_is(enc, "base58"))
        return fail(r, -32602, "Invalid params: encoding not supported"), false;
    if (slice && json_type(slice) == JSON_OBJ) {
        o->sliced = true;
        if (!json_get(slice, "offset") || json_i64(json_get(slice, "offset"), &o->offset) || o->offset < 0 ||
            !json_get(slice, "length") || json_i64(json_get(slice, "length"), &o->length) || o->length < 0)
            return fail(r, -32602, "Invalid params: dataSlice"), false;
    }
    if (min && (json_i64(min, &o->min_slot) || o->min_slot < 0))
        return fail(r, -32602, "Invalid params: minContextSlot"), false;
    if (o->min_slot > (int64_t)r->s->slot)
        return fail_data(r, -32016, "Minimum context slot has not been reached", "contextSlot", (int64_t)r->s->slot),
               false;
    return true;
}

static bool fits_base58(rpc_t *r, const uint8_t key[32], const opts_t *o)
{
    uint8_t owner[32];
    uint64_t lamports;
    buf_reset(&r->s->body);
    if (o->enc != ENC_BASE58 || pool_account(&r->s->pool, key, &r->s->body, owner, &lamports)) return true;
    size_t n = r->s->body.n;
    if (o->sliced)
        n = (size_t)o->offset >= n                      ? 0
            : n - (size_t)o->offset < (size_t)o->length ? n - (size_t)o->offset
                                                        : (size_t)o->length;
    if (n <= 64) return true;
    fail(r, -32600, "Encoded binary (base 58) data should be less than 128 bytes, please use Base64 encoding.");
    return false;
}

static bool key_of(rpc_t *r, const json_t *v, uint8_t key[32])
{
    if (v && json_type(v) == JSON_STR && b58_key(json_str(v), key) == XE_OK) return true;
    fail(r, -32602, "Invalid param: Invalid");
    return false;
}

static void get_account(rpc_t *r)
{
    uint8_t key[32];
    opts_t o;
    if (!key_of(r, json_at(r->params, 0), key) || !options(r, json_at(r->params, 1), &o) || !fits_base58(r, key, &o))
        return;
    begin(r);
    context(r->s, r->w, true);
    put_account(r->s, r->w, key, &o);
    jw_end(r->w);
    finish(r);
}

static void get_accounts(rpc_t *r)
{
    const json_t *list = json_at(r->params, 0);
    uint8_t key[ACCOUNTS_MAX][32];
    opts_t o;
    size_t n = json_len(list);
    if (!list || json_type(list) != JSON_ARR) {
        fail(r, -32602, "Invalid params: invalid type, expected a sequence");
        return;
    }
    if (n > ACCOUNTS_MAX) {
        fail(r, -32602, "Too many inputs provided; max 100");
        return;
    }
    if (!options(r, json_at(r->params, 1), &o)) return;
    for (size_t i = 0; i < n; i++) {
        if (!key_of(r, json_at(list, i), key[i]) || !fits_base58(r, key[i], &o)) return;
    }
    begin(r);
    context(r->s, r->w, true);
    jw_arr(r->w);
    for (size_t i = 0; i < n; i++) put_account(r->s, r->w, key[i], &o);
    jw_end(r->w);
    jw_end(r->w);
    finish(r);
}

static void get_balance(rpc_t *r)
{
    uint8_t key[32];
    holding_t h;
    opts_t o;
    if (!key_of(r, json_at(r->params, 0), key) || !options(r, json_at(r->params, 1), &o)) return;
    sim_wallet_of(&r->s->wallets, key, &h);
    begin(r);
    context(r->s, r->w, true);
    jw_u64(r->w, h.lamports);
    jw_end(r->w);
    finish(r);
}

/* {"mint":M} or {"programId":P} */
typedef struct {
    bool by_mint, token2022;
    uint8_t mint[32];
} filter_t;

static bool filter_of(rpc_t *r, const json_t *v, filter_t *f)
{
    const json_t *mint = json_get(v, "mint"), *program = json_get(v, "programId");
    *f = (filter_t){.by_mint = mint != NULL};
    if (mint) return key_of(r, mint, f->mint);
    f->token2022 = program && span_is(json_str(program), TOKEN_2022);
    if (f->token2022 || (program && span_is(json_str(program), TOKEN))) return true;
    fail(r, -32602, "Invalid param: unrecognized Token program id");
    return false;
}

static void put_token(rpc_t *r, const sim_token_t *t, const uint8_t owner[32])
{
    sim_t *s = r->s;
    uint8_t whose[32];
    memcpy(whose, owner, 32);
    if (fault_on(s, SV_SOLANA, FAULT_LIE)) whose[0] ^= 1; /* somebody else's account */
    buf_reset(&s->body);
    sim_token_encode(t, whose, &s->body);
    jw_obj(r->w);
    jw_key(r->w, "account");
    jw_obj(r->w);
    jw_key(r->w, "data");
    put_data(r->w, buf_span(&s->body), ENC_BASE64);
    jw_key(r->w, "executable");
    jw_bool(r->w, false);
    key_i64(r->w, "lamports", 2039280);
    key_text(r->w, "owner", t->token2022 ? TOKEN_2022 : TOKEN);
    jw_key(r->w, "rentEpoch");
    jw_u64(r->w, UINT64_MAX);
    key_i64(r->w, "space", (int64_t)s->body.n);
    jw_end(r->w);
    jw_key(r->w, "pubkey");
    put_key(r->w, t->key);
    jw_end(r->w);
}

static void get_tokens(rpc_t *r)
{
    uint8_t key[32];
    holding_t h;
    filter_t f;
    opts_t o;
    sim_token_t t;
    if (!key_of(r, json_at(r->params, 0), key) || !filter_of(r, json_at(r->params, 1), &f) || !options(r, json_at(r->params, 2), &o)) return;
    if (o.enc != ENC_BASE64) {
        fail(r, -32600, "Encoded binary (base 58) data should be less than 128 bytes, please use Base64 encoding.");
        return;
    }
    sim_wallet_of(&r->s->wallets, key, &h);
    begin(r);
    context(r->s, r->w, true);
    jw_arr(r->w);
    for (unsigned i = 0; sim_wallet_token(&r->s->wallets, &h, i, &t); i++) {
        bool wanted = f.by_mint ? memcmp(t.mint, f.mint, 32) == 0 : t.token2022 == f.token2022;
        if (wanted && (t.amount || i == 0)) put_token(r, &t, key);
    }
    jw_end(r->w);
    jw_end(r->w);
    finish(r);
}

static void get_slot(rpc_t *r)
{
    opts_t o;
    if (options(r, json_at(r->params, 0), &o)) result_u64(r, r->s->slot);
}

static void get_health(rpc_t *r)
{
    begin(r);
    jw_cstr(r->w, "ok");
    finish(r);
}

static void get_version(rpc_t *r)
{
    begin(r);
    jw_obj(r->w);
    jw_key(r->w, "feature-set");
    jw_u64(r->w, 2837154401u);
    key_text(r->w, "solana-core", API_VERSION);
    jw_end(r->w);
    finish(r);
}

/* ---- subscriptions ---- */

static void add_sub(rpc_t *r, sub_t sub)
{
    solana_t *so = conn_user(r->c);
    if (so->n == SUBS_MAX) {
        fail(r, -32000, "Too many subscriptions");
        return;
    }
    sub.id = ++r->s->sub_id;
    so->sub[so->n++] = sub;
    result_u64(r, sub.id);
}

static void account_subscribe(rpc_t *r)
{
    sub_t sub = {0};
    opts_t o;
    if (!key_of(r, json_at(r->params, 0), sub.key) || !options(r, json_at(r->params, 1), &o) ||
        !fits_base58(r, sub.key, &o))
        return;
    sub.enc = o.enc;
    add_sub(r, sub);
}

static void slot_subscribe(rpc_t *r)
{
    add_sub(r, (sub_t){.slots = true});
}

static void unsubscribe(rpc_t *r)
{
    solana_t *so = conn_user(r->c);
    const json_t *v = json_at(r->params, 0);
    int64_t id = -1;
    if (v && json_i64(v, &id)) id = -1;
    for (unsigned i = 0; i < so->n; i++) {
        if (so->sub[i].id != (uint64_t)id) continue;
        so->sub[i] = so->sub[--so->n];
        begin(r);
        jw_bool(r->w, true);
        finish(r);
        return;
    }
    fail(r, -32602, "Invalid subscription id.");
}

static const struct {
    const char *name;
    void (*fn)(rpc_t *r);
    bool socket;
} methods[] = {
    {"getAccountInfo", get_account, false},
    {"getMultipleAccounts", get_accounts, false},
    {"getBalance", get_balance, false},
    {"getTokenAccountsByOwner", get_tokens, false},
    {"getSlot", get_slot, false},
    {"getHealth", get_health, false},
    {"getVersion", get_version, false},
    {"accountSubscribe", account_subscribe, true},
    {"accountUnsubscribe", unsubscribe, true},
    {"slotSubscribe", slot_subscribe, true},
    {"slotUnsubscribe", unsubscribe, true},
};

/* ---- dispatch ---- */

static void one(sim_t *s, conn_t *ws, jw_t *w, const json_t *v)
{
    rpc_t r = {s, ws, w, json_get(v, "id"), json_get(v, "params")};
    const json_t *method = json_get(v, "method");
    if (!v || json_type(v) != JSON_OBJ || !method || json_type(method) != JSON_STR ||
        !span_is(json_str(json_get(v, "jsonrpc")), "2.0")) {
        fail(&r, -32600, "Invalid request");
        return;
    }
    if (r.params && json_type(r.params) != JSON_ARR) {
        fail(&r, -32602, "Invalid params");
        return;
    }
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        if (span_is(json_str(method), methods[i].name) && methods[i].socket <= (ws != NULL)) {
            methods[i].fn(&r);
            return;
        }
    }
    fail(&r, -32601, "Method not found");
}

static void dispatch(void *ctx, const json_t *v)
{
    call_t *k = ctx;
    jw_t w;
    buf_reset(&k->s->msg);
    jw_init(&w, &k->s->msg);
    size_t n = json_len(v);
    if (json_type(v) != JSON_ARR || n == 0 || n > BATCH_MAX) {
        one(k->s, k->c, &w, v);
        return;
    }
    jw_arr(&w);
    for (size_t i = 0; i < n; i++) one(k->s, k->c, &w, json_at(v, i));
    jw_end(&w);
}

static void answer(sim_t *s, conn_t *ws, span_t text)
{
    call_t k = {s, ws};
    if (with_json(s, text, dispatch, &k)) return;
    jw_t w;
    buf_reset(&s->msg);
    jw_init(&w, &s->msg);
    rpc_t r = {.s = s, .w = &w};
    fail(&r, -32700, "Parse error");
}

static void text(sim_t *s, conn_t *c, span_t t)
{
    answer(s, c, t);
    out_text(s, c, buf_span(&s->msg), OUT_REPLY);
}

static void post(sim_t *s, conn_t *c, const sreq_t *r)
{
    static const span_t json = SPAN_LIT("application/json");
    if (!span_is(r->method, "POST")) {
        conn_reply(c, 405, "text/plain", SPAN_LIT("Used HTTP Method is not allowed. POST or OPTIONS is required\n"));
    } else if (r->type.n < json.n || memcmp(r->type.p, json.p, json.n) != 0) {
        conn_reply(c, 415, "text/plain",
                   SPAN_LIT("Supplied content type is not allowed. Content-Type: application/json is required\n"));
    } else {
        answer(s, NULL, r->body);
        out_http(s, c, SV_SOLANA, buf_span(&s->msg));
    }
}

/* ---- notifications ---- */

static void notify(sim_t *s, conn_t *c, const sub_t *sub)
{
    jw_t w;
    opts_t o = {.enc = sub->enc};
    buf_reset(&s->msg);
    jw_init(&w, &s->msg);
    jw_obj(&w);
    key_text(&w, "jsonrpc", "2.0");
    key_text(&w, "method", sub->slots ? "slotNotification" : "accountNotification");
    jw_key(&w, "params");
    jw_obj(&w);
    jw_key(&w, "result");
    if (sub->slots) {
        static const char *const keys[] = {"parent", "root", "slot"};
        const uint64_t vals[] = {s->slot - 1, s->slot - 32, s->slot};
        jw_obj(&w);
        for (unsigned i = 0; i < 3; i++) {
            jw_key(&w, keys[i]);
            jw_u64(&w, vals[i]);
        }
    } else {
        context(s, &w, false);
        put_account(s, &w, sub->key, &o);
    }
    jw_end(&w);
    jw_key(&w, "subscription");
    jw_u64(&w, sub->id);
    jw_end(&w);
    jw_end(&w);
    out_text(s, c, buf_span(&s->msg), OUT_UPDATE);
}

static void slot(sim_t *s, conn_t *c)
{
    solana_t *so = conn_user(c);
    for (unsigned i = 0; i < so->n; i++) {
        if (so->sub[i].slots || pool_account_changed(&s->pool, so->sub[i].key)) notify(s, c, &so->sub[i]);
    }
}

const endpoint_t endpoint_solana = {
    .path = "/solana",
    .venue = SV_SOLANA,
    .client_size = sizeof(solana_t),
    .text = text,
    .post = post,
    .slot = slot,
};
