#include "base/queue.h"
#include <stdlib.h>

enum { CHUNK_MAX = 65536, CHUNK_MIN = 1024 };

/* An empty chunk stands only at the tail, after queue_grow without a commit. */
struct queue_chunk {
    queue_chunk_t *next;
    size_t start, end, cap;
    uint8_t data[];
};

void queue_init(queue_t *q, size_t max_bytes)
{
    *q = (queue_t){.max = max_bytes};
}

/* A few full chunks wait for the next queue: bulk data through malloc and free gives the pages back to the
 * kernel and faults them in again for each chunk, a tenth of the time of a transfer. Under ASan nothing is
 * kept, so that use after free is seen. */
#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
static const size_t spares_max = 0;
#else
static const size_t spares_max = 8;
#endif
static _Thread_local queue_chunk_t *spares;
static _Thread_local size_t n_spares;

static void free_chunk(queue_chunk_t *c)
{
    if (c->cap == CHUNK_MAX - sizeof(queue_chunk_t) && n_spares < spares_max) {
        c->next = spares;
        spares = c;
        n_spares++;
    } else {
        free(c);
    }
}

static void free_chunks(queue_chunk_t *c)
{
    while (c) {
        queue_chunk_t *next = c->next;
        free_chunk(c);
        c = next;
    }
}

void queue_deinit(queue_t *q)
{
    free_chunks(q->head);
    *q = (queue_t){.max = q->max};
}

size_t queue_room(const queue_t *q)
{
    return q->max - q->len;
}

static queue_chunk_t *chunk_new(size_t want)
{
    size_t cap = want < CHUNK_MIN ? CHUNK_MIN : want;
    if (cap > CHUNK_MAX - sizeof(queue_chunk_t))
        cap = CHUNK_MAX - sizeof(queue_chunk_t);
    queue_chunk_t *c = spares;
    if (c && cap == CHUNK_MAX - sizeof(queue_chunk_t)) {
        spares = c->next;
        n_spares--;
    } else {
        c = malloc(sizeof *c + cap);
    }
    if (c) {
        c->next = NULL;
        c->start = c->end = 0;
        c->cap = cap;
    }
    return c;
}

static void link_chunk(queue_t *q, queue_chunk_t *c)
{
    if (q->tail)
        q->tail->next = c;
    else
        q->head = c;
    q->tail = c;
}

static size_t tail_room(const queue_t *q)
{
    return q->tail ? q->tail->cap - q->tail->end : 0;
}

err_t queue_push(queue_t *q, bytes_t data)
{
    if (data.len > queue_room(q))
        return fail(ERR_LIMIT, "%zu bytes more than %zu exceed the queue's limit of %zu", data.len, q->len,
                    q->max);
    size_t room = tail_room(q);
    queue_chunk_t *fresh = NULL, **end = &fresh;
    for (size_t left = data.len > room ? data.len - room : 0; left;) {
        *end = chunk_new(left);
        if (!*end) {
            free_chunks(fresh);
            return fail(ERR_NO_MEMORY, "no memory to queue %zu bytes", data.len);
        }
        left -= left < (*end)->cap ? left : (*end)->cap;
        end = &(*end)->next;
    }
    queue_chunk_t *at = q->tail;
    while (data.len) {
        if (!at || at->end == at->cap) {
            assert(fresh); /* the room was counted above */
            at = fresh;
            fresh = fresh->next;
            at->next = NULL;
            link_chunk(q, at);
        }
        size_t n = at->cap - at->end < data.len ? at->cap - at->end : data.len;
        memcpy(at->data + at->end, data.data, n);
        at->end += n;
        q->len += n;
        data = bytes_slice(data, n, data.len);
    }
    return OK;
}

err_t queue_grow(queue_t *q, size_t want, uint8_t **ret_area, size_t *ret_room)
{
    if (want > queue_room(q))
        want = queue_room(q);
    if (!want)
        return fail(ERR_LIMIT, "the queue holds its limit of %zu bytes", q->max);
    bool is_tail_empty = q->tail && q->tail->start == q->tail->end;
    size_t enough = want < CHUNK_MIN ? want : CHUNK_MIN;
    if (is_tail_empty)
        q->tail->start = q->tail->end = 0;
    else if (tail_room(q) < enough) {
        queue_chunk_t *c = chunk_new(want);
        if (!c)
            return fail(ERR_NO_MEMORY, "no memory to queue %zu bytes", want);
        link_chunk(q, c);
    }
    size_t room = tail_room(q);
    *ret_area = q->tail->data + q->tail->end;
    *ret_room = room < want ? room : want;
    return OK;
}

void queue_commit(queue_t *q, size_t n)
{
    assert(n <= tail_room(q) && n <= queue_room(q));
    if (n) {
        q->tail->end += n;
        q->len += n;
    }
}

bytes_t queue_front(const queue_t *q)
{
    return q->head ? bytes_of(q->head->data + q->head->start, q->head->end - q->head->start) : BYTES_NONE;
}

void queue_drop(queue_t *q, size_t n)
{
    assert(n <= q->len);
    q->len -= n;
    while (n) {
        queue_chunk_t *c = q->head;
        assert(c);
        size_t here = c->end - c->start;
        if (n < here) {
            c->start += n;
            return;
        }
        n -= here;
        q->head = c->next;
        if (!q->head)
            q->tail = NULL;
        free_chunk(c);
    }
}

size_t queue_view(const queue_t *q, size_t from, bytes_t *out, size_t cap)
{
    size_t n = 0;
    for (const queue_chunk_t *c = q->head; c && n < cap; c = c->next) {
        size_t here = c->end - c->start;
        if (from < here)
            out[n++] = bytes_of(c->data + c->start + from, here - from);
        from -= from < here ? from : here;
    }
    return n;
}

size_t queue_peek(const queue_t *q, uint8_t *out, size_t cap)
{
    size_t done = 0;
    for (const queue_chunk_t *c = q->head; c && done < cap; c = c->next) {
        size_t n = c->end - c->start < cap - done ? c->end - c->start : cap - done;
        memcpy(out + done, c->data + c->start, n);
        done += n;
    }
    return done;
}

size_t queue_read(queue_t *q, uint8_t *out, size_t cap)
{
    size_t n = queue_peek(q, out, cap);
    queue_drop(q, n);
    return n;
}
