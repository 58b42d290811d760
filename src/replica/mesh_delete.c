/* Deletions of this node: holders are told until each has signed that its copy is gone. logic/deletion says
 * whom to tell when; receipts and those that are still expected are on disk. */
#include "base/log.h"
#include "codec/receipt.h"
#include "replica/mesh_internal.h"
#include <stdlib.h>

enum { STATUS_MS = 3000, LEAST_WAIT_MS = 50 };

typedef struct receipt_key {
    uint8_t data[CID_BINARY_MAX + PEER_ID_MAX_BYTES];
    size_t len;
} receipt_key_t;

static receipt_key_t key_of(const cid_t *root, const peer_id_t *holder)
{
    receipt_key_t k;
    k.len = cid_encode(root, k.data);
    memcpy(k.data + k.len, holder->data, holder->len);
    k.len += holder->len;
    return k;
}

/* ── receipts ────────────────────────────────────────────────────────────────────────────────── */
static err_t keep_receipt(task_t *t, mesh_t *m, const tombstone_t *ts, const peer_id_t *holder,
                          bytes_t sealed)
{
    receipt_t r;
    TRY(receipt_open(sealed, &r));
    if (r.kind != RECEIPT_DELETED || !cid_equal(&r.manifest, &ts->manifest) ||
        !owner_key_equal(&r.owner, &ts->owner) || !peer_id_equal(&r.holder, holder))
        return fail(ERR_CRYPTO, "the receipt is about something else, or signed by somebody else");
    receipt_key_t k = key_of(&ts->manifest, holder);
    TRY(kv_put(t, m->config.state, MESH_RECEIPT_SPACE, bytes_of(k.data, k.len), sealed));
    if (deletion_receipt(m->deletion, &ts->manifest, holder, r.at_ms, task_now_ms(t)))
        m->counts.receipts_taken++;
    event_fire(&m->receipt_came);
    return OK;
}

err_t mesh_expect_receipts(task_t *t, mesh_t *m, const cid_t *root, const peer_id_t *holders, size_t n,
                           kv_batch_t *batch)
{
    for (size_t i = 0; i < n; i++) {
        receipt_key_t k = key_of(root, &holders[i]);
        if (!kv_has(t, m->config.state, MESH_RECEIPT_SPACE, bytes_of(k.data, k.len)))
            TRY(kv_batch_put(batch, MESH_RECEIPT_SPACE, bytes_of(k.data, k.len), BYTES_NONE));
    }
    return OK;
}

static err_t load_one(task_t *t, void *arg, bytes_t key, bytes_t value)
{
    mesh_t *m = arg;
    cid_t root;
    peer_id_t holder;
    receipt_t r;
    size_t len = key.len;
    while (len > 4 && cid_decode(bytes_slice(key, 0, len), &root))
        len--;
    if (len <= 4 || peer_id_decode(bytes_slice(key, len, key.len), &holder))
        return OK;
    deletion_start(m->deletion, &root, &holder, 1, task_now_ms(t));
    if (value.len && !receipt_open(value, &r))
        deletion_receipt(m->deletion, &root, &holder, r.at_ms, task_now_ms(t));
    else if (peer_id_equal(&holder, host_id(m->config.host)))
        return mesh_take_up(t, m, &root); /* its receipt follows the next collection */
    return OK;
}

err_t mesh_deletions_load(task_t *t, mesh_t *m)
{
    deletion_peer(m->deletion, host_id(m->config.host), false, task_now_ms(t)); /* never told */
    return kv_scan(t, m->config.state, MESH_RECEIPT_SPACE, NULL, load_one, m);
}

/* The record of the owner of what was deleted here. */
static err_t record_of(task_t *t, mesh_t *m, const cid_t *root, buf_t *out, tombstone_t *ret_ts)
{
    uint8_t room[CID_BINARY_MAX], key[TOMBSTONE_KEY_BYTES];
    AUTO(buf_t) owner;
    buf_init(&owner, OWNER_KEY_BYTES);
    TRY(kv_get(t, m->config.state, MESH_DELETED_SPACE, bytes_of(room, cid_encode(root, room)), &owner));
    if (owner.len != OWNER_KEY_BYTES)
        return fail(ERR_CORRUPT, "who deleted it was not written down whole");
    *ret_ts = (tombstone_t){.manifest = *root};
    memcpy(ret_ts->owner.data, owner.data, OWNER_KEY_BYTES);
    tombstone_set_key(root, &ret_ts->owner, key);
    return mesh_tombstone_record(t, m, key, out);
}

err_t mesh_sign_own(task_t *t, mesh_t *m, const cid_t *root)
{
    tombstone_t ts;
    receipt_key_t k = key_of(root, host_id(m->config.host));
    AUTO(buf_t) kept, record, sealed;
    buf_init(&kept, RECEIPT_MAX_BYTES);
    buf_init(&record, TOMBSTONE_MAX_BYTES);
    buf_init(&sealed, RECEIPT_MAX_BYTES);
    receipt_t r;
    err_t e = kv_get(t, m->config.state, MESH_RECEIPT_SPACE, bytes_of(k.data, k.len), &kept);
    if (e || (kept.len && !receipt_open(buf_bytes(&kept), &r))) /* a damaged one is signed anew */
        return e == ERR_NOT_FOUND ? OK : e;
    TRY(record_of(t, m, root, &record, &ts));
    TRY(mesh_sign_receipt(m, &ts, &sealed));
    return keep_receipt(t, m, &ts, host_id(m->config.host), buf_bytes(&sealed));
}

/* ── telling ─────────────────────────────────────────────────────────────────────────────────── */
typedef struct telling {
    mesh_t *m;
    cid_t root;
    peer_id_t holder;
    bool is_counted; /* by the engine; else the peer is only behind */
    deletion_answer_t answer;
} telling_t;

static err_t tell(task_t *t, telling_t *x)
{
    tombstone_t ts;
    AUTO(buf_t) record, room;
    buf_init(&record, TOMBSTONE_MAX_BYTES);
    buf_init(&room, MESH_MESSAGE_MAX_BYTES);
    TRY(record_of(t, x->m, &x->root, &record, &ts));
    mesh_message_t *m = mesh_new_message(MESH_DELETE), *answer = mesh_new_message(0);
    m->n_tombstones = 1;
    m->tombstones[0] = buf_bytes(&record);
    err_t e = mesh_ask(t, x->m, &x->holder, m, &room, answer);
    if (!e && answer->kind == MESH_PENDING)
        x->answer = DELETION_PENDING;
    if (!e && answer->kind == MESH_REFUSE)
        e = fail(ERR_REFUSED, "a holder does not delete: %s", answer->reason);
    else if (!e && answer->kind == MESH_RECEIPT && x->is_counted)
        e = keep_receipt(t, x->m, &ts, &x->holder, answer->receipt);
    if (e)
        x->answer = DELETION_NO_ANSWER;
    free(m);
    free(answer);
    return e;
}

static err_t tell_task(task_t *t, void *arg)
{
    telling_t x = *(telling_t *)arg;
    free(arg);
    char text[PEER_ID_TEXT_MAX];
    err_t e = tell(t, &x);
    if (e && e != ERR_CANCELED)
        log_debug("mesh: a holder was not told of a deletion",
                  LOG_STR("peer", peer_id_print(&x.holder, text)), LOG_ERR(e));
    if (x.is_counted) {
        deletion_told(x.m->deletion, &x.root, &x.holder, x.answer, task_now_ms(t));
        event_fire(&x.m->wake);
        event_fire(&x.m->receipt_came);
    } else {
        member_t *member = map_get(&x.m->by_peer, peer_id_bytes(&x.holder));
        if (member)
            member->is_telling = false;
    }
    return OK;
}

/* A peer offers, or tells news of, what was deleted: it gets the tombstone, one at a time. */
void mesh_is_behind(void *mesh, const peer_id_t *peer, const cid_t *root)
{
    mesh_t *m = mesh;
    member_t *x = mesh_member(m, peer);
    if (!x || x->is_telling || m->is_closing)
        return;
    telling_t *one = xcalloc(1, sizeof *one);
    *one = (telling_t){m, *root, *peer, false, DELETION_NO_ANSWER};
    x->is_telling = true;
    if (group_spawn(&m->group, "mesh-tell", tell_task, one, NULL)) {
        x->is_telling = false;
        free(one);
    }
}

static void tell_all(mesh_t *m)
{
    cid_t root;
    peer_id_t holder;
    while (deletion_next(m->deletion, sched_now_ms(m->sched), &root, &holder)) {
        telling_t *one = xcalloc(1, sizeof *one);
        *one = (telling_t){m, root, holder, true, DELETION_NO_ANSWER};
        if (group_spawn(&m->group, "mesh-tell", tell_task, one, NULL)) {
            free(one);
            deletion_told(m->deletion, &root, &holder, DELETION_NO_ANSWER, sched_now_ms(m->sched));
            return;
        }
    }
}

err_t mesh_delete_task(task_t *t, void *mesh)
{
    mesh_t *m = mesh;
    for (;;) {
        tell_all(m);
        uint64_t now_ms = task_now_ms(t), due_ms = deletion_deadline_ms(m->deletion);
        uint64_t wait_ms = due_ms == TIME_NEVER || due_ms == UINT64_MAX ? TIME_NEVER
                           : due_ms > now_ms + LEAST_WAIT_MS            ? due_ms - now_ms
                                                                        : LEAST_WAIT_MS;
        deadline_t d = deadline_push(t, wait_ms);
        err_t e = event_wait(t, &m->wake);
        deadline_pop(t, &d);
        if (e && e != ERR_TIMEOUT)
            return e;
        TRY(task_check(t));
    }
}

/* ── the face ────────────────────────────────────────────────────────────────────────────────── */
/* Holders as our record names them; without one, those that members name. This node first, when it is one. */
static err_t find_holders(task_t *t, mesh_t *m, const cid_t *root, peer_id_t *out, size_t *ret_n)
{
    *ret_n = replica_holders(m->config.replica, root, out, REPLICA_HOLDERS_MAX);
    if (*ret_n || mesh_is_deleted(m, root))
        return OK;
    replica_status_t *s = xcalloc(1, sizeof *s);
    err_t e = replica_status(t, m->config.replica, root, STATUS_MS, s);
    for (size_t i = 0; !e && i < s->n_holders; i++)
        out[(*ret_n)++] = s->holders[i].peer;
    free(s);
    return e == ERR_CANCELED ? e : OK;
}

static void report(mesh_t *m, const cid_t *root, mesh_deletion_t *ret)
{
    deletion_holder_t h;
    *ret = (mesh_deletion_t){0};
    for (size_t i = 0; i < REPLICA_HOLDERS_MAX && deletion_holder_at(m->deletion, root, i, &h); i++) {
        bool is_self = peer_id_equal(&h.peer, host_id(m->config.host));
        const char *why = h.is_gone                                     ? ""
                          : h.is_pending || is_self                     ? "not collected yet"
                          : !host_is_connected(m->config.host, &h.peer) ? "not reached yet"
                                                                        : "has not answered yet";
        ret->holders[ret->n_holders++] = (mesh_receipt_t){h.peer, h.is_gone, h.wall_ms, why};
        ret->n_deleted += h.is_gone;
    }
}

static err_t delete_here(task_t *t, mesh_t *m, bytes_t record, tombstone_t *ts)
{
    peer_id_t *holders = xcalloc(REPLICA_HOLDERS_MAX, sizeof *holders);
    size_t n = 0;
    err_t e = find_holders(t, m, &ts->manifest, holders, &n);
    task_shield(t); /* what is durable is told to the holders, too */
    if (!e)
        e = mesh_take_own(t, m, record, holders, n, ts);
    if (!e) {
        deletion_start(m->deletion, &ts->manifest, holders, n, task_now_ms(t));
        event_fire(&m->wake);
    }
    task_unshield(t);
    free(holders);
    TRY(e);
    return mesh_is_uncollected(m, &ts->manifest) ? OK : mesh_sign_own(t, m, &ts->manifest);
}

err_t mesh_delete(task_t *t, mesh_t *m, bytes_t record, mesh_deletion_fn progress, void *arg,
                  mesh_deletion_t *ret)
{
    tombstone_t ts;
    TRY(tombstone_open(record, &ts));
    TRY(delete_here(t, m, record, &ts));
    for (;;) {
        report(m, &ts.manifest, ret);
        if (progress)
            progress(arg, ret);
        if (ret->n_deleted == ret->n_holders || m->is_closing)
            return OK;
        err_t e = event_wait(t, &m->receipt_came);
        if (e == ERR_TIMEOUT) {
            report(m, &ts.manifest, ret);
            return task_is_canceled(t) ? ERR_CANCELED : OK;
        }
        TRY(e);
    }
}
