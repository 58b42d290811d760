#include "dag/file_node.h"
#include "task/driver.h"
#include <stdlib.h>

enum { FEED_BYTES = 64 << 10, HASH_ON_WORKER_BYTES = 32 << 10 };

/* ── nodes ───────────────────────────────────────────────────────────────────────────────────── */
file_node_t *file_node_new(node_format_t format, unixfs_type_t type)
{
    file_node_t *n = xcalloc(1, sizeof *n);
    n->format = format;
    n->fs.type = type;
    buf_init(&n->own_data, BLOCK_MAX_BYTES);
    return n;
}

void file_node_free(file_node_t *n)
{
    if (!n)
        return;
    buf_deinit(&n->own_data);
    free(n->links);
    free(n);
}

void file_node_add(file_node_t *n, const dag_ref_t *child)
{
    if (n->count == n->cap) {
        n->cap = n->cap ? 2 * n->cap : 8;
        n->links = xrealloc(n->links, n->cap * sizeof *n->links);
    }
    n->links[n->count++].ref = *child;
    n->size += child->size;
}

void file_node_remove_last(file_node_t *n)
{
    n->size -= n->links[--n->count].ref.size;
}

err_t file_node_set_data(file_node_t *n, bytes_t data)
{
    if (data.data != n->own_data.data) {
        buf_clear(&n->own_data);
        TRY(buf_append(&n->own_data, data));
    }
    n->size += data.len - n->fs.data.len;
    n->own_data.len = data.len;
    n->fs.data = buf_bytes(&n->own_data);
    return OK;
}

err_t file_node_of(const dag_node_t *from, file_node_t **ret)
{
    AUTO_PTR(file_node_t) n = file_node_new(node_format_of(&from->block->cid), from->fs.type);
    dag_pb_links_t links = dag_pb_links(&from->pb);
    unixfs_sizes_t sizes = unixfs_sizes(&from->fs);
    dag_pb_link_t link;
    n->fs.has_mode = from->fs.has_mode;
    n->fs.mode = from->fs.mode;
    n->fs.has_mtime = from->fs.has_mtime;
    n->fs.mtime = from->fs.mtime;
    n->fs.has_data = from->fs.has_data;
    TRY(file_node_set_data(n, from->fs.data));
    while (dag_pb_next_link(&links, &link)) {
        dag_ref_t ref = {.cid = link.cid, .tsize = link.tsize};
        if (!unixfs_next_size(&sizes, &ref.size)) /* as many as links: dag_node_decode saw to it */
            break;
        file_node_add(n, &ref);
    }
    *ret = n;
    n = NULL;
    return OK;
}

err_t file_node_load(task_t *t, file_editor_t *ed, const cid_t *cid, file_node_t **ret)
{
    AUTO(dag_node_t) node = {0};
    char text[CID_TEXT_MAX];
    TRY(dag_node_get(t, ed->blocks, cid, &node));
    if (!dag_node_is_file(&node) || node.block->cid.codec != CODEC_DAG_PB)
        return fail(ERR_CORRUPT, "block %s: no part of a file", cid_print(cid, text));
    return file_node_of(&node, ret);
}

/* ── writing ─────────────────────────────────────────────────────────────────────────────────── */
err_t file_node_write(task_t *t, file_editor_t *ed, const file_node_t *n, dag_ref_t *ret_ref)
{
    ed->node_options = node_format_options(n->format, ed->format);
    uint64_t below = 0;
    uint64_t *sizes = xmalloc((n->count + 1) * sizeof *sizes);
    writer_t w = node_writer_begin(&ed->writer);
    for (size_t i = 0; i < n->count; i++) {
        const dag_ref_t *ref = &n->links[i].ref;
        dag_pb_put_link(&w, &(dag_pb_link_t){.cid = ref->cid,
                                             .name = BYTES_NONE,
                                             .has_name = true,
                                             .tsize = ref->tsize,
                                             .has_tsize = true});
        sizes[i] = ref->size;
        below += ref->tsize;
    }
    unixfs_t fs = n->fs;
    fs.file_size = n->size;
    fs.has_file_size = true;
    dag_ref_t ref;
    err_t e = node_writer_put_unixfs(t, &ed->writer, &w, &fs, sizes, n->count, &ref);
    free(sizes);
    TRY(e);
    ref.tsize += below;
    ref.size = n->size;
    *ret_ref = ref;
    return OK;
}

typedef struct hashing {
    const import_options_t *options;
    uint64_t codec;
    block_t *block;
    err_t result;
} hashing_t;

static void hash_block(void *arg)
{
    hashing_t *h = arg;
    h->result = import_cid(h->options, h->codec, block_bytes(h->block), &h->block->cid);
}

/* Takes the block. Its length is the tsize. */
static err_t put_leaf(task_t *t, file_editor_t *ed, node_format_t format, uint64_t codec, block_t *block,
                      dag_ref_t *ret_ref)
{
    import_options_t o = node_format_options(format, ed->format);
    hashing_t h = {&o, codec, block, OK};
    if (file_leaf_is_late(block->len))
        work(t, hash_block, &h);
    else
        hash_block(&h);
    if (h.result) {
        block_release(block);
        return h.result;
    }
    ret_ref->cid = block->cid;
    ret_ref->tsize = block->len;
    if (!cid_is_identity(&block->cid))
        return put_queue_add(t, &ed->queue, block);
    block_release(block);
    return OK;
}

err_t file_raw_write(task_t *t, file_editor_t *ed, node_format_t format, bytes_t data, dag_ref_t *ret_ref)
{
    block_t *block;
    dag_ref_t ref = {.size = data.len};
    TRY(block_new(data.len, &block));
    if (data.len)
        memcpy(block->data, data.data, data.len);
    TRY(put_leaf(t, ed, format, CODEC_RAW, block, &ref));
    *ret_ref = ref;
    return OK;
}

bool file_leaf_is_late(size_t len)
{
    return len >= HASH_ON_WORKER_BYTES;
}

err_t file_leaf_block(bool is_raw, const uint8_t *data, size_t len, block_t **ret, uint8_t **ret_content)
{
    unixfs_leaf_t a = {0};
    if (!is_raw)
        unixfs_leaf_around(&(unixfs_t){.type = UNIXFS_RAW}, len, &a);
    TRY(block_new(a.prefix_len + len + a.suffix_len, ret));
    uint8_t *content = (*ret)->data + a.prefix_len;
    memcpy((*ret)->data, a.prefix, a.prefix_len);
    if (data && len)
        memcpy(content, data, len);
    memcpy(content + len, a.suffix, a.suffix_len);
    if (ret_content)
        *ret_content = content;
    return OK;
}

err_t file_leaf_write(task_t *t, file_editor_t *ed, bool is_raw, bytes_t data, dag_ref_t *ret_ref)
{
    block_t *block;
    dag_ref_t ref = {.size = data.len};
    TRY(file_leaf_block(is_raw, data.data, data.len, &block, NULL));
    TRY(put_leaf(t, ed, ed->format, is_raw ? CODEC_RAW : CODEC_DAG_PB, block, &ref));
    *ret_ref = ref;
    return OK;
}

/* ── what is written ─────────────────────────────────────────────────────────────────────────── */
static size_t pull(task_t *t, feed_t *f, uint8_t *out, size_t cap)
{
    size_t n = 0;
    if (f->has_ended)
        return 0;
    if (!f->source.read) {
        n = f->zeros < cap ? (size_t)f->zeros : cap;
        memset(out, 0, n);
        f->zeros -= n;
    } else {
        err_t e = f->source.read(t, f->source.arg, out, cap, &n);
        if (e) {
            n = 0;
            f->error = *error_slot();
            f->error.code = e;
        }
    }
    f->has_ended = !n;
    return n;
}

bool feed_has(task_t *t, feed_t *f)
{
    if (f->position < f->len)
        return true;
    if (!f->source.read)
        return f->zeros > 0;
    if (!f->buf)
        f->buf = xmalloc(FEED_BYTES);
    f->position = 0;
    f->len = pull(t, f, f->buf, FEED_BYTES);
    return f->len > 0;
}

size_t feed_read(task_t *t, feed_t *f, uint8_t *out, size_t cap)
{
    size_t n = f->len - f->position < cap ? f->len - f->position : cap, got;
    if (n)
        memcpy(out, f->buf + f->position, n);
    f->position += n;
    while (n < cap && (got = pull(t, f, out + n, cap - n)))
        n += got;
    return n;
}
