"""Nodes of ours that reach each other by each security and transport, in public and private networks. Run by run.py."""
import socket

import nodes
from nodes import check

SWARM_KEY = "/key/swarm/psk/1.0.0/\n/base16/\n" + "5a" * 32 + "\n"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def listening(shop, name, *ways, config=None, key=None):
    """A node that listens on one port in all these ways: "", "/ws" …"""
    node = shop.node(name, config, start=False)
    if key:
        (node.repo / "swarm.key").write_text(key)
    port = free_port()
    node.start_words = lambda: ["node", "--api-port=0", "--gateway-port=0", "--metrics-port=0", *(f"--listen=/ip4/127.0.0.1/tcp/{port}{way}" for way in ways)]
    node.start()
    node.ways = {way: f"/ip4/127.0.0.1/tcp/{port}{way}/p2p/{node.peer_id}" for way in ways}
    return node


def fetches(shop, giver, taker, way):
    cid = giver.text("add", "-Q", shop.file(f"for-{taker.name}", 3 << 20))
    taker.rpc("swarm/connect", giver.ways[way])
    where = shop.path(f"got-{taker.name}")
    taker.run("get", cid, "-o", where, timeout=30)
    check(nodes.sha256_file(where) == nodes.sha256_file(shop.path(f"for-{taker.name}")), f"{taker.name} got other bytes")
    remote = [p["Addr"] for p in taker.rpc("swarm/peers")["Peers"]]
    # Beside it there may be one that the giver dialed, to see whether others reach the taker.
    check(giver.ways[way].split("/p2p/")[0] in remote, f"{taker.name} is connected by {remote}")


def test_ways(shop):
    giver = listening(shop, "giver", "", "/ws")
    fetches(shop, giver, shop.node("tls"), "")
    fetches(shop, giver, shop.node("noise", {"Swarm__Transports__Security__TLS": False}), "")
    fetches(shop, giver, shop.node("ws"), "/ws")
    closed = shop.node("closed", {"Swarm__Transports__Network__Websocket": False})
    response, _ = closed.rpc_raw("swarm/connect", [giver.ways["/ws"]])
    check(response.status != 200, "a transport that is closed was dialed")


def test_private(shop):
    giver = listening(shop, "giver", "", "/ws", key=SWARM_KEY)
    said = giver.out_path.read_text()
    check("Swarm is limited to private network of peers with the swarm key" in said and "Swarm key fingerprint: " in said, said)
    for way in ("", "/ws"):
        member = shop.node(f"member{way.replace('/', '-')}", start=False)
        (member.repo / "swarm.key").write_text(SWARM_KEY)
        fetches(shop, giver, member.start(), way)
    stranger = shop.node("stranger")
    response, _ = stranger.rpc_raw("swarm/connect", [giver.ways["/ws"]])
    check(response.status != 200 and not stranger.peers(), "a stranger is connected")
    response, said = giver.rpc_raw("swarm/connect", [stranger.addresses[0]])
    check(response.status != 200 and b"private network is another one, or it is in none" in said, f"a member that dials a stranger says {said}")


def test_settings_that_must_not_be_guessed(shop):
    node = shop.node("wrong", start=False)
    words = node.start_words()
    (node.repo / "swarm.key").write_text("nonsense")
    nodes.fails(node, *words, code=2, saying="swarm.key")
    (node.repo / "swarm.key").unlink()
    node.environment["LIBP2P_FORCE_PNET"] = "1"
    nodes.fails(node, *words, code=2, saying="LIBP2P_FORCE_PNET")
    del node.environment["LIBP2P_FORCE_PNET"]
    (node.repo / "swarm.key").write_text(SWARM_KEY)
    node.configure(Swarm__Transports__Network__QUIC=True)
    nodes.fails(node, *words, code=2, saying="QUIC")
    (node.repo / "swarm.key").unlink()
    node.configure(Swarm__Transports__Network__QUIC=None)
    node.configure(Swarm__Transports__Security__TLS=False, Swarm__Transports__Security__Noise=False)
    nodes.fails(node, *words, code=2, saying="Security")
    node.configure(Swarm__Transports__Security__TLS="first")
    nodes.fails(node, *words, code=2, saying="Security.TLS")
    node.configure(Swarm__Transports__Security__TLS=None, Swarm__WebsocketTLS={"CertFile": "config"})
    nodes.fails(node, *words, code=2, saying="KeyFile")
    node.configure(Swarm__WebsocketTLS={"CertFile": "config", "KeyFile": "absent"})
    nodes.fails(node, *words, code=2, saying="WebsocketTLS")
    node.configure(Swarm__WebsocketTLS={"CertFile": "config", "KeyFile": "config"})
    nodes.fails(node, *words, code=2, saying="certificate")


def test_stops_while_looking_up(shop):
    """A dial that waits for DNS over HTTPS when the node is told to stop."""
    peer = "12D3KooWEZXjE41uU4EL2gpkAQeDXYok6wghN7wwNVPF5bwkaNfS"
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(20)
        node = shop.node("asking", {"DNS.Resolvers": {".": f"http://127.0.0.1:{silent.getsockname()[1]}/dns-query"},
                                    "Peering.Peers": [{"ID": peer, "Addrs": ["/dns4/nowhere.example/tcp/4001"]}]})
        asked, _ = silent.accept()
        with asked:
            asked.recv(100)
            check(node.stop() == 0, "it did not stop well")
