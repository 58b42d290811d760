/* scope: how many connections, streams and file descriptors and how much memory a part of the node uses, and
 * how much it may: the node as a whole ("system"), what is being set up ("transient"), a protocol, a peer, a
 * peer's streams of a protocol. The names and members are those of go-libp2p's resource manager. Memory is a
 * limit_t, whose parents are charged with it; of the rest each scope is charged by itself, several at once by
 * scopes_charge. A refusal names the scope, the limit, and what to turn. */
#ifndef BASE_SCOPE_H
#define BASE_SCOPE_H
#include "base/limit.h"

#define SCOPE_UNLIMITED UINT64_MAX

typedef enum {
    SCOPE_CONNS_IN,
    SCOPE_CONNS_OUT,
    SCOPE_STREAMS_IN,
    SCOPE_STREAMS_OUT,
    SCOPE_FDS,
    SCOPE_USES
} scope_use_t;

/* 0: nothing is allowed. conns and streams: in both directions together. */
typedef struct scope_max {
    uint64_t memory, fds, conns, conns_in, conns_out, streams, streams_in, streams_out;
} scope_max_t;

typedef struct scope {
    const char *name;       /* borrowed: "system", "peer:12D3KooW…" */
    const char *kind;       /* borrowed: where its limits are set, "System", "PeerDefault" */
    const scope_max_t *max; /* borrowed; may be shared */
    limit_t memory;
    uint32_t used[SCOPE_USES];
} scope_t;

/* memory_hint (borrowed, may be NULL): what a refusal of memory says one can turn. */
void scope_init(scope_t *s, const char *name, const char *kind, const scope_max_t *max,
                limit_t *memory_parent, const char *memory_hint);
void scope_deinit(scope_t *s); /* asserts that nothing is used */
/* One more in each of n scopes (NULL: passed over), or in none: ERR_LIMIT; ret_full (may be NULL) is then the
 * scope that is full. */
MUST_CHECK err_t scopes_charge(scope_t *const *scopes, size_t n, scope_use_t use, scope_t **ret_full);
void scopes_release(scope_t *const *scopes, size_t n, scope_use_t use);
/* Those of a pair of directions together. */
uint32_t scope_conns(const scope_t *s);
uint32_t scope_streams(const scope_t *s);
bool scope_is_unused(const scope_t *s);
scope_max_t scope_max_none(void); /* no limits at all */
#endif
