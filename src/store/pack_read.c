/* Blocks out: one by one, or neighbours of a segment in one trip to the disk. */
#include "store/pack_impl.h"
#include <stdlib.h>

#define READ_TRIES 4
#define RUN_MAX 64

err_t pack_find(task_t *t, pack_store_t *s, bytes_t key, pack_loc_t *ret_loc)
{
    pack_pending_t *pending = map_get(&s->overlay, key);
    if (pending && pending->epoch) {
        *ret_loc = pending->loc;
        return OK;
    }
    return pack_index_find(t, s->index, key, ret_loc);
}

static err_t find_cid(task_t *t, pack_store_t *s, const cid_t *cid, pack_loc_t *ret_loc)
{
    uint8_t key[CID_BINARY_MAX];
    err_t e = pack_find(t, s, bytes_of(key, cid_encode_multihash(cid, key)), ret_loc);
    if (e != ERR_NOT_FOUND)
        return e;
    char text[CID_TEXT_MAX];
    return fail(ERR_NOT_FOUND, "block was not found locally (offline): ipld: could not find %s",
                cid_print(cid, text));
}

/* From the page cache when it has all of it. ERR_EOF: the file ends before. */
static err_t read_range(task_t *t, pack_segment_t *segment, uint8_t *out, size_t len, uint64_t offset)
{
    size_t n = 0;
    err_t e = file_try_read_at(segment->file, out, len, offset, &n);
    if (e && e != ERR_AGAIN)
        return e;
    n = e ? 0 : n;
    return n == len ? OK : file_read_exact(t, segment->file, out + n, len - n, offset + n);
}

/* A record as it is read: its header with the bytes, since its checksum takes a tenth of the time of their
 * hash. Room for both; the block is what remains after `check`. */
typedef struct reading {
    uint8_t key[CID_BINARY_MAX];
    size_t key_len, header_len; /* header_len 0: the bytes will be hashed */
    block_t *block;
} reading_t;

static err_t begin_reading(const cid_t *cid, pack_loc_t loc, reading_t *r)
{
    r->key_len = cid_encode_multihash(cid, r->key);
    r->header_len = PACK_RECORD_HEADER_BYTES + r->key_len;
    if (r->header_len > loc.offset || loc.len > BLOCK_STORED_MAX_BYTES - r->header_len)
        r->header_len = 0;
    TRY(block_new(r->header_len + loc.len, &r->block));
    r->block->cid = *cid;
    return OK;
}

static void check(reading_t *r)
{
    block_t *block = r->block;
    bytes_t header = bytes_of(block->data, r->header_len);
    block->data += r->header_len;
    block->len -= r->header_len;
    block->is_checked = pack_record_matches(header, bytes_of(r->key, r->key_len), block_bytes(block));
}

static err_t read_block(task_t *t, pack_store_t *s, const cid_t *cid, pack_loc_t loc, block_t **ret_block)
{
    pack_segment_t *segment;
    reading_t r = {.block = NULL};
    TRY(pack_segment_use(t, s, loc.segment, &segment));
    err_t e = begin_reading(cid, loc, &r);
    if (!e)
        e = read_range(t, segment, r.block->data, r.block->len, loc.offset - r.header_len);
    pack_segment_release(s, segment);
    if (e) {
        block_release(r.block);
        return e;
    }
    check(&r);
    *ret_block = r.block;
    return OK;
}

/* A compaction may move the block between the look-up and the read: then the segment is gone, and the next
 * look-up gives the new place. */
err_t pack_get(task_t *t, blockstore_t *bs, const cid_t *cid, block_t **ret_block)
{
    pack_store_t *s = pack_self(bs);
    pack_loc_t loc;
    err_t e = OK;
    block_t *recent = recent_get(&s->recent, cid);
    if (recent) {
        *ret_block = recent;
        return OK;
    }
    if (!pack_behind_get(s, cid, ret_block))
        return OK;
    uint64_t removals = s->recent.removals;
    for (int i = 0; i < READ_TRIES; i++) {
        TRY(find_cid(t, s, cid, &loc));
        e = read_block(t, s, cid, loc, ret_block);
        if (!e && (*ret_block)->is_checked)
            recent_put(&s->recent, *ret_block, removals);
        if (e != ERR_NOT_FOUND && e != ERR_EOF)
            return e;
    }
    char text[CID_TEXT_MAX];
    return fail(ERR_CORRUPT, "block %s: segment %u does not reach to it", cid_print(cid, text), loc.segment);
}

err_t pack_size(task_t *t, blockstore_t *bs, const cid_t *cid, uint64_t *ret_size)
{
    pack_loc_t loc;
    AUTO_PTR(block_t) behind = NULL;
    if (!pack_behind_get(pack_self(bs), cid, &behind)) {
        *ret_size = behind->len;
        return OK;
    }
    TRY(find_cid(t, pack_self(bs), cid, &loc));
    *ret_size = loc.len;
    return OK;
}

/* ── neighbours ──────────────────────────────────────────────────────────────────────────────── */
/* Blocks that stand one behind the other in a segment. */
typedef struct run {
    uint32_t segment;
    uint64_t from, to; /* of the file */
    size_t n;
    reading_t readings[RUN_MAX];
    block_t **places[RUN_MAX]; /* where they go to */
} run_t;

static void clear(run_t *run)
{
    for (size_t i = 0; i < run->n; i++)
        block_release(run->readings[i].block);
    run->n = 0;
}

static err_t read_run(task_t *t, pack_store_t *s, run_t *run)
{
    pack_segment_t *segment;
    span_t pieces[RUN_MAX];
    if (!run->n)
        return OK;
    err_t e = pack_segment_use(t, s, run->segment, &segment);
    for (size_t i = 0; i < run->n; i++)
        pieces[i] = (span_t){run->readings[i].block->data, run->readings[i].block->len};
    if (!e) {
        e = file_read_pieces(t, segment->file, pieces, run->n, run->from);
        pack_segment_release(s, segment);
    }
    for (size_t i = 0; !e && i < run->n; i++) {
        check(&run->readings[i]);
        *run->places[i] = run->readings[i].block;
        run->readings[i].block = NULL;
    }
    clear(run);
    return e == ERR_CANCELED ? e : OK; /* what could not be read stays NULL */
}

static err_t add_to_run(task_t *t, pack_store_t *s, run_t *run, const cid_t *cid, pack_loc_t loc,
                        block_t **place)
{
    reading_t r = {.block = NULL};
    if (begin_reading(cid, loc, &r))
        return OK;
    uint64_t from = loc.offset - r.header_len;
    if (run->n == RUN_MAX || (run->n && (loc.segment != run->segment || from != run->to))) {
        err_t e = read_run(t, s, run);
        if (e) {
            block_release(r.block);
            return e;
        }
    }
    if (!run->n) {
        run->segment = loc.segment;
        run->from = from;
    }
    run->to = loc.offset + loc.len;
    run->readings[run->n] = r;
    run->places[run->n++] = place;
    return OK;
}

err_t pack_get_many(task_t *t, blockstore_t *bs, const cid_t *cids, size_t n, block_t **blocks)
{
    pack_store_t *s = pack_self(bs);
    run_t *run = xmalloc(sizeof *run);
    run->n = 0;
    err_t e = OK;
    for (size_t i = 0; e != ERR_CANCELED && i < n; i++) {
        uint8_t key[CID_BINARY_MAX];
        pack_loc_t loc;
        blocks[i] = recent_get(&s->recent, &cids[i]);
        if (blocks[i] || !pack_behind_get(s, &cids[i], &blocks[i]))
            continue;
        e = pack_find(t, s, bytes_of(key, cid_encode_multihash(&cids[i], key)), &loc);
        if (!e)
            e = add_to_run(t, s, run, &cids[i], loc, &blocks[i]);
    }
    if (e != ERR_CANCELED)
        e = read_run(t, s, run);
    clear(run);
    free(run);
    return e;
}
