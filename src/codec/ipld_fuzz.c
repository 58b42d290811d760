#include "codec/ipld.h"
#include "codec/ipld_tree.h"

static const uint64_t codecs[] = {CODEC_DAG_CBOR, CODEC_DAG_JSON, CODEC_DAG_PB,
                                  CODEC_CBOR,     CODEC_JSON,     CODEC_RAW};

static err_t count(void *arg, const cid_t *link)
{
    ++*(size_t *)arg;
    return OK;
}

static size_t count_links(const ipld_tree_t *tree)
{
    size_t n = 0;
    for (size_t i = 0; i < tree->count; i++)
        n += tree->items[i].kind == IPLD_LINK;
    return n;
}

/* What is written reads as what writes the same: at once, or, in JSON, where -0.0 comes back as 0, the second
 * time. It has as many links. */
static void check(bytes_t canonical, uint64_t codec, size_t links)
{
    AUTO(buf_t) first, second;
    size_t found = 0;
    buf_init(&first, canonical.len + 1);
    buf_init(&second, canonical.len + 1);
    err_t e = ipld_convert(codec, canonical, codec, &first);
    assert(!e &&
           (bytes_equal(canonical, buf_bytes(&first)) || codec == CODEC_DAG_JSON || codec == CODEC_JSON));
    e = ipld_convert(codec, buf_bytes(&first), codec, &second);
    assert(!e && bytes_equal(buf_bytes(&first), buf_bytes(&second)));
    e = ipld_links(codec, canonical, count, &found);
    assert(!e && (!ipld_has_links(codec) || found == links));
}

/* The first byte chooses the codec. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(ipld_tree_t) tree = {0};
    size_t found = 0;
    if (!size)
        return 0;
    uint64_t codec = codecs[data[0] % ARRAY_LEN(codecs)];
    bytes_t block = bytes_of(data + 1, size - 1);
    err_t e = ipld_tree_read(&tree, codec, block, 0);
    err_t links_e = ipld_links(codec, block, count, &found);
    if (e)
        return 0;
    assert(!links_e && tree.count && tree.count <= IPLD_TREE_MAX_ITEMS);
    assert(!ipld_has_links(codec) || found == count_links(&tree));
    for (size_t i = 0; i < ARRAY_LEN(codecs); i++) {
        AUTO(buf_t) out;
        buf_init(&out, (size_t)64 << 20); /* tabs for each level */
        if (!ipld_tree_write(&tree, 0, codecs[i], &out))
            check(buf_bytes(&out), codecs[i], count_links(&tree));
    }
    return 0;
}
