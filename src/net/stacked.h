/* stacked: a byte stream on top of another, for what lies below the security of a connection: a private
 * network's cipher, WebSocket, TLS of a web server. It is a stream_t like any other; the codec below decides
 * what the bytes mean. Received bytes are decoded in the reader's memory where the codec can. What was
 * encoded and is not taken by the stream below waits here, at most STACKED_PIECE bytes of plaintext;
 * meanwhile nothing more is taken. The end of writing follows it. Closing
 * forgets it, as closing a connection forgets what its socket does not take. */
#ifndef NET_STACKED_H
#define NET_STACKED_H
#include "base/limit.h"
#include "task/driver.h"
#include "task/stream.h"

enum { STACKED_PIECE = 64 * 1024, STACKED_GROWTH = 4096 /* by which a codec may lengthen a piece */ };
typedef struct stacked stacked_t;
typedef struct stacked_ops {
    /* As stream_ops_t.read; may append to s->pending (answers), which is then sent. */
    err_t (*read)(stacked_t *s, uint8_t *out, size_t cap, size_t *ret_n);
    /* Appends the encoded form of at most STACKED_PIECE bytes to out. */
    err_t (*encode)(stacked_t *s, bytes_t plain, buf_t *out);
    void (*say_end)(stacked_t *s, buf_t *out); /* what goes out before the end; NULL: nothing */
    void (*free)(stacked_t *s);                /* of the struct that it begins */
} stacked_ops_t;
struct stacked {
    stream_t base;
    const stacked_ops_t *ops;
    stream_t *below;
    buf_t pending;
    limit_t *limit; /* of the node; what is pending is charged to it */
    uint64_t charged;
    bool must_close_write; /* when what is pending is on its way */
    watch_t readable, writable;
    runnable_t on_readable, on_writable;
};
/* Takes `below`. The caller fills in what else its struct has. */
void stacked_init(stacked_t *s, sched_t *sched, const stacked_ops_t *ops, stream_t *below);
/* What waits is charged to this from now on; borrowed. Nothing waits yet. Without: to nobody. */
void stacked_charge(stacked_t *s, limit_t *limit);
/* Sends what can be sent of s->pending now; ERR_AGAIN: not all of it. */
MUST_CHECK err_t stacked_flush(stacked_t *s);
#endif
