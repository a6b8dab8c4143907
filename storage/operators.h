/* Operator accounts, their sign-in, and the families of refresh tokens that hang on it. Passwords are measured elsewhere
 * (base/password.h in a worker); here only hashes come and go. Tokens are known by their SHA-256.
 *
 * Text arguments are NUL-terminated and already shaped as names, roles and addresses; all are copied. Where who_t is
 * asked for, the change has an audit row in the same transaction. */
#ifndef XORJ_STORAGE_OPERATORS_H
#define XORJ_STORAGE_OPERATORS_H

#include "base/password.h"
#include "base/totp.h"
#include "storage/store.h"

#define OPERATOR_NAME_MAX 32
/* 3 to 32 letters, digits, dots, dashes and underscores, a letter or digit first; not "cli.", which names no account. */
static inline bool operator_name_ok(span_t name)
{
    if (name.n < 3 || name.n > OPERATOR_NAME_MAX || (name.n >= 4 && memcmp(name.p, "cli.", 4) == 0)) return false;
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!word && (!i || !c || !strchr("._-", c))) return false;
    }
    return true;
}

typedef struct {
    char username[OPERATOR_NAME_MAX + 1], role[12];
    bool must_change, totp;
    int64_t created_us, last_login_us; /* 0: never */
    uint8_t totp_secret[TOTP_SECRET_LEN]; /* pending or in force; operator_get only */
    bool has_secret;
    int64_t totp_used;
} operator_t;

typedef void (*op_done_cb)(void *ctx, xerr_t err);

/* ---- signing in ---- */

typedef struct {
    int retry_s; /* > 0: too many failures; nothing else is set */
    bool found;  /* such an account exists: never tell */
    char hash[PASSWORD_HASH_MAX];
    bool totp;
    uint8_t totp_secret[TOTP_SECRET_LEN];
    int64_t totp_used;
} login_try_t;

/* Counts the try as failed until login_forgive or a successful operator_login: so many at once are bounded like many in
 * a row. Bounds are those of [auth], none while [limits] is switched off. */
void login_begin(store_t *s, const char *user, const char *addr, void (*cb)(void *ctx, xerr_t err, const login_try_t *t), void *ctx);

void login_forgive(store_t *s, const char *user, const char *addr); /* answers nobody */

typedef struct {
    const char *user, *hash; /* of the account, as login_begin gave it */
    int64_t step;            /* of the one-time code; negative: none */
    const char *jti;         /* of the new session */
    uint8_t refresh[32];
    int64_t issued_s, expires_s; /* of the refresh token */
} login_in_t;

typedef struct {
    char jti[37], username[OPERATOR_NAME_MAX + 1], role[12];
    bool must_change;
} signed_in_t;
typedef void (*signed_in_cb)(void *ctx, xerr_t err, const signed_in_t *v);

/* XE_AUTH: the password or the account changed meanwhile, or the code was used before. */
void operator_login(store_t *s, const login_in_t *in, const who_t *who, signed_in_cb cb, void *ctx);
/* XE_AUTH: unknown, expired, revoked. XE_CONFLICT: it was used before, and the whole family is revoked now. */
void operator_refresh(store_t *s, const uint8_t old[32], const uint8_t fresh[32], int64_t expires_s, const who_t *who, signed_in_cb cb, void *ctx);

/* ---- accounts ---- */

void operator_get(store_t *s, const char *name, void (*cb)(void *ctx, xerr_t err, const operator_t *o), void *ctx); /* XE_NOT_FOUND */

#define OPERATORS_PAGE_MAX 1000
typedef struct {
    const operator_t *row;
    unsigned n;
    bool more;
    int64_t total;
} operator_page_t;
/* By name, those behind `after` ("": from the first). */
void operators_list(store_t *s, const char *after, unsigned limit, void (*cb)(void *ctx, xerr_t err, const operator_page_t *p), void *ctx);

/* XE_CONFLICT: there is one of that name. */
void operator_add(store_t *s, const char *name, const char *role, const char *hash, bool must_change, const who_t *who, op_done_cb cb, void *ctx);
/* Ends the account's sessions and keys at once. XE_NOT_FOUND; XE_DENIED: oneself; XE_CONFLICT: the last admin. */
void operator_delete(store_t *s, const char *name, const who_t *who, op_done_cb cb, void *ctx);
/* Ends the account's other sessions. XE_AUTH: its password is no longer the one measured. */
void operator_password(store_t *s, const char *name, const char *old_hash, const char *new_hash, const char *keep_jti, const who_t *who,
                       op_done_cb cb, void *ctx);
/* secret and step as operator_totp() of the migration reads them: (secret, -1) pending, (secret, step) in force,
 * (NULL, step) off. XE_AUTH: not the pending one, or the code was used before. */
void operator_totp(store_t *s, const char *name, const uint8_t secret[TOTP_SECRET_LEN], int64_t step, const who_t *who, op_done_cb cb, void *ctx);

/* ---- the first account ---- */

void operators_any(store_t *s, void (*cb)(void *ctx, xerr_t err, bool any), void *ctx);
/* made false: another process was first. */
void operator_first(store_t *s, const char *name, const char *hash, void (*cb)(void *ctx, xerr_t err, bool made), void *ctx);

/* ---- the command line: blocking, before or beside a server ---- */

typedef enum { OPERATOR_ADD, OPERATOR_DELETE, OPERATOR_PASSWORD } operator_cmd_t;
/* XE_CONFLICT: name taken, or the last admin; XE_NOT_FOUND; XE_DOWN: no database. hash and role where they are needed. */
xerr_t operator_cmd(const cfg_t *cfg, operator_cmd_t cmd, const char *name, const char *role, const char *hash);
xerr_t operators_each(const cfg_t *cfg, void (*each)(void *ctx, const operator_t *o), void *ctx);

#endif
