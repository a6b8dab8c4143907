#include "base/password.h"

#include <argon2.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "base/codec.h"
#include "base/crypto.h"

/* OWASP's second choice of equal strength: 19 MiB, two passes, one lane. Older texts keep their own figures. */
enum { MEMORY_KIB = 19456, PASSES = 2, LANES = 1, SALT_LEN = 16, HASH_LEN = 32 };
enum { MEMORY_KIB_MAX = 262144, PASSES_MAX = 16, LANES_MAX = 4 };

typedef struct {
    uint32_t memory_kib, passes, lanes;
    uint8_t salt[SALT_LEN], hash[HASH_LEN];
} phc_t;

void secret_wipe(void *p, size_t n)
{
    explicit_bzero(p, n);
}

/* ---- the text form ------------------------------------------------------------------------------------------------ */

/* Base64 without its padding. */
static void put_b64(const uint8_t *in, size_t n, char *out, size_t cap)
{
    size_t len = b64_encode(in, n, out, cap);
    XASSERT(len > 0);
    while (out[len - 1] == '=') out[--len] = '\0';
}

static bool get_b64(span_t text, uint8_t *out, size_t want)
{
    char padded[64];
    uint8_t raw[64];
    size_t n = 0;
    if (text.n + 3 >= sizeof padded || memchr(text.p, '=', text.n)) return false;
    memcpy(padded, text.p, text.n);
    for (n = text.n; n % 4; n++) padded[n] = '=';
    if (b64_decode(span_make(padded, n), raw, sizeof raw, &n) || n != want) return false;
    memcpy(out, raw, want);
    return true;
}

static void phc_write(const phc_t *p, char out[PASSWORD_HASH_MAX])
{
    char salt[32], hash[64];
    put_b64(p->salt, sizeof p->salt, salt, sizeof salt);
    put_b64(p->hash, sizeof p->hash, hash, sizeof hash);
    snprintf(out, PASSWORD_HASH_MAX, "$argon2id$v=19$m=%u,t=%u,p=%u$%s$%s", p->memory_kib, p->passes, p->lanes, salt, hash);
}

static bool take(span_t *s, const char *word)
{
    size_t n = strlen(word);
    if (s->n < n || memcmp(s->p, word, n) != 0) return false;
    *s = span_make(s->p + n, s->n - n);
    return true;
}

static bool take_number(span_t *s, uint32_t lo, uint32_t hi, uint32_t *out)
{
    size_t i = 0;
    *out = 0;
    for (; i < s->n && i < 7 && s->p[i] >= '0' && s->p[i] <= '9'; i++) *out = *out * 10 + (uint32_t)(s->p[i] - '0');
    *s = span_make(s->p + i, s->n - i);
    return i > 0 && *out >= lo && *out <= hi;
}

static bool phc_read(const char *text, phc_t *p)
{
    span_t s = span_of(text);
    const char *dollar;
    if (!take(&s, "$argon2id$v=19$m=") || !take_number(&s, 8, MEMORY_KIB_MAX, &p->memory_kib) || !take(&s, ",t=") ||
        !take_number(&s, 1, PASSES_MAX, &p->passes) || !take(&s, ",p=") || !take_number(&s, 1, LANES_MAX, &p->lanes) ||
        !take(&s, "$") || !(dollar = memchr(s.p, '$', s.n)))
        return false;
    size_t n = (size_t)(dollar - s.p);
    return get_b64(span_make(s.p, n), p->salt, sizeof p->salt) &&
           get_b64(span_make(dollar + 1, s.n - n - 1), p->hash, sizeof p->hash);
}

/* ---- the hash ----------------------------------------------------------------------------------------------------- */

/* Mapped, so that it goes back to the system: malloc would keep such a block for the next one. */
static int map_memory(uint8_t **out, size_t n)
{
    void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    *out = p == MAP_FAILED ? NULL : p;
    return *out ? ARGON2_OK : ARGON2_MEMORY_ALLOCATION_ERROR;
}

static void unmap_memory(uint8_t *p, size_t n)
{
    munmap(p, n);
}

static xerr_t compute(span_t password, const phc_t *p, uint8_t out[HASH_LEN])
{
    uint8_t salt[SALT_LEN], word[PASSWORD_MAX];
    if (password.n == 0 || password.n > sizeof word) return XE_RANGE;
    memcpy(salt, p->salt, sizeof salt);
    memcpy(word, password.p, password.n);
    argon2_context c = {
        .out = out,
        .outlen = HASH_LEN,
        .pwd = word,
        .pwdlen = (uint32_t)password.n,
        .salt = salt,
        .saltlen = sizeof salt,
        .t_cost = p->passes,
        .m_cost = p->memory_kib,
        .lanes = p->lanes,
        .threads = 1,
        .version = ARGON2_VERSION_13,
        .allocate_cbk = map_memory,
        .free_cbk = unmap_memory,
    };
    int rc = argon2id_ctx(&c);
    secret_wipe(word, sizeof word);
    return rc == ARGON2_OK ? XE_OK : rc == ARGON2_MEMORY_ALLOCATION_ERROR ? XE_FULL : XE_INTERNAL;
}

xerr_t password_hash(span_t password, char out[PASSWORD_HASH_MAX])
{
    phc_t p = {.memory_kib = MEMORY_KIB, .passes = PASSES, .lanes = LANES};
    random_bytes(p.salt, sizeof p.salt);
    xerr_t err = compute(password, &p, p.hash);
    if (!err) phc_write(&p, out);
    return err;
}

xerr_t password_verify(span_t password, const char *hash)
{
    phc_t p;
    uint8_t got[HASH_LEN];
    if (!phc_read(hash, &p)) return XE_INTERNAL;
    xerr_t err = compute(password, &p, got);
    if (err == XE_RANGE) return XE_AUTH; /* no account has such a password */
    if (!err && !ct_equal(got, p.hash, sizeof got)) err = XE_AUTH;
    secret_wipe(got, sizeof got);
    return err;
}

void password_dummy(char out[PASSWORD_HASH_MAX])
{
    phc_t p = {.memory_kib = MEMORY_KIB, .passes = PASSES, .lanes = LANES};
    random_bytes(p.salt, sizeof p.salt);
    random_bytes(p.hash, sizeof p.hash);
    phc_write(&p, out);
}

/* ---- judgement ---------------------------------------------------------------------------------------------------- */

/* Lower case, and the usual figures read as the letters they stand for. */
static char plain(char c)
{
    static const char from[] = "@4031$5!7", to[] = "aaoelssit";
    const char *at;
    if (c >= 'A' && c <= 'Z') return (char)(c - 'A' + 'a');
    at = c ? strchr(from, c) : NULL;
    return at ? to[at - from] : c;
}

/* Blanks out every occurrence of word. */
static void strike(char *text, const char *word)
{
    size_t n = strlen(word);
    for (char *at = n ? strstr(text, word) : NULL; at; at = strstr(at, word)) memset(at, ' ', n);
}

/* Letters of the password that were not struck; figures that stand for letters are none. */
static unsigned letters(const char *text, span_t password)
{
    unsigned n = 0;
    for (size_t i = 0; i < password.n; i++) {
        char c = password.p[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (unsigned char)c >= 0x80;
        n += letter && text[i] != ' ';
    }
    return n;
}

static bool is_known(span_t password, span_t username)
{
    static const char *const words[] = {"administrator", "password", "passwort", "passwd", "changeme", "changeit", "letmein", "welcome",
                                        "qwertyuiop", "qwerty", "asdfgh", "iloveyou", "default", "secret", "admin", "root", "xorj", "trading"};
    char text[PASSWORD_MAX + 1], name[64];
    size_t i;
    for (i = 0; i < password.n; i++) text[i] = plain(password.p[i]);
    text[i] = '\0';
    for (i = 0; i < username.n && i < sizeof name - 1; i++) name[i] = plain(username.p[i]);
    name[i] = '\0';
    unsigned before = letters(text, password);
    strike(text, name);
    for (i = 0; i < sizeof words / sizeof *words; i++) strike(text, words[i]);
    secret_wipe(name, sizeof name);
    unsigned left = letters(text, password);
    bool known = before > left && left < 4;
    secret_wipe(text, sizeof text);
    return known;
}

static bool is_regular(span_t p)
{
    bool seen[256] = {false};
    unsigned kinds = 0, steps = 0;
    for (size_t i = 0; i < p.n; i++) {
        int step = i ? p.p[i] - p.p[i - 1] : 9;
        kinds += !seen[(unsigned char)p.p[i]];
        seen[(unsigned char)p.p[i]] = true;
        steps += step >= -1 && step <= 1;
    }
    return kinds < 5 || steps > p.n / 2;
}

const char *password_weakness(span_t password, span_t username)
{
    if (password.n < PASSWORD_MIN) return "at least 10 characters are expected";
    if (password.n > PASSWORD_MAX) return "at most 128 bytes are expected";
    for (size_t i = 0; i < password.n; i++)
        if ((unsigned char)password.p[i] < 0x20 || password.p[i] == 0x7f) return "control characters are refused";
    if (is_known(password, username)) return "it is a well-known password or the account's own name";
    if (is_regular(password)) return "it is too regular";
    return NULL;
}

void password_random(char out[25])
{
    static const char digits[] = "abcdefghijkmnpqrstuvwxyz23456789";
    uint8_t raw[24];
    random_bytes(raw, sizeof raw);
    for (size_t i = 0; i < sizeof raw; i++) out[i] = digits[raw[i] & 31];
    out[24] = '\0';
    secret_wipe(raw, sizeof raw);
}
