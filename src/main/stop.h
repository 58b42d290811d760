/* stop: SIGINT and SIGTERM end a service. */
#ifndef MAIN_STOP_H
#define MAIN_STOP_H
#include "loop/uv_driver.h"
void stop_watch(task_t *t);            /* from now on they are noticed; once per process */
MUST_CHECK err_t stop_wait(task_t *t); /* until one of them came */
#endif
