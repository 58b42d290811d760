/* Pin records of a datastore that anybody may have written: what is read has a CID, a mode and a bounded
 * name. */
#include "repo/kubo_source.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    pin_t pin;
    bool has_bad_name;
    if (kubo_pin_decode(bytes_of(data, size), &pin, &has_bad_name))
        return 0;
    uint8_t raw[CID_BINARY_MAX];
    assert(pin.mode == PIN_RECURSIVE || pin.mode == PIN_DIRECT);
    assert(memchr(pin.name, 0, sizeof pin.name));
    assert(cid_encode(&pin.cid, raw) <= size);
    return 0;
}
