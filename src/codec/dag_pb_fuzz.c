#include "codec/dag_pb.h"

static void encode(const dag_pb_t *node, bool is_data_first, buf_t *out)
{
    writer_t w = writer_to(out);
    dag_pb_links_t links = dag_pb_links(node);
    dag_pb_link_t link;
    size_t n = 0;
    if (node->has_data && is_data_first)
        dag_pb_put_data(&w, node->data);
    for (; dag_pb_next_link(&links, &link); n++)
        dag_pb_put_link(&w, &link);
    if (node->has_data && !is_data_first)
        dag_pb_put_data(&w, node->data);
    assert(!w.err && n == node->link_count);
}

/* Encoding gives back the block, but for varints that were longer than they need be (protobuf allows
 * those); encoding what that gives is then the identity. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    dag_pb_t node, again;
    AUTO(buf_t) first, second;
    buf_init(&first, size + 64);
    buf_init(&second, size + 64);
    if (dag_pb_decode(bytes_of(data, size), &node))
        return 0;
    bool is_data_first = size && data[0] >> 3 == 1;
    encode(&node, is_data_first, &first);
    assert(first.len <= size);
    assert(first.len < size || !size || !memcmp(first.data, data, size));
    err_t e = dag_pb_decode(buf_bytes(&first), &again);
    assert(!e && again.link_count == node.link_count && bytes_equal(again.data, node.data));
    encode(&again, is_data_first, &second);
    assert(bytes_equal(buf_bytes(&first), buf_bytes(&second)));
    return 0;
}
