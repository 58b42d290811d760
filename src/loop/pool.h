/* pool: threads that run blocking functions, first come first served. A job is the caller's memory; when
 * it has run it goes to the list of finished jobs, and `notify` is called (on the worker's thread) for the
 * first since they were taken. Threads start when a job finds none idle, up to the maximum, so that an idle
 * program has none. They block all signals: those belong to the loop. */
#ifndef LOOP_POOL_H
#define LOOP_POOL_H
#include "base/error.h"

typedef struct pool pool_t;
typedef struct pool_job {
    struct pool_job *next;
    void (*run)(struct pool_job *job);  /* on a worker; may use fail() */
    void (*done)(struct pool_job *job); /* for whoever takes the finished ones */
    error_slot_t slot;                  /* what run's last fail() recorded; code OK when none */
} pool_job_t;

pool_t *pool_new(size_t max_threads, void (*notify)(void *arg), void *arg);
void pool_free(pool_t *p); /* no job may be waiting or running; joins the threads */
size_t pool_threads(const pool_t *p);
void pool_submit(pool_t *p, pool_job_t *job);
pool_job_t *pool_take_finished(pool_t *p); /* all of them, oldest first, linked by `next` */
#endif
