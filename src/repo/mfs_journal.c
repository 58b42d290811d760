#include "repo/mfs_journal.h"
#include "base/checksum.h"
#include "base/writer.h"
#include <stdlib.h>

enum { HEAD_BYTES = 24, MAX_BLOCKS = 4096, ROOM_STEP_BYTES = 512 << 10 };
#define ROOT_MAGIC 0x444d4653u  /* "DMFS" */
#define FILES_MAGIC 0x444d4646u /* "DMFF" */

void mfs_journal_init(mfs_journal_t *j, const char *path)
{
    *j = (mfs_journal_t){.path = xstrdup(path)};
    buf_init(&j->record, MFS_RECORD_MAX_BYTES + HEAD_BYTES);
    gate_init(&j->turn, 1);
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

err_t mfs_files_add(buf_t *files, bytes_t path, const dag_ref_t *ref)
{
    size_t before = files->len;
    writer_t w = writer_to(files);
    write_length_prefixed(&w, path);
    put_cid(&w, &ref->cid);
    write_uvarint(&w, ref->tsize);
    write_uvarint(&w, ref->size);
    if (w.err)
        files->len = before;
    return w.err;
}

static err_t encode(mfs_journal_t *j, const mfs_record_t *record)
{
    static const uint8_t room[HEAD_BYTES];
    buf_clear(&j->record);
    writer_t w = writer_to(&j->record);
    write_bytes(&w, bytes_of(room, sizeof room));
    if (record->root)
        put_cid(&w, record->root);
    else
        write_length_prefixed(&w, record->files);
    for (size_t i = 0; i < record->n; i++) {
        put_cid(&w, &record->blocks[i]->cid);
        write_length_prefixed(&w, block_bytes(record->blocks[i]));
    }
    TRY(w.err);
    size_t len = j->record.len - HEAD_BYTES;
    AUTO(buf_t) head = {0};
    buf_init(&head, HEAD_BYTES);
    w = writer_to(&head);
    write_u32be(&w, record->root ? ROOT_MAGIC : FILES_MAGIC);
    write_u32be(&w, (uint32_t)len);
    write_u64be(&w, j->number + 1);
    write_u64be(&w, checksum_of(bytes_of(j->record.data + HEAD_BYTES, len), j->number + 1));
    TRY(w.err);
    memcpy(j->record.data, head.data, HEAD_BYTES);
    return OK;
}

static err_t append(task_t *t, mfs_journal_t *j, const mfs_record_t *record)
{
    TRY(encode(j, record));
    if (j->at + j->record.len > MFS_JOURNAL_MAX_BYTES)
        return fail(ERR_LIMIT, "the journal is full");
    TRY(open_file(t, j));
    make_room(t, j, j->at + j->record.len);
    bytes_t bytes = buf_bytes(&j->record);
    TRY(file_write_synced(t, j->file, &bytes, 1, j->at));
    j->at += bytes.len;
    j->number++;
    return OK;
}

err_t mfs_journal_append(task_t *t, mfs_journal_t *j, const mfs_record_t *record)
{
    if (record->n > MAX_BLOCKS)
        return fail(ERR_LIMIT, "a record of %zu blocks", record->n);
    TRY(gate_enter(t, &j->turn));
    err_t e = append(t, j, record);
    gate_leave(&j->turn);
    return e;
}

/* ── reading ─────────────────────────────────────────────────────────────────────────────────── */
static bool read_cid(reader_t *r, cid_t *ret)
{
    bytes_t raw = read_length_prefixed(r, CID_BINARY_MAX);
    return !r->err && !cid_decode(raw, ret);
}

bool mfs_files_next(reader_t *r, bytes_t *ret_path, dag_ref_t *ret_ref)
{
    if (r->err || !reader_left(r))
        return false;
    *ret_path = read_length_prefixed(r, MFS_RECORD_FILES_MAX_BYTES);
    if (!read_cid(r, &ret_ref->cid) && !r->err)
        r->err = fail(ERR_CORRUPT, "a file of the journal without a CID");
    ret_ref->tsize = read_uvarint(r);
    ret_ref->size = read_uvarint(r);
    return !r->err;
}

void mfs_replayed_deinit(mfs_replayed_t *r)
{
    buf_deinit(&r->files);
}

/* A root takes the place of all that was told before it. */
static err_t read_change(reader_t *r, bool has_root, mfs_replayed_t *ret)
{
    if (!has_root) {
        bytes_t files = read_length_prefixed(r, MFS_RECORD_FILES_MAX_BYTES);
        return r->err ? r->err : buf_append(&ret->files, files);
    }
    if (!read_cid(r, &ret->root))
        return fail(ERR_CORRUPT, "a record of the journal without a root");
    ret->has_root = true;
    buf_clear(&ret->files);
    return OK;
}

static err_t give_blocks(task_t *t, reader_t *r, mfs_journal_put_fn put, void *arg)
{
    block_t *blocks[64];
    size_t n = 0;
    err_t e = OK;
    while (!e && reader_left(r)) {
        cid_t cid;
        bool is_cid = read_cid(r, &cid);
        bytes_t data = read_length_prefixed(r, BLOCK_MAX_BYTES);
        e = is_cid && !r->err ? block_copy(&cid, data, &blocks[n])
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
static err_t read_record(task_t *t, mfs_journal_t *j, uint64_t number, bool *ret_has, bool *ret_has_root)
{
    uint8_t head[HEAD_BYTES];
    size_t n;
    *ret_has = false;
    TRY(file_read_at(t, j->file, head, sizeof head, j->at, &n));
    reader_t r = reader_of(bytes_of(head, n));
    uint32_t magic = read_u32be(&r), len = read_u32be(&r);
    uint64_t its_number = read_u64be(&r), sum = read_u64be(&r);
    *ret_has_root = magic == ROOT_MAGIC;
    if (r.err || (magic != ROOT_MAGIC && magic != FILES_MAGIC) || its_number != number ||
        len > MFS_RECORD_MAX_BYTES)
        return OK;
    buf_clear(&j->record);
    TRY(buf_reserve(&j->record, len));
    TRY(file_read_at(t, j->file, j->record.data, len, j->at + HEAD_BYTES, &n));
    j->record.len = n;
    *ret_has = n == len && checksum_of(buf_bytes(&j->record), number) == sum;
    return OK;
}

static err_t replay(task_t *t, mfs_journal_t *j, mfs_journal_put_fn put, void *arg, mfs_replayed_t *ret)
{
    if (!j->file) {
        err_t e = file_open(t, j->path, FILE_READ | FILE_WRITE, 0600, &j->file);
        if (e == ERR_NOT_FOUND)
            return OK;
        TRY(e);
    }
    for (;;) {
        bool has, has_root;
        TRY(read_record(t, j, j->number + 1, &has, &has_root));
        if (!has)
            return OK;
        reader_t r = reader_of(buf_bytes(&j->record));
        TRY(read_change(&r, has_root, ret));
        TRY(give_blocks(t, &r, put, arg));
        j->at += HEAD_BYTES + j->record.len;
        j->number++;
    }
}

/* Where it fails the journal ends where it ended: the records that were not read are acknowledged, and none
 * may be written over them. */
static err_t replay_or_stay(task_t *t, mfs_journal_t *j, uint64_t after, mfs_journal_put_fn put, void *arg,
                            mfs_replayed_t *ret)
{
    uint64_t at = j->at, number = j->number;
    j->number = after;
    j->at = 0;
    err_t e = replay(t, j, put, arg, ret);
    if (e) {
        j->at = at;
        j->number = number;
    }
    return e;
}

err_t mfs_journal_replay(task_t *t, mfs_journal_t *j, uint64_t after, mfs_journal_put_fn put, void *arg,
                         mfs_replayed_t *ret)
{
    *ret = (mfs_replayed_t){0};
    buf_init(&ret->files, MFS_JOURNAL_MAX_BYTES);
    TRY(gate_enter(t, &j->turn));
    err_t e = replay_or_stay(t, j, after, put, arg, ret);
    gate_leave(&j->turn);
    return e;
}
