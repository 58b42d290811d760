/* dial_race: in which order the addresses of one peer are dialed, and when the next one is due, as an engine.
 *
 * There are three lanes beside each other, so that dead addresses of one kind hold up no other: machines and
 * networks nearby, the public network, relays. Within a lane one address follows the other after DIAL_GAP_MS,
 * or at once when one of the lane has failed; address families take turns, IPv6 first (RFC 8305). Relays wait
 * DIAL_RELAY_MS while there is another way, or until all others have failed.
 *   nearby: loopback, then private networks; TCP, QUIC, what has more around it (WebSocket)
 *   public: QUIC, TCP, what has more around it
 * Prior art: go-libp2p 0.48, p2p/net/swarm/dial_ranker.go. */
#ifndef LOGIC_DIAL_RACE_H
#define LOGIC_DIAL_RACE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DIAL_GAP_MS = 250, DIAL_RELAY_MS = 500, DIAL_PARALLEL_MAX = 8 };
typedef enum { DIAL_LOOPBACK, DIAL_PRIVATE, DIAL_PUBLIC, DIAL_RELAY } dial_place_t;
typedef enum { DIAL_TCP, DIAL_QUIC, DIAL_OTHER } dial_by_t;
typedef struct dial_choice {
    size_t index; /* the caller's */
    dial_place_t place;
    dial_by_t by;
    bool is_ip6;
} dial_choice_t;

enum { DIAL_LANES = 3 };
typedef struct dial_race {
    const dial_choice_t *choices;
    size_t n_running;
    struct {
        size_t next, end, n_running;
        uint64_t due_ms;
    } lanes[DIAL_LANES];
} dial_race_t;
/* Brings the choices, which it keeps until the race is over, into their order. */
void dial_race_init(dial_race_t *r, dial_choice_t *choices, size_t n, uint64_t now_ms);
/* One that is to be dialed now; counts as running until dial_race_failed. */
bool dial_race_next(dial_race_t *r, uint64_t now_ms, dial_choice_t *ret);
void dial_race_failed(dial_race_t *r, dial_place_t place, uint64_t now_ms);
/* When to ask again unless one fails before; UINT64_MAX: nothing is left, or too many run. */
uint64_t dial_race_deadline_ms(const dial_race_t *r);
bool dial_race_is_over(const dial_race_t *r); /* all have failed */
#endif
