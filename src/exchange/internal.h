/* internal: the parts of bitswap, shared by its files. bitswap.c: start, close, peers, inbound streams;
 * client.c: wants out, searches; ingest.c: blocks in; server.c: blocks out; session.c: who waits for what. */
#ifndef EXCHANGE_INTERNAL_H
#define EXCHANGE_INTERNAL_H
#include "base/map.h"
#include "base/metrics.h"
#include "exchange/bitswap.h"
#include "logic/ledger.h"
#include "logic/want_manager.h"
#include "wire/bitswap.h"

enum {
    BITSWAP_INGEST_MAX_BYTES = 12 << 20,  /* received and not yet written; readers wait above it */
    BITSWAP_CACHE_MAX_BYTES = 16 << 20,   /* per session: prefetched, written, not yet taken */
    BITSWAP_SERVING_MAX_BYTES = 12 << 20, /* read for peers and not yet written to their streams */
    BITSWAP_SERVING_MAX_TURNS = 128,
    BITSWAP_SLOW_TURN_BYTES = 64 << 10,
    BITSWAP_SLOW_TURN_MS = 1000,
    BITSWAP_HINTS_MAX = 1024,         /* prefetch hints waiting, per session */
    BITSWAP_SMALL_BLOCK_BYTES = 1024, /* sent at once where HAVE was asked for */
    BITSWAP_OPEN_TIMEOUT_MS = 10000,
    BITSWAP_SEND_TIMEOUT_MS = 60000,
    BITSWAP_SEARCH_TIMEOUT_MS = 30000,
    BITSWAP_SEARCH_PROVIDERS = 10,
    BITSWAP_SENDER_RETRY_MS = 2000,
    BITSWAP_AGAIN_MIN_MS = 250, /* after a stream was lost; doubles until a block comes */
    BITSWAP_AGAIN_MAX_MS = 64000,
    BITSWAP_MAX_INBOUND_PER_PEER = 64, /* boxo opens one for each message */
};

/* A connected peer, or one that left while tasks still refer to it. */
typedef struct bs_peer {
    list_t node;
    bitswap_t *b;
    peer_id_t id;
    bool is_gone;
    uint32_t refs;         /* of tasks and of blocks on their way in */
    want_peer_t *wants;    /* NULL: nothing is asked of it (does not speak bitswap, blocked, gone) */
    ledger_peer_t *ledger; /* NULL until it wants something */
    stream_t *want_stream; /* written by its sender task alone */
    bitswap_version_t want_version;
    watch_t want_watch; /* its end is noticed while nothing is sent */
    runnable_t want_news;
    sched_alarm_t again;    /* then all that has no answer is asked for again */
    uint32_t again_ms;      /* how long that waits */
    uint32_t asked_count;   /* wants sent to it: those sent earlier have the higher priority */
    bool is_sending;        /* the sender task is alive */
    stream_t *block_stream; /* used by who is in block_gate */
    bitswap_version_t block_version;
    gate_t block_gate;
    bool is_slow; /* its last turn took long */
} bs_peer_t;

/* A block on its way from a stream to the store. */
typedef struct arrival {
    list_t node;
    block_t *block;
    bs_peer_t *from;
    cid_t cid; /* what its bytes hash to */
    err_t err;
    uint64_t sessions[4]; /* serials of those that wanted it */
    size_t n_sessions;
} arrival_t;

typedef struct inbound {
    list_t node;
    stream_t *stream;
} inbound_t;

struct bitswap_session {
    blocks_t view;
    list_t node;
    bitswap_t *b;
    uint64_t serial;
    want_session_t *wants;
    map_t cache; /* multihash -> block_t, prefetched */
    size_t cache_bytes;
    size_t block_bytes; /* the largest that came into the cache */
    cid_t *hints;       /* ring of BITSWAP_HINTS_MAX, allocated when used */
    size_t hints_at, n_hints;
    task_t *hinter;    /* the task that works on the hints; NULL: none */
    size_t waiting;    /* tasks that wait for a block of this session */
    event_t has_moved; /* a cached block was taken, or a task began to wait */
    uint32_t refs;     /* the owner and the hinter */
    bool is_closed;
    bool is_reading; /* takes blocks that are verified and not yet written */
};

/* A task that waits for a block. Lives in its frame. */
typedef struct waiter {
    list_t node;
    bitswap_session_t *session;
    block_t *block; /* the result, a reference */
    err_t err;      /* ERR_AGAIN: look into the store again */
    bool is_done;
    event_t done;
} waiter_t;

struct bitswap {
    bitswap_config_t config;
    sched_t *sched;
    group_t group;
    host_listener_t listener;
    want_manager_t *wants;
    ledger_t *ledger;
    map_t by_id; /* peer id -> bs_peer_t */
    list_t peers, sessions, inbound;
    event_t inbound_gone;
    bool is_closing;
    uint64_t serial;
    /* client */
    runnable_t pump;
    sched_alarm_t alarm;
    /* ingest */
    list_t arrived, verified, in_store; /* arrival_t */
    size_t ingest_bytes;
    bool is_unsynced; /* blocks were written since the last sync */
    event_t has_arrived, has_verified, has_room, has_written;
    uint64_t n_verified, n_written; /* blocks, since the start: they are written in the order of verifying */
    map_t storing;                  /* multihash -> arrival_t: verified, not yet written */
    map_t waiters;                  /* multihash -> list_t of waiter_t, on the heap */
    /* server */
    runnable_t serve;
    size_t serving_bytes, turns;
    bitswap_stat_t stat;
    metric_t *metric_sent, *metric_received, *metric_wants;
};

typedef struct bs_key {
    uint8_t bytes[CID_BINARY_MAX];
    bytes_t view;
} bs_key_t;
/* The multihash of a CID, the key of all maps here. */
static inline bytes_t bs_key(const cid_t *cid, bs_key_t *k)
{
    return k->view = bytes_of(k->bytes, cid_encode_multihash(cid, k->bytes));
}

/* bitswap.c */
bs_peer_t *bs_peer_ref(bs_peer_t *p);
void bs_peer_release(bs_peer_t *p);
bool bs_peer_ask(bs_peer_t *p); /* (again) a peer of the want manager; false: blocked or gone */
/* A stream to a connected peer, without dialing. */
err_t bs_open_stream(task_t *t, bs_peer_t *p, stream_t **ret_stream, bitswap_version_t *ret_version);

/* client.c */
void bs_client_init(bitswap_t *b);
void bs_client_deinit(bitswap_t *b);
void bs_pump(bitswap_t *b); /* sends what came up, soon */
void bs_client_peer_init(bs_peer_t *p);
void bs_client_peer_deinit(bs_peer_t *p);
void bs_close_want_stream(bs_peer_t *p);
/* A stream with the peer, who may stay connected, has ended before its time. */
void bs_stream_lost(bs_peer_t *p);

/* ingest.c */
err_t bs_ingest_start(bitswap_t *b);
void bs_ingest_stop(bitswap_t *b); /* drops what is under way; its tasks have ended */
/* Takes the block. Waits while too much is under way. */
err_t bs_ingest(task_t *t, bs_peer_t *from, block_t *block);

/* server.c */
void bs_server_init(bitswap_t *b);
void bs_server_deinit(bitswap_t *b);
void bs_serve(bitswap_t *b); /* gives turns, soon */

/* session.c */
bitswap_session_t *bs_session_find(bitswap_t *b, uint64_t serial);
/* The block of an arrival is verified: for sessions that read. */
void bs_deliver_early(bitswap_t *b, const arrival_t *a);
/* The block of an arrival is in the store, or could not be stored (err): for the others. */
void bs_deliver(bitswap_t *b, const arrival_t *a, err_t err);
void bs_look_again(bitswap_t *b, const cid_t *cid); /* it is in the store now */
#endif
