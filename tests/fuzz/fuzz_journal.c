/* Journals: the first byte chooses what the rest is: records inside a block that is right, a whole file, or packed bytes.
 * The reader ends, shows only known kinds, and texts that lie in the block. */
#include <stdint.h>
#include <sys/mman.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "reactor/jread.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void read_all(const char *path)
{
    jread_t *r;
    jrec_t rec;
    xerr_t err;
    uint64_t sum = 0, steps = 0;
    if (jread_open(path, &r)) return;
    while ((err = jread_next(r, &rec)) != XE_CLOSED) {
        XASSERT(++steps < 1000000 && (err == XE_OK || err == XE_GAP));
        if (err) continue;
        XASSERT(jr_name(rec.kind) && rec.kind != JR_CHANNEL && strlen(rec.venue) < 48 && strlen(rec.protocol) < 48);
        for (size_t i = 0; i < rec.text.n; i++) sum += (uint8_t)rec.text.p[i];
    }
    XASSERT(jread_stats(r)->records <= steps && (sum || !sum));
    jread_close(r);
}

static void as_file(const void *head, size_t head_n, const void *body, size_t n)
{
    char path[64];
    int fd = memfd_create("journal", 0);
    XASSERT(fd >= 0 && write(fd, head, head_n) == (ssize_t)head_n && write(fd, body, n) == (ssize_t)n);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    read_all(path);
    close(fd);
}

static void as_records(const uint8_t *p, size_t n)
{
    uint8_t head[JB_FILE_HEAD];
    jb_head_t h = {.records = 1, .number = n};
    buf_t block;
    buf_init(&block, 1 << 20);
    jb_file_head(head, 7);
    XASSERT(jb_pack(&h, span_make((const char *)p, n / 2), span_make((const char *)p + n / 2, n - n / 2), &block) == XE_OK);
    as_file(head, sizeof head, block.p, block.n);
    buf_fini(&block);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n < 1) return 0;
    if (data[0] % 3 == 0) {
        as_records(data + 1, n - 1);
    } else if (data[0] % 3 == 1) {
        as_file("", 0, data + 1, n - 1);
    } else {
        buf_t raw;
        jb_head_t h = {.packed_n = (uint32_t)(n - 1), .raw_n = 1 + 97 * (uint32_t)data[0]};
        buf_init(&raw, JB_RAW_MAX);
        if (jb_unpack(&h, span_make((const char *)data + 1, n - 1), &raw) == XE_OK) XASSERT(raw.n == h.raw_n);
        buf_fini(&raw);
    }
    return 0;
}
