/* `xorj token`: tokens for load runs and for operators, signed with the configured key. Each gets a live session row (and
 * a wallet its user) in the database first, so it works at once and can be revoked like any other. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/cmd.h"
#include "base/codec.h"
#include "base/crypto.h"
#include "handlers/api.h"
#include "reactor/loop.h"
#include "reactor/json.h"
#include "storage/migrate.h"

enum { WALLETS_MAX = 100000 };

typedef struct {
    const char *config, *role, *wallet;
    long wallets, ttl_s;
} args_t;

static int bad(const char *what)
{
    fprintf(stderr, "xorj token: %s\nusage: xorj token [-c FILE] --wallets N | --wallet ADDRESS | --role admin|operator|viewer [--ttl SECONDS]\n", what);
    return 2;
}

static int read_long(const char *s, long lo, long hi, long *out)
{
    char *end;
    long v = strtol(s, &end, 10);
    if (!*s || *end || v < lo || v > hi) return -1;
    *out = v;
    return 0;
}

static int parse(int argc, char **argv, args_t *a)
{
    static const struct option opts[] = {{"config", required_argument, NULL, 'c'},
                                         {"wallets", required_argument, NULL, 'n'},
                                         {"wallet", required_argument, NULL, 'w'},
                                         {"role", required_argument, NULL, 'r'},
                                         {"ttl", required_argument, NULL, 't'},
                                         {NULL, 0, NULL, 0}};
    int o;
    memset(a, 0, sizeof *a);
    optind = 1;
    while ((o = getopt_long(argc, argv, "c:", opts, NULL)) != -1) {
        if (o == 'c') a->config = optarg;
        else if (o == 'w') a->wallet = optarg;
        else if (o == 'r') a->role = optarg;
        else if (o == 'n') {
            if (read_long(optarg, 1, WALLETS_MAX, &a->wallets)) return bad("--wallets takes 1 to 100000");
        } else if (o == 't') {
            if (read_long(optarg, 1, 604800, &a->ttl_s)) return bad("--ttl takes 1 to 604800 seconds");
        } else return 2;
    }
    if (optind < argc) return bad("unexpected argument");
    if ((a->wallets > 0) + (a->wallet != NULL) + (a->role != NULL) != 1) return bad("give exactly one of --wallets, --wallet, --role");
    return 0;
}

static int not_stored(void)
{
    fprintf(stderr, "xorj token: the sessions could not be stored; is PostgreSQL up and `xorj migrate` done?\n");
    return 1;
}

static int mint_role(const cfg_t *c, const args_t *a)
{
    char token[1024];
    struct session_row row = {.wallet = ""};
    int64_t now = wall_us() / 1000000;
    int64_t ttl = a->ttl_s ? a->ttl_s : c->auth_operator_ttl_s;
    if (strcmp(a->role, "admin") != 0 && strcmp(a->role, "operator") != 0 && strcmp(a->role, "viewer") != 0)
        return bad("--role takes admin, operator or viewer");
    if (ttl > c->auth_operator_ttl_s) return bad("--ttl is longer than auth.operator_ttl_s");
    uuid4(row.jti);
    snprintf(row.role, sizeof row.role, "%s", a->role);
    snprintf(row.user_id, sizeof row.user_id, "cli.%s", a->role);
    struct token_in in = {.jti = row.jti, .user_id = row.user_id, .role = a->role, .issued_s = row.issued_s = now, .expires_s = row.expires_s = now + ttl};
    if (token_mint(c, &in, token, sizeof token)) return 1;
    if (sessions_mint(c, &row, 1)) return not_stored();
    printf("%s\n", token);
    return 0;
}

static int fill(const cfg_t *c, const args_t *a, struct session_row *rows, unsigned n)
{
    int64_t now = wall_us() / 1000000;
    int64_t ttl = a->ttl_s ? a->ttl_s : c->auth_wallet_ttl_s;
    if (ttl > c->auth_wallet_ttl_s) return bad("--ttl is longer than auth.wallet_ttl_s");
    for (unsigned i = 0; i < n; i++) {
        uint8_t key[32];
        uuid4(rows[i].jti);
        random_bytes(key, sizeof key);
        if (a->wallet && b58_key(span_of(a->wallet), key)) return bad("--wallet is not a wallet address");
        b58_encode(key, sizeof key, rows[i].wallet, sizeof rows[i].wallet);
        rows[i].issued_s = now;
        rows[i].expires_s = now + ttl;
    }
    return 0;
}

static int print_rows(const cfg_t *c, const struct session_row *rows, unsigned n)
{
    buf_t out;
    jw_t w;
    xerr_t err = XE_OK;
    buf_init(&out, (size_t)n * 2048 + 64);
    jw_init(&w, &out);
    jw_arr(&w);
    for (unsigned i = 0; i < n && !err; i++) {
        char token[1024] = "";
        struct token_in in = {.jti = rows[i].jti, .user_id = rows[i].user_id, .wallet = rows[i].wallet, .role = "wallet",
                              .issued_s = rows[i].issued_s, .expires_s = rows[i].expires_s};
        err = token_mint(c, &in, token, sizeof token);
        jw_obj(&w);
        jw_key(&w, "wallet");
        jw_cstr(&w, rows[i].wallet);
        jw_key(&w, "token");
        jw_cstr(&w, token);
        jw_end(&w);
    }
    jw_end(&w);
    if (!err) {
        fwrite(out.p, 1, out.n, stdout);
        putchar('\n');
    }
    buf_fini(&out);
    return err ? 1 : 0;
}

int cmd_token(int argc, char **argv)
{
    static cfg_t c;
    args_t a;
    int rc = parse(argc, argv, &a);
    if (!rc) rc = cmd_config(a.config, &c);
    if (!rc) rc = cmd_secrets(&c);
    if (rc) return rc;
    if (a.role) return mint_role(&c, &a);
    unsigned n = a.wallet ? 1 : (unsigned)a.wallets;
    struct session_row *rows = calloc(n, sizeof *rows);
    if (!rows) return 1;
    rc = fill(&c, &a, rows, n);
    if (!rc && sessions_mint(&c, rows, n)) rc = not_stored();
    if (!rc) rc = print_rows(&c, rows, n);
    free(rows);
    return rc;
}
