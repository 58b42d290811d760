/* resources_metrics: the metrics of go-libp2p's resource manager, so that its dashboards work. Gauges are set
 * when they are asked for; they are the process's, so they tell of the host that came last. */
#include "net/host_internal.h"
#include <stdio.h>

static const double counts[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 16, 32, 64, 128, 256};

static void set(const char *name, const char *help, double value, const char *labels)
{
    metric_set(metric_gauge(name, labels, help), value);
}

static void set_in_scope(const scope_t *s, const char *labels_tail)
{
    static const char *const dirs[] = {"inbound", "outbound"};
    char labels[PROTOCOL_MAX_BYTES + 80];
    bool has_conns = !*labels_tail;
    const char *scope = has_conns ? s->name : "protocol";
    for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
        snprintf(labels, sizeof labels, "dir=\"%s\",scope=\"%s\"", dirs[i], scope);
        if (has_conns)
            set("libp2p_rcmgr_connections", "Number of Connections", s->used[SCOPE_CONNS_IN + i], labels);
        snprintf(labels, sizeof labels, "dir=\"%s\",scope=\"%s\",protocol=\"%s\"", dirs[i], scope,
                 labels_tail);
        set("libp2p_rcmgr_streams", "Number of Streams", s->used[SCOPE_STREAMS_IN + i], labels);
    }
    snprintf(labels, sizeof labels, "scope=\"%s\",protocol=\"%s\"", scope, labels_tail);
    set("libp2p_rcmgr_memory", "Amount of memory reserved as reported to the Resource Manager",
        (double)s->memory.used, labels);
    snprintf(labels, sizeof labels, "scope=\"%s\"", scope);
    if (has_conns)
        set("libp2p_rcmgr_fds", "Number of file descriptors reserved as reported to the Resource Manager",
            s->used[SCOPE_FDS], labels);
}

static void set_limit(const char *scope, const char *resource, uint64_t max)
{
    char labels[80];
    snprintf(labels, sizeof labels, "scope=\"%s\",resource=\"%s\"", scope, resource);
    set("libp2p_rcmgr_limit", "Resource manager limits", (double)(max > INT64_MAX ? INT64_MAX : max), labels);
}

static void set_limits(const scope_t *s)
{
    set_limit(s->name, "memory", s->max->memory);
    set_limit(s->name, "fd", s->max->fds);
    set_limit(s->name, "conns", s->max->conns);
    set_limit(s->name, "conns_inbound", s->max->conns_in);
    set_limit(s->name, "conns_outbound", s->max->conns_out);
    set_limit(s->name, "streams", s->max->streams);
    set_limit(s->name, "streams_inbound", s->max->streams_in);
    set_limit(s->name, "streams_outbound", s->max->streams_out);
}

/* A name that a peer chose never gets here: these are protocols that this host speaks or asked for. */
static void update(void *arg)
{
    const host_t *h = arg;
    const resources_t *r = &h->resources;
    void *at;
    for (size_t i = SCOPE_SYSTEM; i <= SCOPE_TRANSIENT; i++) {
        set_in_scope(&r->scopes[i], "");
        set_limits(&r->scopes[i]);
    }
    for (size_t i = 0; map_next(&r->protocols, &i, NULL, &at);) {
        const protocol_scope_t *p = at;
        if (!strpbrk(p->name, "\"\\\n"))
            set_in_scope(&p->scope, p->name);
    }
}

void resources_start_metrics(host_t *h)
{
    h->metrics = (metric_source_t){.update = update, .arg = h};
    metrics_add_source(&h->metrics);
}

void resources_stop_metrics(host_t *h)
{
    metrics_remove_source(&h->metrics);
}

void metric_blocked(const char *scope, const char *resource, const char *direction)
{
    char labels[160];
    size_t len = strcspn(scope, ":"); /* "peer:12D3…" counts for "peer" */
    snprintf(labels, sizeof labels, "dir=\"%s\",scope=\"%.*s\",resource=\"%s\"", direction, (int)len, scope,
             resource);
    metric_add(metric_gauge("libp2p_rcmgr_blocked_resources", labels, "Number of blocked resources"), 1);
}

/* How many peers have so many: what they had goes into a histogram of its own, whose counts are taken off. */
typedef struct moves {
    const char *names[2], *help; /* [0]: what they had */
    metric_t *histograms[2][2];  /* [1]: inbound */
} moves_t;

static void move(moves_t *m, uint32_t before, uint32_t now, bool is_inbound)
{
    static const char *const labels[] = {"dir=\"outbound\"", "dir=\"inbound\""};
    const uint32_t values[] = {before, now};
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        metric_t **at = &m->histograms[i][is_inbound];
        if (!*at)
            *at = metric_histogram(m->names[i], labels[is_inbound], m->help, counts, ARRAY_LEN(counts));
        if (values[i])
            metric_observe(*at, values[i]);
    }
}

void metric_peer_conns(uint32_t before, uint32_t now, bool is_inbound)
{
    static moves_t m = {{"libp2p_rcmgr_previous_peer_connections", "libp2p_rcmgr_peer_connections"},
                        "Number of connections that a peer has",
                        {{NULL}}};
    move(&m, before, now, is_inbound);
}

void metric_peer_streams(uint32_t before, uint32_t now, bool is_inbound)
{
    static moves_t m = {{"libp2p_rcmgr_previous_peer_streams", "libp2p_rcmgr_peer_streams"},
                        "Number of streams that a peer has",
                        {{NULL}}};
    move(&m, before, now, is_inbound);
}
