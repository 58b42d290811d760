/* A peer with fixed keys takes the input as its handshake and frames. Whatever comes: no split changes the
 * result, nothing but the recorded handshake opens a channel, a failed one stays failed. First byte: role. */
#include "wire/noise.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct result {
    noise_state_t state;
    size_t used, said;
    uint64_t opened;
} result_t;

static void run(const private_key_t *key, const uint8_t *data, size_t size, size_t step, result_t *ret)
{
    noise_config_t c = {.is_initiator = data[0] & 1, .identity = key};
    memset(c.static_secret, c.is_initiator ? 0x11 : 0x22, 32);
    memset(c.ephemeral_secret, c.is_initiator ? 0x33 : 0x44, 32);
    noise_t n;
    if (noise_init(&n, &c))
        abort();
    uint8_t *in = xmalloc(size);
    memcpy(in, data, size);
    *ret = (result_t){.used = 1};
    for (size_t end = 1; end < size && n.state != NOISE_FAILED;) {
        end = end + step < size ? end + step : size;
        for (size_t used = 1; used && n.state != NOISE_FAILED;) {
            bytes_t plain;
            used = 0;
            if (!noise_feed(&n, in + ret->used, end - ret->used, &used, &plain))
                ret->opened += plain.len;
            ret->used += used;
            assert(ret->used <= end);
        }
    }
    ret->state = n.state;
    ret->said = noise_output(&n).len;
    assert(ret->said <= NOISE_HANDSHAKE_MAX);
    noise_deinit(&n);
    free(in);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static private_key_t *keys[2];
    for (int i = 0; i < 2; i++)
        if (!keys[i]) {
            uint8_t seed[32];
            memset(seed, i + 1, sizeof seed);
            if (private_key_generate(KEY_ED25519, seed, 0, &keys[i]))
                abort();
        }
    if (!size)
        return 0;
    result_t whole, split;
    run(keys[!(data[0] & 1)], data, size, size, &whole);
    for (size_t step = 1; step < 200; step += 61) {
        run(keys[!(data[0] & 1)], data, size, step, &split);
        assert(split.state == whole.state && split.used == whole.used && split.opened == whole.opened &&
               split.said == whole.said);
    }
    return 0;
}
