/* sweep: when what is to be announced, as an engine. A hand goes once around the key space in each interval;
 * what it passes is due. The sweep follows the hand region by region in the order of keys, so that work is
 * even over the interval, each key comes once in each round, and one number, how far it came, is all that a
 * restart needs to know.
 *
 *   hand(now) = (now - began) / interval      of the key space
 *   lag       = now - the time at which the hand was where the sweep is; 0 when the sweep is ahead
 *
 * While it lags the sweep does not pause. A lag above one interval says no more than that everything is
 * overdue, so it is cut to one interval: what is announced now is due an interval later, not twice.
 * A new sweep is one whole interval late. What went out in a hurry is spread over the interval by the round
 * that follows: that one begins no sooner than an eighth of the interval after the hurried one did, so that
 * the first keys do not go out twice in a row; so some records get nine eighths of the interval old, once.
 *
 * Times are wall-clock milliseconds: the hand goes on while the node is off. A clock that was set back to
 * before the round began makes the sweep begin its interval anew where it stands. */
#ifndef LOGIC_SWEEP_H
#define LOGIC_SWEEP_H
#include "logic/region.h"

enum { SWEEP_STATE_BYTES = 1 + 8 + 8 + KAD_KEY_BYTES + 1 };
typedef struct sweep_figures {
    uint64_t regions, keys, busy_ms; /* regions visited, keys announced, time that it took */
    double space;                    /* the share of the key space that was passed: 1 is all */
} sweep_figures_t;
typedef struct sweep {
    uint64_t interval_ms, began_ms; /* when the hand stood at the beginning of the key space */
    kad_key_t at;                   /* what lies before it is done in this round */
    bool has_done_round;            /* everything has been announced once */
    uint64_t round_at_ms;           /* when the first region of this round was visited; 0: not known */
    sweep_figures_t round, last;    /* of this round so far, and of the one before */
} sweep_t;

void sweep_init(sweep_t *s, uint64_t interval_ms, uint64_t now_ms); /* a new one */
/* What a restart needs, as bytes. decode: false when they are none of ours. After decode call sweep_resume.
 */
void sweep_encode(const sweep_t *s, uint8_t out[SWEEP_STATE_BYTES]);
bool sweep_decode(sweep_t *s, bytes_t in);
/* After a restart, a pause, or a change of the interval or of the clock. */
void sweep_resume(sweep_t *s, uint64_t interval_ms, uint64_t now_ms);
/* Everything is due now: much was added that was not announced. */
void sweep_hurry(sweep_t *s, uint64_t now_ms);

/* When a key at or behind the sweep's place is due in this round. */
uint64_t sweep_due_ms(const sweep_t *s, const kad_key_t *key);
uint64_t sweep_round_end_ms(const sweep_t *s); /* when the next round begins */
uint64_t sweep_lag_ms(const sweep_t *s, uint64_t now_ms);
/* All up to the end of the prefix is done (which lies at or behind the sweep's place), with so many keys, in
 * so much time before now. True: the round is over; the next one begins. */
bool sweep_passed(sweep_t *s, const kad_prefix_t *prefix, size_t n_keys, uint64_t busy_ms, uint64_t now_ms);
void sweep_end_round(sweep_t *s); /* no key is left in this round */

/* How long a whole round takes at the speed that was measured; 0: not known yet. */
uint64_t sweep_forecast_ms(const sweep_t *s);
#endif
