/* replica: keeps N nodes holding a DAG. Protocol /distribute/replica/2.0.0 (docs/protocols/replica.md);
 * decisions in logic/replica_planner, this module does the I/O.
 *
 * A record per root, durable in kv before it is acknowledged: {root, owners with targets, holders, since},
 * what each peer says signed by it. Every
 * holder follows the others by heartbeats and heals: when one is lost, the remaining one that is nearest to
 * the root (XOR) asks a new peer; when too many hold it, the farthest lets go. A holder takes only from peers
 * that its config allows, up to max_bytes. All calls on the loop thread. */
#ifndef REPLICA_REPLICA_H
#define REPLICA_REPLICA_H
#include "exchange/bitswap.h"
#include "logic/placement.h"
#include "net/host.h"
#include "routing/routing.h"
#include "store/blockstore.h"
#include "store/kv.h"

#define REPLICA_PROTOCOL "/distribute/replica/2.0.0"
#define REPLICA_TARGET_MAX 32  /* largest N */
#define REPLICA_HOLDERS_MAX 64 /* remembered per root, over-replication included */

typedef struct replica replica_t;
typedef struct replica_config {
    host_t *host;             /* borrowed, as all the parts below */
    routing_t *routing;       /* may be NULL: connected and configured peers only */
    bitswap_t *bitswap;       /* fetches what is to be held */
    blockstore_t *blocks;     /* where it ends up */
    kv_t *state;              /* the records; spaces "replica-…" */
    const private_key_t *key; /* of the host's identity: signs what this node says of its copies */
    /* Peers whose OFFERs are taken, and that this node asks to hold. Empty: nobody, the safe default. The
     * list is copied. allow_any must be said explicitly ("*" in Replication.AllowFrom) and is logged. */
    const peer_id_t *allow_from;
    size_t n_allow_from;
    bool allow_any;
    uint64_t max_bytes;            /* of what is held for others; 0: hold nothing for anybody */
    uint32_t heartbeat_ms;         /* 5000 */
    double phi_lost;               /* suspicion above which a holder counts as lost; 8 */
    uint32_t lost_grace_ms;        /* how long it stays so before healing begins; 15000 */
    uint32_t prune_grace_ms;       /* how long over-replication lasts before pruning; 60000 */
    uint32_t fetch_timeout_ms;     /* a fetch without progress for so long is given up; 60000 */
    uint32_t max_parallel_fetches; /* 2 */
    bool is_in_mesh;               /* the planner decides as for a mesh (logic/replica_planner.h) */
    /* Pins a DAG that is complete here against garbage collection, or lets it go; durable when OK. The kind
     * is replication's own: it must not touch the user's pins. */
    err_t (*pin)(task_t *t, void *arg, const cid_t *root);
    err_t (*unpin)(task_t *t, void *arg, const cid_t *root);
    void *arg;
} replica_config_t;
void replica_config_default(replica_config_t *ret);
/* What a mesh (replica/mesh.h) decides about copies. arg first; NULL members change nothing. */
typedef struct replica_mesh {
    bool (*is_member)(void *arg, const peer_id_t *peer); /* allowed, besides AllowFrom */
    bool (*is_deleted)(void *arg, const cid_t *root);    /* by its owner: offers of it are refused */
    /* The root has come, the rest is on its way: may the DAG be held? Called again after a restart. */
    err_t (*admit)(task_t *t, void *arg, const cid_t *root, const block_t *block);
    void (*held)(void *arg, const cid_t *root); /* all of it is here, durably */
    /* A peer holds, or wants held, what was deleted: it should be told. */
    void (*is_behind)(void *arg, const peer_id_t *peer, const cid_t *root);
    uint64_t
        max_bytes_per_owner; /* of what is held for one owner, or at the request of one peer; 0: no limit */
    uint32_t max_roots_per_owner; /* the same, in roots */
    void *arg;
} replica_mesh_t;
MUST_CHECK err_t replica_start(task_t *t, const replica_config_t *c, replica_t **ret);
void replica_close(task_t *t, replica_t *r); /* NULL is fine; holds and records stay */
/* Replication.AllowFrom or MaxBytes changed while running. */
MUST_CHECK err_t replica_allow(replica_t *r, const peer_id_t *peers, size_t n, bool any, uint64_t max_bytes);

typedef enum {
    REPLICA_FETCHING_LOCALLY, /* the DAG is being completed here first */
    REPLICA_ASKED,            /* peer got an offer */
    REPLICA_ACCEPTED,         /* peer fetches */
    REPLICA_HOLDS,            /* peer says it has all of it, durably */
    REPLICA_REFUSED,          /* peer does not want it; `reason` */
    REPLICA_FAILED,           /* peer did not answer */
} replica_step_t;
typedef struct replica_progress {
    replica_step_t step;
    peer_id_t peer;        /* len 0: this node */
    const char *reason;    /* "" or why; valid during the call */
    uint32_t have, target; /* holders now, this node included, and how many are wanted */
} replica_progress_t;
typedef void (*replica_progress_fn)(void *arg, const replica_progress_t *p); /* must not wait */

/* Holds the root here and on n - 1 others. ERR_UNSUPPORTED: this node's identity cannot sign records
 * (wire/replica_seal.h). Completes the DAG locally (bitswap), records it, asks peers, and
 * returns OK as soon as min(n, nodes that exist and are allowed) hold it. *ret_have (may be NULL) says how
 * many. When fewer could be won before the deadline: ERR_TIMEOUT; the record stays and healing goes on. n is
 * 1 to REPLICA_TARGET_MAX (ERR_INVALID); called again for the same root it changes the target. */
MUST_CHECK err_t replica_pin(task_t *t, replica_t *r, const cid_t *root, uint32_t n,
                             replica_progress_fn progress, void *arg, uint32_t *ret_have);
/* The same, and copies are waited for at most wait_ms. The task's deadline bounds the whole of it; without
 * one the record is made however long the DAG takes to look through, and ERR_TIMEOUT says that it stands. */
MUST_CHECK err_t replica_keep(task_t *t, replica_t *r, const cid_t *root, uint32_t n, uint64_t wait_ms,
                              replica_progress_fn progress, void *arg, uint32_t *ret_have);
/* This node wants it no more; when no other owner does, the holders are told to release it. Blocks stay until
 * garbage collection. ERR_NOT_FOUND; ERR_DENIED: held for another owner (use forget). */
MUST_CHECK err_t replica_unpin(task_t *t, replica_t *r, const cid_t *root);

typedef struct replica_holder {
    peer_id_t peer;           /* this node too, when it holds it */
    uint64_t verified_ms_ago; /* since it last proved to hold it */
    bool is_connected;
} replica_holder_t;
#define REPLICA_WHY_MAX 256
typedef struct replica_status {
    cid_t root;
    uint64_t size_bytes; /* of the DAG's unique blocks; 0: not known here */
    bool is_local;       /* complete here */
    bool is_pinned;      /* by replication */
    uint32_t target;     /* 0: not replicated */
    peer_id_t owner;
    uint64_t since_ms; /* wall clock */
    size_t n_holders;
    replica_holder_t holders[REPLICA_HOLDERS_MAX]; /* only those verified recently */
    char why[REPLICA_WHY_MAX]; /* there are fewer than `target`; "": it is not known here */
} replica_status_t;
/* The truth now: asks the known holders (a challenge over a block of the DAG) and counts those that answer
 * within timeout_ms; holders that were verified within two heartbeats are not asked again. Without a
 * record here the allowed peers that are connected are asked for theirs; when none has one, target is 0. ret
 * is large: not for the stack. */
MUST_CHECK err_t replica_status(task_t *t, replica_t *r, const cid_t *root, uint32_t timeout_ms,
                                replica_status_t *ret);
/* Why it has fewer copies than wanted, as far as this node knows; "" otherwise. */
void replica_why(const replica_t *r, const cid_t *root, char out[REPLICA_WHY_MAX]);
/* What the records say, without asking anybody. The visited struct is valid during the call; it may wait. */
typedef err_t (*replica_visit_fn)(task_t *t, void *arg, const replica_status_t *s);
MUST_CHECK err_t replica_each(task_t *t, replica_t *r, replica_visit_fn visit, void *arg);

/* From now on this node is in a mesh; copied. NULL: no longer. */
void replica_set_mesh(replica_t *r, const replica_mesh_t *m);
/* It was deleted by who may: lets go here whoever wants it; from now on is_deleted refuses it. Durable when
 * OK; ERR_NOT_FOUND: there is no record of it here. */
MUST_CHECK err_t replica_delete(task_t *t, replica_t *r, const cid_t *root);
/* What a member of the mesh told of itself: decides whom new copies are put to. Of this node, too. */
void replica_member(replica_t *r, const peer_id_t *peer, const placement_peer_t *told);
/* How long members are usually away, as another one said or this node knew before it was restarted: believed
 * until it has seen enough itself. 0: nothing. */
void replica_usual_away(replica_t *r, uint64_t usual_away_ms);
/* The peers that hold it or are about to, as the record says, this node included; up to cap. */
size_t replica_holders(const replica_t *r, const cid_t *root, peer_id_t *out, size_t cap);

/* Does this node hold all of the root now, as its own record says? Asks nobody, never waits. */
bool replica_holds(const replica_t *r, const cid_t *root);

/* Blocks of a root that this node holds were lost: they are fetched again, and when nobody has them it says
 * that it has left. Does nothing when it holds no such root. */
void replica_lost_blocks(replica_t *r, const cid_t *root);
/* Does it hold the root, or fetch it to hold it? Never waits. */
bool replica_keeps(const replica_t *r, const cid_t *root);

typedef struct replica_stat {
    size_t roots, roots_owned, roots_below_target, roots_above_target;
    uint64_t held_bytes, max_bytes; /* for others */
    uint64_t heals, prunes, offers_in, offers_refused, fetches_failed;
    uint64_t audits, audits_failed, refused_quota;
    uint64_t forged;                               /* records with a signature that is none */
    uint64_t healed_bytes, returns, heals_waiting; /* as replica_plan_stat */
    uint64_t usual_away_ms; /* how long peers that came back had been away; 0: not known */
} replica_stat_t;
void replica_stat(const replica_t *r, replica_stat_t *ret);
#endif
