/* members: whole nodes as the members of a scenario, and what scenarios do with them. */
#ifndef SIM_SCENARIOS_MEMBERS_H
#define SIM_SCENARIOS_MEMBERS_H
#include "node/node.h"
#include "sim/sim.h"

enum { MEMBER_PORT = 4001, MINUTE_MS = 60000 };

typedef struct member {
    const struct member_config *config;
    sim_host_t *host;
    size_t index;
    node_t *node; /* while it runs */
    peer_id_t id;
    bool has_repo, is_gone, wants_stop, has_ended;
    event_t changed;
} member_t;
/* Of all members of a scenario. */
typedef struct member_config {
    void (*options)(void *arg, const member_t *m, node_options_t *o); /* how it goes online */
    err_t (*configure)(task_t *t, member_t *m);                       /* of an open node, at each start */
    void *arg;
} member_config_t;

/* Not started yet, on a machine with this address. */
void member_init(member_t *m, const member_config_t *c, sim_t *sim, size_t index, const char *ip);
/* Until it is online. What fails on a machine that is up aborts. */
err_t member_start(task_t *t, member_t *m);
/* Leaves cleanly; one that is gone is joined. */
err_t member_stop(task_t *t, member_t *m);
/* Tasks that use a node run on the node's host; the scenario waits for them. */
err_t on_member(task_t *t, member_t *m, err_t (*fn)(task_t *, member_t *, void *), void *arg);

/* Content by position, so that it is the same in whatever pieces it is read. */
typedef struct content {
    uint64_t seed, size, at;
} content_t;
err_t content_read(task_t *t, void *content, uint8_t *out, size_t cap, size_t *ret_n);
/* What came back, piece by piece, and that it was all of it. ERR_CORRUPT: other bytes, another length. */
err_t content_compare(content_t *c, bytes_t piece);
err_t content_compared(const content_t *c);

/* Takes `--seed N` and `--nodes N`, and makes all that is random follow the seed. */
void scenario_begin(int argc, char **argv, uint64_t *seed, size_t *nodes);
double scenario_cpu_seconds(void);
#endif
