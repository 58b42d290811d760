"""What nodes in JavaScript do with us beyond connecting (test_matrix): Helia's files, the DHT, gossipsub in a mesh of three
implementations, relays. Run by run.py."""
import base64
import contextlib
import os

import js_peer
from nodes import check, wait_until
from test_pubsub import Follower, knows, publish

PUBLIC = {"Internal__Libp2pForceReachability": "public"}


@contextlib.contextmanager
def js(*wanted, transport="tcp", security="noise"):
    peer = js_peer.JsPeer(js_peer.folder(), transport, security, *wanted)
    try:
        yield peer
    finally:
        peer.end()


def test_helia(shop):
    """Bitswap both ways, with files of many blocks."""
    ours = shop.node("ours")
    with js("helia") as helia:
        ours.rpc("swarm/connect", helia.address)
        data = os.urandom(3 << 20)
        cid = helia.ask("add", base64.b64encode(data).decode())["cid"]
        check(ours.run("cat", cid, timeout=60).stdout == data, "what Helia has comes to us")
        path = shop.file("ours-for-helia", 3 << 20)
        ours.text("swarm", "connect", helia.address)
        cid = ours.text("add", "-Q", "--cid-version=1", path)
        check(base64.b64decode(helia.ask("cat", cid)["data"]) == path.read_bytes(), "what we have comes to Helia")


def known_providers(node, cid):
    lines = node.rpc_lines("routing/findprovs", cid, timeout=60)
    return {r["ID"] for line in lines if line["Type"] == 4 for r in line["Responses"] or []}


def test_dht_with_js(shop):
    """We serve it, it serves us."""
    ours = shop.node("server")
    cid = ours.text("add", "-Q", "--cid-version=1", "--only-hash", shop.file("told", 1000))
    with js("dht-client") as peer:
        peer.dial(ours.addresses[0], "noise")
        wait_until(lambda: tells(peer, cid) and peer.peer_id in known_providers(ours, cid), 60, "we keep what it announces", every=1)
        check(peer.peer_id in peer.ask("providers", cid)["found"], "it finds what we keep")
    client = shop.node("client", {"Routing__Type": "dhtclient"})
    with js("dht-server") as peer:
        client.rpc("swarm/connect", peer.address)
        cid = client.text("add", "-Q", "--cid-version=1", "--fast-provide-root=false", shop.file("ours", 1000))
        wait_until(lambda: client.rpc_raw("routing/provide", [cid])[0].status == 200, 60, "it takes our record", every=1)
        wait_until(lambda: client.peer_id in peer.ask("providers", cid)["found"], 60, "it keeps what we announce", every=1)


def tells(peer, cid):
    peer.ask("provide", cid)
    return True


def test_gossipsub_of_three_implementations(shop):
    """In a line, with each of them in the middle once: a message of each comes to all, once."""
    topic = "three"
    for middle in range(3):
        ours = shop.node(f"ours-{middle}", {"Pubsub__Enabled": True})
        kubo = shop.kubo(f"kubo-{middle}", {"Pubsub.Enabled": True})
        with js("pubsub") as peer:
            members = [ours, kubo, peer]
            between, ends = members[middle], [m for i, m in enumerate(members) if i != middle]
            for end in ends:
                link(end, between)
            followers = [Follower(ours, topic), Follower(kubo, topic)]
            peer.ask("subscribe", topic)
            wait_until(lambda: all(follows(between, end, topic) and follows(end, between, topic) for end in ends), 30, "they know each other")
            for author in members:
                sent = f"from {author.name} {middle}".encode()
                peer.publish(topic, sent) if author is peer else publish(author, sent, topic)
                hearers = followers + ([peer] if author is not peer else [])  # that one does not hear itself
                wait_until(lambda: all(h.has(sent, author.peer_id) for h in hearers), 30,
                           f"a message of {author.name}, {between.name} in the middle", every=0.1)
                check(all(h.has(sent, author.peer_id) == 1 for h in hearers), f"{author.name}: once")
            for follower in followers:
                follower.stop()
        ours.stop(), kubo.stop()


def link(a, b):
    if isinstance(a, js_peer.JsPeer):
        a.ask("dial", b.addresses[0])
    else:
        a.rpc("swarm/connect", b.addresses[0])


def follows(node, other, topic):
    """Does `node` know that `other` follows?"""
    if isinstance(node, js_peer.JsPeer):
        return other.peer_id in node.ask("subscribers", topic)["peers"]
    return knows(node, topic, other)


def test_relay_for_js(shop):
    """It is reached through us."""
    relay, dialer = shop.node("relay", PUBLIC), shop.node("dialer")
    with js(f"at={relay.addresses[0]}") as peer:
        circuit = f"{relay.addresses[0]}/p2p-circuit/p2p/{peer.peer_id}"
        wait_until(lambda: dialer.rpc_raw("swarm/connect", [circuit])[0].status == 200, 30, "we reach it through our relay", every=0.5)
        check(dialer.rpc_lines("ping", peer.peer_id, count=1)[-1]["Success"], "ping over the circuit")


def test_relay_of_js(shop):
    """We are reached through it."""
    with js("relay") as relay:
        settings = {"Swarm__RelayClient__Enabled": True, "Swarm__RelayClient__StaticRelays": [relay.address],
                    "Internal__Libp2pForceReachability": "private"}
        hidden, dialer = shop.node("hidden", settings), shop.node("dialer")
        circuit = f"{relay.address}/p2p-circuit/p2p/{hidden.peer_id}"
        wait_until(lambda: dialer.rpc_raw("swarm/connect", [circuit])[0].status == 200, 30, "we reach ours through its relay", every=0.5)
        check(dialer.rpc_lines("ping", hidden.peer_id, count=1)[-1]["Success"], "ping over the circuit")
        kubo = shop.kubo("kubo")
        wait_until(lambda: kubo.rpc_raw("swarm/connect", [circuit])[0].status == 200, 30, "Kubo reaches ours through its relay", every=0.5)
