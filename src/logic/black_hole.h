/* black_hole: does a kind of traffic (UDP, IPv6) get anywhere from this machine? An engine that counts how
 * dials ended: many networks drop such packets without a word, and each dial into them costs its whole
 * time-out.
 *
 *   PROBING ── N results, MIN_OK of them good ──> ALLOWED <──> BLOCKED    by the last N results
 *      ^                                                         │
 *      └────────────────────── one good result ──────────────────┘
 *
 * While BLOCKED, one dial in N is let through, to notice when it changes. As go-libp2p 0.48 has it
 * (p2p/net/swarm/black_hole_detector.go). */
#ifndef LOGIC_BLACK_HOLE_H
#define LOGIC_BLACK_HOLE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BLACK_HOLE_N = 100, BLACK_HOLE_MIN_OK = 5 };
typedef enum { BLACK_HOLE_PROBING, BLACK_HOLE_ALLOWED, BLACK_HOLE_BLOCKED } black_hole_state_t;
typedef struct black_hole {
    black_hole_state_t state;
    bool results[BLACK_HOLE_N]; /* a ring */
    size_t n, next, n_ok;
    uint64_t requests;
} black_hole_t; /* all zero: nothing is known */

/* What holds for a peer that is to be dialed now. Counts: one call for each such peer. */
black_hole_state_t black_hole_ask(black_hole_t *b);
/* How the dial of one address ended. */
void black_hole_record(black_hole_t *b, bool is_ok);
/* After how many more peers one is let through; 0: each is. */
size_t black_hole_next_after(const black_hole_t *b);
double black_hole_ok_share(const black_hole_t *b); /* 0 to 1, of the results that count */
#endif
