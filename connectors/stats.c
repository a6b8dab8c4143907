#include "connectors/stats.h"

#include <string.h>

#define VENUE_LABEL(name) "venue=\"" name "\""

static const char *const labels[VENUE_N] = {
    [VENUE_COINBASE] = VENUE_LABEL("coinbase"),
    [VENUE_GEMINI] = VENUE_LABEL("gemini"),
    [VENUE_ORCA] = VENUE_LABEL("orca"),
    [VENUE_BITSTAMP] = VENUE_LABEL("bitstamp"),
};

void feed_stats_init(feed_stats_t *s, metrics_t *m, venue_t venue)
{
    const char *l = labels[venue];
    memset(s, 0, sizeof *s);
    s->h.venue = venue_name(venue);
    s->h.state = "DOWN";
    s->up = metrics_gauge(m, "xorj_feed_up", l, "1 while the feed is LIVE.");
    s->age = metrics_gauge(m, "xorj_feed_last_message_age_seconds", l, "Time since the last message of the venue; -1 before the first.");
    s->offset = metrics_gauge(m, "xorj_feed_clock_offset_seconds", l, "The venue's clock minus ours, smoothed, transport included.");
    s->queue = metrics_gauge(m, "xorj_feed_queue", l, "Received messages that wait to be read.");
    s->messages = metrics_ctr(m, "xorj_feed_messages_total", l, "Messages read.");
    s->bytes = metrics_ctr(m, "xorj_feed_bytes_total", l, "Payload bytes received.");
    s->gaps = metrics_ctr(m, "xorj_feed_gaps_total", l, "Breaks in the venue's sequence.");
    s->resyncs = metrics_ctr(m, "xorj_feed_resyncs_total", l, "Fresh snapshots asked for.");
    s->reconnects = metrics_ctr(m, "xorj_feed_reconnects_total", l, "Connections given up or lost.");
    s->garbled = metrics_ctr(m, "xorj_feed_garbled_total", l, "Messages refused because their text was wrong.");
    s->unknown = metrics_ctr(m, "xorj_feed_unknown_total", l, "Messages and markets skipped because nobody asked for them.");
    s->refused = metrics_ctr(m, "xorj_feed_refused_levels_total", l, "Levels past the range of the decimals.");
    s->overflow = metrics_ctr(m, "xorj_feed_overflow_total", l, "Connections given up because received messages piled up.");
    s->errors = metrics_ctr(m, "xorj_feed_errors_total", l, "Refusals by the venue.");
    s->old = metrics_ctr(m, "xorj_feed_old_total", l, "Messages older than what is known already.");
    s->levels = metrics_ctr(m, "xorj_feed_levels_total", l, "Level changes handed to the engine.");
    s->parse = metrics_hist(m, "xorj_feed_parse_seconds", l, "One slice of reading messages.", NULL, 0);
    gauge_set(s->age, -1);
}

static void add(ctr_t *c, uint64_t *shown, uint64_t now, uint64_t last)
{
    ctr_add(c, now - last);
    if (shown) *shown += now - last;
}

void feed_stats_parsed(feed_stats_t *s, const vp_stats_t *now, vp_stats_t *last)
{
    add(s->messages, &s->h.messages, now->messages, last->messages);
    add(s->gaps, &s->h.gaps, now->gaps, last->gaps);
    add(s->garbled, &s->h.garbled, now->garbled, last->garbled);
    add(s->unknown, &s->h.unknown, now->unknown, last->unknown);
    add(s->refused, &s->h.refused_levels, now->refused_levels, last->refused_levels);
    add(s->errors, NULL, now->errors, last->errors);
    add(s->old, NULL, now->old + now->early, last->old + last->early);
    add(s->levels, NULL, now->levels, last->levels);
    *last = *now;
}

void feed_stats_clock(feed_stats_t *s, int64_t venue_us, int64_t our_us)
{
    double ms = (double)(venue_us - our_us) / 1000.0;
    s->offset_ms = s->offset_known ? s->offset_ms + (ms - s->offset_ms) / 8 : ms;
    s->offset_known = true;
    s->h.clock_offset_ms = (int64_t)s->offset_ms;
    gauge_set(s->offset, s->offset_ms / 1000.0);
}

void feed_stats_age(feed_stats_t *s, int64_t now_ns)
{
    if (s->h.last_message_ns) gauge_set(s->age, (double)(now_ns - s->h.last_message_ns) / 1e9);
}
