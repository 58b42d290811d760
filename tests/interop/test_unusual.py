"""Unusual options and bad input for add, ls and dag: the same words to both programs, the answers side by side.
Run by run.py."""
import struct

from test_same import Pair, begin, finish  # noqa: F401 (run.py calls begin and finish)

NAMES = ["new\nline", "esc\x1b[31mred", "tab\there", "cr\rback", "bell\a\b\v\f", "back\\slash", "per%2Fcent", "q\"uote", "plus+plus", "semi;colon", "a=b&c",
         "\u202eright", "\u009bc1", " lead", "trail ", "...", "..x", "*", "?", "-r", "empty"]


def test_unusual_hashes(shop):
    p = Pair(shop, "hashes")
    for name in ("sha1", "sha2-512-256", "sha2-384", "sha2-224", "sha3-224", "keccak-512", "shake-128", "shake-256", "blake2s-256", "identity",
                 "murmur3-x64-64", "md5", "", "0x12"):
        p.same("add", f"--hash={name}", "tree/a.txt")
    p.same("add", "--hash=identity", "tree/sub/b.bin")


def test_unusual_options(shop):
    p = Pair(shop, "unusual")
    for chunker in ("rabin-16-16-16", "rabin-48-64-128", "rabin-1-2-3-4", "rabin-min:48-avg:64-max:100", "rabin-48-64-2097153", "rabin-48-64-2097152",
                    "buzhash-1", "size--1", "size-2097153", "default", "", "SIZE-5"):
        p.same("add", "--trickle", "--cid-version=1", f"--chunker={chunker}", "tree/sub/b.bin")
    for limit in ("0", "1", "3", "127", "128", "129"):
        p.same("add", "--inline", f"--inline-limit={limit}", "-r", "tree")
    for words in (["--mode=0"], ["--mode=7777"], ["--mode=010000"], ["--mode=0x8800000"], ["--mode=0x900001a4"], ["--mtime=0"], ["--mtime=-9223372036854775808"],
                  ["--mtime=5", "--mtime-nsecs=999999999"], ["--mtime=5", "--mtime-nsecs=1000000000"], ["--preserve-mode", "--mode=0600"],
                  ["--preserve-mtime", "--mtime=4"], ["--preserve-mode", "--preserve-mtime", "--mode=0600", "--mtime=4"], ["--pin-name=a\nb\x1b[31m"],
                  ["--max-hamt-fanout=1024"], ["--max-hamt-fanout=2048"], ["--max-hamt-fanout=12"], ["--hidden=maybe"], ["--quiet=no"], ["-q=T"],
                  ["--pin=0"], ["-t", "-t"], ["-q", "--quiet=false"], ["--trickle", "--max-file-links=3", "--chunker=size-9"], ["--ignore=["],
                  ["--to-files=/../y"], ["--to-files=/a\nb"]):
        p.same("add", *words, "tree/sub/with space & more.txt")
        if words[0].startswith("--preserve"):
            p.same("add", "-r", *words, "tree")
    for words in (["-w", "-r", "tree", "tree/sub/../a.txt"], ["-w", "-", "tree/a.txt"], ["-r", "tree/sub/empty"], ["-w", "-r", "tree/sub/empty"],
                  ["tree/.hidden"], ["-r", "-w", "tree/.hidden"]):
        p.same("add", *words, stdin=b"stdin")


def test_unusual_names(shop):
    p = Pair(shop, "names")
    odd = p.folder / "odd"
    odd.mkdir()
    for name in NAMES:
        (odd / name).write_text("" if name == "empty" else "x")
    for words in (["-r", "odd"], ["-w", "odd/new\nline"], ["--", "odd/-r"], ["-r", "--ignore=*", "odd"], ["-w", "odd/back\\slash"], ["-w", "odd/per%2Fcent"]):
        p.same("add", *words)
    p.same("add", "-Q", "-r", "odd")
    root = p.last[0][1].strip()
    for words in (["ls", root], ["ls", "-v", "--size=false", root], ["ls", "-s", root], ["refs", root], ["dag", "get", root], ["cat", f"{root}/per%2Fcent"], ["cat", f"{root}/..."],
                  ["dag", "resolve", f"{root}/tab\there"], ["cat", f"{root}/no\x1b[31msuch"]):
        p.same(*words, normal=lambda text: sorted(text.splitlines()))


def version_2(car, data_at=51, size=None, index_at=0):
    return bytes.fromhex("0aa16776657273696f6e02") + bytes(16) + struct.pack("<QQQ", data_at, len(car) if size is None else size, index_at) + car


def test_unusual_cars(shop):
    """Wherever an archive is cut off, and whatever a CARv2's header says: the same are taken, and nothing else."""
    p = Pair(shop, "cars")
    p.add_tree()
    car = p.kubo.run("dag", "export", "--progress=false", p.root).stdout
    for cut in (0, 1, 2, 10, 57, 58, 60, 95, 107, 300, len(car) // 2, len(car) - 1):
        p.same("dag", "import", "--stats", stdin=car[:cut], code_only=True)
    flipped = car[:-1] + bytes([car[-1] ^ 1])
    for data in (version_2(car), version_2(car, size=len(car) - 1), version_2(car, size=2**63), version_2(car, size=2**64 - 1), version_2(car, size=0),
                 version_2(car, data_at=50), version_2(car, data_at=10**6), version_2(car, data_at=2**63), version_2(car, data_at=0),
                 version_2(car, size=len(car)) + b"rubbish", version_2(car)[:51], version_2(car)[:40], version_2(car)[:11],
                 version_2(bytes(9) + car, data_at=60, size=len(car)), flipped, car + b"\0", car + b"\x05abc", car + b"\xff" * 12, b"\0" + car, car + car):
        p.same("dag", "import", "--stats", stdin=data, code_only=True)


def test_unusual_dag(shop):
    p = Pair(shop, "dags")
    p.add_tree()
    p.same("dag", "put", stdin=b'{"a":[1,{"b":{"/":"' + p.root.encode() + b'"}}],"c":{"/":{"bytes":"AQI"}},"":1,"x/y":2}')
    node = p.last[0][1].strip()
    for path in ("", "/", "/a/0", "/a/1/b", "/a/1/b/", "/a/1/b/sub", "/a/1/b/Links/0/Hash", "/a/2", "/a/00", "/a/x", "/c/x", "/x/y", "//", "/a/./0",
                 "/nothing", "/a/0/x"):
        for command in (["get"], ["resolve"], ["stat", "--progress=false"]):
            p.same("dag", *command, node + path)
    p.same("dag", "stat", "--progress=false", p.root, node, p.file)
    for codec in ("nothing", "dag-pb", "0x71", "0x55", "113", "0x999999"):
        p.same("dag", "get", f"--output-codec={codec}", node)
        p.same("dag", "put", f"--store-codec={codec}", stdin=b'{"a":1}')
    for data in (b"", b"{", b"{}{}", b'{"a":1,"a":2}', b'{"/":1}', b"1e400", b'"\\u0000"', b"true false", b"[" * 200 + b"]" * 200):
        p.same("dag", "put", "--input-codec=json", stdin=data, code_only=True)
