#include "bench/lat.h"

#include <inttypes.h>
#include <stdbool.h>

static unsigned step_of(uint64_t us)
{
    if (us < LAT_SUB) return (unsigned)us;
    unsigned e = 63u - (unsigned)__builtin_clzll(us) - 6; /* us >> e is 64..127 */
    unsigned at = e * LAT_SUB + (unsigned)(us >> e);
    return at < LAT_STEPS ? at : LAT_STEPS - 1;
}

static uint64_t edge_of(unsigned step)
{
    if (step < LAT_SUB) return step;
    unsigned e = step / LAT_SUB - 1;
    return ((uint64_t)(LAT_SUB + step % LAT_SUB + 1) << e) - 1;
}

void lat_add(lat_t *l, int64_t ns)
{
    uint64_t us = ns > 0 ? ((uint64_t)ns + 500) / 1000 : 0;
    l->step[step_of(us)]++;
    l->n++;
    if (us > l->max_us) l->max_us = us;
}

void lat_add_corrected(lat_t *l, int64_t ns, int64_t interval_ns)
{
    lat_add(l, ns);
    if (interval_ns <= 0) return;
    for (ns -= interval_ns; ns >= interval_ns; ns -= interval_ns) lat_add(l, ns);
}

uint64_t lat_at(const lat_t *l, double q)
{
    uint64_t n = 0;
    for (unsigned i = 0; i < LAT_STEPS; i++) {
        n += l->step[i];
        if (!n || ((double)n <= q * (double)l->n && n < l->n)) continue;
        return edge_of(i) < l->max_us ? edge_of(i) : l->max_us;
    }
    return 0;
}

void lat_json(const lat_t *l, FILE *out)
{
    bool first = true;
    fputc('[', out);
    for (unsigned i = 0; i < LAT_STEPS; i++) {
        if (!l->step[i]) continue;
        fprintf(out, "%s[%" PRIu64 ",%" PRIu64 "]", first ? "" : ",", edge_of(i), l->step[i]);
        first = false;
    }
    fputc(']', out);
}
