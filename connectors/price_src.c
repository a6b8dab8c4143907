#include "connectors/price_src.h"

#include <string.h>

#include "connectors/scan.h"
#include "reactor/json.h"

#define NUM_MAX 64
#define EXP_MAX 40
#define PLACES 12
#define TIME_MAX_S 253402300799LL
#define CANDLE_MAX_US 180000000LL
#define CONF_SHARE 100 /* Pyth's interval: at most a hundredth of the price */

const char *price_src_name(price_src_t s)
{
    static const char *const names[SRC_N] = {
#define X(id, name) name,
        PRICE_SRC_LIST(X)
#undef X
    };
    return names[s];
}

/* ---- what to ask ---- */

static const char *const gecko_ids[ASSET_N] = {[ASSET_SOL] = "solana", [ASSET_USDC] = "usd-coin", [ASSET_USDT] = "tether"};
static const char *const pyth_ids[ASSET_N] = {
    [ASSET_SOL] = "ef0d8b6fda2ceba41da15d4095d1da392a0d2f8ed0c6c7bc0f4cfac8c280b56d",
    [ASSET_USDC] = "eaa020c61cc479712813461ce153894a96a6c00b21ed0cfc2798d1f9a9e9c94a",
    [ASSET_USDT] = "2b89b9dc8fdf9f34709a5b106b472f0f39bb6ca9ce04b0fd7f2e971688e2e53b",
};

void price_src_url(price_src_t s, const char *base, buf_t *out)
{
    buf_str(out, base);
    switch (s) {
    case SRC_COINGECKO: buf_str(out, "/simple/price?ids=solana,usd-coin,tether&vs_currencies=usd&include_last_updated_at=true"); break;
    case SRC_JUPITER:
        buf_fmt(out, "/price/v3?ids=%s,%s,%s", asset_mint(ASSET_SOL), asset_mint(ASSET_USDC), asset_mint(ASSET_USDT));
        break;
    case SRC_PYTH:
        buf_str(out, "/v2/updates/price/latest?");
        for (int a = 0; a < ASSET_N; a++) buf_fmt(out, "ids[]=%s&", pyth_ids[a]);
        buf_str(out, "parsed=true&encoding=base64");
        break;
    case SRC_BIRDEYE: case SRC_N: break;
    }
}

void price_src_header(price_src_t s, const char *base, const char *key, buf_t *out)
{
    if (!key[0]) return;
    switch (s) {
    case SRC_COINGECKO: buf_fmt(out, "%s: %s", strstr(base, "//pro-api.") ? "x-cg-pro-api-key" : "x-cg-demo-api-key", key); break;
    case SRC_JUPITER: buf_fmt(out, "x-api-key: %s", key); break;
    case SRC_PYTH: buf_fmt(out, "Authorization: Bearer %s", key); break;
    case SRC_BIRDEYE: case SRC_N: break;
    }
}

/* ---- numbers ---- */

/* digits * 10^exp, cut to 1e-12. */
static xerr_t scaled(u128_t digits, int exp, px_t *out)
{
    const u128_t max = (u128_t)-1 >> 1;
    for (exp += PLACES; exp > 0 && digits != 0; exp--) {
        if (digits > max / 10) return XE_RANGE;
        digits *= 10;
    }
    for (; exp < 0 && digits != 0; exp++) digits /= 10;
    if (digits > max) return XE_RANGE;
    out->raw = (i128_t)digits;
    return XE_OK;
}

static bool exponent(const char *p, const char *end, int *exp)
{
    bool neg = p < end && *p == '-';
    int v = 0;
    if (p < end && (*p == '-' || *p == '+')) p++;
    if (p == end || end - p > 3) return false;
    for (; p < end; p++) {
        if (*p < '0' || *p > '9') return false;
        v = v * 10 + (*p - '0');
    }
    *exp += neg ? -v : v;
    return v <= EXP_MAX;
}

xerr_t price_number(span_t text, px_t *out)
{
    const char *p = text.p, *end = text.p + text.n;
    u128_t digits = 0;
    int exp = 0, seen = 0;
    bool point = false;
    if (text.n == 0 || text.n > NUM_MAX) return XE_BAD_INPUT;
    for (; p < end && *p != 'e' && *p != 'E'; p++) {
        if (*p == '.' && !point && seen) {
            point = true;
            continue;
        }
        if (*p < '0' || *p > '9') return XE_BAD_INPUT;
        seen++;
        if (digits > (u128_t)-1 >> 12) { /* enough digits: what follows is beyond 1e-12 of any price */
            exp += !point;
            continue;
        }
        digits = digits * 10 + (unsigned)(*p - '0');
        exp -= point;
    }
    if (!seen || p[-1] == '.') return XE_BAD_INPUT;
    if (p < end && !exponent(p + 1, end, &exp)) return XE_BAD_INPUT;
    return scaled(digits, exp, out);
}

static bool get_seconds(span_t obj, const char *name, int64_t *us)
{
    scan_t s;
    span_t v;
    uint64_t n;
    if (!scan_get(obj, name, &v)) return false;
    scan_init(&s, v);
    if (!scan_u64(&s, &n) || n > (uint64_t)TIME_MAX_S) return false;
    *us = (int64_t)n * 1000000;
    return true;
}

/* ---- answers ---- */

static void read_gecko(span_t body, asset_t a, quote_t *q)
{
    span_t one, v;
    if (!scan_get(body, gecko_ids[a], &one) || !scan_get(one, "usd", &v)) return;
    q->known = price_number(v, &q->usd) == XE_OK && q->usd.raw > 0 && get_seconds(one, "last_updated_at", &q->at_us);
}

static void read_jupiter(span_t body, asset_t a, quote_t *q)
{
    span_t one, v;
    if (!scan_get(body, asset_mint(a), &one) || !scan_get(one, "usdPrice", &v)) return;
    q->known = price_number(v, &q->usd) == XE_OK && q->usd.raw > 0;
}

static bool pyth_int(span_t obj, const char *name, int expo, px_t *out)
{
    scan_t s;
    span_t text;
    uint64_t n;
    if (!scan_get_str(obj, name, &text)) return false;
    scan_init(&s, text);
    return scan_u64(&s, &n) && scan_done(&s) && scaled(n, expo, out) == XE_OK;
}

static void read_pyth_one(span_t row, quote_t out[ASSET_N])
{
    span_t id, price, v;
    px_t usd, conf;
    quote_t q = {0};
    int expo = 0;
    if (!scan_get_str(row, "id", &id) || !scan_get(row, "price", &price) || !scan_get(price, "expo", &v)) return;
    if (v.n < 1 || !exponent(v.p, v.p + v.n, &expo)) return;
    if (!pyth_int(price, "price", expo, &usd) || !pyth_int(price, "conf", expo, &conf) || !get_seconds(price, "publish_time", &q.at_us)) return;
    q.usd = usd;
    q.known = usd.raw > 0 && conf.raw <= usd.raw / CONF_SHARE;
    for (int a = 0; a < ASSET_N; a++)
        if (span_is(id, pyth_ids[a])) out[a] = q;
}

static xerr_t read_pyth(span_t body, quote_t out[ASSET_N])
{
    scan_t s;
    span_t list;
    bool first = true;
    if (!scan_get(body, "parsed", &list)) return XE_BAD_INPUT;
    scan_init(&s, list);
    if (!scan_take(&s, '[')) return XE_BAD_INPUT;
    while (scan_more(&s, ']', &first)) {
        scan_peek(&s);
        const char *from = s.p;
        if (!scan_skip(&s, list.n)) return XE_BAD_INPUT;
        read_pyth_one(span_make(from, (size_t)(s.p - from)), out);
    }
    return s.err;
}

xerr_t price_src_read(price_src_t src, span_t body, quote_t out[ASSET_N])
{
    scan_t s;
    memset(out, 0, ASSET_N * sizeof *out);
    scan_init(&s, body);
    if (scan_peek(&s) != '{' || !scan_skip(&s, body.n) || !scan_done(&s)) return XE_BAD_INPUT;
    if (src == SRC_PYTH) return read_pyth(body, out);
    if (src == SRC_BIRDEYE) return XE_BAD_INPUT;
    bool any = false;
    for (int a = 0; a < ASSET_N; a++) {
        if (src == SRC_COINGECKO) read_gecko(body, (asset_t)a, &out[a]);
        else read_jupiter(body, (asset_t)a, &out[a]);
        any |= out[a].known;
    }
    return any ? XE_OK : XE_BAD_INPUT;
}

/* ---- Birdeye ---- */

void birdeye_subscription(buf_t *out)
{
    buf_t query;
    jw_t w;
    buf_init(&query, 1024);
    for (int a = 0; a < ASSET_N; a++)
        buf_fmt(&query, "%s(address = %s AND chartType = 1m AND currency = usd)", a ? " OR " : "", asset_mint((asset_t)a));
    jw_init(&w, out);
    jw_obj(&w);
    jw_key(&w, "type");
    jw_cstr(&w, "SUBSCRIBE_PRICE");
    jw_key(&w, "data");
    jw_obj(&w);
    jw_key(&w, "queryType");
    jw_cstr(&w, "complex");
    jw_key(&w, "query");
    jw_str(&w, buf_span(&query));
    jw_end(&w);
    jw_end(&w);
    buf_fini(&query);
}

xerr_t birdeye_read(span_t text, int64_t now_us, quote_t out[ASSET_N])
{
    scan_t s;
    span_t type, data, address, v;
    quote_t q = {0};
    int64_t began;
    memset(out, 0, ASSET_N * sizeof *out);
    scan_init(&s, text);
    if (scan_peek(&s) != '{' || !scan_skip(&s, text.n) || !scan_done(&s) || !scan_get_str(text, "type", &type)) return XE_BAD_INPUT;
    if (!span_is(type, "PRICE_DATA")) return XE_AGAIN;
    if (!scan_get(text, "data", &data) || !scan_get_str(data, "address", &address) || !scan_get(data, "c", &v)) return XE_BAD_INPUT;
    if (price_number(v, &q.usd) || q.usd.raw <= 0 || !get_seconds(data, "unixTime", &began)) return XE_BAD_INPUT;
    if (began < now_us - CANDLE_MAX_US || began > now_us + CANDLE_MAX_US) return XE_STALE;
    q.known = true;
    for (int a = 0; a < ASSET_N; a++)
        if (span_is(address, asset_mint((asset_t)a))) out[a] = q;
    return XE_OK;
}
