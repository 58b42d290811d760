/* ipld: what is in a block, whatever its codec: its links. Codecs: dag-pb,
 * raw, dag-cbor, dag-json, cbor, json. Reading and its limits: ipld_scan.h. */
#ifndef CODEC_IPLD_H
#define CODEC_IPLD_H
#include "multi/cid.h"

typedef err_t (*ipld_link_fn)(void *arg, const cid_t *link);
/* Calls `visit` (NULL: none) for each link, in the order of the block, as often as it is there; ends with
 * what `visit` returns when that is no OK. Takes memory for the depth of the block alone. raw, cbor, json and
 * libp2p-key have no links; what is in such blocks is not looked at. ERR_UNSUPPORTED: a codec whose links are
 * not known (dag-jose too); ERR_CORRUPT, with why: not of the codec. */
MUST_CHECK err_t ipld_links(uint64_t codec, bytes_t block, ipld_link_fn visit, void *arg);
/* Are the links of such blocks known? */
bool ipld_has_links(uint64_t codec);
#endif
