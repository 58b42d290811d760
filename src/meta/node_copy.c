/* node_copy: fetching chunks from other storage nodes. */
#include "base/log.h"
#include "base/metrics.h"
#include "meta/chunk_link.h"
#include "meta/node_internal.h"
#include <stdlib.h>

enum { COPY_TIMEOUT_MS = 120000 };

static const storage_peer_t *peer_at(const node_service_t *s, const char *address)
{
    for (size_t i = 0; i < s->n_peers; i++)
        if (!strcmp(s->peers[i].address, address))
            return &s->peers[i];
    return NULL;
}

static err_t fetch_from(task_t *t, node_service_t *s, const node_copy_t *c, const char *address, buf_t *out)
{
    const storage_peer_t *peer = peer_at(s, address);
    grpc_conn_t *conn;
    uint8_t fingerprint[TLS_FINGERPRINT_BYTES];
    bool has_fingerprint = peer && peer->has_fingerprint;
    if (has_fingerprint)
        memcpy(fingerprint, peer->fingerprint, sizeof fingerprint);
    TRY(grpc_connect(t, &(grpc_target_t){address, s->tls, has_fingerprint ? fingerprint : NULL}, &conn));
    err_t e = chunk_link_get(t, conn, &c->id, c->ticket, 0, 0, out);
    error_slot_t why = *error_slot();
    grpc_conn_close(t, conn);
    *error_slot() = why;
    return e;
}

static err_t fetch_and_keep(task_t *t, node_service_t *s, const node_copy_t *c, const char *address,
                            bool *ret_present)
{
    AUTO(buf_t) data = {0};
    buf_init(&data, CHUNK_MAX_BYTES);
    TRY(fetch_from(t, s, c, address, &data));
    return chunk_store_put(t, s->chunks, &c->id, &data, ret_present);
}

err_t node_service_replicate(task_t *t, node_service_t *s, const node_copy_t *c, bool *ret_was_present)
{
    if (chunk_store_has(t, s->chunks, &c->id, NULL)) {
        err_t sound = chunk_store_check(t, s->chunks, &c->id);
        *ret_was_present = true;
        if (sound != ERR_CORRUPT)
            return sound;
    }
    err_t e = node_read_peers(t, s, 60000);
    if (!e)
        e = fail(ERR_NOT_FOUND, "no node was named that has the chunk");
    for (size_t i = 0; i < c->n_from && e && e != ERR_CANCELED && e != ERR_NO_SPACE; i++) {
        deadline_t d = deadline_push(t, COPY_TIMEOUT_MS);
        e = fetch_and_keep(t, s, c, c->from[i], ret_was_present);
        deadline_pop(t, &d);
        if (e)
            log_warn("a copy could not be fetched", LOG_STR("from", c->from[i]), LOG_ERR(e));
    }
    return e;
}

/* ── copies that the metadata service asks for ───────────────────────────────────────────────── */

typedef struct copy_job {
    node_service_t *service;
    node_copy_t copy;
} copy_job_t;

static metric_t *latency_metric(void)
{
    static const double bounds[] = {0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120};
    return metric_histogram("fs_replication_latency_seconds", NULL,
                            "How long fetching a copy from another node took", bounds, ARRAY_LEN(bounds));
}

static err_t copy_task(task_t *t, void *arg)
{
    copy_job_t *j = arg;
    bool was_present;
    uint64_t began_ms = task_now_ms(t);
    err_t e = node_service_replicate(t, j->service, &j->copy, &was_present);
    if (!e)
        metric_observe(latency_metric(), (double)(task_now_ms(t) - began_ms) / 1000);
    if (e != ERR_CANCELED)
        node_report(j->service, e ? REPORT_FAILED : REPORT_REPLICATED, &j->copy.id);
    map_remove(&j->service->copying, bytes_of(&j->copy.id, sizeof j->copy.id));
    event_fire(&j->service->wake);
    free(j);
    return e == ERR_CANCELED ? e : OK;
}

void node_begin_copy(node_service_t *s, const node_copy_t *c)
{
    bytes_t key = bytes_of(&c->id, sizeof c->id);
    if (s->copies.count >= COPIES_AT_ONCE || map_has(&s->copying, key) || map_put(&s->copying, key, s, NULL))
        return; /* the order is repeated */
    copy_job_t *j = xmalloc(sizeof *j);
    *j = (copy_job_t){s, *c};
    if (group_spawn(&s->copies, "copy", copy_task, j, NULL)) {
        map_remove(&s->copying, key);
        free(j);
    }
}
