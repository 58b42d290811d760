#include "base/utf8.h"

static bool is_trail(uint8_t byte)
{
    return byte >> 6 == 2;
}

size_t utf8_length(bytes_t text)
{
    if (!text.len)
        return 0;
    const uint8_t *p = text.data;
    if (p[0] < 0x80)
        return 1;
    size_t n = p[0] >= 0xc2 && p[0] < 0xe0 ? 2 : p[0] >> 4 == 0xe ? 3 : p[0] >= 0xf0 && p[0] < 0xf5 ? 4 : 0;
    if (!n || n > text.len)
        return 0;
    for (size_t i = 1; i < n; i++)
        if (!is_trail(p[i]))
            return 0;
    bool is_overlong = (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xf0 && p[1] < 0x90);
    bool is_surrogate = p[0] == 0xed && p[1] >= 0xa0, is_beyond = p[0] == 0xf4 && p[1] >= 0x90;
    return is_overlong || is_surrogate || is_beyond ? 0 : n;
}

bool utf8_is_valid(bytes_t text)
{
    while (text.len) {
        size_t n = utf8_length(text);
        if (!n)
            return false;
        text = bytes_slice(text, n, text.len);
    }
    return true;
}

size_t utf8_put(uint32_t code_point, uint8_t out[4])
{
    static const uint8_t marks[] = {0, 0, 0xc0, 0xe0, 0xf0};
    if (code_point < 0x80) {
        out[0] = (uint8_t)code_point;
        return 1;
    }
    size_t n = code_point < 0x800 ? 2 : code_point < 0x10000 ? 3 : 4;
    for (size_t i = n - 1; i; i--, code_point >>= 6)
        out[i] = (uint8_t)(0x80 | (code_point & 0x3f));
    out[0] = (uint8_t)(marks[n] | code_point);
    return n;
}
