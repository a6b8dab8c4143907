#include "tests/unit/pgfixture.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <grp.h>
#include <libpq-fe.h>
#include <poll.h>
#include <pthread.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/codec.h"
#include "base/crypto.h"
#include "reactor/log.h"

static _Noreturn void die(const char *what, const char *detail)
{
    fprintf(stderr, "fixture: %s %s\n", what, detail);
    exit(1);
}

static void nap(int ms)
{
    nanosleep(&(struct timespec){ms / 1000, (ms % 1000) * 1000000L}, NULL);
}

/* ---- processes ---- */

static const struct passwd *other_user(void)
{
    return geteuid() == 0 ? getpwnam("postgres") : NULL;
}

static pid_t spawn(const fx_t *f, const char *log, const char *const *argv)
{
    const struct passwd *pw = other_user();
    char path[160];
    snprintf(path, sizeof path, "%s/%s", f->dir, log);
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0)
        die("fork", strerror(errno));
    if (pid > 0)
        return pid;
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0666);
    dup2(fd, 1);
    dup2(fd, 2);
    setpgid(0, 0);
    if (pw && (setgroups(0, NULL) || setgid(pw->pw_gid) || setuid(pw->pw_uid)))
        _exit(126);
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that is killed leaves nobody behind */
    if (chdir(f->dir))
        _exit(126);
    setenv("LC_ALL", "C", 1);
    unsetenv("LD_PRELOAD");
    execvp(argv[0], (char *const *)(uintptr_t)argv);
    _exit(127);
}

static bool ended(pid_t pid, int ms)
{
    for (int i = 0; i <= ms; i += 5) {
        if (waitpid(pid, NULL, WNOHANG) != 0)
            return true;
        nap(5);
    }
    return false;
}

static const char *pg_bin(const char *name)
{
    static char path[256];
    glob_t g;
    snprintf(path, sizeof path, "%s", name);
    if (glob("/usr/lib/postgresql/*/bin", 0, NULL, &g) == 0 && g.gl_pathc > 0)
        snprintf(path, sizeof path, "%.200s/%s", g.gl_pathv[g.gl_pathc - 1], name);
    globfree(&g);
    return path;
}

static PGconn *dial(const fx_t *f)
{
    char info[256];
    snprintf(info, sizeof info, "host=%s port=5432 dbname=postgres user=xorj connect_timeout=2 options='-c statement_timeout=20000 -c client_min_messages=error'", f->dir);
    return PQconnectdb(info);
}

static bool pg_answers(const fx_t *f)
{
    PGconn *c = dial(f);
    bool ok = PQstatus(c) == CONNECTION_OK;
    PQfinish(c);
    return ok;
}

void fx_pg_start(fx_t *f)
{
    char data[96], dirs[96];
    snprintf(data, sizeof data, "%s/data", f->dir);
    snprintf(dirs, sizeof dirs, "unix_socket_directories=%s", f->dir);
    /* After a SIGKILL the old backends need a moment to notice; a start that comes too early is tried again. */
    for (int i = 0; i < 40; i++) {
        const char *argv[] = {pg_bin("postgres"), "-D", data, "-c", "listen_addresses=", "-c", dirs, "-c", "max_connections=160",
                              "-c", "shared_buffers=32MB", "-c", "log_min_messages=fatal", NULL};
        f->pg = spawn(f, "pg.log", argv);
        for (int k = 0; k < 400 && !ended(f->pg, 0); k++) {
            if (pg_answers(f))
                return;
            nap(10);
        }
        nap(100);
    }
    die("PostgreSQL does not start, see", f->dir);
}

/* The children of the postmaster have process groups of their own. */
static void family(pid_t parent, int sig)
{
    char path[64], text[4096];
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)parent, (int)parent);
    FILE *in = fopen(path, "r");
    if (!in)
        return;
    size_t n = fread(text, 1, sizeof text - 1, in);
    fclose(in);
    text[n] = '\0';
    for (char *p = text, *end; *p; p = end) {
        long pid = strtol(p, &end, 10);
        if (end == p)
            break;
        kill((pid_t)pid, sig);
    }
}

void fx_pg_kill(fx_t *f, int sig)
{
    if (sig == SIGSTOP || sig == SIGCONT) {
        kill(f->pg, sig);
        family(f->pg, sig);
        return;
    }
    family(f->pg, SIGCONT);
    if (sig == SIGKILL)
        family(f->pg, SIGKILL);
    kill(f->pg, sig);
    kill(f->pg, SIGCONT);
    if (!ended(f->pg, 10000)) {
        kill(f->pg, SIGKILL);
        ended(f->pg, 2000);
    }
    f->pg = 0;
}

static bool unix_answers(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    bool ok = connect(fd, (struct sockaddr *)&a, sizeof a) == 0;
    close(fd);
    return ok;
}

void fx_redis_start(fx_t *f)
{
    char sock[96];
    snprintf(sock, sizeof sock, "%s/redis.sock", f->dir);
    const char *argv[] = {"redis-server", "--port", "0", "--unixsocket", sock, "--unixsocketperm", "777", "--save", "",
                          "--appendonly", "no", NULL};
    f->redis = spawn(f, "redis.log", argv);
    for (int i = 0; i < 500; i++) {
        if (unix_answers(sock))
            return;
        nap(10);
    }
    die("Redis does not start, see", f->dir);
}

void fx_redis_kill(fx_t *f, int sig)
{
    kill(f->redis, sig);
    if (sig == SIGSTOP || sig == SIGCONT)
        return;
    kill(f->redis, SIGCONT);
    ended(f->redis, 5000);
    f->redis = 0;
}

/* ---- opening ---- */

static fx_t *open_fx;

static void at_exit(void)
{
    fx_t *f = open_fx;
    if (!f)
        return;
    if (f->pg) {
        family(f->pg, SIGKILL);
        kill(f->pg, SIGKILL);
    }
    if (f->redis)
        kill(f->redis, SIGKILL);
    char cmd[128];
    snprintf(cmd, sizeof cmd, "rm -rf '%s'", f->dir);
    if (system(cmd)) {
    }
}

static void load_cfg(fx_t *f, const char *const *env)
{
    char host[128], redis[128];
    char *envp[32];
    unsigned n = 0;
    buf_t errors;
    buf_init(&errors, 4096);
    snprintf(host, sizeof host, "XORJ_DATABASE_HOST=%s", f->proxy_dir[0] ? f->proxy_dir : f->dir);
    snprintf(redis, sizeof redis, "XORJ_REDIS_URL=unix://%s/redis.sock", f->dir);
    static const char *const fixed[] = {"XORJ_DATABASE_NAME=postgres", "XORJ_DATABASE_USER=xorj",
                                        "XORJ_AUTH_JWT_SECRET=tests-use-this-key-of-more-than-32-bytes"};
    envp[n++] = host;
    envp[n++] = redis;
    for (unsigned i = 0; i < 3; i++)
        envp[n++] = (char *)(uintptr_t)fixed[i];
    for (; env && *env && n < 31; env++)
        envp[n++] = (char *)(uintptr_t)*env;
    envp[n] = NULL;
    if (cfg_load(&f->cfg, NULL, envp, &errors)) {
        buf_add(&errors, "", 1);
        die("configuration:", errors.p);
    }
    buf_fini(&errors);
}

void fx_open(fx_t *f, const char *const *env)
{
    const struct passwd *pw = other_user();
    memset(f, 0, sizeof *f);
    signal(SIGPIPE, SIG_IGN);
    log_init(2, getenv("FX_LOG") ? LOG_DEBUG : LOG_ERROR);
    snprintf(f->dir, sizeof f->dir, "/tmp/xorj-fx-XXXXXX");
    if (!mkdtemp(f->dir))
        die("mkdtemp", strerror(errno));
    chmod(f->dir, 0755);
    if (pw && chown(f->dir, pw->pw_uid, pw->pw_gid))
        die("chown", strerror(errno));
    if (!open_fx)
        atexit(at_exit);
    open_fx = f;
    char data[96];
    snprintf(data, sizeof data, "%s/data", f->dir);
    const char *argv[] = {pg_bin("initdb"), "-D", data, "-A", "trust", "-U", "xorj", "--no-sync", "-E", "UTF8", "--locale=C", NULL};
    pid_t pid = spawn(f, "initdb.log", argv);
    if (!ended(pid, 60000))
        die("initdb does not end, see", f->dir);
    fx_pg_start(f);
    fx_redis_start(f);
    load_cfg(f, env);
}

xerr_t fx_migrate_mode(fx_t *f, migrate_mode_t mode)
{
    fflush(stdout);
    int keep = dup(1), null = open("/dev/null", O_WRONLY);
    dup2(null, 1);
    xerr_t err = migrate_run(&f->cfg, mode);
    fflush(stdout);
    dup2(keep, 1);
    close(keep);
    close(null);
    return err;
}

void fx_migrate(fx_t *f)
{
    xerr_t err = fx_migrate_mode(f, MIGRATE_APPLY);
    if (err)
        die("migrate:", xerr_text(err));
}

static bool ready(void *ctx)
{
    const fx_t *f = ctx;
    store_health_t h;
    store_health(f->s, &h);
    return h.pg_writable && h.pg_up && (h.redis_up || !f->cfg.redis_enabled);
}

void fx_store(fx_t *f)
{
    f->m = metrics_new();
    f->l = loop_new(f->m);
    f->s = store_open(f->l, f->m, &f->cfg);
    if (!fx_turns(f, ready, f, 5000))
        die("store", "does not become ready");
    fx_turns(f, NULL, NULL, 50);
}

void fx_store_close(fx_t *f)
{
    if (!f->s)
        return;
    store_close(f->s);
    f->s = NULL;
    fx_turns(f, NULL, NULL, 20);
    loop_free(f->l);
    metrics_free(f->m);
    f->l = NULL;
}

bool fx_turns(fx_t *f, bool (*cond)(void *ctx), void *ctx, int ms)
{
    int64_t end = mono_ns() + (int64_t)ms * 1000000;
    bool ok = cond && cond(ctx);
    while (!ok && mono_ns() < end) {
        loop_poll(f->l, 5);
        loop_end_turn(f->l);
        ok = cond && cond(ctx);
    }
    return ok;
}

static PGconn *look;
static PGconn *held[4];

void fx_close(fx_t *f)
{
    fx_store_close(f);
    fx_proxy_stop();
    for (int i = 0; i < 4; i++)
        fx_release(f, i);
    PQfinish(look);
    look = NULL;
    if (f->pg)
        fx_pg_kill(f, SIGINT);
    if (f->redis)
        fx_redis_kill(f, SIGKILL);
    at_exit();
    open_fx = NULL;
}

/* ---- blocking SQL ---- */

const char *fx_sql(fx_t *f, const char *sql)
{
    static char text[4096];
    for (int i = 0; i < 2; i++) {
        if (look && PQstatus(look) != CONNECTION_OK) {
            PQfinish(look);
            look = NULL;
        }
        if (!look)
            look = dial(f);
        PGresult *r = PQexec(look, sql);
        ExecStatusType st = PQresultStatus(r);
        if (st == PGRES_TUPLES_OK || st == PGRES_COMMAND_OK) {
            snprintf(text, sizeof text, "%s", st == PGRES_TUPLES_OK && PQntuples(r) > 0 ? PQgetvalue(r, 0, 0) : "");
            PQclear(r);
            return text;
        }
        snprintf(text, sizeof text, "ERROR %s", PQresultErrorMessage(r));
        PQclear(r);
        if (PQstatus(look) == CONNECTION_OK)
            return text;
    }
    return text;
}

long long fx_num(fx_t *f, const char *sql)
{
    const char *t = fx_sql(f, sql);
    if (!strncmp(t, "ERROR", 5))
        die(sql, t);
    return strtoll(t, NULL, 10);
}

void fx_hold(fx_t *f, int slot, const char *sql)
{
    if (!held[slot])
        held[slot] = dial(f);
    PGresult *r = PQexec(held[slot], sql);
    ExecStatusType st = PQresultStatus(r);
    if (st != PGRES_TUPLES_OK && st != PGRES_COMMAND_OK)
        die(sql, PQresultErrorMessage(r));
    PQclear(r);
}

void fx_release(fx_t *f, int slot)
{
    (void)f;
    PQfinish(held[slot]);
    held[slot] = NULL;
}

/* ---- proxy ---- */

#define PAIRS 64
static struct {
    pthread_t thread;
    int listen_fd;
    char to[96];
    volatile bool run, cut;
    volatile int cuts;
    int a[PAIRS], b[PAIRS]; /* client, server */
} px;

static void pair_close(int i)
{
    close(px.a[i]);
    close(px.b[i]);
    px.a[i] = px.b[i] = -1;
}

static int unix_socket(const char *path, bool server)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    int rc = server ? bind(fd, (struct sockaddr *)&a, sizeof a) : connect(fd, (struct sockaddr *)&a, sizeof a);
    if (rc || (server && listen(fd, 64))) {
        close(fd);
        return -1;
    }
    return fd;
}

static void proxy_accept(void)
{
    int c = accept(px.listen_fd, NULL, NULL), s = unix_socket(px.to, false), i = 0;
    while (i < PAIRS && px.a[i] >= 0)
        i++;
    if (s < 0 || i == PAIRS) {
        close(c);
        if (s >= 0)
            close(s);
        return;
    }
    px.a[i] = c;
    px.b[i] = s;
}

/* The answer to a write is the smaller kind of message that carries a row and a completed command. */
static bool is_write_answer(const char *p, ssize_t n)
{
    return n > 20 && memmem(p, (size_t)n, "SELECT ", 7) != NULL && p[0] == '2';
}

static void proxy_move(int i, bool from_server)
{
    static char buf[65536];
    int in = from_server ? px.b[i] : px.a[i], out = from_server ? px.a[i] : px.b[i];
    ssize_t n = read(in, buf, sizeof buf);
    if (n <= 0) {
        pair_close(i);
        return;
    }
    if (from_server && px.cut && is_write_answer(buf, n)) {
        px.cut = false;
        px.cuts++;
        pair_close(i);
        return;
    }
    for (ssize_t at = 0; at < n;) {
        ssize_t k = write(out, buf + at, (size_t)(n - at));
        if (k <= 0) {
            pair_close(i);
            return;
        }
        at += k;
    }
}

static void *proxy_main(void *arg)
{
    (void)arg;
    while (px.run) {
        struct pollfd p[1 + 2 * PAIRS];
        p[0] = (struct pollfd){px.listen_fd, POLLIN, 0};
        for (int i = 0; i < PAIRS; i++) {
            p[1 + 2 * i] = (struct pollfd){px.a[i], POLLIN, 0};
            p[2 + 2 * i] = (struct pollfd){px.b[i], POLLIN, 0};
        }
        if (poll(p, 1 + 2 * PAIRS, 20) <= 0)
            continue;
        for (int i = 0; i < PAIRS; i++) {
            if (px.a[i] >= 0 && p[1 + 2 * i].revents)
                proxy_move(i, false);
            if (px.a[i] >= 0 && p[2 + 2 * i].revents)
                proxy_move(i, true);
        }
        if (p[0].revents & POLLIN)
            proxy_accept();
    }
    return NULL;
}

void fx_proxy(fx_t *f)
{
    char path[128], host[256];
    snprintf(f->proxy_dir, sizeof f->proxy_dir, "%s/proxy", f->dir);
    mkdir(f->proxy_dir, 0755);
    snprintf(path, sizeof path, "%s/.s.PGSQL.5432", f->proxy_dir);
    snprintf(px.to, sizeof px.to, "%s/.s.PGSQL.5432", f->dir);
    for (int i = 0; i < PAIRS; i++)
        px.a[i] = px.b[i] = -1;
    px.listen_fd = unix_socket(path, true);
    if (px.listen_fd < 0)
        die("proxy", strerror(errno));
    px.run = true;
    px.cuts = 0;
    if (pthread_create(&px.thread, NULL, proxy_main, NULL))
        die("proxy", "thread");
    snprintf(host, sizeof host, "%s", f->proxy_dir);
    memcpy(f->cfg.database_host, host, sizeof host);
}

void fx_proxy_cut(bool on)
{
    px.cut = on;
}

int fx_proxy_cuts(void)
{
    return px.cuts;
}

void fx_proxy_stop(void)
{
    if (!px.run)
        return;
    px.run = false;
    pthread_join(px.thread, NULL);
    close(px.listen_fd);
    for (int i = 0; i < PAIRS; i++)
        if (px.a[i] >= 0)
            pair_close(i);
}

void fx_wallet(unsigned i, char out[48])
{
    uint8_t key[32];
    char text[32];
    snprintf(text, sizeof text, "wallet %u", i);
    sha256(text, strlen(text), key);
    char b58[80];
    b58_encode(key, 32, b58, sizeof b58);
    snprintf(out, 48, "%.47s", b58);
}
