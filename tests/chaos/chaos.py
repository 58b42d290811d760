#!/usr/bin/env python3
"""Three real nodes replicate files among them while one after the other is killed (SIGKILL) and started again. At the end:
nothing that was acknowledged is lost, everything is at its target again, and every store is sound.

chaos.py PROGRAM SECONDS [SEED]
"""
import json
import pathlib
import random
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "process"))
import nodes
from nodes import check, wait_until

SETTINGS = {"Replication__Heartbeat": "500ms", "Replication__LostGrace": "3s", "Replication__MaxBytes": "2GB",
            "Routing__LoopbackAddressesOnLanDHT": True}


def start_network(shop):
    members = [shop.node(f"chaos-{i}", SETTINGS, start=False) for i in range(3)]
    ids = [m.identity() for m in members]
    for m in members:
        m.environment["TEST_DHT_STUB"] = "1"
        m.configure(Replication__AllowFrom=ids)
        m.start()
    addresses = [m.addresses[0] for m in members]
    for m in members:  # fixed ports, so that they find each other again
        m.listen = "--listen=" + m.addresses[0].split("/p2p/")[0]
        m.start_words = lambda m=m: ["node", m.listen, "--api-port=0", "--gateway-port=0", "--metrics-port=0"]
        m.stop()
        m.configure(Bootstrap=[a for a in addresses if m.peer_id not in a])
    for m in members:
        m.start()
    wait_until(lambda: all(len(m.peers()) == 2 for m in members), 60, "the three are connected")
    return members


def add_one(rng, shop, node, number, acknowledged, replicated):
    path = shop.file(f"file-{number}", rng.choice([0, 1000, 300000, 3000000]), seed=str(rng.random()))
    result = node.run("add", "-Q", path, check_code=False, timeout=60)
    if result.returncode:
        return
    cid = result.stdout.decode().strip()
    acknowledged.append((cid, path))
    result = node.run("pin", "add", "-q", "--replicas=2", "--timeout=20s", cid, check_code=False, timeout=60)
    if result.returncode == 0:
        replicated.append((cid, path))


def status_of(node, cid):
    return json.loads(node.text("status", cid, "--json", timeout=60))


def run(shop, seconds, seed):
    rng = random.Random(seed)
    members = start_network(shop)
    acknowledged, replicated, kills, number = [], [], 0, 0
    end = time.monotonic() + seconds
    by_cid = {}
    while time.monotonic() < end:
        node = rng.choice(members)
        for _ in range(rng.randint(1, 3)):
            before = len(acknowledged)
            add_one(rng, shop, node, number, acknowledged, replicated)
            for cid, _path in acknowledged[before:]:
                by_cid[cid] = node
            number += 1
        victim = rng.choice(members)
        victim.kill()
        kills += 1
        if rng.random() < 0.7:
            time.sleep(rng.random())
        victim.start()
    print(f"seed {seed}: {kills} kills, {len(acknowledged)} files acknowledged, {len(replicated)} replicated", flush=True)
    check(kills and acknowledged and replicated, "nothing happened")
    wait_until(lambda: all(len(m.peers()) == 2 for m in members), 120, "the three are connected again")
    for cid, path in acknowledged:
        check(by_cid[cid].run("cat", "--offline", cid, timeout=60).stdout == path.read_bytes(), f"{path.name} is gone")
    for cid, path in replicated:
        def at_target(cid=cid):
            return any((s := status_of(m, cid))["Copies"] >= s["Target"] >= 2 for m in members)
        wait_until(at_target, 120, f"{path.name} is at its target", every=1)
    for m in members:
        m.run("repo", "verify", timeout=300)
        check(m.stop() == 0, f"{m.name} did not leave cleanly")


def main(argv):
    program, seconds = argv[0], float(argv[1])
    seed = int(argv[2]) if len(argv) > 2 and argv[2] else int(time.time())
    runner = nodes.Runner()
    with nodes.Workshop(program) as shop:
        runner.run(f"chaos with seed {seed}", run, shop, seconds, seed)
    return runner.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
