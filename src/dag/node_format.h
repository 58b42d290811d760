/* node_format: the CID version and hash function of a node, which what is made in its place or below it takes
 * over. An identity CID stays one as long as the block is short enough. */
#ifndef DAG_NODE_FORMAT_H
#define DAG_NODE_FORMAT_H
#include "dag/import_options.h"
#include "multi/cid.h"

typedef struct node_format {
    uint8_t version;
    uint64_t hash_code;
} node_format_t;

static inline node_format_t node_format_of(const cid_t *cid)
{
    return (node_format_t){cid->version, cid->hash_code};
}
static inline bool node_format_equal(node_format_t a, node_format_t b)
{
    return a.version == b.version && a.hash_code == b.hash_code;
}
/* For import_cid; otherwise: the format of blocks that are too long for an identity CID. */
static inline import_options_t node_format_options(node_format_t f, node_format_t otherwise)
{
    import_options_t o;
    import_options_init(&o);
    bool is_identity = f.hash_code == MH_IDENTITY;
    o.inline_below = is_identity ? IMPORT_INLINE_MAX + 1 : 0;
    o.hash_code = is_identity ? otherwise.hash_code : f.hash_code;
    if (o.hash_code == MH_IDENTITY)
        o.hash_code = MH_SHA2_256;
    o.cid_version = is_identity ? 1 : f.version;
    return o;
}
#endif
