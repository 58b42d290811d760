/* rpc_content: cat, refs, resolve. Reference: ipfs/kubo core/commands. */
#include "api/rpc_util.h"
#include "dag/file_reader.h"
#include "dag/path.h"
#include "dag/walk.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { REFS_MAX_VISITED = 16 << 20 };

err_t rpc_resolve_node(task_t *t, rpc_t *r, blocks_t *blocks, const char *text, dag_node_t *ret_node)
{
    AUTO(buf_t) where;
    buf_init(&where, RPC_PATH_MAX_BYTES);
    TRY(rpc_content_path(t, r, text, &where));
    dag_path_t *path = xcalloc(1, sizeof *path); /* large for a task's stack */
    err_t e = dag_path_parse(buf_bytes(&where), path);
    if (!e)
        e = dag_path_resolve(t, blocks, path, ret_node);
    free(path);
    return e;
}

json_t *rpc_bytes_json(bytes_t text)
{
    json_t *whole = json_stringn((const char *)text.data, text.len);
    if (whole)
        return whole;
    AUTO(buf_t) quoted = {0};
    buf_init(&quoted, 6 * text.len + 16);
    if (!json_quote(text, &quoted))
        whole = json_loadb((const char *)quoted.data, quoted.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    return whole ? whole : json_string("");
}

/* ── cat ─────────────────────────────────────────────────────────────────────────────────────── */
static err_t send_file(task_t *t, rpc_t *r, file_reader_t *reader)
{
    for (;;) {
        bytes_t piece;
        TRY(file_reader_next(t, reader, &piece));
        if (!piece.len)
            return OK;
        TRY(exchange_write(t, r->x, piece));
    }
}

/* offset and length count over all arguments together. */
static err_t cat_all(task_t *t, rpc_t *r, blocks_t *blocks, uint64_t offset, uint64_t length)
{
    for (size_t i = 0; i < r->n_args && length; i++) {
        AUTO(dag_node_t) node = {0};
        AUTO(file_reader_t) reader = {0};
        TRY(rpc_resolve_node(t, r, blocks, r->args[i], &node));
        if (dag_node_is_dir(&node))
            return fail(ERR_INVALID, "this dag node is a directory");
        if (node.fs.type == UNIXFS_SYMLINK) { /* where it leads, as the reference has it */
            bytes_t part = bytes_slice(node.fs.data, (size_t)offset, (size_t)length);
            if (!r->is_streaming)
                TRY(rpc_begin_bytes(t, r, NULL, -1));
            TRY(exchange_write(t, r->x, part));
            offset = offset > node.fs.data.len ? offset - node.fs.data.len : 0;
            length -= length == UINT64_MAX ? 0 : part.len;
            continue;
        }
        TRY(file_reader_init(&reader, blocks, &node));
        uint64_t size = reader.size;
        file_reader_seek(&reader, offset, length);
        uint64_t wanted = reader.end - reader.position;
        if (!r->is_streaming) {
            char text[32];
            snprintf(text, sizeof text, "%" PRIu64, wanted);
            if (r->n_args == 1)
                TRY(exchange_set_header(r->x, "X-Content-Length", text));
            TRY(rpc_begin_bytes(t, r, NULL, -1));
        }
        TRY(send_file(t, r, &reader));
        offset = offset > size ? offset - size : 0;
        length -= length == UINT64_MAX ? 0 : wanted;
    }
    return OK;
}

static err_t rpc_cat(task_t *t, rpc_t *r)
{
    AUTO(node_session_t) session = {0};
    uint64_t offset, length;
    const char *from = rpc_option(r, "offset"), *text = rpc_option(r, "length");
    if (from && *from == '-')
        return fail(ERR_INVALID, "cannot specify negative offset");
    if (text && *text == '-')
        return fail(ERR_INVALID, "cannot specify negative length");
    TRY(rpc_u64(r, "offset", 0, &offset));
    TRY(rpc_u64(r, "length", UINT64_MAX, &length));
    if (text && *text && !length)
        return rpc_begin_bytes(t, r, NULL, -1);
    TRY(node_session_open(r->node, rpc_bool(r, "offline", false), &session));
    node_session_reads(&session);
    TRY(cat_all(t, r, session.blocks, offset, length));
    TRY(node_session_settle(t, &session));
    return rpc_begin_bytes(t, r, NULL, -1); /* when there was nothing to send */
}

/* ── refs ────────────────────────────────────────────────────────────────────────────────────── */
static err_t print_ref(const rpc_t *r, const char *format, const walk_step_t *step, buf_t *out)
{
    char source[CID_TEXT_MAX], target[CID_TEXT_MAX];
    rpc_cid(r, &step->parent, source);
    rpc_cid(r, &step->cid, target);
    buf_clear(out);
    for (const char *p = format; *p;) {
        if (!strncmp(p, "<src>", 5)) {
            TRY(buf_append(out, bytes_str(source)));
            p += 5;
        } else if (!strncmp(p, "<dst>", 5)) {
            TRY(buf_append(out, bytes_str(target)));
            p += 5;
        } else if (!strncmp(p, "<linkname>", 10)) {
            TRY(buf_append(out, step->name));
            p += 10;
        } else {
            TRY(buf_append_u8(out, (uint8_t)*p++));
        }
    }
    return OK;
}

static err_t emit_refs(task_t *t, rpc_t *r, blocks_t *blocks, const cid_t *root, walk_options_t options,
                       const char *format)
{
    AUTO(walk_t) w = {0};
    AUTO(buf_t) text = {0};
    buf_init(&text, 64 << 10);
    walk_init(&w, blocks, root, options);
    for (;;) {
        walk_step_t step;
        bool has;
        TRY(walk_next(t, &w, &step, &has));
        if (!has)
            return OK;
        if (!step.depth)
            continue;
        TRY(print_ref(r, format, &step, &text));
        TRY(rpc_emit(t, r, json_pack("{s:o, s:s}", "Ref", rpc_bytes_json(buf_bytes(&text)), "Err", "")));
    }
}

static err_t rpc_refs(task_t *t, rpc_t *r)
{
    AUTO(node_session_t) session = {0};
    const char *format = rpc_option(r, "format"), *depth = rpc_option(r, "max-depth");
    walk_options_t options = {
        .max_depth = 1, .is_unique = rpc_bool(r, "unique", false), .max_visited = REFS_MAX_VISITED};
    if (rpc_bool(r, "recursive", false)) {
        bool is_negative = true;
        uint64_t limit = 0;
        if (depth && *depth)
            rpc_number_read(depth, &is_negative, &limit);
        options.max_depth = is_negative ? SIZE_MAX : (size_t)limit;
    }
    if (rpc_bool(r, "edges", false)) {
        if (format && *format && strcmp(format, "<dst>"))
            return fail(ERR_USAGE, "using format argument with edges is not allowed");
        format = "<src> -> <dst>";
    }
    TRY(node_session_open(r->node, rpc_bool(r, "offline", false), &session));
    for (size_t i = 0; i < r->n_args; i++) {
        cid_t root;
        TRY(rpc_resolve_cid(t, r, r->args[i], &root));
        TRY(emit_refs(t, r, session.blocks, &root, options, format && *format ? format : "<dst>"));
    }
    return OK;
}

const rpc_command_t rpc_content_commands[] = {
    {"add", rpc_add, 0, 0, NULL},
    {"cat", rpc_cat, 1, RPC_MAX_ARGS, "ipfs-path"},
    {"get", rpc_get, 1, 1, "ipfs-path"},
    {"ls", rpc_ls, 1, RPC_MAX_ARGS, "ipfs-path"},
    {"refs", rpc_refs, 1, RPC_MAX_ARGS, "ipfs-path"},
    {NULL, NULL, 0, 0, NULL},
};
