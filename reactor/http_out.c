#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "reactor/http_internal.h"

#define POOL_KEEP 256
#define IOV_MAX_HERE 16

static chunk_t *chunk_get(chunk_pool_t *pool, size_t n)
{
    if (n <= CHUNK && pool->idle) {
        chunk_t *c = pool->idle;
        pool->idle = c->next;
        pool->n--;
        c->next = NULL;
        c->at = c->n = 0;
        return c;
    }
    size_t cap = n <= CHUNK ? CHUNK : n;
    if (cap > UINT32_MAX) return NULL;
    chunk_t *c = malloc(sizeof *c + cap);
    if (!c) return NULL;
    *c = (chunk_t){.cap = (uint32_t)cap};
    return c;
}

static void chunk_put(chunk_pool_t *pool, chunk_t *c)
{
#ifndef XORJ_ASAN
    if (c->cap == CHUNK && pool->n < POOL_KEEP) {
        c->next = pool->idle;
        pool->idle = c;
        pool->n++;
        return;
    }
#endif
    free(c);
}

char *outq_room(outq_t *q, chunk_pool_t *pool, size_t n)
{
    chunk_t *t = q->tail;
    if (t && t->cap - t->n >= n) return t->data + t->n;
    chunk_t *c = chunk_get(pool, n);
    if (!c) return NULL;
    if (t)
        t->next = c;
    else
        q->head = c;
    q->tail = c;
    return c->data;
}

void outq_commit(outq_t *q, size_t n)
{
    q->tail->n += (uint32_t)n;
    q->bytes += n;
}

bool outq_add(outq_t *q, chunk_pool_t *pool, const void *p, size_t n)
{
    char *w = outq_room(q, pool, n);
    if (!w) return false;
    memcpy(w, p, n);
    outq_commit(q, n);
    return true;
}

void outq_splice(outq_t *to, outq_t *from)
{
    if (!from->head) return;
    if (to->tail)
        to->tail->next = from->head;
    else
        to->head = from->head;
    to->tail = from->tail;
    to->bytes += from->bytes;
    *from = (outq_t){0};
}

void outq_clear(outq_t *q, chunk_pool_t *pool)
{
    while (q->head) {
        chunk_t *c = q->head;
        q->head = c->next;
        chunk_put(pool, c);
    }
    *q = (outq_t){0};
}

static void consume(outq_t *q, chunk_pool_t *pool, size_t n)
{
    q->bytes -= n;
    while (q->head) {
        chunk_t *c = q->head;
        size_t left = c->n - c->at;
        if (n < left) {
            c->at += (uint32_t)n;
            return;
        }
        n -= left;
        q->head = c->next;
        if (!q->head) q->tail = NULL;
        chunk_put(pool, c);
    }
}

static ssize_t write_some(const outq_t *q, int fd)
{
    struct iovec iov[IOV_MAX_HERE];
    size_t n = 0;
    for (chunk_t *c = q->head; c && n < IOV_MAX_HERE; c = c->next)
        iov[n++] = (struct iovec){c->data + c->at, c->n - c->at};
    if (n == 1) return send(fd, iov[0].iov_base, iov[0].iov_len, MSG_NOSIGNAL);
    struct msghdr msg = {.msg_iov = iov, .msg_iovlen = n};
    return sendmsg(fd, &msg, MSG_NOSIGNAL);
}

xerr_t outq_write(outq_t *q, chunk_pool_t *pool, int fd, size_t *wrote)
{
    *wrote = 0;
    while (q->bytes) {
        ssize_t n = write_some(q, fd);
        if (n < 0) {
            if (errno == EINTR) continue;
            return errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS || errno == ENOMEM ? XE_AGAIN
                                                                                                  : XE_CLOSED;
        }
        *wrote += (size_t)n;
        consume(q, pool, (size_t)n);
    }
    outq_clear(q, pool); /* an empty chunk may be left */
    return XE_OK;
}

void chunk_pool_fini(chunk_pool_t *pool)
{
    while (pool->idle) {
        chunk_t *c = pool->idle;
        pool->idle = c->next;
        free(c);
    }
    pool->n = 0;
}
