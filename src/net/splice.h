/* splice: two streams made one: what comes from each goes to the other, in the calling task. What one side
 * does not take stays unread at the other, so that back-pressure goes through; the end of one way is passed
 * on, and the other way goes on until its own. */
#ifndef NET_SPLICE_H
#define NET_SPLICE_H
#include "task/stream.h"

typedef struct splice_options {
    uint64_t max_bytes;  /* each way; what is over it stays unread, as if the side had ended */
    size_t buffer_bytes; /* each way */
    void (*moved)(void *arg, size_t bytes); /* may be NULL */
    void *arg;
} splice_options_t;
/* OK when both ways have ended; an error of either stream, of the task's deadline or cancellation. The
 * streams stay the caller's, who resets them on an error. */
MUST_CHECK err_t splice(task_t *t, stream_t *a, stream_t *b, const splice_options_t *o);
#endif
