"""Connections between our node and Kubo by QUIC, dialed from both sides, with keys of other kinds, and with much content. Run by run.py."""
import nodes
import test_security
from nodes import check

QUIC = "/ip4/127.0.0.1/udp/0/quic-v1"


def begin(shop):
    nodes.need_quic(shop.program)


def quic_address(node):
    found = [a for a in node.rpc("swarm/addrs/listen")["Strings"] if a.startswith("/ip4/127.0.0.1/udp/") and a.split("/p2p/")[0].endswith("/quic-v1")]
    check(found, f"{node.name} listens on {node.rpc('swarm/addrs/listen')['Strings']}")
    return f"{found[0].split('/p2p/')[0]}/p2p/{node.peer_id}"


def speaking_quic(shop, name):
    node = shop.node(name, start=False)
    node.listen = [QUIC]
    return node.start()


def kubo_with_quic(shop, name, start=True):
    return shop.kubo(name, {"Addresses.Swarm": [QUIC]}, start)


def exchange(shop, ours, kubo, dialer, listener):
    listener.addresses = [quic_address(listener)]
    test_security.exchange(shop, ours, kubo, dialer, listener)
    remote = [p["Addr"] for p in dialer.rpc("swarm/peers")["Peers"]]
    check(remote and all(a.endswith("/quic-v1") for a in remote), f"connected by {remote}")


def test_quic_to_kubo(shop):
    ours, kubo = shop.node("quic-out"), kubo_with_quic(shop, "kubo-quic")
    exchange(shop, ours, kubo, ours, kubo)


def test_quic_from_kubo(shop):
    ours, kubo = speaking_quic(shop, "quic-in"), kubo_with_quic(shop, "kubo-quic-out")
    exchange(shop, ours, kubo, kubo, ours)
    identity = kubo.rpc("id", ours.peer_id)
    check(any("/quic-v1" in a for a in identity["Addresses"]), f"Kubo knows us at {identity['Addresses']}")
    check(ours.rpc("ping", kubo.peer_id, count=1) and kubo.rpc("ping", ours.peer_id, count=1), "no ping")


def test_quic_with_rsa(shop):
    """A certificate with an RSA key and signature in it takes several packets."""
    ours, kubo = speaking_quic(shop, "quic-rsa"), kubo_with_quic(shop, "kubo-quic-rsa", start=False)
    kubo.text("key", "rotate", "--oldkey=before", "--type=rsa", "--size=2048")
    kubo.start()
    exchange(shop, ours, kubo, ours, kubo)
    back = kubo_with_quic(shop, "kubo-quic-rsa-out", start=False)
    back.text("key", "rotate", "--oldkey=before", "--type=rsa", "--size=2048")
    back.start()
    back.rpc("swarm/connect", quic_address(ours))
    check(back.peer_id in ours.peers(), "Kubo with an RSA key did not reach us")


def test_quic_between_ours(shop):
    a, b = speaking_quic(shop, "quic-a"), speaking_quic(shop, "quic-b")
    exchange(shop, a, b, a, b)


def test_quic_meets_another(shop):
    """Somebody else answers at the address: both say so, and stay apart."""
    ours, kubo, third = speaking_quic(shop, "quic-one"), kubo_with_quic(shop, "kubo-one"), shop.node("third")
    for dialer, listener in ((ours, kubo), (kubo, ours)):
        wrong = f"{quic_address(listener).split('/p2p/')[0]}/p2p/{third.peer_id}"
        response, data = dialer.rpc_raw("swarm/connect", [wrong])
        check(response.status == 500, f"{dialer.name}: {response.status} {data}")
    check(not ours.peers() and not kubo.peers(), "they are connected")


def test_quic_off(shop):
    ours, kubo = shop.node("quic-off", {"Swarm__Transports__Network__QUIC": False}), kubo_with_quic(shop, "kubo-quic-alone")
    response, data = ours.rpc_raw("swarm/connect", [quic_address(kubo)])
    check(response.status == 500, f"QUIC is off, and yet: {response.status} {data}")
