/* libraries: what the files of this folder share about OpenSSL and libsodium. Not for others. */
#ifndef CRYPTO_LIBRARIES_H
#define CRYPTO_LIBRARIES_H
#include "base/error.h"
/* Drops what OpenSSL noted in its error queue, and fails. */
MUST_CHECK err_t openssl_failed(err_t e, const char *what);
/* Before the first call of libsodium: it picks the CPU's instructions. Any thread, any number of times. */
void sodium_ready(void);
#endif
