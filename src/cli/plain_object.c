#include "cli/plain_object.h"

/* The string that begins at *at with its quotation mark; *at goes behind its end. */
static bool read_string(bytes_t text, size_t *at, bytes_t *ret)
{
    size_t from = *at + 1, i = from;
    if (*at >= text.len || text.data[*at] != '"')
        return false;
    while (i < text.len && text.data[i] >= 0x20 && text.data[i] < 0x7f && text.data[i] != '"' &&
           text.data[i] != '\\')
        i++;
    if (i >= text.len || text.data[i] != '"')
        return false;
    *ret = bytes_slice(text, from, i - from);
    *at = i + 1;
    return true;
}

static bool read_byte(bytes_t text, size_t *at, uint8_t byte)
{
    bool is_there = *at < text.len && text.data[*at] == byte;
    *at += is_there;
    return is_there;
}

bool plain_object_read(bytes_t text, const char *const *names, size_t n, bytes_t *values)
{
    size_t at = 0;
    for (size_t i = 0; i < n; i++)
        values[i] = BYTES_NONE;
    if (!read_byte(text, &at, '{'))
        return false;
    do {
        bytes_t name, value;
        if (!read_string(text, &at, &name) || !read_byte(text, &at, ':') || !read_string(text, &at, &value))
            return false;
        for (size_t i = 0; i < n; i++)
            if (bytes_equal(name, bytes_str(names[i])))
                values[i] = value;
    } while (read_byte(text, &at, ','));
    return read_byte(text, &at, '}') && at == text.len;
}
