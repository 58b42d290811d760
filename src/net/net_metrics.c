#include "base/metrics.h"
#include "net/host_internal.h"

/* Registered at first use; go-libp2p's names where it has them, so that its dashboards work. */
const net_metrics_t *net_metrics(void)
{
    static net_metrics_t m;
    if (m.bytes_in)
        return &m;
    static const char opened[] = "libp2p_swarm_connections_opened_total";
    static const char closed[] = "libp2p_swarm_connections_closed_total";
    static const char bytes[] = "distribute_network_bytes_total";
    m.opened[0] = metric_counter(opened, "dir=\"outbound\"", "Connections opened.");
    m.opened[1] = metric_counter(opened, "dir=\"inbound\"", "Connections opened.");
    m.closed[0] = metric_counter(closed, "dir=\"outbound\"", "Connections closed.");
    m.closed[1] = metric_counter(closed, "dir=\"inbound\"", "Connections closed.");
    m.dial_errors = metric_counter("libp2p_swarm_dial_errors_total", NULL, "Dials that reached nobody.");
    m.bytes_out = metric_counter(bytes, "direction=\"out\"", "Bytes over connections, encrypted.");
    m.bytes_in = metric_counter(bytes, "direction=\"in\"", "Bytes over connections, encrypted.");
    return &m;
}
