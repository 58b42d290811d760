/* ipns_data: the signed map of an IPNS record; for ipns_record.c. Canonical DAG-CBOR: minimal lengths, sorted
 * keys without doubles, nothing behind it. Spec: ipfs/specs src/ipns/ipns-record.md, "Extensible Data
 * (DAG-CBOR)". */
#ifndef CODEC_IPNS_DATA_H
#define CODEC_IPNS_DATA_H
#include "codec/ipns_record.h"

/* ERR_INVALID: not canonical, a field is missing (TTL may) or has another type. */
MUST_CHECK err_t ipns_data_decode(bytes_t in, ipns_fields_t *ret);
MUST_CHECK err_t ipns_data_encode(const ipns_fields_t *fields, buf_t *out);
#endif
