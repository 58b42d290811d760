/* Connections that come, stand and go, from few addresses of both families, at any time: the table stays
 * within its maximum, no place has more than it may, who ends gives back what it took, and in the end nothing
 * is left. */
#include "logic/places.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ADDRS = 64, CONNS = 64, PLACES = 40 };

typedef struct conn {
    uint8_t addr;
    bool is_there, is_open;
} conn_t;

static net_addr_t addr_of(uint8_t n)
{
    net_addr_t a = {.family = n & 1 ? 6 : 4, .port = 1};
    if (a.family == 4) {
        uint8_t ip[4] = {9, (uint8_t)(n >> 5 & 1), (uint8_t)(n >> 3 & 3), (uint8_t)(n >> 1 & 3)};
        memcpy(a.ip, ip, 4);
    } else {
        a.ip[0] = 0x20;
        a.ip[5] = n >> 4 & 3; /* of a /48 */
        a.ip[7] = n >> 2 & 3; /* of a /64 */
        a.ip[15] = n >> 1 & 1;
    }
    return a;
}

static bool is_same_place(uint8_t a, uint8_t b)
{
    net_addr_t x = addr_of(a), y = addr_of(b);
    return x.family == y.family && !memcmp(x.ip, y.ip, x.family == 4 ? 4 : 8);
}

static size_t count(const conn_t *conns, uint8_t addr, bool is_open)
{
    size_t n = 0;
    for (size_t i = 0; i < CONNS; i++)
        n += conns[i].is_there && conns[i].is_open == is_open && is_same_place(conns[i].addr, addr);
    return n;
}

static void end(places_t *p, conn_t *c)
{
    net_addr_t at = addr_of(c->addr);
    places_ended(p, &at, c->is_open);
    c->is_there = false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 4)
        return 0;
    conn_t conns[CONNS] = {{0}};
    places_t p;
    places_config_t config = {.max_open = 1 + data[0] % 6,
                              .max_pending = 1 + data[1] % 4,
                              .new_per_s = data[2] % 4,
                              .new_at_once = 1 + data[3] % 8,
                              .max_places = PLACES};
    uint64_t now_ms = 1000;
    places_init(&p, &config);
    for (size_t i = 4; i + 3 <= size; i += 3) {
        conn_t *c = &conns[data[i] % CONNS];
        uint8_t from = data[i + 1] % ADDRS;
        net_addr_t at = addr_of(c->is_there ? c->addr : from);
        now_ms += data[i + 2] < 250 ? data[i + 2] : 10000;
        places_is_busy(&p, &at, now_ms);
        if (!c->is_there && !places_begin(&p, &at, now_ms)) {
            *c = (conn_t){.addr = from, .is_there = true};
            assert(count(conns, from, false) <= config.max_pending);
            assert(count(conns, from, true) <= config.max_open);
        } else if (c->is_there && !c->is_open && data[i + 2] & 1) {
            places_opened(&p, &at);
            c->is_open = true;
        } else if (c->is_there) {
            end(&p, c);
        }
        assert(places_count(&p) <= PLACES);
    }
    for (size_t i = 0; i < CONNS; i++)
        if (conns[i].is_there)
            end(&p, &conns[i]);
    for (uint8_t i = 0; i < ADDRS; i++) { /* all of them may come again */
        net_addr_t at = addr_of(i);
        now_ms += 3600000;
        assert(!places_begin(&p, &at, now_ms));
        places_ended(&p, &at, false);
    }
    places_deinit(&p);
    return 0;
}
