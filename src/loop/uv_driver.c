#include "loop/uv_driver.h"
#include "loop/uv_internal.h"
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

/* ── clocks and turns ────────────────────────────────────────────────────────────────────────── */

static uint64_t clock_ms(clockid_t clock)
{
    struct timespec ts;
    clock_gettime(clock, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static uint64_t now_ms(driver_t *d)
{
    return clock_ms(CLOCK_MONOTONIC);
}

static uint64_t wall_ms(driver_t *d)
{
    return clock_ms(CLOCK_REALTIME);
}

static void on_until(uv_timer_t *timer) {}

static bool turn(driver_t *base, uint64_t until_ms)
{
    uv_driver_t *d = uv_driver_of(base);
    uint64_t now = until_ms == 0 || until_ms == TIME_NEVER ? 0 : now_ms(base);
    if (until_ms <= now) {
        uv_run(&d->loop, UV_RUN_NOWAIT);
        return true;
    }
    if (until_ms != TIME_NEVER) {
        uv_update_time(&d->loop);
        uv_timer_start(&d->until, on_until, until_ms - now, 0);
    }
    uv_run(&d->loop, UV_RUN_ONCE);
    uv_timer_stop(&d->until);
    return true;
}

static void fill_random(driver_t *d, uint8_t *out, size_t len)
{
    while (len > 0) {
        ssize_t n = getrandom(out, len, 0);
        if (n < 0) {
            assert(errno == EINTR);
            continue;
        }
        out += n;
        len -= (size_t)n;
    }
}

/* ── posts and work ──────────────────────────────────────────────────────────────────────────── */

struct uv_posted {
    struct uv_posted *next;
    void (*fn)(void *);
    void *arg;
};

static void post(driver_t *base, void (*fn)(void *), void *arg)
{
    uv_driver_t *d = uv_driver_of(base);
    uv_posted_t *p = xmalloc(sizeof *p);
    *p = (uv_posted_t){NULL, fn, arg};
    pthread_mutex_lock(&d->post_lock);
    *d->posted_end = p;
    d->posted_end = &p->next;
    uv_async_send(&d->wakeup); /* under the lock: after it, the driver may already be gone */
    pthread_mutex_unlock(&d->post_lock);
}

static void run_posted(uv_driver_t *d)
{
    pthread_mutex_lock(&d->post_lock);
    uv_posted_t *p = d->posted;
    d->posted = NULL;
    d->posted_end = &d->posted;
    pthread_mutex_unlock(&d->post_lock);
    while (p) {
        uv_posted_t *next = p->next;
        p->fn(p->arg);
        free(p);
        p = next;
    }
}

static void on_wakeup(uv_async_t *async)
{
    uv_driver_t *d = async->data;
    pool_job_t *job = pool_take_finished(d->pool);
    while (job) {
        pool_job_t *next = job->next; /* done() gives the job back to its owner */
        job->done(job);
        job = next;
    }
    run_posted(d);
}

static void notify_finished(void *arg)
{
    uv_async_send(&((uv_driver_t *)arg)->wakeup);
}

/* A job and the task that waits for it, on that task's stack. */
typedef struct waited_job {
    pool_job_t job;
    work_fn fn;
    void *arg;
    park_t park;
} waited_job_t;

static void waited_run(pool_job_t *job)
{
    waited_job_t *w = (waited_job_t *)job;
    w->fn(w->arg);
}

static void waited_done(pool_job_t *job)
{
    park_done(&((waited_job_t *)job)->park, OK);
}

void uv_work_wait(task_t *t, uv_driver_t *d, work_fn fn, void *arg)
{
    waited_job_t w = {.job = {.run = waited_run, .done = waited_done}, .fn = fn, .arg = arg};
    park_init(t, &w.park);
    pool_submit(d->pool, &w.job);
    park_wait_shielded(t, &w.park);
    if (w.job.slot.code)
        *error_slot() = w.job.slot;
}

static err_t do_work(task_t *t, driver_t *d, work_fn fn, void *arg)
{
    uv_work_wait(t, uv_driver_of(d), fn, arg);
    return OK;
}

static size_t work_threads(driver_t *d)
{
    return pool_threads(uv_driver_of(d)->pool);
}

/* ── signals ─────────────────────────────────────────────────────────────────────────────────── */

struct uv_signals {
    uv_signal_t handle;
    struct uv_signals *next;
    int signum;
    void (*fn)(void *);
    void *arg;
};

static void on_signal(uv_signal_t *handle, int signum)
{
    uv_signals_t *s = handle->data;
    s->fn(s->arg);
}

static void free_signal(uv_handle_t *handle)
{
    free(handle->data);
}

void uv_driver_on_signal(driver_t *base, int signum, void (*fn)(void *arg), void *arg)
{
    uv_driver_t *d = uv_driver_of(base);
    uv_signals_t **at = &d->signals;
    while (*at && (*at)->signum != signum)
        at = &(*at)->next;
    if (*at && !fn) {
        uv_signals_t *gone = *at;
        *at = gone->next;
        uv_close((uv_handle_t *)&gone->handle, free_signal);
        return;
    }
    if (!fn)
        return;
    if (!*at) {
        *at = xcalloc(1, sizeof **at);
        (*at)->signum = signum;
        (*at)->handle.data = *at;
        int e = uv_signal_init(&d->loop, &(*at)->handle);
        assert(!e);
        e = uv_signal_start(&(*at)->handle, on_signal, signum);
        assert(!e);
    }
    (*at)->fn = fn;
    (*at)->arg = arg;
}

/* ── start and end ───────────────────────────────────────────────────────────────────────────── */

static const driver_ops_t uv_ops = {
    .now_ms = now_ms,
    .wall_ms = wall_ms,
    .turn = turn,
    .post = post,
    .random = fill_random,
    .work = do_work,
    .work_threads = work_threads,
    .interfaces = uv_interfaces,
    .gateway = uv_gateway,
    .multicast_interfaces = uv_multicast_interfaces,
    .resolve = uv_dns_lookup,
    .dial = uv_tcp_dial_addr,
    .dial_path = uv_dial_path,
    .listen = uv_tcp_listen_at,
    .listen_path = uv_listen_path,
    .udp_open = uv_udp_open_at,
    .file_open = uv_file_open_at,
    .fs_stat = uv_fs_stat_path,
    .fs_rename = uv_fs_rename_path,
    .fs_unlink = uv_fs_unlink_path,
    .fs_rmdir = uv_fs_rmdir_path,
    .fs_mkdir = uv_fs_mkdir_path,
    .fs_list = uv_fs_list_path,
    .fs_symlink = uv_fs_symlink_path,
    .fs_readlink = uv_fs_readlink_path,
    .fs_sync_dir = uv_fs_sync_dir_path,
    .fs_room = uv_fs_room_of,
    .terminal = uv_terminal_open,
};

static size_t default_workers(void)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    return cores < 2 ? 2 : cores > 4 ? 5 : (size_t)cores + 1; /* one may wait for the disk */
}

driver_t *uv_driver_new(size_t n_workers)
{
    signal(SIGPIPE, SIG_IGN);
    uv_driver_t *d = xcalloc(1, sizeof *d);
    d->base.ops = &uv_ops;
    int e = uv_loop_init(&d->loop);
    assert(!e);
    e = uv_timer_init(&d->loop, &d->until);
    assert(!e);
    e = uv_async_init(&d->loop, &d->wakeup, on_wakeup);
    assert(!e);
    d->wakeup.data = d;
    pthread_mutex_init(&d->post_lock, NULL);
    d->posted_end = &d->posted;
    d->pool = pool_new(n_workers ? n_workers : default_workers(), notify_finished, d);
    return &d->base;
}

void uv_driver_free(driver_t *base)
{
    if (!base)
        return;
    uv_driver_t *d = uv_driver_of(base);
    uv_run(&d->loop, UV_RUN_NOWAIT); /* what was closed last is gone after this */
    assert(d->open_count == 0);
    pool_free(d->pool);
    run_posted(d);
    uv_dns_free(d);
    while (d->signals)
        uv_driver_on_signal(base, d->signals->signum, NULL, NULL);
    uv_close((uv_handle_t *)&d->until, NULL);
    uv_close((uv_handle_t *)&d->wakeup, NULL);
    uv_run(&d->loop, UV_RUN_DEFAULT); /* the close callbacks of all that was closed */
    int e = uv_loop_close(&d->loop);
    assert(!e);
    pthread_mutex_destroy(&d->post_lock);
    free(d->dns_servers);
    free(d);
}
