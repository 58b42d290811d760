/* dag_cbor: encoding of the data model in CBOR. Specs: ipld/ipld specs/codecs/dag-cbor; RFC 8949. Reading:
 * ipld_scan.h. Written is the one form that the spec allows: shortest integers and lengths, floats of 64
 * bits, definite lengths; the order of a map's entries is the caller's (dag_cbor_compare_keys). */
#ifndef CODEC_DAG_CBOR_H
#define CODEC_DAG_CBOR_H
#include "base/writer.h"
#include "codec/ipld_scan.h"

/* Shorter keys first, keys of one length by their bytes. */
int dag_cbor_compare_keys(bytes_t a, bytes_t b);
/* The head of a list or map, a key or a value. integer of IPLD_LIST and IPLD_MAP: the count of items or
 * entries. IPLD_END writes nothing. ERR_INVALID, in the writer: NaN and infinities, which have no form. */
void dag_cbor_put(writer_t *w, const ipld_event_t *e);
#endif
