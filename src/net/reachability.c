/* reachability: what is known about whether others can dial this node. */
#include "net/host_internal.h"

reachability_t host_reachability(const host_t *h)
{
    return h->forced ? h->forced : h->found;
}

const char *reachability_name(reachability_t r)
{
    static const char *const names[] = {"Unknown", "Public", "Private"};
    return names[r];
}

static void set(host_t *h, reachability_t *which, reachability_t r)
{
    reachability_t before = host_reachability(h);
    *which = r;
    if (host_reachability(h) == before)
        return;
    host_tell_reachability_changed(h);
    host_tell_addrs_changed(h);
}

void reachability_found(host_t *h, reachability_t r)
{
    set(h, &h->found, r);
}

void host_force_reachability(host_t *h, reachability_t r)
{
    set(h, &h->forced, r);
}
