/* stream: a reliable, ordered, two-way byte stream: a TCP connection of the driver, a secured
 * connection, or one stream of a multiplexed connection. Operations of the vtable never wait; the
 * functions with a task do. */
#ifndef TASK_STREAM_H
#define TASK_STREAM_H
#include "base/bytes.h"
#include "base/limit.h"
#include "task/task.h"

typedef struct stream stream_t;
typedef struct stream_ops {
    /* OK with *ret_n > 0; OK with 0 at the end of the stream; ERR_AGAIN when nothing is there yet;
     * ERR_RESET and others when it broke. */
    err_t (*read)(stream_t *s, uint8_t *out, size_t cap, size_t *ret_n);
    /* Takes 1..len bytes; ERR_AGAIN above the high-water mark (writable fires later). */
    err_t (*write)(stream_t *s, const bytes_t *pieces, size_t n_pieces, size_t *ret_n);
    err_t (*close_write)(stream_t *s); /* half close: the other side reads an end */
    void (*reset)(stream_t *s);        /* both directions at once; the struct stays until close */
    void (*close)(stream_t *s);        /* flushes what was written, closes, frees */
} stream_ops_t;
struct stream {
    const stream_ops_t *ops;
    event_t readable; /* fired when read may give something else than ERR_AGAIN */
    event_t writable;
};

MUST_CHECK err_t stream_try_read(stream_t *s, uint8_t *out, size_t cap, size_t *ret_n);
MUST_CHECK err_t stream_try_write(stream_t *s, const bytes_t *pieces, size_t n_pieces, size_t *ret_n);

/* Waits for at least one byte or the end (OK, 0). */
MUST_CHECK err_t stream_read(task_t *t, stream_t *s, uint8_t *out, size_t cap, size_t *ret_n);
MUST_CHECK err_t stream_read_full(task_t *t, stream_t *s, uint8_t *out, size_t len); /* ERR_EOF */
MUST_CHECK err_t stream_write(task_t *t, stream_t *s, bytes_t data);                 /* all of it */
MUST_CHECK err_t stream_write_pieces(task_t *t, stream_t *s, const bytes_t *pieces, size_t n);
/* uvarint length + message, the framing of libp2p's protocols. `out` is cleared first; a length over
 * max_bytes is ERR_LIMIT before anything is allocated. ERR_EOF with an empty `out` when the stream
 * ended cleanly before a message. */
MUST_CHECK err_t stream_read_message(task_t *t, stream_t *s, size_t max_bytes, buf_t *out);
/* As stream_read_message, with what is claimed charged to the limit before it comes: released by the caller,
 * out->len bytes, when the message has been read. */
MUST_CHECK err_t stream_read_charged(task_t *t, stream_t *s, size_t max_bytes, limit_t *limit, buf_t *out);
/* Its halves, for who charges the length to a budget before the body comes. ret_is_cut: the end came inside
 * of it. */
MUST_CHECK err_t stream_read_length(task_t *t, stream_t *s, uint64_t *ret_len, bool *ret_is_cut);
MUST_CHECK err_t stream_read_body(task_t *t, stream_t *s, uint64_t len, buf_t *out);
MUST_CHECK err_t stream_write_message(task_t *t, stream_t *s, bytes_t message);
MUST_CHECK err_t stream_close_write(stream_t *s);
void stream_reset(stream_t *s);
void stream_close(stream_t *s); /* NULL is fine */
AUTO_PTR_DEFINE(stream_t, stream_close)

/* Two ends of an in-memory pipe with `high_water` bytes each way; for tests and in-process faces. */
void stream_pipe(sched_t *s, size_t high_water, stream_t **ret_a, stream_t **ret_b);
#endif
