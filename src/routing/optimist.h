/* optimist: announcing one key without waiting for the end of the lookup. Once the size of the network is
 * known (logic/netsize), a peer that lies close enough to the key is surely one of the closest: it is told as
 * soon as it is heard of. When most of those who were told have taken the record the call returns; the others
 * are told in the background. Prior art: go-libp2p-kad-dht, optimistic provide. */
#ifndef ROUTING_OPTIMIST_H
#define ROUTING_OPTIMIST_H
#include "routing/dht.h"

/* ERR_AGAIN: the size of the network is not known yet, do it in the ordinary way. ERR_UNREACHABLE: nobody
 * took the record; what lookup_run says. */
MUST_CHECK err_t optimist_provide(task_t *t, dht_t *d, bytes_t multihash);
#endif
