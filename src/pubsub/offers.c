/* Peers that a PRUNE offers: connected to, a few at a time. */
#include "base/log.h"
#include "codec/peer_record.h"
#include "pubsub/internal.h"
#include <stdlib.h>

enum { ADDRS_MAX = 16 };

typedef struct offered {
    peer_id_t id;
    multiaddr_t addrs[ADDRS_MAX]; /* of its signed record; none: what is known of it */
    size_t n;
} offered_t;
typedef struct offers {
    pubsub_t *ps;
    size_t n;
    offered_t peers[GOSSIP_PRUNE_PEERS];
} offers_t;

/* False: the record is another's, or does not hold. */
static bool read_record(bytes_t envelope, offered_t *o)
{
    peer_record_t r;
    if (!envelope.len)
        return true;
    if (peer_record_open(envelope, &r) || !peer_id_equal(&r.peer, &o->id))
        return false;
    for (size_t i = 0; o->n < ADDRS_MAX && peer_record_next_address(&r, &i, &o->addrs[o->n]);)
        o->n++;
    return true;
}

static err_t try_offers(task_t *t, void *arg)
{
    offers_t *o = arg;
    for (size_t i = 0; i < o->n && !task_check(t); i++) {
        conn_t *c;
        deadline_t d = deadline_push(t, PUBSUB_CONNECT_TIMEOUT_MS);
        if (host_connect(t, o->ps->config.host, &o->peers[i].id, o->peers[i].addrs, o->peers[i].n, &c) == OK)
            conn_release(c);
        deadline_pop(t, &d);
    }
    o->ps->n_offers--;
    free(o);
    return OK;
}

void ps_try_offers(pubsub_t *ps, const pubsub_item_t *prune)
{
    if (ps->n_offers >= PUBSUB_OFFERS_MAX)
        return;
    offers_t *o = xcalloc(1, sizeof *o);
    o->ps = ps;
    bytes_t record;
    for (size_t i = 0;
         o->n < GOSSIP_PRUNE_PEERS && pubsub_next_peer(prune, &i, &o->peers[o->n].id, &record);) {
        offered_t *at = &o->peers[o->n];
        at->n = 0;
        if (!host_is_connected(ps->config.host, &at->id) &&
            !peer_id_equal(&at->id, host_id(ps->config.host)) && read_record(record, at))
            o->n++;
    }
    ps->n_offers++;
    if (!o->n || group_spawn(&ps->group, "pubsub-offers", try_offers, o, NULL)) {
        ps->n_offers--;
        free(o);
    }
}
