#include "node/discover.h"
#include <stdlib.h>

enum { CLOSEST = 20, DISCOVERED_MAX = 100 };

err_t discover_relays(task_t *t, void *routing, relay_found_fn found, void *found_arg)
{
    routed_peer_t *peers = xcalloc(CLOSEST, sizeof *peers);
    size_t n = 0;
    err_t e = routing_closest_peers(t, routing, peer_id_bytes(routing_self(routing)), peers, CLOSEST, &n);
    for (size_t i = 0; i < n && found(found_arg, &peers[i].id, peers[i].addrs, peers[i].n_addrs);)
        i++;
    free(peers);
    return e;
}

/* The CID that stands for a topic: of "floodsub:TOPIC", whatever protocol its peers speak. */
static err_t cid_of_topic(bytes_t topic, cid_t *ret)
{
    AUTO(buf_t) name;
    buf_init(&name, SIZE_MAX);
    TRY(buf_append(&name, BYTES_LIT("floodsub:")));
    TRY(buf_append(&name, topic));
    return cid_of(1, CODEC_RAW, MH_SHA2_256, buf_bytes(&name), ret);
}

err_t discover_advertise(task_t *t, void *routing, bytes_t topic)
{
    cid_t cid;
    TRY(cid_of_topic(topic, &cid));
    return routing_provide(t, routing, &cid);
}

typedef struct giving {
    pubsub_found_fn found;
    void *arg;
} giving_t;

static bool give(void *arg, const routed_peer_t *p)
{
    const giving_t *g = arg;
    return g->found(g->arg, &p->id, p->addrs, p->n_addrs);
}

err_t discover_peers(task_t *t, void *routing, bytes_t topic, pubsub_found_fn found, void *found_arg)
{
    cid_t cid;
    giving_t g = {found, found_arg};
    TRY(cid_of_topic(topic, &cid));
    return routing_find_providers(t, routing, &cid, DISCOVERED_MAX, give, NULL, &g);
}
