/* The text of an API key: "xorj_", 32 hex digits that are its id, "_", and base64url of 32 random bytes. Known by its
 * SHA-256, so what is stored opens nothing. Pure but for the random source. */
#ifndef XORJ_HANDLERS_APIKEY_H
#define XORJ_HANDLERS_APIKEY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

#define APIKEY_LEN 81

/* seed: NULL for a new one; else 32 secret bytes that always give the same key. */
void apikey_new(const uint8_t *seed, char id[37], char text[APIKEY_LEN + 1], uint8_t hash[32]);
bool apikey_read(span_t text, char id[37], uint8_t hash[32]); /* false: not of that form */

#endif
