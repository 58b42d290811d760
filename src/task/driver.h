/* driver: the seam between this program and the world. `loop/` implements it over libuv, `sim/` over
 * virtual time, virtual network and virtual disk from one seed. All else runs over either.
 *
 * Functions with a task may suspend; all others are immediate. All run on the loop thread but
 * driver_post. Every resource that is opened here is closed by its owner. */
#ifndef TASK_DRIVER_H
#define TASK_DRIVER_H
#include "base/bytes.h"
#include "base/net_addr.h"
#include "task/stream.h"
#include "task/task.h"
#include "task/terminal.h"

/* Where a face of a node is served: an IP endpoint, or a socket in the file system. */
#define SOCKET_PATH_MAX 108
typedef struct face_addr {
    net_addr_t ip;
    char path[SOCKET_PATH_MAX]; /* "": ip counts */
} face_addr_t;

typedef struct listener listener_t;
typedef struct udp udp_t;
typedef struct file file_t;
typedef void (*work_fn)(void *arg);

typedef enum { DNS_A, DNS_AAAA, DNS_TXT } dns_type_t;
#define DNS_MAX_ANSWERS 128
typedef struct dns_answer {
    buf_t text[DNS_MAX_ANSWERS]; /* A and AAAA: 4 or 16 bytes; TXT: the joined strings */
    size_t count;
    uint32_t ttl_s;
} dns_answer_t;
void dns_answer_deinit(dns_answer_t *a);
AUTO_DEFINE(dns_answer_t, dns_answer_deinit)

typedef enum {
    FILE_READ = 1,
    FILE_WRITE = 2,
    FILE_CREATE = 4,
    FILE_EXCLUSIVE = 8, /* with CREATE: ERR_EXISTS when it is there */
    FILE_TRUNCATE = 16,
    FILE_NO_FOLLOW = 32,
    FILE_DIRECT_HINT = 64, /* large reads and writes may go past the page cache */
} file_flags_t;
typedef struct file_info {
    enum { FILE_KIND_NONE, FILE_KIND_REGULAR, FILE_KIND_DIR, FILE_KIND_SYMLINK, FILE_KIND_OTHER } kind;
    uint64_t size_bytes, disk_bytes;
    uint32_t mode;
    int64_t mtime_s;
    uint32_t mtime_ns;
    uint64_t device, inode;
} file_info_t;
typedef struct dir_list {
    char **names; /* sorted bytewise, without . and .. */
    size_t count;
    bool is_cut; /* while it is made: what fits on the page comes first, sorted */
} dir_list_t;
void dir_list_deinit(dir_list_t *l);
AUTO_DEFINE(dir_list_t, dir_list_deinit)

/* A part of a folder: the first `max` names behind `after`. NULL: from the first on. */
typedef struct fs_page {
    const char *after; /* borrowed */
    size_t max;
} fs_page_t;
/* For implementations, which hand over all names of a folder in any order: keeps those of the page. *cap is
 * the room of the list, 0 at first. Then dir_list_end sorts and cuts it. */
void dir_list_take(dir_list_t *l, size_t *cap, fs_page_t page, const char *name);
void dir_list_end(dir_list_t *l, fs_page_t page);

/* ── what an implementation provides ─────────────────────────────────────────────────────────── */
typedef struct driver_ops {
    uint64_t (*now_ms)(driver_t *d);
    uint64_t (*wall_ms)(driver_t *d);
    /* Handles external events; blocks until one came or `until_ms` (monotonic; 0: do not block).
     * False when nothing can ever happen any more (simulator). */
    bool (*turn)(driver_t *d, uint64_t until_ms);
    void (*post)(driver_t *d, void (*fn)(void *), void *arg); /* thread-safe */
    void (*random)(driver_t *d, uint8_t *out, size_t len);
    err_t (*work)(task_t *t, driver_t *d, work_fn fn, void *arg); /* an error: fn did not run */
    size_t (*work_threads)(driver_t *d);
    size_t (*interfaces)(driver_t *d, net_addr_t *out, size_t cap);
    bool (*gateway)(driver_t *d, net_addr_t *ret_gateway);
    size_t (*multicast_interfaces)(driver_t *d, uint32_t *out, size_t cap);
    err_t (*resolve)(task_t *t, driver_t *d, const char *name, dns_type_t type, dns_answer_t *ret);
    /* from: NULL, or see net_dial_from. */
    err_t (*dial)(task_t *t, driver_t *d, const net_addr_t *from, const net_addr_t *to,
                  stream_t **ret_stream);
    err_t (*dial_path)(task_t *t, driver_t *d, const char *path, stream_t **ret_stream); /* may be NULL */
    err_t (*listen)(driver_t *d, const net_addr_t *at, listener_t **ret_listener);
    err_t (*listen_path)(driver_t *d, const char *path, listener_t **ret_listener); /* may be NULL */
    err_t (*udp_open)(driver_t *d, const net_addr_t *at, udp_t **ret_udp);
    err_t (*file_open)(task_t *t, driver_t *d, const char *path, int flags, uint32_t mode, file_t **ret);
    err_t (*fs_stat)(task_t *t, driver_t *d, const char *path, bool follow, file_info_t *ret);
    err_t (*fs_rename)(task_t *t, driver_t *d, const char *from, const char *to);
    err_t (*fs_unlink)(task_t *t, driver_t *d, const char *path);
    err_t (*fs_rmdir)(task_t *t, driver_t *d, const char *path);
    err_t (*fs_mkdir)(task_t *t, driver_t *d, const char *path, uint32_t mode);
    err_t (*fs_list)(task_t *t, driver_t *d, const char *path, fs_page_t page, dir_list_t *ret);
    err_t (*fs_symlink)(task_t *t, driver_t *d, const char *target, const char *path);
    err_t (*fs_readlink)(task_t *t, driver_t *d, const char *path, buf_t *ret);
    err_t (*fs_sync_dir)(task_t *t, driver_t *d, const char *path);
    err_t (*fs_room)(task_t *t, driver_t *d, const char *path, uint64_t *ret_total, uint64_t *ret_free);
    err_t (*terminal)(driver_t *d, const terminal_config_t *c, terminal_t **ret); /* may be NULL */
} driver_ops_t;
/* Looks names up in the driver's stead. ERR_AGAIN: it does not have this one, so the driver does. */
typedef err_t (*resolver_fn)(task_t *t, void *arg, const char *name, dns_type_t type, dns_answer_t *ret);
struct driver {
    const driver_ops_t *ops;
    bool is_simulated;
    resolver_fn resolver; /* NULL: none */
    void *resolver_arg;
};
typedef struct listener_ops {
    err_t (*accept)(task_t *t, listener_t *l, stream_t **ret_stream, net_addr_t *ret_from);
    void (*close)(listener_t *l);
} listener_ops_t;
struct listener {
    const listener_ops_t *ops;
    net_addr_t at; /* with the port that was taken */
};
/* Datagrams that go to or come from one place together: each has segment_bytes, the last one perhaps less. */
typedef struct udp_burst {
    net_addr_t peer;
    net_addr_t local; /* ours, the port is of no matter; family 0: the one that the system picks */
    size_t segment_bytes;
} udp_burst_t;
typedef struct udp_ops {
    err_t (*send)(udp_t *u, const net_addr_t *to, bytes_t datagram); /* ERR_AGAIN when full */
    err_t (*recv)(udp_t *u, net_addr_t *ret_from, uint8_t *out, size_t cap, size_t *ret_n); /* or ERR_AGAIN */
    err_t (*join)(udp_t *u, const net_addr_t *group);                                       /* multicast */
    err_t (*send_burst)(udp_t *u, const udp_burst_t *b, bytes_t datagrams, size_t *ret_n);
    err_t (*recv_burst)(udp_t *u, udp_burst_t *ret_burst, uint8_t *out, size_t cap, size_t *ret_n);
    void (*close)(udp_t *u);
} udp_ops_t;
struct udp {
    const udp_ops_t *ops;
    net_addr_t at;
    event_t readable;
    event_t writable; /* fired when a send that gave ERR_AGAIN may be tried again */
};
typedef struct file_ops {
    err_t (*read_at)(task_t *t, file_t *f, uint8_t *out, size_t len, uint64_t offset, size_t *ret_n);
    /* From memory alone, without waiting: ERR_AGAIN when the page cache does not have it. */
    err_t (*try_read_at)(file_t *f, uint8_t *out, size_t len, uint64_t offset, size_t *ret_n);
    /* All of the pieces, from one range of the file; ERR_EOF. */
    err_t (*read_pieces)(task_t *t, file_t *f, const span_t *pieces, size_t n, uint64_t offset);
    err_t (*write_at)(task_t *t, file_t *f, const bytes_t *pieces, size_t n, uint64_t offset);
    err_t (*sync)(task_t *t, file_t *f); /* data and what is needed to find it */
    err_t (*write_synced)(task_t *t, file_t *f, const bytes_t *pieces, size_t n,
                          uint64_t offset); /* both at once; NULL: one after the other */
    err_t (*truncate)(task_t *t, file_t *f, uint64_t size);
    err_t (*size)(task_t *t, file_t *f, uint64_t *ret_size);
    err_t (*punch)(task_t *t, file_t *f, uint64_t offset, uint64_t len); /* ERR_UNSUPPORTED is fine */
    err_t (*try_lock)(file_t *f); /* exclusive, held until close; ERR_IN_USE */
    void (*close)(file_t *f);
} file_ops_t;
struct file {
    const file_ops_t *ops;
};

/* ── how the rest calls it ───────────────────────────────────────────────────────────────────── */
uint64_t driver_now_ms(driver_t *d);                       /* monotonic */
uint64_t driver_wall_ms(driver_t *d);                      /* since 1970, UTC */
void driver_random(driver_t *d, uint8_t *out, size_t len); /* fit for keys */
uint64_t driver_random_u64(driver_t *d);
void driver_post(driver_t *d, void (*fn)(void *), void *arg); /* from any thread: run fn on the loop */
/* Runs fn(arg) on a worker thread and waits for it. fn may block, must not touch tasks, and may use
 * fail(): its text is carried over when the caller returns the same code. Not interrupted: the task
 * waits for the end of fn even when it is cancelled, so that arg may live on its stack. */
void work(task_t *t, work_fn fn, void *arg);
size_t driver_work_threads(driver_t *d);
/* The IP addresses of the machine's interfaces that are up, loopback too, ports 0; the count. */
size_t driver_interfaces(driver_t *d, net_addr_t *out, size_t cap);
/* The IPv4 router that packets to the wide world go to, port 0; false when there is none. */
bool driver_gateway(driver_t *d, net_addr_t *ret_gateway);
/* The indexes of its interfaces that carry multicast, without loopback: the scopes of a group's address. */
size_t driver_multicast_interfaces(driver_t *d, uint32_t *out, size_t cap);

MUST_CHECK err_t net_dial(task_t *t, const net_addr_t *to, stream_t **ret_stream); /* no own time-out */
/* ERR_UNSUPPORTED: this driver has no sockets in the file system. */
MUST_CHECK err_t net_dial_face(task_t *t, const face_addr_t *to, stream_t **ret_stream);
/* From this address and port, those of a listener of ours: a NAT then maps both to one port. Two that dial
 * each other so at one time become one connection. ERR_IN_USE: that connection is open, or was a moment ago.
 */
MUST_CHECK err_t net_dial_from(task_t *t, const net_addr_t *from, const net_addr_t *to,
                               stream_t **ret_stream);
MUST_CHECK err_t net_listen(driver_t *d, const net_addr_t *at, listener_t **ret); /* ERR_IN_USE: port taken */
/* A socket in the file system has mode 0600 and goes with its listener; those who connect have no address
 * (family 0). ERR_UNSUPPORTED, as net_dial_face. */
MUST_CHECK err_t net_listen_face(driver_t *d, const face_addr_t *at, listener_t **ret);
MUST_CHECK err_t listener_accept(task_t *t, listener_t *l, stream_t **ret_stream, net_addr_t *ret_from);
void listener_close(listener_t *l); /* NULL is fine; waiting accepts get ERR_CLOSED */
/* At a multicast group's address: only what is sent to the group comes. Port 5353 is shared with others. */
MUST_CHECK err_t udp_open(driver_t *d, const net_addr_t *at, udp_t **ret);
MUST_CHECK err_t udp_send(udp_t *u, const net_addr_t *to, bytes_t datagram);
MUST_CHECK err_t udp_recv(task_t *t, udp_t *u, net_addr_t *ret_from, uint8_t *out, size_t cap, size_t *ret_n);
/* For protocols of many datagrams; neither waits. A socket is read by udp_recv or by udp_recv_burst, not by
 * both. Datagrams that are larger than the path takes are lost, never split: the sender finds out how large
 * they may be.
 * send: *ret_n bytes of the datagrams were taken, whole ones, also when that ended with ERR_AGAIN.
 * recv: cap is UDP_BURST_MAX at least; ERR_AGAIN: none is there. */
#define UDP_BURST_MAX 65536
MUST_CHECK err_t udp_send_burst(udp_t *u, const udp_burst_t *b, bytes_t datagrams, size_t *ret_n);
MUST_CHECK err_t udp_recv_burst(udp_t *u, udp_burst_t *ret_burst, uint8_t *out, size_t cap, size_t *ret_n);
/* On the interface that the group's scope names; what this machine sends comes back, too. Joining once more
 * is OK. */
MUST_CHECK err_t udp_join(udp_t *u, const net_addr_t *group);
void udp_close(udp_t *u);
void driver_set_resolver(driver_t *d, resolver_fn fn, void *arg); /* NULL: none */
/* By the resolver that is set, then by the driver. */
MUST_CHECK err_t dns_resolve(task_t *t, const char *name, dns_type_t type, dns_answer_t *ret_answer);
/* By the driver, whatever resolver is set. */
MUST_CHECK err_t dns_resolve_by_driver(task_t *t, const char *name, dns_type_t type,
                                       dns_answer_t *ret_answer);

MUST_CHECK err_t file_open(task_t *t, const char *path, int flags, uint32_t mode, file_t **ret_file);
MUST_CHECK err_t file_read_at(task_t *t, file_t *f, uint8_t *out, size_t len, uint64_t offset, size_t *ret_n);
MUST_CHECK err_t file_read_exact(task_t *t, file_t *f, uint8_t *out, size_t len,
                                 uint64_t offset); /* ERR_EOF */
/* One range of the file into n pieces, one after the other, in one trip to a worker. ERR_EOF: it ends before.
 */
MUST_CHECK err_t file_read_pieces(task_t *t, file_t *f, const span_t *pieces, size_t n, uint64_t offset);
MUST_CHECK err_t file_try_read_at(file_t *f, uint8_t *out, size_t len, uint64_t offset, size_t *ret_n);
MUST_CHECK err_t file_write_at(task_t *t, file_t *f, const bytes_t *pieces, size_t n, uint64_t offset);
MUST_CHECK err_t file_sync(task_t *t, file_t *f);
/* Writes and syncs, in one trip to a worker: durable when OK. */
MUST_CHECK err_t file_write_synced(task_t *t, file_t *f, const bytes_t *pieces, size_t n, uint64_t offset);
MUST_CHECK err_t file_truncate(task_t *t, file_t *f, uint64_t size);
MUST_CHECK err_t file_size(task_t *t, file_t *f, uint64_t *ret_size);
MUST_CHECK err_t file_punch(task_t *t, file_t *f, uint64_t offset, uint64_t len);
MUST_CHECK err_t file_try_lock(file_t *f);
void file_close(file_t *f); /* NULL is fine */
AUTO_PTR_DEFINE(file_t, file_close)
MUST_CHECK err_t fs_stat(task_t *t, const char *path, bool follow, file_info_t *ret); /* ERR_NOT_FOUND */
MUST_CHECK err_t fs_rename(task_t *t, const char *from, const char *to);
MUST_CHECK err_t fs_unlink(task_t *t, const char *path);
MUST_CHECK err_t fs_rmdir(task_t *t, const char *path);
MUST_CHECK err_t fs_mkdir(task_t *t, const char *path, uint32_t mode);  /* ERR_EXISTS */
MUST_CHECK err_t fs_mkdirs(task_t *t, const char *path, uint32_t mode); /* with parents; fine when there */
MUST_CHECK err_t fs_list(task_t *t, const char *path, dir_list_t *ret);
/* In memory of one page; each page costs a pass over the folder. What is added or removed meanwhile may be
 * missed, nothing else is, and no name comes twice. */
MUST_CHECK err_t fs_list_page(task_t *t, const char *path, fs_page_t page, dir_list_t *ret);
MUST_CHECK err_t fs_symlink(task_t *t, const char *target, const char *path);
MUST_CHECK err_t fs_readlink(task_t *t, const char *path, buf_t *ret);
MUST_CHECK err_t fs_sync_dir(task_t *t, const char *path);
MUST_CHECK err_t fs_free_bytes(task_t *t, const char *path, uint64_t *ret_bytes);
MUST_CHECK err_t fs_room(task_t *t, const char *path, uint64_t *ret_total_bytes, uint64_t *ret_free_bytes);
/* Whole small files. Write is atomic and durable: temporary file, sync, rename, sync of the folder. */
MUST_CHECK err_t fs_read_file(task_t *t, const char *path, size_t max_bytes, buf_t *out);
MUST_CHECK err_t fs_write_file(task_t *t, const char *path, uint32_t mode, bytes_t content);
MUST_CHECK err_t fs_remove_tree(task_t *t, const char *path);
#endif
