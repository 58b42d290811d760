/* Any split of the input gives the same states, proposals and output, for both roles. */
#include "wire/multistream.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const names[] = {"/noise", "/yamux/1.0.0"};

typedef struct transcript {
    multistream_state_t state;
    size_t used, said_len;
    uint8_t said[16384];
} transcript_t;

static void drain(multistream_t *m, transcript_t *t)
{
    bytes_t out = multistream_output(m);
    if (t->said_len + out.len <= sizeof t->said) {
        memcpy(t->said + t->said_len, out.data, out.len);
        t->said_len += out.len;
    }
    multistream_output_sent(m, out.len);
}

static void run(bool is_listener, const uint8_t *data, size_t size, size_t step, transcript_t *t)
{
    multistream_t m;
    *t = (transcript_t){0};
    if (is_listener)
        multistream_init_listener(&m);
    else
        multistream_init_dialer(&m, names, 2);
    while (t->used < size && (m.state == MULTISTREAM_BUSY || m.state == MULTISTREAM_PROPOSED)) {
        drain(&m, t);
        size_t used, n = size - t->used < step ? size - t->used : step;
        err_t e = multistream_feed(&m, bytes_of(data + t->used, n), &used);
        assert(e || used || m.state != MULTISTREAM_BUSY);
        t->used += used;
        if (m.state == MULTISTREAM_PROPOSED) {
            bytes_t p = multistream_proposal(&m);
            if (p.len && p.len <= MULTISTREAM_NAME_MAX && p.data[0] == '/')
                multistream_accept(&m);
            else
                multistream_refuse(&m);
        }
    }
    drain(&m, t);
    t->state = m.state;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static transcript_t whole, split;
    for (int is_listener = 0; is_listener < 2; is_listener++) {
        run(is_listener, data, size, size ? size : 1, &whole);
        for (size_t step = 1; step <= 7; step += 3) {
            run(is_listener, data, size, step, &split);
            assert(split.state == whole.state && split.used == whole.used);
            assert(bytes_equal(bytes_of(split.said, split.said_len), bytes_of(whole.said, whole.said_len)));
        }
    }
    return 0;
}
