/* Any order of answers, failures and time-outs, whatever the answers claim: the lookup ends within its
 * budget of requests, remembers no more peers than allowed and never asks anybody twice. */
#include "logic/lookup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_REQUESTS = 40, MAX_PEERS = 24 };

static peer_id_t peer_of(uint16_t n)
{
    return (peer_id_t){.len = 34, .data = {0x12, 32, (uint8_t)n, (uint8_t)(n >> 8)}};
}

typedef struct input {
    const uint8_t *data;
    size_t left;
    uint8_t last;
} input_t;

/* Goes on for ever, so that a lookup that does not end is seen. */
static uint8_t next_byte(input_t *in)
{
    if (!in->left)
        return in->last = (uint8_t)(in->last * 5 + 3);
    in->left--;
    return in->last = *in->data++;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    input_t in = {data, size, 0};
    lookup_config_t config;
    lookup_config_default(&config);
    config.k = 6;
    config.alpha = 3;
    config.max_peers = MAX_PEERS;
    config.max_requests = MAX_REQUESTS;
    config.peer_timeout_ms = 100;
    config.has_follow_up = next_byte(&in) & 1;
    peer_id_t self = peer_of(0), asked[MAX_REQUESTS], list[40];
    kad_key_t target = kad_key_of(bytes_of(&in.last, 1));
    lookup_t l;
    lookup_init(&l, &config, &target, &self);
    for (size_t i = 0; i < 5; i++)
        list[i] = peer_of(next_byte(&in));
    lookup_start(&l, list, 5);
    size_t n_asked = 0, rounds = 0;
    uint64_t now_ms = 0;
    lookup_event_t e = {.kind = LOOKUP_EVENT_ASK};
    while (e.kind != LOOKUP_EVENT_DONE) {
        while (e.kind != LOOKUP_EVENT_DONE && lookup_next_event(&l, now_ms, &e)) {
            if (e.kind != LOOKUP_EVENT_ASK)
                break;
            assert(n_asked < MAX_REQUESTS && !peer_id_equal(&e.peer, &self));
            for (size_t i = 0; i < n_asked; i++)
                assert(!peer_id_equal(&asked[i], &e.peer));
            asked[n_asked++] = e.peer;
            assert(l.n_waiting <= config.alpha);
        }
        assert(l.count <= MAX_PEERS);
        if (e.kind == LOOKUP_EVENT_DONE || !n_asked)
            continue;
        const peer_id_t *who = &asked[next_byte(&in) % n_asked];
        uint8_t what = next_byte(&in);
        if (what % 4 == 0) {
            lookup_fail(&l, who);
        } else if (what % 4 == 1 || ++rounds > 2000) {
            uint64_t at = lookup_deadline_ms(&l);
            if (at != UINT64_MAX)
                now_ms = at;
            lookup_tick(&l, now_ms);
        } else {
            size_t n = what % ARRAY_LEN(list);
            for (size_t i = 0; i < n; i++)
                list[i] = peer_of((uint16_t)(next_byte(&in) | next_byte(&in) << 8));
            lookup_answer(&l, who, list, n);
            if (n)
                lookup_claim_group(&l, &list[0], what & 0x40);
            lookup_set_group(&l, who, what & 0x80);
        }
        if (what == 0xff)
            lookup_stop(&l);
    }
    assert(!lookup_next_event(&l, now_ms, &e));
    lookup_deinit(&l);
    return 0;
}
