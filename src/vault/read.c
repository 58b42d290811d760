#include "crypto/aes_ctr.h"
#include "task/driver.h"
#include "vault/chunk.h"
#include "vault/file.h"
#include <stdlib.h>

enum {
    SLOTS = 8,        /* chunks that are fetched and decrypted at a time */
    WINDOW = 40,      /* chunks asked for ahead: 10 MiB, what 1 Gbit/s holds at 80 ms */
    WINDOW_STEP = 10, /* so many more at a time */
    INLINE_BYTES = 16 << 10,
};

typedef struct slot {
    read_ring_t *ring;
    uint64_t chunk;
    cid_t cid;
    uint8_t key[VAULT_SECRET_BYTES];
    size_t want;   /* bytes of plaintext; in the block they are padded */
    uint8_t *text; /* VAULT_CHUNK_BYTES of room, kept */
    block_t *block;
    bool is_used, is_busy;
    err_t result;
    error_slot_t error;
} slot_t;
struct read_ring {
    vault_file_t *file;
    group_t group;
    event_t ready;
    slot_t slots[SLOTS]; /* chunk n is in slot n % SLOTS */
    uint64_t next;       /* the chunk that is fetched next */
    uint64_t asked;      /* up to here chunks were asked for */
};

static read_ring_t *ring_new(task_t *t, vault_file_t *f)
{
    read_ring_t *r = xcalloc(1, sizeof *r);
    r->file = f;
    group_init(&r->group, task_sched(t));
    event_init(&r->ready);
    for (size_t i = 0; i < SLOTS; i++)
        r->slots[i].ring = r;
    return r;
}

static void slot_clear(slot_t *s)
{
    block_release(s->block);
    s->block = NULL;
    secret_wipe(s->key, sizeof s->key);
    s->is_used = false;
    s->result = OK;
}

/* Ends what is under way. */
static void ring_stop(task_t *t, read_ring_t *r)
{
    task_shield(t);
    group_cancel(&r->group);
    err_t ignored = group_join(t, &r->group);
    (void)ignored;
    task_unshield(t);
    for (size_t i = 0; i < SLOTS; i++)
        slot_clear(&r->slots[i]);
}

void read_ring_free(task_t *t, read_ring_t *r)
{
    if (!r)
        return;
    ring_stop(t, r);
    group_deinit(&r->group);
    for (size_t i = 0; i < SLOTS; i++) {
        if (r->slots[i].text)
            secret_wipe(r->slots[i].text, VAULT_CHUNK_BYTES);
        free(r->slots[i].text);
    }
    free(r);
}

static void decrypt(void *arg)
{
    slot_t *s = arg;
    s->result = aes_ctr(s->key, bytes_of(s->block->data, s->want), s->text);
}

static err_t fetch(task_t *t, slot_t *s)
{
    char text[CID_TEXT_MAX];
    TRY(blocks_get(t, s->ring->file->blocks, &s->cid, &s->block));
    size_t padded = s->want == VAULT_CHUNK_BYTES ? s->want : vault_padded_len(s->want);
    if (s->block->len != padded)
        return fail(ERR_CORRUPT, "chunk %s has %zu bytes where the manifest says %zu",
                    cid_print(&s->cid, text), s->block->len, padded);
    if (s->want <= INLINE_BYTES)
        decrypt(s);
    else
        work(t, decrypt, s);
    return s->result;
}

static err_t fetch_task(task_t *t, void *arg)
{
    slot_t *s = arg;
    s->result = fetch(t, s);
    if (s->result)
        s->error = *error_slot();
    block_release(s->block);
    s->block = NULL;
    s->is_busy = false;
    event_fire(&s->ring->ready);
    return OK;
}

/* Asks the network for what comes next in the same node, some at a time. */
static void ask_ahead(task_t *t, read_ring_t *r, const opened_t *leaf, size_t at, uint64_t last)
{
    uint64_t begin = r->next - at, behind = begin + leaf->m.n_links; /* of this node */
    uint64_t until = r->next + WINDOW < behind ? r->next + WINDOW : behind;
    cid_t cids[WINDOW];
    size_t n = 0;
    if (until > last + 1)
        until = last + 1;
    if (r->asked < r->next)
        r->asked = r->next;
    if (r->asked >= until || (r->asked >= r->next + WINDOW - WINDOW_STEP && until != behind))
        return;
    for (; r->asked < until; r->asked++)
        cids[n++] = manifest_link(&leaf->m, (size_t)(r->asked - begin));
    blocks_prefetch(t, r->file->blocks, cids, n);
}

/* Starts to fetch the next chunk into its slot, which is free. */
static err_t start_next(task_t *t, read_ring_t *r, uint64_t last)
{
    AUTO_PTR(opened_t) leaf = NULL;
    slot_t *s = &r->slots[r->next % SLOTS];
    size_t at;
    TRY(vault_file_leaf(t, r->file, r->next, &leaf, &at));
    ask_ahead(t, r, leaf, at, last);
    uint64_t offset = r->next * VAULT_CHUNK_BYTES, left = r->file->info.size_bytes - offset;
    s->chunk = r->next;
    s->cid = manifest_link(&leaf->m, at);
    s->want = left < VAULT_CHUNK_BYTES ? (size_t)left : VAULT_CHUNK_BYTES;
    memcpy(s->key, leaf->c.keys.data + at * VAULT_SECRET_BYTES, VAULT_SECRET_BYTES);
    if (!s->text)
        s->text = xmalloc(VAULT_CHUNK_BYTES);
    s->is_used = s->is_busy = true;
    err_t e = group_spawn(&r->group, "read chunk", fetch_task, s, NULL);
    if (e) {
        s->is_busy = false;
        slot_clear(s);
        return e;
    }
    r->next++;
    return OK;
}

/* The chunk, decrypted. The slots before it are free for those behind it. */
static err_t wait_chunk(task_t *t, read_ring_t *r, uint64_t chunk, uint64_t last, slot_t **ret)
{
    slot_t *s = &r->slots[chunk % SLOTS];
    while (r->next <= last && r->next < chunk + SLOTS) {
        slot_t *free_slot = &r->slots[r->next % SLOTS];
        if (free_slot->is_used)
            slot_clear(free_slot); /* its content was read */
        err_t e = start_next(t, r, last);
        if (e && r->next == chunk)
            return e;
        if (e) /* comes again when it is its turn */
            break;
    }
    while (s->is_busy)
        TRY(event_wait(t, &r->ready));
    err_t e = s->result;
    if (e)
        return s->error.code == e ? fail(e, "%s", s->error.text) : e;
    assert(s->is_used && s->chunk == chunk);
    *ret = s;
    return OK;
}

err_t vault_seek(task_t *t, vault_file_t *f, uint64_t from, uint64_t len)
{
    if (f->info.is_folder)
        return fail(ERR_INVALID, "\"%s\" is a folder, not a file", f->info.name);
    uint64_t size = f->info.size_bytes;
    f->position = from < size ? from : size;
    f->end = len < size - f->position ? f->position + len : size;
    if (f->ring) {
        ring_stop(t, f->ring);
        f->ring->next = f->position / VAULT_CHUNK_BYTES;
        f->ring->asked = 0;
    }
    return OK;
}

err_t vault_read(task_t *t, vault_file_t *f, bytes_t *ret_piece)
{
    slot_t *s = NULL;
    if (f->info.is_folder)
        return fail(ERR_INVALID, "\"%s\" is a folder, not a file", f->info.name);
    if (f->position == f->end) {
        *ret_piece = BYTES_NONE;
        return OK;
    }
    uint64_t chunk = f->position / VAULT_CHUNK_BYTES, last = (f->end - 1) / VAULT_CHUNK_BYTES;
    if (!f->ring) {
        f->ring = ring_new(t, f);
        f->ring->next = chunk;
    }
    TRY(wait_chunk(t, f->ring, chunk, last, &s));
    size_t at = (size_t)(f->position % VAULT_CHUNK_BYTES);
    bytes_t piece = bytes_of(s->text + at, s->want - at);
    if (piece.len > f->end - f->position)
        piece.len = (size_t)(f->end - f->position);
    f->position += piece.len;
    *ret_piece = piece;
    return OK;
}
