#include "dag/importer.h"
#include "dag/layout.h"
#include "task/driver.h"
#include <stdlib.h>

enum {
    SLOT_BYTES = 1 << 20, /* leaves that one worker hashes at a time */
    SLOT_MAX_LEAVES = 512,
    SLOTS = 8,
    HASH_INLINE_BYTES = 32 << 10, /* below it a thread switch costs more than the hash */
    PUT_BATCH_BYTES = 4 << 20,
    PUT_BATCHES = 2,
};

typedef struct leaf {
    block_t *block;
    size_t size; /* bytes of content */
} leaf_t;

/* Leaves in order, on their way from reading to hashing. */
typedef struct slot {
    importer_t *importer;
    leaf_t *leaves;
    size_t count, bytes;
    bool is_hashing;
    err_t result;
    error_slot_t error;
} slot_t;

struct importer {
    import_options_t options;
    put_queue_t queue;
    node_writer_t writer;
    group_t hashers;
    event_t hashed;
    slot_t slots[SLOTS];
    size_t leaves_per_slot;
    block_t *spare; /* room for one whole chunk, kept from file to file */
    uint8_t *ahead; /* what was read but not yet cut, where the content decides; max_bytes of room */
    size_t ahead_len;
    bool has_source_ended;
    uint64_t read_bytes, held_bytes, peak_bytes;
    import_progress_fn progress;
    void *progress_arg;
    importer_leaf_fn take_leaf;
    void *take_leaf_arg;
    uint64_t leaf_offset; /* of the next leaf that is handed on */
};

static err_t read_bytes_source(task_t *t, void *arg, uint8_t *out, size_t cap, size_t *ret_n)
{
    bytes_t *b = arg;
    size_t n = b->len < cap ? b->len : cap;
    if (n)
        memcpy(out, b->data, n);
    *b = bytes_slice(*b, n, b->len - n);
    *ret_n = n;
    return OK;
}

source_t source_of_bytes(bytes_t *b)
{
    return (source_t){read_bytes_source, b};
}

err_t importer_new(task_t *t, blocks_t *blocks, const import_options_t *options, importer_t **ret)
{
    import_options_t resolved = *options;
    TRY(import_options_resolve(&resolved));
    importer_t *im = xcalloc(1, sizeof *im);
    im->options = resolved;
    put_queue_init(&im->queue, task_sched(t), blocks, PUT_BATCH_BYTES, PUT_BATCHES);
    node_writer_init(&im->writer, &im->options, &im->queue);
    group_init(&im->hashers, task_sched(t));
    event_init(&im->hashed);
    im->leaves_per_slot = SLOT_BYTES / im->options.chunker.max_bytes;
    if (im->leaves_per_slot < 1)
        im->leaves_per_slot = 1;
    if (im->leaves_per_slot > SLOT_MAX_LEAVES)
        im->leaves_per_slot = SLOT_MAX_LEAVES;
    for (size_t i = 0; i < SLOTS; i++) {
        im->slots[i].importer = im;
        im->slots[i].leaves =
            xcalloc(im->leaves_per_slot + 1, sizeof *im->slots[i].leaves); /* see slot_fill */
    }
    *ret = im;
    return OK;
}

static void slot_clear(slot_t *s)
{
    for (size_t i = 0; i < s->count; i++)
        block_release(s->leaves[i].block);
    s->importer->held_bytes -= s->bytes;
    s->count = s->bytes = 0;
    s->result = OK;
}

void importer_free(task_t *t, importer_t *im)
{
    if (!im)
        return;
    group_stop(t, &im->hashers);
    group_deinit(&im->hashers);
    put_queue_deinit(t, &im->queue);
    node_writer_deinit(&im->writer);
    for (size_t i = 0; i < SLOTS; i++) {
        slot_clear(&im->slots[i]);
        free(im->slots[i].leaves);
    }
    block_release(im->spare);
    free(im->ahead);
    free(im);
}

node_writer_t *importer_writer(importer_t *im)
{
    return &im->writer;
}

void importer_set_leaves(importer_t *im, importer_leaf_fn fn, void *arg)
{
    im->take_leaf = fn;
    im->take_leaf_arg = arg;
}

void importer_set_progress(importer_t *im, import_progress_fn fn, void *arg)
{
    im->progress = fn;
    im->progress_arg = arg;
}

/* ── leaves ──────────────────────────────────────────────────────────────────────────────────── */
static const unixfs_t plain_leaf = {.type = UNIXFS_FILE}, trickle_leaf = {.type = UNIXFS_RAW};

/* What stands around a full chunk: raw leaves are the bytes alone. meta NULL: a leaf below other nodes. */
static void around(const import_options_t *o, const unixfs_t *meta, size_t len, unixfs_leaf_t *ret)
{
    ret->prefix_len = ret->suffix_len = 0;
    if (!o->raw_leaves)
        unixfs_leaf_around(meta ? meta : o->is_trickle ? &trickle_leaf : &plain_leaf, len, ret);
}

static err_t fill(task_t *t, source_t source, uint8_t *out, size_t cap, size_t *ret_n)
{
    size_t n = 0;
    while (n < cap) {
        size_t got = 0;
        TRY(source.read(t, source.arg, out + n, cap - n, &got));
        assert(got <= cap - n);
        if (!got)
            break;
        n += got;
    }
    *ret_n = n;
    return OK;
}

/* A block of just the right length around content that was read elsewhere. */
static err_t wrap(const import_options_t *o, bytes_t content, const unixfs_t *meta, block_t **ret)
{
    unixfs_leaf_t a;
    around(o, meta, content.len, &a);
    block_t *b;
    TRY(block_new(a.prefix_len + content.len + a.suffix_len, &b));
    memcpy(b->data, a.prefix, a.prefix_len);
    if (content.len)
        memcpy(b->data + a.prefix_len, content.data, content.len);
    memcpy(b->data + a.prefix_len + content.len, a.suffix, a.suffix_len);
    *ret = b;
    return OK;
}

/* Reads the next leaf of a fixed size. Full chunks stay where they were read; the last, short one moves into
 * a block of its own length. *ret_leaf.block is NULL at the end of the content. */
static err_t read_sized(task_t *t, importer_t *im, source_t source, leaf_t *ret_leaf, bool *ret_ended)
{
    unixfs_leaf_t a;
    size_t chunk = im->options.chunker.max_bytes, n;
    around(&im->options, NULL, chunk, &a);
    if (!im->spare)
        TRY(block_new(a.prefix_len + chunk + a.suffix_len, &im->spare));
    TRY(fill(t, source, im->spare->data + a.prefix_len, chunk, &n));
    *ret_ended = n < chunk;
    *ret_leaf = (leaf_t){.size = n};
    if (n == chunk) {
        ret_leaf->block = im->spare;
        im->spare = NULL;
        memcpy(ret_leaf->block->data, a.prefix, a.prefix_len);
        memcpy(ret_leaf->block->data + a.prefix_len + chunk, a.suffix, a.suffix_len);
    } else if (n) {
        bytes_t content = bytes_of(im->spare->data + a.prefix_len, n);
        TRY(wrap(&im->options, content, NULL, &ret_leaf->block));
    }
    return OK;
}

typedef struct cut {
    const chunker_t *chunker;
    bytes_t ahead;
    size_t len;
} cut_t;

static void find_cut(void *arg)
{
    cut_t *c = arg;
    c->len = chunker_cut(c->chunker, c->ahead);
}

/* The next leaf where the content decides its length. */
static err_t read_cut(task_t *t, importer_t *im, source_t source, leaf_t *ret_leaf, bool *ret_ended)
{
    const chunker_t *chunker = &im->options.chunker;
    size_t room = chunker->max_bytes - im->ahead_len, n = 0;
    if (!im->ahead)
        im->ahead = xcalloc(1, chunker->max_bytes);
    if (!im->has_source_ended)
        TRY(fill(t, source, im->ahead + im->ahead_len, room, &n));
    im->ahead_len += n;
    im->has_source_ended |= n < room;
    cut_t cut = {.chunker = chunker, .ahead = bytes_of(im->ahead, im->ahead_len)};
    if (im->ahead_len > HASH_INLINE_BYTES)
        work(t, find_cut, &cut);
    else
        find_cut(&cut);
    *ret_leaf = (leaf_t){.size = cut.len};
    if (cut.len)
        TRY(wrap(&im->options, bytes_of(im->ahead, cut.len), NULL, &ret_leaf->block));
    im->ahead_len -= cut.len;
    memmove(im->ahead, im->ahead + cut.len, im->ahead_len);
    *ret_ended = im->has_source_ended && !im->ahead_len;
    return OK;
}

static err_t read_leaf(task_t *t, importer_t *im, source_t source, leaf_t *ret_leaf, bool *ret_ended)
{
    bool is_sized = im->options.chunker.kind == CHUNKER_SIZE;
    TRY((is_sized ? read_sized : read_cut)(t, im, source, ret_leaf, ret_ended));
    im->read_bytes += ret_leaf->size;
    return OK;
}

/* ── hashing ─────────────────────────────────────────────────────────────────────────────────── */
static void hash_slot(void *arg)
{
    slot_t *s = arg;
    const import_options_t *o = &s->importer->options;
    uint64_t codec = o->raw_leaves ? CODEC_RAW : CODEC_DAG_PB;
    for (size_t i = 0; i < s->count && !s->result; i++) {
        block_t *b = s->leaves[i].block;
        s->result = import_cid(o, codec, block_bytes(b), &b->cid);
        if (!s->result)
            block_make_sum(b); /* for the store, while the bytes are in the processor's cache */
    }
}

static err_t hash_task(task_t *t, void *arg)
{
    slot_t *s = arg;
    work(t, hash_slot, s);
    if (s->result)
        s->error = *error_slot();
    s->is_hashing = false;
    event_fire(&s->importer->hashed);
    return OK;
}

static err_t slot_hash(task_t *t, slot_t *s)
{
    if (s->bytes <= HASH_INLINE_BYTES) {
        hash_slot(s);
        if (s->result)
            s->error = *error_slot();
        return OK;
    }
    s->is_hashing = true;
    err_t e = group_spawn(&s->importer->hashers, "hash leaves", hash_task, s, NULL);
    if (e)
        s->is_hashing = false;
    return e;
}

/* Takes the block. */
static err_t store_leaf(task_t *t, importer_t *im, block_t *b, uint64_t size)
{
    bool is_taken = cid_is_identity(&b->cid);
    err_t e = OK;
    if (!is_taken && im->take_leaf && im->options.raw_leaves && size)
        e = im->take_leaf(t, im->take_leaf_arg, b, im->leaf_offset, &is_taken);
    im->leaf_offset += size;
    if (!e && !is_taken)
        return put_queue_add(t, &im->queue, b);
    block_release(b);
    return e;
}

/* Waits for the slot's hashes and hands its leaves on, in order. */
static err_t slot_collect(task_t *t, slot_t *s, layout_t *layout)
{
    importer_t *im = s->importer;
    while (s->is_hashing)
        TRY(event_wait(t, &im->hashed));
    if (s->result)
        return s->error.code == s->result ? fail(s->result, "%s", s->error.text) : s->result;
    err_t e = OK;
    for (size_t i = 0; i < s->count && !e; i++) {
        block_t *b = s->leaves[i].block;
        dag_ref_t ref = {.cid = b->cid, .tsize = b->len, .size = s->leaves[i].size};
        s->leaves[i].block = NULL;
        s->bytes -= b->len;
        im->held_bytes -= b->len;
        e = store_leaf(t, im, b, ref.size);
        if (!e)
            e = layout_add(t, layout, &ref);
    }
    slot_clear(s);
    return e;
}

/* ── files ───────────────────────────────────────────────────────────────────────────────────── */
static void slot_push(slot_t *s, leaf_t leaf)
{
    importer_t *im = s->importer;
    s->leaves[s->count++] = leaf;
    s->bytes += leaf.block->len;
    im->held_bytes += leaf.block->len;
    uint64_t held = im->held_bytes + im->queue.waiting_bytes;
    if (held > im->peak_bytes)
        im->peak_bytes = held;
}

typedef struct file_state {
    layout_t layout;
    uint64_t size;
    size_t leaf_count;
    bool has_ended, keeps_meta; /* of an only leaf */
} file_state_t;

/* A first leaf that will carry metadata when it is the only one waits for the next, or for the end. */
static err_t slot_fill(task_t *t, slot_t *s, source_t source, file_state_t *f)
{
    importer_t *im = s->importer;
    while (!f->has_ended && (s->count < im->leaves_per_slot || (f->leaf_count == 1 && f->keeps_meta))) {
        leaf_t leaf;
        TRY(read_leaf(t, im, source, &leaf, &f->has_ended));
        if (!leaf.block)
            break;
        slot_push(s, leaf);
        f->leaf_count++;
        f->size += leaf.size;
        if (im->progress)
            im->progress(im->progress_arg, f->size);
    }
    return OK;
}

/* The only leaf is the root: it carries the metadata, and is there even when it is empty. */
static err_t make_only_leaf(importer_t *im, slot_t *s, const unixfs_t *meta)
{
    unixfs_t m = plain_leaf;
    if (meta) {
        m = *meta;
        m.type = UNIXFS_FILE;
    }
    leaf_t leaf = {0};
    if (s->count) {
        unixfs_leaf_t a;
        around(&im->options, &plain_leaf, s->leaves[0].size, &a);
        leaf.size = s->leaves[0].size;
        TRY(wrap(&im->options, bytes_of(s->leaves[0].block->data + a.prefix_len, leaf.size), &m,
                 &leaf.block));
        slot_clear(s);
    } else {
        TRY(wrap(&im->options, BYTES_NONE, &m, &leaf.block));
    }
    slot_push(s, leaf);
    return OK;
}

static err_t import(task_t *t, importer_t *im, source_t source, const unixfs_t *meta, file_state_t *f)
{
    size_t next = 0;
    f->keeps_meta = !im->options.is_trickle && meta && (meta->has_mode || meta->has_mtime);
    while (!f->has_ended) {
        slot_t *s = &im->slots[next++ % SLOTS];
        if (s->count)
            TRY(slot_collect(t, s, &f->layout));
        TRY(slot_fill(t, s, source, f));
        if (f->has_ended && !im->options.is_trickle &&
            (!f->leaf_count || (f->leaf_count == 1 && f->keeps_meta && s->count == 1)))
            TRY(make_only_leaf(im, s, meta));
        if (s->count)
            TRY(slot_hash(t, s));
    }
    for (size_t i = 0; i < SLOTS; i++) {
        slot_t *s = &im->slots[next++ % SLOTS];
        if (s->count)
            TRY(slot_collect(t, s, &f->layout));
    }
    return OK;
}

/* After a failure: no slot may be read by a worker or hold leaves of the failed file. */
static void drop_slots(task_t *t, importer_t *im)
{
    task_shield(t);
    err_t ignored = group_join(t, &im->hashers);
    (void)ignored;
    task_unshield(t);
    for (size_t i = 0; i < SLOTS; i++)
        slot_clear(&im->slots[i]);
}

err_t importer_add_file(task_t *t, importer_t *im, source_t source, const unixfs_t *meta, dag_ref_t *ret_ref)
{
    file_state_t *f = xcalloc(1, sizeof *f);
    im->ahead_len = 0; /* of a file that failed */
    im->has_source_ended = false;
    im->leaf_offset = 0;
    layout_init(&f->layout, &im->writer);
    err_t e = import(t, im, source, meta, f);
    if (!e)
        e = layout_finish(t, &f->layout, meta, ret_ref);
    else
        drop_slots(t, im);
    layout_deinit(&f->layout);
    free(f);
    return e;
}

err_t importer_add_symlink(task_t *t, importer_t *im, bytes_t target, const unixfs_t *meta,
                           dag_ref_t *ret_ref)
{
    unixfs_t u = {.type = UNIXFS_SYMLINK, .data = target, .has_data = true};
    if (meta) {
        u.has_mtime = meta->has_mtime;
        u.mtime = meta->mtime;
    }
    writer_t w = node_writer_begin(&im->writer);
    return node_writer_put_unixfs(t, &im->writer, &w, &u, NULL, 0, ret_ref);
}

err_t importer_flush(task_t *t, importer_t *im)
{
    return put_queue_flush(t, &im->queue);
}

import_stat_t importer_stat(const importer_t *im)
{
    return (import_stat_t){
        .read_bytes = im->read_bytes, .put_bytes = im->queue.put_bytes, .peak_bytes = im->peak_bytes};
}
