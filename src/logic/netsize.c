#include "logic/netsize.h"
#include <stdlib.h>

double kad_share(const kad_key_t *a, const kad_key_t *b)
{
    kad_key_t distance = kad_distance(a, b);
    double share = 0;
    for (size_t i = 8; i--;)
        share = (share + distance.data[i]) / 256;
    return share;
}

void netsize_init(netsize_t *s, size_t k)
{
    *s = (netsize_t){.k = k};
}

void netsize_feed(netsize_t *s, const kad_key_t *target, const peer_id_t *closest, size_t n, uint64_t now_ms)
{
    if (n < s->k)
        return;
    kad_key_t kth = kad_key_of_peer(&closest[s->k - 1]);
    s->samples[s->next].share = kad_share(target, &kth);
    s->samples[s->next].at_ms = now_ms;
    s->next = (s->next + 1) % NETSIZE_SAMPLES;
    s->n += s->n < NETSIZE_SAMPLES;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

double netsize_estimate(const netsize_t *s, uint64_t now_ms)
{
    double shares[NETSIZE_SAMPLES];
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++)
        if (now_ms - s->samples[i].at_ms <= NETSIZE_MAX_AGE_MS)
            shares[n++] = s->samples[i].share;
    if (n < NETSIZE_LEAST)
        return 0;
    qsort(shares, n, sizeof *shares, compare);
    double median = n % 2 ? shares[n / 2] : (shares[n / 2 - 1] + shares[n / 2]) / 2;
    return median > 0 ? ((double)s->k - 1.0 / 3) / median : 0; /* the median of a gamma distribution */
}
