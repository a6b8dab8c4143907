/* Shared by the files of the HTTP server and by the websocket hub; nothing outside reactor/ includes it.
 *
 * http_listen.c accepts, counts addresses, opens and drains. http_conn.c moves bytes: it reads into one scratch buffer
 * for all connections, cuts requests out of it in place, writes at the end of the turn, and keeps the deadlines.
 * http_req.c is the request a handler sees. http_reply.c builds answers. http_out.c holds what is not written yet,
 * http_deadline.c what is due when.
 *
 * Who frees what: a connection dies by conn_die, its memory goes through loop_defer. A request lives until it was
 * answered and the last hold is gone; its connection may be gone by then (r->conn == NULL). */
#ifndef XORJ_REACTOR_HTTP_INTERNAL_H
#define XORJ_REACTOR_HTTP_INTERNAL_H

#include "reactor/http.h"
#include "reactor/http_parse.h"
#include "reactor/loop_internal.h"

#define READ_MAX 65536         /* bytes taken from one socket in one turn */
#define SCRATCH (3 * READ_MAX) /* what was left over and what is new */
#define OUT_HIGH (256 * 1024)  /* unsent bytes of one connection that stop its reading */
#define SKIP_MAX 65536         /* body bytes read and thrown away to keep a connection */
#define BODY_SMALL 8192        /* bodies up to here are always taken; larger ones share BODY_BUDGET */
#define BODY_BUDGET (64 * 1024 * 1024)
#define LINGER_MAX (8 * 1024 * 1024)
#define TURN_REQS 32    /* requests of one connection in one turn */
#define TURN_NS 2000000 /* reading sockets in one turn; writing their answers takes longer than that */
#define TURN_EVENTS 256
#define CHUNK 4096
#define ADDR_TEXT 46
#define REQ_ID_MAX 64
#define INLINE_HEAD 1024
#define INLINE_FIELDS 24
#define TRUSTED_MAX 64
#define REFUSALS 9 /* statuses the parser answers with */

typedef struct conn conn_t;

/* ---- bytes on their way out: http_out.c --------------------------------------------------------------------------- */

typedef struct chunk {
    struct chunk *next;
    uint32_t at, n, cap;
    char data[];
} chunk_t;

typedef struct {
    chunk_t *head, *tail;
    size_t bytes;
} outq_t;

typedef struct {
    chunk_t *idle;
    unsigned n;
} chunk_pool_t;

/* Room for n contiguous bytes at the end; NULL when memory is out. Commit what was used. */
char *outq_room(outq_t *q, chunk_pool_t *pool, size_t n);
void outq_commit(outq_t *q, size_t n);
bool outq_add(outq_t *q, chunk_pool_t *pool, const void *p, size_t n);
void outq_splice(outq_t *to, outq_t *from);
void outq_clear(outq_t *q, chunk_pool_t *pool);
/* Writes what the socket takes. XE_OK all gone, XE_AGAIN socket full, XE_CLOSED broken. *wrote counts bytes. */
xerr_t outq_write(outq_t *q, chunk_pool_t *pool, int fd, size_t *wrote);
void chunk_pool_fini(chunk_pool_t *pool);

/* ---- deadlines (http_deadline.c): a list for each length of time, so the first entry is always the next due ------------------------- */

typedef struct dl_node {
    struct dl_node *prev, *next;
    int64_t due; /* 0: not in a list */
} dl_node_t;

typedef struct {
    dl_node_t ring;
    int64_t ns;
} dl_list_t;

void dl_init(dl_list_t *l, int64_t ms);
void dl_set(dl_list_t *l, dl_node_t *n, int64_t now); /* joins, or moves to the end */
void dl_clear(dl_node_t *n);
dl_node_t *dl_due(const dl_list_t *l, int64_t now); /* the first overdue entry, NULL */

typedef enum { DL_NONE, DL_HEAD, DL_BODY, DL_IDLE, DL_LINGER, DL_KINDS } dl_kind_t;
#define REQ_LISTS 8

/* ---- the pieces --------------------------------------------------------------------------------------------------- */

/* Who takes the bytes of a connection after an upgrade. */
typedef struct {
    void (*on_bytes)(void *up, char *p, size_t n);
    bool (*on_writable)(void *up); /* the connection's own output is written; true: more waits for the socket */
    void (*on_gone)(void *up);     /* the connection died; the last call */
} conn_ops_t;

typedef struct {
    uint8_t addr[16]; /* IPv4 as ::ffff:a.b.c.d */
    uint8_t bits;
} cidr_t;

typedef struct addr_count {
    struct addr_count *next;
    uint8_t addr[16];
    unsigned n;
} addr_count_t;

struct req {
    http_t *h;
    conn_t *conn; /* NULL: the client has gone */
    req_t *next;  /* pipeline, then done list, then free list */
    unsigned refs;
    bool answered, internal, dispatched, closes, oom, want_continue, id_made;
    bool no_store_off; /* a handler gave its own Cache-Control */
    uint8_t id_n;
    int status;
    http_head_t head;
    char *text; /* the bytes of the head */
    char *body;
    size_t body_n, body_max, body_share; /* share: of BODY_BUDGET */
    arena_t *arena;
    void *spill; /* list of blocks past the arena's ceiling */
    void *user;
    int64_t start_ns;
    dl_node_t deadline;
    outq_t out; /* an answer given before its turn */
    char *extra;
    size_t extra_n, extra_cap;
    char id[REQ_ID_MAX + 1];
    char peer[ADDR_TEXT], client[ADDR_TEXT];
    bool trusted;
    http_field_t fields[INLINE_FIELDS];
    char text_in[INLINE_HEAD];
};

struct conn {
    http_t *h;
    int fd;
    struct event ev_r, ev_w;
    conn_t *prev, *next;
    conn_t *dirty_next, *resume_next, *ready_next;
    dl_node_t rd, wr;
    uint8_t rd_kind;
    bool dirty, resume, reading, writing;
    bool ready;               /* in the list of those to be served */
    bool may_read, may_write; /* what the kernel said, not yet used up */
    bool hup;                 /* the peer's end stands behind what can be read */
    bool stalled;   /* unread input waits for room in the pipeline or the output */
    bool no_more;   /* no further byte of this connection is interpreted */
    bool closing;   /* half-close when the output is gone */
    bool lingering; /* half-closed, draining */
    bool dead, eof, trusted, hold;
    req_t *first, *last; /* in the order of arrival, answers leave in this order */
    unsigned n_reqs;
    req_t *cur;         /* its body is on the way */
    uint64_t body_left; /* of cur, or to be thrown away when cur is NULL */
    http_scan_t scan;
    char *in; /* bytes not yet interpreted; NULL when there are none */
    uint32_t in_n, in_cap;
    outq_t out;
    uint64_t drained;
    const conn_ops_t *ops;
    void *up;
    uint8_t addr[16];
    char peer[ADDR_TEXT];
};

struct http {
    loop_t *l;
    http_conf_t conf;
    http_limits_t lim;
    http_hooks_t hooks;
    int lfd;
    uint16_t port;
    struct event ev_accept;
    bool accepting, paused, draining, closed;
    bool fd_freed; /* a connection closed since accepting paused */
    int64_t retry_ns, warned_ns;
    int fd_ceiling;
    conn_t *conns;
    unsigned n_conns, in_flight, live_reqs;
    size_t body_bytes; /* held of BODY_BUDGET */
    addr_count_t **addrs;
    uint64_t addr_key[2];
    cidr_t trusted[TRUSTED_MAX];
    unsigned n_trusted;
    dl_list_t rd[DL_KINDS], wr, reqs[REQ_LISTS];
    unsigned n_req_lists;
    ltimer_t *tick;
    conn_t *dirty, *dirty_last, *resume;
    int64_t flush_turn;
    unsigned turn_events;
    conn_t *ready, *ready_last;
    struct event ev_more; /* goes on with them in the next turn */
    req_t *done, *free_reqs;
    unsigned n_free_reqs;
    chunk_pool_t chunks;
    arena_pool_t *arenas;
    char *scratch;
    http_head_t head;
    char date[32]; /* "Fri, 20 Nov 2026 13:00:00 GMT" */
    int64_t date_s;
    uint64_t id_seed, id_count;
    buf_t text;
    gauge_t *g_conns, *g_flight;
    ctr_t *c_errors[REFUSALS];
    ctr_t *c_paused, *c_refused, *c_accepted, *c_timeouts, *c_lost, *c_unsent;
    metrics_t *m;
};

/* Work found before this turn's flush is done by it. What comes later must not wait for the next event: the time of the
 * turn, taken when the flush began, tells the two apart. */
static inline void wake_after(loop_t *l, int64_t flush_turn)
{
    if (flush_turn == loop_now_ns(l)) loop_wake(l);
}

/* ---- http_conn.c -------------------------------------------------------------------------------------------------- */

conn_t *conn_new(http_t *h, int fd, const uint8_t addr[16], const char *peer, bool trusted);
void conn_die(conn_t *c);
void conn_dirty(conn_t *c);
void conn_finish(conn_t *c);             /* no further input; half-close when the output is gone */
void conn_want_write(conn_t *c);         /* on_writable follows; starts the write deadline */
void conn_wrote(conn_t *c);              /* progress: the write deadline starts anew */
void conn_answered(conn_t *c, req_t *r); /* r was answered: pop what may leave */
void conn_settle(conn_t *c);             /* chooses the read deadline */
void conn_ticks(http_t *h, int64_t now);
void conn_serve_more(http_t *h);
void conn_forget_ready(http_t *h); /* when all are dead */
void conn_upgraded(conn_t *c, const conn_ops_t *ops, void *up);
void conn_note_error(http_t *h, int status); /* counts an answer of the parser */
extern const int http_refusals[REFUSALS];

/* ---- http_listen.c ------------------------------------------------------------------------------------------------ */

void listen_conn_gone(http_t *h, const uint8_t addr[16], bool trusted);
bool addr_trusted(const http_t *h, const uint8_t addr[16]);
bool addr_parse(span_t text, uint8_t addr[16]);
void addr_text(const uint8_t addr[16], char out[ADDR_TEXT]);
void http_maybe_free(http_t *h);

/* ---- http_req.c --------------------------------------------------------------------------------------------------- */

/* head == NULL: a request that only carries an error of the server. NULL when memory is out. */
req_t *req_new(http_t *h, conn_t *c, const http_head_t *head, const char *text);
void req_finish(req_t *r); /* answered: the server's own hold goes at the end of the turn */
void req_release_done(http_t *h);
void req_fill_id(req_t *r);
void req_expired(req_t *r);
span_t req_field(const req_t *r, http_known_t k); /* empty when absent */

/* ---- http_reply.c ------------------------------------------------------------------------------------------------- */

/* Answers 101 with these header lines ("Name: value\r\n"...) and hands the connection over. False: cannot be done. */
bool req_upgrade(req_t *r, span_t lines, const conn_ops_t *ops, void *up);

#endif
