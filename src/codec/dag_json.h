/* dag_json: encoding of the data model in JSON. Specs: ipld/ipld specs/codecs/dag-json; RFC 8259. Reading:
 * ipld_scan.h. Links are {"/": "CID"}, bytes {"/": {"bytes": "base64"}}; floats in the
 * shortest form that reads the same, as ECMAScript prints them. As the reference does, a float without a
 * fraction is written without a point, and U+2028, U+2029 and what is not UTF-8 (as U+FFFD) escaped. */
#ifndef CODEC_DAG_JSON_H
#define CODEC_DAG_JSON_H
#include "base/writer.h"
#include "codec/ipld_scan.h"

/* A key with its colon, or a value; of IPLD_LIST and IPLD_MAP the opening bracket. Commas and closing
 * brackets are the caller's. has_links: dag-json; else (json) links and bytes are ERR_INVALID, in the writer,
 * as NaN and infinities are. */
void dag_json_put(writer_t *w, const ipld_event_t *e, bool has_links);
/* A JSON string with its quotes. */
void dag_json_put_string(writer_t *w, bytes_t text);
#define DAG_JSON_FLOAT_MAX 64
/* NUL-terminated. number: finite. */
const char *dag_json_print_float(double number, char out[DAG_JSON_FLOAT_MAX]);
#endif
