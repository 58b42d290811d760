"""Our node and Kubo in one network: equal CIDs, content both ways by bitswap, providers through a third node. Run by
run.py."""
import json
import pathlib
import time

import nodes
from nodes import check, wait_until

MIB = 1 << 20
IDLE_SECONDS = 120
# A client is in nobody's routing table, so nobody dials it before it is named as a provider.
OUR_CLIENT, KUBO_CLIENT = {"Routing__Type": "dhtclient"}, {"Routing.Type": "dhtclient"}


def directory_of(shop, name, count):
    folder = shop.path(name)
    for i in range(count):
        path = folder / f"part-{i // 100:02d}" / f"file-{i:04d}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(nodes.make_bytes(f"{name}/{i}", 37 * i % 9000))
    return folder


def same_tree(a, b):
    files = sorted(p.relative_to(a) for p in a.rglob("*") if p.is_file())
    others = sorted(p.relative_to(b) for p in b.rglob("*") if p.is_file())
    return files == others and all((a / f).read_bytes() == (b / f).read_bytes() for f in files)


def fetch_and_compare(giver, taker, path, cid, where):
    taker.run("get", cid, "-o", where, timeout=600)
    if path.is_file():
        check(nodes.sha256_file(path) == nodes.sha256_file(where), f"{taker.name} got other bytes than {giver.name} added")
    else:
        check(same_tree(path, where), f"{taker.name} got another tree than {giver.name} added")


def inputs():
    """50 inputs: sizes around every edge of chunks and of the tree, with the options that change a CID."""
    chunk = 262144
    sizes = [0, 1, 255, 4096, chunk - 1, chunk, chunk + 1, 2 * chunk, 3 * chunk + 7, 174 * 1024, 175 * 1024, 10 * MIB + 3]
    for size in sizes:
        for options in ([], ["--cid-version=1"], ["--raw-leaves"], ["--chunker=size-1024"]):
            yield size, options
    yield 350000, ["--chunker=size-1000", "--cid-version=1", "--raw-leaves=false"]
    yield 5 * MIB, ["--hash=sha2-512", "--cid-version=1"]


def test_equal_cids(shop):
    ours, kubo = shop.node("cids", start=False), shop.kubo("kubo-cids", start=False)
    count = 0
    for size, options in inputs():
        path = shop.file(f"input-{size}", size)
        a, b = ours.text("add", "-Q", *options, path), kubo.text("add", "-Q", *options, path)
        check(a == b, f"{size} bytes with {options}: {a} here, {b} from Kubo")
        count += 1
    check(count == 50, f"{count} inputs")


def test_equal_cids_of_directories(shop):
    ours, kubo = shop.node("dir-cids", start=False), shop.kubo("kubo-dir-cids", start=False)
    folder = directory_of(shop, "tree", 300)
    for options in ([], ["--cid-version=1"], ["-w"]):
        a, b = (n.text("add", "-r", "-Q", *options, folder) for n in (ours, kubo))
        check(a == b, f"directory with {options}: {a} here, {b} from Kubo")


def exchange(shop, giver, taker, path):
    cid = giver.text("add", "-r", "-Q", path)
    fetch_and_compare(giver, taker, path, cid, shop.path(f"got-{taker.name}-{path.name}"))


def test_kubo_to_us_direct(shop):
    ours, kubo = shop.node("direct-in"), shop.kubo("kubo-direct-in")
    ours.connect(kubo)
    exchange(shop, kubo, ours, shop.file("from-kubo", 100 * MIB))
    exchange(shop, kubo, ours, directory_of(shop, "kubo-tree", 2000))


def test_us_to_kubo_direct(shop):
    ours, kubo = shop.node("direct-out"), shop.kubo("kubo-direct-out")
    kubo.connect(ours)
    exchange(shop, ours, kubo, shop.file("from-us", 100 * MIB))
    exchange(shop, ours, kubo, directory_of(shop, "our-tree", 2000))


def is_announced(finder, cid, peer):
    def found():
        lines = finder.rpc_lines("routing/findprovs", cid, timeout=60)
        return any(r["ID"] == peer for line in lines if line["Type"] == 4 for r in line["Responses"] or [])
    return found


def through_third(shop, giver, taker, third, size=3 * MIB, files=0):
    """giver and taker know only the third node; the taker finds the giver by its provider records."""
    giver.connect(third)
    taker.connect(third)
    paths = [shop.file(f"third-{giver.name}", size)] + ([directory_of(shop, f"tree-{giver.name}", files)] if files else [])
    cids = [giver.text("add", "-r", "-Q", path) for path in paths]
    for cid in cids:
        giver.rpc_lines("routing/provide", cid, timeout=120)
        wait_until(is_announced(third, cid, giver.peer_id), 60, f"{third.name} knows {giver.name} as provider", every=0.3)
    check(giver.peer_id not in taker.peers(), "the taker must not be connected to the giver yet")
    for path, cid in zip(paths, cids):
        fetch_and_compare(giver, taker, path, cid, shop.path(f"got-{taker.name}-{path.name}"))
    check(giver.peer_id in taker.peers(), "the bytes came from somewhere else")


def test_kubo_to_us_through_our_dht_server(shop):
    through_third(shop, shop.kubo("giver-kubo", KUBO_CLIENT), shop.node("taker-ours", OUR_CLIENT), shop.node("third-ours"), 100 * MIB, 2000)


def test_us_to_kubo_through_kubo_dht_server(shop):
    through_third(shop, shop.node("giver-ours", OUR_CLIENT), shop.kubo("taker-kubo", KUBO_CLIENT), shop.kubo("third-kubo"), 100 * MIB, 2000)


def test_us_to_us_through_kubo(shop):
    through_third(shop, shop.node("giver-2", OUR_CLIENT), shop.node("taker-2", OUR_CLIENT), shop.kubo("third-kubo-2"))


def test_longest_block(shop):
    """Bitswap's specification has blocks of 2 MiB; what Kubo's messages hold of longer ones goes both ways."""
    ours, kubo = shop.node("long-ours"), shop.kubo("long-kubo")
    kubo.connect(ours)
    for giver, taker in ((ours, kubo), (kubo, ours)):
        for size in ((3 << 20) + 1, (4 << 20) - 18):
            data = nodes.make_bytes(f"{giver.name} {size}", size)
            cid = giver.run("block", "put", "--allow-big-block", stdin=data).stdout.decode().strip()
            check(taker.run("block", "get", cid, timeout=60).stdout == data, f"{taker.name}: {size} bytes from {giver.name}")


def test_identify_and_ping(shop):
    ours, kubo = shop.node("ident"), shop.kubo("kubo-ident")
    kubo.connect(ours)
    seen = kubo.rpc("id", ours.peer_id)
    check(seen["AgentVersion"].startswith("distribute/"), f"Kubo sees agent {seen['AgentVersion']}")
    check("/ipfs/bitswap/1.2.0" in seen["Protocols"], f"Kubo sees protocols {seen['Protocols']}")
    check(any("/tcp/" in a for a in seen["Addresses"]), f"Kubo sees addresses {seen['Addresses']}")
    seen = ours.rpc("id", kubo.peer_id)
    check(seen["AgentVersion"].startswith("kubo/"), f"we see agent {seen['AgentVersion']}")
    check("/ipfs/kad/1.0.0" in seen["Protocols"] or "/ipfs/lan/kad/1.0.0" in seen["Protocols"], f"we see {seen['Protocols']}")
    for asker, asked in ((ours, kubo), (kubo, ours)):
        pongs = [line for line in asker.rpc_lines("ping", asked.peer_id, count=2) if line["Success"] and line["Time"]]
        check(len(pongs) == 2, f"{asker.name} got {len(pongs)} pongs of 2")


def finds_peer(asker, asked):
    """A DHT takes a peer in when identify has told what it speaks, shortly after the connection."""
    response, data = asker.rpc_raw("routing/findpeer", [asked.peer_id], timeout=60)
    lines = [json.loads(line) for line in data.splitlines() if line.strip()] if response.status == 200 else []
    return any(r["ID"] == asked.peer_id and r["Addrs"] for line in lines for r in line.get("Responses") or [])


def test_find_peer(shop):
    ours, other, kubo = shop.node("fp-1"), shop.node("fp-2"), shop.kubo("kubo-fp")
    ours.connect(kubo)
    other.connect(kubo)
    kubo_other = shop.kubo("kubo-fp-2")
    kubo_other.connect(ours)
    for asker, asked in ((ours, other), (kubo, other), (other, ours), (ours, kubo_other), (kubo, kubo_other)):
        wait_until(lambda: finds_peer(asker, asked), 60, f"{asker.name} finds {asked.name}", every=0.3)


def test_listed_and_connected_for_minutes(shop):
    """Each lists the other, and the same connection is there after two minutes without traffic."""
    ours, kubo = shop.node("stays"), shop.kubo("kubo-stays")
    kubo.connect(ours)

    def connection(node, other):
        found = [p for p in node.rpc("swarm/peers", verbose="true")["Peers"] or [] if p["Peer"] == other.peer_id]
        return found and found[0]["Addr"]

    before = connection(kubo, ours), connection(ours, kubo)
    check(all(before), f"not listed: {before}")
    check(ours.peer_id in kubo.text("swarm", "peers"), "Kubo's swarm peers does not list us")
    end = time.monotonic() + IDLE_SECONDS
    while time.monotonic() < end:
        now = connection(kubo, ours), connection(ours, kubo)
        check(now == before, f"the connection was {before} and is {now}")
        time.sleep(2)
    ours.run("ping", "-n", "1", kubo.peer_id)


def test_reconnects_to_a_bootstrap_peer(shop):
    """Kubo goes away and comes back on the same port: our node finds it again by itself."""
    kubo = shop.kubo("kubo-back")
    address = kubo.addresses[0]
    ours = shop.node("comes-back", {"Bootstrap": [address]})
    wait_until(lambda: kubo.peer_id in ours.peers(), 60, "connected to the bootstrap peer")
    kubo.stop()
    wait_until(lambda: kubo.peer_id not in ours.peers(), 60, "the loss is noticed")
    config = json.loads((kubo.repo / "config").read_text())
    config["Addresses"]["Swarm"] = [address.split("/p2p/")[0]]
    (kubo.repo / "config").write_text(json.dumps(config))
    kubo.start()
    wait_until(lambda: kubo.peer_id in ours.peers(), 120, "connected again")


def test_fetch_survives_a_lost_giver(shop):
    """Kubo and our node both have the file; the one that gives it is killed half-way: the other gives the rest."""
    first, second, taker = shop.node("gives-1"), shop.kubo("gives-2"), shop.node("takes")
    path = shop.file("lost", 200 * MIB)
    cid = first.text("add", "-Q", path)
    check(second.text("add", "-Q", path) == cid, "CIDs differ")
    taker.connect(first)
    fetch = taker.begin("get", cid, "-o", shop.path("lost-out"))
    wait_until(lambda: taker.rpc("bitswap/stat")["BlocksReceived"] > 20 or fetch.poll() is not None, 60, "blocks come in", every=0.01)
    taker.connect(second)
    first.kill()
    check(fetch.wait(300) == 0, f"get failed: {fetch.stderr.read()}")
    check(nodes.sha256_file(shop.path("lost-out")) == nodes.sha256_file(path), "other bytes")
