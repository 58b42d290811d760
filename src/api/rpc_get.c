/* rpc_get: `get`: a tree as a tar stream. Reference: ipfs/kubo core/commands/get.go. */
#include "api/rpc_util.h"
#include "api/tar_tree.h"
#include "dag/path.h"
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

err_t rpc_get(task_t *t, rpc_t *r)
{
    AUTO(node_session_t) session = {0};
    AUTO(dag_node_t) root = {0};
    if (rpc_bool(r, "compress", false))
        return fail(ERR_UNSUPPORTED, "compression is not supported: leave --compress out");
    TRY(node_session_open(r->node, rpc_bool(r, "offline", false), &session));
    TRY(rpc_resolve_node(t, r, session.blocks, r->args[0], &root));
    bytes_t name = root_name(r->args[0]);
    TRY(tar_tree_check_name(name));
    if (dag_node_is_file(&root)) {
        char size[32];
        snprintf(size, sizeof size, "%" PRIu64, root.size);
        TRY(exchange_set_header(r->x, "X-Content-Length", size));
    }
    put_peer_header(r, &session);
    TRY(rpc_begin_bytes(t, r, "application/x-tar", -1));
    return tar_tree_write(t, session.blocks, &root, name, 0, write_piece, r->x);
}
