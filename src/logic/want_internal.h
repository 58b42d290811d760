/* want_internal: the structs of the want manager, shared by want_manager.c (events in and out) and
 * want_schedule.c (who is asked, stalls, broadcasts). */
#ifndef LOGIC_WANT_INTERNAL_H
#define LOGIC_WANT_INTERNAL_H
#include "logic/want_manager.h"

enum {
    WANT_FIRST_BLOCK_BYTES = 256 << 10, /* assumed before the session has seen a block */
    WANT_WINDOW_FIRST = 1 << 20,
    WANT_WINDOW_MIN = 512 << 10,
    WANT_WINDOW_MAX = 16 << 20,
    WANT_FAST_MS = 500,  /* an answer within this lets the window grow */
    WANT_SLOW_MS = 2000, /* one that took longer halves it */
    WANT_STALL_MIN_MS = 1500,
    WANT_STALL_MAX_MS = 10000,
    WANT_STALL_FIRST_MS = 3000,
    WANT_FORGOTTEN_MS = 30000,  /* asked for so long while other blocks came: the peer dropped it */
    WANT_STALL_REST_MS = 10000, /* times strikes: then a stalled peer is tried once more */
    WANT_STEAL_MIN_MS = 1000,
    WANT_STEAL_EACH_MS = 250,
    WANT_STRIKES_MAX = 3,
    WANT_REFUSALS_MAX = 16, /* DONT_HAVEs in a row: the peer leaves the session */
    WANT_RECENT = 4096,     /* finished wants remembered, to tell duplicates from unasked blocks */
    WANT_BLOCKED_MAX = 64,
    WANT_CANCELS_MAX = 4096, /* waiting per peer */
};

typedef enum { WANT_QUEUED, WANT_ASKED, WANT_SEEKING } want_state_t;

typedef struct want {
    cid_t cid;
    want_state_t state;
    list_t node; /* in the owner's queue or seeking list, or in the asked list of the peer */
    want_session_t *owner;
    want_session_t **others; /* further sessions that want it */
    size_t n_others;
    list_t facts;
    struct want_fact *asked; /* state ASKED: whom */
    size_t asked_bytes;      /* what it counts for while asked: the size is not known */
    uint64_t asked_ms, seeking_ms, broadcast_ms;
    bool is_urgent;
} want_t;

typedef enum {
    FACT_ASKED_HAVE,  /* a broadcast without an answer so far */
    FACT_HAS,         /* said HAVE */
    FACT_HAS_NOT,     /* said DONT_HAVE */
    FACT_ASKED_BLOCK, /* want->asked is this one */
    FACT_SLOW,        /* asked for the block, but stalled or forgot it */
} fact_state_t;

/* What is known between one want and one peer. */
typedef struct want_fact {
    list_t in_want, in_peer, in_outbox;
    want_t *want;
    want_peer_t *peer;
    fact_state_t state;
    bool is_block_due; /* in the outbox: as want-block, else as want-have */
    bool is_have_sent, is_block_sent;
} want_fact_t;

typedef struct want_cancel {
    list_t node;
    cid_t cid;
} want_cancel_t;

struct want_peer {
    list_t node;  /* in manager->peers */
    list_t ready; /* in manager->ready */
    peer_id_t id;
    void *user;
    bool speaks_have, is_blocked, is_blocked_told, is_stalled;
    uint32_t latency_ms, answer_ms; /* smoothed time from asking to receiving; 0: none yet */
    size_t window_bytes, asked_bytes, n_asked;
    uint64_t progress_ms, shrunk_ms, stalled_ms;
    uint32_t strikes;
    list_t asked, facts, outbox, cancels;
    size_t n_cancels;
};

typedef struct session_peer {
    list_t node;
    want_peer_t *peer;
    uint32_t refusals; /* DONT_HAVEs since its last block */
} session_peer_t;
/* Blocks by peer, kept after the peer left. */
typedef struct session_score {
    peer_id_t id;
    uint64_t blocks;
} session_score_t;

struct want_session {
    list_t node;
    void *user;
    list_t peers, queue, seeking;
    size_t n_wants, n_asked, n_seeking, asked_bytes;
    size_t block_bytes; /* smoothed size of its blocks */
    session_score_t scores[8];
    bool is_searching, is_search_due;
    uint64_t search_at_ms;   /* UINT64_MAX: none planned */
    uint64_t search_hold_ms; /* no search before: the last one did not help */
    uint32_t search_again_ms;
};

typedef struct blocked_peer {
    peer_id_t id;
    uint64_t until_ms;
} blocked_peer_t;

struct want_manager {
    want_limits_t limits;
    map_t wants; /* multihash -> want_t */
    list_t sessions, peers, ready;
    uint64_t deadline_ms;
    uint64_t recent[WANT_RECENT]; /* hashes of multihashes */
    size_t recent_at;
    blocked_peer_t blocked[WANT_BLOCKED_MAX];
    size_t blocked_at;
};

/* want_manager.c */
want_fact_t *want_fact_get(want_t *w, want_peer_t *p); /* NULL: nothing known */
want_fact_t *want_fact_make(want_t *w, want_peer_t *p);
void want_fact_drop(want_manager_t *m, want_fact_t *f, bool with_cancel);
void want_fact_unsend(want_manager_t *m, want_fact_t *f); /* takes it out of the outbox, or cancels */
void want_fact_send(want_manager_t *m, want_fact_t *f, bool block);
session_peer_t *want_session_peer(want_session_t *s, want_peer_t *p);
session_peer_t *want_session_join(want_session_t *s, want_peer_t *p);
void want_block_peer(want_manager_t *m, want_peer_t *p, uint64_t now_ms);
void want_due(want_manager_t *m, uint64_t at_ms); /* tick no later than that */

/* want_schedule.c */
void want_enqueue(want_t *w, bool at_front); /* from any state; unasks */
void want_leave_lists(want_t *w);
void want_schedule(want_manager_t *m, want_session_t *s, uint64_t now_ms);
void want_schedule_all(want_manager_t *m, uint64_t now_ms);
void want_peer_alive(want_manager_t *m, want_peer_t *p, uint64_t now_ms);
void want_broadcast_to(want_manager_t *m, want_peer_t *p,
                       uint64_t now_ms); /* a peer that has just connected */
void want_plan_search(want_manager_t *m, want_session_t *s, uint64_t at_ms);
bool want_all_said_no(const want_t *w);
#endif
