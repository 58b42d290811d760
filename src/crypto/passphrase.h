/* passphrase: a key from a passphrase by Argon2id (RFC 9106, one lane). Takes the memory that it is told to:
 * on a worker, and the costs of foreign files are bounded first. */
#ifndef CRYPTO_PASSPHRASE_H
#define CRYPTO_PASSPHRASE_H
#include "base/bytes.h"
#define PASSPHRASE_SALT_BYTES 16
#define PASSPHRASE_KEY_BYTES 32
typedef struct passphrase_cost {
    uint32_t passes;     /* 1 to 64 */
    uint32_t memory_mib; /* 1 to 1024 */
} passphrase_cost_t;
bool passphrase_cost_is_valid(passphrase_cost_t cost);
/* ERR_NO_MEMORY; ERR_LIMIT: the costs, or a passphrase of more than 1 MiB. */
MUST_CHECK err_t passphrase_key(bytes_t passphrase, const uint8_t salt[PASSPHRASE_SALT_BYTES],
                                passphrase_cost_t cost, uint8_t ret_key[PASSPHRASE_KEY_BYTES]);
#endif
