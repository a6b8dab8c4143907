/* Sign-In With Solana: the message text, and challenges that need no memory.
 *
 * A nonce is 64 hex digits: issue time (ms), random bytes, and a MAC over both and the wallet under a key derived from
 * the token secret. Whoever shows a message again, shows the nonce; the message is then built anew from it and compared
 * byte for byte, so nothing but the text this server issued to this wallet passes. That it is used once is the caller's
 * part (nonce_consume), as is the signature. */
#ifndef XORJ_HANDLERS_SIWS_H
#define XORJ_HANDLERS_SIWS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"
#include "reactor/config.h"

#define SIWS_RESOURCES_MAX 8
#define SIWS_NONCE_LEN 64
#define SIWS_TEXT_MAX 2048

/* Absent fields are empty spans. */
typedef struct {
    span_t domain, address, statement, uri, version, chain, nonce, issued, expires, not_before, request_id;
    span_t resource[SIWS_RESOURCES_MAX];
    unsigned resources_n;
    bool has_resources; /* the line is there, maybe with no entry */
} siws_t;

void siws_build(const siws_t *m, buf_t *out);
/* Strict: fields in their order, each at most once, nothing the grammar does not cover. Borrowed from text. */
xerr_t siws_parse(span_t text, siws_t *out);

typedef struct {
    unsigned keys_n; /* the first makes nonces, all open them */
    uint8_t nonce_key[CFG_KEYS_MAX][32];
    const char *domain, *uri, *chain; /* borrowed from the configuration */
    int64_t ttl_ms;
} siws_issuer_t;

void siws_issuer_init(siws_issuer_t *s, const cfg_t *cfg);

typedef struct {
    char nonce[SIWS_NONCE_LEN + 1];
    int64_t issued_ms, expires_ms;
} siws_grant_t;

/* wallet must be a valid address. random: 10 bytes. */
void siws_issue(const siws_issuer_t *s, span_t wallet, int64_t now_ms, const uint8_t random[10], siws_grant_t *g, buf_t *text);
/* XE_AUTH unless text is what siws_issue gave this wallet within the lifetime. g tells the nonce to consume. */
xerr_t siws_check(const siws_issuer_t *s, span_t text, span_t wallet, int64_t now_ms, siws_grant_t *g);

#endif
