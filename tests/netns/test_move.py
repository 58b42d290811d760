"""A machine whose address changes: a connection by QUIC goes on from the new one."""
import re
import urllib.request

import nodes
from nodes import check, wait_until
from test_punch import LISTEN, address, ours

STAY = {"Internal.Libp2pForceReachability": "private", "Swarm.EnableHolePunching": False, "Discovery.MDNS.Enabled": False}


def ways(daemon, other):
    return [p["Addr"] for p in daemon.rpc("swarm/peers")["Peers"] or [] if p["Peer"] == other.peer_id]


def move(lab, program):
    nodes.need_quic(lab.shop.program)
    switch, here, there = lab.switch("net"), lab.machine("here"), lab.machine("there")
    device = here.plug(switch, "10.1.0.2/24")
    there.plug(switch, "10.1.0.1/24")
    client = lab.node(here, ours(STAY), listen=[LISTEN["quic"]])
    server = lab.kubo(there, {**STAY, "Addresses.Swarm": [LISTEN["quic"]]}) if program == "kubo" else lab.node(there, ours(STAY), listen=[LISTEN["quic"]])
    client.rpc("swarm/connect", address(server, "10.1.0.1", "quic"))
    cid = server.text("add", "-Q", lab.shop.file("moved", 4 << 20))
    check(["10.1.0.2" in way for way in ways(server, client)] == [True], f"from the first address: {ways(server, client)}")
    before = opened(client)
    here.ip(f"addr add 10.1.0.3/24 dev {device}")
    here.ip(f"addr del 10.1.0.2/24 dev {device}")
    here.ip(f"addr replace 10.1.0.3/24 dev {device}")
    check(len(client.run("cat", cid, timeout=60).stdout) == 4 << 20, "a file comes over it")
    if program == "ours":  # Kubo shows where a connection began
        wait_until(lambda: any("10.1.0.3" in way for way in ways(server, client)), 20, "the server knows the new address")
    check(opened(client) == before, "over the same connection")


def opened(client):
    """Connections that it has begun so far."""
    with client.inside(), urllib.request.urlopen(f"http://127.0.0.1:{client.api_port}/debug/metrics/prometheus", timeout=20) as page:
        text = page.read().decode()
    return re.search(r'^libp2p_swarm_connections_opened_total{dir="outbound"} (\d+)', text, re.M)[1]


def test_moves_with_ours(lab):
    move(lab, "ours")


def test_moves_with_kubo(lab):
    move(lab, "kubo")
