#include "sim/tls.h"

#include <fcntl.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define CA_DAYS 1825
#define SERVER_DAYS 365
#define RENEW_S (7 * 86400) /* made again when less than this is left */

typedef struct {
    EVP_PKEY *key;
    X509 *cert;
} pair_t;

static void pair_fini(pair_t *p)
{
    EVP_PKEY_free(p->key);
    X509_free(p->cert);
    *p = (pair_t){0};
}

/* ---- files ---- */

static FILE *open_in(const char *dir, const char *name, const char *mode)
{
    char path[512];
    if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path)) return NULL;
    if (mode[0] == 'r') return fopen(path, mode);
    /* A key must never exist with wider rights, not even for a moment. */
    unlink(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode[1] == 'k' ? 0600 : 0644);
    return fd < 0 ? NULL : fdopen(fd, "w");
}

static bool load(const char *dir, const char *key, const char *cert, pair_t *out)
{
    FILE *k = open_in(dir, key, "r"), *c = open_in(dir, cert, "r");
    if (k) out->key = PEM_read_PrivateKey(k, NULL, NULL, NULL);
    if (c) out->cert = PEM_read_X509(c, NULL, NULL, NULL);
    if (k) fclose(k);
    if (c) fclose(c);
    bool good = out->key && out->cert && X509_check_private_key(out->cert, out->key) == 1;
    time_t soon = time(NULL) + RENEW_S;
    good = good && X509_cmp_current_time(X509_get0_notBefore(out->cert)) < 0 &&
           X509_cmp_time(X509_get0_notAfter(out->cert), &soon) > 0;
    if (!good) pair_fini(out);
    return good;
}

static bool store(const char *dir, const char *key, const char *cert, const pair_t *p)
{
    FILE *k = open_in(dir, key, "wk");
    bool ok = k && PEM_write_PrivateKey(k, p->key, NULL, NULL, 0, NULL, NULL) == 1;
    if (k) ok = fclose(k) == 0 && ok;
    FILE *c = open_in(dir, cert, "w");
    ok = c && PEM_write_X509(c, p->cert) == 1 && ok;
    if (c) ok = fclose(c) == 0 && ok;
    return ok;
}

/* ---- making ---- */

static bool extend(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    bool ok = e && X509_add_ext(cert, e, -1) == 1;
    X509_EXTENSION_free(e);
    return ok;
}

static bool random_serial(X509 *cert)
{
    uint8_t raw[16];
    if (RAND_bytes(raw, sizeof(raw)) != 1) return false;
    raw[0] &= 0x7f;
    BIGNUM *n = BN_bin2bn(raw, sizeof(raw), NULL);
    bool ok = n && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(cert));
    BN_free(n);
    return ok;
}

static bool name_it(X509 *cert, const char *cn)
{
    X509_NAME *n = X509_get_subject_name(cert);
    return X509_NAME_add_entry_by_txt(n, "CN", MBSTRING_ASC, (const unsigned char *)cn, -1, -1, 0) == 1;
}

static bool make(pair_t *out, const pair_t *issuer, const char *cn, int days)
{
    out->key = EVP_EC_gen("P-256");
    out->cert = X509_new();
    const pair_t *by = issuer ? issuer : out;
    bool ok = out->key && out->cert && X509_set_version(out->cert, 2) == 1 && random_serial(out->cert) &&
              name_it(out->cert, cn) && X509_gmtime_adj(X509_getm_notBefore(out->cert), -3600) &&
              X509_gmtime_adj(X509_getm_notAfter(out->cert), 86400L * days) &&
              X509_set_pubkey(out->cert, out->key) == 1 &&
              X509_set_issuer_name(out->cert, X509_get_subject_name(by->cert)) == 1 &&
              extend(out->cert, by->cert, NID_subject_key_identifier, "hash") &&
              extend(out->cert, by->cert, NID_authority_key_identifier, "keyid:always");
    if (issuer) {
        ok = ok && extend(out->cert, by->cert, NID_basic_constraints, "critical,CA:FALSE") &&
             extend(out->cert, by->cert, NID_key_usage, "critical,digitalSignature") &&
             extend(out->cert, by->cert, NID_ext_key_usage, "serverAuth") &&
             extend(out->cert, by->cert, NID_subject_alt_name, "IP:127.0.0.1,DNS:localhost");
    } else {
        ok = ok && extend(out->cert, by->cert, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
             extend(out->cert, by->cert, NID_key_usage, "critical,keyCertSign,cRLSign");
    }
    return ok && X509_sign(out->cert, by->key, EVP_sha256()) > 0;
}

static bool fits(const pair_t *ca, const pair_t *server)
{
    EVP_PKEY *pub = X509_get0_pubkey(ca->cert);
    return pub && X509_verify(server->cert, pub) == 1 && X509_check_ip_asc(server->cert, "127.0.0.1", 0) == 1 &&
           X509_check_host(server->cert, "localhost", 9, 0, NULL) == 1;
}

static const char *prepare(const char *dir, pair_t *ca, pair_t *server)
{
    if (!load(dir, "ca.key", "ca.pem", ca)) {
        if (!make(ca, NULL, "XORJ simulator test authority", CA_DAYS)) return "cannot make the test authority";
        if (!store(dir, "ca.key", "ca.pem", ca)) return "cannot write ca.key and ca.pem";
    }
    if (load(dir, "server.key", "server.pem", server) && fits(ca, server)) return NULL;
    pair_fini(server);
    if (!make(server, ca, "localhost", SERVER_DAYS)) return "cannot make the server certificate";
    return store(dir, "server.key", "server.pem", server) ? NULL : "cannot write server.key and server.pem";
}

xerr_t tls_open(const char *dir, SSL_CTX **out, const char **why)
{
    pair_t ca = {0}, server = {0};
    SSL_CTX *ctx = NULL;
    *why = prepare(dir, &ca, &server);
    if (!*why) {
        ctx = SSL_CTX_new(TLS_server_method());
        if (!ctx || SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1 ||
            SSL_CTX_use_certificate(ctx, server.cert) != 1 || SSL_CTX_use_PrivateKey(ctx, server.key) != 1) {
            *why = "cannot set up TLS";
            SSL_CTX_free(ctx);
            ctx = NULL;
        }
    }
    if (ctx) SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    pair_fini(&ca);
    pair_fini(&server);
    *out = ctx;
    return ctx ? XE_OK : XE_DOWN;
}
