/* node: puts the parts together and hands them out. Two states: offline (repository, blocks, pins) and online
 * (host, routing, bitswap, replication besides). The faces in api/ use nothing but this and the parts. */
#ifndef NODE_NODE_H
#define NODE_NODE_H
#include "dag/blocks.h"
#include "exchange/bitswap.h"
#include "naming/naming.h"
#include "net/host.h"
#include "net/tunnels.h"
#include "pubsub/pubsub.h"
#include "replica/mesh.h"
#include "replica/mesh_join.h"
#include "repo/repo.h"
#include "routing/routing.h"
#include "vault/vault.h"

typedef struct node node_t;

/* What the command line says of something that the config decides otherwise. */
typedef enum { NODE_AS_CONFIGURED, NODE_ON, NODE_OFF } node_switch_t;

typedef struct node_options {
    const char *repo_path;     /* borrowed until node_open returns */
    const char *const *listen; /* ":4001", "127.0.0.1:0" or multiaddrs; n_listen 0: the config's */
    size_t n_listen;
    const char *const *bootstrap; /* multiaddrs with /p2p/; n_bootstrap 0: the config's */
    size_t n_bootstrap;
    bool no_bootstrap;            /* `--bootstrap=none` */
    const char *const *advertise; /* IP:PORT or multiaddrs told to others beside those listened on */
    size_t n_advertise;
    bool collects_garbage;      /* each Datastore.GCPeriod, when the repository is nearly full */
    const char *routing_type;   /* in the place of Routing.Type; NULL: the config's. Borrowed until online */
    const char *agent_suffix;   /* in the place of Version.AgentSuffix; NULL: the config's */
    node_switch_t pubsub;       /* Pubsub.Enabled */
    node_switch_t names_pubsub; /* Ipns.UsePubsub */
    bool keeps_chunks;          /* a storage node of the file service: chunks are not given to IPFS */
    node_switch_t mesh;         /* Mesh.Enabled: a member of an encrypted mesh; bootstrap: IP:PORT, too */
    node_switch_t mesh_relay;   /* Mesh.Relay: for the other members */
    const char *mesh_zone;      /* in the place of Mesh.Zone; NULL: the config's */
    /* Told whom this node met at a bootstrap address without an ID, or that somebody else is there now. Must
     * not wait. May be NULL. */
    void (*mesh_met)(void *arg, const mesh_contact_t *c);
    void *mesh_met_arg;
} node_options_t;

/* Opens the repository (which it then locks) without any network. ERR_USAGE: an unfit agent_suffix. */
MUST_CHECK err_t node_open(task_t *t, const node_options_t *o, node_t **ret);
/* Listens, connects to bootstrap peers, starts routing, bitswap and replication. A default port that is taken
 * is a warning and the next free one; one that was asked for and is taken is ERR_IN_USE. */
MUST_CHECK err_t node_go_online(task_t *t, node_t *n, const node_options_t *o);
void node_close(task_t *t,
                node_t *n); /* leaves cleanly: stops parts in reverse order, closes the repository */

sched_t *node_sched(node_t *n);
bool node_is_online(const node_t *n);
uint64_t node_started_ms(const node_t *n);
repo_t *node_repo(node_t *n);
const peer_id_t *node_id(const node_t *n);
const public_key_t *node_public_key(const node_t *n);
const char *node_agent(const node_t *n); /* "distribute/0.1.0", with a suffix "distribute/0.1.0/SUFFIX" */
naming_t *node_naming(node_t *n);        /* answers offline, too */
vault_t *node_vault(node_t *n);          /* the same; its key file is REPO/vault.key */
host_t *node_host(node_t *n);            /* these four are NULL while offline */
routing_t *node_routing(node_t *n);
bitswap_t *node_bitswap(node_t *n);
replica_t *node_replica(node_t *n);
mesh_t *node_mesh(node_t *n);           /* NULL: not a member of a mesh */
mesh_join_t *node_mesh_join(node_t *n); /* as above */
/* The fingerprint of the key of the private network that this node is in; NULL: none, or offline. */
enum { NODE_FINGERPRINT_BYTES = 16 };
const uint8_t *node_swarm_fingerprint(const node_t *n);
tunnels_t *node_tunnels(node_t *n); /* NULL also unless Experimental.Libp2pStreamMounting is set */
pubsub_t *node_pubsub(node_t *n);   /* NULL also when it is not enabled */
/* Forgets what this author (NULL: every author) said last over pubsub; how many that were. */
MUST_CHECK err_t node_reset_pubsub(task_t *t, node_t *n, const peer_id_t *author, uint64_t *ret_count);

/* Does replication hold the root here, for this node or for another? Answered offline, too. */
bool node_is_replicated(task_t *t, node_t *n, const cid_t *root);

/* ERR_IN_USE: the block is a part of a root that replication holds here, which the text names. Walks what is
 * held. */
MUST_CHECK err_t node_check_held(task_t *t, node_t *n, const cid_t *block);

/* Takes changes of the denylists from now on, until the node closes. */
MUST_CHECK err_t node_watch_denylists(node_t *n);
/* ERR_BLOCKED when the denylists (repo/denylist.h) name this path, "/ipfs/CID/…" or "/ipns/NAME/…", decoded.
 * Blocks that they name are ERR_BLOCKED through both of the following. */
MUST_CHECK err_t node_check_path(const node_t *n, bytes_t path);
/* Blocks of this node alone: local store, no network. Valid until node_close. */
blocks_t *node_local_blocks(node_t *n);
/* Blocks for one request: local store first, then (online) a bitswap session. With offline: local only. */
typedef struct node_session {
    blocks_t *blocks;           /* valid until node_session_close */
    bitswap_session_t *session; /* NULL when offline */
} node_session_t;
MUST_CHECK err_t node_session_open(node_t *n, bool offline, node_session_t *ret);
/* The request reads and acknowledges nothing: blocks that arrive are handed out before they are written, and
 * node_session_settle waits until those are in the store. */
void node_session_reads(node_session_t *s);
MUST_CHECK err_t node_session_settle(task_t *t, node_session_t *s);
void node_session_close(node_session_t *s); /* idempotent */
AUTO_DEFINE(node_session_t, node_session_close)
/* Tells bitswap that these came into the store, and queues the root for providing. */
void node_announce(node_t *n, const cid_t *root);
/* The same, and waits until a peer has taken the record. OK also when this node announces nothing;
 * ERR_UNREACHABLE. */
MUST_CHECK err_t node_announce_now(task_t *t, node_t *n, const cid_t *root);
bool node_provides_pins_alone(const node_t *n); /* Provide.Strategy */
bool node_has_publishers(const node_t *n);      /* Ipns.DelegatedPublishers */
void node_offer(node_t *n, const cid_t *root);  /* the first half of it: to those who asked already */
#endif
