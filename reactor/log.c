#include "reactor/log.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/rfc3339.h"

/* A pipe that polls writable takes PIPE_BUF bytes without blocking, so a line never grows past it. */
#define LINE_MAX_BYTES 4096

/* One for the process: every module logs, and none carries a handle for it. */
static struct {
    int fd;
    log_level_t level;
    uint64_t dropped, told;
} sink = {STDERR_FILENO, LOG_INFO, 0, 0};

static const char *const level_names[] = {"error", "warn", "info", "debug", "trace"};

xerr_t log_level_parse(span_t text, log_level_t *out)
{
    for (unsigned i = 0; i < sizeof level_names / sizeof *level_names; i++) {
        if (!span_is(text, level_names[i])) continue;
        *out = (log_level_t)i;
        return XE_OK;
    }
    return XE_BAD_INPUT;
}

void log_init(int fd, log_level_t level)
{
    sink.fd = fd;
    sink.level = level;
}

void log_set_level(log_level_t level)
{
    sink.level = level;
}

log_level_t log_level(void)
{
    return sink.level;
}

uint64_t log_dropped(void)
{
    return sink.dropped;
}

static bool put(const char *line, size_t n)
{
    struct pollfd p = {.fd = sink.fd, .events = POLLOUT};
    if (poll(&p, 1, 0) != 1 || !(p.revents & POLLOUT)) return false;
    ssize_t done;
    do done = write(sink.fd, line, n);
    while (done < 0 && errno == EINTR);
    return done == (ssize_t)n;
}

static size_t put_head(char *line, size_t cap, log_level_t lv, const char *area, const char *subject)
{
    char at[RFC3339_US_LEN + 1];
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    rfc3339_us((int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000, at);
    int n = snprintf(line, cap, "%s %s %s %.80s ", at, level_names[lv], area, subject);
    return n < 0 ? 0 : (size_t)n;
}

/* One event is one line whatever the message holds. */
static void one_line(char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)p[i] < 0x20 || p[i] == 0x7f) p[i] = ' ';
}

static void tell_drops(void)
{
    char line[256];
    if (sink.told == sink.dropped) return;
    size_t n = put_head(line, sizeof line, LOG_WARN, "log", "-");
    int more = snprintf(line + n, sizeof line - n, "sink was full, lines lost dropped=%llu\n",
                        (unsigned long long)(sink.dropped - sink.told));
    if (more > 0 && put(line, n + (size_t)more)) sink.told = sink.dropped;
}

void log_at(log_level_t lv, const char *area, const char *subject, const char *fmt, ...)
{
    char line[LINE_MAX_BYTES];
    if (lv > sink.level) return;
    size_t n = put_head(line, sizeof line - 1, lv, area, subject);
    va_list ap;
    va_start(ap, fmt);
    int more = vsnprintf(line + n, sizeof line - 1 - n, fmt, ap);
    va_end(ap);
    if (more > 0) n += (size_t)more < sizeof line - 1 - n ? (size_t)more : sizeof line - 2 - n;
    one_line(line, n);
    line[n++] = '\n';
    tell_drops();
    if (!put(line, n)) sink.dropped++;
}

const char *log_esc(span_t s, char *buf, size_t cap)
{
    static const char digits[] = "0123456789abcdef";
    size_t at = 0, n = s.n < 64 ? s.n : 64;
    for (size_t i = 0; i < n && at + 5 <= cap; i++) {
        unsigned char ch = (unsigned char)s.p[i];
        if (ch >= 0x20 && ch < 0x7f && ch != '\\' && ch != '"') {
            buf[at++] = (char)ch;
            continue;
        }
        buf[at++] = '\\';
        buf[at++] = 'x';
        buf[at++] = digits[ch >> 4];
        buf[at++] = digits[ch & 15];
    }
    if (cap) buf[at] = '\0';
    return buf;
}
