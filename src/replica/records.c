/* Records between the planner, the wire and the disk. */
#include "base/log.h"
#include "replica/internal.h"
#include "wire/replica_seal.h"
#include <stdlib.h>

/* ── out ─────────────────────────────────────────────────────────────────────────────────────── */
static void put_seal(bytes_t in, replica_seal_t *ret)
{
    ret->len = (uint8_t)in.len;
    memcpy(ret->data, in.data, in.len);
}

static bytes_t seal_bytes(const replica_seal_t *seal)
{
    return bytes_of(seal->data, seal->len);
}

/* What this node itself says is signed when it is first told or written. */
static err_t put_head(replica_t *r, plan_root_t *root, const plan_head_t *in, replica_head_t *ret)
{
    *ret = (replica_head_t){
        .owner = in->owner, .version = in->version, .target = in->target, .is_released = in->is_released};
    if (in->seal.len || !peer_id_equal(&in->owner, host_id(r->config.host))) {
        put_seal(in->seal, &ret->seal);
        return OK;
    }
    TRY(replica_head_seal(r->config.key, &in->root, ret));
    replica_planner_seal_head(r->planner, root, seal_bytes(&ret->seal));
    return OK;
}

static err_t put_entry(replica_t *r, plan_root_t *root, const plan_entry_t *in, replica_entry_t *ret)
{
    *ret = (replica_entry_t){.peer = in->peer,
                             .seq = in->seq,
                             .state = (replica_entry_state_t)in->state,
                             .since_ms = in->since_ms};
    if (in->seal.len || !peer_id_equal(&in->peer, host_id(r->config.host))) {
        put_seal(in->seal, &ret->seal);
        return OK;
    }
    TRY(replica_entry_seal(r->config.key, &plan_root_head(root)->root, ret));
    replica_planner_seal_entry(r->planner, root, seal_bytes(&ret->seal));
    return OK;
}

err_t rep_to_wire(replica_t *r, plan_root_t *root, replica_record_t *ret)
{
    const plan_head_t *h = plan_root_head(root);
    ret->root = h->root;
    ret->size_bytes = h->size_bytes;
    ret->n_heads = ret->n_entries = 0;
    for (size_t i = 0; i < plan_root_heads(root); i++) {
        plan_head_t head = plan_root_head_at(root, i);
        TRY(put_head(r, root, &head, &ret->heads[ret->n_heads++]));
    }
    for (size_t i = 0; i < plan_root_entries(root) && i < REPLICA_ENTRIES_MAX; i++) {
        plan_entry_t e = plan_root_entry(root, i);
        TRY(put_entry(r, root, &e, &ret->entries[ret->n_entries++]));
    }
    return OK;
}

/* ── in ──────────────────────────────────────────────────────────────────────────────────────── */
static plan_head_t to_head(const replica_record_t *record, const replica_head_t *h)
{
    return (plan_head_t){.root = record->root,
                         .owner = h->owner,
                         .version = h->version,
                         .target = h->target,
                         .is_released = h->is_released,
                         .size_bytes = record->size_bytes,
                         .seal = seal_bytes(&h->seal)};
}

/* All that stands in the record, believed. */
static bool merge(replica_t *r, const replica_record_t *record, bool may_add, bool trusts_heads)
{
    plan_entry_t *entries = xcalloc(REPLICA_ENTRIES_MAX, sizeof *entries);
    for (size_t i = 0; i < record->n_entries; i++) {
        const replica_entry_t *e = &record->entries[i];
        entries[i] =
            (plan_entry_t){e->peer, e->seq, (plan_state_t)e->state, e->since_ms, seal_bytes(&e->seal)};
    }
    bool changed = false;
    for (size_t i = 0; i < record->n_heads; i++) {
        plan_head_t head = to_head(record, &record->heads[i]);
        changed |= replica_planner_merge(r->planner, &head, i ? NULL : entries, i ? 0 : record->n_entries,
                                         may_add, trusts_heads, sched_now_ms(r->sched));
    }
    free(entries);
    if (changed)
        event_fire(&r->changed);
    rep_pump(r);
    return changed;
}

typedef struct proof_reading {
    const replica_record_t *record; /* what is news in it */
    err_t result;
} proof_reading_t;

static void verify(void *arg)
{
    proof_reading_t *p = arg;
    p->result = OK;
    for (size_t i = 0; i < p->record->n_heads && !p->result; i++)
        p->result = replica_head_verify(&p->record->root, &p->record->heads[i]);
    for (size_t i = 0; i < p->record->n_entries && !p->result; i++)
        p->result = replica_entry_verify(&p->record->root, &p->record->entries[i]);
}

static bool is_news_head(const plan_root_t *p, const replica_head_t *h, bool may_bring_owners)
{
    plan_head_t known;
    if (!p)
        return true;
    if (!plan_root_head_of(p, &h->owner, &known))
        return may_bring_owners && plan_root_heads(p) < PLAN_OWNERS_MAX;
    return h->version > known.version;
}

static bool is_news_entry(const plan_root_t *p, const replica_entry_t *e)
{
    for (size_t i = 0; p && i < plan_root_entries(p); i++) {
        plan_entry_t known = plan_root_entry(p, i);
        if (peer_id_equal(&known.peer, &e->peer))
            return e->seq > known.seq;
    }
    return true;
}

/* Only what would change something is looked at further, and only that is merged: what this node knows may
 * change while signatures are verified. */
err_t rep_take(task_t *t, replica_t *r, const replica_record_t *record, bool may_add, bool may_bring_owners)
{
    plan_root_t *p = replica_planner_root(r->planner, &record->root);
    if (!p && !may_add)
        return OK;
    replica_record_t *news = xcalloc(1, sizeof *news);
    news->root = p ? plan_root_head(p)->root : record->root;
    news->size_bytes = record->size_bytes;
    for (size_t i = 0; i < record->n_heads; i++)
        if (is_news_head(p, &record->heads[i], may_bring_owners))
            news->heads[news->n_heads++] = record->heads[i];
    for (size_t i = 0; i < record->n_entries; i++)
        if (is_news_entry(p, &record->entries[i]))
            news->entries[news->n_entries++] = record->entries[i];
    proof_reading_t proof = {news, OK};
    if (news->n_heads + news->n_entries)
        work(t, verify, &proof);
    bool is_whole = news->n_heads > 0;
    if (!is_whole) /* the planner wants one; the first is known already, and changes nothing */
        news->heads[news->n_heads++] = record->heads[0];
    bool is_deleted = r->mesh.is_deleted && r->mesh.is_deleted(r->mesh.arg, &news->root); /* meanwhile */
    if (!proof.result && (news->n_entries || is_whole))
        merge(r, news, may_add && is_whole && !is_deleted, is_whole);
    r->forged += proof.result != OK;
    free(news);
    return proof.result;
}

/* ── on disk ─────────────────────────────────────────────────────────────────────────────────── */
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
    AUTO(buf_t) out;
    buf_init(&out, KV_VALUE_MAX_BYTES);
    err_t e = rep_to_wire(r, p, record);
    if (!e)
        e = replica_record_encode(record, &out);
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
        merge(r, record, true, true);
    free(record);
    return OK;
}

err_t rep_load(task_t *t, replica_t *r)
{
    return kv_scan(t, r->config.state, REPLICA_SPACE, NULL, load_one, r);
}
