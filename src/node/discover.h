/* discover: what the DHT finds for parts that know nothing of it: relays for the host, peers of a topic for
 * pubsub. */
#ifndef NODE_DISCOVER_H
#define NODE_DISCOVER_H
#include "net/nat.h"
#include "pubsub/pubsub.h"
#include "routing/routing.h"

/* The relays of a node that others cannot dial: among the peers closest to it in the DHT, where most serve as
 * relays. A relay_source_fn; arg is the routing. */
err_t discover_relays(task_t *t, void *routing, relay_found_fn found, void *found_arg);
/* Peers of a topic: who announces that it has the CID of the topic's name, as go-libp2p's discovery does it.
 * arg is the routing. */
err_t discover_advertise(task_t *t, void *routing, bytes_t topic);
err_t discover_peers(task_t *t, void *routing, bytes_t topic, pubsub_found_fn found, void *found_arg);
#endif
