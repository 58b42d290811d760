/* gzip: a stream that compresses what is written through it (RFC 1952) and hands it to a sink, in flat
 * memory. Larger pieces are compressed on a worker. */
#ifndef API_GZIP_H
#define API_GZIP_H
#include "base/bytes.h"
#include "task/task.h"

#define GZIP_DEFAULT_LEVEL (-1)

typedef err_t (*gzip_sink_fn)(task_t *t, void *arg, bytes_t piece); /* may suspend */
typedef struct gzip gzip_t;

/* level: 1 to 9, or GZIP_DEFAULT_LEVEL. Returns owned. */
MUST_CHECK err_t gzip_new(int level, gzip_sink_fn sink, void *arg, gzip_t **ret);
MUST_CHECK err_t gzip_write(task_t *t, gzip_t *g, bytes_t data); /* errors of the sink */
MUST_CHECK err_t gzip_finish(task_t *t, gzip_t *g);              /* writes the end of the stream */
void gzip_free(gzip_t *g);                                       /* NULL is fine */
AUTO_PTR_DEFINE(gzip_t, gzip_free)
#endif
