#include "crypto/password.h"
#include "crypto/libraries.h"
#include <sodium.h>

enum { PASSES = 2, MEMORY_BYTES = 19 << 20 };
_Static_assert(PASSWORD_TEXT_MAX >= crypto_pwhash_STRBYTES, "the text has room");

err_t password_keep(bytes_t password, char out[PASSWORD_TEXT_MAX])
{
    sodium_ready();
    if (crypto_pwhash_str(out, (const char *)password.data, password.len, PASSES, MEMORY_BYTES))
        return fail(ERR_NO_MEMORY, "no memory for hashing a password");
    return OK;
}

err_t password_check(bytes_t password, const char *kept)
{
    char text[crypto_pwhash_STRBYTES] = {0};
    sodium_ready();
    if (strlen(kept) >= sizeof text)
        return fail(ERR_DENIED, "the password is not kept as this program does it");
    memcpy(text, kept, strlen(kept));
    if (crypto_pwhash_str_verify(text, (const char *)password.data, password.len))
        return fail(ERR_DENIED, "wrong password");
    return OK;
}
