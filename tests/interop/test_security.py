"""Connections between our node and Kubo, secured by TLS 1.3 and by Noise, dialed from both sides. Run by run.py."""
import nodes
from nodes import check

MIB = 1 << 20


def transports(**security):
    """The same settings in the words of each side: False, or a priority."""
    return ({f"Swarm__Transports__Security__{k}": v for k, v in security.items()},
            {f"Swarm.Transports.Security.{k}": v for k, v in security.items()})


def exchange(shop, ours, kubo, dialer, listener):
    """Content in both directions over the one connection that the dialer makes."""
    dialer.connect(listener)
    for giver, taker in ((ours, kubo), (kubo, ours)):
        path = shop.file(f"from-{giver.name}", 20 * MIB)
        cid = giver.text("add", "-Q", path)
        where = shop.path(f"got-{taker.name}")
        taker.run("get", cid, "-o", where, timeout=120)
        check(nodes.sha256_file(where) == nodes.sha256_file(path), f"{taker.name} got other bytes")
    check(ours.peers() == {kubo.peer_id} and kubo.peers() == {ours.peer_id}, "they are not connected with each other")


def both_ways(shop, name, config, kubo_config):
    for i, turned in enumerate((False, True)):
        ours, kubo = shop.node(f"{name}-{i}", config), shop.kubo(f"kubo-{name}-{i}", kubo_config)
        exchange(shop, ours, kubo, *((kubo, ours) if turned else (ours, kubo)))
        ours.stop(), kubo.stop()


def test_tls(shop):
    both_ways(shop, "tls", *transports(Noise=False))


def test_noise(shop):
    both_ways(shop, "noise", *transports(TLS=False))


def test_tls_with_other_keys(shop):
    """Kubo's identity may be RSA: its certificate carries a long key and signature."""
    ours, kubo = shop.node("tls-rsa", transports(Noise=False)[0]), shop.kubo("kubo-rsa", transports(Noise=False)[1], start=False)
    kubo.text("key", "rotate", "--oldkey=before", "--type=rsa", "--size=2048")
    kubo.start()
    exchange(shop, ours, kubo, ours, kubo)


def test_nothing_in_common(shop):
    ours, kubo = shop.node("noise-alone", transports(TLS=False)[0]), shop.kubo("tls-alone", transports(Noise=False)[1])
    for dialer, listener in ((ours, kubo), (kubo, ours)):
        response, _ = dialer.rpc_raw("swarm/connect", [listener.addresses[0]])
        check(response.status != 200, f"{dialer.name} connected to {listener.name}")
    check(not ours.peers() and not kubo.peers(), "they are connected")


SWARM_KEY = "/key/swarm/psk/1.0.0/\n/base16/\n" + "5a" * 32 + "\n"


def private(make, name, key=SWARM_KEY, config=None):
    node = make(name, config, start=False)
    (node.repo / "swarm.key").write_text(key)
    return node.start()


def fingerprint(node):
    lines = node.out_path.read_text().splitlines()
    return [line for line in lines if line.startswith("Swarm key fingerprint")]


def test_private_network(shop):
    """Members reach each other, dialed from both sides; who has another key, or none, reaches nobody."""
    ours, kubo = private(shop.node, "private"), private(shop.kubo, "kubo-private")
    check(fingerprint(ours) and fingerprint(ours) == fingerprint(kubo), f"{fingerprint(ours)}, Kubo: {fingerprint(kubo)}")
    exchange(shop, ours, kubo, ours, kubo)
    back = private(shop.node, "private-back")
    kubo.connect(back)
    check(kubo.peer_id in back.peers(), "Kubo did not reach us")
    other = private(shop.node, "private-other", SWARM_KEY.replace("5a", "5b"))
    public = shop.node("public")
    for dialer, listener in ((other, kubo), (kubo, other), (public, ours)):
        response, _ = dialer.rpc_raw("swarm/connect", [listener.addresses[0]])
        check(response.status != 200, f"{dialer.name} connected to {listener.name}")
    check(not other.peers() and not public.peers(), "a stranger is connected")
