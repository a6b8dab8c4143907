/* xorj: one program, many verbs. Each verb is a row; each row is a function that returns the exit code:
 * 0 done, 1 failed while running, 2 wrong usage or configuration. */
#include <stdio.h>
#include <string.h>

#include "app/cmd.h"

typedef struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
} verb_t;

static const verb_t verbs[] = {
    {"serve", cmd_serve, "run the server: xorj serve [-c config.ini]"},
    {"migrate", cmd_migrate, "bring the database's tables in step: xorj migrate [-c FILE] [--dry-run | --status]"},
    {"check-config", cmd_check_config, "check and print the effective configuration, secrets masked: xorj check-config [-c FILE]"},
    {"token", cmd_token, "mint tokens: xorj token [-c FILE] --wallets N | --wallet ADDRESS | --role admin|operator|viewer [--ttl SECONDS]"},
    {"record", cmd_record, "keep what the configured feeds say in journals: xorj record [-c FILE] [--dir DIR] [--seconds N]"},
    {"replay", cmd_replay, "recorded frames into books: xorj replay [--protocol P] --books OUT.json | --frames OUT.jsonl | --list  FILE.jsonl | JOURNAL"},
    {"user", cmd_user, "accounts of operators: xorj user [-c FILE] add NAME --role ROLE [--stdin] | password NAME [--stdin] | delete NAME | list [--json]"},
    {"audit", cmd_audit, "walk the hash chain of the audit log: xorj audit verify [-c FILE] [--json]"},
    {"openapi", cmd_openapi, "print the description of the API, as /api/openapi.json serves it: xorj openapi [-c FILE]"},
    {"version", cmd_version, "print version and commit"},
};

static int usage(FILE *to)
{
    fprintf(to, "usage: xorj VERB [options]\n");
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) fprintf(to, "  %-13s %s\n", verbs[i].name, verbs[i].help);
    return to == stdout ? 0 : 2;
}

int main(int argc, char **argv)
{
    if (argc < 2) return usage(stderr);
    if (!strcmp(argv[1], "help") || !strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) return usage(stdout);
    if (!strcmp(argv[1], "--check-config")) return cmd_check_config(argc - 1, argv + 1);
    if (!strcmp(argv[1], "--version")) return cmd_version(argc - 1, argv + 1);
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (!strcmp(argv[1], verbs[i].name)) return verbs[i].run(argc - 1, argv + 1);
    fprintf(stderr, "xorj: unknown verb '%.32s'; `xorj help` lists them\n", argv[1]);
    return 2;
}
