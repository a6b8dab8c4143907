#include "handlers/apikey.h"

#include <stdio.h>

#include "base/codec.h"
#include "base/crypto.h"
#include "base/password.h"

enum { ID_AT = 5, SECRET_AT = 38 };

/* Id and secret are told apart by their label: the id is public. */
static void from_seed(const uint8_t seed[32], char id[37], uint8_t secret[32])
{
    uint8_t raw[32];
    span_t key = span_make((const char *)seed, 32);
    hmac_sha256(key, SPAN_LIT("id"), raw);
    char hex[33];
    hex_encode(raw, 16, hex);
    hex[12] = '4'; /* a UUID of version 4, variant 1 */
    hex[16] = "89ab"[raw[8] >> 6];
    snprintf(id, 37, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
    hmac_sha256(key, SPAN_LIT("secret"), secret);
}

void apikey_new(const uint8_t *seed, char id[37], char text[APIKEY_LEN + 1], uint8_t hash[32])
{
    uint8_t secret[32];
    size_t at = ID_AT;
    if (seed) {
        from_seed(seed, id, secret);
    } else {
        uuid4(id);
        random_bytes(secret, sizeof secret);
    }
    memcpy(text, "xorj_", ID_AT);
    for (size_t i = 0; i < 36; i++)
        if (id[i] != '-') text[at++] = id[i];
    text[at] = '_';
    b64url_encode(secret, sizeof secret, text + SECRET_AT, APIKEY_LEN + 1 - SECRET_AT);
    sha256(text, APIKEY_LEN, hash);
    secret_wipe(secret, sizeof secret);
}

bool apikey_read(span_t text, char id[37], uint8_t hash[32])
{
    uint8_t secret[33];
    size_t n = 0, at = 0;
    if (text.n != APIKEY_LEN || memcmp(text.p, "xorj_", ID_AT) != 0 || text.p[SECRET_AT - 1] != '_') return false;
    for (size_t i = ID_AT; i < SECRET_AT - 1; i++) {
        if (at == 8 || at == 13 || at == 18 || at == 23) id[at++] = '-';
        id[at++] = text.p[i];
    }
    id[at] = '\0';
    bool ok = uuid_valid(span_make(id, 36)) &&
              !b64url_decode(span_make(text.p + SECRET_AT, text.n - SECRET_AT), secret, sizeof secret, &n) && n == 32;
    secret_wipe(secret, sizeof secret);
    sha256(text.p, text.n, hash);
    return ok;
}
