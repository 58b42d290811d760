#include "logic/placement.h"
#include "base/map.h"

enum {
    FREE_ONE_LOG2 = 36, /* weight 1 */
    FREE_STEPS = 4,     /* doublings and halvings from there */
    SLOW_MS = 150,
    VERY_SLOW_MS = 400,
    SIZE_UNKNOWN_BYTES = 256 << 10,
};

uint64_t placement_zone(bytes_t label)
{
    static const uint8_t fixed[16] = "placement-zone1";
    if (!label.len)
        return 0;
    uint64_t zone = siphash24(fixed, label);
    return zone ? zone : 1;
}

bool placement_fits(const placement_peer_t *p, uint64_t size_bytes)
{
    if (p->free_bytes == PLACEMENT_FREE_UNKNOWN)
        return true;
    return p->free_bytes - p->free_bytes / 20 >= (size_bytes ? size_bytes : SIZE_UNKNOWN_BYTES);
}

double placement_weight(const placement_peer_t *p)
{
    double weight = 1;
    if (p->free_bytes != PLACEMENT_FREE_UNKNOWN) {
        int log2 = p->free_bytes ? 63 - __builtin_clzll(p->free_bytes) : 0;
        for (int step = log2; step > FREE_ONE_LOG2 && weight < 1 << FREE_STEPS; step--)
            weight *= 2;
        for (int step = log2; step < FREE_ONE_LOG2 && weight > 1.0 / (1 << FREE_STEPS); step++)
            weight /= 2;
    }
    if (p->latency_ms >= VERY_SLOW_MS)
        weight /= 4;
    else if (p->latency_ms >= SLOW_MS)
        weight /= 2;
    return weight;
}

double placement_cost(const kad_key_t *root, const kad_key_t *peer, const placement_peer_t *p)
{
    uint64_t distance = 0;
    for (size_t i = 0; i < sizeof distance; i++)
        distance = distance << 8 | (root->data[i] ^ peer->data[i]);
    return (double)distance / 0x1p64 / placement_weight(p);
}
