#include "logic/kad_key.h"
#include "crypto/hash.h"

kad_key_t kad_key_of(bytes_t preimage)
{
    kad_key_t key;
    sha256_of(preimage, key.data);
    return key;
}

kad_key_t kad_key_of_peer(const peer_id_t *id)
{
    return kad_key_of(peer_id_bytes(id));
}

kad_key_t kad_distance(const kad_key_t *a, const kad_key_t *b)
{
    kad_key_t d;
    for (size_t i = 0; i < KAD_KEY_BYTES; i++)
        d.data[i] = a->data[i] ^ b->data[i];
    return d;
}

size_t kad_common_prefix_len(const kad_key_t *a, const kad_key_t *b)
{
    for (size_t i = 0; i < KAD_KEY_BYTES; i++) {
        uint8_t x = a->data[i] ^ b->data[i];
        if (x)
            return i * 8 + (size_t)__builtin_clz(x) - (sizeof(unsigned) * 8 - 8);
    }
    return KAD_KEY_BITS;
}

int kad_compare_distance(const kad_key_t *target, const kad_key_t *a, const kad_key_t *b)
{
    for (size_t i = 0; i < KAD_KEY_BYTES; i++) {
        int x = target->data[i] ^ a->data[i], y = target->data[i] ^ b->data[i];
        if (x != y)
            return x - y;
    }
    return 0;
}

bool kad_key_equal(const kad_key_t *a, const kad_key_t *b)
{
    return memcmp(a->data, b->data, KAD_KEY_BYTES) == 0;
}
