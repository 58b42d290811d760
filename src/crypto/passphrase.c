#include "crypto/passphrase.h"
#include "crypto/libraries.h"
#include <sodium.h>

enum { MAX_PASSES = 64, MAX_MEMORY_MIB = 1024, MAX_PASSPHRASE_BYTES = 1 << 20 };
_Static_assert(PASSPHRASE_SALT_BYTES == crypto_pwhash_argon2id_SALTBYTES, "libsodium's salt");

bool passphrase_cost_is_valid(passphrase_cost_t cost)
{
    return cost.passes >= 1 && cost.passes <= MAX_PASSES && cost.memory_mib >= 1 &&
           cost.memory_mib <= MAX_MEMORY_MIB;
}

err_t passphrase_key(bytes_t passphrase, const uint8_t salt[PASSPHRASE_SALT_BYTES], passphrase_cost_t cost,
                     uint8_t ret_key[PASSPHRASE_KEY_BYTES])
{
    if (!passphrase_cost_is_valid(cost) || passphrase.len > MAX_PASSPHRASE_BYTES)
        return fail(ERR_LIMIT,
                    "a key from a passphrase of %zu bytes with %u passes over %u MiB is over the limits",
                    passphrase.len, cost.passes, cost.memory_mib);
    sodium_ready();
    if (crypto_pwhash_argon2id(ret_key, PASSPHRASE_KEY_BYTES, (const char *)passphrase.data, passphrase.len,
                               salt, cost.passes, (size_t)cost.memory_mib << 20,
                               crypto_pwhash_argon2id_ALG_ARGON2ID13))
        return fail(ERR_NO_MEMORY, "no memory (%u MiB) for the key of a passphrase", cost.memory_mib);
    return OK;
}
