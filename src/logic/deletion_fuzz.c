/* Any order of deletions, receipts, answers, comings and goings: limits hold, nobody is told whose receipt is
 * there or who is away, nobody twice at a time, and the figures are those of a simple model. */
#include "logic/deletion.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ROOTS = 5, PEERS = 70, UNDER_WAY = 3, MAX_ROOTS = 3 };

static cid_t root_of(uint8_t n)
{
    uint8_t digest[32] = {n % ROOTS};
    return cid_of_sha256(1, CODEC_DAG_CBOR, digest);
}

static peer_id_t peer_of(uint8_t n)
{
    return (peer_id_t){.len = 34, .data = {0x12, 0x20, n % PEERS}};
}

static void check(const deletion_t *d)
{
    size_t n_open = 0, n_known = 0;
    for (uint8_t i = 0; i < ROOTS; i++) {
        cid_t root = root_of(i);
        size_t gone = 0, holders = 0, counted = 0;
        if (!deletion_figures(d, &root, &gone, &holders))
            continue;
        deletion_holder_t h;
        for (size_t k = 0; deletion_holder_at(d, &root, k, &h); k++)
            counted += h.is_gone;
        if (counted != gone || gone > holders || holders > DELETION_HOLDERS_MAX)
            abort();
        n_known++;
        n_open += gone < holders;
    }
    if (n_open != deletion_open(d) || n_known > MAX_ROOTS)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    deletion_config_t c;
    deletion_config_default(&c);
    c.max_under_way = UNDER_WAY;
    c.max_roots = MAX_ROOTS;
    deletion_t *d = deletion_new(&c);
    bool is_down[PEERS] = {false};
    uint64_t now = 1000;
    for (size_t i = 0; i + 4 <= size; i += 4) {
        const uint8_t *in = data + i;
        cid_t root = root_of(in[1]), told;
        peer_id_t peer = peer_of(in[2]), whom, holders[4];
        for (uint8_t k = 0; k < 4; k++)
            holders[k] = peer_of((uint8_t)(in[2] + k * in[3]));
        switch (in[0] % 6) {
        case 0:
            deletion_start(d, &root, holders, in[3] % 5, now);
            break;
        case 1:
            if (deletion_receipt(d, &root, &peer, in[3], now) && deletion_receipt(d, &root, &peer, 1, now))
                abort(); /* once each */
            break;
        case 2:
            deletion_peer(d, &peer, in[3] & 1, now);
            is_down[in[2] % PEERS] = !(in[3] & 1);
            break;
        case 3:
            if (deletion_next(d, now, &told, &whom) && is_down[whom.data[2]])
                abort();
            break;
        case 4:
            deletion_told(d, &root, &peer, in[3] & 1, now);
            break;
        default:
            now += (uint64_t)in[2] << (in[3] % 16);
        }
        if (i % 128 == 0 || i + 8 > size)
            check(d);
        if (deletion_deadline_ms(d) != UINT64_MAX && deletion_deadline_ms(d) > now + c.retry_max_ms)
            abort();
    }
    deletion_free(d);
    return 0;
}
