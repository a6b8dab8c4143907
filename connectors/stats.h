/* Figures of one feed, kept once and shown twice: as Prometheus series and as feed_health_t. */
#ifndef XORJ_CONNECTORS_STATS_H
#define XORJ_CONNECTORS_STATS_H

#include "connectors/feeds.h"
#include "connectors/venue.h"

typedef struct {
    feed_health_t h;
    double offset_ms; /* smoothed */
    bool offset_known;
    ctr_t *messages, *bytes, *gaps, *resyncs, *reconnects, *garbled, *unknown, *refused, *overflow, *errors, *old, *levels;
    gauge_t *up, *age, *offset, *queue;
    hist_t *parse;    /* one slice of work */
} feed_stats_t;

void feed_stats_init(feed_stats_t *s, metrics_t *m, venue_t venue);
void feed_stats_parsed(feed_stats_t *s, const vp_stats_t *now, vp_stats_t *last); /* adds what came since last */
void feed_stats_clock(feed_stats_t *s, int64_t venue_us, int64_t our_us);
void feed_stats_age(feed_stats_t *s, int64_t now_ns);

#endif
