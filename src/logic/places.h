/* places: how many connections come from one place, and how fast new ones may. Whoever shares much of an
 * address is taken for one: an IPv4 address or an IPv6 /64 is a place, and so is the network around it (IPv4
 * /24, IPv6 /48), which may have WIDE times as much. New connections pass by a token bucket. Loopback is
 * exempt.
 *
 * What is remembered of a place goes when it has no connection and its bucket is full again; the table has a
 * maximum, beyond which the places without connections are forgotten earlier. Time is a parameter, monotonic
 * milliseconds. No memory besides the table. */
#ifndef LOGIC_PLACES_H
#define LOGIC_PLACES_H
#include "base/map.h"
#include "base/net_addr.h"

enum { PLACES_WIDE = 8 };

typedef struct places_config {
    size_t max_open, max_pending; /* connections of a place: that stand, that are being set up */
    double new_per_s;             /* 0: as many as come */
    size_t new_at_once;
    size_t max_places;
} places_config_t;
typedef struct places {
    places_config_t config;
    map_t table; /* family, bits, prefix -> place_t */
} places_t;

void places_init(places_t *p, const places_config_t *config);
void places_deinit(places_t *p); /* idempotent */
/* A connection from there is to be set up: it counts as pending from now on. ERR_LIMIT says why not. */
MUST_CHECK err_t places_begin(places_t *p, const net_addr_t *from, uint64_t now_ms);
void places_opened(places_t *p, const net_addr_t *from); /* a pending one stands now */
void places_ended(places_t *p, const net_addr_t *from, bool was_open);
/* Has this place used up half of what it may at once? Then others may be speaking in its name: whoever comes
 * from there should prove first that it is there. */
bool places_is_busy(places_t *p, const net_addr_t *from, uint64_t now_ms);
size_t places_count(const places_t *p);
#endif
