#include "crypto/secret.h"
#include "crypto/libraries.h"
#include <sodium.h>

err_t secret_new(size_t size, void **ret)
{
    sodium_ready();
    void *p = sodium_malloc(size);
    if (!p)
        return fail(ERR_NO_MEMORY, "no locked memory for keys; is `ulimit -l` too low?");
    memset(p, 0, size);
    *ret = p;
    return OK;
}

void secret_free(void *p)
{
    sodium_free(p);
}
