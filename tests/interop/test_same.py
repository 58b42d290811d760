"""Called as `ipfs`, the program prints what Kubo prints, and the gateway answers as Kubo's does: the same words to both,
the answers side by side. Run by run.py."""
import http.client
import json
import os
import pathlib
import re

import nodes
from nodes import check

NOBODY_HAS = "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG"
SOMEBODY = "12D3KooWE6PGgXS9VMcr6Bwb415G2KqyE7Zd55mWArdwAcKLr3EY"
EMPTY_FOLDER = "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn"  # Kubo pins it at init


class Pair:
    """Our node, called as ipfs, and Kubo: the same files, the same words."""

    def __init__(self, shop, name, start=False, **options):
        self.shop = shop
        self.ours = shop.node(f"{name}-ours", start=False, **options)
        self.kubo = shop.kubo(f"{name}-kubo", start=False)
        self.ours.program = str(pathlib.Path(shop.program).parent / "ipfs")
        self.folder = shop.path(name)
        tree = self.folder / "tree"
        (tree / "sub" / "empty").mkdir(parents=True)
        (tree / "a.txt").write_text("a\n")
        (tree / "sub" / "b.bin").write_bytes(bytes(700000))
        (tree / "sub" / "with space & more.txt").write_text("x" * 999)
        (tree / "link").symlink_to("a.txt")
        (tree / ".hidden").write_text("h\n")
        if start:
            self.ours.start()
            self.kubo.start()

    def add_tree(self):
        self.same("add", "-r", "-Q", "tree")
        self.root = self.last[0][1].strip()
        self.file = self.ours.text("add", "-Q", "tree/a.txt", cwd=self.folder)
        self.big = self.ours.text("add", "-Q", "tree/sub/b.bin", cwd=self.folder)
        for name in ("tree/a.txt", "tree/sub/b.bin"):
            self.kubo.run("add", "-Q", name, cwd=self.folder)

    def ask(self, node, words, stdin):
        result = node.run(*words, stdin=stdin, check_code=False, cwd=self.folder, timeout=120)
        error = result.stderr.decode(errors="replace").replace("\r", "\n").strip().split("\n\nUSAGE")[0]
        return result.returncode, result.stdout.decode(errors="replace").replace(str(node.repo), "REPO"), \
            error.replace(str(node.repo), "REPO")

    def same(self, *words, stdin=b"", normal=None, code_only=False):
        """Exit code, output and error must be equal; `normal` takes out what may differ."""
        answers = [self.ask(node, [str(w) for w in words], stdin) for node in (self.ours, self.kubo)]
        self.last = answers
        if normal:
            answers = [(code, normal(out), normal(error)) for code, out, error in answers]
        if code_only:
            answers = [(code, bool(out), bool(error)) for code, out, error in answers]
        if answers[0] != answers[1]:
            self.shop.differences.append(f"{' '.join(map(str, words))}:\n  ours {answers[0]}\n  Kubo {answers[1]}")
        return answers[0]

    def both_fail(self, *words, stdin=b""):
        """The words of the error are ours; that it is one and exits with 1 is not."""
        code, out, error = self.same(*words, stdin=stdin, code_only=True)
        check(code == 1 and not out and error, f"{words} works, with both")


def sorted_lines(text):
    """Without the order, and without the empty folder that only Kubo pins."""
    empty = (EMPTY_FOLDER, nodes.raw_cid(EMPTY_FOLDER))
    return sorted(line for line in text.splitlines() if not any(cid in line for cid in empty))


# ── commands ────────────────────────────────────────────────────────────────────────────────────


def test_add(shop):
    p = Pair(shop, "add")
    for words in (["-r", "tree"], ["tree/a.txt"], ["-q", "tree/a.txt"], ["-Q", "-r", "tree"], ["-w", "tree/a.txt", "tree/sub/b.bin"],
                  ["-n", "tree/a.txt"], ["-H", "-r", "tree"], ["-r", "tree/"], ["-r", "tree/."], ["--cid-version=1", "tree/a.txt"],
                  ["--cid-version=1", "-r", "tree"], ["--chunker=size-3", "tree/sub/with space & more.txt"],
                  ["--progress=false", "tree/a.txt"], ["--silent", "tree/a.txt"], ["--pin=false", "tree/a.txt"],
                  ["-r", "--wrap-with-directory", "tree"], ["--inline", "tree/a.txt"], ["--inline", "-r", "tree"],
                  ["--raw-leaves", "tree/a.txt"], ["--raw-leaves", "-r", "tree"], ["--hash=sha2-512", "tree/a.txt"],
                  ["--hash=blake2b-256", "-r", "tree"], ["tree/a.txt", "tree/sub/b.bin"], ["tree/link"],
                  ["--dereference-args", "tree/link"]):
        p.same("add", *words)
    for words in ([], ["-q"], ["-w"], ["-w", "--stdin-name=name.txt"], ["--cid-version=1", "-"], ["-Q", "-n"]):
        p.same("add", *words, stdin=b"from standard input\n")
    p.same("add", "tree")  # without -r
    p.same("add", "no-such-file")
    for words in (["--chunker=foo", "tree/a.txt"], ["--hash=foo", "tree/a.txt"], ["--cid-version=7", "tree/a.txt"],
                  ["--nonsense", "tree/a.txt"], ["--chunker=size-0", "tree/a.txt"]):
        p.both_fail("add", *words)


def test_ls_and_refs(shop):
    p = Pair(shop, "ls")
    p.add_tree()
    root = p.root
    for words in ([root], ["-v", root], ["--size=false", root], ["--resolve-type=false", root], [f"{root}/sub"], [f"/ipfs/{root}/sub/"],
                  [p.big], [p.file], [root, f"{root}/sub"], ["--stream", root], ["-s", "-v", root], ["-s", root, f"{root}/sub"],
                  [f"{root}/sub/empty"], [f"{root}/nothing"], ["foo"], ["--offline", NOBODY_HAS]):
        p.same("ls", *words)
    for words in ([root], ["-r", root], ["-u", "-r", root], ["-e", root], ["--format=<src>:<dst>:<linkname>", root],
                  ["-r", "--max-depth=1", root], ["foo"], [p.file], [p.big], ["-r", "-e", root], ["--offline", NOBODY_HAS]):
        p.same("refs", *words)
    p.same("refs", stdin=root.encode() + b"\n")


def test_paths_with_detours(shop):
    p = Pair(shop, "detours")
    p.add_tree()
    for path in ("/ipfs/{}/sub/../a.txt", "/ipfs/{}//a.txt", "/ipfs/{}/./a.txt", "/ipfs/{}/sub/..", "/ipfs/{}/..", "/ipfs/{0}/../{0}/a.txt", "/ipfs//{}/a.txt",
                 "//ipfs/{}/a.txt", "{}//a.txt", "{}/sub/../a.txt", "{}/.."):
        for words in (["cat"], ["resolve"], ["ls"], ["dag", "resolve"], ["pin", "ls"]):
            p.same(*words, path.format(p.root))


def test_cat_and_get(shop):
    p = Pair(shop, "cat")
    p.add_tree()
    root, file = p.root, p.file
    for words in ([file], [f"{root}/link"], [f"{root}/a.txt"], [f"/ipfs/{root}/a.txt"], [root], [f"{root}/nothing"], ["foo"], ["-l", "1", file],
                  ["-o", "1", file], ["-l", "0", file], ["-o", "100", file], [file, file], ["/ipfs/"], [f"{root}/sub/with space & more.txt"],
                  ["--offset=262140", "--length=10", p.big], ["--offline", NOBODY_HAS]):
        p.same("cat", *words)
    p.same("cat", stdin=file.encode() + b"\n")
    p.same("get", file)
    for node in ("ours", "kubo"):
        out = shop.path(f"got-{node}")
        p.same("get", root, "-o", out, normal=lambda text: text)
        check(os.readlink(out / "link") == "a.txt" and (out / "sub" / "empty").is_dir(), "get")
    archive = shop.path("archive.tar")
    p.same("get", "-a", root, "-o", archive)
    p.same("get", f"{root}/nothing")
    p.same("get", "foo")


def test_pins(shop):
    p = Pair(shop, "pins")
    p.add_tree()
    root, file, big = p.root, p.file, p.big
    for words in ([], ["-t", "recursive"], ["-q", "-t", "recursive"], ["-t", "direct"], ["-t", "indirect"], ["--names", "-t", "recursive"],
                  ["--stream"], ["--stream", "-t", "recursive"]):
        p.same("pin", "ls", *words, normal=sorted_lines)
    p.same("pin", "ls", file)
    p.same("pin", "rm", big)
    p.same("pin", "ls", big)  # indirect through the root
    p.same("pin", "ls", NOBODY_HAS)
    p.same("pin", "ls", "-t", "foo")
    p.same("pin", "rm", big)
    p.same("pin", "rm", file)
    p.same("pin", "rm", file)
    p.same("pin", "add", "-r=false", file)
    p.same("pin", "ls", "-t", "direct")
    p.same("pin", "rm", "-r", file)
    p.same("pin", "add", file)
    p.same("pin", "add", "-r=false", file)
    p.same("pin", "rm", "-r=false", file)
    p.same("pin", "add", "--name=a name", file)
    for words in (["--names", file], ["--name=a name"], ["--name=nam", "--names"], ["--name=other"]):
        p.same("pin", "ls", *words)
    p.same("pin", "update", file, big)
    p.same("pin", "update", NOBODY_HAS, big)
    p.same("pin", "update", "--unpin=false", big, file)
    p.same("pin", "ls", "-t", "recursive", normal=sorted_lines)
    p.same("pin", "verify")
    p.same("pin", "verify", "--verbose", normal=sorted_lines)
    p.same("pin", "add", f"{root}/a.txt")
    p.same("pin", "rm", file, root)
    p.same("pin", "add", file, root)
    p.same("pin", "add", "--enc=json", file)
    p.same("pin", "rm", "--enc=json", file)
    p.same("pin", "add", "foo")
    p.same("pin", "rm", "foo")
    p.same("pin", "add", "--offline", NOBODY_HAS)
    p.same("pin", "add", stdin=f"{file}\n{big}\n".encode())
    p.same("pin", "rm", stdin=f"{file}\n{big}\n".encode())


def test_blocks(shop):
    p = Pair(shop, "blocks")
    p.add_tree()
    for words in ([], ["--cid-codec=dag-pb"], ["--format=v0"], ["--mhtype=sha2-512"], ["--pin"], ["--cid-codec=foo"], ["--mhtype=foo"]):
        p.same("block", "put", *words, stdin=b"hello\n")
    p.same("block", "put", "tree/a.txt", "tree/sub/b.bin")
    p.same("block", "put", "no-such-file")
    for words in ([p.file], ["foo"], ["--offline", NOBODY_HAS]):
        p.same("block", "stat", *words)
        p.same("block", "get", *words)
    p.same("block", "stat", stdin=p.file.encode() + b"\n")
    loose = p.ours.text("block", "put", stdin=b"loose")
    p.kubo.run("block", "put", stdin=b"loose")
    p.same("block", "rm", p.root)
    p.same("block", "rm", loose)
    p.same("block", "rm", loose)
    p.same("block", "rm", "-f", loose)
    p.same("block", "rm", "foo")


def test_repo(shop):
    p = Pair(shop, "repo")
    p.add_tree()
    p.kubo.run("repo", "gc")  # what its init left, and what it writes on the way to a folder

    def names(text):
        return [line.split(":")[0] for line in text.splitlines()]

    p.same("repo", "stat", normal=names)
    p.same("repo", "stat", "--size-only", normal=names)
    p.same("stats", "repo", "--size-only", normal=names)
    p.same("repo", "gc", "-q")
    p.same("pin", "rm", p.root, p.big)
    p.same("repo", "gc", normal=sorted_lines)
    p.same("repo", "gc", "--silent")
    p.same("repo", "verify", normal=lambda text: text.splitlines()[-1:] if "\r" not in text else [text.split("\r")[-1].strip()])
    p.same("refs", "local", normal=sorted_lines)


def test_config_and_bootstrap(shop):
    p = Pair(shop, "config")
    addr = f"/ip4/127.0.0.1/tcp/1/p2p/{SOMEBODY}"
    for words in (["Datastore.StorageMax"], ["Datastore.StorageMax", "20GB"], ["Datastore.StorageMax"],
                  ["--json", "Swarm.ConnMgr.HighWater", "50"], ["Swarm.ConnMgr.HighWater"], ["Swarm.ConnMgr"], ["--json", "Swarm.ConnMgr"],
                  ["--bool", "Swarm.DisableNatPortMap", "true"], ["Swarm.DisableNatPortMap"], ["Identity.PrivKey"],
                  ["Identity.PrivKey", "x"], ["Identity"], ["Addresses.API"], ["--enc=json", "Addresses.API"]):
        p.same("config", *words)
    for words in (["No.Such.Key"], ["--json", "Swarm.DisableNatPortMap", "{"], []):
        p.both_fail("config", *words)
    for words in ([], ["list"], ["add", addr], ["list"], [], ["rm", addr], [], ["add", addr], ["rm", "--all"], ["list"]):
        p.same("bootstrap", *words)
    p.both_fail("bootstrap", "add", "foo")


def test_version_id_resolve(shop):
    p = Pair(shop, "version")
    p.add_tree()
    for words in (["version"], ["version", "-n"], ["version", "--repo"], ["version", "--commit"], ["--version"]):
        p.same(*words)
    p.same("version", "--all", normal=lambda text: [line.split(":")[0] for line in text.splitlines()])
    for words in ([p.root], [f"/ipfs/{p.root}/a.txt"], [f"/ipfs/{p.root}/nothing"], ["foo"], ["--enc=json", f"/ipfs/{p.root}/sub"]):
        p.same("resolve", *words)

    def keys(text):
        return sorted(json.loads(text)) if text.startswith("{") else text

    p.same("id", normal=keys)
    p.same("id", "--enc=json", normal=keys)
    p.same("id", "-f=<id>", normal=lambda text: re.sub(r"^12D3Koo\w{45}$", "ID", text))
    p.same("id", "--format=<ver>")


def test_failures_exit_with_one(shop):
    p = Pair(shop, "errors")
    for words in (["nonsense"], ["ls"], ["pin", "add"], ["block", "rm"], ["block", "foo"], ["id", "foo"], ["swarm", "peers"],
                  ["swarm", "connect", f"/ip4/127.0.0.1/tcp/1/p2p/{SOMEBODY}"], ["ping", SOMEBODY], ["shutdown"], ["bitswap", "stat"],
                  ["routing", "findprovs", NOBODY_HAS], ["ls", "--timeout=foo", NOBODY_HAS], ["ls", "--enc=foo", NOBODY_HAS],
                  ["--api=/ip4/127.0.0.1/tcp/1", "ls", NOBODY_HAS], ["config", "profile", "apply", "no-such"], ["config", "replace", "no-file"]):
        p.both_fail(*words)
    for node in (p.ours, p.kubo):
        node.environment = {**node.environment, "IPFS_PATH": "/nonexistent", "DISTRIBUTE_PATH": ""}
    p.both_fail("ls", NOBODY_HAS)


def test_running_nodes(shop):
    """The commands that need a running node, each asked at ours and at Kubo about the same third node."""
    p = Pair(shop, "running", start=True)
    p.add_tree()
    third = shop.kubo("third")
    address = third.addresses[0]
    p.same("swarm", "connect", address)
    p.same("swarm", "peers", normal=lambda text: [line for line in text.splitlines() if third.peer_id in line])
    p.same("swarm", "connect", address)
    p.same("swarm", "disconnect", address)
    p.same("swarm", "connect", stdin=address.encode() + b"\n")
    p.same("ping", "-n", "2", third.peer_id, normal=lambda text: re.sub(r"[0-9.]+ ?ms", "N ms", text))
    p.same("id", third.peer_id, "--format=<id> <aver>")
    p.both_fail("swarm", "connect", f"/ip4/127.0.0.1/tcp/1/p2p/{SOMEBODY}")
    p.both_fail("swarm", "connect", "foo")
    p.both_fail("cat", "--timeout=1s", NOBODY_HAS)
    p.same("cat", f"{p.root}/a.txt")
    p.same("ls", p.root)
    p.same("pin", "ls", "-t", "recursive", normal=sorted_lines)
    p.same("add", "-r", "tree")
    p.same("config", "Datastore.StorageMax")


# ── gateway ─────────────────────────────────────────────────────────────────────────────────────

HEADERS = ("Content-Type", "Content-Length", "Content-Range", "ETag", "Cache-Control", "Accept-Ranges", "X-Ipfs-Path", "X-Ipfs-Roots",
           "Location", "Content-Disposition", "X-Content-Type-Options", "Last-Modified", "Access-Control-Allow-Origin",
           "Access-Control-Allow-Methods")


def ask_gateway(node, path, headers, method):
    connection = http.client.HTTPConnection("127.0.0.1", node.gateway_port, timeout=60)
    connection.request(method, path, headers=headers)
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response, body


class Gateways:
    def __init__(self, shop):
        self.shop = shop
        self.ours, self.kubo = shop.node("gw", {"Gateway__NoFetch": True}), shop.kubo("kubo-gw", {"Gateway.NoFetch": True})
        self.folder = shop.path("site")
        (self.folder / "sub" / "plain").mkdir(parents=True)
        (self.folder / "index.html").write_text("<p>front page</p>")
        (self.folder / "sub" / "text.txt").write_text("plain text\n" * 50000)
        (self.folder / "sub" / "data.json").write_text('{"a": 1}')
        (self.folder / "sub" / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
        (self.folder / "sub" / "unknown").write_bytes(bytes(range(256)) * 10)
        (self.folder / "sub" / "page").write_text("<!DOCTYPE html><p>no extension")
        (self.folder / "sub" / "empty.txt").write_text("")
        (self.folder / "sub" / "with space & ümlaut.txt").write_text("x")
        (self.folder / "sub" / "plain" / "style.css").write_text("p {}")
        self.root = self.ours.text("add", "-r", "-Q", self.folder)
        check(self.kubo.text("add", "-r", "-Q", self.folder) == self.root, "CIDs differ")

    def same(self, path, headers=None, method="GET", body=True, without=()):
        answers = []
        for node in (self.ours, self.kubo):
            response, data = ask_gateway(node, path, headers or {}, method)
            kept = {h: response.getheader(h) for h in HEADERS if h not in without and response.getheader(h) is not None}
            if kept.get("Content-Type", "").startswith("multipart/byteranges"):
                boundary = kept.pop("Content-Type").split("boundary=")[1].strip('"')
                data = data.replace(boundary.encode(), b"BOUNDARY")
                kept.pop("Content-Length", None)
            if response.status >= 400:  # the words are each one's own
                kept, data = {}, b""
            if response.status == 304:  # ours repeats what RFC 9110 asks for, Kubo does not
                kept = {}
            if 300 <= response.status < 400:  # Go leaves it out of answers to HEAD
                kept.pop("Content-Length", None)
            answers.append((response.status, kept, data if body else b""))
        ours, kubo = answers
        what = f"{method} {path} {headers or ''}"
        if ours[0] != kubo[0]:
            self.shop.differences.append(f"{what}: status {ours[0]} here, {kubo[0]} from Kubo")
        elif ours[1] != kubo[1]:
            self.shop.differences.append(f"{what}:\n  ours {dict(ours[1].items() - kubo[1].items())}\n"
                                         f"  Kubo {dict(kubo[1].items() - ours[1].items())}")
        elif ours[2] != kubo[2]:
            self.shop.differences.append(f"{what}: bodies differ: {ours[2][:200]!r} and {kubo[2][:200]!r}")


def test_gateway_files(shop):
    g = Gateways(shop)
    sub = f"/ipfs/{g.root}/sub"
    for name in ("text.txt", "data.json", "picture.png", "unknown", "page", "empty.txt", "plain/style.css"):
        g.same(f"{sub}/{name}")
        g.same(f"{sub}/{name}", method="HEAD")
    g.same(f"{sub}/with%20space%20%26%20%C3%BCmlaut.txt", without=("X-Ipfs-Path",))  # ours is percent-encoded: headers are ASCII
    text = g.ours.text("resolve", f"{sub}/text.txt")
    g.same(text)
    g.same(f"{text}?filename=name.txt")
    g.same(f"{text}?filename=name.txt&download=true")
    g.same(f"{sub}/text.txt/")


def test_gateway_ranges(shop):
    g = Gateways(shop)
    path = f"/ipfs/{g.root}/sub/text.txt"
    for value in ("bytes=0-99", "bytes=262140-262150", "bytes=-10", "bytes=549990-", "bytes=0-", "bytes=5-5", "bytes=0-9999999",
                  "bytes=600000-", "bytes=0-1,600000-"):
        g.same(path, {"Range": value})
        g.same(path, {"Range": value}, method="HEAD")
    etag = g.ours.text("resolve", path).split("/")[-1]
    g.same(path, {"Range": "bytes=0-9", "If-Range": f'"{etag}"'})
    g.same(path, {"Range": "bytes=0-9", "If-Range": '"other"'})


def test_gateway_validators(shop):
    g = Gateways(shop)
    path = f"/ipfs/{g.root}/sub/text.txt"
    etag = f'"{g.ours.text("resolve", path).split("/")[-1]}"'
    for value in (etag, f"W/{etag}", '"other"', f'"other", {etag}', "*"):
        g.same(path, {"If-None-Match": value})
        g.same(path, {"If-None-Match": value}, method="HEAD")


def test_gateway_folders(shop):
    g = Gateways(shop)
    for path in (f"/ipfs/{g.root}", f"/ipfs/{g.root}/", f"/ipfs/{g.root}/index.html", f"/ipfs/{g.root}/sub/plain?a=b"):
        g.same(path, body="plain" not in path)
        g.same(path, method="HEAD")
    # the listing's page is ours, and so are its ETag and length
    g.same(f"/ipfs/{g.root}/sub", body=False)
    g.same(f"/ipfs/{g.root}/sub/", body=False, without=("ETag", "Content-Length"))


def test_gateway_formats(shop):
    g = Gateways(shop)
    path = f"/ipfs/{g.root}/sub/data.json"
    for target, headers in ((f"{path}?format=raw", {}), (path, {"Accept": "application/vnd.ipld.raw"}), (f"/ipfs/{g.root}?format=raw", {})):
        g.same(target, headers)
        g.same(target, headers, method="HEAD")
    cid = g.ours.text("resolve", path).split("/")[-1]
    g.same(f"/ipfs/{cid}?format=raw", {"If-None-Match": f'"{cid}.raw"'})


def test_gateway_failures(shop):
    g = Gateways(shop)
    for path in (f"/ipfs/{g.root}/nothing", f"/ipfs/{g.root}/sub/text.txt/below", "/ipfs/not-a-cid", "/ipfs/", "/ipfs", "/nothing",
                 f"/ipfs/{NOBODY_HAS}", f"/ipfs/{g.root}/%00"):
        g.same(path)
        g.same(path, method="HEAD")
    for method in ("POST", "PUT", "DELETE"):
        g.same(f"/ipfs/{g.root}", method=method)
    g.same(f"/ipfs/{g.root}/index.html", method="OPTIONS")


def begin(shop):
    shop.differences = []


def finish(shop):
    check(not shop.differences, f"{len(shop.differences)} differences\n" + "\n".join(shop.differences))
