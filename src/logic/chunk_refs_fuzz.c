/* Against counters in an array: counts agree, and what is given out is needed by nobody. */
#include "logic/chunk_refs.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CHUNKS = 256, MAX_CHUNKS = 200, MAX_DUE = 100 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    chunk_refs_config_t c;
    chunk_refs_config_default(&c);
    c.max_chunks = MAX_CHUNKS;
    c.max_due = MAX_DUE;
    chunk_refs_t *r = chunk_refs_new(&c);
    uint32_t counts[CHUNKS] = {0};
    uint64_t now = 0;
    for (size_t i = 0; i + 2 <= size; i += 2) {
        uint8_t digest[32] = {data[i + 1]};
        cid_t chunk = cid_of_sha256(1, CODEC_RAW, digest), got;
        uint32_t *count = &counts[data[i + 1]];
        switch (data[i] % 4) {
        case 0:
        case 1:
            *count += !chunk_refs_add(r, &chunk);
            break;
        case 2:
            if (chunk_refs_drop(r, &chunk, now) && chunk_refs_stat(r).due != MAX_DUE)
                abort();
            *count -= *count > 0;
            break;
        default:
            now += (uint64_t)data[i + 1] * 1000;
        }
        while (chunk_refs_next(r, now, &got))
            if (counts[got.digest[0]])
                abort();
        if (chunk_refs_deadline_ms(r) <= now || chunk_refs_count(r, &chunk) != *count ||
            chunk_refs_stat(r).chunks > MAX_CHUNKS)
            abort();
    }
    for (size_t i = 0; i < CHUNKS; i++) {
        uint8_t digest[32] = {(uint8_t)i};
        cid_t chunk = cid_of_sha256(1, CODEC_RAW, digest);
        if (chunk_refs_count(r, &chunk) != counts[i])
            abort();
    }
    chunk_refs_free(r);
    return 0;
}
