/* Whatever a router answers: decoded within bounds, and never a mapping of another protocol than TCP or UDP.
 */
#include "wire/portmap.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    portmap_answer_t a;
    if (portmap_decode(bytes_of(data, size), &a))
        return 0;
    assert(a.kind == PORTMAP_MAPPED || (a.kind == PORTMAP_ADDRESS && a.has_ip && !a.is_pcp));
    assert(size >= (a.is_pcp ? 60u : a.kind == PORTMAP_MAPPED ? 16u : 12u));
    return 0;
}
