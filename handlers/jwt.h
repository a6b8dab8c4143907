/* Session tokens: JWT, HS256 only, signed with a key named by kid in a fixed table.
 *
 * Kinds are told apart by `aud`: a wallet session ("xorj:wallet", whose jti must also be a live session row) and an
 * operator access token ("xorj:operator", carrying a role; jti likewise). Neither opens the other's door. Verification is pure: it
 * proves who signed and that the times hold; whether the session lives is asked elsewhere (handlers/guard.h). */
#ifndef XORJ_HANDLERS_JWT_H
#define XORJ_HANDLERS_JWT_H

#include <stdint.h>

#include "base/err.h"
#include "base/span.h"
#include "reactor/arena.h"
#include "reactor/config.h"
#include "reactor/json.h"

#define JWT_TEXT_MAX 4096
#define JWT_KEYS_MAX CFG_KEYS_MAX

typedef enum { ROLE_PUBLIC, ROLE_WALLET, ROLE_VIEWER, ROLE_OPERATOR, ROLE_ADMIN } role_t; /* from viewer on: ascending */
const char *role_name(role_t r);
void role_put_permissions(jw_t *w, role_t r); /* "permissions": [..] */
xerr_t role_parse(span_t text, role_t *out); /* wallet, viewer, operator, admin */

typedef struct {
    char kid[33];
    char key[CFG_STR_MAX];
    size_t n;
} jwt_key_t;

typedef struct {
    unsigned n; /* the first one signs */
    jwt_key_t k[JWT_KEYS_MAX];
    int64_t wallet_ttl_s, operator_ttl_s; /* longest lifetime of each kind */
} jwt_keys_t;

typedef struct {
    role_t role;
    char jti[37];     /* UUID text */
    char user_id[37]; /* UUID of the wallet's user, or the operator's name */
    char wallet[48];  /* "" for operators */
    int64_t issued_s, expires_s;
} claims_t;

/* The keys of the configuration; none when it is not as documented (cfg_check_secrets says so before). */
void jwt_keys_init(jwt_keys_t *k, const cfg_t *cfg);
/* XE_RANGE: cap too small or a lifetime longer than the kind allows. XE_BAD_INPUT: claims that could not be verified. */
xerr_t jwt_sign(const jwt_keys_t *k, const claims_t *c, char *out, size_t cap);
/* XE_AUTH for everything that is not a token of ours that is valid at now_s. a is scratch memory. */
xerr_t jwt_verify(const jwt_keys_t *k, span_t token, int64_t now_s, arena_t *a, claims_t *out);

#endif
