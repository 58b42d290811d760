/* rpc_get: `get`: a tree as a tar stream, or compressed. Reference: ipfs/kubo core/commands/get.go. */
#include "api/gzip.h"
#include "api/rpc_util.h"
#include "api/tar_tree.h"
#include "dag/file_reader.h"
#include "dag/path.h"
#include "task/driver.h"
#include <inttypes.h>
#include <stdio.h>

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

static err_t write_piece(task_t *t, void *arg, bytes_t piece)
{
    return exchange_write(t, arg, piece);
}

static err_t compress_piece(task_t *t, void *arg, bytes_t piece)
{
    return gzip_write(t, arg, piece);
}

/* The level asked for; *ret_compresses: whether at all. */
static err_t compress_options(rpc_t *r, bool *ret_compresses, int *ret_level)
{
    uint64_t level;
    const char *text = rpc_option(r, "compression-level");
    *ret_compresses = rpc_bool(r, "compress", false);
    *ret_level = GZIP_DEFAULT_LEVEL;
    if (!*ret_compresses || !text || !*text)
        return OK;
    if (rpc_u64(r, "compression-level", 0, &level) || level < 1 || level > 9)
        return fail(ERR_USAGE, "compression level must be between 1 and 9");
    *ret_level = (int)level;
    return OK;
}

static err_t write_file(task_t *t, blocks_t *blocks, dag_node_t *file, gzip_t *gzip)
{
    AUTO(file_reader_t) reader = {0};
    TRY(file_reader_init(&reader, blocks, file));
    for (;;) {
        bytes_t piece;
        TRY(file_reader_next(t, &reader, &piece));
        if (!piece.len)
            return OK;
        TRY(gzip_write(t, gzip, piece));
    }
}

static err_t begin_answer(task_t *t, rpc_t *r, const node_session_t *session, const dag_node_t *root,
                          bool compresses)
{
    if (dag_node_is_file(root)) {
        char size[32];
        snprintf(size, sizeof size, "%" PRIu64, root->size);
        TRY(exchange_set_header(r->x, "X-Content-Length", size));
    }
    put_peer_header(r, session);
    return rpc_begin_bytes(t, r, compresses ? "application/gzip" : "application/x-tar", -1);
}

/* Compressed without an archive around it, a file is its bytes alone. */
static err_t write_compressed(task_t *t, rpc_t *r, blocks_t *blocks, dag_node_t *root, bytes_t name,
                              int level)
{
    AUTO_PTR(gzip_t) gzip = NULL;
    TRY(gzip_new(level, write_piece, r->x, &gzip));
    if (!rpc_bool(r, "archive", false)) {
        TRY(write_file(t, blocks, root, gzip));
    } else {
        tar_tree_options_t options = {.mtime_s = (int64_t)(driver_wall_ms(task_driver(t)) / 1000)};
        TRY(tar_tree_write(t, blocks, root, name, options, compress_piece, gzip));
    }
    return gzip_finish(t, gzip);
}

err_t rpc_get(task_t *t, rpc_t *r)
{
    AUTO(node_session_t) session = {0};
    AUTO(dag_node_t) root = {0};
    bool compresses, is_archive = rpc_bool(r, "archive", false);
    int level;
    TRY(compress_options(r, &compresses, &level));
    TRY(node_session_open(r->node, rpc_bool(r, "offline", false), &session));
    node_session_reads(&session);
    TRY(rpc_resolve_node(t, r, session.blocks, r->args[0], &root));
    bytes_t name = root_name(r->args[0]);
    TRY(tar_tree_check_name(name));
    if (compresses && !is_archive && !dag_node_is_file(&root))
        return fail(ERR_INVALID, "file is not regular");
    TRY(begin_answer(t, r, &session, &root, compresses));
    tar_tree_options_t options = {.mtime_s = (int64_t)(driver_wall_ms(task_driver(t)) / 1000),
                                  .has_exact_times = !is_archive};
    TRY(compresses ? write_compressed(t, r, session.blocks, &root, name, level)
                   : tar_tree_write(t, session.blocks, &root, name, options, write_piece, r->x));
    return node_session_settle(t, &session);
}
