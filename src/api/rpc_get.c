/* rpc_get: `get`: a tree as a tar stream. Reference: ipfs/kubo core/commands/get.go. */
#include "api/rpc_util.h"
#include "api/tar_writer.h"
#include "dag/dir_reader.h"
#include "dag/file_reader.h"
#include "dag/path.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { GET_MAX_DEPTH = 512, GET_NAME_MAX = 16 << 10, GET_AHEAD = 64 };

typedef struct get_level {
    dag_node_t node;
    dir_reader_t dir;
    size_t name_len; /* of the path to this directory */
    size_t count;    /* entries so far */
} get_level_t;
typedef struct get {
    rpc_t *r;
    blocks_t *blocks;
    buf_t name, headers;
    get_level_t *levels;
    size_t depth;
} get_t;

static err_t put_zeros(task_t *t, get_t *g, size_t n)
{
    static const uint8_t zeros[TAR_END_BYTES];
    return exchange_write(t, g->r->x, bytes_of(zeros, n));
}

static err_t put_header(task_t *t, get_t *g, const dag_node_t *n, tar_item_t item)
{
    item.name = buf_bytes(&g->name);
    item.mode = n->fs.has_mode ? n->fs.mode : 0;
    item.mtime_s = n->fs.has_mtime ? n->fs.mtime.seconds : 0;
    buf_clear(&g->headers);
    TRY(tar_put_header(&item, &g->headers));
    return exchange_write(t, g->r->x, buf_bytes(&g->headers));
}

static err_t put_file(task_t *t, get_t *g, dag_node_t *n)
{
    TRY(put_header(t, g, n, (tar_item_t){.kind = TAR_ITEM_FILE, .size = n->size}));
    AUTO(file_reader_t) reader = {0};
    TRY(file_reader_init(&reader, g->blocks, n));
    uint64_t size = reader.size;
    for (;;) {
        bytes_t piece;
        TRY(file_reader_next(t, &reader, &piece));
        if (!piece.len)
            return put_zeros(t, g, tar_padding(size));
        TRY(exchange_write(t, g->r->x, piece));
    }
}

static err_t open_dir(task_t *t, get_t *g, dag_node_t *n)
{
    if (g->depth == GET_MAX_DEPTH)
        return fail(ERR_LIMIT, "directories are nested deeper than %d", GET_MAX_DEPTH);
    TRY(put_header(t, g, n, (tar_item_t){.kind = TAR_ITEM_DIR}));
    get_level_t *level = &g->levels[g->depth];
    level->name_len = g->name.len;
    level->count = 0;
    TRY(dir_reader_init(t, &level->dir, g->blocks, n));
    level->node = *n;
    n->block = NULL;
    g->depth++;
    return OK;
}

static err_t put_node(task_t *t, get_t *g, dag_node_t *n)
{
    if (dag_node_is_dir(n))
        return open_dir(t, g, n);
    if (dag_node_is_file(n))
        return put_file(t, g, n);
    return put_header(t, g, n, (tar_item_t){.kind = TAR_ITEM_SYMLINK, .target = n->fs.data});
}

static void close_dir(get_t *g)
{
    get_level_t *level = &g->levels[--g->depth];
    dir_reader_deinit(&level->dir);
    dag_node_deinit(&level->node);
}

/* Names that would lead out of the archive's root are refused here already. */
static err_t check_name(bytes_t name)
{
    if (!name.len || memchr(name.data, '/', name.len) || memchr(name.data, 0, name.len) ||
        bytes_equal(name, BYTES_LIT(".")) || bytes_equal(name, BYTES_LIT("..")))
        return fail(ERR_INVALID, "the directory holds a name that is not allowed in a file system");
    return OK;
}

static err_t put_tree(task_t *t, get_t *g, dag_node_t *root)
{
    TRY(put_node(t, g, root));
    while (g->depth) {
        get_level_t *level = &g->levels[g->depth - 1];
        dir_entry_t entry;
        bool has;
        g->name.len = level->name_len;
        TRY(dir_reader_next(t, &level->dir, &entry, &has));
        if (!has) {
            close_dir(g);
            continue;
        }
        if (level->count++ % (GET_AHEAD / 2) == 0)
            dir_reader_prefetch(t, &level->dir, GET_AHEAD);
        TRY(check_name(entry.name));
        TRY(buf_append_u8(&g->name, '/'));
        TRY(buf_append(&g->name, entry.name));
        AUTO(dag_node_t) n = {0};
        TRY(dag_node_get(t, g->blocks, &entry.cid, &n));
        TRY(put_node(t, g, &n));
    }
    return put_zeros(t, g, TAR_END_BYTES);
}

/* The last name of the path, or the CID. */
static bytes_t root_name(const char *path)
{
    bytes_t p = bytes_str(path);
    while (p.len && p.data[p.len - 1] == '/')
        p.len--;
    size_t at = p.len;
    while (at && p.data[at - 1] != '/')
        at--;
    return bytes_slice(p, at, p.len);
}

static void put_peer_header(rpc_t *r, const node_session_t *session)
{
    peer_id_t peer;
    char text[PEER_ID_TEXT_MAX];
    if (session->session && bitswap_session_best_peer(session->session, &peer))
        if (exchange_set_header(r->x, "X-Distribute-Peer", peer_id_print(&peer, text)))
            return;
}

static err_t run_get(task_t *t, get_t *g, const node_session_t *session)
{
    rpc_t *r = g->r;
    AUTO(dag_node_t) root = {0};
    TRY(rpc_resolve_node(t, r, g->blocks, r->args[0], &root));
    bytes_t name = root_name(r->args[0]);
    TRY(check_name(name));
    TRY(buf_append(&g->name, name));
    if (dag_node_is_file(&root)) {
        char size[32];
        snprintf(size, sizeof size, "%" PRIu64, root.size);
        TRY(exchange_set_header(r->x, "X-Content-Length", size));
    }
    put_peer_header(r, session);
    TRY(rpc_begin_bytes(t, r, "application/x-tar", -1));
    return put_tree(t, g, &root);
}

err_t rpc_get(task_t *t, rpc_t *r)
{
    AUTO(node_session_t) session = {0};
    if (rpc_bool(r, "compress", false))
        return fail(ERR_UNSUPPORTED, "compression is not supported: leave --compress out");
    TRY(node_session_open(r->node, rpc_bool(r, "offline", false), &session));
    get_t g = {.r = r, .blocks = session.blocks};
    buf_init(&g.name, GET_NAME_MAX);
    buf_init(&g.headers, 128 << 10);
    g.levels = xcalloc(GET_MAX_DEPTH, sizeof *g.levels);
    err_t e = run_get(t, &g, &session);
    while (g.depth)
        close_dir(&g);
    free(g.levels);
    buf_deinit(&g.name);
    buf_deinit(&g.headers);
    return e;
}
