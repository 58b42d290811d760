#include "vault/chunk.h"
#include "crypto/aes_ctr.h"
#include "crypto/hash.h"
#include "task/driver.h"
#include <stdlib.h>

enum {
    PADDED_MIN = 256,
    BATCH_CHUNKS = 8, /* for one trip to a worker */
    BATCHES = 4,
    INLINE_BYTES = 16 << 10, /* below it the trip would cost more */
};

size_t vault_padded_len(size_t n)
{
    unsigned exponent = 0, bits = 0;
    if (n <= PADDED_MIN)
        return PADDED_MIN;
    while (n >> (exponent + 1))
        exponent++;
    while (exponent >> bits)
        bits++;
    size_t mask = ((size_t)1 << (exponent - bits)) - 1;
    return (n + mask) & ~mask;
}

err_t vault_chunk_seal(const uint8_t dedup[VAULT_SECRET_BYTES], block_t *b,
                       uint8_t ret_key[VAULT_SECRET_BYTES])
{
    uint8_t digest[32];
    vault_chunk_key(dedup, block_bytes(b), ret_key);
    TRY(aes_ctr(ret_key, block_bytes(b), b->data));
    sha256_of(block_bytes(b), digest);
    b->cid = cid_of_sha256(1, CODEC_RAW, digest);
    block_make_sum(b);
    return OK;
}

/* ── the pipe ────────────────────────────────────────────────────────────────────────────────── */
typedef struct batch {
    chunk_pipe_t *pipe;
    block_t *blocks[BATCH_CHUNKS];
    uint8_t keys[BATCH_CHUNKS][VAULT_SECRET_BYTES];
    size_t count, bytes;
    bool is_sealing;
    err_t result;
    error_slot_t error;
} batch_t;
struct chunk_pipe {
    const vault_keys_t *keys;
    chunk_fn fn;
    void *arg;
    group_t workers;
    event_t sealed;
    batch_t batches[BATCHES];
    block_t *spare; /* room for a whole chunk, kept from file to file */
};

chunk_pipe_t *chunk_pipe_new(task_t *t, const vault_keys_t *keys, chunk_fn fn, void *arg)
{
    chunk_pipe_t *p = xcalloc(1, sizeof *p);
    p->keys = keys;
    p->fn = fn;
    p->arg = arg;
    group_init(&p->workers, task_sched(t));
    event_init(&p->sealed);
    for (size_t i = 0; i < BATCHES; i++)
        p->batches[i].pipe = p;
    return p;
}

/* Chunks that were not handed on may be plaintext still. */
static void drop_block(block_t *b)
{
    if (b && b->refs == 1)
        secret_wipe(b->data, b->len);
    block_release(b);
}

static void batch_clear(batch_t *b)
{
    for (size_t i = 0; i < BATCH_CHUNKS; i++) {
        drop_block(b->blocks[i]);
        b->blocks[i] = NULL;
    }
    secret_wipe(b->keys, sizeof b->keys);
    b->count = b->bytes = 0;
    b->result = OK;
}

void chunk_pipe_free(task_t *t, chunk_pipe_t *p)
{
    if (!p)
        return;
    group_stop(t, &p->workers);
    group_deinit(&p->workers);
    for (size_t i = 0; i < BATCHES; i++)
        batch_clear(&p->batches[i]);
    drop_block(p->spare);
    free(p);
}

static void seal_batch(void *arg)
{
    batch_t *b = arg;
    for (size_t i = 0; i < b->count && !b->result; i++)
        b->result = vault_chunk_seal(b->pipe->keys->dedup, b->blocks[i], b->keys[i]);
}

static err_t seal_task(task_t *t, void *arg)
{
    batch_t *b = arg;
    work(t, seal_batch, b);
    if (b->result)
        b->error = *error_slot();
    b->is_sealing = false;
    event_fire(&b->pipe->sealed);
    return OK;
}

static err_t start_sealing(batch_t *b)
{
    if (b->bytes <= INLINE_BYTES) {
        seal_batch(b);
        if (b->result)
            b->error = *error_slot();
        return OK;
    }
    b->is_sealing = true;
    err_t e = group_spawn(&b->pipe->workers, "encrypt chunks", seal_task, b, NULL);
    if (e)
        b->is_sealing = false;
    return e;
}

/* Waits until the batch is encrypted and hands its chunks on. */
static err_t collect(task_t *t, batch_t *b)
{
    err_t e = OK;
    while (b->is_sealing)
        TRY(event_wait(t, &b->pipe->sealed));
    if (b->result)
        return b->error.code == b->result ? fail(b->result, "%s", b->error.text) : b->result;
    for (size_t i = 0; i < b->count && !e; i++) {
        block_t *block = b->blocks[i];
        b->blocks[i] = NULL;
        e = b->pipe->fn(t, b->pipe->arg, block, b->keys[i]);
    }
    batch_clear(b);
    return e;
}

/* Reads the next chunk; *ret_block NULL: the content has ended before it. */
static err_t read_chunk(task_t *t, chunk_pipe_t *p, source_t source, block_t **ret_block, size_t *ret_n)
{
    size_t n = 0;
    if (!p->spare)
        TRY(block_new(VAULT_CHUNK_BYTES, &p->spare));
    while (n < VAULT_CHUNK_BYTES) {
        size_t got = 0;
        TRY(source.read(t, source.arg, p->spare->data + n, VAULT_CHUNK_BYTES - n, &got));
        assert(got <= VAULT_CHUNK_BYTES - n);
        if (!got)
            break;
        n += got;
    }
    *ret_block = NULL;
    *ret_n = n;
    if (n == VAULT_CHUNK_BYTES) {
        *ret_block = p->spare;
        p->spare = NULL;
    } else if (n) {
        size_t padded = vault_padded_len(n);
        TRY(block_new(padded, ret_block));
        memcpy((*ret_block)->data, p->spare->data, n);
        memset((*ret_block)->data + n, 0, padded - n);
        secret_wipe(p->spare->data, n);
    }
    return OK;
}

typedef struct run {
    source_t source;
    import_progress_fn progress;
    void *arg;
    uint64_t *total;
    uint64_t size;
    bool has_ended;
} run_t;

static err_t fill_batch(task_t *t, batch_t *b, run_t *r)
{
    while (!r->has_ended && b->count < BATCH_CHUNKS) {
        block_t *block = NULL;
        size_t n;
        TRY(read_chunk(t, b->pipe, r->source, &block, &n));
        r->has_ended = n < VAULT_CHUNK_BYTES;
        if (!block)
            break;
        b->blocks[b->count++] = block;
        b->bytes += block->len;
        r->size += n;
        *r->total += n;
        if (r->progress)
            r->progress(r->arg, *r->total);
    }
    return OK;
}

static err_t run_batches(task_t *t, chunk_pipe_t *p, run_t *r)
{
    size_t next = 0;
    while (!r->has_ended) {
        batch_t *b = &p->batches[next++ % BATCHES];
        TRY(collect(t, b));
        TRY(fill_batch(t, b, r));
        if (b->count)
            TRY(start_sealing(b));
    }
    for (size_t i = 0; i < BATCHES; i++)
        TRY(collect(t, &p->batches[next++ % BATCHES]));
    return OK;
}

err_t chunk_pipe_run(task_t *t, chunk_pipe_t *p, source_t source, import_progress_fn progress, void *arg,
                     uint64_t *progress_total, uint64_t *ret_size)
{
    run_t r = {.source = source, .progress = progress, .arg = arg, .total = progress_total};
    err_t e = run_batches(t, p, &r);
    if (e) { /* no worker may still write to a batch of the file that failed */
        task_shield(t);
        err_t ignored = group_join(t, &p->workers);
        (void)ignored;
        task_unshield(t);
        *progress_total -= r.size;
        for (size_t i = 0; i < BATCHES; i++)
            batch_clear(&p->batches[i]);
        return e;
    }
    *ret_size = r.size;
    return OK;
}
