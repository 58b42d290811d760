/* Property: any text is taken line by line without harm, and asking is safe for any path. */
#include "repo/denylist.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO_PTR(denylist_t) d = denylist_new();
    bytes_t text = bytes_of(data, size);
    cid_t cid;
    if (denylist_add(d, "fuzz", text))
        return 0;
    const uint8_t *end = size ? memchr(data, '\n', size) : NULL;
    bytes_t line = bytes_slice(text, 0, end ? (size_t)(end - data) : size);
    (void)!denylist_has_path(d, line);
    if (!cid_parse(bytes_slice(line, 6, line.len), &cid))
        (void)!denylist_has_cid(d, &cid);
    return 0;
}
