"""Taking over repositories that Kubo made (tests/fixtures/kubo-repo, kubo-pebble). Run by run.py."""
import base64
import fcntl
import json
import pathlib
import re
import shutil
import struct

import nodes
from nodes import check, fails

FIXTURE = pathlib.Path(__file__).resolve().parent.parent / "fixtures" / "kubo-repo"
PEBBLE = FIXTURE.parent / "kubo-pebble"
BADGER = FIXTURE.parent / "kubo-badger"
BADGER_TREE = "QmWFCgwFuozQoqwJ16uwbJC5sfXmrGnfv3jfJzVeRegVUQ"
BADGER_LONG = "QmWSTksLksyiUK4a7jHnNeFxGK23c8rpjFoyfdSNDRygJT"  # its data stands in a value log
BADGER_REMOVED = "QmXhHXTKBeoXP7LZA2g2wHwWH1smbzqVhHmN26KMYYTUJu"
PEBBLE_TREE = "QmXb5tUZKhWCBjb3cAsJMpurinAbiMyEtdq8iZFeRYFTM3"
PEBBLE_REMOVED = "QmQZadUdXkwf4MaJ98njqZFY2vy9zp44BTe6hoS6AmdGEB"
TREE = "QmdQktZXnuMRFUcMjzT6nFECArAyabmaFvqiimRLVccMzG"
SELF = "12D3KooWDhEKE2vYt8MbqJJF8JkhAcUJhDYKC9Gxhuh6KSxzxJ7E"


class Fresh(nodes.Node):
    """A node whose repository is not made yet."""

    def __init__(self, program, folder, name):
        nodes.Daemon.__init__(self, program, folder, name)
        self.environment = {"DISTRIBUTE_PATH": str(self.repo)}


def kubo_copy(shop):
    return shutil.copytree(FIXTURE, shop.path("kubo"))


def test_import_into_a_new_repository(shop):
    kubo = kubo_copy(shop)
    before = nodes.hash_tree(kubo)
    node = Fresh(shop.program, shop.folder, "fresh")
    said = node.text("repo", "import-kubo", "kubo", cwd=shop.folder)
    for line in ("blocks: 22", "pins: 4", "keys: 2", "IPNS records: 2", "tree of files: taken"):
        check(line in said.splitlines(), f"import says {said}")
    check(nodes.hash_tree(kubo) == before, "Kubo's repository was changed")
    check(json.loads(node.text("id", "--json"))["ID"] == SELF, "the identity is another one")
    check(node.text("config", "Datastore.StorageMax") == "7GB", "the settings did not come along")
    check(f"{TREE} recursive the tree" in node.text("pin", "ls", "--names").splitlines(), "pins")
    check(node.text("cat", f"{TREE}/sub/b") == "second", "cat")
    check(node.text("pin", "verify", "--verbose").count(" ok") == 3, "pin verify")
    node.run("repo", "gc")
    check(node.text("cat", f"{TREE}/a") == "first" and node.text("pin", "verify") == "", "collection removed what is pinned")
    said = node.text("repo", "import-kubo", kubo)
    check("pins: 0 (and 4 that were here)" in said, f"again: {said}")
    check((node.repo / "keystore" / "key_nv4wwzlz").stat().st_mode & 0o777 == 0o600, "others can read the key")


def test_import_into_a_running_node(shop):
    kubo = kubo_copy(shop)
    node = shop.node("running")
    said = node.text("repo", "import-kubo", kubo)
    check("blocks: 22" in said and "identity: this repository's own" in said, f"import says {said}")
    check(node.text("cat", f"{TREE}/a") == "first", "cat")
    check(node.rpc("id")["ID"] != SELF and node.text("config", "Datastore.StorageMax") != "7GB", "it took more than was asked for")
    damaged = next((kubo / "blocks").glob("*/CIQD3O*.data"))
    damaged.write_bytes(b"no")
    node.run("pin", "rm", TREE)
    node.run("repo", "gc")
    result = node.run("repo", "import-kubo", kubo, check_code=False)
    check(result.returncode == 1 and b"its file is damaged" in result.stderr and b"pins: 1" in result.stdout, f"damage: {result}")
    check(b"things were not taken over" in result.stderr, f"damage: {result}")


def test_import_of_one_datastore(shop):
    """Kubo's pebbleds: blocks, pins and all else are records of one database."""
    kubo = shutil.copytree(PEBBLE, shop.path("kubo"))
    before = nodes.hash_tree(kubo)
    node = Fresh(shop.program, shop.folder, "pebble")
    said = node.text("repo", "import-kubo", kubo)
    for line in ("blocks: 9", "pins: 3", "keys: 1", "IPNS records: 2", "tree of files: taken"):
        check(line in said.splitlines(), f"import says {said}")
    check(nodes.hash_tree(kubo) == before, "Kubo's repository was changed")
    pins = node.text("pin", "ls", "--names", "--type=recursive").splitlines() + node.text("pin", "ls", "--names", "--type=direct").splitlines()
    check(f"{PEBBLE_TREE} recursive the tree" in pins and any(pin.endswith("direct one block") for pin in pins), f"pins: {pins}")
    check(node.text("cat", f"{PEBBLE_TREE}/f2") == "2" * 3000 and node.text("pin", "verify") == "", "content")
    check(node.text("files", "ls", "/docs/t").splitlines() == ["f1", "f2", "f3"], "the tree of files")
    fails(node, "block", "stat", PEBBLE_REMOVED, saying="not found")
    table = next((kubo / "pebbleds").glob("*.sst"))
    damaged = bytearray(table.read_bytes())
    damaged[20] ^= 1
    table.write_bytes(damaged)
    node, said, told = import_from(shop, kubo, "other", code=1)
    check("damaged: a checksum is wrong: the blocks that stand there were not taken" in told and "pins: 3" in said, f"{said} {told}")


def import_from(shop, kubo, name, code=0):
    node = Fresh(shop.program, shop.folder, name)
    result = node.run("repo", "import-kubo", kubo, check_code=False)
    check(result.returncode == code, f"{name}: {result}")
    return node, result.stdout.decode().splitlines(), result.stderr.decode()


def test_import_of_badger(shop):
    kubo = shutil.copytree(BADGER, shop.path("kubo"))
    before = nodes.hash_tree(kubo)
    node, said, _ = import_from(shop, kubo, "badger")
    for line in ("blocks: 11", "pins: 4", "keys: 1", "IPNS records: 2", "tree of files: taken"):
        check(line in said, f"import says {said}")
    check(nodes.hash_tree(kubo) == before, "Kubo's repository was changed")
    pins = node.text("pin", "ls", "--names", "--type=recursive").splitlines() + node.text("pin", "ls", "--names", "--type=direct").splitlines()
    check(f"{BADGER_TREE} recursive the tree" in pins and any(pin.endswith("direct one block") for pin in pins), f"pins: {pins}")
    check(node.text("cat", f"{BADGER_TREE}/f2") == "2" * 3000 and node.text("pin", "verify") == "", "content")
    check(node.text("files", "ls", "/docs/t").splitlines() == ["f1", "f2", "f3"], "the tree of files")
    check(len(node.run("cat", BADGER_LONG).stdout) == 70000, "a long block")
    fails(node, "block", "stat", BADGER_REMOVED, saying="not found")


def test_import_of_damaged_badger(shop):
    """A value that is lost is told of and the rest comes along; a table that is damaged ends the import."""
    kubo = shutil.copytree(BADGER, shop.path("kubo"))
    log, table = kubo / "badgerds" / "000000.vlog", max((kubo / "badgerds").glob("*.sst"), key=lambda path: path.stat().st_size)
    good, whole = log.read_bytes(), table.read_bytes()
    log.write_bytes(good.replace(b"/blocks/", b"/blockz/"))
    node, said, told = import_from(shop, kubo, "half", code=1)
    check("blocks: 10" in said and "pins: 4" in said, f"import says {said}")
    check("000000.vlog is damaged at" in told and "was not taken" in told, f"told: {told}")
    log.unlink()
    node, said, told = import_from(shop, kubo, "without", code=1)
    check("blocks: 10" in said and told.count("000000.vlog is missing") == 2, f"{said} {told}")
    log.write_bytes(good)
    node.run("repo", "import-kubo", kubo)
    check(node.text("pin", "verify") == "", "the second import brings what was missing")
    table.write_bytes(whole[:2000] + bytes([whole[2000] ^ 1]) + whole[2001:])
    for why in ("damaged: its checksum is not the one in MANIFEST", "missing"):  # the blocks that can be read come along
        node, said, told = import_from(shop, kubo, f"less-{why[:4]}", code=1)
        told = told.splitlines()
        check(f"is {why}: the blocks that stand there were not taken" in told[0] and told[-1].endswith(f"is {why}"), f"{told}")
        if why != "missing":
            table.unlink()
    table.write_bytes(whole)
    manifest = kubo / "badgerds" / "MANIFEST"
    manifest.write_bytes(manifest.read_bytes() + b"\0\0\0\x20half a set")
    check("MANIFEST is cut off" in import_from(shop, kubo, "cut", code=1)[2], "a manifest that is cut off")


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


def pebble_chunk(number, key, value):
    """A change as Pebble's log has it."""
    batch = struct.pack("<QI", 10**9, 1) + bytes([1, len(key)]) + key.encode() + bytes([len(value)]) + value
    sealed = bytes([5]) + struct.pack("<I", number) + batch
    crc = crc32c(sealed)
    return struct.pack("<IH", ((crc >> 15 | crc << 17) + 0xa282ead8) & 0xffffffff, len(batch)) + sealed


def test_import_of_damaged_logs_of_pebble(shop):
    """What Pebble would pass over without a word is told: the middle of its manifest, of its newest log."""
    kubo = shutil.copytree(PEBBLE, shop.path("kubo"))
    manifest, log = kubo / "pebbleds" / "MANIFEST-000083", kubo / "pebbleds" / "000086.log"
    good, whole = manifest.read_bytes(), pebble_chunk(86, "/local/a", b"1") + pebble_chunk(86, "/pins/pin/b", b"no pin")
    manifest.write_bytes(good[:20] + bytes([good[20] ^ 4]) + good[21:])
    fails(Fresh(shop.program, shop.folder, "no"), "repo", "import-kubo", kubo, saying="MANIFEST-000083 is damaged at 0")
    manifest.write_bytes(good[:30])
    fails(Fresh(shop.program, shop.folder, "no"), "repo", "import-kubo", kubo, saying="MANIFEST-000083 is damaged: it tells nothing")
    manifest.write_bytes(good)
    log.write_bytes(whole[:20] + bytes([whole[20] ^ 4]) + whole[21:])
    node, said, told = import_from(shop, kubo, "half", code=1)
    check("000086.log is damaged at 0: what stands behind that" in told and "keys: 1" in said, f"{said} {told}")
    log.write_bytes(whole[:-5])  # a write that was cut off
    import_from(shop, kubo, "torn")
    log.write_bytes(whole)
    check("a pin was not taken" in import_from(shop, kubo, "whole", code=1)[2], "the log is not read")
    log.write_bytes(bytes(32768) + whole)  # the first block of it is lost
    check("000086.log is damaged at 0" in import_from(shop, kubo, "zeros", code=1)[2], "a block that is lost")
    log.write_bytes(whole[:-5])
    newer = log.with_name("000090.log")
    newer.write_bytes(b"")  # so that the one before was not cut off by a crash
    check("000086.log is cut off, though" in import_from(shop, kubo, "cut", code=1)[2], "an older log that is cut off")
    newer.unlink()
    log.unlink()
    check("000086.log is missing" in import_from(shop, kubo, "none", code=1)[2], "a log that is missing")
    log.write_bytes(b"")
    manifest.write_bytes(good[:-3])
    check("MANIFEST-000083 is cut off" in import_from(shop, kubo, "manifest", code=1)[2], "a manifest that is cut off")


def test_import_of_other_tables_of_pebble(shop):
    """A table that is whole, and not the one that the manifest means; one whose end is damaged."""
    kubo = shutil.copytree(PEBBLE, shop.path("kubo"))
    table = next((kubo / "pebbleds").glob("*.sst"))
    good = table.read_bytes()
    table.write_bytes(next((FIXTURE.parent / "pebble" / "24").glob("*.sst")).read_bytes())
    told = import_from(shop, kubo, "swapped", code=1)[2]
    check(f"{table.name} is damaged: its size is not the one in the manifest" in told, f"told: {told}")
    table.write_bytes(good[:-1] + b"x")
    told = import_from(shop, kubo, "end", code=1)[2]
    check(f"{table.name} is damaged: it does not end as a table does" in told, f"told: {told}")


def badger_write(kubo, key, value, meta=0):
    """As Badger writes it, to the end of its log: behind all that is in tables."""
    whole = key.encode() + struct.pack(">Q", 2**64 - 1 - 10**6)
    entry = struct.pack(">IIQBB", len(whole), len(value), 0, meta, 0) + whole + value
    with open(max((kubo / "badgerds").glob("*.vlog")), "ab") as log:
        log.write(entry + struct.pack(">I", crc32c(entry)))


def test_import_of_odd_records(shop):
    """Each is told of, and the rest comes along."""
    file = b"\x12\x20" + bytes.fromhex("785a98abe3542420645e7fc775d7f2e91fcd7682942ece9bb9d144a3456373f0")
    pin = lambda name: b"\xa3\x63cid\x58\x22" + file + b"\x64mode\x00\x64name" + name
    for name, key, value, says, line in (
            ("long-root", "/local/filesroot", b"\x12" * 500, "the tree of files was not taken", "pins: 4"),
            ("file-root", "/local/filesroot", file, "the tree of files was not taken: .* is not a directory", "pins: 4"),
            ("no-text", "/pins/pin/c0f798fe45ab43158ad7d548117c762f", pin(b"\x63\xff\xfe\x41"), "name of the pin of .* was not taken", "pins: 4"),
            ("no-pin", "/pins/pin/c0f798fe45ab43158ad7d548117c762f", b"\xa0", "a pin was not taken", "pins: 3"),
            ("bad-block", "/blocks/CIQFTFEEHEDF6KLBT32BFAGLXEZL4UWFNWM4LFTLMXQBCERZ6CMLX3Y", b"no", "do not hash to", "blocks: 10")):
        kubo = shutil.copytree(BADGER, shop.path(name))
        badger_write(kubo, key, value)
        node, said, told = import_from(shop, kubo, f"{name}-ours", code=1)
        check(re.search(says, told) and line in said and "keys: 1" in said, f"{name}: {said} {told}")
    kubo = shutil.copytree(BADGER, shop.path("removed"))
    badger_write(kubo, "/local/filesroot", b"", meta=1)
    node, said, told = import_from(shop, kubo, "removed-ours")
    check("tree of files: none" in said and "blocks: 11" in said, f"{said} {told}")


def test_import_of_odd_files(shop):
    """What stands in the blocks' folder by links is read; what is no file is told of, and the rest comes along."""
    kubo = kubo_copy(shop)
    blocks = kubo / "blocks"
    for path in (blocks / "Z2", next((blocks / "AK").glob("*.data"))):
        path.rename(shop.path(f"elsewhere-{path.name}"))
        path.symlink_to(shop.path(f"elsewhere-{path.name}"))
    folder, nowhere = (next((blocks / name).glob("*.data")) for name in ("2G", "AR"))
    for path in (folder, nowhere):
        path.unlink()
    folder.mkdir()
    (blocks / "5U" / f"CIQ{'A' * 49}5UA.data").write_bytes(bytes(9 << 20))
    nowhere.symlink_to(shop.path("nowhere"))
    node = Fresh(shop.program, shop.folder, "linked")
    result = node.run("repo", "import-kubo", kubo, check_code=False)
    check(result.returncode == 1 and b"blocks: 20\n" in result.stdout and b"pins: 4\n" in result.stdout, f"links: {result}")
    for words in (b"Is a directory", b"its file is damaged", b"larger than blocks are here"):
        check(words in result.stderr, f"links: {result}")


def test_import_of_old_versions(shop):
    """Version 11: blocks are named by whole CIDs. Before 13, 15 and 18: settings that stood for something else."""
    kubo = kubo_copy(shop)
    (kubo / "version").write_text("11\n")
    names = [path for path in (kubo / "blocks").glob("*/CIQ*.data")]
    for path in names[:9]:
        name = base64.b32encode(bytes([1, 0x70]) + base64.b32decode(path.stem + "=" * (-len(path.stem) % 8))).decode().rstrip("=")
        (kubo / "blocks" / name[-3:-1]).mkdir(exist_ok=True)
        path.rename(kubo / "blocks" / name[-3:-1] / f"{name}.data")
    config = json.loads((kubo / "config").read_text())
    config["Addresses"]["Swarm"] = ["/ip4/127.0.0.1/udp/4001/quic", "/ip4/127.0.0.1/udp/4001/quic-v1", "/ip4/127.0.0.1/udp/4002/quic", "/ip4/127.0.0.1/tcp/0"]
    config["Gateway"]["HTTPHeaders"] = {"Access-Control-Allow-Headers": ["X-Requested-With", "Range", "User-Agent"], "Access-Control-Allow-Origin": ["*"], "X-Own": ["1"]}
    config["Reprovider"] = {"Interval": "12h", "Strategy": "roots"}
    config["Provider"] = {"Enabled": False}
    config["Routing"] = {"Type": "dht"}
    (kubo / "config").write_text(json.dumps(config))
    node = Fresh(shop.program, shop.folder, "old")
    check("blocks: 22" in node.text("repo", "import-kubo", kubo).splitlines(), "blocks of version 11")
    check(node.text("pin", "verify") == "" and node.text("repo", "verify").endswith("all blocks validated."), "blocks of version 11")
    ours = json.loads((node.repo / "config").read_text())
    check(ours["Addresses"]["Swarm"] == ["/ip4/127.0.0.1/udp/4001/quic-v1", "/ip4/127.0.0.1/udp/4002/quic-v1", "/ip4/127.0.0.1/tcp/0"], ours["Addresses"])
    check(ours["Gateway"]["HTTPHeaders"] == {"X-Own": ["1"]}, ours["Gateway"])
    check(ours["Reprovider"] == {"Strategy": "roots"} and ours["Provide"]["Enabled"] is False and ours["Routing"].get("Type") != "dht", "old settings")


def test_import_that_begins_again(shop):
    """The key of a private network is there before there is a repository, so that no interruption leaves one without it."""
    kubo = kubo_copy(shop)
    (kubo / "swarm.key").write_text("/key/swarm/psk/1.0.0/\n/base16/\n" + "ab" * 32 + "\n")
    node = Fresh(shop.program, shop.folder, "begun")
    (node.repo / "repo.lock").mkdir(parents=True)  # what cannot be locked is not made
    fails(node, "repo", "import-kubo", kubo, saying="repo.lock")
    check((node.repo / "swarm.key").read_bytes() == (kubo / "swarm.key").read_bytes() and not (node.repo / "version").exists(), "the order of files")
    (node.repo / "repo.lock").rmdir()
    said = node.text("repo", "import-kubo", kubo)
    check("identity: Kubo's" in said and node.text("config", "Datastore.StorageMax") == "7GB", f"begun again: {said}")
    check(not (node.repo / "import-kubo.new").exists(), "the mark stays")


def test_import_refusals(shop):
    kubo = kubo_copy(shop)
    node = shop.node("refusing", start=False)
    with open(kubo / "repo.lock", "w") as lock:
        fcntl.lockf(lock, fcntl.LOCK_EX)
        fails(node, "repo", "import-kubo", kubo, saying="Kubo runs on .*stop it")
    (kubo / "repo.lock").unlink()
    fails(node, "repo", "import-kubo", shop.path("nothing"), saying="nothing: No such file")
    fails(node, "repo", "import-kubo", shop.folder, saying="no repository of Kubo")
    fails(node, "repo", "import-kubo", node.repo, saying="of this program")
    (kubo / "datastore_spec").write_text('{"type":"s3ds","path":"x"}')
    fails(node, "repo", "import-kubo", kubo, saying="s3ds.*dag export")
    (kubo / "datastore_spec").write_text('{"type":"badgerds","path":"badgerds"}')
    fails(node, "repo", "import-kubo", kubo, saying="badgerds is no database of Badger: it has no MANIFEST")
    shutil.copy2(FIXTURE / "datastore_spec", kubo / "datastore_spec")
    fails(node, "cat", "--repo", kubo, TREE, saying="import-kubo")
