/* Any sequence of calls: counts stay under the limits, and turns end. Each three bytes are a call. */
#include "logic/ledger.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static cid_t numbered(uint8_t i)
{
    return (cid_t){
        .version = 1, .codec = CODEC_RAW, .hash_code = MH_SHA2_256, .digest_len = 32, .digest = {i}};
}

static void serve(ledger_t *l, uint8_t how)
{
    size_t granted, sent = 0;
    ledger_peer_t *p = ledger_turn_begin(l, &granted);
    ledger_want_t w;
    if (!p)
        return;
    while (sent < granted && ledger_next_want(l, p, &w)) {
        if ((how ^ w.cid.digest[0]) & 1)
            ledger_missing(l, p, &w);
        else
            ledger_served(l, p, &w);
        sent += (size_t)how << 12;
        if (how & 2)
            ledger_have(l, &w.cid);
        if (how & 4)
            break;
    }
    ledger_turn_end(l, p, granted, sent);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ledger_limits_t limits = {
        .max_peer_wants = 16, .max_wants = 40, .max_peers = 4, .quantum_bytes = 10000, .max_peer_turns = 2};
    ledger_t *l = ledger_new(&limits);
    for (size_t i = 0; i + 3 <= size; i += 3) {
        peer_id_t id = {.len = 34, .data = {data[i] >> 5}};
        ledger_peer_t *p = ledger_connected(l, &id);
        if (!p)
            p = ledger_turn_begin(l, &(size_t){0});
        cid_t c = numbered(data[i + 1]);
        if (!p)
            continue;
        if (ledger_peer_is_busy(p))
            ledger_turn_end(l, p, 0, data[i + 1]);
        switch (data[i] & 7) {
        case 0:
        case 1:
        case 2:
            ledger_want(l, p, &c, (int8_t)data[i + 2], data[i] & 8, data[i] & 16);
            break;
        case 3:
            ledger_cancel(l, p, &c);
            break;
        case 4:
            ledger_message_begin(l, p);
            ledger_want(l, p, &c, 1, false, false);
            ledger_message_end(l, p, data[i + 2] & 1);
            break;
        case 5:
            serve(l, data[i + 2]);
            break;
        case 6:
            ledger_have(l, &c);
            break;
        default:
            ledger_disconnected(l, p);
        }
        if (ledger_count(l) > limits.max_wants)
            abort();
    }
    ledger_free(l);
    return 0;
}
