/* link: requests to one peer over one stream that is kept, and the answering side. A stream carries requests
 * one way and, in the same order, one answer for each the other way; every message has a uvarint length in
 * front. */
#ifndef REPLICA_LINK_H
#define REPLICA_LINK_H
#include "net/host.h"

typedef struct link {
    peer_id_t peer;
    stream_t *stream; /* NULL: none yet */
    gate_t gate;      /* one request at a time */
    uint32_t refs;    /* requests under way and waiting */
} link_t;
void link_init(link_t *l, const peer_id_t *peer);
void link_deinit(link_t *l); /* nobody asks any more; idempotent */

/* One request and its answer, into `answer` (cleared first; its maximum is that of an answer). Opens a
 * stream, dialing when not connected; on one that was kept and has died, once more on a new one. At most
 * timeout_ms, waiting for those before included. */
MUST_CHECK err_t link_ask(task_t *t, host_t *h, link_t *l, const char *protocol, bytes_t request,
                          uint32_t timeout_ms, buf_t *answer);

/* Answers requests until the peer ends the stream (OK) or something fails. fn gets a request and appends what
 * is to be answered to `out`, empty before. */
typedef err_t (*link_answer_fn)(task_t *t, void *arg, bytes_t request, buf_t *out);
MUST_CHECK err_t link_serve(task_t *t, stream_t *s, size_t max_bytes, link_answer_fn fn, void *arg);
#endif
