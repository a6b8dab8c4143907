#include "base/err.h"

#include <stdio.h>
#include <stdlib.h>

const char *xerr_name(xerr_t err)
{
    switch (err) {
#define X(id, n, text) case id: return #id;
        XERR_LIST(X)
#undef X
    }
    return "XE_?";
}

const char *xerr_text(xerr_t err)
{
    switch (err) {
#define X(id, n, text) case id: return text;
        XERR_LIST(X)
#undef X
    }
    return "unknown error";
}

_Noreturn void xassert_fail(const char *cond, const char *file, int line)
{
    fprintf(stderr, "invariant broken: %s (%s:%d)\n", cond, file, line);
    abort();
}
