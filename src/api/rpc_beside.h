/* rpc_beside: what the RPC's port serves beside /api/v0: the web UI, the version, the log, metrics.
 * Reference: ipfs/kubo core/corehttp. */
#ifndef API_RPC_BESIDE_H
#define API_RPC_BESIDE_H
#include "api/api.h"

MUST_CHECK err_t rpc_reply_beside(task_t *t, api_t *api, exchange_t *x);
#endif
