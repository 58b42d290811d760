/* perf: how fast a connection carries bytes. /perf/1.0.0, client and server. Spec: libp2p/specs perf.
 *
 * The client says how many bytes it wants (64 bits, big endian), sends as many as it likes, and half-closes;
 * then the server sends. The bytes are zeros. A server works for whoever asks, so it is open to near peers
 * alone unless the user says more. */
#ifndef NET_PERF_H
#define NET_PERF_H
#include "net/host.h"

#define PERF_PROTOCOL "/perf/1.0.0"

typedef enum {
    PERF_FOR_NOBODY,
    PERF_FOR_NEAR, /* on this machine or in private networks */
    PERF_FOR_ALL
} perf_for_t;
/* Serves, or stops serving. ERR_LIMIT: too many protocols. */
MUST_CHECK err_t perf_serve(host_t *h, perf_for_t whom);

typedef struct perf_plan {
    uint64_t upload_bytes, download_bytes;
    uint64_t time_ms; /* 0: until all bytes have gone; else both ways are ended after it, each */
} perf_plan_t;
typedef struct perf_result {
    uint64_t upload_bytes, download_bytes;
    double upload_ms, download_ms; /* until the server has read all of it; until the last byte came */
} perf_result_t;
/* Called at most each second while bytes move; an error ends the measurement. */
typedef err_t (*perf_progress_fn)(task_t *t, void *arg, const perf_result_t *so_far);
/* Up, then down, each on a stream of its own. ERR_UNSUPPORTED: the peer serves nobody, or not us;
 * ERR_PROTOCOL: it sent another number of bytes; ERR_TIMEOUT: half a minute without a byte. progress may be
 * NULL. */
MUST_CHECK err_t perf_measure(task_t *t, conn_t *c, const perf_plan_t *plan, perf_progress_fn progress,
                              void *arg, perf_result_t *ret);
#endif
