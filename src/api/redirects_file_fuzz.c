/* The first line is a path, the rest a file: whatever they are, the target stays within its limit, and the
 * same path gives the same answer twice. */
#include "api/redirects_file.h"

enum { TARGET_MAX = 4096 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(redirects_file_t) f = {0};
    AUTO(buf_t) first = {0}, second = {0};
    int status, again;
    bytes_t text = bytes_of(data, size);
    const uint8_t *end = size ? memchr(data, '\n', size) : NULL;
    bytes_t path = bytes_slice(text, 0, end ? (size_t)(end - data) : size);
    buf_init(&first, TARGET_MAX);
    buf_init(&second, TARGET_MAX);
    if (redirects_file_parse(bytes_slice(text, path.len + 1, size), &f))
        return 0;
    if (redirects_file_match(&f, path, &first, &status))
        return 0;
    assert(!redirects_file_match(&f, path, &second, &again));
    assert(status == again && bytes_equal(buf_bytes(&first), buf_bytes(&second)));
    assert(first.len <= TARGET_MAX && (status || !first.len));
    return 0;
}
