/* dag_jose: signed (JWS) and encrypted (JWE) objects as data. Specs: ipld/ipld specs/codecs/dag-jose; RFC
 * 7515, RFC 7516. A block is dag-cbor; read, its bytes are base64url text, and a JWS has its payload also as
 * `link` when that is a CID, else as `pld`, JSON whose strings ipfs://CID are links. Nothing is verified or
 * decrypted.
 *
 * Read are the fields of the specification alone, with anything in headers; a `link` must be the payload.
 * Written is the general form; taken also the flattened one, and bytes for base64url. */
#ifndef CODEC_DAG_JOSE_H
#define CODEC_DAG_JOSE_H
#include "codec/ipld_tree.h"

/* Errors of ipld_scan.h; ERR_INVALID: not such an object. */
MUST_CHECK err_t dag_jose_read(ipld_tree_t *tree, bytes_t block);
MUST_CHECK err_t dag_jose_write(const ipld_tree_t *tree, size_t at, buf_t *out);
#endif
