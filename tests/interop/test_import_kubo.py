"""Taking over a repository that Kubo has just made and uses. Run by run.py."""
import json
import pathlib

import nodes
from nodes import check, fails

MIB = 1 << 20


def pins_of(node):
    return sorted(line for line in node.text("pin", "ls", "--names").splitlines())


def keys_of(node):
    return {path.name: path.read_bytes() for path in (node.repo / "keystore").iterdir()}


def fill(shop, kubo):
    tree = shop.path("tree")
    (tree / "sub").mkdir(parents=True)
    (tree / "big").write_bytes(nodes.make_bytes("big", 3 * MIB))
    for i in range(300):
        (tree / "sub" / f"{i}").write_bytes(b"file %d" % i)
    root = kubo.text("add", "-r", "-Q", "--pin-name=a tree", tree)
    for i in range(20):
        leaf = kubo.text("resolve", f"/ipfs/{root}/sub/{i}").split("/")[-1]
        kubo.run("pin", "add", f"--name=pin {i}", *(["-r=false"] if i % 3 else []), leaf)
    kubo.run("add", "-Q", "--pin=false", stdin=b"loose")
    kubo.run("add", "-Q", "--cid-version=1", "--hash=blake2b-256", stdin=b"another hash")
    for name, kind in (("one", "ed25519"), ("two/3", "rsa")):
        kubo.run("key", "gen", f"--type={kind}", name)
    kubo.run("files", "write", "--create", "-p", "/docs/x.txt", stdin=b"in the tree of files")
    kubo.run("name", "publish", "--allow-offline", "--key=one", f"/ipfs/{root}")
    return root


class Imported(nodes.Node):
    """Called as ipfs, so that it speaks like Kubo."""

    def __init__(self, shop, name):
        nodes.Daemon.__init__(self, pathlib.Path(shop.program).parent / "ipfs", shop.folder, name)
        self.environment = {"DISTRIBUTE_PATH": str(self.repo)}


def test_import_of_a_live_repository(shop):
    kubo = shop.kubo("kubo", start=False)
    root = fill(shop, kubo)
    kubo.start()
    kubo.run("pin", "ls")
    ours = Imported(shop, "ours")
    shop.daemons.append(ours)
    fails(ours, "repo", "import-kubo", kubo.repo, saying="Kubo runs on")
    check(not (ours.repo / "version").exists(), "a refusal made a repository")
    kubo.stop()
    before = nodes.hash_tree(kubo.repo)
    said = ours.text("repo", "import-kubo", kubo.repo)
    check(nodes.hash_tree(kubo.repo) == before, "Kubo's repository was changed")
    check("keys: 2" in said and "IPNS records: 2" in said and "tree of files: taken" in said, said)
    expected, keys = pins_of(kubo), keys_of(kubo)
    check(pins_of(ours) == expected, f"pins: {set(pins_of(ours)) ^ set(expected)}")
    check(json.loads(ours.text("id"))["ID"] == json.loads(kubo.text("id"))["ID"], "identity")
    check(ours.run("cat", f"{root}/big").stdout == shop.path("tree").joinpath("big").read_bytes(), "content")
    check(ours.text("repo", "verify").endswith("all blocks validated."), "repo verify")
    check(set(ours.text("refs", "local").split()) >= set(kubo.text("refs", "local").split()), "blocks are missing")
    check(ours.text("pin", "verify") == "", "a pin is broken")
    check(keys_of(ours) == keys, f"keys: {list(keys_of(ours))}, Kubo's {list(keys)}")
    ours.run("repo", "gc")
    check(pins_of(ours) == expected and ours.text("pin", "verify") == "", "collection harmed a pin")


def with_datastore(kubo, spec, on_disk):
    config = json.loads((kubo.repo / "config").read_text())
    config["Datastore"]["Spec"] = spec
    (kubo.repo / "config").write_text(json.dumps(config))
    (kubo.repo / "datastore_spec").write_text(json.dumps(on_disk, separators=(",", ":"), sort_keys=True))


def with_pebble(kubo, **settings):
    with_datastore(kubo, {"type": "pebbleds", "prefix": "pebble.datastore", "path": "pebbleds"} | settings, {"path": "pebbleds", "type": "pebbleds"})
    text = kubo.text  # it says on standard output that there is a newer format
    kubo.text = lambda *words, **options: "\n".join(line for line in text(*words, **options).splitlines()
                                                    if "pebble d" not in line and "formatMajorVersion" not in line)


def import_pebble(shop, name, **settings):
    """What was removed stays so, what was written last counts, also where the database was left by a kill."""
    kubo = shop.kubo(name, start=False)
    with_pebble(kubo, **settings)
    root = fill(shop, kubo)
    kubo.start()
    added = [kubo.text("add", "-Q", shop.file(f"{name}-{i}", 3 * MIB)) for i in range(5)]
    for i in (0, 2, 4):
        kubo.run("pin", "rm", added[i])
    kubo.run("repo", "gc", "-q")
    kubo.rpc("files/mkdir", "/late")
    kubo.kill()
    before = nodes.hash_tree(kubo.repo / "pebbleds")
    ours = Imported(shop, f"{name}-ours")
    shop.daemons.append(ours)
    said = ours.text("repo", "import-kubo", kubo.repo)
    check(nodes.hash_tree(kubo.repo / "pebbleds") == before, "Kubo's datastore was changed")
    check("keys: 2" in said and "IPNS records: 1" in said and "tree of files: taken" in said, said)
    check(pins_of(ours) == pins_of(kubo), "pins")
    check(set(ours.text("refs", "local").split()) == set(kubo.text("refs", "local").split()), "blocks")
    check(ours.text("files", "stat", "--hash", "/") == kubo.text("files", "stat", "--hash", "/"), "the tree of files")
    check(ours.text("pin", "verify") == "" and ours.run("cat", f"{root}/big").stdout == nodes.make_bytes("big", 3 * MIB), "content")


def test_import_of_a_pebble_repository(shop):
    import_pebble(shop, "pebble")


def test_import_of_an_old_pebble_repository(shop):
    import_pebble(shop, "old", formatMajorVersion=16)


def with_badger(kubo, **settings):
    with_datastore(kubo, {"type": "measure", "prefix": "badger.datastore", "child": {"type": "badgerds", "path": "badgerds"} | settings},
                   {"path": "badgerds", "type": "badgerds"})


def same_content(ours, kubo, files_kept):
    check(pins_of(ours) == pins_of(kubo), f"pins: {set(pins_of(ours)) ^ set(pins_of(kubo))}")
    ours_has, kubo_has = (set(node.text("refs", "local").split()) for node in (ours, kubo))
    check(ours_has == kubo_has, f"blocks: {len(ours_has - kubo_has)} too many, {len(kubo_has - ours_has)} too few")
    check(ours.text("files", "stat", "--hash", "/") == kubo.text("files", "stat", "--hash", "/"), "the tree of files")
    check(ours.text("pin", "verify") == "", "a pin is not whole")
    for root, name, size in files_kept:
        check(ours.run("cat", root).stdout == nodes.make_bytes(name, size), f"content of {name}")


def is_collected(kubo):
    logs = sorted(int(path.stem) for path in (kubo.repo / "badgerds").glob("*.vlog"))
    return len(logs) <= logs[-1]


def import_badger(shop, name, **settings):
    """Many versions of the tree of files, values in tables and in logs, logs that were collected, removals, a kill."""
    kubo = shop.kubo(name, start=False)
    with_badger(kubo, **settings)
    root = fill(shop, kubo)
    kubo.start()
    added = [kubo.text("add", "-Q", *(["--chunker=size-60000"] if i % 2 else []), shop.file(f"{name}-{i}", 5 * MIB)) for i in range(8)]
    for i in range(200):
        kubo.rpc("files/mkdir", f"/v{i % 7}-{i}")
        if i % 3 == 0:
            kubo.rpc("files/rm", f"/v{i % 7}-{i}", recursive="true")
    kubo.stop()
    kubo.start()
    for i in (0, 1, 4, 5):
        kubo.run("pin", "rm", added[i])
    for i in range(60):  # Badger picks a log at random, and looks at a part of it
        if i > 2 and ("vlogFileSize" not in settings or is_collected(kubo)):
            break
        kubo.run("repo", "gc", "-q")
        kubo.run("add", "-Q", "--pin=false", shop.file(f"{name}-more-{i}", 2 * MIB))
    kubo.run("block", "rm", kubo.text("add", "-Q", "--pin=false", stdin=b"loose again"))
    last = [(added[i], f"{name}-{i}", 5 * MIB) for i in (2, 3, 6, 7)]
    kubo.rpc("files/mkdir", "/late")
    kubo.kill()
    before = nodes.hash_tree(kubo.repo)
    ours = Imported(shop, f"{name}-ours")
    shop.daemons.append(ours)
    said = ours.text("repo", "import-kubo", kubo.repo)
    check(nodes.hash_tree(kubo.repo) == before, "Kubo's repository was changed")
    check("keys: 2" in said and "IPNS records: 1" in said and "tree of files: taken" in said, said)
    same_content(ours, kubo, [(f"{root}/big", "big", 3 * MIB), *last])
    return kubo


def test_import_of_a_badger_repository(shop):
    import_badger(shop, "badger")


def test_import_of_a_badger_repository_with_small_logs(shop):
    kubo = import_badger(shop, "logs", vlogFileSize="2MB")
    check(is_collected(kubo), "no log was collected")


def test_import_of_many_records_of_badger(shop):
    """50,000 blocks: memory does not grow with their number."""
    kubo = shop.kubo("many-blocks", start=False)
    with_badger(kubo)
    root = kubo.text("add", "-Q", "--chunker=size-1000", shop.file("many", 50 * MIB))
    ours = shop.node("many-ours")
    before = ours.memory()[1]
    said = ours.text("repo", "import-kubo", kubo.repo)
    blocks = int(said.split("blocks: ")[1].split()[0])
    check(blocks > 52000 and ours.memory()[1] - before < 40 * MIB, f"{blocks} blocks in {(ours.memory()[1] - before) / MIB:.0f} MiB")
    check(ours.run("cat", root).stdout == nodes.make_bytes("many", 50 * MIB), "content")


def test_import_of_mixed_datastores(shop):
    """Each kind of datastore for blocks beside each other kind for the rest."""
    flatfs = {"type": "flatfs", "path": "blocks", "shardFunc": "/repo/flatfs/shard/v1/next-to-last/2"}
    level = {"type": "levelds", "path": "datastore", "compression": "none"}
    for name, blocks, rest in (("below", {"type": "pebbleds", "path": "pb"}, level),
                               ("above", flatfs, {"type": "pebbleds", "path": "pr"}),
                               ("badger-below", {"type": "badgerds", "path": "bb"}, {"type": "pebbleds", "path": "pr"}),
                               ("badger-above", flatfs, {"type": "badgerds", "path": "br"}),
                               ("level", {"type": "levelds", "path": "lb", "compression": "none"}, level)):
        kubo = shop.kubo(name, start=False)
        mounts = [{"mountpoint": "/blocks"} | blocks, {"mountpoint": "/"} | rest]
        on_disk = [{k: v for k, v in mount.items() if k != "compression"} for mount in mounts]
        with_datastore(kubo, {"type": "mount", "mounts": [m | {"prefix": "x", "sync": False} for m in mounts]}, {"type": "mount", "mounts": on_disk})
        kubo.run("add", "-Q", "--pin-name=x", stdin=nodes.make_bytes(name, MIB))
        kubo.run("files", "mkdir", "-p", "/a/b")
        kubo.run("block", "put", "--allow-big-block", stdin=nodes.make_bytes(name, 5 * MIB))
        ours = Imported(shop, f"{name}-taken")
        shop.daemons.append(ours)
        ours.run("repo", "import-kubo", kubo.repo)
        check(pins_of(ours) == pins_of(kubo) and len(pins_of(ours)) > 4, "pins")
        check(set(ours.text("refs", "local").split()) == set(kubo.text("refs", "local").split()), "blocks")
        check(ours.text("files", "stat", "--hash", "/") == kubo.text("files", "stat", "--hash", "/"), "the tree of files")


def test_import_of_nested_mounts(shop):
    """Datastores within datastores, one for each kind of record; wrappers around some."""
    kubo = shop.kubo("nested", start=False)
    places = {"/blocks": ("badgerds", "b"), "/pins/pin": ("pebbleds", "p"), "/local": ("badgerds", "l"), "/ipns": ("levelds", "i"), "/": ("levelds", "rest")}
    store = lambda point, prefix="": {"type": places[point][0], "path": places[point][1]} | ({"compression": "none"} if places[point][0] == "levelds" else {})
    wrapped = lambda point: {"type": "measure", "prefix": f"x{places[point][1]}", "child": {"type": "log", "name": "y", "child": store(point)}}
    inner = [{"mountpoint": "/pin"} | wrapped("/pins/pin"), {"mountpoint": "/"} | store("/")]
    spec = {"type": "mount", "mounts": [{"mountpoint": "/blocks"} | wrapped("/blocks"), {"mountpoint": "/pins", "type": "mount", "mounts": inner},
                                        {"mountpoint": "/local/"} | store("/local"), {"mountpoint": "ipns"} | wrapped("/ipns"),
                                        {"mountpoint": "/"} | store("/") | {"path": "other"}]}
    bare = lambda point, path=None: {"path": path or places[point][1], "type": places[point][0]}
    on_disk = {"type": "mount", "mounts": [{"mountpoint": "/pins", "type": "mount", "mounts": [{"mountpoint": "/pin"} | bare("/pins/pin"), {"mountpoint": "/"} | bare("/")]},
                                           {"mountpoint": "/local"} | bare("/local"), {"mountpoint": "/ipns"} | bare("/ipns"),
                                           {"mountpoint": "/blocks"} | bare("/blocks"), {"mountpoint": "/"} | bare("/", "other")]}
    with_datastore(kubo, spec, on_disk)
    root = fill(shop, kubo)
    before = nodes.hash_tree(kubo.repo)
    ours = Imported(shop, "nested-ours")
    shop.daemons.append(ours)
    said = ours.text("repo", "import-kubo", kubo.repo)
    check(nodes.hash_tree(kubo.repo) == before, "Kubo's repository was changed")
    check("IPNS records: 1" in said and "tree of files: taken" in said, said)
    same_content(ours, kubo, [(f"{root}/big", "big", 3 * MIB)])


def test_import_of_references_to_files(shop):
    kubo = shop.kubo("referring", start=False)
    kubo.run("config", "--json", "Experimental.FilestoreEnabled", "true")
    (shop.path("kept")).mkdir()
    (shop.path("kept") / "file").write_bytes(nodes.make_bytes("kept", MIB))
    root = kubo.text("add", "-Q", "--nocopy", shop.path("kept") / "file")
    ours = Imported(shop, "taking")
    said = ours.text("repo", "import-kubo", kubo.repo)
    check("blocks that stay in your files or at URLs: 4" in said, said)
    check(ours.text("filestore", "ls") == kubo.text("filestore", "ls"), "the references")
    check(ours.run("cat", root).stdout == nodes.make_bytes("kept", MIB), "cat")
    other = Imported(shop, "without")
    other.run("init")
    result = other.run("repo", "import-kubo", kubo.repo, check_code=False)
    check(result.returncode == 1 and b"4 blocks that Kubo keeps in your files" in result.stderr, f"without a filestore: {result}")
