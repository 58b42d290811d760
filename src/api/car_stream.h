/* car_stream: blocks on their way to a client as a CAR archive. Small blocks are gathered, large ones go out
 * as they are; the client's pace holds back who gives them.
 *
 * Version 2 says how long its data is before they come: the blocks are given twice, first to a plan, then to
 * the stream. The stream holds the index back to its end, and leaves it out when it would be over
 * CAR_INDEX_MAX_BYTES. */
#ifndef API_CAR_STREAM_H
#define API_CAR_STREAM_H
#include "codec/car_index.h"
#include "dag/car_export.h"
#include "task/exchange.h"

typedef struct car_plan {
    uint64_t section_bytes, index_bytes;
} car_plan_t;
/* A car_export_fn: arg is the plan, at first of zeros. */
MUST_CHECK err_t car_plan_block(task_t *t, void *arg, block_t *block);

typedef struct car_stream {
    exchange_t *x; /* its answer has begun */
    buf_t gathered;
    bool is_v2, has_index;
    car_index_t index;
    uint64_t data_bytes, planned_bytes; /* of the version 1 archive: so far, in all */
} car_stream_t;

/* Writes the header. plan NULL: version 1. */
MUST_CHECK err_t car_stream_begin(car_stream_t *s, exchange_t *x, const cid_t *roots, size_t n,
                                  const car_plan_t *plan);
void car_stream_deinit(car_stream_t *s); /* idempotent; drops what is gathered */
AUTO_DEFINE(car_stream_t, car_stream_deinit)
/* A car_export_fn: arg is the stream. */
MUST_CHECK err_t car_stream_put(task_t *t, void *arg, block_t *block);
/* Sends what is gathered, also when the export failed with e, so that all that was read arrives; then the
 * index. Returns e, else why it could not be sent; ERR_CORRUPT: other blocks came than were planned. */
MUST_CHECK err_t car_stream_end(task_t *t, car_stream_t *s, err_t e);
#endif
