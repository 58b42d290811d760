/* What decodes encodes to what decodes to the same. */
#include "wire/forward.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    forward_t m, again;
    AUTO(buf_t) out;
    buf_init(&out, FORWARD_MESSAGE_MAX_BYTES);
    if (forward_decode(bytes_of(data, size), &m))
        return 0;
    err_t e = forward_encode(&m, &out);
    assert(!e);
    e = forward_decode(buf_bytes(&out), &again);
    assert(!e && again.is_request == m.is_request && again.ttl == m.ttl && again.status == m.status);
    assert(peer_id_equal(&again.target, &m.target) && peer_id_equal(&again.source, &m.source) &&
           peer_id_equal(&again.relay, &m.relay));
    return 0;
}
