#include "codec/git_raw.h"
#include "codec/ipld.h"

/* What is written of an object reads as what writes the same again; a blob is written as it is. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(ipld_tree_t) tree = {0}, read = {0};
    AUTO(buf_t) first, second;
    buf_init(&first, 4 * size + 4096);
    buf_init(&second, 4 * size + 4096);
    if (git_raw_read(&tree, bytes_of(data, size)) || git_raw_write(&tree, 0, &first))
        return 0;
    assert(tree.items[0].kind != IPLD_BYTES || bytes_equal(buf_bytes(&first), bytes_of(data, size)));
    err_t e = git_raw_read(&read, buf_bytes(&first));
    assert(!e);
    e = git_raw_write(&read, 0, &second);
    assert(!e && bytes_equal(buf_bytes(&first), buf_bytes(&second)));
    e = ipld_links(CODEC_GIT_RAW, bytes_of(data, size), NULL, NULL);
    assert(!e);
    return 0;
}
