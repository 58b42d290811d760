#include "wire/http_auth.h"
#include "multi/multibase.h"

err_t http_auth_header(const char *secret, buf_t *out)
{
    const char *colon = strchr(secret, ':');
    if (!colon)
        return buf_printf(out, "Bearer %s", secret);
    if (!strncmp(secret, "bearer:", 7))
        return buf_printf(out, "Bearer %s", colon + 1);
    if (strncmp(secret, "basic:", 6) != 0)
        return fail(ERR_INVALID, "a secret of the RPC begins with bearer: or basic:");
    if (!strchr(colon + 1, ':'))
        return buf_printf(out, "Basic %s", colon + 1);
    AUTO(buf_t) encoded = {0};
    buf_init(&encoded, HTTP_AUTH_MAX_BYTES);
    TRY(multibase_encode_raw(MB_BASE64PAD, bytes_str(colon + 1), &encoded));
    TRY(buf_append(out, BYTES_LIT("Basic ")));
    err_t e = buf_append(out, buf_bytes(&encoded));
    secret_wipe(encoded.data, encoded.len);
    return e;
}
