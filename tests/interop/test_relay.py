"""Relays: Kubo's for us, ours for Kubo, and each other's circuits. Run by run.py."""
import nodes
from nodes import check, wait_until

PUBLIC, PRIVATE = {"Internal.Libp2pForceReachability": "public"}, {"Internal.Libp2pForceReachability": "private"}
# Direct connections are for other tests: here circuits must last.
NO_HOLES = {"Swarm.EnableHolePunching": False}


def ours(settings):
    return {key.replace(".", "__"): value for key, value in settings.items()}


def behind(relay):
    """What makes a node take this relay at once."""
    return {"Swarm.RelayClient.StaticRelays": [relay.addresses[0]], "Swarm.RelayClient.Enabled": True, **PRIVATE, **NO_HOLES}


def through_relay(node, other):
    """Its routing may find a direct way as well."""
    return any(p["Peer"] == other.peer_id and "/p2p-circuit" in p["Addr"] for p in node.rpc("swarm/peers")["Peers"] or [])


def reaches(dialer, listener, relay):
    """Kubo announces no circuit on loopback, so the address is made here; until the reservation stands the relay refuses."""
    def connects():
        answer, _ = dialer.rpc_raw("swarm/connect", [f"{relay.addresses[0]}/p2p-circuit/p2p/{listener.peer_id}"])
        return answer.status == 200
    wait_until(connects, 30, f"{dialer.name} reaches {listener.name} through {relay.name}", every=0.5)
    check(through_relay(dialer, listener), f"{dialer.name} has no circuit to {listener.name}: {dialer.rpc('swarm/peers')}")
    wait_until(lambda: through_relay(listener, dialer), 10, f"{listener.name} has the circuit of {dialer.name}")


def test_relay_is_kubo(shop):
    relay = shop.kubo("kubo-relay", {"Swarm.RelayService.Enabled": True, **PUBLIC})
    listener = shop.node("listener-at-kubo", ours(behind(relay)))
    kubo = shop.kubo("kubo-dialer", {**PRIVATE, **NO_HOLES})
    wait_until(lambda: any("/p2p-circuit" in a for a in listener.rpc("id")["Addresses"]), 30, "the listener announces its circuit")
    reaches(kubo, listener, relay)
    dialer = shop.node("dialer-at-kubo", ours(NO_HOLES))
    reaches(dialer, listener, relay)
    check(dialer.rpc_lines("ping", listener.peer_id, count=2)[-1]["Success"], "ping over Kubo's relay")


def test_relay_is_ours(shop):
    relay = shop.node("relay", ours(PUBLIC))
    kubo = shop.kubo("kubo-listener", behind(relay))
    dialer = shop.node("dialer", ours(NO_HOLES))
    reaches(dialer, kubo, relay)
    check(dialer.rpc_lines("ping", kubo.peer_id, count=2)[-1]["Success"], "ping over our relay")
    other = shop.kubo("kubo-dialer", {**PRIVATE, **NO_HOLES})
    reaches(other, kubo, relay)
    listener = shop.node("listener", ours(behind(relay)))
    reaches(other, listener, relay)


def test_relay_without_limits(shop):
    """Content goes through a relay of ours that does not limit its circuits."""
    relay = shop.node("relay-unlimited", ours({**PUBLIC, "Swarm.RelayService.ConnectionDataLimit": 0}))
    kubo = shop.kubo("kubo-unlimited", behind(relay))
    taker = shop.node("taker", ours(NO_HOLES))
    path = shop.file("through-the-relay", 3 << 20)
    cid = kubo.text("add", "-Q", path)
    reaches(taker, kubo, relay)
    taker.run("get", cid, "-o", shop.path("got"), timeout=60)
    check(nodes.sha256_file(path) == nodes.sha256_file(shop.path("got")), "other bytes came through the relay")
    carried = [p for p in taker.rpc("swarm/peers")["Peers"] if p["Peer"] == kubo.peer_id]
    check(all("/p2p-circuit" in p["Addr"] for p in carried), f"the content could take another way: {carried}")
