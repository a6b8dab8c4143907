/* DATABASE_URL in, libpq's keyword form out. */
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/codec.h"
#include "reactor/config_internal.h"

#define PART_MAX 512

/* Percent escapes of one part. False: a broken escape, a NUL or too long. */
static bool decode(span_t in, char *out, span_t *got)
{
    size_t n;
    if (pct_decode(in, out, PART_MAX, &n) || memchr(out, '\0', n)) return false;
    *got = (span_t){out, n};
    return true;
}

static void put_part(cfg_in_t *in, const char *key, span_t raw)
{
    char text[PART_MAX];
    span_t v;
    const cfg_row_t *row = cfg_find("database", key);
    XASSERT(row);
    if (!decode(raw, text, &v))
        cfg_fault(in, "%s holds a broken percent escape", key);
    else
        cfg_put(in, row, v);
}

/* Cuts text at the first (or last) of ch; the head keeps everything when there is none. */
static bool cut(span_t text, char ch, bool last, span_t *head, span_t *tail)
{
    const char *at = !text.n ? NULL : last ? memrchr(text.p, ch, text.n) : memchr(text.p, ch, text.n);
    *head = at ? (span_t){text.p, (size_t)(at - text.p)} : text;
    *tail = at ? (span_t){at + 1, text.n - head->n - 1} : (span_t){text.p + text.n, 0};
    return at != NULL;
}

static void put_host_port(cfg_in_t *in, span_t hp)
{
    span_t host = hp, port = {NULL, 0};
    bool has_port;
    if (memchr(hp.p, ',', hp.n)) {
        cfg_fault(in, "names more than one host");
        return;
    }
    if (hp.n && hp.p[0] == '[') {
        const char *end = memchr(hp.p, ']', hp.n);
        if (!end || (end + 1 < hp.p + hp.n && end[1] != ':')) {
            cfg_fault(in, "has a broken IPv6 address");
            return;
        }
        host = (span_t){hp.p + 1, (size_t)(end - hp.p - 1)};
        has_port = end + 1 < hp.p + hp.n;
        if (has_port) port = (span_t){end + 2, (size_t)(hp.p + hp.n - end - 2)};
    } else {
        has_port = cut(hp, ':', false, &host, &port);
    }
    if (host.n) put_part(in, "host", host);
    if (has_port) put_part(in, "port", port);
}

static void put_param(cfg_in_t *in, span_t name, span_t value)
{
    static const char *const names[][2] = {{"host", "host"},  {"hostaddr", "host"},     {"port", "port"},
                                           {"user", "user"},  {"password", "password"}, {"dbname", "name"},
                                           {"sslmode", "ssl"}};
    char text[PART_MAX];
    span_t v;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (!span_is(name, names[i][0])) continue;
        put_part(in, names[i][1], value);
        return;
    }
    if (span_is(name, "ssl")) {
        put_part(in, "ssl",
                 span_is(value, "true")    ? SPAN_LIT("require")
                 : span_is(value, "false") ? SPAN_LIT("disable")
                                           : value);
    } else if (span_is(name, "connect_timeout") && decode(value, text, &v) && v.n && v.n < 8) {
        char ms[16];
        memcpy(ms, v.p, v.n);
        memcpy(ms + v.n, "000", 4);
        put_part(in, "connect_ms", span_of(ms));
    } else if (!span_is(name, "application_name")) {
        char shown[64];
        snprintf(shown, sizeof shown, "%.*s", (int)(name.n < 40 ? name.n : 40), name.p);
        cfg_fault(in, "parameter '%s' is not known", shown);
    }
}

void cfg_put_database_url(cfg_in_t *in, span_t url)
{
    span_t scheme = SPAN_LIT("postgresql://"), alt = SPAN_LIT("postgres://"), rest, query, authority, name, login, hp;
    if (url.n >= scheme.n && memcmp(url.p, scheme.p, scheme.n) == 0)
        rest = (span_t){url.p + scheme.n, url.n - scheme.n};
    else if (url.n >= alt.n && memcmp(url.p, alt.p, alt.n) == 0)
        rest = (span_t){url.p + alt.n, url.n - alt.n};
    else {
        cfg_fault(in, "must begin with postgresql://");
        return;
    }
    if (memchr(rest.p, '#', rest.n)) cfg_fault(in, "holds a '#'; write it as %%23");
    cut(rest, '?', false, &rest, &query);
    cut(rest, '/', false, &authority, &name);
    if (!cut(authority, '@', true, &login, &hp)) {
        hp = authority;
        login.n = 0;
    }
    if (login.n) {
        span_t user, password;
        bool has_password = cut(login, ':', false, &user, &password);
        put_part(in, "user", user);
        if (has_password) put_part(in, "password", password);
    }
    if (hp.n) put_host_port(in, hp);
    if (name.n) put_part(in, "name", name);
    while (query.n) {
        span_t one, key, value;
        cut(query, '&', false, &one, &query);
        cut(one, '=', false, &key, &value);
        put_param(in, key, value);
    }
}

bool cfg_is_address(span_t text)
{
    char copy[64];
    unsigned char raw[16];
    if (!text.n || text.n >= sizeof copy || memchr(text.p, '\0', text.n)) return false;
    memcpy(copy, text.p, text.n);
    copy[text.n] = '\0';
    return inet_pton(AF_INET, copy, raw) == 1 || inet_pton(AF_INET6, copy, raw) == 1;
}

static void put_pair(buf_t *out, const char *key, const char *value)
{
    buf_fmt(out, "%s%s='", out->n ? " " : "", key);
    for (; *value; value++) {
        if (*value == '\'' || *value == '\\') buf_add(out, "\\", 1);
        buf_add(out, value, 1);
    }
    buf_add(out, "'", 1);
}

/* libpq would look a name up while the loop waits, so it is given the address too. A name without one becomes a socket
 * that does not exist: connecting then fails at once, and the failure shows the name. */
static xerr_t put_name(buf_t *out, const char *name)
{
    struct addrinfo want = {.ai_socktype = SOCK_STREAM}, *got = NULL;
    char text[NI_MAXHOST] = "";
    if (getaddrinfo(name, NULL, &want, &got) == 0) {
        if (getnameinfo(got->ai_addr, got->ai_addrlen, text, sizeof text, NULL, 0, NI_NUMERICHOST) != 0) text[0] = '\0';
        freeaddrinfo(got);
    }
    if (text[0]) {
        put_pair(out, "host", name);
        put_pair(out, "hostaddr", text);
        return XE_OK;
    }
    snprintf(text, sizeof text, "/unresolved/%s", name);
    put_pair(out, "host", text);
    return XE_DOWN;
}

xerr_t cfg_conninfo(const cfg_t *c, buf_t *out)
{
    char port[24];
    xerr_t err = XE_OK;
    snprintf(port, sizeof port, "%lld", (long long)c->database_port);
    if (c->database_host[0] == '/' || cfg_is_address(span_of(c->database_host)))
        put_pair(out, "host", c->database_host);
    else
        err = put_name(out, c->database_host);
    put_pair(out, "port", port);
    put_pair(out, "dbname", c->database_name);
    put_pair(out, "user", c->database_user);
    if (c->database_password[0]) put_pair(out, "password", c->database_password);
    put_pair(out, "sslmode", c->database_ssl);
    if (out->failed) err = XE_TOO_BIG;
    return err;
}
