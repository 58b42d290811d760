/* rpc_name: name/… and /ipns/ in resolve. Reference: ipfs/kubo core/commands/name. */
#include "api/api_internal.h"
#include "api/mounts.h"
#include "api/rpc_util.h"
#include "base/rfc3339.h"
#include "codec/ipns_record.h"
#include "naming/naming.h"
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { RECORD_UPLOAD_MAX = 1 << 20 };

/* A Go duration; *ret stays as it was when the option is absent. */
static err_t duration_option(rpc_t *r, const char *name, const char *what, uint64_t *ret_ms)
{
    const char *text = rpc_option(r, name);
    if (!text || !*text)
        return OK;
    if (parse_duration_ms(text, ret_ms))
        return fail(ERR_INVALID, "%stime: invalid duration \"%.40s\"", what, text);
    return OK;
}

/* ── resolve ─────────────────────────────────────────────────────────────────────────────────── */
static err_t resolve_options(rpc_t *r, bool is_recursive, bool skips_cache, naming_options_t *ret)
{
    uint64_t records;
    const char *timeout = rpc_option(r, "dht-timeout");
    naming_options_default(ret);
    TRY(rpc_u64(r, "dht-record-count", ret->record_count, &records));
    if (timeout && *timeout == '-')
        return fail(ERR_INVALID, "DHT timeout value must be >= 0");
    TRY(duration_option(r, "dht-timeout", "", &ret->dht_timeout_ms));
    ret->record_count = records < UINT32_MAX ? (uint32_t)records : UINT32_MAX;
    ret->depth = is_recursive ? ret->depth : 1;
    ret->skips_cache = skips_cache;
    ret->is_offline = rpc_bool(r, "offline", false);
    return OK;
}

static err_t emit_path(task_t *t, rpc_t *r, const char *path)
{
    return rpc_emit(t, r, json_pack("{s:o}", "Path", rpc_bytes_json(bytes_str(path))));
}

err_t rpc_resolve_name(task_t *t, rpc_t *r, const char *path, bool is_recursive, bool skips_cache)
{
    AUTO(naming_answer_t) answer = {0};
    naming_options_t o;
    const char *text;
    TRY(resolve_options(r, is_recursive, skips_cache, &o));
    TRY(naming_resolve(t, node_naming(r->node), path, &o, &answer));
    TRY(buf_cstr(&answer.path, &text));
    return emit_path(t, r, text);
}

/* Each path that is better than those before, as records of it come in. The search calls back without
 * waiting; its news pass through a bounded queue to the task that writes them. */
typedef struct path_stream {
    rpc_t *r;
    chan_t paths; /* of char *, owned */
    const char *path;
    naming_options_t options;
    char *last; /* that was written */
} path_stream_t;

static void push_path(void *arg, const char *path)
{
    path_stream_t *s = arg;
    char *copy = xstrdup(path);
    if (chan_try_send(&s->paths, copy))
        free(copy); /* a reader too slow for what is out of date soon */
}

static err_t search_task(task_t *t, void *arg)
{
    path_stream_t *s = arg;
    AUTO(naming_answer_t) answer = {0};
    const char *text;
    err_t e = naming_resolve(t, node_naming(s->r->node), s->path, &s->options, &answer);
    e = e ? e : buf_cstr(&answer.path, &text);
    e = e ? e : chan_send(t, &s->paths, xstrdup(text));
    chan_close(&s->paths);
    return e;
}

static err_t write_paths(task_t *t, path_stream_t *s)
{
    void *path;
    while (!chan_recv(t, &s->paths, &path)) {
        bool is_new = !s->last || strcmp(s->last, path) != 0;
        free(s->last);
        s->last = path;
        if (is_new)
            TRY(emit_path(t, s->r, path));
    }
    return task_check(t);
}

static err_t stream_paths(task_t *t, rpc_t *r, const char *path)
{
    enum { QUEUED_PATHS = 32 };
    path_stream_t s = {.r = r, .path = path};
    group_t g;
    void *left;
    TRY(resolve_options(r, rpc_bool(r, "recursive", true), rpc_bool(r, "nocache", false), &s.options));
    s.options.found = push_path;
    s.options.found_arg = &s;
    chan_init(&s.paths, QUEUED_PATHS);
    group_init(&g, node_sched(r->node));
    err_t e = group_spawn(&g, "name resolve", search_task, &s, NULL);
    if (!e) {
        e = write_paths(t, &s);
        if (e)
            group_cancel(&g);
        err_t joined = group_join(t, &g);
        e = e ? e : joined;
    }
    group_deinit(&g);
    while (!chan_try_recv(&s.paths, &left))
        free(left);
    chan_deinit(&s.paths);
    free(s.last);
    return e;
}

static err_t rpc_name_resolve(task_t *t, rpc_t *r)
{
    AUTO(buf_t) path, clean;
    char self[PEER_ID_TEXT_MAX];
    const char *name = r->n_args ? r->args[0] : peer_id_print(node_id(r->node), self), *text;
    buf_init(&path, RPC_PATH_MAX_BYTES);
    buf_init(&clean, RPC_PATH_MAX_BYTES);
    TRY(buf_printf(&path, "%s%s", strncmp(name, "/ipns/", 6) ? "/ipns/" : "", name));
    TRY(buf_cstr(&path, &text));
    TRY(rpc_clean_path(text, &clean));
    TRY(buf_cstr(&clean, &text));
    TRY(rpc_check_denied(r, text));
    if (rpc_bool(r, "stream", false))
        return stream_paths(t, r, text);
    return rpc_resolve_name(t, r, text, rpc_bool(r, "recursive", true), rpc_bool(r, "nocache", false));
}

/* ── publish ─────────────────────────────────────────────────────────────────────────────────── */
/* "CID", "/ipfs/CID/…", "/ipns/NAME/…", and both as ipfs:// and ipns://, as what goes into a record. */
static err_t published_path(const char *arg, buf_t *out)
{
    cid_t cid;
    bytes_t first = bytes_of(arg, strcspn(arg, "/"));
    if (*arg == '/')
        return buf_printf(out, "%s", arg);
    if (!strncmp(arg, "ipfs://", 7) || !strncmp(arg, "ipns://", 7))
        return buf_printf(out, "/%.4s/%s", arg, arg + 7);
    if (cid_parse(first, &cid))
        return fail(ERR_INVALID, "invalid path \"%.150s\": path does not have enough components", arg);
    return buf_printf(out, "/ipfs/%s", arg);
}

/* Is what the path leads to there? */
static err_t check_exists(task_t *t, rpc_t *r, const char *path)
{
    AUTO(node_session_t) session = {0};
    AUTO_PTR(block_t) block = NULL;
    cid_t cid;
    TRY(rpc_resolve_cid(t, r, path, &cid));
    TRY(node_session_open(r->node, rpc_bool(r, "offline", false), &session));
    return blocks_get(t, session.blocks, &cid, &block);
}

/* Do --allow-offline and --allow-delegated go together, and with the config? */
static err_t check_modes(rpc_t *r)
{
    if (!rpc_bool(r, "allow-delegated", false))
        return OK;
    if (rpc_bool(r, "allow-offline", false))
        return fail(ERR_INVALID, "cannot use both --allow-offline and --allow-delegated flags");
    return node_has_publishers(r->node)
               ? OK
               : fail(ERR_INVALID, "no delegated publishers configured: add Ipns.DelegatedPublishers or use "
                                   "--allow-offline for local-only publishing");
}

static err_t publish_options(rpc_t *r, naming_publish_t *ret)
{
    naming_publish_default(ret);
    TRY(duration_option(r, "lifetime", "error parsing lifetime option: ", &ret->lifetime_ms));
    TRY(duration_option(r, "ttl", "", &ret->ttl_ms));
    const char *sequence = rpc_option(r, "sequence");
    ret->has_sequence = sequence && *sequence;
    TRY(rpc_u64(r, "sequence", 0, &ret->sequence));
    ret->is_v2_only = !rpc_bool(r, "v1compat", true);
    bool has_no_routing = node_is_online(r->node) && !node_routing(r->node); /* then nobody is to be told */
    ret->is_local = has_no_routing || rpc_bool(r, "allow-offline", false);
    ret->is_delegated = rpc_bool(r, "allow-delegated", false);
    return OK;
}

static err_t emit_entry(task_t *t, rpc_t *r, const peer_id_t *name, bytes_t value)
{
    char text[PEER_ID_TEXT_MAX];
    return rpc_emit(t, r,
                    json_pack("{s:s, s:o}", "Name", name_print(name, text), "Value", rpc_bytes_json(value)));
}

static err_t rpc_name_publish(task_t *t, rpc_t *r)
{
    AUTO(buf_t) path, clean;
    AUTO_PTR(private_key_t) key = NULL;
    naming_publish_t o;
    peer_id_t name;
    const char *key_name = rpc_option(r, "key"), *value;
    buf_init(&path, RPC_PATH_MAX_BYTES);
    buf_init(&clean, RPC_PATH_MAX_BYTES);
    TRY(check_modes(r));
    TRY(publish_options(r, &o));
    TRY(rpc_clean_path(r->args[0], &clean));
    TRY(buf_cstr(&clean, &value));
    TRY(published_path(value, &path));
    TRY(buf_cstr(&path, &value));
    if (rpc_bool(r, "resolve", true))
        TRY(check_exists(t, r, value));
    TRY(naming_find_key(t, node_naming(r->node), key_name && *key_name ? key_name : "self", &key));
    TRY(peer_id_of(private_key_public(key), &name));
    if (mounts_publish(r->api->mounts) && peer_id_equal(&name, node_id(r->node)))
        return fail(ERR_IN_USE, "cannot manually publish while IPNS is mounted");
    TRY(naming_publish(t, node_naming(r->node), key, value, &o));
    return emit_entry(t, r, &name, buf_bytes(&path));
}

/* ── get, put ────────────────────────────────────────────────────────────────────────────────── */
static err_t rpc_name_get(task_t *t, rpc_t *r)
{
    AUTO(buf_t) record;
    peer_id_t name;
    naming_options_t o;
    buf_init(&record, IPNS_RECORD_MAX_BYTES);
    TRY(name_parse(r->args[0], &name));
    naming_options_default(&o);
    o.is_offline = rpc_bool(r, "offline", false);
    o.skips_cache = true;
    err_t e = naming_get_record(t, node_naming(r->node), &name, &o, &record);
    if (e == ERR_NOT_FOUND && !node_is_online(r->node))
        return rpc_need_online(r);
    if (e == ERR_NOT_FOUND)
        return fail(e, "routing: not found");
    TRY(e);
    TRY(rpc_begin_bytes(t, r, "application/vnd.ipfs.ipns-record", (int64_t)record.len));
    return exchange_write(t, r->x, buf_bytes(&record));
}

/* The record is one of the name, and newer than the one that is known. */
static err_t check_put(task_t *t, rpc_t *r, const peer_id_t *name, bytes_t data)
{
    ipns_record_t record, known;
    AUTO(buf_t) existing;
    naming_options_t o;
    buf_init(&existing, IPNS_RECORD_MAX_BYTES);
    naming_options_default(&o);
    o.skips_cache = true;
    if (data.len > IPNS_RECORD_MAX_BYTES)
        return fail(ERR_LIMIT, "record exceeds maximum size of %d bytes, use --force to skip size check",
                    IPNS_RECORD_MAX_BYTES);
    if (ipns_record_decode(data, &record))
        return fail_also(ERR_INVALID, "invalid IPNS record");
    err_t e = ipns_record_validate(data, name, driver_wall_ms(task_driver(t)), &record);
    if (e)
        return fail_also(e, "record validation failed");
    if (naming_get_record(t, node_naming(r->node), name, &o, &existing) ||
        bytes_equal(buf_bytes(&existing), data) || ipns_record_decode(buf_bytes(&existing), &known) ||
        known.signed_fields.sequence < record.signed_fields.sequence)
        return task_check(t);
    return fail(ERR_EXISTS,
                "existing IPNS record has sequence %" PRIu64 " >= new record sequence %" PRIu64
                ", use 'ipfs name put --force' to skip this check",
                known.signed_fields.sequence, record.signed_fields.sequence);
}

static err_t put(task_t *t, rpc_t *r, const peer_id_t *name, bytes_t data)
{
    ipns_record_t record;
    AUTO(buf_t) value;
    buf_init(&value, IPNS_RECORD_MAX_BYTES);
    if (!data.len)
        return fail(ERR_INVALID, "record is empty");
    if (!rpc_bool(r, "force", false))
        TRY(check_put(t, r, name, data));
    if (!node_is_online(r->node) && !rpc_bool(r, "allow-offline", false))
        return fail(ERR_OFFLINE, "can't put while offline: pass `--allow-offline` to store locally or "
                                 "`--allow-delegated` if Ipns.DelegatedPublishers are set up");
    naming_t *naming = node_naming(r->node);
    TRY(rpc_bool(r, "allow-delegated", false) ? naming_delegate_record(t, naming, name, data)
                                              : naming_put_record(t, naming, name, data));
    TRY(ipns_record_decode(data, &record));
    if (ipns_record_value(&record, &value))
        buf_clear(&value);
    return emit_entry(t, r, name, buf_bytes(&value));
}

static err_t rpc_name_put(task_t *t, rpc_t *r)
{
    AUTO(buf_t) data;
    peer_id_t name;
    buf_init(&data, RECORD_UPLOAD_MAX);
    TRY(check_modes(r));
    if (name_parse(r->args[0], &name))
        return fail_also(ERR_INVALID, "invalid IPNS name");
    TRY(rpc_read_upload(t, r, &data));
    return put(t, r, &name, buf_bytes(&data));
}

/* ── inspect ─────────────────────────────────────────────────────────────────────────────────── */
/* As `hexdump -C`, but for the last line. */
static err_t dump_hex(bytes_t data, buf_t *out)
{
    enum { PER_LINE = 16 };
    for (size_t at = 0; at < data.len; at += PER_LINE) {
        bytes_t line = bytes_slice(data, at, PER_LINE);
        TRY(buf_printf(out, "%08zx ", at));
        for (size_t i = 0; i < PER_LINE; i++) {
            const char *gap = i == PER_LINE / 2 ? "  " : " ";
            TRY(i < line.len ? buf_printf(out, "%s%02x", gap, line.data[i]) : buf_printf(out, "%s  ", gap));
        }
        TRY(buf_printf(out, "  |"));
        for (size_t i = 0; i < line.len; i++)
            TRY(buf_append_u8(out, line.data[i] >= ' ' && line.data[i] < 0x7f ? line.data[i] : '.'));
        TRY(buf_printf(out, "|\n"));
    }
    return OK;
}

static json_t *entry_json(const ipns_record_t *record)
{
    AUTO(buf_t) value;
    char end[RFC3339_MAX] = "";
    const ipns_fields_t *f = &record->signed_fields;
    buf_init(&value, IPNS_RECORD_MAX_BYTES);
    if (ipns_record_value(record, &value))
        buf_clear(&value);
    if (record->has_end)
        rfc3339_print(record->end_s, record->end_ns, end);
    return json_pack("{s:o, s:I, s:o, s:I, s:o}", "Value", rpc_bytes_json(buf_bytes(&value)), "ValidityType",
                     (json_int_t)f->validity_type, "Validity", *end ? json_string(end) : json_null(),
                     "Sequence", (json_int_t)f->sequence, "TTL",
                     f->has_ttl ? json_integer((json_int_t)f->ttl_ns) : json_null());
}

static err_t validation_json(task_t *t, const char *name_text, bytes_t data, json_t **ret)
{
    peer_id_t name;
    ipns_record_t record;
    char text[PEER_ID_TEXT_MAX];
    TRY(name_parse(name_text, &name));
    err_t e = ipns_record_validate(data, &name, driver_wall_ms(task_driver(t)), &record);
    *ret = json_pack("{s:b, s:o, s:s}", "Valid", !e, "Reason",
                     rpc_bytes_json(bytes_str(e ? error_text(e) : "")), "Name", name_print(&name, text));
    return OK;
}

static err_t rpc_name_inspect(task_t *t, rpc_t *r)
{
    AUTO(buf_t) data, dump;
    ipns_record_t record;
    json_t *validation = json_null();
    const char *name = rpc_option(r, "verify"), *hex = "";
    buf_init(&data, RECORD_UPLOAD_MAX);
    buf_init(&dump, 8 * IPNS_RECORD_MAX_BYTES);
    TRY(rpc_read_upload(t, r, &data));
    TRY(ipns_record_decode(buf_bytes(&data), &record));
    if (rpc_bool(r, "dump", true))
        TRY(dump_hex(buf_bytes(&data), &dump));
    TRY(buf_cstr(&dump, &hex));
    if (name && *name)
        TRY(validation_json(t, name, buf_bytes(&data), &validation));
    return rpc_emit(t, r,
                    json_pack("{s:o, s:I, s:s, s:s, s:o}", "Entry", entry_json(&record), "PbSize",
                              (json_int_t)data.len, "SignatureType", record.has_v1 ? "V1+V2" : "V2",
                              "HexDump", hex, "Validation", validation));
}

/* ── pubsub ──────────────────────────────────────────────────────────────────────────────────── */
static err_t rpc_pubsub_state(task_t *t, rpc_t *r)
{
    return rpc_emit(t, r, json_pack("{s:b}", "Enabled", naming_uses_pubsub(node_naming(r->node))));
}

static err_t need_followed(rpc_t *r, naming_t **ret)
{
    *ret = node_naming(r->node);
    return naming_uses_pubsub(*ret) ? OK : fail(ERR_USAGE, "IPNS pubsub subsystem is not enabled");
}

typedef struct followed_list {
    peer_base_t base;
    json_t *names;
} followed_list_t;

static bool add_followed(void *arg, const peer_id_t *name)
{
    followed_list_t *l = arg;
    char text[PEER_ID_TEXT_MAX];
    return !json_array_append_new(l->names, json_sprintf("/ipns/%s", rpc_peer_text(&l->base, name, text)));
}

static err_t rpc_pubsub_subs(task_t *t, rpc_t *r)
{
    naming_t *n;
    followed_list_t l;
    TRY(rpc_peer_base(r, "ipns-base", "base36", &l.base));
    TRY(need_followed(r, &n));
    l.names = json_array();
    naming_each_followed(n, add_followed, &l);
    if (!json_array_size(l.names)) { /* as the reference has an empty list */
        json_decref(l.names);
        l.names = json_null();
    }
    return rpc_emit(t, r, json_pack("{s:o}", "Strings", l.names));
}

static err_t rpc_pubsub_cancel(task_t *t, rpc_t *r)
{
    naming_t *n;
    peer_id_t name;
    TRY(need_followed(r, &n));
    if (name_parse(r->args[0], &name))
        return fail(ERR_USAGE, "not a valid IPNS name: %s", error_text(ERR_INVALID));
    return rpc_emit(t, r, json_pack("{s:b}", "Canceled", naming_unfollow(n, &name)));
}

const rpc_command_t rpc_name_commands[] = {
    {"name/publish", rpc_name_publish, 1, 1, "ipfs-path"},
    {"name/resolve", rpc_name_resolve, 0, 1, NULL},
    {"name/get", rpc_name_get, 1, 1, "name"},
    {"name/put", rpc_name_put, 1, 1, "name"},
    {"name/inspect", rpc_name_inspect, 0, 0, NULL},
    {"name/pubsub/state", rpc_pubsub_state, 0, 0, NULL},
    {"name/pubsub/subs", rpc_pubsub_subs, 0, 0, NULL},
    {"name/pubsub/cancel", rpc_pubsub_cancel, 1, 1, "name"},
    {NULL, NULL, 0, 0, NULL},
};
