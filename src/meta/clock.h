/* clock: the time of the service. Over a database that several services share it is the database's, so that a
 * heartbeat that one of them noted is as old to the others, however wrong their machines' clocks are. */
#ifndef META_CLOCK_H
#define META_CLOCK_H
#include "meta/meta_impl.h"

/* Asks the database what time it is; over SQLite nothing is to be asked. When it fails, the last answer
 * counts on. Suspends. */
MUST_CHECK err_t clock_keep_up(task_t *t, meta_t *m);

/* The offset that fits an answer of `theirs_ms` to a question asked at began_ms and answered at ended_ms,
 * both by the clock here: offset_ms when it fits already, else the nearest that does. So what an answer took
 * on its way moves no clock. */
int64_t clock_fit(int64_t offset_ms, int64_t began_ms, int64_t theirs_ms, int64_t ended_ms);
#endif
