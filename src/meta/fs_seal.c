#include "crypto/aead.h"
#include "crypto/hash.h"
#include "meta/fs_internal.h"
#include "task/driver.h"
#include <stdlib.h>

err_t fs_head(const char *upload_id, uint32_t upload_seq, uint64_t index, uint8_t out[FS_HEAD_BYTES])
{
    AUTO(buf_t) id = {0};
    uint8_t *nonce = out + FS_UPLOAD_BYTES;
    buf_init(&id, FS_UPLOAD_BYTES);
    if (!meta_is_id(upload_id))
        return fail(ERR_INVALID, "\"%.40s\" is not the id of an upload", upload_id);
    TRY(hex_decode(bytes_str(upload_id), &id));
    memcpy(out, id.data, FS_UPLOAD_BYTES);
    for (int i = 0; i < 4; i++)
        nonce[i] = (uint8_t)(upload_seq >> (24 - 8 * i));
    for (int i = 0; i < 8; i++)
        nonce[4 + i] = (uint8_t)(index >> (56 - 8 * i));
    return OK;
}

/* Each upload has a key of its own. */
static err_t new_cipher(const fs_seal_t *s, const uint8_t *upload, aead_t **ret)
{
    static const char label[] = "distribute upload ";
    uint8_t what[sizeof label - 1 + FS_UPLOAD_BYTES], key[FS_KEY_BYTES];
    memcpy(what, label, sizeof label - 1);
    memcpy(what + sizeof label - 1, upload, FS_UPLOAD_BYTES);
    hmac_sha256(bytes_of(s->key, FS_KEY_BYTES), bytes_of(what, sizeof what), key);
    err_t e = aead_new(AEAD_AES_256_GCM, key, ret);
    secret_wipe(key, sizeof key);
    return e;
}

static err_t seal(fs_seal_t *s)
{
    aead_t *a;
    bytes_t plain = buf_bytes(s->plain);
    buf_clear(s->sealed);
    TRY(buf_reserve(s->sealed, plain.len + FS_CHUNK_OVERHEAD));
    TRY(new_cipher(s, s->head, &a));
    memcpy(s->sealed->data, s->head, FS_HEAD_BYTES);
    err_t e = aead_seal(a, s->head + FS_UPLOAD_BYTES, bytes_str(s->file_id), plain,
                        s->sealed->data + FS_HEAD_BYTES);
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
    size_t head = s->is_old_form ? FS_NONCE_BYTES : FS_HEAD_BYTES;
    size_t overhead = s->is_old_form ? FS_CHUNK_OVERHEAD_OLD : FS_CHUNK_OVERHEAD;
    if (memcmp(&id, &s->id, sizeof id) != 0 || sealed.len < overhead)
        return fail(ERR_CORRUPT, "the bytes are not those of this chunk");
    buf_clear(s->plain);
    TRY(buf_reserve(s->plain, sealed.len));
    TRY(s->is_old_form ? aead_new(AEAD_AES_256_GCM, s->key, &a) : new_cipher(s, sealed.data, &a));
    err_t e = aead_open(a, sealed.data + head - FS_NONCE_BYTES, bytes_str(s->file_id),
                        bytes_slice(sealed, head, sealed.len), s->plain->data);
    aead_free(a);
    if (!e)
        s->plain->len = sealed.len - overhead;
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
