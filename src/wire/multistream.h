/* multistream: agreement on a protocol at the start of a connection or stream, for both roles.
 * Spec: multiformats/multistream-select 1.0. An engine: bytes in by multistream_feed, bytes out of
 * multistream_output; no I/O, no clock, no heap.
 *
 * Dialer:   BUSY --echo--> AGREED;  BUSY --na, none left--> REFUSED;  BUSY --nonsense--> FAILED
 * Listener: BUSY --line--> PROPOSED --accept--> AGREED;  PROPOSED --refuse--> BUSY;  BUSY --nonsense-->
 * FAILED
 *
 * A line is uvarint length (newline counted, at most MULTISTREAM_LINE_MAX), text, newline. The dialer sends
 * the header and its first proposal together. Feeding stops behind the line that ends the agreement: what
 * follows is the protocol's. A listener refuses `ls` like any unknown name, and gives up after
 * MULTISTREAM_PROPOSALS_MAX proposals. */
#ifndef WIRE_MULTISTREAM_H
#define WIRE_MULTISTREAM_H
#include "base/bytes.h"

#define MULTISTREAM_LINE_MAX 1024
#define MULTISTREAM_NAME_MAX 255 /* of a protocol that we propose or echo */
#define MULTISTREAM_PROPOSALS_MAX 64

typedef enum {
    MULTISTREAM_BUSY,
    MULTISTREAM_PROPOSED, /* listener: multistream_proposal waits for accept or refuse */
    MULTISTREAM_AGREED,
    MULTISTREAM_REFUSED, /* dialer: the peer speaks none of the protocols */
    MULTISTREAM_FAILED,  /* the peer does not keep to the protocol; the error was given by feed */
} multistream_state_t;

typedef struct multistream {
    multistream_state_t state;
    bool is_listener, saw_header;
    uint8_t prefix_len; /* bytes of the length prefix seen */
    uint16_t line_len, line_need, out_len, proposals;
    const char *const *protocols; /* dialer: borrowed */
    size_t n_protocols, at;       /* dialer: protocols[at] is proposed or agreed */
    uint8_t line[MULTISTREAM_LINE_MAX];
    uint8_t out[2 * MULTISTREAM_NAME_MAX];
} multistream_t;

/* protocols: borrowed until the end of the agreement, best first, each at most MULTISTREAM_NAME_MAX bytes,
 * at least one. The header and the first proposal wait in the output. */
void multistream_init_dialer(multistream_t *m, const char *const *protocols, size_t n);
void multistream_init_listener(multistream_t *m); /* the header waits in the output */
/* Takes bytes up to the end of the agreement or the next proposal; *ret_used of them, also on an error.
 * ERR_PROTOCOL: no header, a malformed or wrong line. ERR_LIMIT: a line or proposals over the limits.
 * After an error the state is FAILED and further input is ignored. */
MUST_CHECK err_t multistream_feed(multistream_t *m, bytes_t in, size_t *ret_used);
/* While BUSY: how many of the next bytes are the agreement's for certain, at least 1. Who reads no more than
 * that from a stream leaves to the protocol what follows. */
size_t multistream_wants(const multistream_t *m);
/* Listener in PROPOSED: the name, borrowed until the next call. It may hold any byte but the newline at
 * its end is gone. */
bytes_t multistream_proposal(const multistream_t *m);
/* Listener in PROPOSED. A name over MULTISTREAM_NAME_MAX bytes must be refused. */
void multistream_accept(multistream_t *m);
void multistream_refuse(multistream_t *m);
/* Dialer in AGREED: the index of the protocol. */
static inline size_t multistream_agreed(const multistream_t *m)
{
    return m->at;
}
/* What is to be written next; borrowed until the next call. */
static inline bytes_t multistream_output(const multistream_t *m)
{
    return bytes_of(m->out, m->out_len);
}
void multistream_output_sent(multistream_t *m, size_t n);
#endif
