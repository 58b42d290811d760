/* The input is taken by a peer that waits for a handshake (as server or client), or, with the third bit, as
 * content that somebody with the keys sealed: first a type, then a length, then content. Whatever comes: no
 * handshake opens, memory stays bounded, a failed channel stays failed. First byte: role. */
#include "wire/certificate.h"
#include "wire/tls.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const tls13_identity_t *identity(void)
{
    static tls13_identity_t *made;
    static const uint8_t seed[32] = {5};
    private_key_t *key;
    certificate_t c;
    if (made)
        return made;
    if (private_key_generate(KEY_ED25519, seed, 0, &key) || certificate_new(key, &c) ||
        tls13_identity_new(buf_bytes(&c.der), buf_bytes(&c.pkcs8), &made))
        abort();
    certificate_deinit(&c);
    private_key_free(key);
    return made;
}

static void feed_handshake(bool is_client, const uint8_t *data, size_t size)
{
    tls_t t;
    if (tls_init(&t, &(tls_config_t){.is_client = is_client, .identity = identity(), .now_s = 1790000000}))
        abort();
    uint8_t *in = xmalloc(size + 1);
    memcpy(in, data, size);
    size_t at = 0;
    for (size_t used = 1; used;) {
        bytes_t plain;
        used = 0;
        if (tls_feed(&t, in + at, size - at, &used, &plain)) {
            assert(t.state == TLS_FAILED);
            used = 0;
        }
        at += used;
        assert(at <= size && tls_output(&t).len <= TLS_OUTPUT_MAX);
    }
    assert(t.state != TLS_OPEN);
    tls_deinit(&t);
    free(in);
}

/* Seals what the input says as the peer of `t` would. */
static size_t seal(const tls_direction_t *d, uint8_t type, bytes_t content, uint8_t *out)
{
    uint8_t nonce[12];
    bytes_t pieces[2] = {content, bytes_of(&type, 1)};
    size_t len = content.len + 1 + AEAD_TAG_BYTES;
    memcpy(out, (uint8_t[]){23, 3, 3, (uint8_t)(len >> 8), (uint8_t)len}, TLS_HEADER_BYTES);
    memcpy(nonce, d->iv, sizeof nonce);
    for (int i = 0; i < 8; i++)
        nonce[11 - i] ^= (uint8_t)(d->sequence >> (8 * i));
    if (aead_seal_pieces(d->aead, nonce, bytes_of(out, TLS_HEADER_BYTES), pieces, 2, out + TLS_HEADER_BYTES))
        abort();
    return len + TLS_HEADER_BYTES;
}

static void feed_content(const uint8_t *data, size_t size)
{
    static uint8_t record[TLS_FRAME_MAX];
    const tls13_secrets_t secrets = {.aead = AEAD_AES_128_GCM, .hash = HASH_SHA256, .len = 32, .client = {1}};
    tls_t t;
    if (tls_init_open(&t, false, &secrets))
        abort();
    while (size >= 2 && t.state == TLS_OPEN) {
        size_t len = data[1] < size - 2 ? data[1] : size - 2, used = 0;
        bytes_t plain = BYTES_NONE;
        size_t n = seal(&t.receive, data[0], bytes_of(data + 2, len), record);
        if (tls_feed(&t, record, n, &used, &plain))
            break;
        assert(used == n && (!plain.len || bytes_equal(plain, bytes_of(data + 2, plain.len))));
        data += len + 2;
        size -= len + 2;
    }
    if (t.state == TLS_OPEN) {
        bytes_t piece = BYTES_LIT("answer");
        size_t n;
        if (tls_seal(&t, &piece, 1, record, &n))
            abort();
        assert(n <= tls_sealed_size(piece.len));
    }
    tls_deinit(&t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    if (data[0] & 4)
        feed_content(data + 1, size - 1);
    else
        feed_handshake(data[0] & 1, data + 1, size - 1);
    return 0;
}
