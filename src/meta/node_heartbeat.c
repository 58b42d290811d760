/* node_heartbeat: what the storage node and the metadata service say to each other. */
#include "base/log.h"
#include "base/metrics.h"
#include "meta/node_internal.h"
#include "wire/storage.pb-c.h"
#include <stdlib.h>

enum { INTERVAL_MIN_MS = 100, INTERVAL_MAX_MS = 300000, RETRY_MS = 2000 };

void node_report(node_service_t *s, report_kind_t kind, const chunk_id_t *id)
{
    report_list_t *l = &s->reports[kind];
    if (l->n == REPORT_MAX)
        return;
    if (l->n == l->cap) {
        l->cap = l->cap ? 2 * l->cap : 16;
        l->ids = xrealloc(l->ids, l->cap * sizeof *l->ids);
    }
    l->ids[l->n++] = *id;
}

/* ── the other nodes ─────────────────────────────────────────────────────────────────────────── */

err_t node_read_peers(task_t *t, node_service_t *s, uint64_t max_age_ms)
{
    AUTO_PTR(json_t) answer = NULL;
    if (s->peers_at_ms && task_now_ms(t) - s->peers_at_ms < max_age_ms)
        return OK;
    if (!s->has_rest)
        return fail(ERR_OFFLINE, "the metadata service is not known yet");
    TRY(rest_do(t, &s->rest, "GET", "/nodes", NULL, &answer));
    const json_t *list = json_object_get(answer, "nodes");
    size_t n = json_array_size(list) < PEERS_MAX ? json_array_size(list) : PEERS_MAX;
    storage_peer_t *peers = xcalloc(n ? n : 1, sizeof *peers);
    for (size_t i = 0; i < n; i++)
        storage_peer_read(json_array_get(list, i), &peers[i]);
    free(s->peers);
    s->peers = peers;
    s->n_peers = n;
    s->peers_at_ms = task_now_ms(t);
    return OK;
}

/* Asks the bootstrap nodes where the metadata service is. */
static err_t find_metadata(task_t *t, node_service_t *s)
{
    AUTO(buf_t) out = {0};
    buf_init(&out, 4096);
    err_t e = ERR_OFFLINE;
    for (size_t i = 0; i < s->n_bootstrap && !s->has_rest; i++) {
        grpc_conn_t *c;
        e = grpc_connect(t, &(grpc_target_t){s->bootstrap[i], s->tls, NULL}, &c);
        if (e)
            continue;
        e = grpc_unary(t, c, "/distribute.storage.v1.ChunkStore/Health", BYTES_NONE, &out);
        grpc_conn_close(t, c);
        Distribute__Storage__V1__HealthResponse *r =
            e ? NULL : distribute__storage__v1__health_response__unpack(NULL, out.len, out.data);
        if (r && *r->metadata) {
            char secret[REST_SECRET_MAX_BYTES];
            snprintf(secret, sizeof secret, "%s", s->join.secret);
            s->has_rest =
                !rest_init(&s->rest, r->metadata, s->key) && !rest_init(&s->join, r->metadata, secret);
            secret_wipe(secret, sizeof secret);
        }
        if (r)
            distribute__storage__v1__health_response__free_unpacked(r, NULL);
    }
    return s->has_rest ? OK : fail(ERR_OFFLINE, "no bootstrap node knows the metadata service");
}

/* ── registration ────────────────────────────────────────────────────────────────────────────── */

static err_t read_key_list(const json_t *list, ticket_keys_t *ret)
{
    ticket_keys_t keys = {0};
    size_t n = json_array_size(list) < TICKET_KEYS_MAX ? json_array_size(list) : TICKET_KEYS_MAX;
    for (size_t i = 0; i < n; i++) {
        uint64_t id;
        TRY(rest_number(json_array_get(list, i), "id", &id));
        TRY(rest_key32(json_array_get(list, i), "key", keys.list[i].key));
        keys.list[i].id = (uint32_t)id;
    }
    keys.count = n;
    *ret = keys;
    secret_wipe(&keys, sizeof keys);
    return OK;
}

static void forget_keys(node_service_t *s)
{
    secret_wipe(&s->keys, sizeof s->keys);
    secret_wipe(&s->receipts, sizeof s->receipts);
    s->is_registered = false;
}

static err_t note_incarnation(task_t *t, node_service_t *s, const json_t *answer)
{
    uint64_t incarnation;
    TRY(rest_number(answer, "incarnation", &incarnation));
    TRY(node_set_incarnation(t, s, (int64_t)incarnation));
    if (s->checked != s->incarnation)
        event_fire(&s->recheck);
    return OK;
}

/* What registration and heartbeats say alike. Nothing of it counts from another service than the chunks are
 * of. */
static err_t read_service(task_t *t, node_service_t *s, const json_t *answer)
{
    const char *state;
    err_t e = node_check_service(t, s, answer);
    if (e) {
        forget_keys(s);
        return e;
    }
    TRY(rest_text(answer, "state", &state));
    TRY(read_key_list(json_object_get(answer, "ticket_keys"), &s->keys));
    TRY(read_key_list(json_object_get(answer, "receipt_keys"), &s->receipts));
    s->is_draining = strcmp(state, "active") != 0;
    if ((!s->keys.count || !s->receipts.count) && strcmp(state, "pending"))
        return fail(ERR_PROTOCOL, "the metadata service gives no key for tickets");
    TRY(note_incarnation(t, s, answer));
    return node_note_head(t, s, answer);
}

static void note_interval(node_service_t *s, const json_t *answer)
{
    uint64_t ms;
    if (rest_number(answer, "heartbeat_interval_ms", &ms))
        return;
    s->interval_ms = ms < INTERVAL_MIN_MS ? INTERVAL_MIN_MS : ms > INTERVAL_MAX_MS ? INTERVAL_MAX_MS : ms;
}

static err_t add_room(task_t *t, node_service_t *s, json_t *body)
{
    chunk_stat_t stat;
    TRY(chunk_store_stat(t, s->chunks, &stat));
    metric_set(metric_gauge("fs_storage_used_bytes", NULL, "Bytes of chunks that this storage node keeps"),
               (double)stat.used_bytes);
    json_object_set_new(body, "used_bytes", json_integer((json_int_t)stat.used_bytes));
    json_object_set_new(body, "capacity_bytes", json_integer((json_int_t)stat.capacity_bytes));
    return OK;
}

static err_t make_registration(task_t *t, node_service_t *s, json_t **ret)
{
    char fingerprint[2 * TLS_FINGERPRINT_BYTES + 1], hash[META_CHUNK_ID_CHARS + 1];
    AUTO_PTR(json_t) body = json_object();
    TRY(add_room(t, s, body));
    node_key_hash(s, hash);
    json_object_set_new(body, "key_sha256", json_string(hash));
    if (s->service_id[0])
        json_object_set_new(body, "service_id", json_string(s->service_id));
    json_object_set_new(body, "id", json_string(s->id));
    json_object_set_new(body, "address", json_string(s->address));
    json_object_set_new(body, "zone", json_string(s->zone));
    if (s->tls) {
        bytes_t raw = bytes_of(tls_mutual_fingerprint(s->tls), TLS_FINGERPRINT_BYTES);
        json_object_set_new(body, "fingerprint", json_string(hex_text(raw, fingerprint, sizeof fingerprint)));
    }
    *ret = json_incref(body);
    return OK;
}

/* With the key that lets nodes join; when that is not in force any more, a node that is known shows its own.
 */
static err_t ask_to_join(task_t *t, node_service_t *s, json_t *body, json_t **ret_answer)
{
    err_t e = *s->join.secret ? rest_do(t, &s->join, "POST", "/nodes", json_incref(body), ret_answer)
                              : fail(ERR_UNAUTHORIZED, "there is no key to join with");
    if (e == ERR_UNAUTHORIZED) {
        error_slot_t why = *error_slot();
        e = rest_do(t, &s->rest, "POST", "/nodes", json_incref(body), ret_answer);
        if (e == ERR_UNAUTHORIZED)
            *error_slot() = why;
    }
    json_decref(body);
    return e;
}

static err_t register_node(task_t *t, node_service_t *s)
{
    AUTO_PTR(json_t) answer = NULL;
    chunk_stat_t stat;
    json_t *body = NULL;
    if (!s->has_rest)
        TRY(find_metadata(t, s));
    TRY(chunk_store_stat(t, s->chunks, &stat));
    if (!stat.chunks && s->service_id[0]) /* nothing to lose */
        TRY(node_forget_service(t, s, NULL));
    TRY(make_registration(t, s, &body));
    TRY(ask_to_join(t, s, body, &answer));
    TRY(read_service(t, s, answer));
    note_interval(s, answer);
    s->is_registered = true;
    if (s->checked != s->incarnation)
        event_fire(&s->recheck);
    log_info("registered with the metadata service", LOG_STR("metadata", s->rest.url),
             LOG_STR("node", s->id));
    return OK;
}

/* ── heartbeats ──────────────────────────────────────────────────────────────────────────────── */

static const char *const report_names[REPORT_KINDS] = {"deleted", "replicated", "failed", "lost", "found"};

static json_t *ids_json(const report_list_t *l)
{
    char text[META_CHUNK_ID_CHARS + 1];
    json_t *list = json_array();
    for (size_t i = 0; i < l->n; i++) {
        chunk_id_print(&l->ids[i], text);
        json_array_append_new(list, json_string(text));
    }
    return list;
}

/* What was said is forgotten; what came up meanwhile stays. */
static void forget_reports(node_service_t *s, const size_t said[REPORT_KINDS])
{
    for (size_t i = 0; i < REPORT_KINDS; i++) {
        report_list_t *l = &s->reports[i];
        l->n -= said[i];
        if (said[i] && l->n)
            memmove(l->ids, l->ids + said[i], l->n * sizeof *l->ids);
    }
}

static err_t follow_deletes(task_t *t, node_service_t *s, const json_t *list)
{
    enum { AT_ONCE = 256 };
    chunk_id_t ids[AT_ONCE];
    size_t n = 0, deleted, total = json_array_size(list) < REPORT_MAX ? json_array_size(list) : REPORT_MAX;
    for (size_t i = 0; i < total; i++) {
        const char *text = json_string_value(json_array_get(list, i));
        if (text && !chunk_id_parse(text, &ids[n]))
            n++;
        if (n && (n == AT_ONCE || i + 1 == total)) {
            TRY(node_service_delete(t, s, ids, n, &deleted));
            for (size_t k = 0; k < n; k++)
                node_report(s, REPORT_DELETED, &ids[k]);
            n = 0;
        }
    }
    return OK;
}

static err_t read_copy(const json_t *o, node_copy_t *ret)
{
    const char *id, *ticket, *address;
    const json_t *from = json_object_get(o, "from");
    *ret = (node_copy_t){0};
    TRY(rest_text(o, "id", &id));
    TRY(rest_text(o, "ticket", &ticket));
    TRY(rest_number(o, "size", &ret->size_bytes));
    TRY(chunk_id_parse(id, &ret->id));
    snprintf(ret->ticket, sizeof ret->ticket, "%s", ticket);
    for (size_t i = 0; i < json_array_size(from) && ret->n_from < NODE_FROM_MAX; i++) {
        TRY(rest_text(json_array_get(from, i), "address", &address));
        snprintf(ret->from[ret->n_from++], sizeof ret->from[0], "%s", address);
    }
    return OK;
}

static void follow_copies(node_service_t *s, const json_t *list)
{
    node_copy_t *c = xmalloc(sizeof *c);
    for (size_t i = 0; i < json_array_size(list); i++)
        if (!read_copy(json_array_get(list, i), c))
            node_begin_copy(s, c);
    free(c);
}

static const char *const refused_names[REFUSED_KINDS] = {"get", "put", "other"};

/* NULL: none. */
static json_t *refused_json(const node_service_t *s)
{
    json_t *o = json_object();
    uint64_t all = 0;
    for (size_t i = 0; i < REFUSED_KINDS; i++) {
        all += s->refused[i];
        json_object_set_new(o, refused_names[i], json_integer((json_int_t)s->refused[i]));
    }
    if (s->refused_chunk[0])
        json_object_set_new(o, "chunk", json_string(s->refused_chunk));
    if (all)
        return o;
    json_decref(o);
    return NULL;
}

static void forget_refused(node_service_t *s, const json_t *said)
{
    for (size_t i = 0; i < REFUSED_KINDS && said; i++)
        s->refused[i] -= (uint64_t)json_integer_value(json_object_get(said, refused_names[i]));
    if (said)
        s->refused_chunk[0] = 0;
}

static err_t beat(task_t *t, node_service_t *s)
{
    AUTO_PTR(json_t) answer = NULL;
    char path[META_ID_CHARS + 32];
    size_t said[REPORT_KINDS];
    json_t *body = json_object();
    err_t e = add_room(t, s, body);
    for (size_t i = 0; i < REPORT_KINDS; i++) {
        said[i] = s->reports[i].n;
        if (said[i])
            json_object_set_new(body, report_names[i], ids_json(&s->reports[i]));
    }
    AUTO_PTR(json_t) refused = refused_json(s);
    if (refused)
        json_object_set(body, "refused", refused);
    if (s->seen.is_known)
        json_object_set_new(body, "log_seen", node_seen_json(s));
    if (s->checked >= 0)
        json_object_set_new(body, "checked", json_integer(s->checked));
    snprintf(path, sizeof path, "/nodes/%s/heartbeat", s->id);
    if (e) {
        json_decref(body);
        return e;
    }
    TRY(rest_do(t, &s->rest, "PUT", path, body, &answer));
    TRY(read_service(t, s, answer));
    forget_reports(s, said);
    forget_refused(s, refused);
    follow_copies(s, json_object_get(answer, "replicate"));
    return follow_deletes(t, s, json_object_get(answer, "delete"));
}

static bool has_reports(const node_service_t *s)
{
    for (size_t i = 0; i < REPORT_KINDS; i++)
        if (s->reports[i].n)
            return true;
    return false;
}

err_t node_heartbeat_task(task_t *t, void *service)
{
    node_service_t *s = service;
    bool was_ok = true;
    for (;;) {
        err_t e = s->is_registered ? beat(t, s) : register_node(t, s);
        if (e == ERR_CANCELED)
            return e;
        if (e == ERR_NOT_FOUND || e == ERR_UNAUTHORIZED) /* the service has forgotten us, or is another one */
            forget_keys(s);
        if (e && was_ok)
            log_warn("the metadata service does not answer as it should", LOG_ERR(e));
        was_ok = !e;
        metric_set(metric_gauge("fs_node_health_status", NULL, "1: this storage node is in service"),
                   s->keys.count && !s->is_draining && !e);
        deadline_t d = deadline_push(t, e ? RETRY_MS : has_reports(s) ? INTERVAL_MIN_MS : s->interval_ms);
        e = event_wait(t, &s->wake);
        deadline_pop(t, &d);
        if (e == ERR_CANCELED)
            return e;
        if (!e) /* several copies that end together are one report */
            TRY(task_sleep(t, INTERVAL_MIN_MS));
    }
}
