/* rpc_datastore: diag/datastore/…: the state database as it is, for finding out what is wrong with it. A key
 * is
 * "/SPACE/KEY" (store/kv.h), percent-encoded where it is not text. Only where no node runs: in the command
 * line's own process. Reference: ipfs/kubo core/commands diag_datastore.go. */
#include "api/rpc_util.h"
#include <stdio.h>

enum { DUMP_ROW = 16 };

typedef struct state_key {
    char space[KV_SPACE_MAX_CHARS + 1];
    buf_t key;
} state_key_t;

static void state_key_deinit(state_key_t *k)
{
    buf_deinit(&k->key);
}
AUTO_DEFINE(state_key_t, state_key_deinit)

static err_t parse_key(const rpc_t *r, state_key_t *ret)
{
    const char *text = r->args[0], *slash = text[0] == '/' ? strchr(text + 1, '/') : NULL;
    size_t len = slash ? (size_t)(slash - text) - 1 : 0;
    if (!len || len > KV_SPACE_MAX_CHARS)
        return fail(ERR_USAGE, "%s: a key is written /SPACE/KEY, e.g. /pins/", text);
    memcpy(ret->space, text + 1, len);
    ret->space[len] = 0;
    buf_init(&ret->key, KV_KEY_MAX_BYTES);
    return percent_decode(bytes_str(slash + 1), false, &ret->key);
}

static err_t dump_row(bytes_t data, size_t at, buf_t *out)
{
    char text[DUMP_ROW + 1] = "";
    TRY(buf_printf(out, "%08zx", at));
    for (size_t i = 0; i < DUMP_ROW; i++) {
        const char *gap = i % (DUMP_ROW / 2) ? " " : "  ";
        if (at + i >= data.len) {
            TRY(buf_printf(out, "%s  ", gap));
            continue;
        }
        uint8_t byte = data.data[at + i];
        TRY(buf_printf(out, "%s%02x", gap, byte));
        text[i] = byte >= 0x20 && byte < 0x7f ? (char)byte : '.';
    }
    return buf_printf(out, "  |%s|\n", text);
}

static err_t rpc_datastore_get(task_t *t, rpc_t *r)
{
    AUTO(state_key_t) k = {.space = ""};
    AUTO(buf_t) value;
    AUTO(buf_t) text;
    buf_init(&value, KV_VALUE_MAX_BYTES);
    buf_init(&text, 8 * KV_VALUE_MAX_BYTES);
    TRY(parse_key(r, &k));
    err_t e = kv_get(t, repo_state(node_repo(r->node)), k.space, buf_bytes(&k.key), &value);
    if (e == ERR_NOT_FOUND)
        return fail(e, "key not found: %s", r->args[0]);
    TRY(e);
    if (!rpc_bool(r, "hex", false)) {
        TRY(rpc_begin_bytes(t, r, "application/octet-stream", (int64_t)value.len));
        return exchange_write(t, r->x, buf_bytes(&value));
    }
    TRY(buf_printf(&text, "Key: %s\nHex Dump:\n", r->args[0]));
    for (size_t at = 0; at < value.len; at += DUMP_ROW)
        TRY(dump_row(buf_bytes(&value), at, &text));
    TRY(rpc_begin_bytes(t, r, "text/plain", (int64_t)text.len));
    return exchange_write(t, r->x, buf_bytes(&text));
}

static err_t rpc_datastore_count(task_t *t, rpc_t *r)
{
    AUTO(state_key_t) k = {.space = ""};
    uint64_t count;
    TRY(parse_key(r, &k));
    TRY(kv_count(t, repo_state(node_repo(r->node)), k.space, buf_bytes(&k.key), &count));
    return rpc_emit(t, r, json_pack("{s:s, s:I}", "Prefix", r->args[0], "Count", (json_int_t)count));
}

static err_t rpc_datastore_put(task_t *t, rpc_t *r)
{
    AUTO(state_key_t) k = {.space = ""};
    TRY(parse_key(r, &k));
    TRY(kv_put(t, repo_state(node_repo(r->node)), k.space, buf_bytes(&k.key), bytes_str(r->args[1])));
    return rpc_emit_text(t, r, BYTES_NONE);
}

const rpc_command_t rpc_datastore_commands[] = {
    {"diag/datastore/get", rpc_datastore_get, 1, 1, "key"},
    {"diag/datastore/count", rpc_datastore_count, 1, 1, "prefix"},
    {"diag/datastore/put", rpc_datastore_put, 2, 2, "key"},
    {NULL, NULL, 0, 0, NULL},
};
