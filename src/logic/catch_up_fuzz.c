/* Any order of peers that come and go, sessions that end well, badly, twice or never: never more sessions
 * than allowed, none with a peer that is away or busy, and CURRENT only after as many different peers as it
 * takes. Each four bytes are an event. */
#include "logic/catch_up.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PEERS = 12, KNOWN = 6 };

static peer_id_t peer_of(uint8_t n)
{
    return (peer_id_t){.len = 34, .data = {0x12, 0x20, n % PEERS}};
}

typedef struct model {
    bool is_up[PEERS], is_busy[PEERS], is_counted[PEERS], is_met[PEERS];
    size_t n_busy;
} model_t;

static size_t count(const bool *who)
{
    size_t n = 0;
    for (size_t i = 0; i < PEERS; i++)
        n += who[i];
    return n;
}

static void begin(catch_up_t *u, model_t *m, const catch_up_config_t *c, uint64_t now)
{
    peer_id_t got;
    if (!catch_up_next(u, now, &got))
        return;
    size_t i = got.data[2];
    if (!m->is_up[i] || m->is_busy[i] || ++m->n_busy > c->max_sessions)
        abort();
    m->is_busy[i] = true;
    if (catch_up_deadline_ms(u) != UINT64_MAX && m->n_busy == c->max_sessions)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 4)
        return 0;
    catch_up_config_t c;
    catch_up_config_default(&c);
    c.max_peers = KNOWN;
    c.max_sessions = 1 + data[0] % 3;
    model_t m = {0};
    uint64_t now = 1000;
    size_t members = data[1] % 5;
    catch_up_t *u = catch_up_new(&c, data[2] & 1 ? 30 * c.horizon_ms : 0, members, now);
    uint32_t needed = catch_up_left(u);
    if (needed > c.quorum || catch_up_is_current(u) != !needed)
        abort();
    for (size_t i = 4; i + 4 <= size; i += 4) {
        const uint8_t *in = data + i;
        peer_id_t peer = peer_of(in[1]);
        size_t k = peer.data[2];
        bool was_current = catch_up_is_current(u);
        switch (in[0] % 5) {
        case 0:
            catch_up_peer(u, &peer, in[2] & 1, now);
            m.is_up[k] = in[2] & 1;
            break;
        case 1:
            begin(u, &m, &c, now);
            break;
        case 2:
            catch_up_done(u, &peer, in[2] % 3, now);
            m.is_counted[k] = m.is_counted[k] || (m.is_busy[k] && in[2] % 3 == CATCH_UP_WITH_CURRENT);
            m.is_met[k] = m.is_met[k] || (m.is_busy[k] && in[2] % 3 != CATCH_UP_FAILED);
            m.n_busy -= m.is_busy[k];
            m.is_busy[k] = false;
            break;
        case 3:
            if (in[2] & 1) {
                catch_up_was_away(u, in[2] & 2 ? 30 * c.horizon_ms : c.horizon_ms, now);
                if (in[2] & 2) {
                    memset(m.is_counted, 0, sizeof m.is_counted);
                    memset(m.is_met, 0, sizeof m.is_met);
                }
                was_current = was_current && !(in[2] & 2);
                needed = in[2] & 2 ? catch_up_left(u) : needed;
            }
            break;
        default:
            now += (uint64_t)in[2] << (in[3] % 20);
        }
        if (!was_current && catch_up_is_current(u) && count(m.is_counted) < needed &&
            (!members || count(m.is_met) <= members / 2))
            abort();
    }
    catch_up_free(u);
    return 0;
}
