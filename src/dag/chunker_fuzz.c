/* A chunker's text, a zero byte, and content: chunks keep to their limits and together are the content. */
#include "dag/chunker.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    chunker_t c;
    char text[64] = "";
    const uint8_t *end = size ? memchr(data, 0, size) : NULL;
    if (!end || (size_t)(end - data) >= sizeof text)
        return 0;
    memcpy(text, data, (size_t)(end - data));
    if (chunker_parse(text, &c))
        return 0;
    assert(c.max_bytes && c.max_bytes <= CHUNKER_MAX_BYTES);
    bytes_t left = bytes_of(end + 1, size - (size_t)(end + 1 - data));
    while (left.len) {
        size_t cut = chunker_cut(&c, bytes_slice(left, 0, c.max_bytes));
        assert(cut && cut <= c.max_bytes && (cut >= c.min_bytes || cut == left.len));
        assert(chunker_cut(&c, left) == cut); /* what follows does not matter */
        left = bytes_slice(left, cut, left.len);
    }
    return 0;
}
