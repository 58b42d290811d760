/* announce: what the options --fast-provide-root, --fast-provide-dag and --fast-provide-wait ask for, over
 * the Import section of the config. Reference: ipfs/kubo core/commands/cmdenv/env.go. */
#ifndef API_ANNOUNCE_H
#define API_ANNOUNCE_H
#include "api/rpc.h"

typedef struct announce {
    bool root, dag, waits;
} announce_t;
announce_t announce_options(rpc_t *r);
/* Has the root announced at once, before all that waits for the next cycle; with `dag` also every block below
 * it that is here, which are queued; with `waits` returns when a peer has taken the root's record. Nothing is
 * announced, and OK, without a DHT, with Provide.Enabled false, and when Provide.Strategy is for pins and
 * this is none. ERR_UNREACHABLE: nobody took the record. */
MUST_CHECK err_t announce(task_t *t, rpc_t *r, const announce_t *a, const cid_t *root, bool is_pinned);
#endif
