/* Operators and API keys for test_api: one account `desk` whose password is PASSWORD, one API key. Included by that file
 * alone, behind its later(). */
#ifndef XORJ_TESTS_OPERATORS_FAKE_H
#define XORJ_TESTS_OPERATORS_FAKE_H

#include "storage/keys.h"
#include "storage/operators.h"

#define PASSWORD "correct horse battery 7"

static struct {
    char hash[PASSWORD_HASH_MAX];
    int retry_s;        /* what login_begin says */
    unsigned tries, used;
    xerr_t outcome;     /* of every change */
    api_key_t key;
} ops;

typedef struct {
    void (*cb)(void);
    void *ctx;
    int kind;
    xerr_t err;
    bool found;
} op_answer_t;

enum { O_TRY, O_SIGNED, O_GET, O_DONE, O_MADE, O_KEY, O_PAGE, O_KEYS };

static void op_deliver(void *p)
{
    op_answer_t a = *(op_answer_t *)p;
    free(p);
    login_try_t try = {.retry_s = ops.retry_s, .found = a.found};
    signed_in_t in = {.jti = DESK, .username = "desk", .role = "operator"};
    operator_t op = {.username = "desk", .role = "operator", .created_us = 1795179600000000LL};
    operator_page_t page = {&op, 1, true, 2};
    key_page_t keys = {&ops.key, 1, true, 2};
    if (a.found) snprintf(try.hash, sizeof try.hash, "%s", ops.hash);
    switch (a.kind) {
    case O_TRY: ((void (*)(void *, xerr_t, const login_try_t *))a.cb)(a.ctx, a.err, a.err ? NULL : &try); break;
    case O_SIGNED: ((signed_in_cb)a.cb)(a.ctx, a.err, a.err ? NULL : &in); break;
    case O_GET: ((void (*)(void *, xerr_t, const operator_t *))a.cb)(a.ctx, a.err, a.err ? NULL : &op); break;
    case O_DONE: ((op_done_cb)a.cb)(a.ctx, a.err); break;
    case O_MADE: ((void (*)(void *, xerr_t, int64_t))a.cb)(a.ctx, a.err, 2000000000); break;
    case O_KEY: ((key_cb)a.cb)(a.ctx, a.err, a.err ? NULL : &ops.key); break;
    case O_PAGE: ((void (*)(void *, xerr_t, const operator_page_t *))a.cb)(a.ctx, a.err, a.err ? NULL : &page); break;
    case O_KEYS: ((void (*)(void *, xerr_t, const key_page_t *))a.cb)(a.ctx, a.err, a.err ? NULL : &keys); break;
    }
}

static op_answer_t *op_later(int kind, xerr_t err, void (*cb)(void), void *ctx)
{
    op_answer_t *a = calloc(1, sizeof *a);
    *a = (op_answer_t){.cb = cb, .ctx = ctx, .kind = kind, .err = db.pg ? db.pg : err};
    loop_later(t.loop, op_deliver, a);
    return a;
}
#define OP(kind, err) op_later(kind, err, (void (*)(void))cb, ctx)

void login_begin(store_t *s, const char *user, const char *addr, void (*cb)(void *ctx, xerr_t err, const login_try_t *t_), void *ctx)
{
    ops.tries++;
    OP(O_TRY, XE_OK)->found = strcmp(user, "desk") == 0;
}

void login_forgive(store_t *s, const char *user, const char *addr) {}

void operator_login(store_t *s, const login_in_t *in, const who_t *who, signed_in_cb cb, void *ctx)
{
    assert_string_equal(in->user, "desk");
    assert_string_equal(in->hash, ops.hash);
    assert_int_equal(in->expires_s - in->issued_s, 604800);
    OP(O_SIGNED, ops.outcome);
}

void operator_refresh(store_t *s, const uint8_t old[32], const uint8_t new_[32], int64_t expires_s, const who_t *who, signed_in_cb cb, void *ctx)
{
    OP(O_SIGNED, ops.outcome);
}

void operator_get(store_t *s, const char *name, void (*cb)(void *ctx, xerr_t err, const operator_t *o), void *ctx) { OP(O_GET, ops.outcome); }

void operators_list(store_t *s, const char *after, unsigned limit, void (*cb)(void *ctx, xerr_t err, const operator_page_t *p), void *ctx)
{
    OP(O_PAGE, XE_OK);
}

void operator_add(store_t *s, const char *name, const char *role, const char *hash, bool must, const who_t *who, op_done_cb cb, void *ctx)
{
    assert_string_equal(who->actor, "desk");
    assert_int_equal(password_verify(span_of(PASSWORD), hash), XE_OK);
    OP(O_DONE, ops.outcome);
}

void operator_delete(store_t *s, const char *name, const who_t *who, op_done_cb cb, void *ctx) { OP(O_DONE, ops.outcome); }

void operator_password(store_t *s, const char *name, const char *old_hash, const char *new_hash, const char *keep, const who_t *who, op_done_cb cb, void *ctx)
{
    assert_string_equal(old_hash, ops.hash);
    assert_string_equal(keep, DESK);
    OP(O_DONE, ops.outcome);
}

void operator_totp(store_t *s, const char *name, const uint8_t secret[TOTP_SECRET_LEN], int64_t step, const who_t *who, op_done_cb cb, void *ctx)
{
    OP(O_DONE, ops.outcome);
}

void key_get(store_t *s, const char *id, key_cb cb, void *ctx) { OP(O_KEY, strcmp(id, ops.key.id) ? XE_AUTH : XE_OK); }
void key_used(store_t *s, const char *id) { ops.used++; }
void key_create(store_t *s, const api_key_t *in, unsigned max, const who_t *who, void (*cb)(void *ctx, xerr_t err, int64_t expires_s), void *ctx)
{
    OP(O_MADE, ops.outcome);
}
void key_revoke(store_t *s, const char *id, const char *owner, const who_t *who, op_done_cb cb, void *ctx) { OP(O_DONE, ops.outcome); }

void keys_list(store_t *s, const char *owner, int64_t after_us, const char *after_id, unsigned limit, void (*cb)(void *ctx, xerr_t err, const key_page_t *p),
               void *ctx)
{
    OP(O_KEYS, XE_OK);
}

#endif
