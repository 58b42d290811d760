/* sim_impl: what the files of the simulator share. */
#ifndef SIM_SIM_IMPL_H
#define SIM_SIM_IMPL_H
#include "base/map.h"
#include "sim/sim.h"

enum { HOST_IPS_MAX = 8 };

typedef struct sim_machine sim_machine_t;
typedef struct sim_disk sim_disk_t;

struct sim {
    uint64_t seed, clock_ms, time_limit_ms, hash, rounds;
    prng_t rng;
    uint32_t work_ms;
    driver_t world_driver;
    sched_t *world; /* runs no task: its alarms are the events of the network */
    list_t hosts;
    size_t host_count;
    list_t machines, ready; /* ready: machines with something to run */
    sim_link_t default_link;
    map_t pairs; /* (from, to) -> sim_pair_t */
    list_t dns;
    list_t datagrams; /* on their way */
};

struct sim_host {
    list_t node;
    sim_t *sim;
    uint32_t index;
    net_addr_t ips[HOST_IPS_MAX];
    size_t ip_count;
    char ip_text[NET_ADDR_TEXT_MAX];
    sim_machine_t *machine; /* the newest incarnation */
    uint32_t incarnations;
    net_addr_t gateway; /* family 0: none */
    bool is_isolated, is_refusing;
    int64_t wall_offset_ms;
    uint64_t paused_until_ms;
    uint16_t next_port;
    sim_disk_t *disk;
};

/* One incarnation of a host: what dies in a crash. */
struct sim_machine {
    driver_t base;
    sim_host_t *host;
    sched_t *sched;
    list_t node, ready_node;
    bool is_dead;
    prng_t rng;
    list_t listeners, udps, ends, files;
};

/* One way between two hosts. */
typedef struct sim_pair {
    sim_link_t link;
    bool has_link, is_blocked;
    uint64_t free_at_us; /* when the wire has sent what it was given */
} sim_pair_t;

/* sim.c */
void sim_note(sim_t *s, const char *what, uint64_t a, uint64_t b); /* into the hash */
void sim_note_bytes(sim_t *s, const char *what, bytes_t data);
static inline sim_machine_t *machine_of(driver_t *d)
{
    return (sim_machine_t *)d;
}
MUST_CHECK err_t machine_check(const sim_machine_t *m); /* ERR_CLOSED when it is dead */
/* Lets virtual time pass, whatever happens to the task. */
void sim_delay(task_t *t, uint64_t ms);
bool sim_chance(sim_t *s, double probability);

/* sim_net.c */
sim_pair_t *sim_pair(sim_host_t *from, sim_host_t *to);
bool sim_is_blocked(sim_host_t *from, sim_host_t *to);
const sim_link_t *sim_link_of(sim_host_t *from, sim_host_t *to);
uint64_t sim_latency_ms(sim_host_t *from, sim_host_t *to);
uint64_t sim_arrival_ms(sim_host_t *from, sim_host_t *to, size_t bytes); /* of a packet that is sent now */
sim_host_t *sim_find_host(sim_host_t *from, const net_addr_t *to);       /* NULL: nobody has this address */
bool sim_owns_ip(const sim_host_t *h, const net_addr_t *a);
net_addr_t sim_source_addr(sim_host_t *from, const net_addr_t *to);
uint16_t sim_next_port(sim_host_t *h);
err_t sim_op_listen(driver_t *d, const net_addr_t *at, listener_t **ret_listener);
err_t sim_op_dial(task_t *t, driver_t *d, const net_addr_t *from, const net_addr_t *to,
                  stream_t **ret_stream);
void sim_listeners_die(sim_machine_t *m);

/* sim_stream.c */
typedef struct sim_end sim_end_t;
/* Two connected ends, owned by nobody yet. */
void sim_stream_new(sim_machine_t *a, sim_machine_t *b, sim_end_t **ret_a, sim_end_t **ret_b);
stream_t *sim_end_stream(sim_end_t *e);
void sim_streams_die(sim_machine_t *m, sim_crash_t how);

/* sim_udp.c */
err_t sim_op_udp_open(driver_t *d, const net_addr_t *at, udp_t **ret_udp);
void sim_udps_die(sim_machine_t *m);

/* sim_dns.c */
err_t sim_op_resolve(task_t *t, driver_t *d, const char *name, dns_type_t type, dns_answer_t *ret);
void sim_dns_free(sim_t *s);
void sim_udp_free(sim_t *s); /* those on their way */

/* sim_disk.c, sim_file.c */
sim_disk_t *sim_disk_new(sim_host_t *h);
void sim_disk_free(sim_disk_t *d);
void sim_disk_crash(sim_disk_t *d, prng_t *rng);
void sim_files_die(sim_machine_t *m);
extern const driver_ops_t sim_driver_ops;
err_t sim_op_file_open(task_t *t, driver_t *d, const char *path, int flags, uint32_t mode, file_t **ret);
err_t sim_op_stat(task_t *t, driver_t *d, const char *path, bool follow, file_info_t *ret);
err_t sim_op_rename(task_t *t, driver_t *d, const char *from, const char *to);
err_t sim_op_unlink(task_t *t, driver_t *d, const char *path);
err_t sim_op_rmdir(task_t *t, driver_t *d, const char *path);
err_t sim_op_mkdir(task_t *t, driver_t *d, const char *path, uint32_t mode);
err_t sim_op_list(task_t *t, driver_t *d, const char *path, fs_page_t page, dir_list_t *ret);
err_t sim_op_symlink(task_t *t, driver_t *d, const char *target, const char *path);
err_t sim_op_readlink(task_t *t, driver_t *d, const char *path, buf_t *ret);
err_t sim_op_sync_dir(task_t *t, driver_t *d, const char *path);
err_t sim_op_room(task_t *t, driver_t *d, const char *path, uint64_t *ret_total, uint64_t *ret_free);
#endif
