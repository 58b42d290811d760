"""`perf`: how fast a connection carries bytes."""
import json
import re

from nodes import check, fails
from test_transports import free_port, listening


def test_perf(shop):
    a, b = shop.node("a"), shop.node("b")
    address = b.addresses[0]
    text = a.text("perf", address, "--upload=3MB", "--download=2MB")
    check(re.search(r"^connected to /ip4/127\.0\.0\.1/tcp/\d+.* in \d+ ms: /(noise|tls/1\.0\.0) /yamux/1\.0\.0$", text, re.M), text)
    check(re.search(r"^upload:   3\.0 MB in .*MB/s", text, re.M) and re.search(r"^download: 2\.0 MB in ", text, re.M), text)
    rows = a.rpc_lines("perf", b.peer_id, time="1200ms")
    check(rows[0]["Type"] == "connected" and rows[0]["Peer"] == b.peer_id, json.dumps(rows[0]))
    check([row["Type"] for row in rows[1:-1]] in (["progress"] * 2, ["progress"] * 1), json.dumps(rows))
    last = rows[-1]
    check(last["Type"] == "final" and 1.1 < last["UploadSeconds"] < 3 and 1.1 < last["DownloadSeconds"] < 3, json.dumps(last))
    check(min(last["UploadBytes"], last["DownloadBytes"]) > 1000000, json.dumps(last))
    one_way = a.rpc_lines("perf", b.peer_id, download="100kB")[-1]
    check(one_way["UploadBytes"] == 0 and one_way["DownloadBytes"] == 100000, json.dumps(one_way))


def test_perf_over_the_address_that_is_given(shop):
    b = listening(shop, "b", "", "/ws")
    a = shop.node("a", {"Swarm__EnableHolePunching": False})
    tcp, ws = b.ways[""], b.ways["/ws"]
    for address in (tcp, ws, tcp):
        connected = a.rpc_lines("perf", address, download="10kB")[0]
        check(connected["Address"] == address.split("/p2p/")[0], json.dumps(connected))
        check("success" in a.text("swarm", "connect", address), address)
    check(sorted(a.text("swarm", "peers").split(), key=len) == [tcp, ws], a.text("swarm", "peers"))
    port = free_port()
    nowhere = f"/ip4/127.0.0.1/tcp/{port}/p2p/{b.peer_id}"
    fails(a, "perf", nowhere, saying="refused")  # though other connections are open
    check("success" in a.text("swarm", "connect", nowhere), "connected, as Kubo has it")


def test_perf_is_refused(shop):
    a, b = shop.node("a"), shop.node("b", {"Swarm__Perf": "none"})
    fails(a, "perf", b.addresses[0], saying="perf")
    fails(a, "perf", "/ip4/127.0.0.1/tcp/1", saying="p2p|peer")
    fails(a, "perf", b.addresses[0], "--upload=much", code=None, saying="size|much")
    b.stop()
    b.configure(Swarm__Perf="sometimes")
    fails(b, *b.start_words(), code=None, saying="Swarm.Perf")
