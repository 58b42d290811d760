/* ipns_record: what a name points to, signed by its key. Spec: ipfs/specs src/ipns/ipns-record.md, IPIP-0428;
 * reference ipfs/boxo ipns.
 *
 * The signed part is a DAG-CBOR map (Value, Validity, ValidityType, Sequence, TTL and whatever else the
 * publisher put there). Records of "V1+V2" repeat it in fields of the protobuf that old nodes read; those
 * must agree with it, their own signature is never looked at. */
#ifndef CODEC_IPNS_RECORD_H
#define CODEC_IPNS_RECORD_H
#include "multi/peer_id.h"

#define IPNS_RECORD_MAX_BYTES (10 << 10)
#define IPNS_TTL_MAX_NS ((uint64_t)INT64_MAX)

typedef struct ipns_fields {
    bytes_t value;    /* a content path as text, or a binary CID; may be empty */
    bytes_t validity; /* as text */
    uint64_t validity_type, sequence, ttl_ns;
    bool has_ttl;
} ipns_fields_t;
/* All bytes borrow from what was decoded. */
typedef struct ipns_record {
    ipns_fields_t signed_fields; /* of `data` */
    bool has_end;                /* false: a validity of an unknown type, or that is no time */
    int64_t end_s;               /* the validity, in seconds since 1970 … */
    uint32_t end_ns;             /* … and nanoseconds */
    bytes_t data;                /* the DAG-CBOR map */
    bytes_t signature_v2, signature_v1, public_key; /* empty when absent */
    ipns_fields_t old_fields;                       /* of V1, unsigned */
    bool has_v1;                                    /* V1's value or signature is there */
} ipns_record_t;

/* Only its form: size, protobuf, canonical DAG-CBOR with the fields above. Nothing
 * of it may be trusted before ipns_record_validate. ERR_LIMIT, ERR_INVALID. */
MUST_CHECK err_t ipns_record_decode(bytes_t in, ipns_record_t *ret);
/* Signature V2 by the key of the name, which stands in the name or in the record; V1's fields agree. Not the
 * time. ERR_CRYPTO: signature or key; ERR_INVALID: the fields; ERR_NOT_FOUND: the key stands nowhere;
 * ERR_UNSUPPORTED. */
MUST_CHECK err_t ipns_record_verify(const ipns_record_t *r, const peer_id_t *name);
bool ipns_record_is_expired(const ipns_record_t *r, uint64_t wall_ms);
/* All three. ERR_INVALID: "record is expired". */
MUST_CHECK err_t ipns_record_validate(bytes_t in, const peer_id_t *name, uint64_t wall_ms,
                                      ipns_record_t *ret);
/* < 0: a is the better one: higher sequence, then later validity, then the larger bytes. 0: the same bytes.
 * Records that cannot be decoded are worse than those that can. */
int ipns_record_compare(bytes_t a, bytes_t b);
/* The value as a content path, appended as text: "/ipfs/…"; an empty value is the empty identity CID.
 * ERR_INVALID. */
MUST_CHECK err_t ipns_record_value(const ipns_record_t *r, buf_t *out);
/* How long from now an answer may be kept: the TTL (otherwise_ms when it has none), not past the end. */
uint64_t ipns_record_ttl_ms(const ipns_record_t *r, uint64_t wall_ms, uint64_t otherwise_ms);
/* What V1 signs, appended: for `name inspect`. */
MUST_CHECK err_t ipns_record_v1_message(const ipns_record_t *r, buf_t *out);
/* The key that verifies it. Errors as ipns_record_verify. */
MUST_CHECK err_t ipns_record_key(const ipns_record_t *r, const peer_id_t *name, public_key_t *ret);

typedef struct ipns_new {
    bytes_t value; /* content path as text */
    uint64_t sequence, ttl_ns;
    int64_t end_s;
    uint32_t end_ns;
    bool is_v2_only;
} ipns_new_t;
/* Appends a signed record; the public key is in it when it is not in the name. ERR_LIMIT: too long. */
MUST_CHECK err_t ipns_record_create(const private_key_t *key, const ipns_new_t *fields, buf_t *out);
#endif
