#include "reactor/journal.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "reactor/jblock.h"
#include "reactor/jfile.h"
#include "reactor/log.h"

#define BLOCK_BYTES 262144u
#define SPARE_MAX 8
#define LOST_EVERY_MS 60000

typedef struct block block_t;
struct block {
    block_t *next;
    size_t n, cap;
    char *big;         /* text of the last record, behind the others; NULL: none */
    size_t big_n;
    uint32_t records;
    int64_t first_us, last_us;
    char *p;
};

struct jchan {
    journal_t *j;
    const char *venue, *protocol;
    uint16_t id;
    uint64_t conn;     /* 0: none yet */
    uint64_t known_in; /* number of the block that has explained it */
    uint64_t lost;     /* frames dropped and not told yet */
};

typedef struct { uint64_t blocks, bytes, dropped, errors; } told_t; /* by the thread; guarded by lock */

struct journal {
    loop_t *loop;
    ltimer_t *timer;
    unsigned flush_ms;
    size_t queue_max;
    block_t *cur;          /* being filled; NULL: none */
    uint64_t serial;       /* of cur */
    unsigned chans_n;
    jchan_t chans[JOURNAL_CHANNELS_MAX];
    told_t shown;
    bool torn_told;
    int64_t lost_told_ns;
    ctr_t *frames, *raw_bytes, *dropped, *blocks, *bytes, *errors;
    gauge_t *queued, *dir_bytes;

    pthread_t thread;
    pthread_mutex_t lock;  /* guards everything below */
    pthread_cond_t wake;
    block_t *head, **tail, *spare;
    unsigned spare_n;
    size_t queue_bytes;    /* in the queue and in the thread's hands */
    bool stop, done;
    told_t told;
    xerr_t last_err;
    jf_state_t dir;
    jfile_t *file;         /* the thread's own */
};

/* ---- the thread ---- */

static void block_free(block_t *b)
{
    free(b->big);
    free(b->p);
    free(b);
}

static xerr_t write_block(jfile_t *f, const block_t *b, buf_t *packed)
{
    jb_head_t h = {.records = b->records, .first_us = b->first_us, .last_us = b->last_us};
    xerr_t err = jf_next(f, b->first_us, (b->n + b->big_n) / 4, &h.number);
    if (!err) err = jb_pack(&h, span_make(b->p, b->n), span_make(b->big, b->big_n), packed);
    if (!err) err = jf_append(f, buf_span(packed));
    if (err) jf_lost(f);
    return err;
}

/* With the lock held. */
static void account(journal_t *j, block_t *b, xerr_t err, size_t written)
{
    j->queue_bytes -= b->cap + b->big_n;
    j->told.blocks += !err;
    j->told.bytes += err ? 0 : written;
    j->told.errors += err != XE_OK;
    j->told.dropped += err ? b->records : 0;
    if (err) j->last_err = err;
    j->dir = *jf_state(j->file);
    if (j->spare_n < SPARE_MAX && !b->big) {
        b->next = j->spare;
        j->spare = b;
        j->spare_n++;
    } else {
        block_free(b);
    }
}

static void *run(void *ctx)
{
    journal_t *j = ctx;
    buf_t packed;
    buf_init(&packed, JB_RAW_MAX);
    jf_mend(j->file);
    pthread_mutex_lock(&j->lock);
    j->dir = *jf_state(j->file);
    for (;;) {
        while (!j->head && !j->stop) pthread_cond_wait(&j->wake, &j->lock);
        block_t *b = j->head;
        if (!b) break;
        j->head = b->next;
        if (!j->head) j->tail = &j->head;
        pthread_mutex_unlock(&j->lock);
        xerr_t err = write_block(j->file, b, &packed);
        size_t written = packed.n;
        if (packed.cap > 4 * BLOCK_BYTES) buf_fini(&packed);
        pthread_mutex_lock(&j->lock);
        account(j, b, err, written);
    }
    pthread_mutex_unlock(&j->lock);
    buf_fini(&packed);
    jf_close(j->file);
    pthread_mutex_lock(&j->lock);
    j->done = true;
    pthread_mutex_unlock(&j->lock);
    return NULL;
}

/* ---- the loop's side ---- */

static void say(journal_t *j, const told_t *now, xerr_t err, const jf_state_t *dir)
{
    int64_t at = mono_ns();
    if (dir->torn_bytes && !j->torn_told) {
        j->torn_told = true;
        log_warn("journal", dir->torn_name, "a crash had torn the end, cut after the last whole block bytes=%" PRIu64, dir->torn_bytes);
    }
    if (now->errors == j->shown.errors || (j->lost_told_ns && at - j->lost_told_ns < LOST_EVERY_MS * 1000000LL)) return;
    j->lost_told_ns = at;
    log_error("journal", "-", "blocks could not be written why=%s blocks=%" PRIu64, err == XE_FULL ? "no room on the disk" : xerr_name(err),
              now->errors - j->shown.errors);
}

/* Figures of the thread into the registry, which belongs to the loop. */
static void show(journal_t *j)
{
    pthread_mutex_lock(&j->lock);
    told_t now = j->told;
    xerr_t err = j->last_err;
    jf_state_t dir = j->dir;
    size_t queued = j->queue_bytes;
    pthread_mutex_unlock(&j->lock);
    say(j, &now, err, &dir);
    ctr_add(j->blocks, now.blocks - j->shown.blocks);
    ctr_add(j->bytes, now.bytes - j->shown.bytes);
    ctr_add(j->errors, now.errors - j->shown.errors);
    ctr_add(j->dropped, now.dropped - j->shown.dropped);
    gauge_set(j->queued, (double)queued);
    gauge_set(j->dir_bytes, (double)dir.bytes);
    j->shown = now;
}

static void hand_over(journal_t *j)
{
    block_t *b = j->cur;
    if (!b) return;
    j->cur = NULL;
    pthread_mutex_lock(&j->lock);
    b->next = NULL;
    *j->tail = b;
    j->tail = &b->next;
    pthread_cond_signal(&j->wake);
    pthread_mutex_unlock(&j->lock);
}

static void on_timer(void *ctx)
{
    journal_t *j = ctx;
    hand_over(j);
    show(j);
    ltimer_arm(j->timer, j->flush_ms);
}

/* Room in the queue for a block and n bytes that come along; NULL: none, or no memory. */
static block_t *new_block(journal_t *j, size_t n)
{
    block_t *b = NULL;
    pthread_mutex_lock(&j->lock);
    bool room = j->queue_bytes + BLOCK_BYTES + n <= j->queue_max;
    if (room && j->spare) {
        b = j->spare;
        j->spare = b->next;
        j->spare_n--;
    }
    if (room) j->queue_bytes += BLOCK_BYTES + n;
    pthread_mutex_unlock(&j->lock);
    if (!room) return NULL;
    char *p = b ? b->p : malloc(BLOCK_BYTES);
    if (!b) b = malloc(sizeof *b);
    XASSERT(b != NULL && p != NULL);
    *b = (block_t){.cap = BLOCK_BYTES, .p = p};
    return b;
}

static void put(journal_t *j, const jr_t *r, bool with_text)
{
    block_t *b = j->cur;
    jr_put_head((uint8_t *)b->p + b->n, r);
    b->n += JR_HEAD;
    if (with_text && r->text.n) {
        memcpy(b->p + b->n, r->text.p, r->text.n);
        b->n += r->text.n;
    }
    if (b->records++ == 0) b->first_us = r->wall_us;
    b->last_us = r->wall_us;
}

static void put_small(jchan_t *c, jr_kind_t kind, const char *text, size_t n, int64_t ns, int64_t us)
{
    jr_t r = {.kind = kind, .chan = c->id, .mono_ns = ns, .wall_us = us, .text = span_make(text, n)};
    put(c->j, &r, true);
}

/* Name and number of the connection, and what is missing of it, before its next record. */
static void explain(jchan_t *c, int64_t ns, int64_t us)
{
    char text[128];
    if (c->known_in != c->j->serial) {
        int n = snprintf(text, sizeof text, "%.40s%c%.40s%c%" PRIu64, c->venue, 0, c->protocol, 0, c->conn);
        put_small(c, JR_CHANNEL, text, (size_t)n, ns, us);
        c->known_in = c->j->serial;
    }
    if (c->lost) {
        int n = snprintf(text, sizeof text, "%" PRIu64, c->lost);
        put_small(c, JR_LOST, text, (size_t)n, ns, us);
        c->lost = 0;
    }
}

#define EXPLAIN_MAX 512 /* bytes of the two records above */

/* A block with room for n more bytes behind the explanations; false: there is none. */
static bool ready(journal_t *j, size_t n, size_t big)
{
    if (j->cur && (big || j->cur->cap - j->cur->n < n + EXPLAIN_MAX)) hand_over(j);
    if (j->cur) return true;
    j->cur = new_block(j, big);
    if (j->cur) j->serial++;
    return j->cur != NULL;
}

static bool drop(jchan_t *c)
{
    c->lost++;
    ctr_inc(c->j->dropped);
    return false;
}

static bool keep(jchan_t *c, jr_kind_t kind, span_t text, int64_t ns, int64_t us)
{
    journal_t *j = c->j;
    if (text.n > JB_TEXT_MAX || !ready(j, JR_HEAD + text.n, 0)) return drop(c);
    explain(c, ns, us);
    put_small(c, kind, text.p, text.n, ns, us);
    ctr_add(j->raw_bytes, text.n);
    return true;
}

/* A block of its own, whose last text is not copied. */
static void keep_big(jchan_t *c, jr_kind_t kind, char *text, size_t n, int64_t ns, int64_t us)
{
    journal_t *j = c->j;
    jr_t r = {.kind = kind, .chan = c->id, .mono_ns = ns, .wall_us = us, .text = span_make(text, n)};
    if (n > JB_TEXT_MAX || !ready(j, JR_HEAD, n)) {
        drop(c);
        free(text);
        return;
    }
    explain(c, ns, us);
    put(j, &r, false);
    j->cur->big = text;
    j->cur->big_n = n;
    ctr_add(j->raw_bytes, n);
    hand_over(j);
}

static void keep_copy(jchan_t *c, jr_kind_t kind, span_t text, int64_t ns, int64_t us)
{
    if (text.n < JOURNAL_GIVE_MIN) {
        (void)keep(c, kind, text, ns, us);
        return;
    }
    char *copy = malloc(text.n);
    XASSERT(copy != NULL);
    memcpy(copy, text.p, text.n);
    keep_big(c, kind, copy, text.n, ns, us);
}

/* ---- channels ---- */

jchan_t *journal_chan(journal_t *j, const char *venue, const char *protocol)
{
    if (!j || j->chans_n == JOURNAL_CHANNELS_MAX) return NULL;
    jchan_t *c = &j->chans[j->chans_n];
    *c = (jchan_t){.j = j, .venue = venue, .protocol = protocol, .id = (uint16_t)j->chans_n};
    j->chans_n++;
    return c;
}

void jchan_open(jchan_t *c)
{
    if (!c) return;
    int64_t us = wall_us();
    /* The moment names the connection; it grows, also when the clock went back. */
    c->conn = (uint64_t)us > c->conn ? (uint64_t)us : c->conn + 1;
    c->known_in = 0;
    (void)keep(c, JR_OPEN, span_make("", 0), mono_ns(), us);
}

void jchan_frame(jchan_t *c, span_t text, int64_t recv_ns, int64_t recv_wall_us)
{
    if (!c) return;
    ctr_inc(c->j->frames);
    keep_copy(c, JR_FRAME, text, recv_ns, recv_wall_us);
}

void jchan_give(jchan_t *c, char *text, size_t n, int64_t recv_ns, int64_t recv_wall_us)
{
    if (c && n >= JOURNAL_GIVE_MIN) {
        ctr_inc(c->j->frames);
        keep_big(c, JR_FRAME, text, n, recv_ns, recv_wall_us);
        return;
    }
    jchan_frame(c, span_make(text, n), recv_ns, recv_wall_us);
    free(text);
}

void jchan_sent(jchan_t *c, span_t text)
{
    if (c) keep_copy(c, JR_SENT, text, mono_ns(), wall_us());
}

void jchan_close(jchan_t *c, const char *why)
{
    if (c) (void)keep(c, JR_CLOSE, span_of(why), mono_ns(), wall_us());
}

/* ---- life ---- */

static void make_metrics(journal_t *j, metrics_t *m)
{
    j->frames = metrics_ctr(m, "xorj_journal_frames_total", NULL, "Inbound frames handed to the journal.");
    j->raw_bytes = metrics_ctr(m, "xorj_journal_raw_bytes_total", NULL, "Their bytes, before compression.");
    j->dropped = metrics_ctr(m, "xorj_journal_dropped_total", NULL, "Records not kept: queue full, or the disk refused their block.");
    j->blocks = metrics_ctr(m, "xorj_journal_blocks_total", NULL, "Blocks written.");
    j->bytes = metrics_ctr(m, "xorj_journal_bytes_total", NULL, "Bytes written.");
    j->errors = metrics_ctr(m, "xorj_journal_errors_total", NULL, "Blocks the disk refused.");
    j->queued = metrics_gauge(m, "xorj_journal_queue_bytes", NULL, "Memory of blocks that wait to be written.");
    j->dir_bytes = metrics_gauge(m, "xorj_journal_directory_bytes", NULL, "Size of all journals on disk.");
}

/* Signals belong to the loop's thread. */
static bool start_thread(journal_t *j)
{
    sigset_t all, old;
    pthread_condattr_t attr;
    sigfillset(&all);
    XASSERT(pthread_mutex_init(&j->lock, NULL) == 0 && pthread_condattr_init(&attr) == 0);
    XASSERT(pthread_cond_init(&j->wake, &attr) == 0);
    pthread_condattr_destroy(&attr);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int rc = pthread_create(&j->thread, NULL, run, j);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return rc == 0;
}

journal_t *journal_open(loop_t *l, metrics_t *m, const journal_conf_t *c, const char **why)
{
    journal_t *j = calloc(1, sizeof *j);
    XASSERT(j != NULL);
    xerr_t err = jf_open(c->dir, c->bytes_max, &j->file);
    if (err) {
        *why = err == XE_CONFLICT ? "another process records into this directory" : "the directory cannot be made or written";
        free(j);
        return NULL;
    }
    j->loop = l;
    j->flush_ms = c->flush_ms;
    j->queue_max = c->queue_bytes;
    j->tail = &j->head;
    j->dir = *jf_state(j->file);
    make_metrics(j, m);
    j->timer = ltimer_new(l, on_timer, j);
    XASSERT(start_thread(j));
    show(j);
    ltimer_arm(j->timer, j->flush_ms);
    return j;
}

void journal_flush(journal_t *j)
{
    if (j) hand_over(j);
}

bool journal_idle(const journal_t *j)
{
    if (!j) return true;
    journal_t *open = (journal_t *)(uintptr_t)j; /* the lock is no part of what is being asked */
    pthread_mutex_lock(&open->lock);
    bool idle = j->queue_bytes == 0;
    pthread_mutex_unlock(&open->lock);
    return idle && !j->cur;
}

static bool join(journal_t *j, unsigned wait_ms)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += wait_ms / 1000;
    until.tv_nsec += (long)(wait_ms % 1000) * 1000000L;
    if (until.tv_nsec >= 1000000000L) until.tv_sec++, until.tv_nsec -= 1000000000L;
    return pthread_timedjoin_np(j->thread, NULL, &until) == 0;
}

xerr_t journal_close(journal_t *j, unsigned wait_ms)
{
    if (!j) return XE_OK;
    hand_over(j);
    ltimer_free(j->timer);
    pthread_mutex_lock(&j->lock);
    j->stop = true;
    pthread_cond_signal(&j->wake);
    pthread_mutex_unlock(&j->lock);
    if (!join(j, wait_ms)) {
        /* The disk hangs: memory and thread stay until the process ends, which is near. */
        log_error("journal", "-", "the disk did not take the last blocks in time");
        pthread_detach(j->thread);
        return XE_TIMEOUT;
    }
    show(j);
    for (block_t *b = j->spare, *next; b; b = next) {
        next = b->next;
        block_free(b);
    }
    pthread_cond_destroy(&j->wake);
    pthread_mutex_destroy(&j->lock);
    free(j);
    return XE_OK;
}
