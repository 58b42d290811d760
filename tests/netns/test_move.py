"""A machine whose address changes: a connection by QUIC goes on from the new one."""
import re
import socket
import urllib.request

import nodes
from nodes import check, wait_until
from test_punch import LISTEN, address, ours

STAY = {"Internal.Libp2pForceReachability": "private", "Swarm.EnableHolePunching": False, "Discovery.MDNS.Enabled": False}


def ways(daemon, other):
    return [p["Addr"] for p in daemon.rpc("swarm/peers")["Peers"] or [] if p["Peer"] == other.peer_id]


class Watcher:
    """Somebody on the way, who writes down the connection ids of QUIC's short packets, by their IP addresses."""

    def __init__(self, machine):
        with machine.inside():
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))  # all that comes and goes
        self.socket.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE
        self.socket.setblocking(False)

    def ids(self):
        """{(from, to): ids} of what was seen up to now; 4 bytes of each, which is all of Kubo's. The fixed bit says nothing (RFC 9287)."""
        seen = {}
        with self.socket:
            while True:
                try:
                    packet = self.socket.recv(128)
                except BlockingIOError:
                    return seen
                body = packet[(packet[0] & 15) * 4:]
                if packet[0] >> 4 == 4 and packet[9] == socket.IPPROTO_UDP and not body[8] & 0x80:
                    seen.setdefault(tuple(socket.inet_ntoa(packet[i:i + 4]) for i in (12, 16)), set()).add(body[9:13])


def move(lab, program):
    nodes.need_quic(lab.shop.program)
    switch, here, there = lab.switch("net"), lab.machine("here"), lab.machine("there")
    device = here.plug(switch, "10.1.0.2/24")
    there.plug(switch, "10.1.0.1/24")
    client = lab.node(here, ours(STAY), listen=[LISTEN["quic"]])
    server = lab.kubo(there, {**STAY, "Addresses.Swarm": [LISTEN["quic"]]}) if program == "kubo" else lab.node(there, ours(STAY), listen=[LISTEN["quic"]])
    watcher = Watcher(there)
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
    seen = watcher.ids()
    directions = [(("10.1.0.2", "10.1.0.1"), ("10.1.0.3", "10.1.0.1"))]
    if program == "ours":  # Kubo goes on with the id that it used before
        directions.append((("10.1.0.1", "10.1.0.2"), ("10.1.0.1", "10.1.0.3")))
    for old, new in directions:
        check(seen.get(old) and seen.get(new), f"the watcher missed {old} or {new}: {seen}")
        check(not seen[old] & seen[new], f"from {old[0]} to {old[1]} the same ids as on the new way: {seen[old] & seen[new]}")


def opened(client):
    """Connections that it has begun so far."""
    with client.inside(), urllib.request.urlopen(f"http://127.0.0.1:{client.api_port}/debug/metrics/prometheus", timeout=20) as page:
        text = page.read().decode()
    return re.search(r'^libp2p_swarm_connections_opened_total{dir="outbound"} (\d+)', text, re.M)[1]


def test_moves_with_ours(lab):
    move(lab, "ours")


def test_moves_with_kubo(lab):
    move(lab, "kubo")
