/* Decoding stays within its bounds; what was decoded encodes to a message that decodes to the same. */
#include "wire/identify.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static identify_t a, b;
    if (identify_decode(bytes_of(data, size), &a))
        return 0;
    assert(a.n_addrs <= IDENTIFY_ADDRS_MAX && a.n_protocols <= IDENTIFY_PROTOCOLS_MAX);
    AUTO(buf_t) out;
    buf_init(&out, 16 << 20);
    if (identify_encode(&a, &out) || identify_decode(buf_bytes(&out), &b))
        abort();
    assert(a.n_addrs == b.n_addrs && a.n_protocols == b.n_protocols);
    for (size_t i = 0; i < a.n_addrs; i++)
        assert(bytes_equal(a.addrs[i], b.addrs[i]));
    for (size_t i = 0; i < a.n_protocols; i++)
        assert(bytes_equal(a.protocols[i], b.protocols[i]));
    assert(bytes_equal(a.public_key, b.public_key) && bytes_equal(a.observed_addr, b.observed_addr));
    assert(bytes_equal(a.agent_version, b.agent_version));
    assert(bytes_equal(a.signed_peer_record, b.signed_peer_record));
    return 0;
}
