/* want_manager: the client side of bitswap as an engine: which peer is asked for which block, and what to do
 * when it does not answer. Spec: ipfs/specs src/bitswap-protocol.md; after ipfs/boxo bitswap/client.
 *
 * A session is one DAG being fetched; it learns which peers have it. A want goes
 *
 *     QUEUED -> ASKED (want-block at one peer) -> received
 *        ^        | DONT_HAVE, stalled, disconnected
 *        |        v
 *        +---- QUEUED -> SEEKING (no peer of the session is left: want-have to every connected peer,
 *        |                 providers after search_delay_ms or when all said no) -> HAVE -> QUEUED
 *
 * Blocks in flight are bounded per session (max_session_bytes) and per peer by a window that grows while
 * answers come fast and shrinks when they take seconds: a slow peer holds little, a fast one fills its
 * bandwidth times delay. A peer that has wants of ours and sends nothing for a while is stalled: its wants go
 * to others when others have them, else they stay with it while providers are looked for. Three stalls
 * without a block, or one block that nobody asked for, and the peer is blocked.
 *
 * Deterministic: no clock, no randomness. Keys are multihashes: the codec of a CID does not matter. */
#ifndef LOGIC_WANT_MANAGER_H
#define LOGIC_WANT_MANAGER_H
#include "base/list.h"
#include "base/map.h"
#include "multi/cid.h"
#include "multi/peer_id.h"

typedef struct want_manager want_manager_t;
typedef struct want_session want_session_t; /* owned by the manager until closed */
typedef struct want_peer want_peer_t;       /* a connected peer; owned by the manager until disconnected */

typedef struct want_limits {
    size_t max_wants;           /* over all sessions; 16384 */
    size_t max_session_bytes;   /* asked for and not yet received, per session; 16 MiB */
    size_t max_peer_wants;      /* want-blocks at one peer at a time; 512 (a Kubo queues 1024) */
    size_t max_seeking;         /* wants of a session that are broadcast at once; 32 */
    size_t max_broadcast_peers; /* that one want is broadcast to; 128 */
    uint32_t search_delay_ms;   /* 1000 */
    uint32_t search_again_ms;   /* after a search that did not help; doubles up to rebroadcast_ms; 10000 */
    uint32_t rebroadcast_ms;    /* 60000 */
    uint32_t block_peer_ms;     /* how long a blocked peer stays so; 600000 */
} want_limits_t;
void want_limits_default(want_limits_t *ret);

want_manager_t *want_manager_new(const want_limits_t *limits);
void want_manager_free(want_manager_t *m); /* with all sessions and peers; NULL is fine */

/* ── peers ───────────────────────────────────────────────────────────────────────────────────── */
/* speaks_have: 1.2.0. latency_ms: 0 when not known. Returns NULL when the peer is blocked. The same peer
 * twice gives the same struct. */
want_peer_t *want_manager_connected(want_manager_t *m, const peer_id_t *id, bool speaks_have,
                                    uint32_t latency_ms, uint64_t now_ms);
void want_manager_disconnected(want_manager_t *m, want_peer_t *p, uint64_t now_ms); /* frees p */
want_peer_t *want_manager_peer(want_manager_t *m, const peer_id_t *id); /* NULL when not connected */
const peer_id_t *want_peer_id(const want_peer_t *p);
void want_peer_set_user(want_peer_t *p, void *user);
void *want_peer_user(const want_peer_t *p);
bool want_peer_is_blocked(const want_peer_t *p);
size_t want_peer_asked(const want_peer_t *p);        /* want-blocks at it now */
size_t want_peer_window_bytes(const want_peer_t *p); /* for tests and statistics */

/* ── sessions and wants ──────────────────────────────────────────────────────────────────────── */
want_session_t *want_session_open(want_manager_t *m, uint64_t now_ms);
void want_session_close(want_manager_t *m, want_session_t *s, uint64_t now_ms); /* cancels its wants */
void want_session_set_user(want_session_t *s, void *user);
void *want_session_user(const want_session_t *s);
/* Wants a block; urgent ones are asked for before all others. Wanting again makes it urgent when asked so.
 * ERR_LIMIT at max_wants. */
MUST_CHECK err_t want_session_want(want_manager_t *m, want_session_t *s, const cid_t *cid, bool is_urgent,
                                   uint64_t now_ms);
void want_session_cancel(want_manager_t *m, want_session_t *s, const cid_t *cid, uint64_t now_ms);
/* The peer likely has the DAG (a provider, or said by the user). Nothing when it is not connected. */
void want_session_add_peer(want_manager_t *m, want_session_t *s, const peer_id_t *id, uint64_t now_ms);
/* The peer that gave the most blocks; false when none did. */
bool want_session_best_peer(const want_session_t *s, peer_id_t *ret);
size_t want_session_count(const want_session_t *s);     /* its wants */
size_t want_session_in_flight(const want_session_t *s); /* of them asked for */
bool want_manager_wants(const want_manager_t *m, const cid_t *cid);
/* The sessions that want it, at most cap of them. */
size_t want_manager_sessions(const want_manager_t *m, const cid_t *cid, want_session_t **out, size_t cap);
size_t want_manager_count(const want_manager_t *m);
/* fn returns false to stop. */
void want_manager_each(const want_manager_t *m, bool (*fn)(void *arg, const cid_t *cid), void *arg);

/* ── what comes in ───────────────────────────────────────────────────────────────────────────── */
void want_manager_presence(want_manager_t *m, want_peer_t *p, const cid_t *cid, bool has, uint64_t now_ms);
/* Bytes of a block arrive: the peer is alive. */
void want_manager_progress(want_manager_t *m, want_peer_t *p, uint64_t now_ms);
/* A stream to or from the peer was lost while it stays connected: what was sent may not have come through, or
 * the answers not to us. Sends what has no answer again. */
void want_manager_ask_again(want_manager_t *m, want_peer_t *p, uint64_t now_ms);
typedef enum {
    WANT_WANTED,    /* its want is done, in every session; others that were asked get a cancel */
    WANT_DUPLICATE, /* was wanted, and came already or was cancelled */
    WANT_UNASKED,   /* never wanted, or not what its CID says: the peer is blocked */
} want_verdict_t;
/* A block whose bytes hash to cid came. p may be NULL (left meanwhile, or the block was found locally). */
want_verdict_t want_manager_block(want_manager_t *m, want_peer_t *p, const cid_t *cid, size_t size_bytes,
                                  uint64_t now_ms);
/* Bytes that hash to nothing valid, or break the protocol. */
void want_manager_bad_block(want_manager_t *m, want_peer_t *p, uint64_t now_ms);

/* ── what goes out ───────────────────────────────────────────────────────────────────────────── */
typedef struct want_entry {
    cid_t cid;
    enum { WANT_ENTRY_BLOCK, WANT_ENTRY_HAVE, WANT_ENTRY_CANCEL } kind;
    bool send_dont_have;
    bool is_urgent; /* somebody waits for it; else it is asked for ahead */
} want_entry_t;
/* A peer that has entries to be sent; each is given once until more entries come up. NULL: none. */
want_peer_t *want_manager_next_send(want_manager_t *m);
/* Takes entries out, cancels first; the rest stays. Returns how many. */
size_t want_peer_take_entries(want_manager_t *m, want_peer_t *p, want_entry_t *out, size_t cap);
/* A session that needs providers of a CID; false: none. Answer with want_session_search_done, always. */
bool want_manager_next_search(want_manager_t *m, want_session_t **ret_session, cid_t *ret_cid);
void want_session_search_done(want_manager_t *m, want_session_t *s, uint64_t now_ms);
/* A peer that has been blocked since the last call; false: none. It stays connected here until the caller
 * disconnects it. */
bool want_manager_next_blocked(want_manager_t *m, want_peer_t **ret_peer);

uint64_t want_manager_deadline_ms(const want_manager_t *m); /* UINT64_MAX: none */
void want_manager_tick(want_manager_t *m, uint64_t now_ms);
#endif
