/* queue: a byte queue of chunks with a maximum; producer appends, consumer drops from the front.
 * Chunks are at most 64 KiB, so that a drained queue gives its memory back at once. */
#ifndef BASE_QUEUE_H
#define BASE_QUEUE_H
#include "base/bytes.h"

typedef struct queue_chunk queue_chunk_t;
typedef struct queue {
    queue_chunk_t *head, *tail;
    size_t len; /* bytes held */
    size_t max;
} queue_t;

void queue_init(queue_t *q, size_t max_bytes);
void queue_deinit(queue_t *q); /* idempotent */
AUTO_DEFINE(queue_t, queue_deinit)
size_t queue_room(const queue_t *q);
MUST_CHECK err_t queue_push(queue_t *q, bytes_t data); /* all or nothing; ERR_LIMIT over max */
/* A contiguous writable area of 1 to `want` bytes at the tail; commit what was written before anything
 * else is done with the queue. ERR_LIMIT when it is full. */
MUST_CHECK err_t queue_grow(queue_t *q, size_t want, uint8_t **ret_area, size_t *ret_room);
void queue_commit(queue_t *q, size_t n);
bytes_t queue_front(const queue_t *q);                   /* the first contiguous piece */
void queue_drop(queue_t *q, size_t n);                   /* n <= len */
size_t queue_read(queue_t *q, uint8_t *out, size_t cap); /* copies and drops */
/* The content from `from` on, at most cap pieces of it, in place: valid until they are dropped. */
size_t queue_view(const queue_t *q, size_t from, bytes_t *out, size_t cap);
size_t queue_peek(const queue_t *q, uint8_t *out, size_t cap);
#endif
