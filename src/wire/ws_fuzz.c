/* The input is what a peer sends: a handshake and frames, or with the second bit frames alone. No split
 * changes what is understood; no more comes out than went in; answers stay bounded. First byte: role. */
#include "wire/ws.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct result {
    ws_state_t state;
    size_t used, plain, said;
    uint64_t sum;
} result_t;

static void run(const uint8_t *data, size_t size, size_t step, result_t *ret)
{
    ws_t w;
    *ret = (result_t){0};
    ws_init_server(&w);
    w.is_client = data[0] & 1;
    if (data[0] & 2)
        w.state = WS_OPEN;
    uint8_t *in = xmalloc(size);
    memcpy(in, data + 1, size - 1);
    size--;
    for (size_t end = 0; end < size && w.state != WS_FAILED;) {
        end = end + step < size ? end + step : size;
        for (size_t used = 1; used && ret->used < end;) {
            bytes_t plain = BYTES_NONE;
            used = 0;
            if (ws_feed(&w, in + ret->used, end - ret->used, &used, &plain))
                break;
            assert(used || w.state == WS_ENDED);
            for (size_t i = 0; i < plain.len; i++)
                ret->sum = ret->sum * 31 + plain.data[i];
            ret->plain += plain.len;
            ret->used += used;
        }
    }
    ret->state = w.state;
    ret->said = ws_output(&w).len;
    assert(ret->plain <= size && ret->said <= WS_OUTPUT_MAX);
    ws_deinit(&w);
    free(in);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    result_t whole, split;
    run(data, size, size, &whole);
    for (size_t step = 1; step < 100; step += 33) {
        run(data, size, step, &split);
        assert(split.state == whole.state && split.plain == whole.plain && split.sum == whole.sum &&
               split.said == whole.said);
    }
    return 0;
}
