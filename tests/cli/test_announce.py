"""--fast-provide-root, -dag and -wait of add and dag import: what others can find afterwards. Run by run.py."""
import nodes
from nodes import check, fails, wait_until


def neighbours(shop, **config):
    giver, asker = shop.node("giver", config), shop.node("asker")
    giver.connect(asker)
    for one, other in ((giver, asker), (asker, giver)):
        wait_until(lambda: any(p["Peer"] == other.peer_id for p in one.rpc("dht/inspect")["Peers"]), 60, "the tables are filled")
    return giver, asker


def finds(asker, giver, cid):
    return giver.peer_id in asker.text("routing", "findprovs", cid).split()


def make_archives(shop, *names):
    source, made = shop.node("source", start=False), []
    for name in names:
        cid = source.text("add", "-Q", stdin=nodes.make_bytes(name, 1000))
        path = shop.path(f"{name}.car")
        path.write_bytes(source.run("dag", "export", cid).stdout)
        made.append((path, cid))
    return made


def test_roots_are_known_when_the_command_returns(shop):
    giver, asker = neighbours(shop, **{"Provide.DHT.Interval": "0"})  # no cycle may tell of what was not to be told
    cid = giver.text("add", "-Q", "--fast-provide-wait", stdin=b"wait for it")
    check(finds(asker, giver, cid), "add --fast-provide-wait")
    (path, cid), (later_path, later), (never_path, never) = make_archives(shop, "now", "later", "never")
    check(giver.text("dag", "import", "--fast-provide-wait", "--stats", path).startswith(f"Pinned root\t{cid}"), "dag import")
    check(finds(asker, giver, cid), "dag import --fast-provide-wait")
    giver.text("dag", "import", "--fast-provide-root=false", "--fast-provide-wait", never_path)
    unseen = giver.text("add", "-Q", "--fast-provide-root=false", "--fast-provide-wait", stdin=b"nobody is told")
    giver.text("dag", "import", later_path)
    wait_until(lambda: finds(asker, giver, later), 30, "dag import announces soon")
    check(not finds(asker, giver, never) and not finds(asker, giver, unseen), "--fast-provide-root=false")


def test_all_blocks_are_announced(shop):
    giver, asker = neighbours(shop, **{"Import.FastProvideWait": True})
    tree = shop.path("tree")
    tree.mkdir()
    for i in range(3):
        (tree / f"{i}").write_bytes(nodes.make_bytes(f"{i}", 500))
    source = shop.node("source", start=False)
    root = giver.text("add", "-Q", "-r", "--fast-provide-dag", "--raw-leaves", tree)
    other = source.text("add", "-Q", "-r", tree)
    giver.text("dag", "import", "--fast-provide-dag", "--pin-roots=false", stdin=source.run("dag", "export", other).stdout)
    check(finds(asker, giver, root) and finds(asker, giver, other), "the roots")
    for cid in giver.text("refs", "-r", root).split() + giver.text("refs", "-r", other).split():
        wait_until(lambda: finds(asker, giver, cid), 30, f"{cid} is announced")


def test_only_pins_are_announced(shop):
    giver, asker = neighbours(shop, **{"Provide.Strategy": "pinned", "Import.FastProvideWait": True})
    loose = giver.text("add", "-Q", "--pin=false", stdin=b"not pinned")
    kept = giver.text("add", "-Q", stdin=b"pinned")
    (path, cid), = make_archives(shop, "loose")
    giver.text("dag", "import", "--pin-roots=false", path)
    check(finds(asker, giver, kept) and not finds(asker, giver, loose) and not finds(asker, giver, cid), "Provide.Strategy")
    giver.text("dag", "import", path)
    check(finds(asker, giver, cid), "pinned now")


def test_nobody_to_tell(shop):
    """Who waits hears that nobody took the record; what was added is there. Who cannot announce does not wait."""
    (path, cid), = make_archives(shop, "alone")
    alone = shop.node("alone")
    fails(alone, "dag", "import", "--fast-provide-wait", path, saying="fast-provide: ")
    check(alone.text("pin", "ls", "-q", "-t", "recursive") == cid, "the import is undone")
    said = fails(alone, "add", "--fast-provide-wait", path, saying="fast-provide: ")
    check(alone.text("add", "-Q", path) in alone.text("pin", "ls", "-q", "-t", "recursive"), said)
    for name, config in (("silent", {"Provide.Enabled": False}), ("no-dht", {"Routing.Type": "none"}), ("off", None)):
        node = shop.node(name, config, start=config is not None)
        check(node.text("dag", "import", "--fast-provide-wait", "--fast-provide-dag", path) == f"Pinned root\t{cid}\tsuccess", name)
