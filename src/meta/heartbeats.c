/* heartbeats: what storage nodes report, and what they are told to do. Orders are rows of `locations`: a copy
 * that is to be deleted or made stays ordered until the node says that it is done, however often either of
 * them restarts.
 *
 * Nodes remember the end of the log as they last saw it, and say it with each heartbeat. A service whose log
 * does not have that record was set back to an older backup: what it knows of copies is old, too. It then
 * begins a new incarnation: copies that were to go although their chunks are needed stay, and none is dropped
 * for being too many before the nodes of the others have said that they have what is expected of them
 * (jobs.c). */
#include "base/log.h"
#include "base/metrics.h"
#include "meta/meta_impl.h"
#include <stdio.h>
#include <string.h>

enum { DELETES_MAX = 1000, REPLICATES_MAX = 100, REPORTS_MAX = 1000, HASH_BYTES = 32 };
enum { SET_BACK_EVERY_MS = 3600000, SET_BACKS_AT_ONCE = 8 };

static json_t *ticket_keys_json(const ticket_keys_t *keys)
{
    json_t *list = json_array();
    for (size_t i = 0; i < keys->count; i++) {
        char key[48];
        if (!base64_text(bytes_of(keys->list[i].key, TICKET_KEY_BYTES), key, sizeof key))
            json_array_append_new(list,
                                  json_pack("{s:I s:s}", "id", (json_int_t)keys->list[i].id, "key", key));
        secret_wipe(key, sizeof key);
    }
    return list;
}

/* ── who the service is ──────────────────────────────────────────────────────────────────────── */
static err_t add_identity(sql_t *c, json_t *out)
{
    AUTO(sql_rows_t) r = {0};
    char hash[2 * HASH_BYTES + 1];
    TRY(sql_first(
        c,
        "SELECT s.service_id, s.incarnation, w.audit_seq, w.audit_hash FROM service s JOIN writer w "
        "ON w.id = s.id WHERE s.id = 1",
        SQL_NO_VALUES, &r));
    json_object_set_new(out, "service_id", json_string(sql_text(&r, 0)));
    json_object_set_new(out, "incarnation", json_integer(sql_int(&r, 1)));
    json_object_set_new(out, "log_head",
                        json_pack("{s:I s:s}", "seq", (json_int_t)sql_int(&r, 2), "hash",
                                  hex_text(sql_blob(&r, 3), hash, sizeof hash)));
    return sql_close(&r);
}

err_t node_tell(sql_t *c, const meta_call_t *call, const char *id, json_t *out)
{
    AUTO(sql_rows_t) r = {0};
    ticket_keys_t own, none = {0};
    TRY(sql_first(c, "SELECT state FROM nodes WHERE id = ?1", SQL(SQL_TEXT(id)), &r));
    bool is_in = strcmp(sql_text(&r, 0), "pending") != 0;
    json_object_set_new(out, "state", json_string(sql_text(&r, 0)));
    TRY(sql_close(&r));
    ticket_node_keys(&call->m->receipts, id, &own);
    json_object_set_new(out, "ticket_keys", ticket_keys_json(is_in ? &call->m->tickets : &none));
    json_object_set_new(out, "receipt_keys", ticket_keys_json(is_in ? &own : &none));
    secret_wipe(&own, sizeof own);
    return add_identity(c, out);
}

/* ── a service that was set back ─────────────────────────────────────────────────────────────── */
static err_t has_record(sql_t *c, int64_t seq, bytes_t hash, bool *ret)
{
    AUTO(sql_rows_t) r = {0};
    *ret = !seq; /* before the first record */
    if (!seq)
        return OK;
    err_t e = sql_first(c, "SELECT hash FROM audit WHERE seq = ?1", SQL(SQL_INT(seq)), &r);
    if (e)
        return e == ERR_NOT_FOUND ? OK : e;
    *ret = bytes_equal(sql_blob(&r, 0), hash);
    return sql_close(&r);
}

static metric_t *set_backs(void)
{
    return metric_counter("fs_set_back_total", NULL, "Times that the database was found to be set back.");
}

void heartbeats_open(void)
{
    metric_add(set_backs(), 0);
}

/* One that lies could keep the service from ever clearing up: each is heard so often. A restored database has
 * its right restored, too. */
static err_t is_heard(sql_t *c, const meta_call_t *call, bool *ret)
{
    const char *id = call->request->ids[0];
    int64_t until;
    TRY(sql_number(c, "SELECT set_back_until FROM nodes WHERE id = ?1", SQL(SQL_TEXT(id)), 0, &until));
    until = (until > call->now_ms ? until : call->now_ms) + SET_BACK_EVERY_MS;
    *ret = until <= call->now_ms + (int64_t)SET_BACKS_AT_ONCE * SET_BACK_EVERY_MS;
    return *ret ? sql_run(c, "UPDATE nodes SET set_back_until = ?1 WHERE id = ?2",
                          SQL(SQL_INT(until), SQL_TEXT(id)), NULL)
                : OK;
}

static err_t begin_incarnation(sql_t *c, meta_call_t *call, int64_t seq)
{
    bool is_new;
    TRY(is_heard(c, call, &is_new));
    call->audit.action = "service.set_back";
    call_note(call, call->request->ids[0], "the node has seen record %lld of another log", (long long)seq);
    call->is_loud = true;
    if (!is_new) {
        log_warn("a storage node says too often that the database was set back",
                 LOG_STR("node", call->request->ids[0]));
        snprintf(call->audit.outcome, sizeof call->audit.outcome, "%s", error_name(ERR_LIMIT));
        return OK;
    }
    log_warn("a storage node has seen a later state of this service: the database was set back");
    metric_add(set_backs(), 1);
    TRY(sql_run(c, "UPDATE service SET incarnation = incarnation + 1 WHERE id = 1", SQL_NO_VALUES, NULL));
    return sql_run(c,
                   "UPDATE locations SET state = 0 WHERE state > 0 AND state = 1 AND EXISTS (SELECT 1 FROM "
                   "chunks c WHERE c.id = "
                   "locations.chunk_id AND c.is_live = 1)",
                   SQL_NO_VALUES, NULL);
}

err_t node_seen_is_known(sql_t *c, const meta_call_t *call, bool *ret, int64_t *ret_seq)
{
    static const char *const keys[] = {"seq", "hash", NULL};
    json_t *seen = json_object_get(call->request->body, "log_seen");
    const char *text;
    AUTO(buf_t) hash = {0};
    *ret = true;
    if (!seen)
        return OK;
    TRY(json_check_members(seen, keys, keys));
    TRY(json_get_number(seen, "seq", 0, INT64_MAX / 16, ret_seq));
    TRY(json_get_text(seen, "hash", "", &text));
    buf_init(&hash, HASH_BYTES);
    if (!meta_is_chunk_id(text))
        return fail(ERR_INVALID, "the hash of log_seen has 64 digits");
    TRY(hex_decode(bytes_str(text), &hash));
    return has_record(c, *ret_seq, buf_bytes(&hash), ret);
}

static err_t check_seen(sql_t *c, meta_call_t *call)
{
    bool is_known;
    int64_t seq;
    TRY(node_seen_is_known(c, call, &is_known, &seq));
    return is_known ? OK : begin_incarnation(c, call, seq);
}

/* ── what a node reports ─────────────────────────────────────────────────────────────────────── */
/* One list of the body: runs `text` with (node, chunk) for each of its ids. */
static err_t each_chunk(sql_t *c, meta_call_t *call, const char *key, const char *text)
{
    json_t *list = json_object_get(call->request->body, key), *one;
    size_t i;
    if (list && (!json_is_array(list) || json_array_size(list) > REPORTS_MAX))
        return fail(ERR_INVALID, "%s must be a list of up to %d chunks", key, REPORTS_MAX);
    json_array_foreach(list, i, one)
    {
        const char *id = json_string_value(one);
        if (!id || !meta_is_chunk_id(id))
            return fail(ERR_INVALID, "%s holds what is no id of a chunk", key);
        TRY(sql_run(c, text, SQL(SQL_TEXT(call->request->ids[0]), SQL_TEXT(id)), NULL));
    }
    return OK;
}

/* Chunks that no file needs and no node has any more. */
static err_t forget_dead(sql_t *c, meta_call_t *call)
{
    if (!json_array_size(json_object_get(call->request->body, "deleted")))
        return OK;
    return sql_run(
        c,
        "DELETE FROM chunks WHERE is_live = 0 AND NOT EXISTS (SELECT 1 FROM locations l WHERE l.chunk_id = "
        "chunks.id)",
        SQL_NO_VALUES, NULL);
}

static err_t take_reports(sql_t *c, meta_call_t *call)
{
    /* First: what was found may have been deleted since. */
    TRY(each_chunk(c, call, "found",
                   "INSERT INTO locations (chunk_id, node_id, state, since) SELECT id, ?1, 0, 0 FROM chunks "
                   "WHERE id = ?2 AND is_live = 1 ON CONFLICT (chunk_id, node_id) DO UPDATE SET state = 0 "
                   "WHERE locations.state = 2"));
    TRY(each_chunk(c, call, "deleted",
                   "DELETE FROM locations WHERE node_id = ?1 AND chunk_id = ?2 AND state = 1"));
    TRY(each_chunk(c, call, "replicated",
                   "UPDATE locations SET state = 0 WHERE node_id = ?1 AND chunk_id = ?2 AND state = 2"));
    TRY(each_chunk(c, call, "failed",
                   "DELETE FROM locations WHERE node_id = ?1 AND chunk_id = ?2 AND state = 2"));
    TRY(each_chunk(c, call, "lost",
                   "DELETE FROM locations WHERE node_id = ?1 AND chunk_id = ?2 AND state = 0"));
    return forget_dead(c, call);
}

/* ── what it is told ─────────────────────────────────────────────────────────────────────────── */
static err_t list_deletes(sql_t *c, const char *node, json_t *out)
{
    AUTO(sql_rows_t) r = {0};
    TRY(sql_open(c, "SELECT chunk_id FROM locations WHERE node_id = ?1 AND state = 1 LIMIT ?2",
                 SQL(SQL_TEXT(node), SQL_INT(DELETES_MAX)), &r));
    while (sql_next(&r))
        json_array_append_new(out, json_string(sql_text(&r, 0)));
    return sql_close(&r);
}

static err_t list_sources(sql_t *c, const char *chunk, const char *node, json_t *out)
{
    AUTO(sql_rows_t) r = {0};
    TRY(sql_open(
        c,
        "SELECT n.id, n.address FROM locations l JOIN nodes n ON n.id = l.node_id WHERE l.chunk_id = ?1 AND "
        "l.state = 0 AND l.node_id <> ?2 ORDER BY n.last_seen DESC LIMIT 16",
        SQL(SQL_TEXT(chunk), SQL_TEXT(node)), &r));
    while (sql_next(&r))
        json_array_append_new(out,
                              json_pack("{s:s s:s}", "node", sql_text(&r, 0), "address", sql_text(&r, 1)));
    return sql_close(&r);
}

static err_t list_replicates(sql_t *c, meta_call_t *call, const char *node, json_t *out)
{
    AUTO(sql_rows_t) r = {0};
    char ticket[TICKET_TEXT_MAX];
    TRY(sql_open(c,
                 "SELECT l.chunk_id, c.size FROM locations l JOIN chunks c ON c.id = l.chunk_id WHERE "
                 "l.node_id = ?1 AND "
                 "l.state = 2 AND c.is_live = 1 LIMIT ?2",
                 SQL(SQL_TEXT(node), SQL_INT(REPLICATES_MAX)), &r));
    while (sql_next(&r)) {
        json_t *from = json_array();
        ticket_read_make(&call->m->tickets, sql_text(&r, 0), (uint64_t)(call->now_ms / 1000 + TICKET_TTL_S),
                         ticket);
        TRY(list_sources(c, sql_text(&r, 0), node, from));
        json_array_append_new(out, json_pack("{s:s s:I s:s s:o}", "id", sql_text(&r, 0), "size",
                                             (json_int_t)sql_int(&r, 1), "ticket", ticket, "from", from));
    }
    return sql_close(&r);
}

/* What the node refused since the last time: one record. */
static err_t note_refused(meta_call_t *call)
{
    static const char *const keys[] = {"get", "put", "other", "chunk", NULL};
    json_t *o = json_object_get(call->request->body, "refused");
    int64_t n[3];
    const char *chunk;
    if (!o || call->is_loud) /* that it was set back is more */
        return OK;
    TRY(json_check_members(o, keys, NULL));
    TRY(json_get_text(o, "chunk", "", &chunk));
    for (size_t i = 0; i < ARRAY_LEN(n); i++)
        TRY(json_get_number(o, keys[i], 0, INT64_MAX / 16, &n[i]));
    if (*chunk && !meta_is_chunk_id(chunk))
        return fail(ERR_INVALID, "refused names what is no chunk");
    call->audit.action = "chunk.refused";
    call_note(call, *chunk ? chunk : call->request->ids[0], "get=%lld put=%lld other=%lld", (long long)n[0],
              (long long)n[1], (long long)n[2]);
    snprintf(call->audit.outcome, sizeof call->audit.outcome, "%s", error_name(ERR_DENIED));
    call->is_loud = true;
    return OK;
}

OP(op_node_heartbeat)
{
    static const char *const keys[] = {"used_bytes", "capacity_bytes", "deleted", "replicated",
                                       "failed",     "lost",           "found",   "log_seen",
                                       "checked",    "refused",        NULL};
    static const char *const required[] = {"used_bytes", "capacity_bytes", NULL};
    const char *id = call->request->ids[0];
    json_t *body = call->request->body, *deletes = json_array(), *replicates = json_array();
    int64_t capacity, used, checked;
    bool is_let_in;
    TRY(call_answer(call, 200, json_pack("{s:o s:o}", "delete", deletes, "replicate", replicates)));
    TRY(json_check_members(body, keys, required));
    TRY(json_get_number(body, "capacity_bytes", 0, META_SIZE_MAX, &capacity));
    TRY(json_get_number(body, "used_bytes", 0, META_SIZE_MAX, &used));
    TRY(json_get_number(body, "checked", -1, INT64_MAX / 16, &checked));
    TRY(node_check_self(c, call, id));
    TRY(sql_run(
        c,
        "UPDATE nodes SET capacity_bytes = ?1, used_bytes = ?2, last_seen = ?3, checked = CASE WHEN ?5 "
        "< 0 THEN checked ELSE ?5 END WHERE id = ?4",
        SQL(SQL_INT(capacity), SQL_INT(used), SQL_INT(call->now_ms), SQL_TEXT(id), SQL_INT(checked)), NULL));
    TRY(node_is_let_in(c, id, &is_let_in));
    if (is_let_in) {
        TRY(check_seen(c, call));
        TRY(note_refused(call));
        TRY(take_reports(c, call));
    }
    TRY(node_tell(c, call, id, call->answer.body));
    TRY(list_deletes(c, id, deletes));
    return list_replicates(c, call, id, replicates);
}
