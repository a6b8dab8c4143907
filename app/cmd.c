#include "app/cmd.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "app/app.h"
#include "app/insts.h"
#include "base/version.h"
#include "connectors/replay.h"
#include "handlers/openapi.h"
#include "storage/migrate.h"

extern char **environ;

static int said(xerr_t err, buf_t *errors)
{
    if (errors->n) fprintf(stderr, "%.*s", (int)errors->n, errors->p);
    buf_fini(errors);
    return err ? 2 : 0;
}

int cmd_config(const char *path, cfg_t *c)
{
    buf_t errors;
    buf_init(&errors, 65536);
    return said(cfg_load(c, path, environ, &errors), &errors);
}

int cmd_secrets(const cfg_t *c)
{
    buf_t errors;
    buf_init(&errors, 65536);
    return said(cfg_check_secrets(c, &errors), &errors);
}

/* Verbs that know only -c. Leaves optind at the first operand. */
static int only_config(int argc, char **argv, const char **path)
{
    static const struct option none[] = {{"config", required_argument, NULL, 'c'}, {NULL, 0, NULL, 0}};
    int o;
    *path = NULL;
    optind = 1;
    while ((o = getopt_long(argc, argv, "c:", none, NULL)) != -1) {
        if (o != 'c') return 2;
        *path = optarg;
    }
    if (optind == argc) return 0;
    fprintf(stderr, "xorj %s: unexpected argument '%.64s'\n", argv[0], argv[optind]);
    return 2;
}

int cmd_serve(int argc, char **argv)
{
    static cfg_t c; /* large: not on the stack */
    const char *path;
    int rc = only_config(argc, argv, &path);
    if (!rc) rc = cmd_config(path, &c);
    if (!rc) rc = cmd_secrets(&c);
    return rc ? rc : app_serve(&c, path);
}

int cmd_check_config(int argc, char **argv)
{
    static cfg_t c;
    const char *path;
    eng_conf_t e;
    buf_t out;
    int rc = only_config(argc, argv, &path);
    if (!rc) rc = cmd_config(path, &c);
    if (rc) return rc;
    buf_init(&out, 1 << 20);
    if (insts_from_cfg(&c, &e, &out)) {
        fprintf(stderr, "%.*s", (int)out.n, out.p);
        rc = 2;
    } else {
        cfg_print(&c, &out);
        fwrite(out.p, 1, out.n, stdout);
        rc = cmd_secrets(&c);
    }
    buf_fini(&out);
    return rc;
}

int cmd_migrate(int argc, char **argv)
{
    static const struct option opts[] = {{"config", required_argument, NULL, 'c'},
                                         {"dry-run", no_argument, NULL, 'd'},
                                         {"status", no_argument, NULL, 's'},
                                         {NULL, 0, NULL, 0}};
    static cfg_t c;
    const char *path = NULL;
    migrate_mode_t mode = MIGRATE_APPLY;
    int o;
    optind = 1;
    while ((o = getopt_long(argc, argv, "c:", opts, NULL)) != -1) {
        if (o == 'c') path = optarg;
        else if (o == 'd') mode = MIGRATE_DRY_RUN;
        else if (o == 's') mode = MIGRATE_STATUS;
        else return 2;
    }
    if (optind < argc) {
        fprintf(stderr, "xorj migrate: unexpected argument '%.64s'\n", argv[optind]);
        return 2;
    }
    int rc = cmd_config(path, &c);
    return rc ? rc : migrate_run(&c, mode) ? 1 : 0;
}

int cmd_replay(int argc, char **argv)
{
    enum { SEEDS_MAX = 64 };
    static const struct option opts[] = {{"protocol", required_argument, NULL, 'p'}, {"books", required_argument, NULL, 'b'},
                                         {"seed", required_argument, NULL, 's'},     {"frames", required_argument, NULL, 'f'},
                                         {"list", no_argument, NULL, 'l'},           {NULL, 0, NULL, 0}};
    const char *protocol = NULL, *books = NULL, *frames = NULL, *seeds[SEEDS_MAX];
    unsigned seeds_n = 0;
    bool list = false;
    int o;
    optind = 1;
    while ((o = getopt_long(argc, argv, "", opts, NULL)) != -1) {
        if (o == 'p') protocol = optarg;
        else if (o == 'b') books = optarg;
        else if (o == 'f') frames = optarg;
        else if (o == 'l') list = true;
        else if (o == 's' && seeds_n < SEEDS_MAX) seeds[seeds_n++] = optarg;
        else return 2;
    }
    if (optind + 1 != argc || !!books + !!frames + list != 1) {
        fprintf(stderr, "usage: xorj replay --protocol P --books OUT.json FILE.jsonl [--seed MARKET=FILE]\n"
                        "       xorj replay [--protocol P] --books OUT.json | --frames OUT.jsonl | --list  JOURNAL.xj | DIRECTORY\n");
        return 2;
    }
    if (list) return replay_list(argv[optind]);
    if (frames) return replay_frames(protocol, argv[optind], frames);
    return replay_books(protocol, argv[optind], books, seeds, seeds_n);
}

int cmd_openapi(int argc, char **argv)
{
    static cfg_t c;
    const char *path;
    buf_t out;
    int rc = only_config(argc, argv, &path);
    if (!rc) rc = cmd_config(path, &c);
    if (rc) return rc;
    buf_init(&out, 8 << 20);
    rc = openapi_write(&c, &out) && fwrite(out.p, 1, out.n, stdout) == out.n && putchar('\n') != EOF ? 0 : 1;
    buf_fini(&out);
    return rc;
}

int cmd_version(int argc, char **argv)
{
    const char *path;
    int rc = only_config(argc, argv, &path);
    if (!rc) printf("xorj %s commit %s\n", XORJ_VERSION, XORJ_COMMIT);
    return rc;
}
