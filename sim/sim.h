/* sim: the second implementation of src/task/driver.h: virtual time, a virtual network of hosts and
 * virtual disks, all drawn from one seed. The same seed and the same code give the same run, event by
 * event; sim_hash tells.
 *
 *   static err_t scenario(task_t *t, void *arg) { … net_dial(t, …) … task_sleep(t, 60000) … }
 *
 *   sim_t *s = sim_new(seed);
 *   sim_host_t *a = sim_add_host(s, "10.0.0.1"), *b = sim_add_host(s, "10.0.0.2 fd00::2");
 *   sim_host_start(b, "server", server_main, &server);
 *   err_t e = sim_run(s, scenario, &args);      // on the first host, until all tasks have ended
 *   sim_free(s);
 *
 * Each host has a scheduler and a driver of its own (its addresses, its disk, its randomness), and all
 * share one clock: task_driver(t) gives the driver of the host that t runs on. Time passes only when no
 * task of any host is ready, then it jumps to the next event. Events may be fired and tasks woken from
 * one host to another, so that a scenario can watch several nodes.
 *
 * When nothing can happen any more while tasks wait, the tasks are listed and the process aborts; the
 * same when time stands still although tasks run. */
#ifndef SIM_SIM_H
#define SIM_SIM_H
#include "base/prng.h"
#include "task/driver.h"

typedef struct sim sim_t;
typedef struct sim_host sim_host_t;

/* ── the world ───────────────────────────────────────────────────────────────────────────────── */
sim_t *sim_new(uint64_t seed);
/* No task may be alive; what was opened has been closed by its owner. */
void sim_free(sim_t *s);
/* Runs fn(t, arg) as a task on the first host (10.0.0.1, added when there is none) and all that it
 * starts. Returns fn's result when the tasks of all hosts have ended; aborts, listing them, when some
 * are left an hour of virtual time after fn returned. */
err_t sim_run(sim_t *s, task_fn fn, void *arg);
uint64_t sim_now_ms(const sim_t *s); /* monotonic; starts at 1,000,000 */
/* Over all that happened so far: equal for equal seeds. */
uint64_t sim_hash(const sim_t *s);
prng_t *sim_prng(sim_t *s); /* for a scenario's own choices */
/* Aborts when virtual time passes this; 30 days from the start unless set. */
void sim_set_time_limit(sim_t *s, uint64_t until_ms);
/* Upper bound of the virtual time that one call of work() takes; 1 unless set, 0: none. */
void sim_set_work_ms(sim_t *s, uint32_t max_ms);
/* Prints the tasks of all hosts. */
void sim_dump(sim_t *s);

/* ── hosts ───────────────────────────────────────────────────────────────────────────────────── */
/* ips: one or more addresses between spaces; 127.0.0.0/8 and ::1 are there besides. */
sim_host_t *sim_add_host(sim_t *s, const char *ips);
/* It has these addresses instead from now on: datagrams on their way to one that is gone are lost, sockets
 * that are bound to no address go on from the new ones. What is bound to one stays bound; TCP does not
 * notice. */
void sim_host_move(sim_host_t *h, const char *ips);
size_t sim_host_count(const sim_t *s);
sim_host_t *sim_host(sim_t *s, size_t index); /* in the order of adding */
sim_host_t *sim_host_of(task_t *t);           /* that t runs on */
/* Of the running incarnation: a restart makes new ones. */
driver_t *sim_host_driver(sim_host_t *h);
sched_t *sim_host_sched(sim_host_t *h);
const char *sim_host_ip(const sim_host_t *h); /* the first */
net_addr_t sim_host_addr(const sim_host_t *h, uint16_t port);
/* The router that driver_gateway gives ("10.0.0.254:0"); none unless set. Packets go directly all the same.
 */
void sim_host_set_gateway(sim_host_t *h, const char *ip);
/* Starts a task without a parent on the host. ERR_CLOSED when it is down. */
MUST_CHECK err_t sim_host_start(sim_host_t *h, const char *name, task_fn fn, void *arg);
/* Moves the host's wall clock; the monotonic clock goes on. */
void sim_host_jump_wall(sim_host_t *h, int64_t by_ms);
/* Its tasks stand still for a while, as on a suspended machine; what arrives waits for them. */
void sim_host_pause(sim_host_t *h, uint64_t for_ms);

typedef enum {
    SIM_KILL,       /* the process dies: its streams are reset, the disk keeps what was written */
    SIM_POWER_LOSS, /* the machine dies: peers hear nothing, unsynced writes are lost or torn */
} sim_crash_t;
/* At once, from outside or from a task of the host itself. The dead incarnation's tasks are cancelled
 * and unwind to free their memory, but reach nothing any more: dials, writes, syncs fail. */
void sim_crash(sim_host_t *h, sim_crash_t how);
void sim_restart(sim_host_t *h); /* a new incarnation with the disk as it is; start its tasks anew */
bool sim_host_is_up(const sim_host_t *h);
/* Waits until the tasks of dead incarnations have ended. */
MUST_CHECK err_t sim_host_join_dead(task_t *t, sim_host_t *h);

/* ── network ─────────────────────────────────────────────────────────────────────────────────── */
/* One way of a link. Probabilities are 0 to 1. */
typedef struct sim_link {
    uint32_t latency_ms, jitter_ms; /* each packet: latency + [0, jitter] */
    uint64_t bytes_per_s;           /* 0: unlimited; shared by all that goes this way */
    double loss, duplicate;         /* datagrams */
    double reorder;                 /* datagrams: another latency on top */
    double stall;                   /* stream segments: a retransmission, 200 ms and more */
    double reset;                   /* stream segments: the connection breaks */
} sim_link_t;
/* Unless set: 5 ms and up to 5 ms more, no faults. Streams break reads and writes into pieces at
 * random always. */
void sim_set_default_link(sim_t *s, sim_link_t link);
void sim_set_link(sim_host_t *a, sim_host_t *b, sim_link_t link); /* both ways */
void sim_set_link_one_way(sim_host_t *from, sim_host_t *to, sim_link_t link);
/* While blocked, datagrams are lost, streams stall (and break after a quarter of an hour), dials hang
 * (ERR_UNREACHABLE after two minutes). One way blocked makes half-open connections. */
void sim_block_one_way(sim_host_t *from, sim_host_t *to, bool is_blocked);
void sim_partition(sim_host_t *a, sim_host_t *b, bool is_blocked); /* both ways */
void sim_isolate(sim_host_t *h, bool is_isolated);                 /* from all others */
/* Dials to this host are refused at once, whoever listens. */
void sim_refuse_dials(sim_host_t *h, bool is_refusing);
/* Breaks all open streams between two hosts now. */
void sim_reset_streams(sim_host_t *a, sim_host_t *b);
/* Streams that are open on the host, both accepted and dialled ones. */
size_t sim_host_stream_count(const sim_host_t *h);

/* DNS: A and AAAA values are 4 or 16 bytes, TXT values text. Unknown names are ERR_NOT_FOUND. */
void sim_dns_add(sim_t *s, const char *name, dns_type_t type, bytes_t value);
void sim_dns_clear(sim_t *s, const char *name);
void sim_dns_fail(sim_t *s, const char *name, err_t error); /* OK: no more */

/* ── disk ────────────────────────────────────────────────────────────────────────────────────── */
/* Each host has an empty disk with the folders / and /tmp. What is written is durable only after
 * file_sync (the content) and fs_sync_dir (names: creation, rename, removal). At a power loss each
 * unsynced 4 KiB page is kept, lost or torn, the size may be the old or the new one, and only the
 * first of the unsynced changes of names may have happened. */
void sim_disk_set_capacity(sim_host_t *h, uint64_t bytes); /* over it: ERR_NO_SPACE; 0: unlimited */
/* The n-th change of the disk from now (1: the next write, sync, create, rename, …) fails with
 * `error`; with is_lasting all after it too. n = 0: no more failures. */
void sim_disk_fail_nth(sim_host_t *h, uint64_t n, err_t error, bool is_lasting);
uint64_t sim_disk_changes(const sim_host_t *h); /* how many changes were tried so far */
/* Reads of this file fail with `error` (OK: no more), whatever opened it. Aborts when it is not there. */
void sim_disk_set_unreadable(sim_host_t *h, const char *path, err_t error);
/* Inverts the bits of a range, as a rotten disk does. */
void sim_disk_corrupt(sim_host_t *h, const char *path, uint64_t offset, uint64_t len);
uint64_t sim_disk_used_bytes(const sim_host_t *h);
#endif
