/* Rules beyond one row: words from a list, addresses, URLs, pairs that must agree, production, secrets. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/password.h"
#include "reactor/config_internal.h"
#include "reactor/log.h"

#define SECRET_MIN 32

static const char *str_of(const cfg_in_t *in, const char *section, const char *key)
{
    const cfg_row_t *row = cfg_find(section, key);
    XASSERT(row && row->type == CFG_STR);
    return (const char *)in->c + row->offset;
}

static void check_words(cfg_in_t *in)
{
    static const struct {
        const char *section, *key, *words;
    } rows[] = {
        {"server", "environment", " development staging production "},
        {"log", "level", " error warn info debug trace "},
        {"database", "ssl", " disable prefer require verify-ca verify-full "},
        {"feeds", "coinbase_protocol", " coinbase-advanced coinbase-exchange "},
        {"feeds", "gemini_protocol", " gemini-depth gemini-v2 "},
        {"feeds", "bitstamp_protocol", " bitstamp-book bitstamp-diff "},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *v = str_of(in, rows[i].section, rows[i].key);
        char word[CFG_STR_MAX + 2], esc[260];
        snprintf(word, sizeof word, " %s ", v);
        if (strchr(v, ' ') || !strstr(rows[i].words, word))
            cfg_fault(in, "%s in [%s] must be one of%s, not '%s'", rows[i].key, rows[i].section, rows[i].words,
                      log_esc(span_of(v), esc, sizeof esc));
    }
}

/* Calls check for each item of a comma-separated list; false names the first item that is not good. */
static bool each_item(const char *list, bool (*check)(span_t item), span_t *bad)
{
    while (*list) {
        size_t n = strcspn(list, ",");
        span_t item = {list, n};
        while (item.n && *item.p == ' ') item.p++, item.n--;
        while (item.n && item.p[item.n - 1] == ' ') item.n--;
        if (!check(item)) {
            *bad = item;
            return false;
        }
        list += n + (list[n] == ',');
    }
    return true;
}

/* An address, or a network such as 10.0.0.0/8. */
static bool is_network(span_t item)
{
    const char *slash = item.n ? memchr(item.p, '/', item.n) : NULL;
    if (!slash) return cfg_is_address(item);
    span_t addr = {item.p, (size_t)(slash - item.p)}, bits = {slash + 1, item.n - (size_t)(slash - item.p) - 1};
    unsigned v = 0;
    if (!cfg_is_address(addr) || !bits.n || bits.n > 3) return false;
    for (size_t i = 0; i < bits.n; i++) {
        if (bits.p[i] < '0' || bits.p[i] > '9') return false;
        v = v * 10 + (unsigned)(bits.p[i] - '0');
    }
    return v <= (memchr(addr.p, ':', addr.n) ? 128u : 32u);
}

static bool has_prefix(span_t s, const char *prefix)
{
    size_t n = strlen(prefix);
    return s.n > n && memcmp(s.p, prefix, n) == 0;
}

/* scheme://host[:port] as a browser writes it: no path, no wildcard. */
static bool is_origin(span_t item)
{
    size_t skip = has_prefix(item, "https://") ? 8 : has_prefix(item, "http://") ? 7 : 0;
    if (!skip) return false;
    for (size_t i = skip; i < item.n; i++) {
        char ch = item.p[i];
        bool ok = (ch >= 'a' && ch <= 'z') || (ch >= '0' && ch <= '9') || ch == '.' || ch == '-' || ch == ':' ||
                  ch == '[' || ch == ']';
        if (!ok) return false;
    }
    return true;
}

static void check_lists(cfg_in_t *in)
{
    static const struct {
        const char *section, *key;
        bool (*check)(span_t);
        const char *what;
    } rows[] = {
        {"server", "trusted_proxies", is_network, "an address or network"},
        {"server", "metrics_allow", is_network, "an address or network"},
        {"server", "allowed_origins", is_origin, "an origin such as https://app.example"},
        {"server", "listen", cfg_is_address, "a numeric address"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        span_t bad;
        char esc[260];
        if (!each_item(str_of(in, rows[i].section, rows[i].key), rows[i].check, &bad))
            cfg_fault(in, "%s in [%s]: '%s' is not %s", rows[i].key, rows[i].section, log_esc(bad, esc, sizeof esc),
                      rows[i].what);
    }
}

static bool is_loopback_http(span_t url)
{
    return has_prefix(url, "http://127.0.0.1") || has_prefix(url, "http://[::1]") ||
           has_prefix(url, "http://localhost");
}

/* One address, or several with commas. */
static bool urls_ok(span_t list, const char *scheme)
{
    while (list.n) {
        const char *comma = memchr(list.p, ',', list.n);
        span_t one = span_make(list.p, comma ? (size_t)(comma - list.p) : list.n);
        list = comma ? span_make(comma + 1, list.n - one.n - 1) : span_make(list.p, 0);
        while (one.n && one.p[0] == ' ') one = span_make(one.p + 1, one.n - 1);
        bool plain_ok = scheme[0] == 'h' && is_loopback_http(one);
        if (one.n && !has_prefix(one, scheme) && !plain_ok) return false;
    }
    return true;
}

/* Venues are reached over TLS only; a node on this machine may speak plainly. Values may carry keys: never shown. */
static void check_urls(cfg_in_t *in)
{
    static const struct {
        const char *section, *key, *scheme;
    } rows[] = {
        {"feeds", "coinbase_url", "wss://"},    {"feeds", "gemini_url", "wss://"},           {"feeds", "solana_ws_url", "wss://"},
        {"feeds", "solana_rpc_url", "https://"}, {"feeds", "solana_rpc_fallback", "https://"}, {"prices", "coingecko_url", "https://"},
        {"prices", "jupiter_url", "https://"},  {"prices", "pyth_url", "https://"},
        {"prices", "birdeye_url", "wss://"},
        {"feeds", "bitstamp_url", "wss://"},    {"feeds", "bitstamp_rest_url", "https://"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (!urls_ok(span_of(str_of(in, rows[i].section, rows[i].key)), rows[i].scheme))
            cfg_fault(in, "%s in [%s] must begin with %s", rows[i].key, rows[i].section, rows[i].scheme);
    span_t redis = span_of(str_of(in, "redis", "url"));
    if (!has_prefix(redis, "redis://") && !has_prefix(redis, "unix:///"))
        cfg_fault(in, "url in [redis] must begin with redis:// or unix:///");
}

static void check_database_host(cfg_in_t *in)
{
    const char *h = in->c->database_host;
    if (h[0] == '/') return;
    for (const char *p = h; *p; p++) {
        bool ok =
            (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') || strchr(".-:_%", *p);
        if (ok) continue;
        cfg_fault(in, "host in [database] is neither an address, a name nor a directory");
        return;
    }
}

static void check_pairs(cfg_in_t *in)
{
    const cfg_t *c = in->c;
    if (c->arb_size_min_usd > c->arb_size_max_usd) cfg_fault(in, "size_min_usd in [arb] is above size_max_usd");
    if (c->database_backoff_min_ms > c->database_backoff_max_ms)
        cfg_fault(in, "backoff_min_ms in [database] is above backoff_max_ms");
    if (c->http_line_max > c->http_head_max) cfg_fault(in, "line_max in [http] is above head_max");
    if (c->auth_operator_ttl_s > c->auth_refresh_ttl_s) cfg_fault(in, "operator_ttl_s in [auth] is above refresh_ttl_s");
    if (c->ws_ping_ms >= c->ws_dead_ms) cfg_fault(in, "ping_ms in [ws] must be below dead_ms");
    if (c->ws_sub_bytes_max > c->ws_ring_bytes) cfg_fault(in, "sub_bytes_max in [ws] is above ring_bytes");
}

/* What is right for measuring or trying out must not reach customers. */
static void check_production(cfg_in_t *in)
{
    const cfg_t *c = in->c;
    if (strcmp(c->server_environment, "development") != 0 && !c->database_require_durable)
        cfg_fault(in, "require_durable = false in [database] is for development only");
    if (strcmp(c->server_environment, "production") != 0) return;
    if (!c->limits_enabled) cfg_fault(in, "enabled = false in [limits] is refused in production");
    if (c->feeds_simulated) cfg_fault(in, "simulated = true in [feeds] is refused in production");
}

void cfg_check_rules(cfg_in_t *in)
{
    check_words(in);
    check_lists(in);
    check_urls(in);
    check_database_host(in);
    check_pairs(in);
    check_production(in);
}

/* Pieces of the secrets that tutorials, samples and compose files carry. Long enough never to occur by chance. */
static const char *const well_known[] = {
    "changeme",
    "change-me",
    "change_me",
    "change-this",
    "change_this",
    "changethis",
    "change-in-production",
    "change_in_production",
    "your-secret",
    "your_secret",
    "yoursecret",
    "your-super",
    "your_super",
    "your-jwt",
    "your_jwt",
    "your-256-bit",
    "your-key",
    "supersecret",
    "super-secret",
    "super_secret",
    "secret-key",
    "secret_key",
    "secretkey",
    "jwt-secret",
    "jwt_secret",
    "jwtsecret",
    "my-secret",
    "my_secret",
    "mysecret",
    "dev-secret",
    "dev_secret",
    "test-secret",
    "test_secret",
    "default-secret",
    "default_secret",
    "placeholder",
    "insecure",
    "password",
    "replace-me",
    "replace_me",
    "replaceme",
    "keyboard",
    "qwertyui",
    "xorj-secret",
    "xorj_secret",
    "development",
    "production-secret",
    "do-not-use",
    "not-secure",
    "deadbeefdeadbeef",
    "0123456789abcdef",
    "abcdefghijklmnop",
    "1234567890",
};

static bool has_word(const char *s, const char *word)
{
    return strcasestr(s, word) != NULL;
}

/* The same few characters over and over. */
static bool repeats(const char *s, size_t n)
{
    for (size_t period = 1; period <= n / 2 && period <= 16; period++) {
        size_t i = period;
        while (i < n && s[i] == s[i - period]) i++;
        if (i == n) return true;
    }
    return false;
}

static bool too_plain(const char *s, size_t n)
{
    bool seen[256] = {false};
    size_t kinds = 0, steps = 0;
    for (size_t i = 0; i < n; i++) {
        kinds += !seen[(unsigned char)s[i]];
        seen[(unsigned char)s[i]] = true;
        steps += i && (s[i] == s[i - 1] + 1 || s[i] == s[i - 1] - 1 || s[i] == s[i - 1]);
    }
    return kinds < 8 || steps > n / 2;
}

static const char *weakness(const char *s)
{
    size_t n = strlen(s);
    if (!n) return "is empty; set JWT_SECRET, for instance to the output of: openssl rand -base64 48";
    if (n < SECRET_MIN) return "is shorter than 32 bytes";
    for (size_t i = 0; i < sizeof well_known / sizeof *well_known; i++)
        if (has_word(s, well_known[i])) return "is a well-known sample value";
    if (repeats(s, n) || too_plain(s, n)) return "is too regular to be a secret";
    return NULL;
}

static bool kid_ok(span_t kid)
{
    for (size_t i = 0; i < kid.n; i++) {
        char ch = kid.p[i];
        bool ok = (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9') || (ch && strchr("-_.", ch));
        if (!ok) return false;
    }
    return kid.n > 0 && kid.n <= 32;
}

static bool take_key(cfg_key_t *k, span_t kid, span_t secret)
{
    if (!kid_ok(kid) || secret.n >= sizeof k->secret) return false;
    memset(k, 0, sizeof *k);
    memcpy(k->kid, kid.p, kid.n);
    memcpy(k->secret, secret.p, secret.n);
    return true;
}

static bool kid_taken(const cfg_key_t *keys, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (!strcmp(keys[i].kid, keys[n].kid)) return true;
    return false;
}

xerr_t cfg_token_keys(const cfg_t *c, cfg_key_t out[CFG_KEYS_MAX], unsigned *n)
{
    const char *p = c->auth_jwt_previous;
    *n = 1;
    if (!take_key(&out[0], span_of(c->auth_jwt_kid), span_of(c->auth_jwt_secret))) return XE_BAD_INPUT;
    for (p += strspn(p, " "); *p; p += strspn(p, " ")) {
        size_t len = strcspn(p, " "), kid = strcspn(p, ":");
        if (kid >= len || *n == CFG_KEYS_MAX || !take_key(&out[*n], span_make(p, kid), span_make(p + kid + 1, len - kid - 1))) return XE_BAD_INPUT;
        if (kid_taken(out, *n)) return XE_BAD_INPUT;
        ++*n;
        p += len;
    }
    return XE_OK;
}

/* A database password that anybody would try first protects nobody's money. */
static bool first_guess(const char *password)
{
    static const char *const guesses[] = {"postgres", "password", "xorj", "admin", "root", "secret", "changeme", "change-me", "example", "123456", "test"};
    for (size_t i = 0; i < sizeof guesses / sizeof *guesses; i++)
        if (!strcasecmp(password, guesses[i])) return true;
    return false;
}

xerr_t cfg_check_secrets(const cfg_t *c, buf_t *errors)
{
    cfg_key_t keys[CFG_KEYS_MAX];
    unsigned n;
    size_t before = errors->n;
    const char *why = weakness(c->auth_jwt_secret);
    if (why) buf_fmt(errors, "configuration: jwt_secret in [auth] %s\n", why);
    if (cfg_token_keys(c, keys, &n)) {
        buf_str(errors, "configuration: jwt_kid and jwt_previous in [auth] need kid:secret, separated by blanks, at most 3, each kid once, of letters, digits, '-', '_', '.'\n");
        return XE_BAD_INPUT;
    }
    for (unsigned i = 1; i < n; i++)
        if ((why = weakness(keys[i].secret))) buf_fmt(errors, "configuration: jwt_previous in [auth], key '%s' %s\n", keys[i].kid, why);
    if (!strcmp(c->server_environment, "production") && first_guess(c->database_password))
        buf_str(errors, "configuration: password in [database] is one that everybody tries first\n");
    why = c->auth_admin_password[0] ? password_weakness(span_of(c->auth_admin_password), SPAN_LIT("admin")) : NULL;
    if (why) buf_fmt(errors, "configuration: admin_password in [auth] is refused: %s\n", why);
    return errors->n > before ? XE_BAD_INPUT : XE_OK;
}
