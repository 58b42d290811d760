#include "codec/dag_jose.h"
#include "codec/ipld.h"

/* What is written of an object reads as the same data, and is written as itself. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(ipld_tree_t) tree = {0};
    AUTO(buf_t) first, second;
    buf_init(&first, 4 * size + 4096);
    buf_init(&second, 4 * size + 4096);
    if (dag_jose_read(&tree, bytes_of(data, size)))
        return 0;
    err_t e = ipld_links(CODEC_DAG_JOSE, bytes_of(data, size), NULL, NULL);
    assert(!e);
    if (dag_jose_write(&tree, 0, &first)) /* NaN, or a header that is no map */
        return 0;
    e = ipld_convert(CODEC_DAG_JOSE, buf_bytes(&first), CODEC_DAG_JOSE, &second);
    assert(!e && bytes_equal(buf_bytes(&first), buf_bytes(&second)));
    return 0;
}
