#include "meta/chunk_store.h"
#include "base/map.h"
#include "crypto/hash.h"
#include "task/driver.h"
#include <stdlib.h>

#define SPACE "fs-chunks" /* id → size, time of the put (with IS_PUBLIC), both 8 bytes big-endian */
#define IS_PUBLIC (UINT64_C(1) << 63)
enum { RECORD_BYTES = 16, BUSY_MAX = 65536 };

struct chunk_store {
    repo_t *repo;
    uint64_t chunks, used_bytes, capacity_bytes;
    uint64_t coming_bytes; /* of puts under way */
    map_t busy;            /* ids that a call is changing */
    event_t rested;
};

/* ── names and records ───────────────────────────────────────────────────────────────────────── */

chunk_id_t chunk_id_of(bytes_t data)
{
    chunk_id_t id;
    sha256_of(data, id.sha256);
    return id;
}

typedef struct hash_job {
    bytes_t data;
    chunk_id_t id;
} hash_job_t;

static void hash_work(void *arg)
{
    hash_job_t *j = arg;
    j->id = chunk_id_of(j->data);
}

chunk_id_t chunk_id_of_large(task_t *t, bytes_t data)
{
    hash_job_t job = {.data = data};
    work(t, hash_work, &job);
    return job.id;
}

void chunk_id_print(const chunk_id_t *id, char out[META_CHUNK_ID_CHARS + 1])
{
    hex_text(bytes_of(id->sha256, CHUNK_ID_BYTES), out, META_CHUNK_ID_CHARS + 1);
}

err_t chunk_id_parse(const char *text, chunk_id_t *ret)
{
    AUTO(buf_t) raw = {0};
    buf_init(&raw, CHUNK_ID_BYTES);
    if (!meta_is_chunk_id(text))
        return fail(ERR_INVALID, "\"%.80s\" is not the id of a chunk", text);
    TRY(hex_decode(bytes_str(text), &raw));
    memcpy(ret->sha256, raw.data, CHUNK_ID_BYTES);
    return OK;
}

static bytes_t key_of(const chunk_id_t *id)
{
    return bytes_of(id->sha256, CHUNK_ID_BYTES);
}

static cid_t cid_of_chunk(const chunk_id_t *id)
{
    return cid_of_sha256(1, CODEC_RAW, id->sha256);
}

static void put_u64(uint8_t *out, uint64_t value)
{
    for (int i = 0; i < 8; i++)
        out[i] = (uint8_t)(value >> (56 - 8 * i));
}

static uint64_t get_u64(const uint8_t *in)
{
    uint64_t value = 0;
    for (int i = 0; i < 8; i++)
        value = value << 8 | in[i];
    return value;
}

static err_t read_record(bytes_t key, bytes_t value, chunk_info_t *ret)
{
    if (key.len != CHUNK_ID_BYTES || value.len != RECORD_BYTES)
        return fail(ERR_CORRUPT, "the record of a chunk is damaged");
    memcpy(ret->id.sha256, key.data, CHUNK_ID_BYTES);
    ret->size_bytes = get_u64(value.data);
    ret->stored_s = get_u64(value.data + 8) & ~IS_PUBLIC;
    ret->is_public = (get_u64(value.data + 8) & IS_PUBLIC) != 0;
    return OK;
}

/* ── open, close ─────────────────────────────────────────────────────────────────────────────── */

static err_t count_one(task_t *t, void *arg, bytes_t key, bytes_t value)
{
    chunk_store_t *s = arg;
    chunk_info_t info;
    TRY(read_record(key, value, &info));
    s->chunks++;
    s->used_bytes += info.size_bytes;
    return OK;
}

typedef struct root_visit {
    gc_keep_fn keep;
    void *arg;
} root_visit_t;

static err_t keep_one(task_t *t, void *arg, bytes_t key, bytes_t value)
{
    root_visit_t *v = arg;
    chunk_info_t info;
    TRY(read_record(key, value, &info));
    cid_t cid = cid_of_chunk(&info.id);
    return v->keep(t, v->arg, &cid, false);
}

static err_t each_root(task_t *t, void *arg, gc_keep_fn keep, void *keep_arg)
{
    root_visit_t v = {.keep = keep, .arg = keep_arg};
    return kv_scan(t, arg, SPACE, NULL, keep_one, &v);
}

void chunk_store_guard(repo_t *r)
{
    gc_add_partial_roots(repo_gc(r), each_root, repo_state(r));
}

err_t chunk_store_open(task_t *t, repo_t *r, chunk_store_t **ret)
{
    chunk_store_t *s = xcalloc(1, sizeof *s);
    s->repo = r;
    s->capacity_bytes = UINT64_MAX;
    map_init(&s->busy, BUSY_MAX);
    event_init(&s->rested);
    err_t e = kv_scan(t, repo_state(r), SPACE, NULL, count_one, s);
    if (e) {
        chunk_store_close(s);
        return e;
    }
    *ret = s;
    return OK;
}

void chunk_store_close(chunk_store_t *s)
{
    if (!s)
        return;
    map_deinit(&s->busy);
    free(s);
}

void chunk_store_set_capacity(chunk_store_t *s, uint64_t bytes)
{
    s->capacity_bytes = bytes;
}

/* ── one call at a time for each chunk ───────────────────────────────────────────────────────── */

static err_t enter(task_t *t, chunk_store_t *s, const chunk_id_t *id)
{
    while (map_has(&s->busy, key_of(id)))
        TRY(event_wait(t, &s->rested));
    return map_put(&s->busy, key_of(id), s, NULL);
}

static void leave(chunk_store_t *s, const chunk_id_t *id)
{
    map_remove(&s->busy, key_of(id));
    event_fire(&s->rested);
}

static bool find_record(task_t *t, repo_t *r, const chunk_id_t *id, chunk_info_t *ret)
{
    AUTO(buf_t) value = {0};
    buf_init(&value, RECORD_BYTES);
    return !kv_get(t, repo_state(r), SPACE, key_of(id), &value) &&
           !read_record(key_of(id), buf_bytes(&value), ret);
}

bool chunk_store_has(task_t *t, chunk_store_t *s, const chunk_id_t *id, uint64_t *ret_size)
{
    chunk_info_t info;
    if (!find_record(t, s->repo, id, &info))
        return false;
    if (ret_size)
        *ret_size = info.size_bytes;
    return true;
}

static err_t put_record(task_t *t, repo_t *r, const chunk_info_t *info)
{
    uint8_t record[RECORD_BYTES];
    put_u64(record, info->size_bytes);
    put_u64(record + 8, info->stored_s | (info->is_public ? IS_PUBLIC : 0));
    return kv_put(t, repo_state(r), SPACE, key_of(&info->id), bytes_of(record, sizeof record));
}

/* ── what of them is public ──────────────────────────────────────────────────────────────────── */

bool chunk_store_is_private(task_t *t, repo_t *r, const cid_t *cid)
{
    chunk_id_t id;
    chunk_info_t info;
    if (cid->hash_code != MH_SHA2_256 || cid->digest_len != sizeof id.sha256)
        return false;
    memcpy(id.sha256, cid->digest, sizeof id.sha256);
    return find_record(t, r, &id, &info) && !info.is_public;
}

err_t chunk_store_publish(task_t *t, repo_t *r, const cid_t *cid)
{
    chunk_info_t info;
    if (!chunk_store_is_private(t, r, cid))
        return OK;
    memcpy(info.id.sha256, cid->digest, sizeof info.id.sha256);
    if (!find_record(t, r, &info.id, &info))
        return OK;
    info.is_public = true;
    return put_record(t, r, &info);
}

bool chunk_store_is_used(task_t *t, repo_t *r)
{
    uint64_t n;
    return kv_count(t, repo_state(r), SPACE, BYTES_NONE, &n) || n;
}

/* ── put and get ─────────────────────────────────────────────────────────────────────────────── */

static err_t check_content(task_t *t, const chunk_id_t *id, bytes_t data)
{
    if (data.len > CHUNK_MAX_BYTES)
        return fail(ERR_LIMIT, "a chunk has at most %u bytes", CHUNK_MAX_BYTES);
    chunk_id_t got = chunk_id_of_large(t, data);
    return memcmp(&got, id, sizeof *id) ? fail(ERR_CORRUPT, "the bytes are not those of this chunk") : OK;
}

/* A block that a pin reaches. */
static bool is_pinned(task_t *t, chunk_store_t *s, const cid_t *cid)
{
    pin_check_t check = {.pin.cid = *cid};
    return !pins_check(t, repo_pins(s->repo), repo_blocks(s->repo), PIN_ANY, &check, 1) && check.pin.mode;
}

static err_t keep(task_t *t, chunk_store_t *s, const chunk_id_t *id, buf_t *data)
{
    AUTO_PTR(block_t) block = NULL;
    AUTO(gc_hold_t) hold = gc_hold(repo_gc(s->repo));
    cid_t cid = cid_of_chunk(id);
    chunk_info_t info = {
        .id = *id, .size_bytes = data->len, .stored_s = driver_wall_ms(task_driver(t)) / 1000};
    /* What is public stays so: a chunk of the same bytes must not hide it. */
    info.is_public = blockstore_has(t, repo_blockstore(s->repo), &cid) && is_pinned(t, s, &cid);
    TRY(block_take(&cid, data, &block));
    TRY(blockstore_put(t, repo_blockstore(s->repo), block));
    TRY(put_record(t, s->repo, &info));
    s->chunks++;
    s->used_bytes += info.size_bytes;
    return OK;
}

static err_t put_checked(task_t *t, chunk_store_t *s, const chunk_id_t *id, buf_t *data,
                         bool *ret_was_present)
{
    cid_t cid = cid_of_chunk(id);
    if (chunk_store_has(t, s, id, NULL) && blockstore_has(t, repo_blockstore(s->repo), &cid)) {
        *ret_was_present = true;
        return OK;
    }
    uint64_t size = data->len;
    if (s->used_bytes + s->coming_bytes + size > s->capacity_bytes)
        return fail(ERR_NO_SPACE, "this storage node is full");
    s->coming_bytes += size;
    err_t e = keep(t, s, id, data);
    s->coming_bytes -= size;
    if (!e)
        *ret_was_present = false;
    return e;
}

err_t chunk_store_put(task_t *t, chunk_store_t *s, const chunk_id_t *id, buf_t *data, bool *ret_was_present)
{
    TRY(check_content(t, id, buf_bytes(data)));
    TRY(enter(t, s, id));
    err_t e = put_checked(t, s, id, data, ret_was_present);
    leave(s, id);
    return e;
}

err_t chunk_store_get(task_t *t, chunk_store_t *s, const chunk_id_t *id, block_t **ret)
{
    cid_t cid = cid_of_chunk(id);
    if (!chunk_store_has(t, s, id, NULL))
        return fail(ERR_NOT_FOUND, "this node does not keep that chunk");
    return blockstore_get(t, repo_blockstore(s->repo), &cid, ret);
}

/* ── delete, check ───────────────────────────────────────────────────────────────────────────── */

/* Removes the blocks that no pin reaches. */
static err_t remove_blocks(task_t *t, chunk_store_t *s, const chunk_id_t *ids, size_t n)
{
    pin_check_t *checks = xcalloc(n, sizeof *checks);
    cid_t *gone = xcalloc(n, sizeof *gone);
    size_t n_gone = 0;
    for (size_t i = 0; i < n; i++)
        checks[i].pin.cid = cid_of_chunk(&ids[i]);
    err_t e = pins_check(t, repo_pins(s->repo), repo_blocks(s->repo), PIN_ANY, checks, n);
    for (size_t i = 0; i < n && !e; i++)
        if (!checks[i].pin.mode)
            gone[n_gone++] = checks[i].pin.cid;
    if (!e && n_gone)
        e = blockstore_remove(t, repo_blockstore(s->repo), gone, n_gone);
    free(checks);
    free(gone);
    return e;
}

static err_t delete_entered(task_t *t, chunk_store_t *s, const chunk_id_t *ids, size_t n, size_t *ret_deleted)
{
    AUTO(kv_batch_t) batch;
    uint64_t bytes = 0, size = 0;
    size_t n_there = 0;
    kv_batch_init(&batch);
    for (size_t i = 0; i < n; i++) {
        if (!chunk_store_has(t, s, &ids[i], &size))
            continue;
        n_there++;
        bytes += size;
        TRY(kv_batch_delete(&batch, SPACE, key_of(&ids[i])));
    }
    if (!n_there) {
        *ret_deleted = 0;
        return OK;
    }
    TRY(kv_commit(t, repo_state(s->repo), &batch));
    s->chunks -= n_there;
    s->used_bytes -= bytes;
    TRY(remove_blocks(t, s, ids, n));
    *ret_deleted = n_there;
    return OK;
}

static int compare_ids(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(chunk_id_t));
}

err_t chunk_store_delete(task_t *t, chunk_store_t *s, const chunk_id_t *ids, size_t n, size_t *ret_deleted)
{
    size_t entered = 0, count = 0;
    if (n > CHUNKS_PER_CALL)
        return fail(ERR_LIMIT, "at most %d chunks are deleted at once", CHUNKS_PER_CALL);
    chunk_id_t *sorted =
        xcalloc(n ? n : 1, sizeof *sorted); /* one order for all, so that nobody waits in a circle */
    memcpy(sorted, ids, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, compare_ids);
    for (size_t i = 0; i < n; i++)
        if (!i || compare_ids(&sorted[i], &sorted[count - 1]))
            sorted[count++] = sorted[i];
    err_t e = OK;
    while (entered < count && !(e = enter(t, s, &sorted[entered])))
        entered++;
    if (!e)
        e = delete_entered(t, s, sorted, count, ret_deleted);
    for (size_t i = 0; i < entered; i++)
        leave(s, &sorted[i]);
    free(sorted);
    return e;
}

err_t chunk_store_check(task_t *t, chunk_store_t *s, const chunk_id_t *id)
{
    cid_t cid = cid_of_chunk(id);
    uint64_t size;
    TRY(enter(t, s, id));
    err_t e = chunk_store_has(t, s, id, &size) ? blockstore_verify(t, repo_blockstore(s->repo), &cid)
                                               : fail(ERR_NOT_FOUND, "this node does not keep that chunk");
    if (e == ERR_CORRUPT || (e == ERR_NOT_FOUND && chunk_store_has(t, s, id, &size))) {
        e = blockstore_discard(t, repo_blockstore(s->repo), &cid);
        if (!e)
            e = kv_delete(t, repo_state(s->repo), SPACE, key_of(id));
        if (!e) {
            s->chunks--;
            s->used_bytes -= size;
            e = fail(ERR_CORRUPT, "a chunk was damaged here");
        }
    }
    leave(s, id);
    return e;
}

/* ── looking at all ──────────────────────────────────────────────────────────────────────────── */

typedef struct page {
    chunk_info_t *out;
    size_t n;
} page_t;

static err_t take_row(task_t *t, void *arg, bytes_t key, bytes_t value)
{
    page_t *p = arg;
    return read_record(key, value, &p->out[p->n++]);
}

err_t chunk_store_page(task_t *t, chunk_store_t *s, const chunk_id_t *after, chunk_info_t *out, size_t cap,
                       size_t *ret_n)
{
    page_t p = {.out = out};
    kv_range_t range = {
        .from = after ? key_of(after) : BYTES_NONE, .after_from = after != NULL, .limit = cap};
    TRY(kv_scan(t, repo_state(s->repo), SPACE, &range, take_row, &p));
    *ret_n = p.n;
    return OK;
}

err_t chunk_store_stat(task_t *t, chunk_store_t *s, chunk_stat_t *ret)
{
    uint64_t free_bytes;
    TRY(fs_free_bytes(t, repo_path(s->repo), &free_bytes));
    uint64_t room = free_bytes - free_bytes / 20; /* a disk that is full to the brim serves nobody */
    *ret = (chunk_stat_t){
        .chunks = s->chunks, .used_bytes = s->used_bytes, .capacity_bytes = s->used_bytes + room};
    if (ret->capacity_bytes > s->capacity_bytes)
        ret->capacity_bytes = s->capacity_bytes;
    return OK;
}
