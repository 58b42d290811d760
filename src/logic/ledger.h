/* ledger: the server side of bitswap as an engine: what each connected peer wants of us, and whom to serve
 * next. Spec: ipfs/specs src/bitswap-protocol.md; after ipfs/boxo bitswap/server/internal/decision.
 *
 * A want is QUEUED, then SERVING (the store is being asked), then gone (served) or WAITING (we don't have the
 * block: it is queued again when the block comes). Peers take turns: deficit round robin over the bytes that
 * were really sent, so that one with a thousand wants gets no more than one with a few. Everything is bounded
 * per peer and in total, and freed when the peer leaves (CVE-2023-25568).
 *
 * Keys are multihashes: a peer that wants one block under two CIDs gets it once. */
#ifndef LOGIC_LEDGER_H
#define LOGIC_LEDGER_H
#include "multi/cid.h"
#include "multi/peer_id.h"

typedef struct ledger ledger_t;
typedef struct ledger_peer ledger_peer_t; /* a connected peer; owned by the ledger until disconnected */

typedef struct ledger_limits {
    size_t max_peer_wants;   /* 1024, as in boxo; over it the lowest priority goes */
    size_t max_wants;        /* over all peers; 65536 */
    size_t max_peers;        /* 4096 */
    uint32_t quantum_bytes;  /* of one turn; 1 MiB */
    uint32_t max_peer_turns; /* of one peer at the same time, so that reading and sending overlap; 2 */
} ledger_limits_t;
void ledger_limits_default(ledger_limits_t *ret);

ledger_t *ledger_new(const ledger_limits_t *limits);
void ledger_free(ledger_t *l); /* with all peers; NULL is fine */

/* NULL when there are max_peers. The same peer twice gives the same struct. */
ledger_peer_t *ledger_connected(ledger_t *l, const peer_id_t *id);
void ledger_disconnected(ledger_t *l, ledger_peer_t *p); /* frees p; no turn of it may be under way */
ledger_peer_t *ledger_peer(ledger_t *l, const peer_id_t *id);
const peer_id_t *ledger_peer_id(const ledger_peer_t *p);
void ledger_peer_set_user(ledger_peer_t *p, void *user);
void *ledger_peer_user(const ledger_peer_t *p);

/* ── a message of the peer: begin, its entries, end ──────────────────────────────────────────── */
void ledger_message_begin(ledger_t *l, ledger_peer_t *p);
/* False: dropped, because a limit was reached and nothing of lower priority was there to go. */
bool ledger_want(ledger_t *l, ledger_peer_t *p, const cid_t *cid, int32_t priority, bool is_have,
                 bool send_dont_have);
void ledger_cancel(ledger_t *l, ledger_peer_t *p, const cid_t *cid);
/* is_full: the wants of this message replace all older ones. */
void ledger_message_end(ledger_t *l, ledger_peer_t *p, bool is_full);
void ledger_clear(ledger_t *l, ledger_peer_t *p); /* forgets all wants of the peer */

/* ── serving ─────────────────────────────────────────────────────────────────────────────────── */
typedef struct ledger_want {
    cid_t cid;
    uint64_t serial; /* names this want in the answers below */
    bool is_have, send_dont_have;
} ledger_want_t;
/* Whose turn it is, and how many bytes it may take (the last block may go over). Each turn ends with
 * ledger_turn_end. NULL: nobody has queued wants that may be served now. */
ledger_peer_t *ledger_turn_begin(ledger_t *l, size_t *ret_bytes);
bool ledger_next_want(ledger_t *l, ledger_peer_t *p, ledger_want_t *ret);   /* highest priority first */
void ledger_served(ledger_t *l, ledger_peer_t *p, const ledger_want_t *w);  /* answered; forgotten */
void ledger_missing(ledger_t *l, ledger_peer_t *p, const ledger_want_t *w); /* WAITING, unless cancelled */
/* What the turn took in fact; granted: what ledger_turn_begin said. */
void ledger_turn_end(ledger_t *l, ledger_peer_t *p, size_t granted_bytes, size_t sent_bytes);
bool ledger_peer_is_busy(const ledger_peer_t *p); /* a turn of it is under way */
/* A block came into the store: those who wait for it are queued again. Returns how many. */
size_t ledger_have(ledger_t *l, const cid_t *cid);
bool ledger_has_work(const ledger_t *l); /* would ledger_turn_begin give somebody? */

/* ── accounts ────────────────────────────────────────────────────────────────────────────────── */
void ledger_received(ledger_peer_t *p, size_t bytes); /* blocks that the peer sent us */
typedef struct ledger_account {
    uint64_t sent_bytes, received_bytes, exchanged; /* exchanged: messages with blocks, both ways */
    size_t wants;
} ledger_account_t;
ledger_account_t ledger_peer_account(const ledger_peer_t *p);
/* What the peer wants; return false to stop. */
void ledger_each_want(const ledger_peer_t *p, bool (*fn)(void *arg, const cid_t *cid), void *arg);
size_t ledger_count(const ledger_t *l); /* wants of all peers */
#endif
