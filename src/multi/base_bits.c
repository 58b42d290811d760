#include "multi/base.h"

err_t base_bits_encode(const base_t *b, bytes_t data, buf_t *out)
{
    if (data.len > SIZE_MAX / 16)
        return fail(ERR_LIMIT, "%zu bytes are too many for %s", data.len, b->name);
    size_t digits = (data.len * 8 + b->bits - 1) / b->bits;
    size_t padding = b->padded_digits ? (b->padded_digits - digits % b->padded_digits) % b->padded_digits : 0;
    TRY(buf_reserve(out, digits + padding));
    uint32_t held = 0; /* the low `n` bits wait for their digit */
    unsigned n = 0, mask = b->radix - 1u;
    for (size_t i = 0; i < data.len; i++) {
        held = held << 8 | data.data[i];
        for (n += 8; n >= b->bits; n -= b->bits)
            out->data[out->len++] = (uint8_t)b->alphabet[held >> (n - b->bits) & mask];
    }
    if (n)
        out->data[out->len++] = (uint8_t)b->alphabet[held << (b->bits - n) & mask];
    if (padding)
        memset(out->data + out->len, '=', padding);
    out->len += padding;
    return OK;
}

/* Takes the padding off a text that must have it. */
static err_t strip_padding(const base_t *b, bytes_t *text)
{
    size_t len = text->len;
    while (len && text->data[len - 1] == '=' && text->len - len < b->padded_digits)
        len--;
    if (text->len % b->padded_digits)
        return fail(ERR_INVALID, "the padding of the %s text is missing or too short", b->name);
    size_t bits_left = len * b->bits % 8;
    if (text->len - len >= b->padded_digits || bits_left >= b->bits)
        return fail(ERR_INVALID, "the padding of the %s text is too long", b->name);
    text->len = len;
    return OK;
}

err_t base_bits_decode(const base_t *b, bytes_t text, bool is_lenient, buf_t *out)
{
    int8_t values[256];
    if (b->padded_digits)
        TRY(strip_padding(b, &text));
    base_values(b, values);
    size_t start = out->len;
    TRY(buf_reserve(out, text.len * b->bits / 8 + 1)); /* bits <= 6: no overflow of a text in memory */
    uint32_t held = 0;
    unsigned n = 0;
    for (size_t i = 0; i < text.len; i++) {
        int value = values[text.data[i]];
        if (value < 0) {
            out->len = start;
            return fail(ERR_INVALID, "byte 0x%02x at %zu is no digit of %s", text.data[i], i, b->name);
        }
        held = held << b->bits | (uint32_t)value;
        n += b->bits;
        if (n >= 8) {
            n -= 8;
            out->data[out->len++] = (uint8_t)(held >> n);
        }
    }
    if (n >= b->bits || (!is_lenient && (held & ((1u << n) - 1)))) {
        out->len = start;
        return fail(ERR_INVALID, "the %s text does not end with a whole byte", b->name);
    }
    return OK;
}
