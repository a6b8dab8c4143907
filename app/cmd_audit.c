/* `xorj audit verify`: walks the hash chain of the audit log from its first row to its head and names the first row that
 * does not fit. Exit code 0: intact; 1: something does not fit, or the database could not be asked; 2: usage. */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "app/cmd.h"
#include "reactor/json.h"
#include "storage/audit.h"

static int usage(void)
{
    fprintf(stderr, "usage: xorj audit verify [-c FILE] [--json]\n");
    return 2;
}

static void progress(int64_t seq, int64_t head)
{
    fprintf(stderr, "audit: %" PRId64 " of %" PRId64 " rows fit so far\n", seq, head);
}

static void print_json(const audit_chain_t *c, const char *head)
{
    buf_t b;
    jw_t w;
    buf_init(&b, 4096);
    jw_init(&w, &b);
    jw_obj(&w);
    jw_key(&w, "ok");
    jw_bool(&w, !c->bad_seq && !c->what[0]);
    jw_key(&w, "rows");
    jw_i64(&w, c->seq);
    jw_key(&w, "bad_seq");
    if (c->what[0]) jw_i64(&w, c->bad_seq);
    else jw_null(&w);
    jw_key(&w, "what");
    jw_cstr(&w, c->what[0] ? c->what : NULL);
    jw_key(&w, "head");
    jw_cstr(&w, head[0] ? head : NULL);
    jw_end(&w);
    printf("%.*s\n", (int)b.n, b.p);
    buf_fini(&b);
}

static int verify(const cfg_t *c, bool json)
{
    audit_chain_t chain;
    char head[65] = "";
    if (audit_walk(c, isatty(2) ? progress : NULL, &chain, head)) {
        fprintf(stderr, "xorj audit: the log could not be read; is the database up (xorj check-config shows which one), and its tables in step (xorj migrate --status)?\n");
        return 1;
    }
    if (json) print_json(&chain, head);
    else if (chain.what[0]) printf("audit: row %" PRId64 ": %s\n", chain.bad_seq, chain.what);
    else printf("audit: %" PRId64 " rows, the chain is intact, head %s\n", chain.seq, head);
    return chain.what[0] ? 1 : 0;
}

int cmd_audit(int argc, char **argv)
{
    static const struct option opts[] = {{"config", required_argument, NULL, 'c'}, {"json", no_argument, NULL, 'j'}, {NULL, 0, NULL, 0}};
    static cfg_t c;
    const char *path = NULL;
    bool json = false;
    int o;
    optind = 1;
    while ((o = getopt_long(argc, argv, "c:", opts, NULL)) != -1) {
        if (o == 'c') path = optarg;
        else if (o == 'j') json = true;
        else return usage();
    }
    if (optind + 1 != argc || strcmp(argv[optind], "verify") != 0) return usage();
    int rc = cmd_config(path, &c);
    return rc ? rc : verify(&c, json);
}
