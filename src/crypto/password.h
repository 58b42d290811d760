/* password: passwords as they are kept, by Argon2id (RFC 9106) with a random salt: a text that names its own
 * parameters ("$argon2id$v=19$…"). Each call takes 19 MiB and tens of milliseconds: on a worker, few at a
 * time. */
#ifndef CRYPTO_PASSWORD_H
#define CRYPTO_PASSWORD_H
#include "base/bytes.h"
#define PASSWORD_TEXT_MAX 128                                                  /* NUL included */
MUST_CHECK err_t password_keep(bytes_t password, char out[PASSWORD_TEXT_MAX]); /* ERR_NO_MEMORY */
/* ERR_DENIED: another password, or `kept` is no such text. */
MUST_CHECK err_t password_check(bytes_t password, const char *kept);
#endif
