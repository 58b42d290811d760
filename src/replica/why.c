/* Why a root has fewer copies than it should: what peers said when they were asked for one, or that nobody
 * can be asked. Of each root the last refusal is kept, of a bounded number of roots. */
#include "replica/internal.h"
#include <stdio.h>
#include <stdlib.h>

enum { REFUSALS_MAX = 4096 };

typedef struct refusal {
    peer_id_t peer;
    char reason[REPLICA_REASON_MAX + 1];
} refusal_t;

static bytes_t key_of(const cid_t *root, uint8_t room[CID_BINARY_MAX])
{
    return bytes_of(room, cid_encode_multihash(root, room));
}

void rep_refusals_init(replica_t *r)
{
    map_init(&r->refusals, REFUSALS_MAX);
}

void rep_refusals_deinit(replica_t *r)
{
    void *value;
    for (size_t i = 0; map_next(&r->refusals, &i, NULL, &value);)
        free(value);
    map_deinit(&r->refusals);
}

void rep_refused(replica_t *r, const cid_t *root, const peer_id_t *peer, const char *reason)
{
    uint8_t room[CID_BINARY_MAX];
    if (!replica_planner_root(r->planner, root))
        return; /* deleted while the peer was asked: nobody would take it away again */
    refusal_t *f = map_get(&r->refusals, key_of(root, room));
    if (!f) {
        f = xcalloc(1, sizeof *f);
        if (map_put(&r->refusals, key_of(root, room), f, NULL)) { /* full: said at their next refusal */
            free(f);
            return;
        }
    }
    f->peer = *peer;
    snprintf(f->reason, sizeof f->reason, "%s", *reason ? reason : "it gives no reason");
}

void rep_not_refused(replica_t *r, const cid_t *root)
{
    uint8_t room[CID_BINARY_MAX];
    refusal_t *f = map_get(&r->refusals, key_of(root, room));
    if (f)
        map_remove(&r->refusals, key_of(root, room));
    free(f);
}

void rep_say_why(const replica_t *r, const plan_root_t *p, size_t have, char out[REPLICA_WHY_MAX])
{
    uint8_t room[CID_BINARY_MAX];
    char text[PEER_ID_TEXT_MAX];
    const plan_head_t *h = plan_root_head(p);
    const refusal_t *f = map_get(&r->refusals, key_of(&h->root, room));
    size_t others, fitting;
    out[0] = 0;
    if (have >= h->target)
        return;
    replica_planner_room(r->planner, p, &others, &fitting);
    if (!others)
        snprintf(out, REPLICA_WHY_MAX, "no other peer that may hold it is connected");
    else if (f)
        snprintf(out, REPLICA_WHY_MAX, "%s refuses: %s", peer_id_print(&f->peer, text), f->reason);
    else if (!fitting)
        snprintf(out, REPLICA_WHY_MAX, "none of the %zu other peers that may hold it has room for it",
                 others);
}

void replica_why(const replica_t *r, const cid_t *root, char out[REPLICA_WHY_MAX])
{
    const plan_root_t *p = replica_planner_root(r->planner, root);
    out[0] = 0;
    if (p)
        rep_say_why(r, p, plan_root_live(r->planner, p), out);
}
