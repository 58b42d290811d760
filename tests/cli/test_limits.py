"""Limits that a user sets. Run by run.py."""
import time

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
