"""Limits that a user sets. Run by run.py."""
import json
import re
import time
import urllib.request

from nodes import check, fails

SIZE, RATE = 2_000_000, 1_000_000


def test_bandwidth(shop):
    for giver_limits, taker_limits in (({"Swarm.Bandwidth.Out": RATE}, {}), ({}, {"Swarm.Bandwidth.PeerIn": f"{RATE}B"}),
                                       ({"Swarm.Bandwidth.Protocols": {"/ipfs/bitswap/1.2.0": {"Out": RATE}}}, {})):
        name = str(len(shop.daemons))
        giver, taker = shop.node(f"giver{name}", giver_limits), shop.node(f"taker{name}", taker_limits)
        cid = giver.text("add", "-Q", shop.file(f"file{name}", SIZE))
        taker.connect(giver)
        began = time.monotonic()
        check(len(taker.run("cat", cid).stdout) == SIZE, "all of it")
        took = time.monotonic() - began
        check(0.9 * SIZE / RATE < took < 4 * SIZE / RATE, f"{SIZE} bytes at {RATE} a second took {took:.2f} s: {giver_limits} {taker_limits}")


def test_wrong_limits(shop):
    node = shop.node("wrong", {"Swarm.Bandwidth.Protocols": {"/x": {"In": "fast"}}}, start=False)
    fails(node, *node.start_words(), code=2, saying="Swarm.Bandwidth.Protocols: In of /x is no size")


def metrics_of(node):
    return urllib.request.urlopen(f"http://127.0.0.1:{node.api_port}/debug/metrics/prometheus", timeout=20).read().decode()


OVERRIDES = "libp2p-resource-limit-overrides.json"


def test_resources(shop):
    a = shop.node("scopes", start=False)
    b, c = shop.node("scopes-b"), shop.node("scopes-c")
    (a.repo / OVERRIDES).write_text(json.dumps({"System": {"Conns": 601, "ConnsInbound": 600}, "Transient": {"FD": "blockAll"}}))
    a.start()
    fails(a, "swarm", "connect", b.addresses[0], saying="Transient.FD")
    a.stop()
    (a.repo / OVERRIDES).write_text(json.dumps({"System": {"Conns": 601}, "Peer": {b.peer_id: {"ConnsOutbound": 0}}}))
    a.start()
    fails(a, "swarm", "connect", b.addresses[0], saying="raise Peer.ConnsOutbound")
    a.connect(c)
    answer = json.loads(a.text("swarm", "resources", "--enc=json"))
    system, peer = answer["System"], answer["Peers"][c.peer_id]
    check(system["Conns"] == 601 and system["ConnsUsage"] == 1 and system["FDUsage"] == 1, str(system))
    check(int(system["Memory"]) > system["MemoryUsage"] > 0 and system["Streams"] == "unlimited", str(system))
    check(peer["ConnsOutboundUsage"] == 1 and "/ipfs/id/1.0.0" in answer["Protocols"] and "libp2p.identify" in answer["Services"], str(answer))
    text = a.text("swarm", "resources")
    check(re.search(r"^system\t+Conns\t+601\t+1\t+0\.2%\t", text, re.M) and "unlimited" not in text, text)
    metrics = metrics_of(a)
    for line in ('libp2p_rcmgr_connections{dir="outbound",scope="system"} 1', 'libp2p_rcmgr_limit{scope="system",resource="conns"} 601',
                 'libp2p_rcmgr_blocked_resources{dir="outbound",scope="peer",resource="connection"}'):
        check(line in metrics, f"no {line} in the metrics")
    a.stop()
    (a.repo / OVERRIDES).write_text(json.dumps({"Service": {"libp2p.ping": {"StreamsOutbound": 0}}, "Conn": {"Memory": "1048576"}}))
    a.start()
    a.connect(c)
    fails(a, "ping", "-n1", c.peer_id, saying="ping failed")
    check('libp2p_rcmgr_blocked_resources{dir="outbound",scope="service",resource="stream"}' in metrics_of(a), "it was not the service's limit")
    a.stop()
    (a.repo / OVERRIDES).write_text('{"System": {"Conns": "many"}}')
    fails(a, *a.start_words(), code=2, saying="System.Conns must be a number")


def test_gates(shop):
    a, b = shop.node("gate-a"), shop.node("gate-b")
    a.connect(b)
    name = f"/p2p/{b.peer_id}"
    check(a.text("swarm", "filters", "add", name, "/ip4/192.0.2.0/ipcidr/24").split() == [name, "/ip4/192.0.2.0/ipcidr/24"], "add")
    check(not a.text("swarm", "peers"), "a peer that is filtered stays connected")
    check(a.text("swarm", "filters").split() == ["/ip4/192.0.2.0/ipcidr/24", name], "filters")
    fails(a, "swarm", "connect", b.addresses[0], saying="Swarm.Gating.Deny")
    check(a.text("swarm", "filters", "rm", "/ip4/203.0.113.0/ipcidr/24") == "", "rm of one that is not there")
    check(len(a.text("swarm", "filters", "rm", "all").split()) == 2 and not a.text("swarm", "filters"), "rm all")
    a.connect(b)
    check(a.text("swarm", "filters", "add", "--allow", "/ip4/192.0.2.1") == "/ip4/192.0.2.1", "allow")
    check(not a.text("swarm", "peers") and a.text("swarm", "filters", "--allow") == "/ip4/192.0.2.1", "those allowed alone")
    fails(a, "swarm", "connect", b.addresses[0], saying="")
    a.run("config", "Swarm.Gating.Allow", "--json", json.dumps([name]))  # acts at once
    a.connect(b)
    fails(a, "swarm", "filters", "add", "/p2p/nobody", saying="")
