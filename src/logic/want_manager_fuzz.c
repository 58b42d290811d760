/* Any sequence of events: the limits hold, peers are only told what they understand, and when all sessions
 * are closed nothing is wanted any more. Each four bytes are an event. */
#include "logic/want_manager.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PEERS = 6, SESSIONS = 3 };
typedef struct state {
    want_manager_t *m;
    want_peer_t *peers[PEERS];
    want_session_t *sessions[SESSIONS], *searching;
    uint64_t now_ms;
} state_t;

static cid_t numbered(uint8_t i)
{
    return (cid_t){
        .version = 1, .codec = CODEC_RAW, .hash_code = MH_SHA2_256, .digest_len = 32, .digest = {i}};
}

static peer_id_t peer_id(size_t n)
{
    return (peer_id_t){.len = 34, .data = {(uint8_t)n}};
}

static void send_all(state_t *s)
{
    want_entry_t entries[3];
    for (want_peer_t *p; (p = want_manager_next_send(s->m));) {
        bool is_old = want_peer_id(p)->data[0] & 1;
        for (size_t n = want_peer_take_entries(s->m, p, entries, 3); n--;)
            if (is_old && (entries[n].kind == WANT_ENTRY_HAVE || entries[n].send_dont_have))
                abort();
    }
    want_peer_t *blocked;
    while (want_manager_next_blocked(s->m, &blocked)) {
        s->peers[want_peer_id(blocked)->data[0]] = NULL;
        want_manager_disconnected(s->m, blocked, s->now_ms);
    }
}

static void step(state_t *s, const uint8_t *in)
{
    size_t n = in[1] % PEERS, k = in[1] % SESSIONS;
    cid_t c = numbered(in[2]);
    peer_id_t id = peer_id(n);
    switch (in[0] % 12) {
    case 0:
        s->peers[n] = want_manager_connected(s->m, &id, !(n & 1), in[2], s->now_ms);
        break;
    case 1:
        if (s->peers[n])
            want_manager_disconnected(s->m, s->peers[n], s->now_ms);
        s->peers[n] = NULL;
        break;
    case 2:
    case 3:
        if (s->sessions[k] && want_session_want(s->m, s->sessions[k], &c, in[3] & 1, s->now_ms) == OK &&
            !want_manager_wants(s->m, &c))
            abort();
        break;
    case 4:
        if (s->sessions[k])
            want_session_cancel(s->m, s->sessions[k], &c, s->now_ms);
        break;
    case 5:
        if (s->peers[n])
            want_manager_presence(s->m, s->peers[n], &c, in[3] & 1, s->now_ms);
        if (s->peers[n] && in[3] & 2)
            want_manager_ask_again(s->m, s->peers[n], s->now_ms);
        break;
    case 6:
    case 7:
        if (s->peers[n])
            want_manager_block(s->m, s->peers[n], &c, (size_t)in[3] << 13, s->now_ms);
        break;
    case 8:
        s->now_ms += (uint64_t)in[3] << (in[2] % 10);
        break;
    case 9:
        if (s->sessions[k] && s->sessions[k] != s->searching) {
            want_session_close(s->m, s->sessions[k], s->now_ms);
            s->sessions[k] = NULL;
        } else if (!s->sessions[k]) {
            s->sessions[k] = want_session_open(s->m, s->now_ms);
        }
        break;
    case 10:
        if (s->sessions[k])
            want_session_add_peer(s->m, s->sessions[k], &id, s->now_ms);
        break;
    default:
        if (!s->searching)
            (void)!want_manager_next_search(s->m, &s->searching, &c);
        else if (in[3] & 1) {
            want_session_search_done(s->m, s->searching, s->now_ms);
            s->searching = NULL;
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    want_limits_t limits;
    want_limits_default(&limits);
    limits.max_wants = 100;
    limits.max_seeking = 8;
    limits.max_session_bytes = 4u << 20;
    state_t s = {.m = want_manager_new(&limits), .now_ms = 1000};
    s.sessions[0] = want_session_open(s.m, 0);
    for (size_t i = 0; i + 4 <= size; i += 4) {
        step(&s, data + i);
        for (int rounds = 0; want_manager_deadline_ms(s.m) <= s.now_ms; rounds++) {
            if (rounds > 100)
                abort(); /* it would spin */
            want_manager_tick(s.m, s.now_ms);
        }
        send_all(&s);
        if (want_manager_count(s.m) > limits.max_wants)
            abort();
    }
    for (size_t k = 0; k < SESSIONS; k++)
        if (s.sessions[k])
            want_session_close(s.m, s.sessions[k], s.now_ms);
    if (want_manager_count(s.m))
        abort();
    want_manager_free(s.m);
    return 0;
}
