/* ipld_scan_impl: the readers of the codecs. Only for ipld_scan.c. */
#ifndef CODEC_IPLD_SCAN_IMPL_H
#define CODEC_IPLD_SCAN_IMPL_H
#include "codec/ipld_scan.h"

/* Each gives the next event, with is_key left to the caller; at an IPLD_END that the text has, the mark has
 * been consumed. Errors go to s->err. f: the innermost list or map, NULL outside of all. */
void dag_cbor_read(ipld_scan_t *s, const ipld_frame_t *f, ipld_event_t *ret);
void dag_json_read(ipld_scan_t *s, const ipld_frame_t *f, ipld_event_t *ret);
/* Nothing but white space may follow the value. */
void dag_json_finish(ipld_scan_t *s);
#endif
