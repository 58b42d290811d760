#include "codec/receipt.h"
#include "codec/tombstone.h"

/* Records of a deletion, as they come. Nothing but what the key signed is ever taken. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static private_key_t *key;
    static const uint8_t seed[32] = {1};
    if (!key && private_key_generate(KEY_ED25519, seed, 0, &key))
        return 0;
    bytes_t in = bytes_of(data, size);
    tombstone_t ts;
    receipt_t r;
    owner_key_t owner = owner_key_of(key);
    AUTO(buf_t) again;
    buf_init(&again, TOMBSTONE_MAX_BYTES);
    if (!tombstone_open(in, &ts) &&
        owner_key_equal(&ts.owner, &owner)) { /* the seeds are signed with this key */
        err_t e = tombstone_seal(key, &ts.manifest, &again);
        assert(!e && bytes_equal(buf_bytes(&again), in));
    }
    if (!receipt_open(in, &r)) {
        assert(r.kind == RECEIPT_DELETED && manifest_is_cid(&r.manifest));
    }
    return 0;
}
