/* Text encodings of bytes: base58 (Bitcoin alphabet, as Solana uses), strict base64 and base64url (RFC 4648), hex,
 * percent escapes, UTF-8.
 *
 * Decoders accept the canonical spelling only: exact padding for base64, none for base64url, no stray bits, no blanks.
 * All functions are pure; output buffers belong to the caller; out_len is set on XE_OK only. */
#ifndef XORJ_BASE_CODEC_H
#define XORJ_BASE_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"

#define WALLET_TEXT_MAX 44 /* base58 characters of 32 bytes: 32 to 44 */

/* XE_BAD_INPUT: foreign character. XE_RANGE: does not fit cap. Input over 128 characters is refused (quadratic cost). */
xerr_t b58_decode(span_t text, uint8_t *out, size_t cap, size_t *out_len);
/* Writes text and a NUL; needs cap >= 2*n+2 for n <= 128. Returns characters written, 0 when cap is too small. */
size_t b58_encode(const uint8_t *in, size_t n, char *out, size_t cap);
/* A wallet address: base58 of exactly 32 bytes, so 32 to 44 characters. XE_BAD_INPUT: anything else. */
xerr_t b58_key(span_t text, uint8_t key[32]);

xerr_t b64_decode(span_t text, uint8_t *out, size_t cap, size_t *out_len);
xerr_t b64url_decode(span_t text, uint8_t *out, size_t cap, size_t *out_len);
size_t b64_encode(const uint8_t *in, size_t n, char *out, size_t cap); /* NUL-terminated; 0 when cap is too small */
size_t b64url_encode(const uint8_t *in, size_t n, char *out, size_t cap);

xerr_t hex_decode(span_t text, uint8_t *out, size_t cap, size_t *out_len); /* either case */
void hex_encode(const uint8_t *in, size_t n, char *out);                   /* lower case, 2*n characters and a NUL */

/* Percent escapes of a URL, either case; '+' stays '+'. Writes at most text.n bytes, no NUL; out may be text itself. A
 * decoded NUL is given like any byte. XE_BAD_INPUT: broken escape. XE_RANGE: does not fit cap. */
xerr_t pct_decode(span_t text, char *out, size_t cap, size_t *out_len);

bool utf8_valid(span_t text);   /* RFC 3629: no overlong forms, no surrogates, at most U+10FFFF */
size_t utf8_next(span_t text);  /* bytes of the first sequence, 0 when it is not valid or text is empty */

#endif
