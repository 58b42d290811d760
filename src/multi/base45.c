#include "multi/base.h"

enum { RADIX = 45 };

static err_t put(const base_t *b, unsigned value, int digits, buf_t *out)
{
    for (; digits--; value /= RADIX) /* the lowest digit comes first */
        TRY(buf_append_u8(out, (uint8_t)b->alphabet[value % RADIX]));
    return OK;
}

err_t base45_encode(const base_t *b, bytes_t data, buf_t *out)
{
    size_t i = 0;
    for (; i + 1 < data.len; i += 2)
        TRY(put(b, (unsigned)(data.data[i] << 8 | data.data[i + 1]), 3, out));
    return i < data.len ? put(b, data.data[i], 2, out) : OK;
}

err_t base45_decode(const base_t *b, bytes_t text, bool is_lenient, buf_t *out)
{
    int8_t values[256];
    base_values(b, values);
    for (size_t i = 0; i < text.len; i += 3) {
        size_t digits = text.len - i < 3 ? text.len - i : 3;
        unsigned value = 0;
        bool is_bad = digits < 2;
        for (size_t d = digits; d-- > 0;) {
            int digit = values[text.data[i + d]];
            is_bad = is_bad || digit < 0;
            value = value * RADIX + (unsigned)digit;
        }
        if (is_bad || value > (digits == 3 ? 0xffffu : 0xffu))
            return fail(ERR_INVALID, "the text is not %s", b->name);
        if (digits == 3)
            TRY(buf_append_u8(out, (uint8_t)(value >> 8)));
        TRY(buf_append_u8(out, (uint8_t)value));
    }
    return OK;
}
