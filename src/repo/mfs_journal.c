#include "repo/mfs_journal.h"
#include "base/checksum.h"
#include "base/reader.h"
#include "base/writer.h"
#include <stdlib.h>

enum { HEAD_BYTES = 24, MAX_BLOCKS = 4096, ROOM_STEP_BYTES = 512 << 10 };
#define MAGIC 0x444d4653u /* "DMFS" */

void mfs_journal_init(mfs_journal_t *j, const char *path)
{
    *j = (mfs_journal_t){.path = xstrdup(path)};
    buf_init(&j->record, MFS_RECORD_MAX_BYTES + HEAD_BYTES);
}

void mfs_journal_deinit(mfs_journal_t *j)
{
    file_close(j->file);
    free(j->path);
    buf_deinit(&j->record);
    *j = (mfs_journal_t){0};
}

void mfs_journal_rewind(mfs_journal_t *j)
{
    j->at = 0;
}

/* ── writing ─────────────────────────────────────────────────────────────────────────────────── */
static err_t open_file(task_t *t, mfs_journal_t *j)
{
    if (j->file)
        return OK;
    AUTO(buf_t) folder = {0};
    const char *text, *slash = strrchr(j->path, '/');
    buf_init(&folder, 4096);
    TRY(buf_append(&folder, bytes_of(j->path, (size_t)(slash - j->path))));
    TRY(buf_cstr(&folder, &text));
    TRY(file_open(t, j->path, FILE_READ | FILE_WRITE | FILE_CREATE, 0600, &j->file));
    err_t e = fs_sync_dir(t, text);
    if (e) { /* its name may not last */
        file_close(j->file);
        j->file = NULL;
    }
    return e;
}

/* A record within the file costs one write to be synced, one behind its end several: of its size and its
 * places on the disk, too. So there is room ahead, synced with the record that needed it. */
static void make_room(task_t *t, mfs_journal_t *j, uint64_t end)
{
    if ((!j->room && file_size(t, j->file, &j->room)) || end <= j->room)
        return;
    uint8_t *zeros = xcalloc(1, ROOM_STEP_BYTES);
    bytes_t piece = bytes_of(zeros, ROOM_STEP_BYTES);
    err_t e = OK;
    while (!e && j->room < end + ROOM_STEP_BYTES) {
        e = file_write_at(t, j->file, &piece, 1, j->room);
        if (!e)
            j->room += ROOM_STEP_BYTES;
    }
    free(zeros); /* on a full disk the record may fit all the same */
}

static void put_cid(writer_t *w, const cid_t *cid)
{
    uint8_t raw[CID_BINARY_MAX];
    write_length_prefixed(w, bytes_of(raw, cid_encode(cid, raw)));
}

static err_t encode(mfs_journal_t *j, const cid_t *root, block_t *const *blocks, size_t n)
{
    static const uint8_t room[HEAD_BYTES];
    buf_clear(&j->record);
    writer_t w = writer_to(&j->record);
    write_bytes(&w, bytes_of(room, sizeof room));
    put_cid(&w, root);
    for (size_t i = 0; i < n; i++) {
        put_cid(&w, &blocks[i]->cid);
        write_length_prefixed(&w, block_bytes(blocks[i]));
    }
    TRY(w.err);
    size_t len = j->record.len - HEAD_BYTES;
    AUTO(buf_t) head = {0};
    buf_init(&head, HEAD_BYTES);
    w = writer_to(&head);
    write_u32be(&w, MAGIC);
    write_u32be(&w, (uint32_t)len);
    write_u64be(&w, j->number + 1);
    write_u64be(&w, checksum_of(bytes_of(j->record.data + HEAD_BYTES, len), j->number + 1));
    TRY(w.err);
    memcpy(j->record.data, head.data, HEAD_BYTES);
    return OK;
}

err_t mfs_journal_append(task_t *t, mfs_journal_t *j, const cid_t *root, block_t *const *blocks, size_t n)
{
    if (n > MAX_BLOCKS)
        return fail(ERR_LIMIT, "a record of %zu blocks", n);
    TRY(encode(j, root, blocks, n));
    if (j->at + j->record.len > MFS_JOURNAL_MAX_BYTES)
        return fail(ERR_LIMIT, "the journal is full");
    TRY(open_file(t, j));
    make_room(t, j, j->at + j->record.len);
    bytes_t record = buf_bytes(&j->record);
    TRY(file_write_synced(t, j->file, &record, 1, j->at));
    j->at += record.len;
    j->number++;
    return OK;
}

/* ── reading ─────────────────────────────────────────────────────────────────────────────────── */
static bool read_cid(reader_t *r, cid_t *ret)
{
    bytes_t raw = read_length_prefixed(r, CID_BINARY_MAX);
    return !r->err && !cid_decode(raw, ret);
}

/* Gives the blocks of a payload; false: it is damaged, though its checksum is right. */
static err_t give_blocks(task_t *t, bytes_t payload, mfs_journal_put_fn put, void *arg, cid_t *ret_root)
{
    reader_t r = reader_of(payload);
    block_t *blocks[64];
    size_t n = 0;
    err_t e = read_cid(&r, ret_root) ? OK : fail(ERR_CORRUPT, "a record of the journal without a root");
    while (!e && reader_left(&r)) {
        cid_t cid;
        bool is_cid = read_cid(&r, &cid);
        bytes_t data = read_length_prefixed(&r, BLOCK_MAX_BYTES);
        e = is_cid && !r.err ? block_copy(&cid, data, &blocks[n])
                             : fail(ERR_CORRUPT, "a record of the journal with damaged blocks");
        n += !e;
        if (!e && n == ARRAY_LEN(blocks)) {
            e = put(t, arg, blocks, n);
            while (n)
                block_release(blocks[--n]);
        }
    }
    if (!e && n)
        e = put(t, arg, blocks, n);
    while (n)
        block_release(blocks[--n]);
    return e;
}

/* The record at j->at, when it is the next one. */
static err_t read_record(task_t *t, mfs_journal_t *j, uint64_t number, bool *ret_has)
{
    uint8_t head[HEAD_BYTES];
    size_t n;
    *ret_has = false;
    TRY(file_read_at(t, j->file, head, sizeof head, j->at, &n));
    reader_t r = reader_of(bytes_of(head, n));
    uint32_t magic = read_u32be(&r), len = read_u32be(&r);
    uint64_t its_number = read_u64be(&r), sum = read_u64be(&r);
    if (r.err || magic != MAGIC || its_number != number || len > MFS_RECORD_MAX_BYTES)
        return OK;
    buf_clear(&j->record);
    TRY(buf_reserve(&j->record, len));
    TRY(file_read_at(t, j->file, j->record.data, len, j->at + HEAD_BYTES, &n));
    j->record.len = n;
    *ret_has = n == len && checksum_of(buf_bytes(&j->record), number) == sum;
    return OK;
}

static err_t replay(task_t *t, mfs_journal_t *j, mfs_journal_put_fn put, void *arg, cid_t *ret_root,
                    bool *ret_has)
{
    if (!j->file) {
        err_t e = file_open(t, j->path, FILE_READ | FILE_WRITE, 0600, &j->file);
        if (e == ERR_NOT_FOUND)
            return OK;
        TRY(e);
    }
    for (;;) {
        bool has;
        TRY(read_record(t, j, j->number + 1, &has));
        if (!has)
            return OK;
        TRY(give_blocks(t, buf_bytes(&j->record), put, arg, ret_root));
        *ret_has = true;
        j->at += HEAD_BYTES + j->record.len;
        j->number++;
    }
}

/* Where it fails the journal ends where it ended: the records that were not read are acknowledged, and none
 * may be written over them. */
err_t mfs_journal_replay(task_t *t, mfs_journal_t *j, uint64_t after, mfs_journal_put_fn put, void *arg,
                         cid_t *ret_root, bool *ret_has)
{
    uint64_t at = j->at, number = j->number;
    j->number = after;
    j->at = 0;
    *ret_has = false;
    err_t e = replay(t, j, put, arg, ret_root, ret_has);
    if (e) {
        j->at = at;
        j->number = number;
    }
    return e;
}
