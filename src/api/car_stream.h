/* car_stream: blocks on their way to a client as a CAR archive of version 1. Small blocks are gathered, large
 * ones go out as they are; the client's pace holds back who gives them. */
#ifndef API_CAR_STREAM_H
#define API_CAR_STREAM_H
#include "dag/car_export.h"
#include "task/exchange.h"

typedef struct car_stream {
    exchange_t *x; /* its answer has begun */
    buf_t gathered;
} car_stream_t;

/* Writes the header. */
MUST_CHECK err_t car_stream_begin(car_stream_t *s, exchange_t *x, const cid_t *roots, size_t n);
void car_stream_deinit(car_stream_t *s); /* idempotent; drops what is gathered */
AUTO_DEFINE(car_stream_t, car_stream_deinit)
/* A car_export_fn: arg is the stream. */
MUST_CHECK err_t car_stream_put(task_t *t, void *arg, block_t *block);
/* Sends what is gathered, also when the export failed with e, so that all that was read arrives. Returns e,
 * else why it could not be sent. */
MUST_CHECK err_t car_stream_end(task_t *t, car_stream_t *s, err_t e);
#endif
