/* nodes: storage nodes: registering, taking out of service, and what is where. Each registers with a key of
 * its own making, which it shows from then on; the key that all know only lets new ones join. */
#include "meta/meta_impl.h"
#include <stdio.h>
#include <string.h>

enum { ADDRESS_MAX = 255, ZONE_MAX = 64, FINGERPRINT_MAX = 128 };
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

/* ── registering ─────────────────────────────────────────────────────────────────────────────── */
typedef struct node_form {
    const char *id, *address, *zone, *fingerprint, *service;
    int64_t capacity, used;
    buf_t key_hash; /* SHA-256 of the node's own key */
} node_form_t;

static void node_form_deinit(node_form_t *f)
{
    buf_deinit(&f->key_hash);
}
AUTO_DEFINE(node_form_t, node_form_deinit)

static err_t read_form(json_t *body, node_form_t *f)
{
    static const char *const keys[] = {"id",         "address",     "zone",       "capacity_bytes",
                                       "used_bytes", "fingerprint", "key_sha256", "service_id",
                                       NULL};
    static const char *const required[] = {"id",         "address",    "capacity_bytes",
                                           "used_bytes", "key_sha256", NULL};
    const char *hash;
    TRY(json_check_members(body, keys, required));
    TRY(json_get_text(body, "id", "", &f->id));
    TRY(json_get_text(body, "address", "", &f->address));
    TRY(json_get_text(body, "zone", "", &f->zone));
    TRY(json_get_text(body, "fingerprint", "", &f->fingerprint));
    TRY(json_get_text(body, "service_id", "", &f->service));
    TRY(json_get_text(body, "key_sha256", "", &hash));
    TRY(json_get_number(body, "capacity_bytes", 0, META_SIZE_MAX, &f->capacity));
    TRY(json_get_number(body, "used_bytes", 0, META_SIZE_MAX, &f->used));
    if (!meta_is_id(f->id) || !strchr(f->address, ':') || strlen(f->address) > ADDRESS_MAX ||
        strlen(f->zone) > ZONE_MAX || strlen(f->fingerprint) > FINGERPRINT_MAX || !meta_is_chunk_id(hash))
        return fail(ERR_INVALID, "a node has an id of 32 digits, an address HOST:PORT and the SHA-256 of its "
                                 "key in 64 digits; or a text is too long");
    buf_init(&f->key_hash, 32);
    return hex_decode(bytes_str(hash), &f->key_hash);
}

/* Chunks that are kept for another service must not be taken for leftovers of this one. */
static err_t check_service(sql_t *c, const node_form_t *f)
{
    AUTO(sql_rows_t) r = {0};
    TRY(sql_first(c, "SELECT service_id FROM service WHERE id = 1", SQL_NO_VALUES, &r));
    if (*f->service && strcmp(f->service, sql_text(&r, 0)))
        return fail(
            ERR_EXISTS,
            "the node keeps chunks of the metadata service %.40s; this one is %s, with another database",
            f->service, sql_text(&r, 0));
    return sql_close(&r);
}

/* A node that is here already shows its own key, or (its answer may have been lost) registers with the same
 * one again. */
static err_t check_identity(sql_t *c, const meta_call_t *call, const node_form_t *f, bool *ret_is_new)
{
    AUTO(sql_rows_t) r = {0};
    const principal_t *by = &call->by;
    if (by->node_id[0] && strcmp(by->node_id, f->id))
        return fail(ERR_DENIED, "this is the key of another storage node");
    err_t e = sql_first(c, "SELECT key_hash FROM nodes WHERE id = ?1", SQL(SQL_TEXT(f->id)), &r);
    *ret_is_new = e == ERR_NOT_FOUND;
    if (*ret_is_new)
        return OK;
    TRY(e);
    if (!by->node_id[0] && !sql_is_null(&r, 0) && !bytes_equal(sql_blob(&r, 0), buf_bytes(&f->key_hash)))
        return fail(ERR_DENIED, "node %s is registered with another key: an admin forgets it first", f->id);
    return sql_close(&r);
}

static err_t insert_node(sql_t *c, const meta_call_t *call, const node_form_t *f)
{
    int64_t n;
    TRY(sql_number(c, "SELECT count(*) FROM nodes WHERE id <> ?1", SQL(SQL_TEXT(f->id)), 0, &n));
    if (n >= NODES_MAX)
        return fail(ERR_LIMIT, "there are %d nodes at most", NODES_MAX);
    return sql_run(
        c,
        "INSERT INTO nodes (id, address, zone, state, capacity_bytes, used_bytes, last_seen, fingerprint, "
        "registered_at, key_hash, checked) SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?7, ?9, incarnation FROM "
        "service WHERE id = 1",
        SQL(SQL_TEXT(f->id), SQL_TEXT(f->address), SQL_TEXT(f->zone),
            SQL_TEXT(call->m->options.approves_nodes && !call_is(call, MAY_ADMIN) ? "pending" : "active"),
            SQL_INT(f->capacity), SQL_INT(f->used), SQL_INT(call->now_ms), SQL_TEXT(f->fingerprint),
            SQL_BLOB(buf_bytes(&f->key_hash))),
        NULL);
}

static err_t update_node(sql_t *c, const meta_call_t *call, const node_form_t *f)
{
    return sql_run(
        c,
        "UPDATE nodes SET address = ?2, zone = ?3, capacity_bytes = ?4, used_bytes = ?5, last_seen "
        "= ?6, fingerprint = ?7, key_hash = ?8 WHERE id = ?1",
        SQL(SQL_TEXT(f->id), SQL_TEXT(f->address), SQL_TEXT(f->zone), SQL_INT(f->capacity), SQL_INT(f->used),
            SQL_INT(call->now_ms), SQL_TEXT(f->fingerprint), SQL_BLOB(buf_bytes(&f->key_hash))),
        NULL);
}

OP(op_node_register)
{
    AUTO(node_form_t) f = {0};
    json_t *node;
    bool is_new;
    TRY(read_form(call->request->body, &f));
    call_note(call, f.id, "address=%.100s zone=%.64s", f.address, f.zone);
    TRY(check_service(c, &f));
    TRY(check_identity(c, call, &f, &is_new));
    TRY(is_new ? insert_node(c, call, &f) : update_node(c, call, &f));
    TRY(load_node(c, call, f.id, &node));
    json_t *answer = json_pack("{s:o s:I}", "node", node, "heartbeat_interval_ms",
                               (json_int_t)call->m->options.heartbeat_ms);
    TRY(call_answer(call, 200, answer));
    return node_tell(c, call, f.id, answer);
}

err_t node_check_self(sql_t *c, const meta_call_t *call, const char *id)
{
    int64_t has_key;
    if (call_is(call, MAY_ADMIN) || !strcmp(call->by.node_id, id))
        return OK;
    TRY(sql_number(c, "SELECT CASE WHEN key_hash IS NULL THEN 0 ELSE 1 END FROM nodes WHERE id = ?1",
                   SQL(SQL_TEXT(id)), -1, &has_key));
    if (has_key < 0)
        return fail(ERR_NOT_FOUND, "there is no node %.40s: register first", id);
    return has_key || call->by.node_id[0] ? fail(ERR_DENIED, "only node %.40s itself may do this", id) : OK;
}

err_t node_is_let_in(sql_t *c, const char *id, bool *ret)
{
    int64_t is_let_in;
    TRY(sql_number(c, "SELECT CASE WHEN state = 'pending' THEN 0 ELSE 1 END FROM nodes WHERE id = ?1",
                   SQL(SQL_TEXT(id)), -1, &is_let_in));
    *ret = is_let_in > 0;
    return is_let_in < 0 ? fail(ERR_NOT_FOUND, "there is no node %.40s", id) : OK;
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

OP(op_node_approve)
{
    AUTO(sql_rows_t) r = {0};
    err_t e = sql_first(c, "SELECT state FROM nodes WHERE id = ?1", SQL(SQL_TEXT(call->request->ids[0])), &r);
    if (!e && strcmp(sql_text(&r, 0), "pending"))
        return fail(ERR_EXISTS, "the node is %s already", sql_text(&r, 0));
    TRY(e == ERR_NOT_FOUND ? OK : e); /* set_state says so */
    TRY(sql_close(&r));
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
    TRY(node_check_self(c, call, call->request->ids[0]));
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
    bool is_let_in;
    TRY(json_check_members(call->request->body, keys, keys));
    TRY(json_get_text(call->request->body, "node", "", &node));
    TRY(json_get_text(call->request->body, "state", "", &state));
    bool is_stored = !strcmp(state, "stored");
    if (!is_stored && strcmp(state, "lost"))
        return fail(ERR_INVALID, "state must be stored or lost");
    call_note(call, chunk, "node=%.32s %.8s", node, state);
    TRY(node_check_self(c, call, node));
    TRY(answer_locations(c, call)); /* is there such a chunk? */
    TRY(node_is_let_in(c, node, &is_let_in));
    if (!is_let_in)
        return fail(ERR_DENIED, "node %.40s was not let in yet", node);
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
