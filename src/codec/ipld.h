/* ipld: what is in a block, whatever its codec: its links, and its data in another codec. Codecs: dag-pb,
 * raw, dag-cbor, dag-json, cbor, json, git-raw, dag-jose. Reading and its limits: ipld_scan.h, git_raw.h,
 * dag_jose.h. */
#ifndef CODEC_IPLD_H
#define CODEC_IPLD_H
#include "multi/cid.h"

typedef err_t (*ipld_link_fn)(void *arg, const cid_t *link);
/* Calls `visit` (NULL: none) for each link, in the order of the block, as often as it is there; ends with
 * what `visit` returns when that is no OK. Takes memory for the depth of the block alone; for git-raw and
 * dag-jose that of a tree. raw, cbor, json and libp2p-key have no links; what is in such blocks is not looked
 * at. ERR_UNSUPPORTED: a codec whose links are not known; ERR_CORRUPT, with why: not of the codec. */
MUST_CHECK err_t ipld_links(uint64_t codec, bytes_t block, ipld_link_fn visit, void *arg);
/* Are the links of such blocks known? */
bool ipld_has_links(uint64_t codec);
/* Appends the same data in another codec: canonical for dag-pb, dag-cbor and dag-json; cbor and json keep the
 * order of the maps. Also from a codec to itself. ERR_INVALID, ERR_EOF, ERR_LIMIT: not of the codec, or its
 * data has no form in the other one; ERR_UNSUPPORTED: a codec that cannot be read or written. Memory: of
 * ipld_tree.h. */
MUST_CHECK err_t ipld_convert(uint64_t from_codec, bytes_t block, uint64_t to_codec, buf_t *out);
#endif
