/* Records between the planner, the wire and the disk. */
#include "base/log.h"
#include "replica/internal.h"
#include <stdlib.h>

void rep_to_wire(const plan_root_t *root, replica_record_t *ret)
{
    const plan_head_t *h = plan_root_head(root);
    ret->root = h->root;
    ret->owner = h->owner;
    ret->version = h->version;
    ret->target = h->target;
    ret->is_released = h->is_released;
    ret->size_bytes = h->size_bytes;
    ret->n_entries = 0;
    for (size_t i = 0; i < plan_root_entries(root) && i < REPLICA_ENTRIES_MAX; i++) {
        plan_entry_t e = plan_root_entry(root, i);
        ret->entries[ret->n_entries++] =
            (replica_entry_t){e.peer, e.seq, (replica_entry_state_t)e.state, e.since_ms};
    }
}

bool rep_merge(replica_t *r, const replica_record_t *record, bool may_add, bool head_is_trusted)
{
    plan_head_t head = {.root = record->root,
                        .owner = record->owner,
                        .version = record->version,
                        .target = record->target,
                        .is_released = record->is_released,
                        .size_bytes = record->size_bytes};
    plan_entry_t *entries = xcalloc(REPLICA_ENTRIES_MAX, sizeof *entries);
    for (size_t i = 0; i < record->n_entries; i++) {
        const replica_entry_t *e = &record->entries[i];
        entries[i] = (plan_entry_t){e->peer, e->seq, (plan_state_t)e->state, e->since_ms};
    }
    bool changed = replica_planner_merge(r->planner, &head, entries, record->n_entries, may_add,
                                         head_is_trusted, sched_now_ms(r->sched));
    free(entries);
    if (changed)
        event_fire(&r->changed);
    rep_pump(r);
    return changed;
}

static bytes_t key_of(const cid_t *root, uint8_t room[CID_BINARY_MAX])
{
    return bytes_of(room, cid_encode(root, room));
}

err_t rep_save(task_t *t, replica_t *r, const cid_t *root)
{
    uint8_t room[CID_BINARY_MAX];
    plan_root_t *p = replica_planner_root(r->planner, root);
    if (!p)
        return kv_delete(t, r->config.state, REPLICA_SPACE, key_of(root, room));
    cid_t own = plan_root_head(p)->root;
    replica_record_t *record = xcalloc(1, sizeof *record);
    rep_to_wire(p, record);
    AUTO(buf_t) out;
    buf_init(&out, KV_VALUE_MAX_BYTES);
    err_t e = replica_record_encode(record, &out);
    free(record);
    TRY(e);
    return kv_put(t, r->config.state, REPLICA_SPACE, key_of(&own, room), buf_bytes(&out));
}

static err_t load_one(task_t *t, void *arg, bytes_t key, bytes_t value)
{
    (void)t;
    (void)key;
    replica_t *r = arg;
    replica_record_t *record = xcalloc(1, sizeof *record);
    err_t e = replica_record_decode(value, record);
    if (e)
        log_error("a stored record of replication is damaged and ignored", LOG_ERR(e));
    else
        rep_merge(r, record, true, true);
    free(record);
    return OK;
}

err_t rep_load(task_t *t, replica_t *r)
{
    return kv_scan(t, r->config.state, REPLICA_SPACE, NULL, load_one, r);
}
