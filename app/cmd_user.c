/* `xorj user`: the accounts of operators from the command line, with or without a running server. A password comes from
 * standard input, or is made up and printed; either must be changed at the first sign-in. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "app/cmd.h"
#include "base/password.h"
#include "base/rfc3339.h"
#include "handlers/api.h"
#include "reactor/json.h"
#include "storage/operators.h"

typedef struct {
    const char *config, *role, *verb, *name;
    bool from_stdin, json;
} args_t;

static int bad(const char *what)
{
    fprintf(stderr, "xorj user: %s\nusage: xorj user [-c FILE] add NAME --role admin|operator|viewer [--stdin]\n"
                    "       xorj user [-c FILE] password NAME [--stdin] | delete NAME | list [--json]\n", what);
    return 2;
}

static int parse(int argc, char **argv, args_t *a)
{
    static const struct option opts[] = {{"config", required_argument, NULL, 'c'},
                                         {"role", required_argument, NULL, 'r'},
                                         {"stdin", no_argument, NULL, 's'},
                                         {"json", no_argument, NULL, 'j'},
                                         {NULL, 0, NULL, 0}};
    int o;
    memset(a, 0, sizeof *a);
    optind = 1;
    while ((o = getopt_long(argc, argv, "c:", opts, NULL)) != -1) {
        if (o == 'c') a->config = optarg;
        else if (o == 'r') a->role = optarg;
        else if (o == 's') a->from_stdin = true;
        else if (o == 'j') a->json = true;
        else return 2;
    }
    if (optind < argc) a->verb = argv[optind++];
    if (optind < argc) a->name = argv[optind++];
    if (optind < argc || !a->verb) return bad("a verb and at most one name are expected");
    return 0;
}

/* ---- list --------------------------------------------------------------------------------------------------------- */

static void print_one(void *ctx, const operator_t *o)
{
    char at[RFC3339_US_LEN + 1] = "never";
    if (o->last_login_us) rfc3339_us(o->last_login_us, at);
    printf("%-32s %-8s last login %s%s%s\n", o->username, o->role, at, o->must_change ? ", must change the password" : "", o->totp ? ", second factor" : "");
}

static void put_time_of(jw_t *w, const char *key, int64_t us)
{
    jw_key(w, key);
    if (us) jw_time_us(w, us);
    else jw_null(w);
}

static void put_one(void *ctx, const operator_t *o)
{
    jw_t *w = ctx;
    jw_obj(w);
    jw_key(w, "username");
    jw_cstr(w, o->username);
    jw_key(w, "role");
    jw_cstr(w, o->role);
    put_time_of(w, "created_at", o->created_us);
    put_time_of(w, "last_login", o->last_login_us);
    jw_key(w, "must_change");
    jw_bool(w, o->must_change);
    jw_key(w, "totp");
    jw_bool(w, o->totp);
    jw_end(w);
}

static xerr_t list(const cfg_t *c, bool json)
{
    buf_t out;
    jw_t w;
    if (!json) return operators_each(c, print_one, NULL);
    buf_init(&out, 64u << 20);
    jw_init(&w, &out);
    jw_arr(&w);
    xerr_t err = operators_each(c, put_one, &w);
    jw_end(&w);
    if (!err) printf("%.*s\n", (int)out.n, out.p);
    buf_fini(&out);
    return err;
}

/* ---- add, password ------------------------------------------------------------------------------------------------ */

static int read_password(const args_t *a, char out[PASSWORD_MAX + 2])
{
    const char *why;
    if (!a->from_stdin) {
        password_random(out);
        return 0;
    }
    if (!fgets(out, PASSWORD_MAX + 2, stdin)) return bad("no password on standard input");
    out[strcspn(out, "\n")] = '\0';
    why = password_weakness(span_of(out), span_of(a->name));
    if (!why) return 0;
    fprintf(stderr, "xorj user: the password is refused: %s\n", why);
    return 2;
}

static int with_password(const cfg_t *c, const args_t *a, operator_cmd_t cmd, xerr_t *err)
{
    char password[PASSWORD_MAX + 2], hash[PASSWORD_HASH_MAX];
    int rc = read_password(a, password);
    if (!rc) {
        *err = password_hash(span_of(password), hash);
        if (!*err) *err = operator_cmd(c, cmd, a->name, a->role, hash);
        if (!*err && !a->from_stdin) printf("%s\n", password);
    }
    secret_wipe(password, sizeof password);
    return rc;
}

static int say(const args_t *a, xerr_t err)
{
    if (!err) return 0;
    fprintf(stderr, "xorj user %s: %s\n", a->verb,
            err == XE_CONFLICT && !strcmp(a->verb, "add") ? "there is an account of that name, or of one that reads alike"
            : err == XE_CONFLICT                          ? "the last admin cannot be deleted"
            : err == XE_NOT_FOUND                         ? "there is no account of that name"
                                                          : "the database did not do it; is it up and `xorj migrate` done?");
    return 1;
}

int cmd_user(int argc, char **argv)
{
    static cfg_t c;
    args_t a;
    xerr_t err = XE_OK;
    int rc = parse(argc, argv, &a);
    if (!rc) rc = cmd_config(a.config, &c);
    if (rc) return rc;
    if (!strcmp(a.verb, "list") && !a.name) return say(&a, list(&c, a.json));
    if (!a.name) return bad("this verb takes a name");
    if (!operator_name_ok(span_of(a.name))) return bad("that is no name: 3 to 32 letters, digits, dots, dashes, underscores, not beginning with cli.");
    if (!strcmp(a.verb, "add")) {
        if (!a.role || (strcmp(a.role, "admin") != 0 && strcmp(a.role, "operator") != 0 && strcmp(a.role, "viewer") != 0)) return bad("--role takes admin, operator or viewer");
        rc = with_password(&c, &a, OPERATOR_ADD, &err);
    } else if (!strcmp(a.verb, "password")) {
        rc = with_password(&c, &a, OPERATOR_PASSWORD, &err);
    } else if (!strcmp(a.verb, "delete")) {
        err = operator_cmd(&c, OPERATOR_DELETE, a.name, NULL, NULL);
    } else {
        return bad("the verbs are add, password, delete and list");
    }
    return rc ? rc : say(&a, err);
}
