#include "multi/base.h"
#include <stdlib.h>

enum { TEXT_MAX = MULTIBASE_DIGITS_MAX * 5 / 2 }; /* base10 makes 2.41 digits of a byte */

/* Numbers are held in limbs of 32 bits, and digits are taken in groups whose value fits one: 5 digits
 * of base58 at a time cost a fifth. */
static uint32_t group_value(const base_t *b, unsigned digits)
{
    uint32_t v = 1;
    while (digits--)
        v *= b->radix;
    return v;
}

static unsigned group_digits(const base_t *b)
{
    unsigned n = 0;
    for (uint64_t v = b->radix; v <= UINT32_MAX; v *= b->radix)
        n++;
    return n;
}

static err_t new_limbs(const base_t *b, size_t bytes, size_t max, uint32_t **ret_limbs)
{
    if (bytes > max)
        return fail(ERR_LIMIT, "%zu bytes are over the limit of %zu for %s; take base32 or base64", bytes,
                    max, b->name);
    *ret_limbs = xcalloc(bytes / 4 + 1, sizeof **ret_limbs);
    return OK;
}

static void reverse(uint8_t *p, size_t len)
{
    for (size_t i = 0; i < len / 2; i++) {
        uint8_t swapped = p[i];
        p[i] = p[len - 1 - i];
        p[len - 1 - i] = swapped;
    }
}

static inline uint32_t divide_by(uint32_t *limbs, size_t n, uint32_t by)
{
    uint64_t rest = 0;
    for (size_t i = n; i-- > 0;) {
        rest = rest << 32 | limbs[i];
        limbs[i] = (uint32_t)(rest / by);
        rest %= by;
    }
    return (uint32_t)rest;
}

static uint32_t divide(uint32_t *limbs, size_t n, uint32_t by)
{
    enum {
        GROUP58 = 58 * 58 * 58 * 58 * 58
    }; /* CIDs of version 0: known here, it becomes a multiplication */
    return by == GROUP58 ? divide_by(limbs, n, GROUP58) : divide_by(limbs, n, by);
}

err_t base_digits_encode(const base_t *b, bytes_t data, buf_t *out)
{
    size_t zeros = 0;
    while (zeros < data.len && !data.data[zeros])
        zeros++;
    uint32_t *limbs = NULL;
    TRY(new_limbs(b, data.len, MULTIBASE_DIGITS_MAX, &limbs));
    for (size_t i = 0; i < data.len; i++) /* limbs[0] is the lowest */
        limbs[i / 4] |= (uint32_t)data.data[data.len - 1 - i] << (8 * (i % 4));
    size_t n = data.len / 4 + 1, start = out->len;
    unsigned digits = group_digits(b);
    uint32_t group = group_value(b, digits);
    err_t e = OK;
    for (;;) {
        while (n && !limbs[n - 1])
            n--;
        if (!n || e)
            break;
        uint32_t rest = divide(limbs, n, group);
        bool is_last = n == 1 && !limbs[0];
        for (unsigned i = 0; i < digits && (rest || !is_last) && !e; i++, rest /= b->radix)
            e = buf_append_u8(out, (uint8_t)b->alphabet[rest % b->radix]);
    }
    for (size_t i = 0; i < zeros && !e; i++)
        e = buf_append_u8(out, (uint8_t)b->alphabet[0]);
    free(limbs);
    if (e) {
        out->len = start;
        return e;
    }
    if (out->len > start)
        reverse(out->data + start, out->len - start);
    return OK;
}

/* limbs = limbs * by + add; the number of limbs after. */
static size_t multiply_add(uint32_t *limbs, size_t n, uint32_t by, uint32_t add)
{
    uint64_t carry = add;
    for (size_t i = 0; i < n; i++) {
        carry += (uint64_t)limbs[i] * by;
        limbs[i] = (uint32_t)carry;
        carry >>= 32;
    }
    if (carry)
        limbs[n++] = (uint32_t)carry;
    return n;
}

static err_t append_number(const uint32_t *limbs, size_t n, size_t zeros, buf_t *out)
{
    TRY(buf_reserve(out, zeros + n * 4));
    if (zeros)
        memset(out->data + out->len, 0, zeros);
    out->len += zeros;
    bool is_leading = true;
    for (size_t i = n * 4; i-- > 0;) {
        uint8_t byte = (uint8_t)(limbs[i / 4] >> (8 * (i % 4)));
        is_leading = is_leading && !byte;
        if (!is_leading)
            out->data[out->len++] = byte;
    }
    return OK;
}

err_t base_digits_decode(const base_t *b, bytes_t text, bool is_lenient, buf_t *out)
{
    int8_t values[256];
    uint32_t *limbs = NULL;
    base_values(b, values);
    for (size_t i = 0; i < text.len; i++)
        if (values[text.data[i]] < 0)
            return fail(ERR_INVALID, "byte 0x%02x at %zu is no digit of %s", text.data[i], i, b->name);
    TRY(new_limbs(b, text.len, TEXT_MAX, &limbs)); /* a digit is less than a byte */
    size_t zeros = 0, n = 0;
    while (zeros < text.len && !values[text.data[zeros]])
        zeros++;
    unsigned digits = group_digits(b);
    for (size_t i = zeros; i < text.len;) {
        uint32_t v = 0;
        unsigned count = 0;
        for (; count < digits && i < text.len; count++, i++)
            v = v * b->radix + (uint32_t)values[text.data[i]];
        n = multiply_add(limbs, n, group_value(b, count), v);
    }
    err_t e = append_number(limbs, n, zeros, out);
    free(limbs);
    return e;
}
