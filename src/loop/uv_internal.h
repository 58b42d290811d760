/* uv_internal: what the files of the driver over libuv share. */
#ifndef LOOP_UV_INTERNAL_H
#define LOOP_UV_INTERNAL_H
#include "loop/pool.h"
#include "loop/uv_direct.h"
#include "loop/uv_driver.h"
#include <pthread.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <uv.h>

typedef struct uv_posted uv_posted_t;
typedef struct uv_signals uv_signals_t;
typedef struct uv_dns uv_dns_t;

typedef struct uv_driver {
    driver_t base;
    uv_loop_t loop;
    uv_timer_t until;  /* ends the turn */
    uv_async_t wakeup; /* posts and finished jobs */
    pool_t *pool;
    pthread_mutex_t post_lock;
    uv_posted_t *posted, **posted_end;
    uv_signals_t *signals;
    uv_dns_t *dns;     /* NULL until the first lookup */
    char *dns_servers; /* NULL: the system's */
    size_t open_count; /* streams, listeners, sockets, files: must be 0 at the end */
    uint64_t file_ids;
    misses_t misses;
} uv_driver_t;

static inline uv_driver_t *uv_driver_of(driver_t *d)
{
    return (uv_driver_t *)d;
}

/* uv_addr.c */
socklen_t sockaddr_of_net(const net_addr_t *a, struct sockaddr_storage *out);
MUST_CHECK err_t sockaddr_of_path(const char *path, struct sockaddr_un *out); /* ERR_USAGE: too long */
void net_of_sockaddr(const struct sockaddr_storage *from, net_addr_t *ret_addr);
size_t uv_interfaces(driver_t *d, net_addr_t *out, size_t cap);
bool uv_gateway(driver_t *d, net_addr_t *ret_gateway);
size_t uv_multicast_interfaces(driver_t *d, uint32_t *out, size_t cap);
/* A non-blocking, close-on-exec socket, bound to `at`; v6 ones are v6 only, so that both families can
 * listen on one port. ERR_IN_USE names the address. */
MUST_CHECK err_t socket_bound(const net_addr_t *at, int type, bool is_shared, int *ret_fd,
                              net_addr_t *ret_at);
/* The same with listen(2). */
MUST_CHECK err_t socket_listening(const net_addr_t *at, int *ret_fd, net_addr_t *ret_at);
/* A listening socket of mode 0600 in the file system. One that nobody listens at any more is replaced;
 * ERR_IN_USE names the path. */
MUST_CHECK err_t socket_listening_at_path(const char *path, int *ret_fd);
/* fail() with the error and text for an errno of an operation on an address. */
MUST_CHECK err_t fail_address(int errnum, const char *what, const net_addr_t *a);

/* uv_tcp.c, uv_udp.c */
err_t uv_tcp_dial_addr(task_t *t, driver_t *d, const net_addr_t *from, const net_addr_t *to,
                       stream_t **ret_stream);
err_t uv_dial_path(task_t *t, driver_t *d, const char *path, stream_t **ret_stream);
err_t uv_tcp_listen_at(driver_t *d, const net_addr_t *at, listener_t **ret_listener);
err_t uv_listen_path(driver_t *d, const char *path, listener_t **ret_listener);
err_t uv_udp_open_at(driver_t *d, const net_addr_t *at, udp_t **ret_udp);

/* uv_terminal.c */
err_t uv_terminal_open(driver_t *d, const terminal_config_t *c, terminal_t **ret);

/* uv_driver.c: runs fn(arg) on a worker and waits for it, whatever happens to the task; the text of its
 * fail() becomes the task's. */
void uv_work_wait(task_t *t, uv_driver_t *d, work_fn fn, void *arg);

/* uv_file.c, uv_fs.c */
err_t uv_file_open_at(task_t *t, driver_t *d, const char *path, int flags, uint32_t mode, file_t **ret);
err_t uv_fs_stat_path(task_t *t, driver_t *d, const char *path, bool follow, file_info_t *ret);
err_t uv_fs_rename_path(task_t *t, driver_t *d, const char *from, const char *to);
err_t uv_fs_unlink_path(task_t *t, driver_t *d, const char *path);
err_t uv_fs_rmdir_path(task_t *t, driver_t *d, const char *path);
err_t uv_fs_mkdir_path(task_t *t, driver_t *d, const char *path, uint32_t mode);
err_t uv_fs_list_path(task_t *t, driver_t *d, const char *path, fs_page_t page, dir_list_t *ret);
err_t uv_fs_symlink_path(task_t *t, driver_t *d, const char *target, const char *path);
err_t uv_fs_readlink_path(task_t *t, driver_t *d, const char *path, buf_t *ret);
err_t uv_fs_sync_dir_path(task_t *t, driver_t *d, const char *path);
err_t uv_fs_room_of(task_t *t, driver_t *d, const char *path, uint64_t *ret_total, uint64_t *ret_free);
/* fail() with the error and text for an errno of an operation on a path. Any thread. */
MUST_CHECK err_t fail_path(int errnum, const char *what, const char *path);

/* uv_file.c: writes all of the pieces from the offset on; an errno, 0 when all went well. Any thread. */
int fd_write_all(int fd, const bytes_t *pieces, size_t n, uint64_t offset);

/* uv_dns.c */
err_t uv_dns_lookup(task_t *t, driver_t *d, const char *name, dns_type_t type, dns_answer_t *ret);
void uv_dns_free(uv_driver_t *d);
/* The TXT answers in a DNS message (RFC 1035, 4.1): the strings of each record joined, and the least
 * TTL. ERR_NOT_FOUND when it has none, ERR_INVALID when it is malformed. */
MUST_CHECK err_t dns_parse_txt(bytes_t message, dns_answer_t *ret);
#endif
