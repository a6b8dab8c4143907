#include "engine/event.h"

const char *const venue_names[VENUE_N + 1] = {
    [VENUE_COINBASE] = "coinbase",
    [VENUE_GEMINI] = "gemini",
    [VENUE_ORCA] = "orca",
    [VENUE_BITSTAMP] = "bitstamp",
};

const char *venue_name(venue_t v)
{
    return (unsigned)v < VENUE_N ? venue_names[v] : "?";
}
