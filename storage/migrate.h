/* Forward migrations, recorded in schema_migrations. Blocking libpq: for the command line and for start-up before the
 * loop runs, never on the loop. The texts of storage/migrations/NNNN_name.sql are built into the program. */
#ifndef XORJ_STORAGE_MIGRATE_H
#define XORJ_STORAGE_MIGRATE_H

#include "base/err.h"
#include "reactor/config.h"

typedef enum { MIGRATE_APPLY, MIGRATE_DRY_RUN, MIGRATE_STATUS } migrate_mode_t;
/* Prints one line per migration to stdout. Serialised by an advisory lock; each migration is one transaction. */
xerr_t migrate_run(const cfg_t *cfg, migrate_mode_t mode);
int migrate_wanted(void); /* version of the newest migration built in */
/* For `xorj token`: creates users and live sessions of n wallets in one transaction, so that tokens work at once.
 * wallet "": a session of the command line for that role, with no user and no account; its name is "cli.ROLE". */
struct session_row {
    char jti[37], wallet[48], role[12]; /* in */
    long long issued_s, expires_s;
    char user_id[37]; /* out: of the new or the existing user */
};
xerr_t sessions_mint(const cfg_t *cfg, struct session_row *rows, unsigned n);

#endif
