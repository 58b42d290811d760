/* votes: what others answered to one question that they may lie about or err in: the newest word of each of
 * the last few. One alone decides nothing. An engine without time: who asks again decides when. */
#ifndef LOGIC_VOTES_H
#define LOGIC_VOTES_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { VOTES_MAX = 5, VOTES_LEAD = 2 };
typedef struct votes {
    struct {
        uint64_t who; /* who shares interests is one: a network, not an address */
        bool is_yes;
    } items[VOTES_MAX]; /* oldest first */
    size_t n;
} votes_t;
typedef enum { VOTES_OPEN, VOTES_YES, VOTES_NO } votes_verdict_t;

void votes_add(votes_t *v, uint64_t who, bool is_yes);
/* The side that leads by VOTES_LEAD. */
votes_verdict_t votes_verdict(const votes_t *v);
#endif
