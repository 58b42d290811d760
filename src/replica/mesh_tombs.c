/* Tombstones: verified, durable before they count, told on by pubsub and by the DHT, applied to what is here.
 */
#include "base/log.h"
#include "codec/receipt.h"
#include "replica/mesh_internal.h"
#include <stdio.h>
#include <stdlib.h>

enum { DHT_ASK_MS = 3000, DHT_PUT_MS = 60000, DHT_KEY_MAX = 64 };

static kad_key_t set_key(const cid_t *manifest, const owner_key_t *owner)
{
    kad_key_t key;
    tombstone_set_key(manifest, owner, key.data);
    return key;
}

bool mesh_has_deleted(void *mesh, const cid_t *root)
{
    return tombstones_has_root(((mesh_t *)mesh)->deleted, root);
}

bool mesh_is_deleted(const mesh_t *m, const cid_t *manifest)
{
    return tombstones_has_root(m->deleted, manifest);
}

err_t mesh_tombstone_record(task_t *t, mesh_t *m, const uint8_t key[TOMBSTONE_KEY_BYTES], buf_t *out)
{
    return kv_get(t, m->config.state, MESH_TOMBSTONE_SPACE, bytes_of(key, TOMBSTONE_KEY_BYTES), out);
}

/* ── the DHT ─────────────────────────────────────────────────────────────────────────────────── */
/* "/tombstone/" and the set key: of manifest and owner, so that a foreign one has a place of its own. */
static bytes_t dht_key(const kad_key_t *key, uint8_t room[DHT_KEY_MAX])
{
    static const char prefix[] = "/" MESH_DHT_NAMESPACE "/";
    memcpy(room, prefix, sizeof prefix - 1);
    memcpy(room + sizeof prefix - 1, key->data, sizeof key->data);
    return bytes_of(room, sizeof prefix - 1 + sizeof key->data);
}

static err_t validate_record(void *arg, bytes_t key, bytes_t value)
{
    (void)arg;
    tombstone_t ts;
    uint8_t room[DHT_KEY_MAX];
    TRY(tombstone_open(value, &ts));
    kad_key_t own = set_key(&ts.manifest, &ts.owner);
    return bytes_equal(key, dht_key(&own, room)) ? OK : fail(ERR_INVALID, "the tombstone of another key");
}

static int select_record(void *arg, bytes_t key, bytes_t a, bytes_t b)
{
    (void)arg;
    (void)key;
    return bytes_compare(a, b); /* there is one form of it: they are equal */
}

/* ── telling on ──────────────────────────────────────────────────────────────────────────────── */
typedef struct spread {
    mesh_t *m;
    kad_key_t key;
    size_t len;
    uint8_t record[TOMBSTONE_MAX_BYTES];
} spread_t;

err_t mesh_spread_task(task_t *t, void *arg)
{
    spread_t *s = arg;
    mesh_t *m = s->m;
    uint8_t room[DHT_KEY_MAX];
    bytes_t record = bytes_of(s->record, s->len);
    if (m->config.pubsub && pubsub_publish(t, m->config.pubsub, BYTES_LIT(MESH_TOPIC), record))
        log_debug("mesh: a tombstone was not published");
    if (m->config.routing && !task_check(t)) {
        deadline_t d = deadline_push(t, DHT_PUT_MS);
        err_t e = routing_put_value(t, m->config.routing, dht_key(&s->key, room), record);
        deadline_pop(t, &d);
        if (e && e != ERR_EXISTS)
            log_debug("mesh: nobody has put a tombstone into the DHT", LOG_ERR(e));
    }
    free(s);
    return OK;
}

/* By whoever finds out first that it applies, and by who deletes; others forward what pubsub brings. */
static void spread(mesh_t *m, const kad_key_t *key, bytes_t record)
{
    spread_t *s = xcalloc(1, sizeof *s);
    *s = (spread_t){.m = m, .key = *key, .len = record.len};
    memcpy(s->record, record.data, record.len);
    if (group_spawn(&m->group, "mesh-spread", mesh_spread_task, s, NULL))
        free(s);
}

/* ── applying ────────────────────────────────────────────────────────────────────────────────── */
/* Of a file that is not kept here: who holds it matters no more. */
static void forget_record(task_t *t, mesh_t *m, const cid_t *root)
{
    char text[CID_TEXT_MAX];
    err_t e = replica_delete(t, m->config.replica, root);
    if (e && e != ERR_NOT_FOUND && !task_is_canceled(t))
        log_warn("mesh: the record of a deleted file stays until the next start",
                 LOG_STR("cid", cid_print(root, text)), LOG_ERR(e));
}

static uint32_t *owner_count(mesh_t *m, const owner_key_t *owner)
{
    return &m->by_owner[siphash24(m->owner_key, bytes_of(owner->data, sizeof owner->data)) %
                        MESH_OWNER_SLOTS];
}

/* What one commit is about: a tombstone that is kept from now on, a deletion that is applied, or both; of
 * this node's own, whose receipts are expected, too. A crash leaves all of it or nothing. */
typedef struct taking {
    const tombstone_t *ts;
    bytes_t record; /* empty: it is kept already */
    bool applies;
    bool is_here; /* there is something to be collected */
    const peer_id_t *holders;
    size_t n_holders;
} taking_t;

/* Is the manifest here, and whose is it? Who cannot read it cannot tell: the tombstone waits for it. */
static err_t judge(task_t *t, mesh_t *m, bool is_ours, taking_t *x)
{
    AUTO_PTR(block_t) b = NULL;
    char text[CID_TEXT_MAX];
    const cid_t *manifest = &x->ts->manifest;
    if (mesh_is_deleted(m, manifest))
        return OK;
    err_t e = blockstore_get(t, m->config.blocks, manifest, &b);
    TRY(task_check(t));
    x->is_here = e != ERR_NOT_FOUND || replica_keeps(m->config.replica, manifest);
    if (e) {
        x->applies = is_ours;
        return OK;
    }
    e = tombstone_applies(x->ts, manifest, block_bytes(b));
    x->applies = !e;
    if (e == ERR_DENIED) {
        m->counts.foreign++;
        log_warn("mesh: a tombstone by somebody who does not own the file was ignored",
                 LOG_STR("cid", cid_print(manifest, text)));
    }
    return e;
}

static err_t write_taking(task_t *t, mesh_t *m, const taking_t *x)
{
    uint8_t room[CID_BINARY_MAX];
    kad_key_t key = set_key(&x->ts->manifest, &x->ts->owner);
    bytes_t root = bytes_of(room, cid_encode(&x->ts->manifest, room));
    bytes_t owner = bytes_of(x->ts->owner.data, sizeof x->ts->owner.data);
    AUTO(kv_batch_t) batch;
    kv_batch_init(&batch);
    if (x->record.len)
        TRY(kv_batch_put(&batch, MESH_TOMBSTONE_SPACE, bytes_of(key.data, sizeof key.data), x->record));
    if (x->applies)
        TRY(kv_batch_put(&batch, MESH_DELETED_SPACE, root, owner));
    if (x->applies && x->is_here)
        TRY(kv_batch_put(&batch, MESH_UNCOLLECTED_SPACE, root, BYTES_NONE));
    TRY(mesh_expect_receipts(t, m, &x->ts->manifest, x->holders, x->n_holders, &batch));
    return kv_commit(t, m->config.state, &batch);
}

/* What is written counts from now on, and the copy here is let go of. */
static void count_taking(task_t *t, mesh_t *m, const taking_t *x, bool *ret_is_new)
{
    char text[CID_TEXT_MAX];
    kad_key_t key = set_key(&x->ts->manifest, &x->ts->owner), root = tombstone_key(&x->ts->manifest);
    *ret_is_new = x->record.len && !tombstones_has(m->known, &key); /* another task may have been faster */
    if (*ret_is_new) {
        tombstones_restore(m->known, &key);
        ++*owner_count(m, &x->ts->owner);
    }
    if (!x->applies)
        return;
    tombstones_restore(m->deleted, &root);
    log_info("mesh: a file was deleted by its owner", LOG_STR("cid", cid_print(&x->ts->manifest, text)),
             LOG_BOOL("was_here", x->is_here));
    if (x->is_here)
        mesh_let_go(t, m, &x->ts->manifest);
    else
        forget_record(t, m, &x->ts->manifest);
}

/* Once it is written it is done, whoever asked for it has left or not. */
static err_t take(task_t *t, mesh_t *m, const taking_t *x, bool *ret_is_new)
{
    *ret_is_new = false;
    if (!x->record.len && !x->applies && !x->n_holders)
        return OK;
    if (x->applies && x->is_here)
        TRY(mesh_uncollected_add(m, &x->ts->manifest)); /* no receipt is signed from now on */
    task_shield(t);
    err_t e = write_taking(t, m, x);
    if (!e)
        count_taking(t, m, x, ret_is_new);
    else if (x->applies && !mesh_is_deleted(m, &x->ts->manifest))
        mesh_uncollected_drop(m, &x->ts->manifest);
    task_unshield(t);
    return e;
}

/* ── taking ──────────────────────────────────────────────────────────────────────────────────── */
/* Tombstones are kept for ever and cost who makes them nothing. Those of files that were not seen here may
 * fill no more than: one owner OWNER_PART of the room; one member in a day SHARE_PART of what is left, so
 * that it alone never fills it; and never the last LAST_PART, which is for files that are here. */
enum { OWNER_PART = 16, SHARE_PART = 4, LAST_PART = 16, DAY_MS = 86400000 };

static err_t has_room(mesh_t *m, member_t *x, const owner_key_t *owner)
{
    uint32_t max = m->config.max_tombstones, most = max - max / LAST_PART;
    size_t count = tombstones_count(m->known);
    uint64_t now_ms = sched_now_ms(m->sched);
    if (count >= most)
        return fail(ERR_LIMIT, "%zu tombstones are kept; there is room for those of files here alone", count);
    if (*owner_count(m, owner) >= max / OWNER_PART)
        return fail(ERR_LIMIT, "an owner has deleted more than %u files", max / OWNER_PART);
    if (x && (!x->share || now_ms - x->share_since_ms >= DAY_MS)) {
        x->share = (most - (uint32_t)count) / SHARE_PART + 1;
        x->share_since_ms = now_ms;
        x->brought = 0;
    }
    if (x && x->brought >= x->share)
        return fail(ERR_LIMIT, "a member brings more than %u tombstones of unknown files in a day", x->share);
    if (x)
        x->brought++;
    return OK;
}

/* The file is here, and it is its owner who deletes it. */
static bool is_proved(task_t *t, mesh_t *m, const tombstone_t *ts)
{
    AUTO_PTR(block_t) b = NULL;
    return !blockstore_get(t, m->config.blocks, &ts->manifest, &b) &&
           !tombstone_applies(ts, &ts->manifest, block_bytes(b));
}

static err_t may_bring(task_t *t, mesh_t *m, const peer_id_t *from, bool is_own, const tombstone_t *ts)
{
    member_t *x = from ? mesh_member(m, from) : NULL;
    if (!tombstones_room(m->known)) /* for whatever it deletes: each is kept for ever */
        return fail(ERR_LIMIT, "%zu tombstones are kept, the limit", tombstones_count(m->known));
    if (from && !x)
        return fail(ERR_LIMIT, "too many members");
    if (x && !rate_room(&x->brings, sched_now_ms(m->sched)))
        return fail(ERR_LIMIT, "a member brings more than %d new tombstones a second",
                    MESH_NEW_TOMBSTONES_PER_S);
    if (x)
        rate_take(&x->brings, 1);
    err_t e = is_own ? OK : has_room(m, x, &ts->owner);
    return e && is_proved(t, m, ts) ? OK : e;
}

static err_t take_record(task_t *t, mesh_t *m, const peer_id_t *from, bool is_own, taking_t *x,
                         tombstone_t *ret_ts, bool *ret_is_new)
{
    bool is_new;
    bytes_t record = x->record;
    err_t e = tombstone_open(record, ret_ts);
    if (e == ERR_CRYPTO)
        m->counts.forged++;
    TRY(e);
    kad_key_t key = set_key(&ret_ts->manifest, &ret_ts->owner);
    x->ts = ret_ts;
    if (tombstones_has(m->known, &key))
        x->record = BYTES_NONE;
    else
        TRY(may_bring(t, m, from, is_own, ret_ts));
    err_t judged = judge(t, m, is_own, x); /* also one that is known: the manifest may have come since */
    if (!judged || judged == ERR_DENIED)
        TRY(take(t, m, x, &is_new));
    TRY(judged);
    if (is_own)
        spread(m, &key, record);
    if (ret_is_new)
        *ret_is_new = is_new;
    return OK;
}

err_t mesh_take(task_t *t, mesh_t *m, const peer_id_t *from, bytes_t record, tombstone_t *ret_ts,
                bool *ret_is_new)
{
    taking_t x = {.record = record};
    return take_record(t, m, from, false, &x, ret_ts, ret_is_new);
}

err_t mesh_take_own(task_t *t, mesh_t *m, bytes_t record, const peer_id_t *holders, size_t n,
                    tombstone_t *ret_ts)
{
    taking_t x = {.record = record, .holders = holders, .n_holders = n};
    return take_record(t, m, NULL, true, &x, ret_ts, NULL);
}

err_t mesh_sign_receipt(mesh_t *m, const tombstone_t *ts, buf_t *out)
{
    receipt_t r = {.kind = RECEIPT_DELETED,
                   .manifest = ts->manifest,
                   .owner = ts->owner,
                   .at_ms = driver_wall_ms(sched_driver(m->sched))};
    TRY(receipt_seal(m->config.key, &r, out));
    m->counts.receipts_signed++;
    return OK;
}

/* ── pubsub ──────────────────────────────────────────────────────────────────────────────────── */
static gossip_verdict_t on_gossip(task_t *t, void *mesh, const peer_id_t *via, bytes_t data)
{
    mesh_t *m = mesh;
    tombstone_t ts;
    bool is_new;
    if (!via)
        return GOSSIP_ACCEPT; /* ours, taken already */
    if (m->is_closing)
        return GOSSIP_IGNORE;
    err_t e = mesh_take(t, m, via, data, &ts, &is_new);
    if (e)
        return e == ERR_CRYPTO || e == ERR_INVALID || e == ERR_EOF ? GOSSIP_REJECT : GOSSIP_IGNORE;
    return GOSSIP_ACCEPT;
}

/* ── copies that come ────────────────────────────────────────────────────────────────────────── */
/* Was it deleted while this node was not told? The DHT is asked before the first copy of it is taken. */
static void ask_dht(task_t *t, mesh_t *m, const kad_key_t *key)
{
    uint8_t room[DHT_KEY_MAX];
    tombstone_t ts;
    AUTO(buf_t) record;
    buf_init(&record, TOMBSTONE_MAX_BYTES);
    if (!m->config.routing || tombstones_has(m->known, key))
        return;
    value_search_t how = {.quorum = 1};
    deadline_t d = deadline_push(t, DHT_ASK_MS);
    err_t e = routing_get_value(t, m->config.routing, dht_key(key, room), &how, &record);
    deadline_pop(t, &d);
    if (!e && mesh_take(t, m, NULL, buf_bytes(&record), &ts, NULL))
        log_debug("mesh: a tombstone of the DHT was not taken");
}

static err_t deleted_by_owner(void)
{
    return fail(ERR_DENIED, "it was deleted by its owner");
}

/* It counts, whether that can be written down now (the disk may be full) or later. */
static err_t apply_known(task_t *t, mesh_t *m, const cid_t *root, const owner_key_t *owner)
{
    kad_key_t key = set_key(root, owner);
    if (tombstones_has(m->known, &key)) {
        tombstone_t ts = {.manifest = *root, .owner = *owner};
        taking_t x = {.ts = &ts, .applies = !mesh_is_deleted(m, root), .is_here = true};
        bool is_new;
        if (take(t, m, &x, &is_new))
            TRY(task_check(t));
        return deleted_by_owner();
    }
    return mesh_is_deleted(m, root) ? deleted_by_owner() : OK;
}

err_t mesh_admit(task_t *t, void *mesh, const cid_t *root, const block_t *block)
{
    mesh_t *m = mesh;
    manifest_t manifest;
    TRY(manifest_decode(block_bytes(block), &manifest));
    TRY(manifest_verify(&manifest));
    kad_key_t key = set_key(root, &manifest.owner);
    owner_key_t owner = manifest.owner;
    ask_dht(t, m, &key);
    TRY(task_check(t));
    return apply_known(t, m, root, &owner);
}

/* The tombstone may have come before the manifest, which somebody who lags behind gave to a reader here. */
err_t mesh_check(task_t *t, mesh_t *m, const cid_t *root)
{
    AUTO_PTR(block_t) b = NULL;
    manifest_t manifest;
    if (mesh_is_deleted(m, root))
        return deleted_by_owner();
    if (root->codec != CODEC_DAG_CBOR || !tombstones_count(m->known) ||
        blockstore_get(t, m->config.blocks, root, &b) || manifest_decode(block_bytes(b), &manifest))
        return task_check(t);
    return apply_known(t, m, root, &manifest.owner);
}

bool mesh_may_serve(task_t *t, mesh_t *m, const cid_t *cid)
{
    return catch_up_is_current(m->catch_up) && !mesh_check(t, m, cid);
}

/* ── life ────────────────────────────────────────────────────────────────────────────────────── */
static err_t load_known(task_t *t, void *arg, bytes_t key, bytes_t value)
{
    (void)t;
    mesh_t *m = arg;
    kad_key_t k;
    tombstone_t ts;
    if (key.len != sizeof k.data)
        return OK;
    memcpy(k.data, key.data, sizeof k.data);
    if (!tombstone_decode(value, &ts)) /* it was verified before it was kept */
        ++*owner_count(m, &ts.owner);
    tombstones_restore(m->known, &k);
    return OK;
}

static err_t load_deleted(task_t *t, void *arg, bytes_t key, bytes_t value)
{
    mesh_t *m = arg;
    cid_t root;
    (void)value;
    if (cid_decode(key, &root))
        return OK;
    kad_key_t k = tombstone_key(&root);
    tombstones_restore(m->deleted, &k);
    forget_record(t, m, &root); /* a crash may have come in between */
    return task_check(t);
}

err_t mesh_tombs_open(task_t *t, mesh_t *m)
{
    TRY(kv_scan(t, m->config.state, MESH_TOMBSTONE_SPACE, NULL, load_known, m));
    TRY(kv_scan(t, m->config.state, MESH_DELETED_SPACE, NULL, load_deleted, m));
    record_validator_t v = {validate_record, select_record, m};
    if (m->config.routing)
        TRY(routing_set_validator(m->config.routing, MESH_DHT_NAMESPACE, &v));
    if (!m->config.pubsub)
        return OK;
    TRY(pubsub_set_validator(m->config.pubsub, BYTES_LIT(MESH_TOPIC), on_gossip, m));
    return pubsub_join(m->config.pubsub, BYTES_LIT(MESH_TOPIC), &m->topic);
}

void mesh_tombs_close(mesh_t *m)
{
    pubsub_unsubscribe(m->topic);
    m->topic = NULL;
    if (m->config.pubsub && pubsub_set_validator(m->config.pubsub, BYTES_LIT(MESH_TOPIC), NULL, NULL))
        log_debug("mesh: its topic was not left");
}
