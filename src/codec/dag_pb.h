/* dag_pb: the protobuf node of links and data under UnixFS. Spec: ipld/ipld specs/codecs/dag-pb.
 *
 * Decoding checks the whole block once and copies nothing; links are then iterated, so that a node of
 * many links costs no memory. Both field orders (Links first, the canonical one; Data first) are read;
 * links keep the order of the block. Unknown, repeated and misordered fields are ERR_INVALID.
 * Encoding writes Links, then Data; a link is Hash, Name, Tsize. */
#ifndef CODEC_DAG_PB_H
#define CODEC_DAG_PB_H
#include "base/reader.h"
#include "base/writer.h"
#include "multi/cid.h"

typedef struct dag_pb_link {
    cid_t cid;
    bytes_t name; /* any bytes; borrowed from the block */
    uint64_t tsize;
    bool has_name, has_tsize; /* false: the field is absent, which is not the same as empty or 0 */
} dag_pb_link_t;

typedef struct dag_pb {
    bytes_t block; /* all of it, borrowed */
    bytes_t data;  /* borrowed from the block */
    bool has_data;
    size_t link_count;
} dag_pb_t;
/* ERR_INVALID, ERR_EOF: not a dag-pb node. */
MUST_CHECK err_t dag_pb_decode(bytes_t block, dag_pb_t *ret_node);

/* The links of a decoded node, one after the other. */
typedef struct dag_pb_links {
    reader_t reader;
} dag_pb_links_t;
dag_pb_links_t dag_pb_links(const dag_pb_t *node);
bool dag_pb_next_link(dag_pb_links_t *links, dag_pb_link_t *ret_link); /* false at the end */

void dag_pb_put_link(writer_t *w, const dag_pb_link_t *link);
void dag_pb_put_data(writer_t *w, bytes_t data); /* after the links */
#endif
