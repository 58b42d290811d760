#include "codec/ipld.h"
#include "codec/ipld_tree.h"

bool ipld_has_links(uint64_t codec)
{
    return codec == CODEC_DAG_PB || codec == CODEC_DAG_CBOR || codec == CODEC_DAG_JSON ||
           codec == CODEC_GIT_RAW || codec == CODEC_DAG_JOSE;
}

static err_t corrupt(err_t e, uint64_t codec)
{
    if (e == ERR_NO_MEMORY)
        return e;
    error_slot_t inner = *error_slot();
    return fail(ERR_CORRUPT, "a block is not %s: %s",
                codec == CODEC_DAG_PB     ? "a dag-pb node"
                : codec == CODEC_DAG_CBOR ? "dag-cbor"
                : codec == CODEC_GIT_RAW  ? "a git object"
                : codec == CODEC_DAG_JOSE ? "dag-jose"
                                          : "dag-json",
                inner.text);
}

/* The hot way: most blocks are dag-pb. */
static err_t dag_pb_each(bytes_t block, ipld_link_fn visit, void *arg)
{
    dag_pb_t node;
    dag_pb_link_t link;
    err_t e = dag_pb_decode(block, &node);
    if (e)
        return corrupt(e, CODEC_DAG_PB);
    dag_pb_links_t links = dag_pb_links(&node);
    while (visit && dag_pb_next_link(&links, &link))
        TRY(visit(arg, &link.cid));
    return OK;
}

/* Codecs whose data is not in the order of their bytes. */
static err_t tree_each(uint64_t codec, bytes_t block, ipld_link_fn visit, void *arg)
{
    AUTO(ipld_tree_t) tree = {0};
    err_t e = ipld_tree_read(&tree, codec, block, 0);
    if (e)
        return corrupt(e, codec);
    for (size_t i = 0; visit && i < tree.count; i++) {
        cid_t cid;
        if (tree.items[i].kind != IPLD_LINK)
            continue;
        TRY(cid_decode(ipld_item_bytes(&tree.items[i]), &cid));
        TRY(visit(arg, &cid));
    }
    return OK;
}

err_t ipld_links(uint64_t codec, bytes_t block, ipld_link_fn visit, void *arg)
{
    if (codec == CODEC_DAG_PB)
        return dag_pb_each(block, visit, arg);
    if (codec == CODEC_RAW || codec == CODEC_CBOR || codec == CODEC_JSON || codec == CODEC_LIBP2P_KEY)
        return OK;
    if (!ipld_has_links(codec))
        return fail(ERR_UNSUPPORTED, "the links of codec 0x%llx are not known", (unsigned long long)codec);
    if (codec == CODEC_GIT_RAW || codec == CODEC_DAG_JOSE)
        return tree_each(codec, block, visit, arg);
    AUTO(ipld_scan_t) s;
    ipld_event_t event;
    ipld_scan_init(&s, codec, block, 0);
    while (ipld_scan_next(&s, &event)) {
        cid_t cid;
        if (event.kind != IPLD_LINK || !visit)
            continue;
        TRY(cid_decode(event.bytes, &cid));
        TRY(visit(arg, &cid));
    }
    return s.err ? corrupt(s.err, codec) : OK;
}
