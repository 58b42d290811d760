#include "net/host_internal.h"
#include <stdio.h>

static traffic_t *find(const host_t *h, const char *protocol)
{
    for (size_t i = 0; i < h->n_traffic; i++)
        if (!strcmp(h->traffic[i].protocol, protocol))
            return &h->traffic[i];
    return NULL;
}

static traffic_t *slot_of(host_t *h, const char *protocol)
{
    traffic_t *slot = find(h, protocol);
    if (slot)
        return slot;
    if (!h->traffic)
        h->traffic = xcalloc(TRAFFIC_MAX, sizeof *h->traffic);
    if (h->n_traffic == TRAFFIC_MAX)
        return NULL;
    slot = &h->traffic[h->n_traffic++];
    snprintf(slot->protocol, sizeof slot->protocol, "%s", protocol);
    return slot;
}

void traffic_count(conn_stream_t *s, size_t in, size_t out)
{
    if (!s->traffic && *s->protocol)
        s->traffic = slot_of(s->conn->host, s->protocol);
    if (!s->is_upkeep)
        s->conn->moved_ms = sched_now_ms(s->conn->host->sched);
    if (!s->traffic)
        return;
    s->traffic->in += in;
    s->traffic->out += out;
}

void host_protocol_bytes(const host_t *h, const char *protocol, uint64_t *ret_in, uint64_t *ret_out)
{
    const traffic_t *slot = find(h, protocol);
    *ret_in = slot ? slot->in : 0;
    *ret_out = slot ? slot->out : 0;
}
