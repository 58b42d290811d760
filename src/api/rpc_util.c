#include "api/rpc_util.h"
#include "api/clean_path.h"
#include "api/upload.h"
#include "dag/path.h"
#include "dag/walk.h"
#include "naming/naming.h"
#include <stdlib.h>

enum { MAX_COUNTED_BLOCKS = 1 << 22 };

err_t rpc_check_denied(rpc_t *r, const char *text)
{
    AUTO(buf_t) path;
    buf_init(&path, RPC_PATH_MAX_BYTES + 8);
    if (!strncmp(text, "ipfs://", 7) || !strncmp(text, "ipns://", 7))
        TRY(buf_printf(&path, "/%.4s/%s", text, text + 7));
    else
        TRY(buf_printf(&path, "%s%s", *text == '/' ? "" : "/ipfs/", text));
    return node_check_path(r->node, buf_bytes(&path));
}

static size_t count_segments(bytes_t clean)
{
    size_t n = 0;
    for (size_t i = 0; i + 1 < clean.len; i++)
        n += clean.data[i] == '/';
    return n;
}

err_t rpc_clean_path(const char *text, buf_t *out)
{
    AUTO(buf_t) clean = {0};
    size_t head = !strncmp(text, "ipfs://", 7) || !strncmp(text, "ipns://", 7) ? 7 : 0;
    bool has_space = text[head] == '/' && !head; /* "/ipfs/…"; else a CID or a name comes first */
    if (!strchr(text + head, '/'))
        return buf_append(out, bytes_str(text));
    buf_init(&clean, RPC_PATH_MAX_BYTES);
    TRY(clean_path(bytes_str(text + head), &clean));
    if (count_segments(buf_bytes(&clean)) < 1 + (size_t)has_space)
        return fail(ERR_INVALID, "invalid path \"%.150s\": path does not have enough components", text);
    TRY(buf_append(out, bytes_of(text, head)));
    return buf_append(out, bytes_slice(buf_bytes(&clean), !has_space, clean.len));
}

static err_t find_content(task_t *t, rpc_t *r, const char *text, buf_t *out)
{
    AUTO(naming_answer_t) answer = {0};
    naming_options_t o;
    TRY(rpc_check_denied(r, text));
    if (strncmp(text, "/ipns/", 6) != 0 && strncmp(text, "ipns://", 7) != 0)
        return buf_append(out, bytes_str(text));
    naming_options_default(&o);
    o.is_offline = rpc_bool(r, "offline", false);
    TRY(naming_resolve(t, node_naming(r->node), text, &o, &answer));
    TRY(node_check_path(r->node, buf_bytes(&answer.path)));
    return buf_append(out, buf_bytes(&answer.path));
}

err_t rpc_content_path(task_t *t, rpc_t *r, const char *text, buf_t *out)
{
    AUTO(buf_t) clean = {0};
    const char *path;
    buf_init(&clean, RPC_PATH_MAX_BYTES);
    TRY(rpc_clean_path(text, &clean));
    TRY(buf_cstr(&clean, &path));
    return find_content(t, r, path, out);
}

err_t rpc_resolve_cid(task_t *t, rpc_t *r, const char *text, cid_t *ret_cid)
{
    if (!strchr(text, '/') && !cid_parse_str(text, ret_cid)) /* the common case needs no block */
        return rpc_check_denied(r, text);
    AUTO(buf_t) where;
    buf_init(&where, RPC_PATH_MAX_BYTES);
    TRY(rpc_content_path(t, r, text, &where));
    dag_path_t *path = xcalloc(1, sizeof *path);
    node_session_t session = {0};
    err_t e = dag_path_parse(buf_bytes(&where), path);
    if (!e)
        e = node_session_open(r->node, rpc_bool(r, "offline", false), &session);
    if (!e)
        e = dag_path_resolve_cid(t, session.blocks, path, ret_cid);
    node_session_close(&session);
    free(path);
    return e;
}

err_t rpc_each_upload(task_t *t, rpc_t *r, const char *name, rpc_upload_fn fn, void *arg)
{
    enum { INPUT_MAX_BYTES = 8 << 20 };
    AUTO(upload_t) u = {0};
    AUTO(buf_t) data = {0};
    bool has = true;
    size_t count = 0;
    err_t e = upload_init(&u, r->x);
    while (!e && has) {
        TRY(upload_next(t, &u, &has));
        if (!has)
            break;
        buf_init(&data, INPUT_MAX_BYTES);
        TRY(upload_read_all(t, &u, &data));
        TRY(fn(t, r, arg, buf_bytes(&data)));
        buf_deinit(&data);
        count++;
    }
    return count ? OK : fail(ERR_USAGE, "file argument '%s' is required", name);
}

err_t rpc_dag_presence(task_t *t, rpc_t *r, const cid_t *root, bool *ret_complete, uint64_t *ret_bytes)
{
    AUTO(walk_t) w = {0};
    walk_options_t options = {SIZE_MAX, true, true, MAX_COUNTED_BLOCKS};
    walk_init(&w, node_local_blocks(r->node), root, options);
    uint64_t bytes = 0;
    bool has = true;
    err_t e = OK;
    while (!e && has) {
        walk_step_t step;
        e = walk_next(t, &w, &step, &has);
        if (!e && has && step.block)
            bytes += step.block->len;
    }
    if (e && e != ERR_NOT_FOUND && e != ERR_UNSUPPORTED)
        return e;
    *ret_complete = !e || (e == ERR_UNSUPPORTED && blocks_has(t, node_local_blocks(r->node), root));
    *ret_bytes = bytes;
    return OK;
}

json_t *rpc_number_json(double value)
{
    bool is_whole = value > -1e15 && value < 1e15 && !((double)(int64_t)value < value) &&
                    !((double)(int64_t)value > value);
    return is_whole ? json_integer((json_int_t)value) : json_real(value);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(json_string_value(*(json_t *const *)a), json_string_value(*(json_t *const *)b));
}

json_t *rpc_sorted_json(json_t *list)
{
    size_t n = json_array_size(list);
    json_t **items = xcalloc(n + 1, sizeof *items), *out = json_array();
    for (size_t i = 0; i < n; i++)
        items[i] = json_array_get(list, i);
    qsort(items, n, sizeof *items, by_text);
    for (size_t i = 0; i < n; i++)
        json_array_append(out, items[i]);
    free(items);
    json_decref(list);
    return out;
}

json_t *rpc_list_json(json_t *list)
{
    if (json_array_size(list))
        return list;
    json_decref(list);
    return json_null();
}
