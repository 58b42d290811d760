/* aes_ctr: AES-256 in counter mode (NIST SP 800-38A), from counter block zero on. A key is for one text, for
 * ever: two texts under one key give each other away. It hides bytes and does not prove them. Any thread. */
#ifndef CRYPTO_AES_CTR_H
#define CRYPTO_AES_CTR_H
#include "base/bytes.h"
#define AES_CTR_KEY_BYTES 32
/* Encrypts or decrypts, which is the same; out: in.len bytes, may be in.data. ERR_UNSUPPORTED: not in this
 * OpenSSL; ERR_NO_MEMORY; ERR_LIMIT: over 1 GiB. */
MUST_CHECK err_t aes_ctr(const uint8_t key[AES_CTR_KEY_BYTES], bytes_t in, uint8_t *out);
#endif
