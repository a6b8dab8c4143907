#include "handlers/cors.h"

#include "handlers/routes.h"

enum { ORIGIN_MAX = 200 };

bool cors_allowed(span_t origin, const char *list)
{
    if (!origin.n) return false;
    while (*list) {
        size_t n = strcspn(list, ", ");
        if (n == origin.n && memcmp(list, origin.p, n) == 0) return true;
        list += n;
        list += strspn(list, ", ");
    }
    return false;
}

void cors_apply(req_t *r, const char *list)
{
    char text[ORIGIN_MAX + 1];
    span_t origin;
    if (!req_header(r, "origin", &origin)) return;
    req_add_header(r, "Vary", "Origin");
    if (origin.n > ORIGIN_MAX || !cors_allowed(origin, list)) return;
    memcpy(text, origin.p, origin.n);
    text[origin.n] = '\0';
    req_add_header(r, "Access-Control-Allow-Origin", text);
    req_add_header(r, "Access-Control-Allow-Credentials", "true");
    req_add_header(r, "Access-Control-Expose-Headers", "X-Request-ID, ETag, Retry-After, RateLimit, RateLimit-Policy");
}

void cors_preflight(req_t *r, const char *list, unsigned methods)
{
    char allow[64];
    span_t origin;
    route_allow_text(methods, allow);
    req_add_header(r, "Allow", allow);
    if (req_header(r, "origin", &origin) && cors_allowed(origin, list)) {
        req_add_header(r, "Access-Control-Allow-Methods", "GET, POST, PUT, DELETE, OPTIONS");
        req_add_header(r, "Access-Control-Allow-Headers", "Content-Type, Authorization, X-Request-ID, Idempotency-Key, If-Match");
        req_add_header(r, "Access-Control-Max-Age", "86400");
    }
    req_reply(r, 204, NULL, span_make(NULL, 0));
}

bool cors_same_site(const req_t *r, span_t origin)
{
    span_t host;
    size_t skip = origin.n > 7 && memcmp(origin.p, "http://", 7) == 0 ? 7 : 0;
    if (!skip && origin.n > 8 && memcmp(origin.p, "https://", 8) == 0) skip = 8;
    if (!skip || !req_header(r, "host", &host)) return false;
    return span_eq(span_make(origin.p + skip, origin.n - skip), host);
}
