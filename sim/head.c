#include "sim/head.h"

#include <openssl/evp.h>
#include <strings.h>

#include "base/codec.h"

static span_t trim(span_t s)
{
    while (s.n && (*s.p == ' ' || *s.p == '\t')) s = span_make(s.p + 1, s.n - 1);
    while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t' || s.p[s.n - 1] == '\r')) s.n--;
    return s;
}

static span_t cut(span_t *rest, char sep)
{
    const char *e = rest->n ? memchr(rest->p, sep, rest->n) : NULL;
    span_t out = e ? span_make(rest->p, (size_t)(e - rest->p)) : *rest;
    *rest = e ? span_make(e + 1, rest->n - out.n - 1) : span_make(rest->p + rest->n, 0);
    return out;
}

static bool same(span_t a, const char *b)
{
    return a.n == strlen(b) && strncasecmp(a.p, b, a.n) == 0;
}

static bool has_token(span_t list, const char *word)
{
    while (list.n) {
        if (same(trim(cut(&list, ',')), word)) return true;
    }
    return false;
}

static bool make_accept(span_t key, char out[32])
{
    uint8_t raw[32], digest[EVP_MAX_MD_SIZE];
    size_t n;
    unsigned dn;
    if (b64_decode(key, raw, sizeof(raw), &n) || n != 16) return false;
    char text[128];
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    memcpy(text, key.p, key.n);
    memcpy(text + key.n, guid, sizeof(guid) - 1);
    return EVP_Digest(text, key.n + sizeof(guid) - 1, digest, &dn, EVP_sha1(), NULL) == 1 &&
           b64_encode(digest, dn, out, 32) > 0;
}

typedef struct {
    bool upgrade, connection, version, bad;
    span_t key;
} facts_t;

static void read_length(span_t text, head_t *h, facts_t *f)
{
    if (!text.n || text.n > 9) f->bad = true;
    for (size_t i = 0; i < text.n && !f->bad; i++) {
        if (text.p[i] < '0' || text.p[i] > '9') f->bad = true;
        h->body_n = h->body_n * 10 + (size_t)(text.p[i] - '0');
    }
}

static void read_header(span_t name, span_t value, head_t *h, facts_t *f)
{
    if (same(name, "upgrade")) f->upgrade = has_token(value, "websocket");
    if (same(name, "connection")) {
        f->connection = has_token(value, "upgrade");
        if (has_token(value, "close")) h->keep_alive = false;
    }
    if (same(name, "sec-websocket-version")) f->version = span_is(value, "13");
    if (same(name, "sec-websocket-key")) f->key = value;
    if (same(name, "sec-websocket-protocol")) h->echo = has_token(value, "echo-protocol");
    if (same(name, "content-type")) h->type = value;
    if (same(name, "transfer-encoding")) f->bad = true;
    if (same(name, "content-length")) read_length(value, h, f);
}

int head_parse(span_t text, head_t *h)
{
    span_t rest = text, line = trim(cut(&rest, '\n'));
    facts_t f = {0};
    *h = (head_t){.keep_alive = true};
    h->method = cut(&line, ' ');
    span_t target = cut(&line, ' ');
    if (!span_is(line, "HTTP/1.1") || !target.n || target.p[0] != '/') return 400;
    h->path = cut(&target, '?');
    h->query = target;
    while (rest.n) {
        span_t value = trim(cut(&rest, '\n'));
        span_t name = cut(&value, ':');
        if (name.n) read_header(name, trim(value), h, &f);
    }
    if (f.bad) return 400;
    h->upgrade = f.upgrade && f.connection;
    if (!h->upgrade) return 0;
    return f.version && f.key.n <= 64 && make_accept(f.key, h->accept) ? 0 : 426;
}
