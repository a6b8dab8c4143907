#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "reactor/config.h"

static buf_t errors;
static cfg_t c, d;
static char path[64];

static int setup(void **state)
{
    buf_init(&errors, 65536);
    snprintf(path, sizeof path, "/tmp/xorj-test-config-%ld.ini", (long)getpid());
    return 0;
}

static int teardown(void **state)
{
    buf_fini(&errors);
    unlink(path);
    return 0;
}

static void write_file(const char *text)
{
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
    assert_int_equal(fclose(f), 0);
}

static xerr_t load(const char *file_text, const char **envp)
{
    if (file_text) write_file(file_text);
    buf_reset(&errors);
    return cfg_load(&c, file_text ? path : NULL, (char **)(uintptr_t)envp, &errors);
}

static const char *no_env[] = {NULL};
static char *empty_env[] = {NULL};

static void refused(const char *file_text, const char **envp, const char *part)
{
    assert_int_equal(load(file_text, envp), XE_BAD_INPUT);
    assert_true(errors.n > 0 && errors.p[errors.n - 1] == '\n');
    if (!strstr(errors.p, part)) fail_msg("wanted '%s' in: %s", part, errors.p);
}

static void refused_env(const char *name_value, const char *part)
{
    const char *envp[] = {name_value, NULL};
    refused(NULL, envp, part);
}

static void accepted_env(const char *name_value)
{
    const char *envp[] = {name_value, NULL};
    if (load(NULL, envp)) fail_msg("%s: %s", name_value, errors.p);
}

static void test_defaults(void **state)
{
    assert_int_equal(load(NULL, no_env), XE_OK);
    assert_int_equal(errors.n, 0);
    assert_int_equal(c.server_port, 8080);
    assert_string_equal(c.server_listen, "127.0.0.1");
    assert_true(c.limits_enabled);
    assert_false(c.feeds_simulated);
    assert_string_equal(c.auth_jwt_secret, "");
}

static void test_sample_is_complete(void **state)
{
    if (access("config.ini", R_OK) != 0) skip();
    buf_reset(&errors);
    if (cfg_check_sample("config.ini", &errors)) fail_msg("%s", errors.p);
    assert_int_equal(cfg_load(&d, "config.ini", empty_env, &errors), XE_OK);
    assert_int_equal(load(NULL, no_env), XE_OK);
    assert_memory_equal(&c, &d, sizeof c);
}

static void test_sample_faults_are_named(void **state)
{
    write_file("[server]\nport = 8081\nold = 1\n");
    buf_reset(&errors);
    assert_int_equal(cfg_check_sample(path, &errors), XE_BAD_INPUT);
    assert_non_null(strstr(errors.p, ":2: port in [server] does not show the default '8080'"));
    assert_non_null(strstr(errors.p, ":3: unknown key 'old' in [server]"));
    assert_non_null(strstr(errors.p, "listen in [server] is missing"));
    buf_t sample;
    buf_init(&sample, 1 << 20);
    cfg_write_sample(&sample);
    write_file(sample.p);
    buf_reset(&errors);
    if (cfg_check_sample(path, &errors)) fail_msg("%s", errors.p);
    buf_fini(&sample);
}

static void test_file_then_environment(void **state)
{
    const char *envp[] = {"XORJ_HTTP_IDLE_MS=3000",
                          "XORJ_LOG_REQUESTS=true",
                          "HOME=/x",
                          "PATH",
                          "XORJ_URL=http://x",
                          "XORJ_PID=12",
                          "XORJ_TEST_ANY=1",
                          NULL};
    assert_int_equal(load("# comment\n[http]\nidle_ms = 2000 ; half\nbody_ms=900\n\n[feeds]\ncoinbase_url "
                          "=\n[http]\nline_max = 4096\n",
                          envp),
                     XE_OK);
    assert_int_equal(c.http_idle_ms, 3000);
    assert_int_equal(c.http_body_ms, 900);
    assert_int_equal(c.http_line_max, 4096);
    assert_true(c.log_requests);
    assert_string_equal(c.feeds_coinbase_url, "");
    const char *known[] = {"XORJ_AUTH_JWT_SECRET=from-own-name",
                           "JWT_SECRET=from-known-name",
                           "REDIS_URL=redis://:pw@127.0.0.1:1/2",
                           "ALLOWED_ORIGINS=https://a.example,http://localhost:3000",
                           "SOLANA_RPC_URL=https://rpc.example/?key=1",
                           "DATABASE_HOST=10.1.2.3",
                           "DATABASE_PORT=6000",
                           "DATABASE_NAME=n",
                           "DATABASE_USER=u",
                           "DATABASE_PASSWORD=p w",
                           "DATABASE_SSL=true",
                           "DATABASE_MAX_CONNECTIONS=9",
                           NULL};
    if (load(NULL, known)) fail_msg("%s", errors.p);
    assert_string_equal(c.auth_jwt_secret, "from-known-name");
    assert_string_equal(c.redis_url, "redis://:pw@127.0.0.1:1/2");
    assert_string_equal(c.server_allowed_origins, "https://a.example,http://localhost:3000");
    assert_string_equal(c.feeds_solana_rpc_url, "https://rpc.example/?key=1");
    assert_string_equal(c.database_host, "10.1.2.3");
    assert_int_equal(c.database_port, 6000);
    assert_string_equal(c.database_password, "p w");
    assert_string_equal(c.database_ssl, "require");
    assert_int_equal(c.database_max_connections, 9);
}

static void test_file_faults(void **state)
{
    char longer[700];
    snprintf(longer, sizeof longer, "[server]\nallowed_origins = https://%0400d.example\nport = 1\n", 1);
    refused("[http]\nx = 1\n", no_env, ":2: unknown key 'x' in [http]\n");
    refused("[htp]\nidle_ms = 1000\n", no_env, ":2: unknown key 'idle_ms' in [htp]\n");
    refused("idle_ms = 1000\n", no_env, "unknown key 'idle_ms' in []");
    refused("[http]\nidle_ms = 1000\nidle_ms = 1000\n", no_env, ":3: idle_ms in [http] is set twice");
    refused("[http]\nidle_ms = 1000\n[log]\n[http]\nidle_ms = 1000\n", no_env, ":5: idle_ms in [http] is set twice");
    refused("[http]\nidle_ms\n", no_env, ":2: neither [section] nor key = value");
    refused("[http\nidle_ms = 1\n", no_env, ":1: neither");
    refused("[http]\nidle_ms = 1000\n  2000\n", no_env, "set twice");
    refused(longer, no_env, ":2: line is longer than");
    refused("[http]\nidle_ms = 1s\n", no_env, "idle_ms in [http] must be a whole number from 100 to 3600000, not '1s'");
    refused("[http]\nidle_ms =\n", no_env, "must be a whole number");
    refused("[http]\nidle_ms = 99\n", no_env, "not '99'");
    refused("[http]\nidle_ms = 3600001\n", no_env, "must be");
    refused("[http]\nidle_ms = 99999999999999999999\n", no_env, "must be");
    refused("[http]\nidle_ms = +1000\n", no_env, "must be");
    refused("[http]\nidle_ms = 1e3\n", no_env, "must be");
    refused("[limits]\nenabled = yes\n", no_env, "enabled in [limits] must be true or false, not 'yes'");
    refused("[limits]\nenabled = TRUE\n", no_env, "must be true or false");
    refused("[server]\nlisten =\n", no_env, "listen in [server] needs 1 to 64 characters");
    refused("[log]\nlevel = warn\x1b\n", no_env, "control character");
    buf_reset(&errors);
    assert_int_equal(cfg_load(&c, "/nonexistent/config.ini", empty_env, &errors), XE_BAD_INPUT);
    assert_non_null(strstr(errors.p, "cannot be read"));
    /* A comment may be as long as it likes. */
    snprintf(longer, sizeof longer, "; %0500d\n[server]\nport = 1\n", 1);
    assert_int_equal(load(longer, no_env), XE_OK);
    assert_int_equal(c.server_port, 1);
    /* All faults are told at once. */
    refused("[http]\na = 1\nb = 2\nidle_ms = x\n", no_env, ":4: idle_ms");
    assert_non_null(strstr(errors.p, ":2: unknown"));
    assert_non_null(strstr(errors.p, ":3: unknown"));
}

static void test_environment_faults(void **state)
{
    refused_env("XORJ_HTTP_IDLE=1", "environment XORJ_HTTP_IDLE: unknown key");
    refused_env("XORJ_LIMIT_ENABLED=false", "unknown key");
    refused_env("XORJ_HTTP_IDLE_MS=x", "environment XORJ_HTTP_IDLE_MS: idle_ms in [http] must be");
    refused_env("XORJ_http_idle_ms=1000", "unknown key");
    refused_env("XORJ_AUTH_JWT_SECRET=bad\nline-with-a-secret",
                "environment XORJ_AUTH_JWT_SECRET: jwt_secret in [auth] holds a control character");
    assert_null(strstr(errors.p, "line-with"));
    refused_env("DATABASE_SSL=maybe", "ssl in [database] must be one of");
    refused_env("DATABASE_PORT=http", "environment DATABASE_PORT: port in [database]");
    accepted_env("DATABASE_URL=");
    accepted_env("JWT_SECRET=");
    accepted_env("XORJ=1");
    accepted_env("XORJ_FEEDS_GEMINI_URL=");
}

static void test_rules(void **state)
{
    refused_env("XORJ_SERVER_ENVIRONMENT=prod",
                "environment in [server] must be one of development staging production , not 'prod'");
    refused_env("XORJ_LOG_LEVEL=loud", "level in [log]");
    refused_env("XORJ_FEEDS_GEMINI_PROTOCOL=gemini", "gemini_protocol in [feeds]");
    refused_env("XORJ_SERVER_LISTEN=localhost", "'localhost' is not a numeric address");
    accepted_env("XORJ_SERVER_LISTEN=::1");
    refused_env("XORJ_SERVER_TRUSTED_PROXIES=127.0.0.1,proxy", "'proxy' is not an address or network");
    refused_env("XORJ_SERVER_TRUSTED_PROXIES=10.0.0.0/33", "is not an address or network");
    accepted_env("XORJ_SERVER_TRUSTED_PROXIES=10.0.0.0/8, fd00::/8,::1");
    accepted_env("XORJ_SERVER_TRUSTED_PROXIES=");
    refused_env("ALLOWED_ORIGINS=*", "'*' is not an origin");
    refused_env("ALLOWED_ORIGINS=https://a.example/path", "is not an origin");
    refused_env("ALLOWED_ORIGINS=null", "is not an origin");
    refused_env("XORJ_FEEDS_COINBASE_URL=ws://x", "coinbase_url in [feeds] must begin with wss://");
    refused_env("SOLANA_RPC_URL=http://rpc.example", "must begin with https://");
    accepted_env("SOLANA_RPC_URL=http://127.0.0.1:8899");
    refused_env("REDIS_URL=127.0.0.1:6379", "must begin with redis://");
    accepted_env("REDIS_URL=unix:///run/redis.sock");
    refused_env("XORJ_ARB_SIZE_MIN_USD=2000", "size_min_usd in [arb] is above size_max_usd");
    refused_env("XORJ_WS_DEAD_MS=20000", "ping_ms in [ws] must be below dead_ms");
    refused_env("DATABASE_HOST=a b", "host in [database] is neither");
    const char *prod[] = {"XORJ_SERVER_ENVIRONMENT=production", "XORJ_LIMITS_ENABLED=false",
                          "XORJ_FEEDS_SIMULATED=true", "XORJ_DATABASE_REQUIRE_DURABLE=false", NULL};
    refused(NULL, prod, "enabled = false in [limits] is refused in production");
    assert_non_null(strstr(errors.p, "simulated = true in [feeds] is refused"));
    assert_non_null(strstr(errors.p, "require_durable = false in [database] is for development only"));
    const char *staging[] = {"XORJ_SERVER_ENVIRONMENT=staging", "XORJ_DATABASE_REQUIRE_DURABLE=false", NULL};
    refused(NULL, staging, "development only");
    accepted_env("XORJ_DATABASE_REQUIRE_DURABLE=false");
}

static void test_database_url(void **state)
{
    static const struct {
        const char *url, *host;
        int port;
        const char *name, *user, *password, *ssl;
    } rows[] = {
        {"postgresql://u:p@10.0.0.1:5433/db?sslmode=require", "10.0.0.1", 5433, "db", "u", "p", "require"},
        {"postgres://u@10.0.0.1/db", "10.0.0.1", 5432, "db", "u", "", "prefer"},
        {"postgresql://u%40x:p%3A%2F%3f%25@db.example:1/my%20db", "db.example", 1, "my db", "u@x", "p:/?%", "prefer"},
        {"postgresql://u:a@b:c@10.0.0.1/db", "10.0.0.1", 5432, "db", "u", "a@b:c", "prefer"},
        {"postgresql://u:p@[2001:db8::1]:6/db", "2001:db8::1", 6, "db", "u", "p", "prefer"},
        {"postgresql://u:p@[::1]/db", "::1", 5432, "db", "u", "p", "prefer"},
        {"postgresql://u:p@%2Frun%2Fpg/db", "/run/pg", 5432, "db", "u", "p", "prefer"},
        {"postgresql:///db?host=/run/pg&port=7&user=u&password=p%26q", "/run/pg", 7, "db", "u", "p&q", "prefer"},
        {"postgresql://u:@h/?dbname=x&ssl=true&application_name=a&connect_timeout=3", "h", 5432, "x", "u", "",
         "require"},
        {"postgresql://", "127.0.0.1", 5432, "xorj", "xorj", "", "prefer"},
        {"postgresql://10.0.0.1", "10.0.0.1", 5432, "xorj", "xorj", "", "prefer"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[300];
        snprintf(text, sizeof text, "DATABASE_URL=%s", rows[i].url);
        accepted_env(text);
        assert_string_equal(c.database_host, rows[i].host);
        assert_int_equal(c.database_port, rows[i].port);
        assert_string_equal(c.database_name, rows[i].name);
        assert_string_equal(c.database_user, rows[i].user);
        assert_string_equal(c.database_password, rows[i].password);
        assert_string_equal(c.database_ssl, rows[i].ssl);
    }
    static const char *const bad[] = {
        "DATABASE_URL=mysql://h/db",
        "DATABASE_URL=h/db",
        "DATABASE_URL=postgresql://h:x/db",
        "DATABASE_URL=postgresql://h:/db",
        "DATABASE_URL=postgresql://h:70000/db",
        "DATABASE_URL=postgresql://u:%zz@h/db",
        "DATABASE_URL=postgresql://u:%2@h/db",
        "DATABASE_URL=postgresql://u:%00@h/db",
        "DATABASE_URL=postgresql://h/db?nope=1",
        "DATABASE_URL=postgresql://h/db?sslmode=maybe",
        "DATABASE_URL=postgresql://[::1/db",
        "DATABASE_URL=postgresql://[::1]x/db",
        "DATABASE_URL=postgresql://a,b/db",
        "DATABASE_URL=postgresql://h/db#x",
        "DATABASE_URL=postgresql://:p@h/db",
        "DATABASE_URL=postgresql://h/db?connect_timeout=0",
        "DATABASE_URL=postgresql://h%0a/db",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const char *envp[] = {bad[i], NULL};
        if (load(NULL, envp) != XE_BAD_INPUT) fail_msg("accepted: %s", bad[i]);
    }
    const char *both[] = {"DATABASE_HOST=10.9.9.9", "DATABASE_URL=postgresql://10.0.0.1/db", NULL};
    assert_int_equal(load(NULL, both), XE_OK);
    assert_string_equal(c.database_host, "10.0.0.1");
}

static void test_conninfo(void **state)
{
    buf_t b;
    buf_init(&b, 4096);
    accepted_env("DATABASE_URL=postgresql://o'brien:a%5Cb%20'c@%2Ftmp%2Fx/db");
    assert_int_equal(cfg_conninfo(&c, &b), XE_OK);
    assert_string_equal(
        b.p, "host='/tmp/x' port='5432' dbname='db' user='o\\'brien' password='a\\\\b \\'c' sslmode='prefer'");
    buf_reset(&b);
    accepted_env("DATABASE_URL=postgresql://u@localhost:1/db");
    assert_int_equal(cfg_conninfo(&c, &b), XE_OK);
    assert_non_null(strstr(b.p, "host='localhost' hostaddr='"));
    buf_reset(&b);
    accepted_env("DATABASE_URL=postgresql://u@not-a-name-/db"); /* no resolver asks for this */
    assert_int_equal(cfg_conninfo(&c, &b), XE_DOWN);
    assert_non_null(strstr(b.p, "host='/unresolved/not-a-name-'"));
    buf_fini(&b);
}

static void test_print_masks_secrets(void **state)
{
    buf_t b;
    buf_init(&b, 65536);
    const char *envp[] = {"JWT_SECRET=very-private-value", "DATABASE_URL=postgresql://u:hidden-pw@h/db",
                          "REDIS_URL=redis://:hidden-pw@h:1/0", "SOLANA_RPC_URL=https://h/?api-key=hidden", NULL};
    assert_int_equal(load(NULL, envp), XE_OK);
    cfg_print(&c, &b);
    assert_null(strstr(b.p, "private"));
    assert_null(strstr(b.p, "hidden"));
    assert_non_null(strstr(b.p, "jwt_secret = ********\n"));
    assert_non_null(strstr(b.p, "[http]\nhead_ms = 10000\n"));
    assert_non_null(strstr(b.p, "enabled = true\n"));
    buf_fini(&b);
}

static void test_live_keys(void **state)
{
    const char *envp[] = {"XORJ_LIMITS_OPP_PER_MIN=7", "XORJ_LOG_LEVEL=debug", "XORJ_SERVER_PORT=1", NULL};
    assert_int_equal(load(NULL, no_env), XE_OK);
    d = c;
    assert_int_equal(load(NULL, envp), XE_OK);
    cfg_take_live(&d, &c);
    assert_int_equal(d.limits_opp_per_min, 7);
    assert_string_equal(d.log_level, "debug");
    assert_int_equal(d.server_port, 8080);
}

static void test_secrets(void **state)
{
    static const char *const weak[] = {
        "",
        "short",
        "0123456789012345678901234567890",
        "changeme-changeme-changeme-changeme",
        "your-secret-key-here-make-it-long-enough",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "secretsecretsecretsecretsecretsecret",
        "abcdefghijklmnopqrstuvwxyz0123456789",
        "My-Super-Secret-JWT-Key-For-Production",
        "0123456789abcdef0123456789abcdef",
        "abababababababababababababababababab",
        "your-256-bit-secret-your-256-bit-secret",
        "11111111111111111111111111111111",
        "xorjxorjxorjxorjxorjxorjxorjxorjxorj",
        "correct-password-battery-staple-horse",
        "zyxwvutsrqponmlkjihgfedcbaZYXWVUTS",
    };
    static const char *const strong[] = {"J8m2Qv+0zTn4yLrK1sXe7uWcAb9dFgHi3jPoRq5t",
                                         "f3b1c07d9e2a45860b7c1d94e8f2a35b6c0d7e91",
                                         "correct horse battery staple 1937 violet"};
    assert_int_equal(load(NULL, no_env), XE_OK);
    for (size_t i = 0; i < sizeof weak / sizeof *weak; i++) {
        snprintf(c.auth_jwt_secret, sizeof c.auth_jwt_secret, "%s", weak[i]);
        buf_reset(&errors);
        if (cfg_check_secrets(&c, &errors) != XE_BAD_INPUT) fail_msg("accepted: %s", weak[i]);
        assert_true(errors.n > 0);
        if (strlen(weak[i]) > 8) assert_null(strstr(errors.p, weak[i]));
    }
    for (size_t i = 0; i < sizeof strong / sizeof *strong; i++) {
        snprintf(c.auth_jwt_secret, sizeof c.auth_jwt_secret, "%s", strong[i]);
        buf_reset(&errors);
        if (cfg_check_secrets(&c, &errors)) fail_msg("refused: %s %s", strong[i], errors.p);
    }
}

static bool keys_good(const char *previous)
{
    snprintf(c.auth_jwt_previous, sizeof c.auth_jwt_previous, "%s", previous);
    buf_reset(&errors);
    return cfg_check_secrets(&c, &errors) == XE_OK;
}

static void test_token_keys(void **state)
{
#define K0 "f3b1c07d9e2a45860b7c1d94e8f2a35b6c0d7e91"
    static const char *const bad[] = {"k0", ":" K0, "k0:", "k0:short", "k0 :" K0, "k1:" K0, "k0:" K0 " k0:" K0, "k/0:" K0, "k0:changeme-changeme-changeme-changeme",
                                      "a:" K0 " b:" K0 " c:" K0 " d:" K0, "abcdefghijklmnopqrstuvwxyz0123456789:" K0};
    cfg_key_t keys[CFG_KEYS_MAX];
    unsigned n;
    assert_int_equal(load(NULL, no_env), XE_OK);
    snprintf(c.auth_jwt_secret, sizeof c.auth_jwt_secret, "J8m2Qv+0zTn4yLrK1sXe7uWcAb9dFgHi3jPoRq5t");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (keys_good(bad[i])) fail_msg("accepted: %s", bad[i]);
        assert_true(errors.n > 0);
        assert_null(strstr(errors.p, K0));
    }
    assert_true(keys_good(""));
    assert_true(keys_good("  k0:" K0 "   old-1:" K0 ":x "));
    assert_int_equal(cfg_token_keys(&c, keys, &n), XE_OK);
    assert_int_equal(n, 3);
    assert_string_equal(keys[0].kid, "k1");
    assert_string_equal(keys[1].secret, K0);
    assert_string_equal(keys[2].kid, "old-1");
    assert_string_equal(keys[2].secret, K0 ":x");
    snprintf(c.server_environment, sizeof c.server_environment, "production");
    snprintf(c.database_password, sizeof c.database_password, "Postgres");
    assert_false(keys_good(""));
    snprintf(c.database_password, sizeof c.database_password, "q7Hx-2n");
    assert_true(keys_good(""));
}

/* Text from anywhere never crashes the reader and never passes in silence as something else. */
static void test_noise(void **state)
{
    uint64_t s = 42;
    char text[512];
    for (int round = 0; round < 3000; round++) {
        static const char pieces[] = "[]=;#\n\n\n  \"':%@/?&httpidle_ms0123\x80\xff\t\r\\";
        size_t n = 0;
        n += (size_t)snprintf(text, sizeof text, "DATABASE_URL=%s", round % 2 ? "postgresql://" : "");
        for (unsigned k = (unsigned)round % 200; k--;) {
            s = s * 6364136223846793005u + 1442695040888963407u;
            text[n++] = pieces[(s >> 33) % (sizeof pieces - 1)];
        }
        text[n] = '\0';
        const char *envp[] = {text, NULL};
        load(text + 13, envp);
        load(NULL, envp);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_sample_is_complete),
        cmocka_unit_test(test_sample_faults_are_named),
        cmocka_unit_test(test_file_then_environment),
        cmocka_unit_test(test_file_faults),
        cmocka_unit_test(test_environment_faults),
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_database_url),
        cmocka_unit_test(test_conninfo),
        cmocka_unit_test(test_print_masks_secrets),
        cmocka_unit_test(test_live_keys),
        cmocka_unit_test(test_secrets), cmocka_unit_test(test_token_keys),
        cmocka_unit_test(test_noise),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
