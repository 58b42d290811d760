/* convert: a block from one codec into another, on a worker when it is large: the loop goes on meanwhile. */
#ifndef API_CONVERT_H
#define API_CONVERT_H
#include "base/bytes.h"
#include "task/task.h"

/* Any thread: no tasks, no logs. */
typedef err_t (*api_convert_fn)(void *arg, bytes_t input, buf_t *out);
/* fn's error. It ends even when the task is cancelled. */
MUST_CHECK err_t api_convert(task_t *t, api_convert_fn fn, void *arg, bytes_t input, buf_t *out);
#endif
