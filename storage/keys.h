/* API keys: a secret for programs, known by its SHA-256, with scopes and an end. A key's life is a session row of the
 * same id (storage/users.h), so session_check tells at once when it was revoked. */
#ifndef XORJ_STORAGE_KEYS_H
#define XORJ_STORAGE_KEYS_H

#include "storage/operators.h"

#define KEY_NAME_MAX 256 /* bytes: 64 characters */
#define KEY_SCOPES_MAX 64

typedef struct {
    char id[37], owner[37], name[KEY_NAME_MAX + 1];
    char role[12];                 /* that its scopes amount to */
    char scopes[KEY_SCOPES_MAX];   /* blank-separated */
    uint8_t hash[32];
    int64_t issued_s, expires_s;
    int64_t created_us, expires_us, used_us; /* used_us 0: never */
} api_key_t;

typedef void (*key_cb)(void *ctx, xerr_t err, const api_key_t *k);

/* The key of that id, for whoever compares its hash: owner, role, hash and times are set. XE_AUTH: none that lives. */
void key_get(store_t *s, const char *id, key_cb cb, void *ctx);
/* Notes the use, at most once a minute for each key, and never in anybody's way. */
void key_used(store_t *s, const char *id);

/* in: id, owner, role, name, scopes, hash, issued_s, expires_s. XE_AUTH: the account is gone; XE_UNSUPPORTED: it has as
 * many keys as it may. The answer has the end of the key, which under a name (who->name) is the one made first. */
void key_create(store_t *s, const api_key_t *in, unsigned max, const who_t *who, void (*cb)(void *ctx, xerr_t err, int64_t expires_s), void *ctx);
/* owner NULL: anybody's. XE_NOT_FOUND. */
void key_revoke(store_t *s, const char *id, const char *owner, const who_t *who, op_done_cb cb, void *ctx);

#define KEYS_PAGE_MAX 1000
typedef struct {
    const api_key_t *row;
    unsigned n;
    bool more;
    int64_t total;
} key_page_t;
/* Live keys, newest first; owner NULL: everybody's. after_us and after_id: the last row of the page before; 0, "". */
void keys_list(store_t *s, const char *owner, int64_t after_us, const char *after_id, unsigned limit,
               void (*cb)(void *ctx, xerr_t err, const key_page_t *p), void *ctx);

#endif
