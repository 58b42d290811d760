/* nodes: storage nodes, what they report, and what they are told to do. Orders are rows of `locations`: a
 * copy that is to be deleted or made stays ordered until the node says that it is done, however often either
 * of them restarts. */
#include "meta/meta_impl.h"
#include <stdio.h>
#include <string.h>

enum { DELETES_MAX = 1000, REPLICATES_MAX = 100, ADDRESS_MAX = 255, ZONE_MAX = 64, FINGERPRINT_MAX = 128 };
#define NODE_COLUMNS                                                                                         \
    "n.id, n.address, n.zone, n.state, n.capacity_bytes, n.used_bytes, n.last_seen, n.fingerprint, (SELECT " \
    "count(*) FROM "                                                                                         \
    "locations l WHERE l.node_id = n.id AND l.state = 0) AS copies"

static const char *health_of(const meta_call_t *call, int64_t last_seen)
{
    int64_t silent = call->now_ms - last_seen, interval = call->m->options.heartbeat_ms;
    return silent <= 3 * interval ? "healthy" : silent <= 10 * interval ? "suspect" : "down";
}

static json_t *node_json(const meta_call_t *call, sql_rows_t *r)
{
    return json_pack("{s:s s:s s:s s:s s:s s:I s:I s:I s:o s:s}", "id", sql_text(r, 0), "address",
                     sql_text(r, 1), "zone", sql_text(r, 2), "state", sql_text(r, 3), "health",
                     health_of(call, sql_int(r, 6)), "capacity_bytes", (json_int_t)sql_int(r, 4),
                     "used_bytes", (json_int_t)sql_int(r, 5), "chunk_count", (json_int_t)sql_int(r, 8),
                     "last_heartbeat_at", json_time(sql_int(r, 6)), "fingerprint", sql_text(r, 7));
}

static err_t load_node(sql_t *c, meta_call_t *call, const char *id, json_t **ret)
{
    AUTO(sql_rows_t) r = {0};
    err_t e = sql_first(c, "SELECT " NODE_COLUMNS " FROM nodes n WHERE n.id = ?1", SQL(SQL_TEXT(id)), &r);
    if (e == ERR_NOT_FOUND)
        return fail(e, "there is no node %.40s", id);
    TRY(e);
    *ret = node_json(call, &r);
    return sql_close(&r);
}

OP(op_node_list)
{
    AUTO(sql_rows_t) r = {0};
    json_t *list = json_array();
    TRY(call_answer(call, 200, json_pack("{s:o}", "nodes", list)));
    TRY(sql_open(c, "SELECT " NODE_COLUMNS " FROM nodes n ORDER BY n.id LIMIT ?1", SQL(SQL_INT(NODES_MAX)),
                 &r));
    while (sql_next(&r))
        json_array_append_new(list, node_json(call, &r));
    return sql_close(&r);
}

OP(op_node_get)
{
    json_t *node;
    TRY(load_node(c, call, call->request->ids[0], &node));
    return call_answer(call, 200, node);
}

static json_t *ticket_keys_json(const meta_t *m)
{
    json_t *list = json_array();
    for (size_t i = 0; i < m->tickets.count; i++) {
        char key[48];
        if (!base64_text(bytes_of(m->tickets.list[i].key, TICKET_KEY_BYTES), key, sizeof key))
            json_array_append_new(
                list, json_pack("{s:I s:s}", "id", (json_int_t)m->tickets.list[i].id, "key", key));
        secret_wipe(key, sizeof key);
    }
    return list;
}

OP(op_node_register)
{
    static const char *const keys[] = {"id",         "address",     "zone", "capacity_bytes",
                                       "used_bytes", "fingerprint", NULL};
    static const char *const required[] = {"id", "address", "capacity_bytes", "used_bytes", NULL};
    json_t *body = call->request->body, *node;
    const char *id, *address, *zone, *fingerprint;
    int64_t capacity, used, n;
    TRY(json_check_members(body, keys, required));
    TRY(json_get_text(body, "id", "", &id));
    TRY(json_get_text(body, "address", "", &address));
    TRY(json_get_text(body, "zone", "", &zone));
    TRY(json_get_text(body, "fingerprint", "", &fingerprint));
    TRY(json_get_number(body, "capacity_bytes", 0, META_SIZE_MAX, &capacity));
    TRY(json_get_number(body, "used_bytes", 0, META_SIZE_MAX, &used));
    if (!meta_is_id(id) || !strchr(address, ':') || strlen(address) > ADDRESS_MAX ||
        strlen(zone) > ZONE_MAX || strlen(fingerprint) > FINGERPRINT_MAX)
        return fail(ERR_INVALID,
                    "a node has an id of 32 digits and an address HOST:PORT; or a text is too long");
    call_note(call, id, "address=%.100s zone=%.64s", address, zone);
    TRY(sql_number(c, "SELECT count(*) FROM nodes WHERE id <> ?1", SQL(SQL_TEXT(id)), 0, &n));
    if (n >= NODES_MAX)
        return fail(ERR_LIMIT, "there are %d nodes at most", NODES_MAX);
    TRY(sql_run(
        c,
        "INSERT INTO nodes (id, address, zone, state, capacity_bytes, used_bytes, last_seen, fingerprint, "
        "registered_at) VALUES (?1, ?2, ?3, 'active', ?4, ?5, ?6, ?7, ?6) ON CONFLICT (id) DO UPDATE SET "
        "address = "
        "?2, zone = ?3, capacity_bytes = ?4, used_bytes = ?5, last_seen = ?6, fingerprint = ?7",
        SQL(SQL_TEXT(id), SQL_TEXT(address), SQL_TEXT(zone), SQL_INT(capacity), SQL_INT(used),
            SQL_INT(call->now_ms), SQL_TEXT(fingerprint)),
        NULL));
    TRY(load_node(c, call, id, &node));
    return call_answer(call, 200,
                       json_pack("{s:o s:I s:o}", "node", node, "heartbeat_interval_ms",
                                 (json_int_t)call->m->options.heartbeat_ms, "ticket_keys",
                                 ticket_keys_json(call->m)));
}

/* ── heartbeats ──────────────────────────────────────────────────────────────────────────────── */
/* One list of the body: runs `text` with (node, chunk) for each of its ids. */
static err_t each_chunk(sql_t *c, meta_call_t *call, const char *key, const char *text)
{
    json_t *list = json_object_get(call->request->body, key), *one;
    size_t i;
    if (list && (!json_is_array(list) || json_array_size(list) > 1000))
        return fail(ERR_INVALID, "%s must be a list of up to 1000 chunks", key);
    json_array_foreach(list, i, one)
    {
        const char *id = json_string_value(one);
        if (!id || !meta_is_chunk_id(id))
            return fail(ERR_INVALID, "%s holds what is no id of a chunk", key);
        TRY(sql_run(c, text, SQL(SQL_TEXT(call->request->ids[0]), SQL_TEXT(id)), NULL));
    }
    return OK;
}

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

OP(op_node_heartbeat)
{
    static const char *const keys[] = {"used_bytes", "capacity_bytes", "deleted", "replicated",
                                       "failed",     "lost",           NULL};
    static const char *const required[] = {"used_bytes", "capacity_bytes", NULL};
    const char *id = call->request->ids[0];
    json_t *body = call->request->body, *deletes = json_array(), *replicates = json_array(), *node;
    int64_t capacity, used;
    uint64_t changed;
    TRY(call_answer(call, 200,
                    json_pack("{s:s s:o s:o s:o}", "state", "active", "ticket_keys",
                              ticket_keys_json(call->m), "delete", deletes, "replicate", replicates)));
    TRY(json_check_members(body, keys, required));
    TRY(json_get_number(body, "capacity_bytes", 0, META_SIZE_MAX, &capacity));
    TRY(json_get_number(body, "used_bytes", 0, META_SIZE_MAX, &used));
    TRY(sql_run(c, "UPDATE nodes SET capacity_bytes = ?1, used_bytes = ?2, last_seen = ?3 WHERE id = ?4",
                SQL(SQL_INT(capacity), SQL_INT(used), SQL_INT(call->now_ms), SQL_TEXT(id)), &changed));
    if (!changed)
        return fail(ERR_NOT_FOUND, "there is no node %.40s: register first", id);
    TRY(take_reports(c, call));
    AUTO(sql_rows_t) r = {0};
    TRY(sql_first(c, "SELECT state FROM nodes WHERE id = ?1", SQL(SQL_TEXT(id)), &r));
    node = json_string(sql_text(&r, 0));
    json_object_set_new(call->answer.body, "state", node);
    TRY(sql_close(&r));
    TRY(list_deletes(c, id, deletes));
    return list_replicates(c, call, id, replicates);
}

/* ── taking nodes out of service ─────────────────────────────────────────────────────────────── */
static err_t set_state(sql_t *c, meta_call_t *call, const char *state)
{
    uint64_t changed;
    json_t *node;
    TRY(sql_run(c, "UPDATE nodes SET state = ?1 WHERE id = ?2",
                SQL(SQL_TEXT(state), SQL_TEXT(call->request->ids[0])), &changed));
    if (!changed)
        return fail(ERR_NOT_FOUND, "there is no node %.40s", call->request->ids[0]);
    TRY(load_node(c, call, call->request->ids[0], &node));
    return call_answer(call, 200, node);
}

OP(op_node_drain)
{
    return set_state(c, call, "draining");
}

OP(op_node_undrain)
{
    return set_state(c, call, "active");
}

/* A node that is gone takes its copies along: its chunks must be elsewhere, or it must be down. */
OP(op_node_delete)
{
    const char *id = call->request->ids[0];
    int64_t copies, last_seen;
    TRY(sql_number(c, "SELECT last_seen FROM nodes WHERE id = ?1", SQL(SQL_TEXT(id)), -1, &last_seen));
    TRY(sql_number(c, "SELECT count(*) FROM locations WHERE node_id = ?1 AND state = 0", SQL(SQL_TEXT(id)), 0,
                   &copies));
    if (last_seen < 0)
        return fail(ERR_NOT_FOUND, "there is no node %.40s", id);
    if (copies && strcmp(health_of(call, last_seen), "down"))
        return fail(ERR_EXISTS, "the node has %lld chunks: drain it first", (long long)copies);
    call_note(call, id, "copies=%lld", (long long)copies);
    TRY(sql_run(c, "DELETE FROM locations WHERE node_id = ?1", SQL(SQL_TEXT(id)), NULL));
    TRY(sql_run(c, "DELETE FROM nodes WHERE id = ?1", SQL(SQL_TEXT(id)), NULL));
    return call_answer(call, 204, NULL);
}

/* ── chunks ──────────────────────────────────────────────────────────────────────────────────── */
OP(op_node_chunks)
{
    AUTO(sql_rows_t) r = {0};
    size_t limit, n = 0;
    const char *cursor = call_query(call, "cursor");
    json_t *list = json_array(), *last = NULL;
    TRY(call_answer(call, 200, json_pack("{s:o s:n}", "chunks", list, "next_cursor")));
    TRY(call_limit(call, &limit));
    TRY(sql_open(c,
                 "SELECT c.id, c.size FROM locations l JOIN chunks c ON c.id = l.chunk_id WHERE l.node_id = "
                 "?1 AND l.state = "
                 "0 AND l.chunk_id > ?2 ORDER BY l.chunk_id LIMIT ?3",
                 SQL(SQL_TEXT(call->request->ids[0]), SQL_TEXT(cursor ? cursor : ""), SQL_INT(limit + 1)),
                 &r));
    while (sql_next(&r) && n++ < limit)
        json_array_append_new(
            list, last = json_pack("{s:s s:I}", "id", sql_text(&r, 0), "size", (json_int_t)sql_int(&r, 1)));
    if (n > limit)
        json_object_set(call->answer.body, "next_cursor", json_object_get(last, "id"));
    return sql_close(&r);
}

static err_t answer_locations(sql_t *c, meta_call_t *call)
{
    AUTO(sql_rows_t) r = {0};
    const char *id = call->request->ids[0];
    json_t *list = json_array();
    int64_t size;
    TRY(call_answer(call, 200, json_pack("{s:s s:i s:o}", "id", id, "size", 0, "locations", list)));
    TRY(sql_number(c, "SELECT size FROM chunks WHERE id = ?1 AND is_live = 1", SQL(SQL_TEXT(id)), -1, &size));
    if (size < 0)
        return fail(ERR_NOT_FOUND, "no file has the chunk %.64s", id);
    json_object_set_new(call->answer.body, "size", json_integer(size));
    TRY(sql_open(c,
                 "SELECT n.id, n.address, l.state FROM locations l JOIN nodes n ON n.id = l.node_id WHERE "
                 "l.chunk_id = ?1 "
                 "AND l.state < 2 ORDER BY n.id LIMIT 1000",
                 SQL(SQL_TEXT(id)), &r));
    while (sql_next(&r))
        json_array_append_new(list,
                              json_pack("{s:s s:s s:s}", "node", sql_text(&r, 0), "address", sql_text(&r, 1),
                                        "state", sql_int(&r, 2) ? "deleting" : "stored"));
    return sql_close(&r);
}

OP(op_location_list)
{
    return answer_locations(c, call);
}

OP(op_location_report)
{
    static const char *const keys[] = {"node", "state", NULL};
    const char *node, *state, *chunk = call->request->ids[0];
    int64_t is_known;
    TRY(json_check_members(call->request->body, keys, keys));
    TRY(json_get_text(call->request->body, "node", "", &node));
    TRY(json_get_text(call->request->body, "state", "", &state));
    bool is_stored = !strcmp(state, "stored");
    if (!is_stored && strcmp(state, "lost"))
        return fail(ERR_INVALID, "state must be stored or lost");
    call_note(call, chunk, "node=%.32s %.8s", node, state);
    TRY(answer_locations(c, call)); /* is there such a chunk? */
    TRY(sql_number(c, "SELECT 1 FROM nodes WHERE id = ?1", SQL(SQL_TEXT(node)), 0, &is_known));
    if (!is_known)
        return fail(ERR_NOT_FOUND, "there is no node %.40s", node);
    if (is_stored)
        TRY(sql_run(c,
                    "INSERT INTO locations (chunk_id, node_id, state, since) VALUES (?1, ?2, 0, ?3) ON "
                    "CONFLICT (chunk_id, "
                    "node_id) DO UPDATE SET state = 0, since = ?3 WHERE locations.state = 2",
                    SQL(SQL_TEXT(chunk), SQL_TEXT(node), SQL_INT(call->now_ms)), NULL));
    else
        TRY(sql_run(c, "DELETE FROM locations WHERE chunk_id = ?1 AND node_id = ?2",
                    SQL(SQL_TEXT(chunk), SQL_TEXT(node)), NULL));
    return answer_locations(c, call);
}
