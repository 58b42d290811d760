#include "dag/path.h"

err_t dag_path_parse_rest(const cid_t *root, bytes_t rest, dag_path_t *ret_path)
{
    ret_path->root = *root;
    ret_path->count = 0;
    while (rest.len) {
        const uint8_t *slash = memchr(rest.data, '/', rest.len);
        bytes_t name = bytes_slice(rest, 0, slash ? (size_t)(slash - rest.data) : rest.len);
        rest = bytes_slice(rest, name.len + 1, rest.len);
        if (!name.len || bytes_equal(name, BYTES_LIT(".")))
            continue;
        if (bytes_equal(name, BYTES_LIT(".."))) {
            if (!ret_path->count)
                return fail(ERR_INVALID, "invalid path: it leads above its CID");
            ret_path->count--;
            continue;
        }
        if (ret_path->count == PATH_MAX_SEGMENTS)
            return fail(ERR_LIMIT, "invalid path: more than %d names", PATH_MAX_SEGMENTS);
        ret_path->segments[ret_path->count++] = name;
    }
    return OK;
}

static bool skip(bytes_t *text, const char *prefix)
{
    if (!bytes_starts_with(*text, bytes_str(prefix)))
        return false;
    *text = bytes_slice(*text, strlen(prefix), text->len);
    return true;
}

err_t dag_path_parse(bytes_t text, dag_path_t *ret_path)
{
    cid_t root;
    bytes_t rest = text;
    if (bytes_starts_with(rest, BYTES_LIT("/ipns/")) || bytes_starts_with(rest, BYTES_LIT("ipns://")))
        return fail(ERR_UNSUPPORTED, "names under /ipns/ cannot be resolved here yet: use /ipfs/CID");
    if (!skip(&rest, "/ipfs/") && !skip(&rest, "ipfs://") && rest.len && rest.data[0] == '/') {
        const uint8_t *end = memchr(rest.data + 1, '/', rest.len - 1);
        bytes_t space = bytes_slice(rest, 1, end ? (size_t)(end - rest.data) - 1 : rest.len);
        return fail(ERR_INVALID, "invalid path \"%.*s\": unknown namespace: \"%.*s\"",
                    text.len < 100 ? (int)text.len : 100, (const char *)text.data,
                    space.len < 50 ? (int)space.len : 50, (const char *)space.data);
    }
    const uint8_t *slash = rest.len ? memchr(rest.data, '/', rest.len) : NULL;
    bytes_t cid = bytes_slice(rest, 0, slash ? (size_t)(slash - rest.data) : rest.len);
    if (!cid.len)
        return fail(ERR_INVALID, "invalid path \"%.*s\": path does not have enough components",
                    text.len < 150 ? (int)text.len : 150, (const char *)text.data);
    if (cid_parse(cid, &root)) {
        error_slot_t inner = *error_slot();
        if (text.data[0] != '/')
            return fail(ERR_INVALID, "invalid path \"%.*s\": path does not have enough components",
                        text.len < 150 ? (int)text.len : 150, (const char *)text.data);
        return fail(ERR_INVALID, "invalid path \"%.*s\": invalid CID: %s",
                    text.len < 100 ? (int)text.len : 100, (const char *)text.data, inner.text);
    }
    return dag_path_parse_rest(&root, bytes_slice(rest, cid.len, rest.len), ret_path);
}

err_t dag_path_follow(task_t *t, blocks_t *blocks, const dag_path_t *path, dag_path_visit_fn visit, void *arg,
                      cid_t *ret_cid)
{
    cid_t at = path->root;
    if (visit)
        visit(arg, &at);
    for (size_t i = 0; i < path->count; i++) {
        AUTO(dag_node_t) n = {0};
        dir_entry_t entry;
        TRY(dag_node_get(t, blocks, &at, &n));
        if (!dag_node_is_dir(&n)) /* what the reference says about a name below a file */
            return fail(ERR_NOT_FOUND, "no link named \"%.*s\": it would be below a file",
                        path->segments[i].len < 150 ? (int)path->segments[i].len : 150,
                        (const char *)path->segments[i].data);
        TRY(dir_lookup(t, blocks, &n, path->segments[i], &entry));
        at = entry.cid;
        if (visit)
            visit(arg, &at);
    }
    *ret_cid = at;
    return OK;
}

err_t dag_path_resolve_cid(task_t *t, blocks_t *blocks, const dag_path_t *path, cid_t *ret_cid)
{
    return dag_path_follow(t, blocks, path, NULL, NULL, ret_cid);
}

err_t dag_path_resolve(task_t *t, blocks_t *blocks, const dag_path_t *path, dag_node_t *ret_node)
{
    cid_t cid;
    TRY(dag_path_resolve_cid(t, blocks, path, &cid));
    return dag_node_get(t, blocks, &cid, ret_node);
}
