#include "wire/addr_field.h"

bool addr_field_next(bytes_t message, uint32_t number, size_t *iter, multiaddr_t *ret)
{
    reader_t r = reader_of(bytes_slice(message, *iter, message.len));
    pb_field_t f;
    bool is_found = false;
    while (!is_found && pb_next(&r, &f))
        is_found = f.number == number && f.wire == PB_BYTES && f.bytes.len &&
                   f.bytes.len <= MULTIADDR_MAX_BYTES && multiaddr_decode(f.bytes, ret) == OK;
    *iter = message.len - reader_left(&r);
    return is_found;
}
