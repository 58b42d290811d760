/* uv_driver: task/driver.h over the real machine. libuv gives the loop, timers, signals and wake-ups;
 * sockets are our own non-blocking ones under uv_poll, so that bytes go straight between the kernel and
 * the caller's memory; files, folders and work() run on a small pool of threads; names are resolved by
 * c-ares, which starts at the first lookup. docs/decisions/003-real-driver.md says why.
 *
 * One driver per loop thread. All is called on that thread, except driver_post(). SIGPIPE is ignored
 * from uv_driver_new on. */
#ifndef LOOP_UV_DRIVER_H
#define LOOP_UV_DRIVER_H
#include "task/driver.h"

/* n_workers: threads for work() and files; 0 takes the number of cores, at least 2 and at most 4.
 * They start when they are first needed. */
driver_t *uv_driver_new(size_t n_workers);
/* All streams, listeners, sockets, files and lookups have been closed; asserts it. NULL is fine. */
void uv_driver_free(driver_t *d);

/* Runs fn(arg) on the loop each time the process gets `signum`; a second call for the same signal
 * replaces the first, fn NULL restores the default action. */
void uv_driver_on_signal(driver_t *d, int signum, void (*fn)(void *arg), void *arg);

/* Asks these servers ("192.0.2.1,192.0.2.2:5353,[2001:db8::1]:53") instead of those of the system;
 * NULL: those of the system again. Copied. ERR_INVALID when it does not parse. */
MUST_CHECK err_t uv_driver_set_dns_servers(driver_t *d, const char *servers);
#endif
