#include "dag/path.h"
#include "codec/ipld_tree.h"

err_t dag_path_parse_rest(const cid_t *root, bytes_t rest, dag_path_t *ret_path)
{
    ret_path->root = *root;
    ret_path->count = 0;
    ret_path->is_data = false;
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
    bool is_data = skip(&rest, "/ipld/");
    if (!is_data && !skip(&rest, "/ipfs/") && !skip(&rest, "ipfs://") && rest.len && rest.data[0] == '/') {
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
    TRY(dag_path_parse_rest(&root, bytes_slice(rest, cid.len, rest.len), ret_path));
    ret_path->is_data = is_data;
    return OK;
}

/* ── following ───────────────────────────────────────────────────────────────────────────────── */
typedef struct follow {
    blocks_t *blocks;
    dir_cache_t *dirs; /* NULL: none */
    const dag_path_t *path;
    size_t next; /* the segment that is looked up next */
    cid_t at;    /* the block that it is looked up in */
    bool is_at_value;
} follow_t;

static err_t no_link(const follow_t *f)
{
    char text[CID_TEXT_MAX];
    bytes_t name = f->path->segments[f->next];
    return fail(ERR_NOT_FOUND, "no link named \"%.*s\" under %s", name.len < 120 ? (int)name.len : 120,
                (const char *)name.data, cid_print(&f->at, text));
}

/* A node that is no UnixFS: links by their names. */
static err_t step_named(follow_t *f, block_t *block)
{
    dag_pb_t pb;
    dag_pb_link_t link;
    TRY(dag_pb_decode(block_bytes(block), &pb));
    dag_pb_links_t links = dag_pb_links(&pb);
    while (dag_pb_next_link(&links, &link)) {
        if (!bytes_equal(link.name, f->path->segments[f->next]))
            continue;
        f->at = link.cid;
        f->next++;
        return OK;
    }
    return no_link(f);
}

static bool is_unixfs(const block_t *block)
{
    dag_pb_t pb;
    unixfs_t fs;
    return block->cid.codec == CODEC_RAW ||
           (!dag_pb_decode(block_bytes(block), &pb) && !unixfs_decode(pb.data, &fs));
}

static err_t step_unixfs(task_t *t, follow_t *f, block_t *block)
{
    AUTO(dag_node_t) n = {0};
    dir_entry_t entry;
    bytes_t name = f->path->segments[f->next];
    TRY(dag_node_decode(block, &n));
    if (!dag_node_is_dir(&n)) /* in the reference's words: a file is bytes there */
        return fail(ERR_NOT_FOUND,
                    "func called on wrong kind: \"LookupBySegment\" called on a %s node (kind: bytes), but "
                    "only makes "
                    "sense on map or list",
                    block->cid.codec == CODEC_RAW ? "bytes" : "data.Bytes");
    TRY(dir_lookup(t, f->blocks, &n, name, &entry));
    f->at = entry.cid;
    f->next++;
    return OK;
}

/* Is the value one of a schema? Then what it does not have is no link, as the reference words it. */
static bool is_struct(const block_t *block, const ipld_tree_t *tree, size_t item)
{
    bool is_git_tree = item == 0 && bytes_starts_with(block_bytes(block), BYTES_LIT("tree "));
    bool is_map = tree->items[item].kind == IPLD_MAP;
    return block->cid.codec == CODEC_DAG_PB || (block->cid.codec == CODEC_GIT_RAW && is_map && !is_git_tree);
}

/* Down to the first link, or to the end of the path. */
static err_t step_data(follow_t *f, block_t *block)
{
    AUTO(ipld_tree_t) tree = {0};
    size_t item = 0, first = f->next;
    TRY(ipld_tree_read(&tree, block->cid.codec, block_bytes(block), 0));
    for (; f->next < f->path->count; f->next++) {
        err_t e = ipld_tree_find(&tree, item, f->path->segments[f->next], &item);
        bool is_container = tree.items[item].kind == IPLD_MAP || tree.items[item].kind == IPLD_LIST;
        bool is_last = f->next + 1 == f->path->count && !is_struct(block, &tree, item);
        if (e == ERR_NOT_FOUND && is_container && !is_last)
            return no_link(f);
        TRY(e);
        if (tree.items[item].kind != IPLD_LINK)
            continue;
        f->next++;
        return cid_decode(ipld_item_bytes(&tree.items[item]), &f->at);
    }
    f->next = first;
    f->is_at_value = true;
    return OK;
}

static err_t step(task_t *t, follow_t *f)
{
    AUTO_PTR(block_t) block = NULL;
    bool is_file_system = !f->path->is_data && (f->at.codec == CODEC_DAG_PB || f->at.codec == CODEC_RAW);
    char text[CID_TEXT_MAX];
    if (f->dirs && is_file_system) {
        err_t e = dir_cache_lookup(t, f->dirs, f->blocks, &f->at, f->path->segments[f->next], &f->at);
        f->next += !e;
        if (e != ERR_INVALID && e != ERR_CORRUPT &&
            e != ERR_UNSUPPORTED) /* else no directory, or a broken one */
            return e;
    }
    TRY(blocks_get(t, f->blocks, &f->at, &block));
    if (is_file_system)
        return is_unixfs(block) ? step_unixfs(t, f, block) : step_named(f, block);
    err_t e = step_data(f, block);
    return e == ERR_INVALID || e == ERR_EOF
               ? fail(ERR_CORRUPT, "%s: %s", cid_print(&f->at, text), error_text(e))
               : e;
}

static err_t follow(task_t *t, follow_t *f, dag_path_visit_fn visit, void *arg, cid_t *ret_cid,
                    size_t *ret_rest)
{
    f->at = f->path->root;
    if (visit)
        visit(arg, &f->at);
    while (f->next < f->path->count && !f->is_at_value) {
        TRY(step(t, f));
        if (visit && !f->is_at_value)
            visit(arg, &f->at);
    }
    *ret_cid = f->at;
    *ret_rest = f->path->count - f->next;
    return OK;
}

err_t dag_path_follow_rest(task_t *t, blocks_t *blocks, const dag_path_t *path, dag_path_visit_fn visit,
                           void *arg, cid_t *ret_cid, size_t *ret_rest)
{
    follow_t f = {.blocks = blocks, .path = path};
    return follow(t, &f, visit, arg, ret_cid, ret_rest);
}

err_t dag_path_follow(task_t *t, blocks_t *blocks, const dag_path_t *path, dag_path_visit_fn visit, void *arg,
                      cid_t *ret_cid)
{
    char text[CID_TEXT_MAX];
    size_t rest;
    cid_t cid;
    TRY(dag_path_follow_rest(t, blocks, path, visit, arg, &cid, &rest));
    if (rest)
        return fail(ERR_UNSUPPORTED, "the path ends inside of the block %s: a value there has no CID",
                    cid_print(&cid, text));
    *ret_cid = cid;
    return OK;
}

bool dag_path_is_no_link(err_t e)
{
    static const char *const beginnings[] = {"no link named", "key not found", "invalid segment for lookup",
                                             "func called on wrong kind: \"LookupBySegment\""};
    for (size_t i = 0; e == ERR_NOT_FOUND && i < ARRAY_LEN(beginnings); i++)
        if (!strncmp(error_text(e), beginnings[i], strlen(beginnings[i])))
            return true;
    return false;
}

err_t dag_path_resolve_cid(task_t *t, blocks_t *blocks, const dag_path_t *path, cid_t *ret_cid)
{
    size_t rest;
    return dag_path_follow_rest(t, blocks, path, NULL, NULL, ret_cid, &rest);
}

err_t dag_path_resolve_by(task_t *t, blocks_t *blocks, dir_cache_t *dirs, const dag_path_t *path,
                          dag_node_t *ret_node)
{
    follow_t f = {.blocks = blocks, .dirs = dirs, .path = path};
    size_t rest;
    cid_t cid;
    TRY(follow(t, &f, NULL, NULL, &cid, &rest));
    return dag_node_get(t, blocks, &cid, ret_node);
}

err_t dag_path_resolve(task_t *t, blocks_t *blocks, const dag_path_t *path, dag_node_t *ret_node)
{
    return dag_path_resolve_by(t, blocks, NULL, path, ret_node);
}
