#include "meta/node_service.h"
#include "base/log.h"
#include "base/metrics.h"
#include "crypto/hash.h"
#include "meta/node_internal.h"
#include <stdlib.h>

enum {
    CACHE_BYTES = 64 << 20,
    FIRST_INTERVAL_MS = 2000,
    SCRUB_BYTES_S = 8 << 20,
    ORPHAN_GRACE_S = 48 * 3600
};

/* ── start, stop ─────────────────────────────────────────────────────────────────────────────── */

/* As long-lived as the node's own identity, and no part of it. */
static void make_id(node_service_t *s)
{
    uint8_t digest[32], id[128];
    static const char domain[] = "distribute storage node";
    const peer_id_t *peer = repo_peer_id(s->repo);
    char printed[PEER_ID_TEXT_MAX];
    int len = snprintf((char *)id, sizeof id, "%s", peer_id_print(peer, printed));
    hmac_sha256(bytes_of(domain, sizeof domain - 1), bytes_of(id, (size_t)len), digest);
    hex_text(bytes_of(digest, META_ID_CHARS / 2), s->id, sizeof s->id);
}

static err_t take_options(node_service_t *s, const node_service_options_t *o)
{
    s->repo = o->repo;
    s->tls = o->tls;
    s->interval_ms = FIRST_INTERVAL_MS;
    s->scrub_bytes_s = o->scrub_bytes_s ? o->scrub_bytes_s : SCRUB_BYTES_S;
    if (strlen(o->address) >= sizeof s->address || (o->zone && strlen(o->zone) > NODE_ZONE_MAX) ||
        o->n_bootstrap > NODE_BOOTSTRAP_MAX)
        return fail(ERR_USAGE, "an address or a zone is too long, or there are more than %d bootstrap nodes",
                    NODE_BOOTSTRAP_MAX);
    snprintf(s->address, sizeof s->address, "%s", o->address);
    snprintf(s->zone, sizeof s->zone, "%s", o->zone ? o->zone : "");
    for (size_t i = 0; i < o->n_bootstrap; i++)
        snprintf(s->bootstrap[s->n_bootstrap++], sizeof s->bootstrap[0], "%s", o->bootstrap[i]);
    s->has_rest = o->metadata != NULL;
    if (!o->metadata && !o->n_bootstrap)
        return fail(ERR_USAGE,
                    "a storage node needs METADATA_ADDR, or -bootstrap-nodes that know the metadata service");
    s->checked = -1;
    s->orphan_grace_s = o->orphan_grace_s ? o->orphan_grace_s : ORPHAN_GRACE_S;
    return OK;
}

static err_t open_memory(task_t *t, node_service_t *s, const node_service_options_t *o)
{
    const char *metadata = o->metadata ? o->metadata : "none";
    TRY(node_memory_read(t, s));
    if (o->adopt && !meta_is_id(o->adopt))
        return fail(ERR_USAGE, "the id of a metadata service has 32 hexadecimal digits, not \"%.40s\"",
                    o->adopt);
    if (o->adopt && strcmp(o->adopt, s->service_id))
        TRY(node_forget_service(t, s, o->adopt));
    TRY(rest_set_authorities(&s->join, o->metadata_authorities));
    TRY(rest_set_authorities(&s->rest, o->metadata_authorities));
    TRY(rest_init(&s->join, metadata, o->api_key));
    return rest_init(&s->rest, metadata, s->key);
}

static err_t begin(task_t *t, node_service_t *s, const node_service_options_t *o)
{
    TRY(take_options(s, o));
    TRY(open_memory(t, s, o));
    make_id(s);
    TRY(chunk_store_open(t, o->repo, &s->chunks));
    if (o->capacity_bytes)
        chunk_store_set_capacity(s->chunks, o->capacity_bytes);
    TRY(group_spawn(&s->tasks, "heartbeats", node_heartbeat_task, s, NULL));
    TRY(group_spawn(&s->tasks, "published", node_published_task, s, NULL));
    TRY(group_spawn(&s->tasks, "recheck", node_recheck_task, s, NULL));
    return group_spawn(&s->tasks, "scrub", node_scrub_task, s, NULL);
}

err_t node_service_start(task_t *t, const node_service_options_t *o, node_service_t **ret)
{
    node_service_t *s = xcalloc(1, sizeof *s);
    group_init(&s->tasks, task_sched(t));
    group_init(&s->copies, task_sched(t));
    event_init(&s->wake);
    event_init(&s->recheck);
    map_init(&s->copying, COPIES_MAX);
    map_init(&s->uploads, UPLOADS_MAX);
    chunk_cache_init(&s->cache, CACHE_BYTES);
    err_t e = begin(t, s, o);
    if (e) {
        error_slot_t why = *error_slot();
        node_service_stop(t, s);
        *error_slot() = why;
        return e;
    }
    *ret = s;
    return OK;
}

static void free_values(map_t *m)
{
    void *value;
    for (size_t i = 0; map_next(m, &i, NULL, &value);)
        free(value);
    map_deinit(m);
}

void node_service_stop(task_t *t, node_service_t *s)
{
    if (!s)
        return;
    group_stop(t, &s->copies);
    group_stop(t, &s->tasks);
    group_deinit(&s->copies);
    group_deinit(&s->tasks);
    free_values(&s->uploads);
    map_deinit(&s->copying);
    chunk_cache_deinit(&s->cache);
    for (size_t i = 0; i < REPORT_KINDS; i++)
        free(s->reports[i].ids);
    chunk_store_close(s->chunks);
    rest_deinit(&s->rest);
    rest_deinit(&s->join);
    secret_wipe(s->key, sizeof s->key);
    secret_wipe(&s->keys, sizeof s->keys);
    secret_wipe(&s->receipts, sizeof s->receipts);
    free(s->peers);
    free(s);
}

const char *node_service_id(const node_service_t *s)
{
    return s->id;
}

const char *node_service_zone(const node_service_t *s)
{
    return s->zone;
}

const char *node_service_metadata(const node_service_t *s)
{
    return s->has_rest ? s->rest.url : "";
}

chunk_store_t *node_service_chunks(node_service_t *s)
{
    return s->chunks;
}

void node_service_note_refusal(node_service_t *s, const char *call)
{
    s->refused[!strcmp(call, "Get") ? REFUSED_GET : !strcmp(call, "Put") ? REFUSED_PUT : REFUSED_OTHER]++;
}

node_state_t node_service_state(task_t *t, node_service_t *s)
{
    chunk_stat_t stat;
    if (!s->keys.count)
        return NODE_STARTING;
    if (s->is_draining)
        return NODE_DRAINING;
    return !chunk_store_stat(t, s->chunks, &stat) && stat.used_bytes + CHUNK_MAX_BYTES > stat.capacity_bytes
               ? NODE_FULL
               : NODE_SERVING;
}

bool node_service_knows(task_t *t, node_service_t *s, const uint8_t fingerprint[TLS_FINGERPRINT_BYTES])
{
    enum { FRESH_MS = 60000, STALE_MS = 1000 };
    for (int round = 0; round < 2; round++) {
        if (node_read_peers(t, s, round ? STALE_MS : FRESH_MS)) /* a new node may not be in what is known */
            return false;
        for (size_t i = 0; i < s->n_peers; i++)
            if (s->peers[i].has_fingerprint && !s->peers[i].is_pending &&
                !memcmp(s->peers[i].fingerprint, fingerprint, TLS_FINGERPRINT_BYTES))
                return true;
    }
    return false;
}

/* ── tickets ─────────────────────────────────────────────────────────────────────────────────── */

static uint64_t now_s(task_t *t)
{
    return driver_wall_ms(task_driver(t)) / 1000;
}

static err_t need_keys(const node_service_t *s)
{
    return s->keys.count
               ? OK
               : fail(ERR_OFFLINE, "this storage node has not been let in by the metadata service yet");
}

/* What was written for this upload so far. When too many are under way, all are counted anew. */
static uint64_t *bytes_of_upload(node_service_t *s, const char *upload)
{
    uint64_t *n = map_get(&s->uploads, bytes_str(upload));
    if (n)
        return n;
    if (map_count(&s->uploads) >= UPLOADS_MAX) {
        free_values(&s->uploads);
        map_init(&s->uploads, UPLOADS_MAX);
    }
    n = xcalloc(1, sizeof *n);
    err_t e = map_put(&s->uploads, bytes_str(upload), n, NULL);
    assert(!e);
    return n;
}

err_t node_service_check_put(task_t *t, node_service_t *s, const char *ticket, const chunk_id_t *id,
                             uint64_t size)
{
    char upload[META_ID_CHARS + 1];
    uint64_t max;
    TRY(need_keys(s));
    TRY(ticket_write_check(&s->keys, ticket, now_s(t), upload, &max));
    if (s->is_draining)
        return fail(ERR_NO_SPACE, "this storage node is drained: it takes no new chunks");
    return *bytes_of_upload(s, upload) + size > max && !chunk_store_has(t, s->chunks, id, NULL)
               ? fail(ERR_LIMIT, "an upload of %llu bytes has been written in full", (unsigned long long)max)
               : OK;
}

err_t node_service_put(task_t *t, node_service_t *s, const char *ticket, const chunk_id_t *id, buf_t *data,
                       bool *ret_was_present, char ret_receipt[TICKET_TEXT_MAX])
{
    char upload[META_ID_CHARS + 1], text[META_CHUNK_ID_CHARS + 1];
    uint64_t max, size = data->len;
    TRY(node_service_check_put(t, s, ticket, id, size));
    TRY(ticket_write_check(&s->keys, ticket, now_s(t), upload, &max));
    *bytes_of_upload(s, upload) += size;
    err_t e = chunk_store_put(t, s->chunks, id, data, ret_was_present);
    if (e || *ret_was_present) { /* asked for again: it may have gone meanwhile */
        uint64_t *n = bytes_of_upload(s, upload);
        *n = *n < size ? 0 : *n - size;
    }
    TRY(e);
    chunk_id_print(id, text);
    ticket_receipt_make(&s->receipts, upload, text, size, s->id, ret_receipt);
    return OK;
}

err_t node_service_check_ipfs(task_t *t, node_service_t *s, const char *ticket,
                              char ret_file_id[META_ID_CHARS + 1], uint64_t *ret_max_bytes)
{
    TRY(need_keys(s));
    return ticket_ipfs_check(&s->keys, ticket, now_s(t), ret_file_id, ret_max_bytes);
}

err_t node_service_get(task_t *t, node_service_t *s, const char *ticket, bool is_node, const chunk_id_t *id,
                       block_t **ret)
{
    char text[META_CHUNK_ID_CHARS + 1];
    chunk_id_print(id, text);
    if (!is_node) {
        TRY(need_keys(s));
        err_t denied = ticket_read_check(&s->keys, ticket, text, now_s(t));
        if (denied)
            memcpy(s->refused_chunk, text, sizeof text);
        TRY(denied);
    }
    *ret = chunk_cache_get(&s->cache, id);
    if (*ret)
        return OK;
    err_t e = chunk_store_get(t, s->chunks, id, ret);
    if (e == ERR_CORRUPT) { /* gone from here, and on its way from another node soon */
        log_warn("a chunk is damaged", LOG_STR("chunk", text));
        if (chunk_store_check(t, s->chunks, id) == ERR_CORRUPT)
            node_report(s, REPORT_LOST, id);
        return fail(ERR_NOT_FOUND, "this node's copy of the chunk was damaged");
    }
    if (!e)
        chunk_cache_put(&s->cache, id, *ret);
    return e;
}

err_t node_service_delete(task_t *t, node_service_t *s, const chunk_id_t *ids, size_t n, size_t *ret_deleted)
{
    for (size_t i = 0; i < n; i++)
        chunk_cache_drop(&s->cache, &ids[i]);
    TRY(chunk_store_delete(t, s->chunks, ids, n, ret_deleted));
    for (size_t i = 0; i < n; i++) /* a read that went on meanwhile */
        chunk_cache_drop(&s->cache, &ids[i]);
    return OK;
}
