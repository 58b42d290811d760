/* Any addresses, and any order in which dials fail: each address is dialed once, no more at a time than
 * allowed, relays last but for time, and the race ends when all have failed. Each byte of the first half is
 * an address, each of the second half time that passes and whether a dial fails then. */
#include "logic/dial_race.h"
#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CHOICES_MAX = 32 };
typedef struct play {
    dial_race_t race;
    bool was_dialed[CHOICES_MAX];
    dial_choice_t running[DIAL_PARALLEL_MAX];
    size_t n_running, n_dialed;
    uint64_t now_ms;
} play_t;

static void start_due(play_t *p)
{
    for (dial_choice_t c; dial_race_next(&p->race, p->now_ms, &c);) {
        assert(!p->was_dialed[c.index] && p->n_running < DIAL_PARALLEL_MAX);
        p->was_dialed[c.index] = true;
        p->running[p->n_running++] = c;
        p->n_dialed++;
    }
    assert(dial_race_deadline_ms(&p->race) > p->now_ms);
}

static void fail_one(play_t *p, size_t which)
{
    if (!p->n_running)
        return;
    dial_choice_t failed = p->running[which % p->n_running];
    p->running[which % p->n_running] = p->running[p->n_running - 1];
    p->n_running--;
    dial_race_failed(&p->race, failed.place, p->now_ms);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    dial_choice_t choices[CHOICES_MAX];
    size_t n = size / 2 < CHOICES_MAX ? size / 2 : CHOICES_MAX;
    for (size_t i = 0; i < n; i++)
        choices[i] = (dial_choice_t){i, (dial_place_t)(data[i] & 3),
                                     (dial_by_t)((data[i] >> 2) % (DIAL_OTHER + 1)), data[i] & 128};
    play_t p = {.now_ms = 1};
    dial_race_init(&p.race, choices, n, p.now_ms);
    start_due(&p);
    for (size_t i = n; i < size; i++) {
        p.now_ms += data[i] & 0x7f;
        if (data[i] & 128)
            fail_one(&p, i);
        start_due(&p);
    }
    while (!dial_race_is_over(&p.race)) { /* the rest fails, or becomes due */
        uint64_t due_ms = dial_race_deadline_ms(&p.race);
        if (due_ms != UINT64_MAX)
            p.now_ms = due_ms;
        else
            fail_one(&p, 0);
        start_due(&p);
    }
    assert(p.n_dialed == n && !p.n_running);
    return 0;
}
