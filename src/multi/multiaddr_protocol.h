/* multiaddr_protocol: the table of protocols that multiaddrs consist of, with their values' two forms.
 * Spec: multiformats/multiaddr protocols.csv; where it is silent, multiformats/go-multiaddr decides.
 * For multiaddr.c; others want multiaddr.h. */
#ifndef MULTI_MULTIADDR_PROTOCOL_H
#define MULTI_MULTIADDR_PROTOCOL_H
#include "base/bytes.h"

enum { MA_LEN_VARIABLE = -1 };

typedef struct ma_protocol {
    uint32_t code;
    const char *name;
    int16_t value_len; /* bytes; 0: no value; MA_LEN_VARIABLE: a length stands before it */
    bool is_path;      /* its text takes all that follows */
    uint8_t text_max;  /* characters for each byte of value, at most; fixed lengths: for all of it */
    err_t (*parse)(bytes_t text, buf_t *out); /* appends the value; `check` comes after */
    err_t (*print)(bytes_t value, buf_t *out);
    err_t (*check)(bytes_t value); /* NULL: any value of the length is good */
} ma_protocol_t;

const ma_protocol_t *ma_protocol_by_code(uint64_t code); /* NULL when unknown */
const ma_protocol_t *ma_protocol_by_name(bytes_t name);  /* NULL when unknown; "ipfs" is p2p */
const ma_protocol_t *ma_protocol_at(size_t i);           /* NULL behind the last */
#endif
