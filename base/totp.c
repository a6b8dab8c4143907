#include "base/totp.h"

#include <stdio.h>

#include "base/crypto.h"

enum { STEP_S = 30, EITHER_SIDE = 1 };

uint32_t totp_code(const uint8_t secret[TOTP_SECRET_LEN], int64_t step)
{
    uint8_t count[8], mac[20];
    for (int i = 0; i < 8; i++) count[i] = (uint8_t)((uint64_t)step >> (56 - 8 * i));
    hmac_sha1(span_make((const char *)secret, TOTP_SECRET_LEN), span_make((const char *)count, sizeof count), mac);
    const uint8_t *at = mac + (mac[19] & 15);
    uint32_t bits = (uint32_t)(at[0] & 0x7f) << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
    return bits % 1000000;
}

xerr_t totp_check(const uint8_t secret[TOTP_SECRET_LEN], span_t code, int64_t now_s, int64_t used, int64_t *step)
{
    char want[16];
    int64_t fitted = -1;
    if (code.n != TOTP_DIGITS) return XE_AUTH;
    for (int64_t s = now_s / STEP_S - EITHER_SIDE; s <= now_s / STEP_S + EITHER_SIDE; s++) {
        snprintf(want, sizeof want, "%06u", (unsigned)totp_code(secret, s));
        if (ct_equal(want, code.p, TOTP_DIGITS) && s > used) fitted = s;
    }
    if (fitted < 0) return XE_AUTH;
    *step = fitted;
    return XE_OK;
}

void totp_text(const uint8_t secret[TOTP_SECRET_LEN], char out[TOTP_TEXT_LEN + 1])
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    uint32_t bits = 0;
    unsigned have = 0, at = 0;
    for (unsigned i = 0; i < TOTP_SECRET_LEN; i++) {
        bits = bits << 8 | secret[i];
        for (have += 8; have >= 5; have -= 5) out[at++] = digits[bits >> (have - 5) & 31];
    }
    out[at] = '\0';
}
