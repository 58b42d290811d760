#include "base/net_addr.h"
#include <assert.h>
#include <string.h>

/* An address that parses prints as text that parses to the same. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[256], out[NET_ADDR_TEXT_MAX];
    if (size >= sizeof text)
        return 0;
    memcpy(text, data, size);
    text[size] = 0;
    net_addr_t a, b;
    if (net_addr_parse(text, &a))
        return 0;
    err_t e = net_addr_parse(net_addr_print(&a, out), &b);
    assert(!e && net_addr_equal(&a, &b));
    assert(!net_addr_is_loopback(&a) || net_addr_is_private(&a));
    return 0;
}
