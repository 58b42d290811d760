"""Files and folders: the options of add, get and ls to both programs, the answers side by side. Run by run.py."""
import gzip
import os
import subprocess
import tarfile

import nodes
from nodes import check
from test_same import Pair, begin, finish  # noqa: F401 (run.py calls begin and finish)

OPTIONS = [
    ["--chunker=size-1000"], ["--chunker=rabin"], ["--chunker=rabin-16384-65536-131072"], ["--chunker=buzhash"],
    ["--chunker=rabin-65536", "--trickle"], ["--cid-version=1", "--chunker=rabin-min:512-avg:1024-max:2048"],
    ["--hash=blake3"], ["--hash=blake2s-256"], ["--hash=blake2b-160"], ["--hash=keccak-256"], ["--hash=SHA3-384"],
    ["--hash=dbl-sha2-256"], ["--hash=sha2-512", "--raw-leaves=false"], ["--inline"], ["--inline", "--inline-limit=100"],
    ["--max-file-links=2"], ["--max-directory-links=2"], ["--max-directory-links=1", "--max-hamt-fanout=8"],
    ["--mode=0644"], ["--mode=420"], ["--mode=0x1a4"], ["--mode=010644"], ["--mtime=5"], ["--mtime=-5", "--mtime-nsecs=7"], ["--mtime=1700000000"],
    ["--preserve-mode"], ["--preserve-mtime"], ["--preserve-mode", "--preserve-mtime", "-w"], ["--empty-dirs=false"],
    ["--empty-dirs=false", "-w"], ["-H"], ["-n"], ["--only-hash", "--cid-version=1"], ["--dereference-symlinks"],
    ["--dereference-args"], ["--ignore=*.bin"], ["--ignore=a.txt", "--ignore=sub"], ["--ignore=*", "--ignore=!a.txt"],
    ["--ignore-rules-path=rules"], ["--ignore-rules-path=rules", "--hidden"], ["--fast-provide-root=false"],
    ["--fast-provide-dag", "--fast-provide-wait"], ["--pin-name=x"], ["-q"], ["-Q"], ["--progress=false"],
    ["--raw-leaves"], ["--trickle"], ["--pin=false"], ["--upgrade-cidv0-in-output"], ["--cid-base=base36", "--cid-version=1"],
]
REFUSED = [
    ["--chunker=size-0"], ["--chunker=size"], ["--chunker=size-9999999"], ["--chunker=rabin-1-2-3"], ["--chunker=rabin-20-10-30"],
    ["--chunker=rabin-20-30-25"], ["--chunker=rabin-1-2"], ["--chunker=nothing"], ["--hash=murmur3"], ["--hash=md5"], ["--hash=x11"],
    ["--hash=blake2b-152"], ["--cid-version=0", "--hash=sha2-512"], ["--cid-version=7"], ["--inline", "--inline-limit=129"],
    ["--mode=0644", "--raw-leaves"], ["--mtime=4", "--cid-version=1", "--raw-leaves"], ["--mtime-nsecs=5"],
    ["--pin=false", "--pin-name=x"], ["--pin-name=" + 256 * "n"], ["-n", "--to-files=/"], ["-w", "--to-files=/"], ["--nocopy"],
    ["--max-hamt-fanout=7"], ["--raw-leaves=false", "--nocopy"],
]


def test_add_options(shop):
    p = Pair(shop, "options")
    (p.folder / "rules").write_text("# what is left out\n*.bin\n\nwith*\n")
    for path, when in (("tree/sub/b.bin", 1600000000.25), ("tree/sub", 1500000000), ("tree", 5)):
        os.utime(p.folder / path, (when, when))
    os.chmod(p.folder / "tree/a.txt", 0o4751)
    os.utime(p.folder / "tree/link", (9, 9), follow_symlinks=False)
    for words in OPTIONS:
        p.same("add", "-r", *words, "tree")
    for words in (["tree/link"], ["--dereference-args", "tree/link"], ["--dereference-symlinks", "-w", "tree/link"],
                  ["-r", "-w", "tree", "tree/a.txt"], ["tree/a.txt", "tree/a.txt"], ["-r", "--preserve-mtime", "."],
                  ["-r", "-E=false", "tree"], ["-r", "tree", "tree/sub/with space & more.txt"], ["-r", "-q", "tree/sub", "tree", "tree/link"],
                  ["-r", "-Q", "tree", "tree/sub/with space & more.txt"], ["--quieter", "-r", "tree", "--", "tree/a.txt"]):
        p.same("add", *words)


def test_add_stdin(shop):
    p = Pair(shop, "stdin")
    for words in ([], ["--stdin-name=n"], ["-w"], ["-w", "--stdin-name=n"], ["-q"], ["--mode=0600"], ["--mode=010000"], ["--chunker=size-2"]):
        p.same("add", *words, stdin=b"from a pipe\n")


def test_add_refused(shop):
    p = Pair(shop, "refused")
    for words in REFUSED:
        p.same("add", *words, "tree/a.txt")
    p.same("add", "--mode=0o99", "tree/a.txt", code_only=True)
    p.same("add", "tree")
    p.same("add", "nothing-here")


def test_add_config(shop):
    for name, value in (("CidVersion", "1"), ("UnixFSRawLeaves", "true"), ("UnixFSChunker", "\"size-1000\""), ("HashFunction", "\"blake2b-256\""),
                        ("UnixFSFileMaxLinks", "3"), ("UnixFSDirectoryMaxLinks", "1"), ("UnixFSHAMTDirectorySizeThreshold", "\"1B\""),
                        ("UnixFSDAGLayout", "\"trickle\"")):
        p = Pair(shop, f"config-{name}")
        for node in (p.ours, p.kubo):
            node.run("config", "--json", f"Import.{name}", value)
        p.same("add", "-r", "tree")
        if name == "UnixFSDirectoryMaxLinks":
            for node in (p.ours, p.kubo):
                node.run("config", "--json", "Import.UnixFSHAMTDirectoryMaxFanout", "8")
            p.same("add", "-r", "tree")


def test_profiles(shop):
    for profile in ("unixfs-v0-2015", "legacy-cid-v0", "unixfs-v1-2025"):
        p = Pair(shop, f"profile-{profile}")
        for node in (p.ours, p.kubo):
            node.run("config", "profile", "apply", profile)
        p.same("add", "-r", "tree")


def test_ls(shop):
    p = Pair(shop, "ls", start=True)
    tree = p.folder / "tree"
    for i in range(300):
        (tree / f"n{i}").write_text(str(i))
    os.chmod(tree / "a.txt", 0o4751)
    for path, when in ((tree / "a.txt", 1600000000.25), (tree / "n5", 4000000000), (tree / "sub", 1500000000)):
        os.utime(path, (when, when))
    (tree / "n6").touch()
    roots = {}
    for name, words in (("plain", []), ("meta", ["--preserve-mode", "--preserve-mtime"]), ("shards", ["--max-directory-links=9"]),
                        ("parts", ["--chunker=size-100000", "tree/sub/b.bin"])):
        p.same("add", "-r", "-Q", *words, *([] if name == "parts" else ["tree"]))
        roots[name] = p.last[0][1].strip()
    for root in roots.values():
        for words in ([], ["-v"], ["--size=false"], ["--resolve-type=false"], ["--size=false", "--resolve-type=false"], ["-l"],
                      ["--long", "-v", "--size=false"]):
            p.same("ls", *words, root)
        answers = [node.rpc("ls", root) for node in (p.ours, p.kubo)]
        check(answers[0] == answers[1], f"{root}: {str(answers[0])[:500]} … {str(answers[1])[:500]}")
        for words in (["-s"], ["-s", "-l", "-v"]):
            p.same("ls", *words, root, normal=lambda text: sorted(text.splitlines()))
    p.same("ls", "-v", roots["meta"], roots["parts"], f"{roots['meta']}/sub")
    p.same("ls", f"{roots['meta']}/nothing", code_only=True)


def tree_of(path):
    """Names, kinds, modes, times and contents below a path."""
    found = []
    for item in [path, *sorted(path.rglob("*"))]:
        stat = item.lstat()
        content = os.readlink(item) if item.is_symlink() else item.read_bytes() if item.is_file() else ""
        recent = stat.st_mtime > 1.7e9  # those without a time of their own have the hour of the download
        found.append((str(item.relative_to(path)), oct(stat.st_mode), 0 if recent else stat.st_mtime_ns, content))
    return found


def archive_of(path):
    with tarfile.open(path) as archive:
        return [(m.name, m.type, oct(m.mode), m.size, m.linkname, 0 if m.mtime > 1.7e9 else m.mtime) for m in archive.getmembers()]


def test_get(shop):
    p = Pair(shop, "get")
    tree = p.folder / "tree"
    (tree / "sub" / ("n" * 150)).write_text("a long name")
    os.chmod(tree / "a.txt", 0o4711)
    os.chmod(tree / "sub", 0o750)
    for path, when in ((tree / "a.txt", 1600000000250000001), (tree / "sub/b.bin", -5500000000), (tree / "sub", 1500000000000000000)):
        os.utime(path, ns=(when, when))
    os.utime(tree / "link", ns=(9, 9000000000), follow_symlinks=False)
    os.chmod(tree, 0o2775)
    roots = []
    for words in ([], ["--preserve-mode", "--preserve-mtime"]):
        p.same("add", "-r", "-Q", "-H", *words, "tree")
        roots.append(p.last[0][1].strip())
    (p.folder / "there").mkdir()
    for number, root in enumerate(roots):
        for words in ([root], [root, "-o", f"out-{number}"], [f"{root}/a.txt"], [f"{root}/a.txt", "-o", "there"], [f"{root}/link", "-o", "there"],
                      [f"{root}/link"], [f"{root}/sub", "-o", "there"], ["-o", f"{number}.txt", f"{root}/a.txt"]):
            trees = []
            for node in (p.ours, p.kubo):
                before = {item.name for item in p.folder.iterdir()}
                code, out, error = p.ask(node, ["get", *words], b"")
                check(code == 0, f"{words}: {error}")
                made = sorted({item.name for item in p.folder.iterdir()} - before)
                trees.append((out, made, [tree_of(p.folder / name) for name in made], tree_of(p.folder / "there")))
                for name in made:
                    target = p.folder / name
                    subprocess.run(["rm", "-rf", str(target)], check=True)
                subprocess.run(["rm", "-rf", str(p.folder / "there")], check=True)
                (p.folder / "there").mkdir()
            check(trees[0] == trees[1], f"get {words}:\n  ours {trees[0]}\n  Kubo {trees[1]}")
        for words, name, is_tar in ((["-a", root], f"{root}.tar", True), (["-a", "-C", root], f"{root}.tar.gz", True),
                                    (["-a", "-C", "-l", "9", root, "-o", "x"], "x.tar.gz", True), (["-a", "-o", "y.tar", root], "y.tar", True),
                                    (["-a", "-C", "-o", "z.tar.gz", root], "z.tar.gz", True), (["-C", f"{root}/sub/b.bin"], "b.bin.gz", False),
                                    (["-C", "-l", "1", f"{root}/a.txt", "-o", "w.gz"], "w.gz", False), (["-a", f"{root}/a.txt"], "a.txt.tar", True)):
            results = []
            for node in (p.ours, p.kubo):
                code, out, error = p.ask(node, ["get", *words], b"")
                check(code == 0 and (p.folder / name).is_file(), f"get {words}: {error} {sorted(os.listdir(p.folder))}")
                results.append((out, archive_of(p.folder / name) if is_tar else gzip.open(p.folder / name).read()))
                (p.folder / name).unlink()
            check(results[0] == results[1], f"get {words}:\n  ours {results[0]}\n  Kubo {results[1]}")
    p.same("get", "-C", "-l", "0", roots[0])
    p.same("get", "-C", "-l", "10", roots[0])
    p.same("get", "-C", roots[0])


def test_get_chosen_place(shop):
    """No place, an empty one, one with a slash behind it; names that are not ASCII in archives."""
    p = Pair(shop, "place")
    (p.folder / "tree" / "\u00e9\u4e2d").write_text("x")
    (p.folder / "tree" / "l\u00e9").symlink_to("\u00e8")
    p.add_tree()
    for words in (["-o", ""], ["--output="], ["-o", "out/"], ["-o", "./"]):
        archives = []
        for node in (p.ours, p.kubo):
            place = shop.path("place-out")
            subprocess.run(["rm", "-rf", place], check=True)
            place.mkdir()
            answer = node.run("get", *words, p.root, cwd=place)
            node.run("get", "-a", "-o", "a.tar", p.root, cwd=place)
            (place / "a.tar").rename(shop.path("a.tar"))
            tree = sorted(str(path.relative_to(place)) for path in place.rglob("*"))
            members = [(m.name, m.linkname, sorted(m.pax_headers)) for m in tarfile.open(shop.path("a.tar"))]
            archives.append((answer.stdout, tree, members))
        check(archives[0] == archives[1], f"get {words}: {archives}")


def test_filestore(shop):
    p = Pair(shop, "filestore")
    p.same("filestore", "ls")
    p.same("filestore", "verify")
    p.same("filestore", "dups")
    for node in (p.ours, p.kubo):
        node.run("config", "--json", "Experimental.FilestoreEnabled", "true")
    lines = lambda text: sorted(text.splitlines())  # noqa: E731
    for words in (["--nocopy", "-r", "tree"], ["--nocopy", "-Q", "--cid-version=1", "tree/a.txt"], ["--fscache", "tree/sub/b.bin"],
                  ["--nocopy", "--raw-leaves=false", "tree/a.txt"], ["--nocopy", "--chunker=size-100000", "tree/sub/b.bin"],
                  ["--nocopy", "--chunker=size-65536", "tree/sub/b.bin"], ["--nocopy", "--hash=blake3", "tree/a.txt"], ["--nocopy", "--trickle", "tree/sub/b.bin"],
                  ["--nocopy", "--inline", "tree/a.txt"], ["--nocopy", "--preserve-mtime", "tree/a.txt"], ["--nocopy", "-w", "tree/link"],
                  ["--nocopy", "--dereference-symlinks", "tree/link"]):
        p.same("add", *words)
    p.same("add", "--nocopy", stdin=b"no file")
    p.same("add", "--nocopy", __file__)
    p.same("filestore", "ls", normal=lines)
    p.same("filestore", "ls", "--file-order")
    p.same("filestore", "ls", "--file-order", "--cid-base=base16")
    p.same("filestore", "verify", normal=lines)
    p.same("filestore", "verify", "--file-order")
    leaf = p.ask(p.ours, ["add", "-Q", "--raw-leaves", "--only-hash", "tree/a.txt"], b"")[1].strip()
    for command in ("ls", "verify"):
        p.same("filestore", command, leaf)
        p.same("filestore", command, "bafkreifzjut3te7nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e", normal=lambda text: text.split("\n")[0])
    p.same("add", "-Q", "--raw-leaves", "tree/a.txt")
    p.same("filestore", "dups")
    (p.folder / "tree/sub/b.bin").write_bytes(b"changed" + bytes(400000))
    p.same("filestore", "verify", "--file-order")
    p.same("filestore", "verify", "--remove-bad-blocks", normal=lines)
    p.same("filestore", "ls", "--file-order")
    (p.folder / "tree/a.txt").unlink()
    p.same("filestore", "verify", "--file-order")
    p.same("filestore", "ls", leaf)


def test_link_to_files(shop):
    p = Pair(shop, "link-to-files")
    for words in (["add", "--to-files=/", "tree/link"], ["add", "--to-files=/l", "tree/link"], ["files", "ls", "-l", "/"], ["files", "cp", "/l", "/m"]):
        p.same(*words)


def test_to_files(shop):
    p = Pair(shop, "to-files")
    p.same("files", "mkdir", "/d")
    for words in (["--to-files=/", "tree/a.txt"], ["--to-files=/d/", "-r", "tree"], ["--to-files=/d/named", "tree/a.txt"], ["--to-files=", "tree/sub/b.bin"],
                  ["--to-files=/d/x/y", "tree/a.txt"], ["--to-files=/nowhere/", "tree/a.txt"], ["--to-files=/a.txt/", "tree/a.txt"],
                  ["--to-files=relative", "tree/a.txt"], ["--to-files=/", "tree/a.txt"], ["--to-files=/two", "tree/a.txt", "tree/sub/b.bin"],
                  ["--to-files=/d/", "tree/a.txt", "tree/sub/b.bin"]):
        p.same("add", *words)
        p.same("files", "ls", "-l", "/", normal=lambda text: sorted(text.splitlines()))
        p.same("files", "ls", "-l", "/d", normal=lambda text: sorted(text.splitlines()))
    p.same("add", "--to-files=/", stdin=b"no name")
    p.same("add", "--to-files=/", "--stdin-name=n", stdin=b"a name")
    p.same("files", "stat", "/")
