/* bitswap: blocks by CID from peers, and to them. Spec: ipfs/specs bitswap-protocol (1.2.0, 1.1.0, 1.0.0). */
#ifndef EXCHANGE_BITSWAP_H
#define EXCHANGE_BITSWAP_H
#include "dag/blocks.h"
#include "net/host.h"
#include "routing/routing.h"
#include "store/blockstore.h"

typedef struct bitswap bitswap_t;
typedef struct bitswap_session bitswap_session_t;
typedef struct bitswap_config {
    host_t *host;                      /* borrowed */
    routing_t *routing;                /* borrowed; may be NULL: connected peers only */
    blockstore_t *blocks;              /* borrowed: serves from it and stores what was fetched into it */
    size_t max_outstanding_bytes;      /* of blocks asked for and not yet taken */
    uint32_t provider_search_delay_ms; /* 1000 */
    bool is_server;                    /* false: answers nobody */
    bool is_on;                        /* false: neither speaks nor listens to peers */
    /* May be NULL. Called for each block that was fetched and stored (for providing and metrics). */
    void (*received)(void *arg, const cid_t *cid);
    /* May be NULL: may this peer be served this block? (rights, deletion) */
    bool (*may_serve)(task_t *t, void *arg, const peer_id_t *peer, const cid_t *cid);
    void *arg;
} bitswap_config_t;
void bitswap_config_default(bitswap_config_t *ret);
MUST_CHECK err_t bitswap_start(task_t *t, const bitswap_config_t *c, bitswap_t **ret);
void bitswap_close(task_t *t, bitswap_t *b); /* what was fetched is durable after it */

/* A session keeps the peers that had blocks of one DAG and asks them first. */
MUST_CHECK err_t bitswap_session_open(bitswap_t *b, bitswap_session_t **ret);
void bitswap_session_close(bitswap_session_t *s); /* cancels its wants */
/* From now on blocks are handed out as soon as they are verified, while they are being written: for who reads
 * and acknowledges nothing. Then bitswap_session_settle waits until all that was handed out so far is in the
 * store, or could not be stored, so that what was read can be read again. */
void bitswap_session_reads(bitswap_session_t *s);
MUST_CHECK err_t bitswap_session_settle(task_t *t, bitswap_session_t *s);
/* Waits for the verified block (from the local store at once when it is there), until the task's deadline:
 * ERR_TIMEOUT. In the store before it is returned (but see above), and durable only a moment later: who
 * acknowledges that blocks are here notes blockstore_losses before the session's first get and calls
 * blockstore_sync_since after the last, as pins_add does. */
MUST_CHECK err_t bitswap_get(task_t *t, bitswap_session_t *s, const cid_t *cid, block_t **ret_block);
/* Wants these soon: they are asked for and stored as they come. Never waits; bounded, the rest is dropped. */
void bitswap_prefetch(bitswap_session_t *s, const cid_t *cids, size_t n);
void bitswap_add_peer(bitswap_session_t *s, const peer_id_t *peer); /* likely has the DAG */
/* A dag/blocks.h view: local store first, then the session. Valid as long as the session. */
blocks_t *bitswap_session_blocks(bitswap_session_t *s);
/* Blocks that came into the store by another way (add, CAR): tells peers that wait for them. */
void bitswap_have(bitswap_t *b, const cid_t *cids, size_t n);

typedef struct bitswap_stat {
    uint64_t blocks_received, data_received, dup_blocks_received, dup_data_received;
    uint64_t blocks_sent, data_sent, messages_received, bad_blocks;
    size_t wantlist_size, peers, provide_queue;
} bitswap_stat_t;
void bitswap_stat(const bitswap_t *b, bitswap_stat_t *ret);
void bitswap_each_want(bitswap_t *b, bool (*fn)(void *arg, const cid_t *cid), void *arg);
/* What a peer wants of us; none when it is not known. */
void bitswap_each_peer_want(bitswap_t *b, const peer_id_t *peer, bool (*fn)(void *arg, const cid_t *cid),
                            void *arg);
void bitswap_each_peer(bitswap_t *b, bool (*fn)(void *arg, const peer_id_t *peer), void *arg);
typedef struct bitswap_ledger {
    uint64_t sent_bytes, received_bytes, exchanged;
    size_t wants;
} bitswap_ledger_t;
MUST_CHECK err_t bitswap_ledger(bitswap_t *b, const peer_id_t *peer,
                                bitswap_ledger_t *ret); /* ERR_NOT_FOUND */
/* The peer that gave the most blocks of this session, for "fetching from …". False when none yet. */
bool bitswap_session_best_peer(bitswap_session_t *s, peer_id_t *ret);
#endif
