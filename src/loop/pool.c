#include "loop/pool.h"
#include "base/bytes.h"
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

typedef struct job_queue {
    pool_job_t *first, **end;
} job_queue_t;

struct pool {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    job_queue_t waiting, finished;
    size_t waiting_count, idle_count, thread_count, max_threads;
    bool is_stopping;
    void (*notify)(void *);
    void *arg;
    pthread_t threads[];
};

static void queue_clear(job_queue_t *q)
{
    q->first = NULL;
    q->end = &q->first;
}

static void queue_add(job_queue_t *q, pool_job_t *job)
{
    job->next = NULL;
    *q->end = job;
    q->end = &job->next;
}

static pool_job_t *queue_take(job_queue_t *q)
{
    pool_job_t *job = q->first;
    q->first = job->next;
    if (!q->first)
        q->end = &q->first;
    return job;
}

static void *worker(void *arg)
{
    pool_t *p = arg;
    pthread_mutex_lock(&p->lock);
    for (;;) {
        while (!p->waiting.first && !p->is_stopping) {
            p->idle_count++;
            pthread_cond_wait(&p->wake, &p->lock);
            p->idle_count--;
        }
        if (!p->waiting.first)
            break;
        pool_job_t *job = queue_take(&p->waiting);
        p->waiting_count--;
        pthread_mutex_unlock(&p->lock);
        error_set_slot(&job->slot);
        job->run(job);
        error_set_slot(NULL);
        pthread_mutex_lock(&p->lock);
        bool is_first = !p->finished.first; /* of those that were not taken: for the others it was told */
        queue_add(&p->finished, job);
        if (!is_first)
            continue;
        pthread_mutex_unlock(&p->lock);
        p->notify(p->arg);
        pthread_mutex_lock(&p->lock);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

pool_t *pool_new(size_t max_threads, void (*notify)(void *arg), void *arg)
{
    pool_t *p = xcalloc(1, sizeof *p + max_threads * sizeof p->threads[0]);
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->wake, NULL);
    queue_clear(&p->waiting);
    queue_clear(&p->finished);
    p->max_threads = max_threads;
    p->notify = notify;
    p->arg = arg;
    return p;
}

void pool_free(pool_t *p)
{
    pthread_mutex_lock(&p->lock);
    assert(!p->waiting.first && !p->finished.first);
    p->is_stopping = true;
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->lock);
    for (size_t i = 0; i < p->thread_count; i++)
        pthread_join(p->threads[i], NULL);
    pthread_cond_destroy(&p->wake);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

size_t pool_threads(const pool_t *p)
{
    return p->max_threads;
}

/* Called with the lock held. When no thread can be had, those that run take the job; only with none at
 * all is that the end. */
static void start_thread(pool_t *p)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int e = pthread_create(&p->threads[p->thread_count], NULL, worker, p);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!e)
        p->thread_count++;
    assert(p->thread_count > 0);
}

void pool_submit(pool_t *p, pool_job_t *job)
{
    job->slot.code = OK;
    pthread_mutex_lock(&p->lock);
    queue_add(&p->waiting, job);
    p->waiting_count++;
    if (p->waiting_count > p->idle_count && p->thread_count < p->max_threads)
        start_thread(p);
    pthread_mutex_unlock(&p->lock);
    pthread_cond_signal(&p->wake); /* who wakes up finds the lock free */
}

pool_job_t *pool_take_finished(pool_t *p)
{
    pthread_mutex_lock(&p->lock);
    pool_job_t *first = p->finished.first;
    queue_clear(&p->finished);
    pthread_mutex_unlock(&p->lock);
    return first;
}
