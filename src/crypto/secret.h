/* secret: memory for keys that live long: guarded pages that are kept out of swap and core files where the
 * machine allows it, and wiped when they are freed. A page at least for each: few and long-lived ones only.
 */
#ifndef CRYPTO_SECRET_H
#define CRYPTO_SECRET_H
#include "base/bytes.h"
MUST_CHECK err_t secret_new(size_t size, void **ret); /* zeroed; ERR_NO_MEMORY */
void secret_free(void *p);                            /* NULL is fine */
#endif
