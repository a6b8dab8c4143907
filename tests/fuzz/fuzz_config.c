/* libFuzzer: config.ini text, and the same bytes as a DATABASE_URL. A refusal always says why.
 * Build: clang -fsanitize=fuzzer,address,undefined -I. this reactor/config*.c reactor/log.c base/buf.c base/err.c -linih */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/err.h"
#include "reactor/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static xerr_t load_text(cfg_t *c, const void *text, size_t n, buf_t *errors)
{
    char path[64], *no_env[] = {NULL};
    int fd = memfd_create("config", MFD_CLOEXEC);
    XASSERT(fd >= 0 && write(fd, text, n) == (ssize_t)n);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    xerr_t err = cfg_load(c, path, no_env, errors);
    close(fd);
    return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const char name[] = "DATABASE_URL=postgresql://";
    static cfg_t c;
    buf_t errors, out;
    buf_init(&errors, 1 << 20);
    buf_init(&out, 1 << 16);
    XASSERT((load_text(&c, data, n, &errors) == XE_OK) == (errors.n == 0));
    if (!errors.n) cfg_print(&c, &out);
    XASSERT(!out.failed);

    char *url = malloc(sizeof name + n);
    XASSERT(url);
    memcpy(url, name, sizeof name - 1);
    memcpy(url + sizeof name - 1, data, n);
    url[sizeof name - 1 + n] = '\0';
    char *envp[] = {url, NULL};
    buf_reset(&errors);
    XASSERT((cfg_load(&c, NULL, envp, &errors) == XE_OK) == (errors.n == 0));
    free(url);
    buf_fini(&errors);
    buf_fini(&out);
    return 0;
}
