/* routing_v1: the Delegated Routing V1 HTTP API on the gateway's port: light clients ask for providers, peers
 * and IPNS records, and put records. Spec: ipfs/specs src/routing/http-routing-v1.md, IPIP-0484 (filters),
 * IPIP-0513 (nothing found is an empty answer with 200); reference ipfs/boxo routing/http/server. */
#ifndef API_ROUTING_V1_H
#define API_ROUTING_V1_H
#include "api/api.h"

bool routing_v1_is_path(const char *path);
MUST_CHECK err_t routing_v1_serve(task_t *t, api_t *api, exchange_t *x);
#endif
