/* Whatever lookups claim to have found: a region ends within its bounds, the parts that it asks for are
 * disjoint from what it knows, and its answers are the closest of the peers that it has. The state of a sweep
 * is read from any bytes. */
#include "logic/sweep.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct input {
    const uint8_t *data;
    size_t left;
} input_t;

static uint8_t next_byte(input_t *in)
{
    if (!in->left)
        return 0;
    in->left--;
    return *in->data++;
}

static peer_id_t next_peer(input_t *in)
{
    return (peer_id_t){.len = 34, .data = {0x12, 32, next_byte(in)}};
}

static void check_closest(const region_t *r, const kad_key_t *key)
{
    uint16_t out[REGION_MAX_K];
    size_t n = region_closest(r, key, out);
    assert(n == (r->n_peers < r->n_told ? r->n_peers : r->n_told));
    for (size_t i = 0; i < n; i++)
        assert(out[i] < r->n_peers);
    for (size_t i = 0; n && i < r->n_peers; i++) {
        bool is_given = false;
        for (size_t j = 0; j < n; j++)
            is_given |= out[j] == i;
        assert(is_given || kad_compare_distance(key, &r->peers[i].key, &r->peers[out[n - 1]].key) > 0);
    }
}

static void check_state(bytes_t raw)
{
    sweep_t s;
    if (!sweep_decode(&s, raw))
        return;
    uint8_t again[SWEEP_STATE_BYTES];
    sweep_resume(&s, 1000 + s.interval_ms / 2, s.began_ms / 2);
    assert(sweep_lag_ms(&s, s.began_ms / 2) <= s.interval_ms + 1);
    kad_prefix_t p = {s.at, 3};
    sweep_passed(&s, &p, 1, 1, s.began_ms);
    sweep_encode(&s, again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_state(bytes_of(data, size));
    input_t in = {data, size};
    region_config_t config = {.k = 1 + next_byte(&in) % 6, .max_peers = 40, .max_lookups = 12};
    region_t r;
    region_init(&r, &config);
    kad_prefix_t next = {.key = kad_key_of(bytes_of(data, size)), .len = 0};
    kad_key_t first = next.key;
    do {
        peer_id_t found[8];
        size_t n = 1 + next_byte(&in) % 8;
        for (size_t i = 0; i < n; i++)
            found[i] = next_peer(&in);
        uint8_t what = next_byte(&in);
        if (!r.is_started) {
            region_start(&r, &next.key, found, n, what == 1);
            if (what == 2)
                region_widen(&r, next_byte(&in) % 8);
        } else if (what % 8 == 2)
            region_failed(&r, &next);
        else
            region_found(&r, &next.key, found, n, what == 1);
        assert(r.n_peers <= config.max_peers && r.n_todo <= REGION_TODO_MAX);
        for (size_t i = 0; i < r.n_todo; i++)
            for (size_t j = 0; j < i; j++)
                assert(!kad_prefix_has(&r.todo[i], &r.todo[j].key) &&
                       !kad_prefix_has(&r.todo[j], &r.todo[i].key));
    } while (region_next_target(&r, &next) && r.n_lookups <= config.max_lookups);
    assert(r.n_lookups <= config.max_lookups && kad_prefix_has(&r.prefix, &first));
    check_closest(&r, &first);
    region_deinit(&r);
    return 0;
}
