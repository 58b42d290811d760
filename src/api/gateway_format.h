/* gateway_format: which representation a request asks for: by ?format=, else by the type of the Accept header
 * that names one and is liked best. Specs: ipfs/specs path-gateway and trustless-gateway; ?format= wins
 * (IPIP-0523). */
#ifndef API_GATEWAY_FORMAT_H
#define API_GATEWAY_FORMAT_H
#include "base/bytes.h"

typedef enum gateway_format {
    GATEWAY_FORMAT_WEB, /* nothing special: files, directories, pages */
    GATEWAY_FORMAT_RAW,
    GATEWAY_FORMAT_CAR,
    GATEWAY_FORMAT_TAR,
    GATEWAY_FORMAT_JSON,
    GATEWAY_FORMAT_CBOR,
    GATEWAY_FORMAT_DAG_JSON,
    GATEWAY_FORMAT_DAG_CBOR,
    GATEWAY_FORMAT_IPNS_RECORD,
    GATEWAY_FORMAT_UNKNOWN, /* another application/vnd.ipld.… or vnd.ipfs.… */
} gateway_format_t;

/* `format`: the value of ?format=, empty when there is none; a word that names no format counts as none.
 * `accept`: the header, may be NULL. ret_params: what follows the type in the Accept header
 * (";version=1;dups=y"), borrowed from it; empty when ?format= chose a type that is
 * not there. */
gateway_format_t gateway_format_of(bytes_t format, const char *accept, bytes_t *ret_params);
/* The value of one parameter of ret_params, unquoted; empty when it is absent. Borrows. */
bytes_t gateway_format_param(bytes_t params, const char *name);
/* The next parameter; false at the end. */
bool gateway_format_next_param(bytes_t *params, bytes_t *ret_name, bytes_t *ret_value);
const char *gateway_format_word(gateway_format_t f); /* "raw"; "" for WEB and UNKNOWN */
const char *gateway_format_type(gateway_format_t f); /* "application/vnd.ipld.raw" */
#endif
