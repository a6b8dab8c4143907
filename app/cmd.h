/* The verbs of the program. argv[0] is the verb itself. Each returns the exit code: 0 done, 1 failed, 2 usage. */
#ifndef XORJ_APP_CMD_H
#define XORJ_APP_CMD_H

#include "reactor/config.h"

int cmd_serve(int argc, char **argv);
int cmd_migrate(int argc, char **argv);
int cmd_check_config(int argc, char **argv);
int cmd_token(int argc, char **argv);
int cmd_record(int argc, char **argv);
int cmd_user(int argc, char **argv);
int cmd_replay(int argc, char **argv);
int cmd_audit(int argc, char **argv);
int cmd_openapi(int argc, char **argv);
int cmd_version(int argc, char **argv);

/* `-c FILE` (may be absent) and the environment into c; prints what is wrong. 0, or the exit code. */
int cmd_config(const char *path, cfg_t *c);
int cmd_secrets(const cfg_t *c); /* the same for cfg_check_secrets */

#endif
