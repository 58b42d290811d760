/* The input is taken for a peer's certificate; and, as a list of places and bytes, for changes to a good one.
 * Whatever comes: nothing but the good one proves to be its peer, and what was changed anywhere proves
 * nothing. */
#include "wire/certificate.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { NOW_S = 1790000000, CHANGES_MAX = 8 };

static const certificate_t *good(peer_id_t *ret_owner)
{
    static certificate_t made;
    static peer_id_t owner;
    static const uint8_t seed[32] = {6};
    private_key_t *key;
    if (!made.der.len) {
        if (private_key_generate(KEY_ED25519, seed, 0, &key) || certificate_new(key, &made) ||
            peer_id_of(private_key_public(key), &owner))
            abort();
        private_key_free(key);
    }
    *ret_owner = owner;
    return &made;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    peer_id_t owner, proved;
    const certificate_t *c = good(&owner);
    if (!certificate_verify(bytes_of(data, size), NOW_S, &proved))
        assert(proved.len && !peer_id_equal(&proved, &owner)); /* nobody else has its key */
    size_t len = c->der.len;
    uint8_t *der = xmalloc(len);
    memcpy(der, c->der.data, len);
    for (size_t i = 0; i + 3 <= size && i < 3 * CHANGES_MAX; i += 3)
        der[(size_t)(data[i] << 8 | data[i + 1]) % len] ^= data[i + 2];
    if (size % 5 == 4)
        len -= data[size - 1] % len;
    bool is_same = len == c->der.len && !memcmp(der, c->der.data, len);
    err_t e = certificate_verify(bytes_of(der, len), NOW_S, &proved);
    assert(is_same ? !e && peer_id_equal(&proved, &owner) : e != OK);
    free(der);
    return 0;
}
