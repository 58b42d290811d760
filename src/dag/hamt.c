#include "dag/hamt.h"
#include "crypto/murmur3.h"

unsigned hamt_bits(uint64_t fanout)
{
    return (unsigned)__builtin_ctzll(fanout);
}

size_t hamt_prefix_len(uint64_t fanout)
{
    return (hamt_bits(fanout) + 3) / 4;
}

size_t hamt_max_depth(uint64_t fanout)
{
    return 64 / hamt_bits(fanout);
}

uint64_t hamt_hash(bytes_t name)
{
    return murmur3_x64_64(name);
}

size_t hamt_slot(uint64_t hash, uint64_t fanout, size_t depth)
{
    unsigned bits = hamt_bits(fanout);
    assert(depth < hamt_max_depth(fanout));
    return (size_t)(hash >> (64 - bits * (depth + 1))) & (fanout - 1);
}

static int hex_value(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

err_t hamt_parse_prefix(bytes_t link_name, uint64_t fanout, size_t *ret_slot)
{
    size_t width = hamt_prefix_len(fanout), slot = 0;
    if (link_name.len < width)
        return fail(ERR_CORRUPT, "directory shard: a link name without its slot");
    for (size_t i = 0; i < width; i++) {
        int digit = hex_value(link_name.data[i]);
        if (digit < 0)
            return fail(ERR_CORRUPT, "directory shard: a link name that begins with no slot");
        slot = slot << 4 | (size_t)digit;
    }
    if (slot >= fanout)
        return fail(ERR_CORRUPT, "directory shard: slot %zu of %zu", slot, (size_t)fanout);
    *ret_slot = slot;
    return OK;
}

void hamt_print_prefix(size_t slot, uint64_t fanout, char out[8])
{
    static const char digits[] = "0123456789ABCDEF";
    size_t width = hamt_prefix_len(fanout);
    for (size_t i = width; i-- > 0; slot >>= 4)
        out[i] = digits[slot & 15];
    out[width] = 0;
}
