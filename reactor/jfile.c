#include "reactor/jfile.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "reactor/jblock.h"
#include "reactor/loop.h"

#define PARTS_MAX 1000000
#define PART_SHARE 8     /* a file ends at this share of the directory's bound, so that the oldest can go in steps */
#define SUFFIX ".xj"
#define STEM_LEN 18      /* 20261120T17-000000 */
#define READ_CHUNK 65536
#define PATH_LEN 1024

struct jfile {
    char dir[PATH_LEN - JF_NAME_MAX - 8];
    int64_t bytes_max;
    int lock, fd;          /* fd -1: no file is open */
    char name[JF_NAME_MAX];
    int64_t hour, size;    /* of the open file; the hour stays when it has ended */
    uint64_t run, number;  /* number: of the next block */
    jf_state_t st;
};

/* ---- the directory ---- */

static bool is_name(const char *s)
{
    if (strlen(s) != STEM_LEN + sizeof SUFFIX - 1 || strcmp(s + STEM_LEN, SUFFIX) != 0) return false;
    for (int i = 0; i < STEM_LEN; i++) {
        char want = i == 8 ? 'T' : i == 11 ? '-' : '0';
        if (want == '0' ? s[i] < '0' || s[i] > '9' : s[i] != want) return false;
    }
    return true;
}

static int by_name(const void *a, const void *b) { return strcmp(((const jf_entry_t *)a)->name, ((const jf_entry_t *)b)->name); }

static bool add_entry(jf_entry_t **list, size_t *n, size_t *cap, const char *name, int64_t bytes)
{
    if (*n == JF_FILES_MAX) return true;
    if (*n == *cap) {
        size_t more = *cap ? *cap * 2 : 64;
        jf_entry_t *p = realloc(*list, more * sizeof *p);
        if (!p) return false;
        *list = p;
        *cap = more;
    }
    jf_entry_t *e = &(*list)[(*n)++];
    memcpy(e->name, name, strlen(name) + 1);
    e->bytes = bytes;
    return true;
}

xerr_t jf_list(const char *dir, jf_entry_t **out, size_t *n)
{
    size_t cap = 0;
    struct stat st;
    struct dirent *d;
    DIR *at = opendir(dir);
    *out = NULL;
    *n = 0;
    if (!at) return XE_NOT_FOUND;
    bool ok = true;
    while (ok && (d = readdir(at)) != NULL)
        if (is_name(d->d_name) && fstatat(dirfd(at), d->d_name, &st, 0) == 0 && S_ISREG(st.st_mode))
            ok = add_entry(out, n, &cap, d->d_name, st.st_size);
    closedir(at);
    if (!ok) {
        free(*out);
        *out = NULL;
        *n = 0;
        return XE_FULL;
    }
    if (*n) qsort(*out, *n, sizeof **out, by_name);
    return XE_OK;
}

static void path_of(const jfile_t *f, const char *name, char out[PATH_LEN]) { snprintf(out, PATH_LEN, "%s/%s", f->dir, name); }

/* ---- what a crash left ---- */

static bool read_exact(FILE *in, void *p, size_t n) { return fread(p, 1, n, in) == n; }

static bool block_whole(FILE *in, const jb_head_t *h, buf_t *packed)
{
    char chunk[READ_CHUNK];
    buf_reset(packed);
    for (size_t left = h->packed_n; left; left -= left < sizeof chunk ? left : sizeof chunk) {
        size_t want = left < sizeof chunk ? left : sizeof chunk;
        if (!read_exact(in, chunk, want)) return false;
        buf_add(packed, chunk, want);
    }
    return !packed->failed && jb_packed_ok(h, buf_span(packed));
}

xerr_t jf_scan(const char *path, int64_t *good, int64_t *all)
{
    uint8_t head[JB_HEAD];
    uint64_t run;
    jb_head_t h;
    buf_t packed;
    struct stat st;
    FILE *in = fopen(path, "rb");
    *good = *all = 0;
    if (!in) return XE_NOT_FOUND;
    if (fstat(fileno(in), &st) == 0) *all = st.st_size;
    buf_init(&packed, JB_RAW_MAX);
    if (read_exact(in, head, JB_FILE_HEAD) && jb_file_check(span_make((char *)head, JB_FILE_HEAD), &run) == XE_OK) {
        *good = JB_FILE_HEAD;
        while (read_exact(in, head, JB_HEAD) && jb_head_parse(head, &h) == XE_OK && block_whole(in, &h, &packed))
            *good += JB_HEAD + (int64_t)h.packed_n;
    }
    buf_fini(&packed);
    fclose(in);
    return XE_OK;
}

/* Only the newest file can have been open. A file that is not even a journal's beginning is left to whoever put it there. */
static void mend_newest(jfile_t *f, const jf_entry_t *newest)
{
    char path[PATH_LEN];
    int64_t good, all;
    path_of(f, newest->name, path);
    if (jf_scan(path, &good, &all) || good == all) return;
    bool cut = good > 0 ? truncate(path, good) == 0 : all < JB_FILE_HEAD && unlink(path) == 0;
    if (!cut) return;
    f->st.torn_bytes = (uint64_t)(all - good);
    memcpy(f->st.torn_name, newest->name, sizeof f->st.torn_name);
    f->st.bytes -= all - good;
}

void jf_mend(jfile_t *f)
{
    jf_entry_t *list;
    size_t n;
    if (jf_list(f->dir, &list, &n)) return;
    for (size_t i = 0; i < n; i++) f->st.bytes += list[i].bytes;
    if (n) mend_newest(f, &list[n - 1]);
    free(list);
}

static bool make_dir(const char *dir)
{
    char path[PATH_LEN];
    if (snprintf(path, sizeof path, "%s", dir) >= (int)sizeof path) return false;
    for (char *p = path + 1; *p; p++) {
        if (*p != '/') continue;
        *p = 0;
        if (mkdir(path, 0755) != 0 && errno != EEXIST) return false;
        *p = '/';
    }
    return mkdir(path, 0750) == 0 || errno == EEXIST;
}

xerr_t jf_open(const char *dir, int64_t bytes_max, jfile_t **out)
{
    char path[PATH_LEN];
    jfile_t *f = calloc(1, sizeof *f);
    XASSERT(f != NULL);
    f->fd = f->lock = -1;
    f->bytes_max = bytes_max;
    f->run = (uint64_t)wall_us();
    xerr_t err = strlen(dir) < sizeof f->dir && make_dir(dir) ? XE_OK : XE_DOWN;
    if (!err) {
        snprintf(f->dir, sizeof f->dir, "%s", dir);
        path_of(f, "lock", path);
        f->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
        if (f->lock < 0) err = XE_DOWN;
        else if (flock(f->lock, LOCK_EX | LOCK_NB) != 0) err = XE_CONFLICT;
    }
    if (err) {
        jf_close(f);
        return err;
    }
    *out = f;
    return XE_OK;
}

/* ---- files ---- */

static void end_file(jfile_t *f)
{
    if (f->fd < 0) return;
    (void)fdatasync(f->fd);
    close(f->fd);
    f->fd = -1;
}

static void remove_oldest(jfile_t *f, int64_t coming)
{
    jf_entry_t *list;
    size_t n;
    char path[PATH_LEN];
    if (f->st.bytes + coming <= f->bytes_max || jf_list(f->dir, &list, &n)) return;
    for (size_t i = 0; i < n && f->st.bytes + coming > f->bytes_max; i++) {
        path_of(f, list[i].name, path);
        if (f->fd >= 0 && strcmp(list[i].name, f->name) == 0) continue;
        if (unlink(path) != 0) continue;
        f->st.bytes -= list[i].bytes;
        f->st.removed++;
    }
    free(list);
}

/* Behind the newest of its hour, also when older ones were removed: the order of names is the order of time. */
static unsigned next_part(const jfile_t *f, const char *hour)
{
    jf_entry_t *list;
    size_t n;
    unsigned part = 0;
    if (jf_list(f->dir, &list, &n)) return 0;
    for (size_t i = 0; i < n; i++)
        if (strncmp(list[i].name, hour, 11) == 0) part = (unsigned)strtoul(list[i].name + 12, NULL, 10) + 1;
    free(list);
    return part;
}

static bool create_part(jfile_t *f, const char *hour)
{
    char path[PATH_LEN];
    unsigned part = next_part(f, hour);
    errno = EEXIST;
    if (part >= PARTS_MAX) return false;
    snprintf(f->name, sizeof f->name, "%.11s-%06u" SUFFIX, hour, part);
    path_of(f, f->name, path);
    f->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    return f->fd >= 0;
}

static xerr_t put_all(int fd, const char *p, size_t n)
{
    while (n) {
        ssize_t done = write(fd, p, n);
        if (done < 0 && errno == EINTR) continue;
        if (done < 0) return errno == ENOSPC || errno == EDQUOT ? XE_FULL : XE_DOWN;
        p += done;
        n -= (size_t)done;
    }
    return XE_OK;
}

static xerr_t begin_file(jfile_t *f, int64_t hour)
{
    uint8_t head[JB_FILE_HEAD];
    char text[16], path[PATH_LEN];
    time_t at = (time_t)(hour * 3600);
    struct tm tm;
    if (!gmtime_r(&at, &tm) || strftime(text, sizeof text, "%Y%m%dT%H", &tm) != 11) return XE_RANGE;
    if (!create_part(f, text)) return errno == ENOSPC || errno == EDQUOT ? XE_FULL : XE_DOWN;
    f->hour = hour;
    f->size = JB_FILE_HEAD;
    jb_file_head(head, f->run);
    xerr_t err = put_all(f->fd, (const char *)head, sizeof head);
    if (!err) {
        f->st.bytes += JB_FILE_HEAD;
        return XE_OK;
    }
    end_file(f);
    path_of(f, f->name, path);
    unlink(path);
    return err;
}

xerr_t jf_next(jfile_t *f, int64_t at_us, size_t n, uint64_t *number)
{
    int64_t hour = at_us / 3600000000LL;
    /* A wall clock that goes back stays in the file: names must not lie about order. */
    bool over = f->fd >= 0 && (hour > f->hour || (f->size > JB_FILE_HEAD && f->size + (int64_t)n > f->bytes_max / PART_SHARE));
    if (over) end_file(f);
    if (hour < f->hour) hour = f->hour;
    remove_oldest(f, (int64_t)n + JB_FILE_HEAD);
    xerr_t err = f->fd >= 0 ? XE_OK : begin_file(f, hour);
    *number = f->number;
    return err;
}

xerr_t jf_append(jfile_t *f, span_t block)
{
    xerr_t err = put_all(f->fd, block.p, block.n);
    if (!err) {
        f->size += (int64_t)block.n;
        f->st.bytes += (int64_t)block.n;
        f->number++;
        return XE_OK;
    }
    /* What cannot be taken back would hide everything after it: then the next block begins a file. */
    if (ftruncate(f->fd, f->size) != 0 || lseek(f->fd, f->size, SEEK_SET) != f->size) end_file(f);
    return err;
}

void jf_lost(jfile_t *f) { f->number++; }

const jf_state_t *jf_state(const jfile_t *f) { return &f->st; }

void jf_close(jfile_t *f)
{
    if (!f) return;
    end_file(f);
    if (f->lock >= 0) close(f->lock);
    free(f);
}
