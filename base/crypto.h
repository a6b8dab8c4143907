/* The few cryptographic primitives in use, over libcrypto: computation only, no I/O except the kernel's random source.
 *
 * Ed25519 verification is stricter than OpenSSL's: public keys of small order and non-canonical encodings of A are
 * refused first (OpenSSL 3 accepts them, and anybody can forge for such a key); so is an R of that kind. RFC 8032. */
#ifndef XORJ_BASE_CRYPTO_H
#define XORJ_BASE_CRYPTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"

void sha256(const void *in, size_t n, uint8_t out[32]);
void sha1(const void *in, size_t n, uint8_t out[20]); /* only for the handshake of RFC 6455 */

typedef struct sha256_ctx sha256_ctx_t; /* incremental; new/free own */
sha256_ctx_t *sha256_new(void);
void sha256_add(sha256_ctx_t *c, const void *in, size_t n);
void sha256_end_free(sha256_ctx_t *c, uint8_t out[32]);

void hmac_sha256(span_t key, span_t msg, uint8_t out[32]);
void hmac_sha1(span_t key, span_t msg, uint8_t out[20]); /* only for the codes of RFC 6238 */
bool ct_equal(const void *a, const void *b, size_t n); /* time does not depend on where they differ */

/* XE_AUTH: not a valid signature, or a key that must not be trusted. */
xerr_t ed25519_verify(const uint8_t key[32], const void *msg, size_t n, const uint8_t sig[64]);
/* Of a 32-byte secret. XE_INTERNAL: libcrypto failed, which only a lack of memory explains. */
xerr_t ed25519_public(const uint8_t seed[32], uint8_t key[32]);
xerr_t ed25519_sign(const uint8_t seed[32], const void *msg, size_t n, uint8_t sig[64]);
/* True when A is the identity or of order 2, 4, 8, or is not canonically encoded (y >= p). */
bool ed25519_key_refused(const uint8_t key[32]);

void random_bytes(void *out, size_t n);     /* kernel random source; aborts when it fails */
void uuid4(char out[37]);                   /* lower-case text and a NUL */
bool uuid_valid(span_t text);               /* 36 characters of that form, of any version */
/* Deterministic UUIDv7 text (RFC 9562) from a millisecond time and 74 bits taken from (seed, counter). */
void uuid7_from(int64_t unix_ms, uint64_t seed, uint64_t counter, char out[37]);

/* Keyed hash for tables filled by strangers (SipHash-2-4). */
uint64_t siphash(const uint64_t key[2], const void *in, size_t n);

#endif
