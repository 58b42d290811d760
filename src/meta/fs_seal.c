#include "crypto/aead.h"
#include "meta/fs_internal.h"
#include "task/driver.h"
#include <stdlib.h>

void fs_nonce(uint32_t upload_seq, uint64_t index, uint8_t out[FS_NONCE_BYTES])
{
    for (int i = 0; i < 4; i++)
        out[i] = (uint8_t)(upload_seq >> (24 - 8 * i));
    for (int i = 0; i < 8; i++)
        out[4 + i] = (uint8_t)(index >> (56 - 8 * i));
}

static err_t seal(fs_seal_t *s)
{
    aead_t *a;
    bytes_t plain = buf_bytes(s->plain);
    buf_clear(s->sealed);
    TRY(buf_reserve(s->sealed, plain.len + FS_CHUNK_OVERHEAD));
    TRY(aead_new(AEAD_AES_256_GCM, s->key, &a));
    memcpy(s->sealed->data, s->nonce, FS_NONCE_BYTES);
    err_t e = aead_seal(a, s->nonce, bytes_str(s->file_id), plain, s->sealed->data + FS_NONCE_BYTES);
    aead_free(a);
    s->sealed->len = plain.len + FS_CHUNK_OVERHEAD;
    if (!e)
        s->id = chunk_id_of(buf_bytes(s->sealed));
    return e;
}

static err_t open_sealed(fs_seal_t *s)
{
    aead_t *a;
    bytes_t sealed = buf_bytes(s->sealed);
    chunk_id_t id = chunk_id_of(sealed);
    if (memcmp(&id, &s->id, sizeof id) != 0 || sealed.len < FS_CHUNK_OVERHEAD)
        return fail(ERR_CORRUPT, "the bytes are not those of this chunk");
    buf_clear(s->plain);
    TRY(buf_reserve(s->plain, sealed.len));
    TRY(aead_new(AEAD_AES_256_GCM, s->key, &a));
    err_t e = aead_open(a, sealed.data, bytes_str(s->file_id),
                        bytes_slice(sealed, FS_NONCE_BYTES, sealed.len), s->plain->data);
    aead_free(a);
    if (!e)
        s->plain->len = sealed.len - FS_CHUNK_OVERHEAD;
    return e;
}

static void seal_work(void *arg)
{
    fs_seal_t *s = arg;
    s->result = seal(s);
}

static void open_work(void *arg)
{
    fs_seal_t *s = arg;
    s->result = open_sealed(s);
}

err_t fs_seal_chunk(task_t *t, fs_seal_t *s)
{
    work(t, seal_work, s);
    return s->result;
}

err_t fs_open_chunk(task_t *t, fs_seal_t *s)
{
    work(t, open_work, s);
    return s->result;
}
