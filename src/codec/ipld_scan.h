/* ipld_scan: the data inside a block as a flat sequence of events. Specs: ipld/ipld
 * specs/codecs (dag-pb, dag-cbor, dag-json), docs/data-model. Pulled, without recursion, in memory that
 * depends on the depth alone; the depth has a maximum and no declared length is believed.
 *
 * What is read: dag-cbor as the reference reads it, so that blocks of older writers stay readable: maps in
 * any order, integers and lengths longer than they need be, indefinite lengths, floats of 16 and 32 bits,
 * undefined as null. Refused in it: tags but 42, tag 42 around anything but 0x00 and a CID, keys that are no
 * strings, integers below -2^64, simple values, bytes behind the end. dag-json is RFC 8259 in UTF-8;
 * {"/": "CID"} is a link and {"/": {"bytes": "base64"}} is bytes. json and cbor have no links, and json no
 * bytes. Repeated keys are found where keys are compared: ipld_tree.h.
 *
 *   AUTO(ipld_scan_t) s; ipld_event_t e;
 *   ipld_scan_init(&s, codec, block, 0);
 *   while (ipld_scan_next(&s, &e)) …
 *   TRY(s.err); */
#ifndef CODEC_IPLD_SCAN_H
#define CODEC_IPLD_SCAN_H
#include "codec/dag_pb.h"

#define IPLD_MAX_DEPTH 1024 /* maps and lists inside each other */

typedef enum {
    IPLD_NULL,
    IPLD_BOOL,     /* integer: 0 or 1 */
    IPLD_UINT,     /* integer */
    IPLD_NEGATIVE, /* the value is -1 - integer */
    IPLD_FLOAT,    /* number */
    IPLD_STRING,   /* bytes, as a rule UTF-8 */
    IPLD_BYTES,    /* bytes */
    IPLD_LINK,     /* bytes: a valid binary CID */
    IPLD_LIST,     /* begins; its items and an IPLD_END follow */
    IPLD_MAP,      /* begins; its keys, each before its value, and an IPLD_END follow */
    IPLD_END,
} ipld_kind_t;
typedef struct ipld_event {
    ipld_kind_t kind;
    bool is_key; /* a string that is the key of a map */
    uint64_t integer;
    double number;
    bytes_t bytes; /* borrowed until the next event; from the block itself when is_in_block */
    bool is_in_block;
} ipld_event_t;

typedef enum {
    /* Integers of JSON outside 64 bits with a sign are refused, in the words of the reference's reader. */
    IPLD_JSON_INT64 = 1,
} ipld_scan_flags_t;

typedef struct ipld_frame {
    uint64_t left; /* items or pairs, unless open-ended */
    bool is_map, is_open_ended, has_items, wants_value;
} ipld_frame_t;
typedef struct ipld_scan {
    err_t err; /* ERR_INVALID, ERR_EOF, ERR_LIMIT: not of the codec; ERR_UNSUPPORTED: no events of such a
                  codec */
    uint64_t codec;
    unsigned flags;
    bytes_t block;
    reader_t reader;
    ipld_frame_t *stack;
    size_t depth, cap;
    buf_t scratch; /* strings that are not in the block as they are */
    size_t n_open; /* lists and maps that events have begun */
    bool has_begun, is_done;
    uint8_t cid[CID_BINARY_MAX];
    dag_pb_t pb;
    dag_pb_links_t links; /* of dag-pb; its events are made a link at a time */
    ipld_event_t queued[8];
    size_t n_queued, n_given;
} ipld_scan_t;
/* Borrows the block until deinit. flags: of ipld_scan_flags_t. */
void ipld_scan_init(ipld_scan_t *s, uint64_t codec, bytes_t block, unsigned flags);
void ipld_scan_deinit(ipld_scan_t *s); /* idempotent */
AUTO_DEFINE(ipld_scan_t, ipld_scan_deinit)
/* The next event; false at the end and at an error, which is in s->err. */
bool ipld_scan_next(ipld_scan_t *s, ipld_event_t *ret_event);
/* The codecs that can be read: dag-pb, raw, dag-cbor, dag-json, cbor, json; as trees alone git-raw, dag-jose.
 */
bool ipld_has_codec(uint64_t codec);
#endif
