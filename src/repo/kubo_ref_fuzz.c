/* References of a datastore that anybody may have written: what is read has a path that can be opened and a
 * size within its limit. The key ends at the first newline. */
#include "repo/kubo_source.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    filestore_ref_t ref;
    bytes_t in = bytes_of(data, size);
    const uint8_t *end = size ? memchr(data, '\n', size) : NULL;
    size_t key_len = end ? (size_t)(end - data) : size;
    if (kubo_ref_decode(bytes_slice(in, 0, key_len), bytes_slice(in, key_len + 1, size), &ref))
        return 0;
    assert(ref.path.len && ref.path.len <= FILESTORE_PATH_MAX_BYTES && ref.size <= BLOCK_MAX_BYTES);
    assert(!memchr(ref.path.data, 0, ref.path.len));
    assert(ref.cid.codec == CODEC_RAW);
    return 0;
}
