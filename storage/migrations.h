/* The texts of storage/migrations/NNNN_name.sql, in order; the table is generated at build time. Internal to storage/. */
#ifndef XORJ_STORAGE_MIGRATIONS_H
#define XORJ_STORAGE_MIGRATIONS_H

typedef struct {
    int version;
    const char *name;
    const char *sql;
} migration_t;

extern const migration_t migrations[];
extern const unsigned migrations_n;

#endif
