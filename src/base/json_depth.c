#include "base/json_depth.h"

/* The index of the quotation mark that ends the string which begins at `at`. */
static size_t string_end(bytes_t text, size_t at)
{
    for (at++; at < text.len && text.data[at] != '"'; at++)
        at += text.data[at] == '\\';
    return at;
}

size_t json_depth(bytes_t text)
{
    size_t depth = 0, deepest = 0;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        if (c == '"')
            i = string_end(text, i);
        else if (c == '[' || c == '{')
            deepest = ++depth > deepest ? depth : deepest;
        else if ((c == ']' || c == '}') && depth)
            depth--;
    }
    return deepest;
}

err_t json_check_depth(bytes_t text, size_t max)
{
    return json_depth(text) <= max ? OK : fail(ERR_LIMIT, "JSON that is nested deeper than %zu", max);
}
