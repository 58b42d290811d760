#include "repo/filestore.h"
#include "base/reader.h"
#include "base/writer.h"
#include "repo/filestore_url.h"
#include "task/driver.h"
#include "web/url.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define SPACE "filestore"

struct filestore {
    blockstore_t base;
    blockstore_ops_t ops;
    blockstore_t *main;
    kv_t *state;
    char *root; /* without a slash at its end */
    filestore_kinds_t allowed;
    url_reader_t urls;
};

static filestore_t *self(blockstore_t *bs)
{
    return CONTAINER_OF(bs, filestore_t, base);
}

err_t filestore_allows(const filestore_t *fs, bool is_url)
{
    if (is_url)
        return fs && fs->allowed.urls ? OK : fail(ERR_INVALID, "urlstore is not enabled");
    return fs && fs->allowed.files ? OK
                                   : fail(ERR_INVALID, "filestore is not enabled, see https://git.io/vNItf");
}

/* ── references ──────────────────────────────────────────────────────────────────────────────── */
static bytes_t key_of(const cid_t *cid, uint8_t room[CID_BINARY_MAX])
{
    return bytes_of(room, cid_encode_multihash(cid, room));
}

/* offset, size, path */
static err_t decode_ref(bytes_t value, filestore_ref_t *ref)
{
    reader_t r = reader_of(value);
    ref->offset = read_uvarint(&r);
    ref->size = read_uvarint(&r);
    ref->path = read_rest(&r);
    bool is_sound = !r.err && ref->path.len && ref->path.len <= FILESTORE_PATH_MAX_BYTES &&
                    !memchr(ref->path.data, 0, ref->path.len) && ref->size <= BLOCK_MAX_BYTES;
    return is_sound ? OK : fail(ERR_CORRUPT, "the reference to a file is damaged");
}

err_t filestore_find(task_t *t, filestore_t *fs, const cid_t *cid, buf_t *room, filestore_ref_t *ret)
{
    uint8_t key[CID_BINARY_MAX];
    char text[CID_TEXT_MAX];
    filestore_ref_t ref = {0};
    err_t e = kv_get(t, fs->state, SPACE, key_of(cid, key), room);
    if (e == ERR_NOT_FOUND)
        return fail(ERR_NOT_FOUND, "block was not found locally (offline): ipld: could not find %s",
                    cid_print(cid, text));
    TRY(e);
    TRY(cid_from_multihash(key_of(cid, key), CODEC_RAW, &ref.cid));
    TRY(decode_ref(buf_bytes(room), &ref));
    *ret = ref;
    return OK;
}

err_t filestore_forget(task_t *t, filestore_t *fs, const cid_t *cid)
{
    uint8_t key[CID_BINARY_MAX];
    return kv_delete(t, fs->state, SPACE, key_of(cid, key));
}

bool filestore_has_copy(task_t *t, filestore_t *fs, const cid_t *cid)
{
    return blockstore_has(t, fs->main, cid);
}

typedef struct visitor {
    filestore_visit_fn visit;
    void *arg;
} visitor_t;

static err_t visit_row(task_t *t, void *arg, bytes_t key, bytes_t value)
{
    visitor_t *v = arg;
    filestore_ref_t ref = {0};
    TRY(cid_from_multihash(key, CODEC_RAW, &ref.cid));
    if (decode_ref(value, &ref))
        ref.path = BYTES_NONE;
    return v->visit(t, v->arg, &ref);
}

err_t filestore_each(task_t *t, filestore_t *fs, filestore_visit_fn visit, void *arg)
{
    visitor_t v = {visit, arg};
    return kv_scan(t, fs->state, SPACE, NULL, visit_row, &v);
}

/* ── reading ─────────────────────────────────────────────────────────────────────────────────── */
static err_t read_file(task_t *t, const filestore_t *fs, const filestore_ref_t *ref, uint8_t *out)
{
    AUTO(buf_t) path = {0};
    AUTO_PTR(file_t) file = NULL;
    const char *text;
    buf_init(&path, strlen(fs->root) + FILESTORE_PATH_MAX_BYTES + 2);
    TRY(buf_printf(&path, "%s/%.*s", fs->root, (int)ref->path.len, (const char *)ref->path.data));
    TRY(buf_cstr(&path, &text));
    TRY(file_open(t, text, FILE_READ, 0, &file));
    return file_read_exact(t, file, out, ref->size, ref->offset);
}

/* What the reference's owner may know of it, which of a URL is not its user. */
static const char *show_place(const filestore_ref_t *ref, char out[URL_SHOWN_MAX])
{
    int len = ref->path.len < URL_SHOWN_MAX - 10 ? (int)ref->path.len : URL_SHOWN_MAX - 10;
    char *text = xmalloc(ref->path.len + 1);
    memcpy(text, ref->path.data, ref->path.len);
    text[ref->path.len] = 0;
    if (filestore_ref_is_url(ref))
        url_show(text, out);
    else
        snprintf(out, URL_SHOWN_MAX, "%.*s", len, text);
    free(text);
    return out;
}

/* Why the bytes did not come, as a status. */
static err_t reading_failed(const filestore_t *fs, const filestore_ref_t *ref, err_t e,
                            filestore_status_t *ret_status)
{
    char place[URL_SHOWN_MAX], why[ERROR_TEXT_MAX];
    bool is_our_want = e == ERR_LIMIT || e == ERR_NO_MEMORY; /* of descriptors, say: nothing about the file */
    if (e == ERR_CANCELED || e == ERR_TIMEOUT)
        return e;
    show_place(ref, place);
    *ret_status = FILESTORE_FILE_ERROR;
    if (e == ERR_EOF) {
        *ret_status = FILESTORE_CHANGED;
        return fail(ERR_CORRUPT, "the file is shorter than it was. %s offset %" PRIu64, place, ref->offset);
    }
    if (e == ERR_NOT_FOUND && !filestore_ref_is_url(ref)) {
        *ret_status = FILESTORE_NO_FILE;
        return fail(ERR_CORRUPT, "open %s/%s: no such file or directory", fs->root, place);
    }
    snprintf(why, sizeof why, "%s", error_text(e));
    return fail(is_our_want ? e : ERR_CORRUPT, "%s", why);
}

/* The block, when the file still holds it. *ret_status says why it does not. ERR_CORRUPT then. */
static err_t read_ref(task_t *t, filestore_t *fs, const filestore_ref_t *ref, const cid_t *cid,
                      filestore_status_t *ret_status, block_t **ret_block)
{
    AUTO_PTR(block_t) block = NULL;
    char place[URL_SHOWN_MAX];
    bool is_url = filestore_ref_is_url(ref);
    *ret_status = FILESTORE_BROKEN;
    if (!ref->path.len)
        return fail(ERR_CORRUPT, "the reference to a file is damaged");
    TRY(filestore_allows(fs, is_url));
    TRY(block_new(ref->size, &block));
    block->cid = *cid;
    err_t e = !ref->size ? OK
              : is_url   ? filestore_read_url(t, &fs->urls, ref, block->data)
                         : read_file(t, fs, ref, block->data);
    if (e)
        return reading_failed(fs, ref, e, ret_status);
    *ret_status = FILESTORE_CHANGED;
    if (cid_verify(cid, block_bytes(block)))
        return fail(ERR_CORRUPT, "data in file did not match. %s offset %" PRIu64, show_place(ref, place),
                    ref->offset);
    block->is_checked = true;
    *ret_status = FILESTORE_OK;
    *ret_block = block;
    block = NULL;
    return OK;
}

filestore_status_t filestore_check(task_t *t, filestore_t *fs, const filestore_ref_t *ref,
                                   char why[ERROR_TEXT_MAX])
{
    AUTO_PTR(block_t) block = NULL;
    filestore_status_t status;
    err_t e = read_ref(t, fs, ref, &ref->cid, &status, &block);
    snprintf(why, ERROR_TEXT_MAX, "%s", e ? error_text(e) : "");
    return status;
}

/* ── writing ─────────────────────────────────────────────────────────────────────────────────── */

/* What follows the root in a clean absolute path. */
static err_t below_root(const filestore_t *fs, const char *path, const char **ret)
{
    size_t n = strlen(fs->root);
    bool is_clean = !strstr(path, "/../") && !strstr(path, "//") && !strstr(path, "/./");
    if (strncmp(path, fs->root, n) != 0 || path[n] != '/' || !path[n + 1] || !is_clean)
        return fail(ERR_DENIED, "cannot add filestore references outside ipfs root (%.200s)", fs->root);
    if (strlen(path + n + 1) > FILESTORE_PATH_MAX_BYTES)
        return fail(ERR_LIMIT, "the path of a file that is referred to has more than %d bytes",
                    FILESTORE_PATH_MAX_BYTES);
    *ret = path + n + 1;
    return OK;
}

bool filestore_holds(task_t *t, filestore_t *fs, const cid_t *cid)
{
    AUTO(buf_t) room = {0};
    filestore_ref_t ref;
    char why[ERROR_TEXT_MAX];
    buf_init(&room, FILESTORE_PATH_MAX_BYTES + 2 * UVARINT_MAX_BYTES);
    return !filestore_find(t, fs, cid, &room, &ref) && filestore_check(t, fs, &ref, why) == FILESTORE_OK;
}

/* Where a reference would say that the bytes are; borrows path. */
static err_t place_of(const filestore_t *fs, const char *path, const char **ret)
{
    url_t u;
    if (!url_is_named(path))
        return below_root(fs, path, ret);
    if (strlen(path) > FILESTORE_PATH_MAX_BYTES)
        return fail(ERR_LIMIT, "a URL that is referred to has more than %d bytes", FILESTORE_PATH_MAX_BYTES);
    *ret = path;
    err_t e = url_parse(path, &u);
    return e ? fail(ERR_INVALID, "%s", error_text(e)) : OK;
}

/* Is there something in the way of a reference? What a URL leads to is not read to find out: the new
 * reference is to what was read a moment ago. */
static bool is_held(task_t *t, filestore_t *fs, const cid_t *cid)
{
    AUTO(buf_t) room = {0};
    filestore_ref_t ref;
    buf_init(&room, FILESTORE_PATH_MAX_BYTES + 2 * UVARINT_MAX_BYTES);
    if (filestore_has_copy(t, fs, cid))
        return true;
    return !filestore_find(t, fs, cid, &room, &ref) && !filestore_ref_is_url(&ref) &&
           filestore_holds(t, fs, cid);
}

err_t filestore_stage(task_t *t, filestore_t *fs, const cid_t *cid, const char *path, uint64_t offset,
                      uint64_t size, kv_batch_t *batch)
{
    const char *place;
    uint8_t key[CID_BINARY_MAX];
    AUTO(buf_t) value = {0};
    TRY(filestore_allows(fs, url_is_named(path)));
    if (is_held(t, fs, cid)) /* then the path does not matter */
        return OK;
    TRY(place_of(fs, path, &place));
    buf_init(&value, FILESTORE_PATH_MAX_BYTES + 2 * UVARINT_MAX_BYTES);
    writer_t w = writer_to(&value);
    write_uvarint(&w, offset);
    write_uvarint(&w, size);
    TRY(w.err);
    TRY(buf_append(&value, bytes_str(place)));
    return kv_batch_put(batch, SPACE, key_of(cid, key), buf_bytes(&value));
}

/* ── as a block store ────────────────────────────────────────────────────────────────────────── */
static err_t get(task_t *t, blockstore_t *bs, const cid_t *cid, block_t **ret_block)
{
    filestore_t *fs = self(bs);
    AUTO(buf_t) room = {0};
    filestore_ref_t ref;
    filestore_status_t status;
    err_t e = fs->main->ops->get(t, fs->main, cid, ret_block);
    if (e != ERR_NOT_FOUND)
        return e;
    buf_init(&room, FILESTORE_PATH_MAX_BYTES + 2 * UVARINT_MAX_BYTES);
    TRY(filestore_find(t, fs, cid, &room, &ref));
    return read_ref(t, fs, &ref, cid, &status, ret_block);
}

static bool is_elsewhere(task_t *t, blockstore_t *bs, const cid_t *cid)
{
    filestore_t *fs = self(bs);
    uint8_t key[CID_BINARY_MAX];
    return !filestore_has_copy(t, fs, cid) && kv_has(t, fs->state, SPACE, key_of(cid, key));
}

static err_t size(task_t *t, blockstore_t *bs, const cid_t *cid, uint64_t *ret_size)
{
    filestore_t *fs = self(bs);
    AUTO(buf_t) room = {0};
    filestore_ref_t ref;
    err_t e = blockstore_size(t, fs->main, cid, ret_size);
    if (e != ERR_NOT_FOUND)
        return e;
    buf_init(&room, FILESTORE_PATH_MAX_BYTES + 2 * UVARINT_MAX_BYTES);
    TRY(filestore_find(t, fs, cid, &room, &ref));
    *ret_size = ref.size;
    return OK;
}

static err_t remove_many(task_t *t, blockstore_t *bs, const cid_t *cids, size_t n)
{
    filestore_t *fs = self(bs);
    AUTO(kv_batch_t) batch;
    kv_batch_init(&batch);
    for (size_t i = 0; i < n; i++) {
        uint8_t key[CID_BINARY_MAX];
        bytes_t k = key_of(&cids[i], key);
        if (kv_has(t, fs->state, SPACE, k))
            TRY(kv_batch_delete(&batch, SPACE, k));
    }
    TRY(blockstore_remove(t, fs->main, cids, n));
    return kv_commit(t, fs->state, &batch);
}

static err_t discard(task_t *t, blockstore_t *bs, const cid_t *cid)
{
    blockstore_t *main = self(bs)->main;
    return blockstore_has(t, main, cid) ? blockstore_discard(t, main, cid) : OK;
}

typedef struct each_run {
    filestore_t *fs;
    blockstore_visit_fn visit;
    void *arg;
} each_run_t;

static err_t visit_ref(task_t *t, void *arg, const filestore_ref_t *ref)
{
    each_run_t *run = arg;
    if (filestore_has_copy(t, run->fs, &ref->cid)) /* it was visited there */
        return OK;
    return run->visit(t, run->arg, &ref->cid, ref->size);
}

static err_t each(task_t *t, blockstore_t *bs, blockstore_visit_fn visit, void *arg)
{
    each_run_t run = {self(bs), visit, arg};
    TRY(blockstore_each(t, run.fs->main, visit, arg));
    return filestore_each(t, run.fs, visit_ref, &run);
}

static err_t stat_both(task_t *t, blockstore_t *bs, blockstore_stat_t *ret)
{
    uint64_t refs;
    blockstore_stat_t stat;
    TRY(blockstore_stat(t, self(bs)->main, &stat));
    TRY(kv_count(t, self(bs)->state, SPACE, BYTES_NONE, &refs));
    stat.blocks += refs;
    *ret = stat;
    return OK;
}

/* What does not concern references. */
static err_t put_many(task_t *t, blockstore_t *bs, block_t *const *blocks, size_t n)
{
    return self(bs)->main->ops->put_many(t, self(bs)->main, blocks, n);
}
static err_t get_many(task_t *t, blockstore_t *bs, const cid_t *cids, size_t n, block_t **blocks)
{
    return self(bs)->main->ops->get_many(t, self(bs)->main, cids, n, blocks);
}
static err_t write_many(task_t *t, blockstore_t *bs, block_t *const *blocks, size_t n, void **state)
{
    return self(bs)->main->ops->write_many(t, self(bs)->main, blocks, n, state);
}

static err_t write_behind(task_t *t, blockstore_t *bs, block_t *const *blocks, size_t n)
{
    return self(bs)->main->ops->write_behind(t, self(bs)->main, blocks, n);
}
static err_t settle(task_t *t, blockstore_t *bs, void **state)
{
    return self(bs)->main->ops->settle(t, self(bs)->main, state);
}
static err_t sync_main(task_t *t, blockstore_t *bs)
{
    return self(bs)->main->ops->sync(t, self(bs)->main);
}
static uint64_t losses(const blockstore_t *bs)
{
    return blockstore_losses(CONTAINER_OF(bs, const filestore_t, base)->main);
}
static err_t compact(task_t *t, blockstore_t *bs)
{
    return self(bs)->main->ops->compact(t, self(bs)->main);
}
static void close_nothing(task_t *t, blockstore_t *bs) {}

filestore_t *filestore_new(blockstore_t *main, kv_t *state, const char *root, filestore_kinds_t allowed)
{
    filestore_t *fs = xcalloc(1, sizeof *fs);
    const blockstore_ops_t *o = main->ops;
    fs->ops = (blockstore_ops_t){
        .put_many = put_many,
        .get = get,
        .get_many = o->get_many ? get_many : NULL,
        .size = size,
        .remove = remove_many,
        .each = each,
        .stat = stat_both,
        .compact = compact,
        .close = close_nothing,
        .write_many = o->write_many ? write_many : NULL,
        .write_behind = o->write_behind ? write_behind : NULL,
        .settle = o->settle ? settle : NULL,
        .sync = o->sync ? sync_main : NULL,
        .losses = o->losses ? losses : NULL,
        .discard = discard,
        .is_elsewhere = is_elsewhere,
        .wrong_is_absent = o->wrong_is_absent,
    };
    fs->base.ops = &fs->ops;
    fs->main = main;
    fs->state = state;
    fs->allowed = allowed;
    url_reader_init(&fs->urls);
    fs->root = xstrdup(root);
    for (size_t n = strlen(root); n && fs->root[n - 1] == '/'; n--)
        fs->root[n - 1] = 0;
    return fs;
}

blockstore_t *filestore_store(filestore_t *fs)
{
    return &fs->base;
}

void filestore_free(filestore_t *fs)
{
    if (!fs)
        return;
    url_reader_deinit(&fs->urls);
    free(fs->root);
    free(fs);
}
