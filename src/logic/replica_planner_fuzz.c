/* Any sequence of events: time never stands still, limits hold, nobody promises while it asks to leave, what
 * was deleted does not come back. The first byte says what is turned on; then each five bytes are an event.
 */
#include "logic/replica_planner.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_ROOTS = 4, MAX_HOLDERS = 6 };

static cid_t root_of(uint8_t n)
{
    return (cid_t){
        .version = 1, .codec = CODEC_RAW, .hash_code = MH_SHA2_256, .digest_len = 32, .digest = {n % 6}};
}

static peer_id_t peer_of(uint8_t n)
{
    return (peer_id_t){.len = 34, .data = {0x12, 0x20, n % 10}};
}

static void drain(replica_planner_t *p, cid_t *leaving, bool *is_leaving)
{
    plan_action_t a;
    for (int n = 0; replica_planner_next(p, &a); n++) {
        if (n > 1000)
            abort();
        if (a.kind == PLAN_FIND && !a.n_wanted)
            abort();
        if (a.kind == PLAN_LEAVE_ASK) {
            *leaving = a.root;
            *is_leaving = true;
            if (replica_planner_promise(p, &a.root, 0))
                abort();
        }
    }
}

static void delete_root(replica_planner_t *p, tombstones_t *dead, const cid_t *root, uint64_t now)
{
    kad_key_t key = tombstone_key(root);
    bool is_new;
    if (tombstones_add(dead, &key, &is_new))
        abort();
    replica_planner_deleted(p, root, now);
}

typedef struct world {
    replica_planner_t *p;
    tombstones_t *dead;
    uint64_t now;
    cid_t leaving;
    bool is_leaving;
} world_t;

static void happen(world_t *w, const uint8_t in[5])
{
    cid_t root = root_of(in[1]);
    peer_id_t peer = peer_of(in[2]);
    plan_head_t head = {root,  peer_of(in[3]),         in[4], 1 + in[3] % 5, in[4] & 1,
                        in[4], bytes_of(in, in[4] % 5)};
    plan_entry_t entries[2] = {{peer, in[3], 1 + in[4] % 3, 0, bytes_of(in, in[3] % 5)},
                               {peer_of(in[4]), in[2], 1 + in[3] % 3, 0, BYTES_NONE}};
    switch (in[0] % 17) {
    case 0:
        if (!replica_planner_pin(w->p, &root, 1 + in[3] % 5, (uint64_t)in[4] << (in[3] % 32), w->now,
                                 w->now) &&
            !replica_planner_root(w->p, &root))
            abort();
        break;
    case 1:
    case 2:
        replica_planner_merge(w->p, &head, entries, 2, in[0] & 16, in[0] & 32, w->now);
        break;
    case 3:
        replica_planner_release(w->p, &root, w->now, w->now);
        break;
    case 4:
        replica_planner_self(w->p, &root, 1 + in[3] % 3, w->now, w->now);
        break;
    case 5:
        replica_planner_heard(w->p, &peer, w->now);
        break;
    case 6:
        replica_planner_candidate(w->p, &peer, in[3] & 1, w->now);
        break;
    case 7:
        replica_planner_offered(w->p, &root, &peer, in[3] % 3, w->now);
        break;
    case 8:
        replica_planner_verified(w->p, &root, &peer, in[3] & 1, w->now);
        break;
    case 9:
        if (w->is_leaving)
            replica_planner_leave(w->p, &w->leaving, in[3] & 1, w->now, w->now);
        w->is_leaving = false;
        break;
    case 10:
        replica_planner_judged(w->p, &peer, in[3] & 1, w->now);
        break;
    case 11:
        replica_planner_audited(w->p, &root, &peer, in[3] % 3, w->now);
        break;
    case 12:
        if (in[3] < 8)
            delete_root(w->p, w->dead, &root, w->now);
        break;
    case 13:
        replica_planner_status(w->p, &peer,
                               &(placement_peer_t){(uint64_t)in[3] << (in[4] % 40), in[3] % 3, in[4]});
        break;
    case 14:
        replica_planner_may_take(w->p, (uint64_t)in[3] << (in[4] % 40), w->now);
        break;
    case 15:
        if (in[3] & 1)
            replica_planner_resumed(w->p, w->now);
        else
            replica_planner_usual_away(w->p, (uint64_t)in[4] << 16);
        break;
    default:
        w->now += (uint64_t)in[3] << (in[4] % 14);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    replica_plan_config_t c;
    replica_plan_config_default(&c);
    if (data[0] & 1)
        replica_plan_config_mesh(&c);
    c.is_judged_outside = data[0] & 2;
    tombstones_t *dead = tombstones_new(100);
    c.deleted = dead;
    c.self = peer_of(0);
    c.max_roots = MAX_ROOTS;
    c.max_holders = MAX_HOLDERS;
    replica_planner_t *p = replica_planner_new(&c);
    world_t w = {.p = p, .dead = dead, .now = 1000};
    for (size_t i = 1; i + 5 <= size; i += 5) {
        happen(&w, data + i);
        for (int n = 0; replica_planner_deadline_ms(p) <= w.now; n++) {
            if (n > 100)
                abort(); /* it would spin */
            replica_planner_tick(p, w.now);
        }
        drain(p, &w.leaving, &w.is_leaving);
        size_t k = 0;
        for (plan_root_t *r; (r = replica_planner_next_root(p, &k));)
            if (plan_root_entries(r) > MAX_HOLDERS || !plan_root_digest(r) || !plan_root_heads(r) ||
                plan_root_heads(r) > PLAN_OWNERS_MAX || tombstones_has_root(dead, &plan_root_head(r)->root))
                abort();
        if (replica_planner_count(p) > MAX_ROOTS)
            abort();
    }
    replica_planner_free(p);
    tombstones_free(dead);
    return 0;
}
