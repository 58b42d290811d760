/* cbor_record: records of a fixed shape in DAG-CBOR. A record has one form in bytes, the canonical one that
 * dag_cbor.h writes, and any other form is refused: whoever signs or hashes the data signs the bytes. Reads
 * follow reader.h: flat, the first error stays in r->err (ERR_EOF, ERR_INVALID, ERR_LIMIT), zero values after
 * it. */
#ifndef CODEC_CBOR_RECORD_H
#define CODEC_CBOR_RECORD_H
#include "base/reader.h"
#include "base/writer.h"
#include "multi/cid.h"

#define CBOR_LINK_BYTES 41 /* of a link to a CIDv1 of SHA-256 with a codec below 128, encoded */

uint64_t cbor_read_map(reader_t *r); /* the count of entries, which is at most what could follow */
uint64_t cbor_read_list(reader_t *r);
/* The head of a record, a map of so many fields with its version under "v" first. ERR_UNSUPPORTED: another
 * version. */
void cbor_read_record(reader_t *r, uint64_t version, uint64_t fields);
void cbor_read_key(reader_t *r, const char *key); /* this one */
uint64_t cbor_read_uint(reader_t *r);
bool cbor_read_bool(reader_t *r);
bytes_t cbor_read_bytes(reader_t *r, size_t max);            /* borrowed */
bytes_t cbor_read_text(reader_t *r, size_t max);             /* borrowed; UTF-8 */
void cbor_read_fixed(reader_t *r, uint8_t *out, size_t len); /* bytes of just this length */
/* raw or dag-cbor, CIDv1 of SHA-256. */
void cbor_read_link(reader_t *r, cid_t *ret);
/* After the last field: OK, or the first error, ERR_INVALID for bytes behind the end; with the text "not a
 * valid WHAT". */
MUST_CHECK err_t cbor_read_done(const reader_t *r, const char *what);

void cbor_put_map(writer_t *w, uint64_t entries);
void cbor_put_list(writer_t *w, uint64_t items);
void cbor_put_record(writer_t *w, uint64_t version, uint64_t fields);
void cbor_put_key(writer_t *w, const char *key); /* in order: shorter ones first, then by their bytes */
void cbor_put_uint(writer_t *w, uint64_t value);
void cbor_put_bool(writer_t *w, bool value);
void cbor_put_bytes(writer_t *w, bytes_t value);
void cbor_put_text(writer_t *w, bytes_t value);
void cbor_put_link(writer_t *w,
                   const cid_t *cid); /* ERR_INVALID in the writer when cbor_read_link would refuse it */
bool cbor_can_link(const cid_t *cid);
#endif
