#include "multi/multibase.h"

/* Decoding is strict: apart from the case of letters, the text that we write is the one that we read. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(buf_t) bytes, text, again;
    multibase_t base, found;
    buf_init(&bytes, 1 << 20);
    buf_init(&text, 1 << 20);
    buf_init(&again, 1 << 20);
    if (multibase_decode(bytes_of(data, size), &base, &bytes)) {
        assert(!bytes.len);
        return 0;
    }
    err_t e = multibase_encode(base, buf_bytes(&bytes), &text);
    assert(!e && text.len == size);
    for (size_t i = 0; i < size; i++)
        assert(text.data[i] == data[i] || (text.data[i] ^ data[i]) == 0x20);
    e = multibase_decode(buf_bytes(&text), &found, &again);
    assert(!e && found == base && bytes_equal(buf_bytes(&bytes), buf_bytes(&again)));
    return 0;
}
