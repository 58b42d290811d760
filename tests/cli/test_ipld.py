"""Blocks of every codec through the command line and the RPC. Run by run.py."""
import base64
import hashlib
import json
import os
import pathlib
import subprocess
import zlib

import nodes
from nodes import check, fails

VECTORS = pathlib.Path(__file__).resolve().parent.parent / "vectors"
EMPTY = "QmdfTbBqBPQ7VNxZEYEj14VmRuZBkqFbiwReogJgS1zR1n"


def rows(name):
    lines = (VECTORS / name).read_text().splitlines()
    names = lines[0].split("\t")
    return [dict(zip(names, line.split("\t") + [""] * len(names))) for line in lines[1:]]


def make_input(text):
    kind, rest = text.split(":", 1)
    if kind == "zero":
        return bytes(int(rest))
    if kind == "hex":
        return bytes.fromhex(rest)
    seed, size = rest.split(":")
    blocks = (hashlib.sha256(f"{seed}{i}".encode()).digest() for i in range(int(size) // 32 + 1))
    return b"".join(blocks)[: int(size)]


def test_vectors_of_puts(shop):
    """Every row of dag-put.tsv and block-put.tsv: the CID, the block, the error."""
    node = shop.node("vectors", start=False)
    count = 0
    for row in [dict(r, data=r["stdin_text"].encode()) for r in rows("dag-put.tsv")] + \
            [dict(r, data=make_input(r["stdin"]), block_hex="") for r in rows("block-put.tsv")]:
        words = row["command"].split()[1:]
        if row["error"]:
            fails(node, *words, stdin=row["data"], saying=row["error"].removeprefix("Error: "))
        else:
            cid = node.text(*words, stdin=row["data"])
            check(cid == row["cid"], f"{row['command']} {row['data'][:50]}: {cid}, not {row['cid']}")
        if row["block_hex"]:
            check(node.run("block", "get", row["cid"]).stdout.hex() == row["block_hex"], f"{row['command']}: the block")
        count += 1
    check(count == 92, f"{count} rows")


def put(node, text, *words):
    return node.text("dag", "put", *words, stdin=text.encode())


def test_paths_through_codecs(shop):
    node = shop.node("paths", start=False)
    folder = shop.path("tree")
    folder.mkdir()
    (folder / "a.txt").write_text("hello\n")
    root = node.text("add", "-rQ", folder)
    cbor = put(node, '{"dir":{"/":"%s"},"v":[1,{"deep":{"/":"%s"}}]}' % (root, root))
    top = put(node, '{"c":{"/":"%s"}}' % cbor, "--store-codec=dag-json")
    check(node.text("cat", f"{top}/c/v/1/deep/a.txt") == "hello", "cat")
    check(node.text("ls", f"/ipfs/{cbor}/dir").endswith("a.txt"), "ls")
    check(node.text("dag", "get", f"{top}/c/v/0") == "1", "a number")
    check(json.loads(node.text("dag", "get", f"{top}/c/v")) == [1, {"deep": {"/": root}}], "a list")
    check(node.text("dag", "resolve", f"{top}/c/v/1") == f"{cbor}/v/1", "dag resolve")
    check(node.text("resolve", f"{top}/c/v") == f"/ipfs/{cbor}/v", "resolve")
    check(node.text("dag", "get", f"/ipld/{root}/Links/0/Name") == '"a.txt"', "/ipld")
    node.run("get", "-o", shop.path("out"), f"{cbor}/dir")
    check((shop.path("out") / "a.txt").read_text() == "hello\n", "get")
    fails(node, "cat", cbor, saying="not a file or directory")
    fails(node, "dag", "get", f"{cbor}/v/7", saying='key not found: "7"')
    fails(node, "dag", "stat", f"{cbor}/v", saying="anything other than a DAG with a root CID")


def test_pins_and_gc(shop):
    """What a pin reaches through dag-json and dag-cbor is kept, the rest goes."""
    node = shop.node("pins", start=False)
    file = node.text("add", "-Q", "--pin=false", shop.file("file", 600000))
    cbor = put(node, '[{"/":"%s"}]' % file)
    root = put(node, '{"x":{"/":"%s"}}' % cbor, "--store-codec=dag-json")
    other = put(node, '["other"]')
    node.run("pin", "add", root)
    check(len(node.text("repo", "gc").splitlines()) == 1, "one block goes")
    fails(node, "block", "get", "--offline", other)
    check(len(node.run("cat", f"{root}/x/0").stdout) == 600000, "the file is there")
    check(node.text("pin", "ls", "--type=indirect", "-q").count("\n") >= 4, "indirect pins")
    pinned = put(node, '["pinned"]', "--pin")
    check(pinned in node.text("pin", "ls", "--type=recursive", "-q"), "--pin")


def test_fetch(shop):
    """A dag-cbor DAG from another node: refs, pin and stat fetch all of it."""
    one, two = shop.node("one"), shop.node("two")
    file = one.text("add", "-Q", shop.file("file", 700000))
    leaf = put(one, '{"file":{"/":"%s"}}' % file)
    root = put(one, json.dumps({"list": [{"/": leaf}, {"/": put(one, "[1,2]")}]}), "--store-codec=dag-json")
    two.connect(one)
    check(len(set(two.text("refs", "-r", root).split())) == 6, "refs")
    two.run("pin", "add", root)
    stat = json.loads(two.text("dag", "stat", "--enc=json", root, file))
    check(stat["UniqueBlocks"] == 7 and stat["SharedSize"] > 700000 and stat["DagStats"][0]["NumBlocks"] == 7, stat)
    one.stop()
    check(len(two.run("cat", f"{root}/list/0/file", "--offline").stdout) == 700000, "all of it is here")


def test_rpc(shop):
    """The answers' shapes and codes over HTTP."""
    node = shop.node("rpc")
    leaf = put(node, "[1]")
    body = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\nContent-Type: application/octet-stream\r\n\r\n' \
           b'{"a":{"/":"%s"}}\r\n--x--\r\n' % EMPTY.encode()
    kind = "multipart/form-data; boundary=x"
    def ask(command, args=(), want=200, **options):
        response, answer = node.rpc_raw(command, args, options, body, kind if body else None)
        check(response.status == want, f"{command} {args}: {response.status} {answer[:200]!r}")
        return response, answer

    cid = json.loads(ask("dag/put")[1])["Cid"]["/"]
    check(cid.startswith("bafyrei"), cid)
    check(json.loads(ask("dag/put", want=500, **{"input-codec": "dag-cbor"})[1])["Type"] == "error", "an error in JSON")
    body = None
    response, answer = ask("dag/get", [cid], **{"output-codec": "dag-cbor"})
    check(answer[:3] == b"\xa1\x61a" and response.getheader("X-Stream-Output") == "1", answer)
    check(json.loads(ask("dag/get", [f"{cid}/b"], want=500)[1])["Message"] == 'key not found: "b"', "a missing key")
    check(node.rpc("dag/resolve", f"/ipfs/{cid}") == {"Cid": {"/": cid}, "RemPath": ""}, "resolve")
    own = json.loads(ask("dag/resolve", [f"{leaf}/0"])[1])
    check(own == {"Cid": {"/": leaf}, "RemPath": "/0"}, own)
    lines = node.rpc_lines("dag/stat", leaf, progress="false")
    check(lines == [{"UniqueBlocks": 1, "TotalSize": 2, "Ratio": 1, "DagStats": [{"Cid": leaf, "Size": 2, "NumBlocks": 1}]}], lines)
    check(node.rpc("cid/inspect", EMPTY)["cidV0"] == EMPTY, "inspect")
    formatted = node.rpc_lines("cid/format", EMPTY, "no cid", f="%P")
    check([x["Formatted"] for x in formatted] == ["cidv0-dag-pb-sha2-256-32", ""] and formatted[1]["ErrorMsg"], formatted)
    check("removed, use" in json.loads(ask("object/get", want=500)[1])["Message"], "object/get")


def test_without_repository(shop):
    """CIDs, bases, commands and libraries need no repository, and make none."""
    repo = shop.path("none")
    env = dict(os.environ, DISTRIBUTE_PATH=str(repo), IPFS_PATH=str(repo))
    for words, data, want in ((["cid", "base32", EMPTY], b"", b"bafybeihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku\n"),
                              (["multibase", "encode", "-b", "base16"], b"hello", b"f68656c6c6f"),
                              (["multibase", "decode"], b"uaGVsbG8", b"hello"),
                              (["multibase", "decode"], b"maGVs\r\nbG8\n", b"hello"),
                              (["multibase", "transcode", "-b", "base16"], b"bnbswy3dp\n", b"f68656c6c6f"),
                              (["cid", "format", "-f", "%h"], EMPTY.encode(), b"sha2-256\n")):
        done = subprocess.run([shop.program, *words], input=data, env=env, capture_output=True, timeout=60, check=False)
        check(done.returncode == 0 and done.stdout == want, f"{words}: {done}")
    for words, want in ((["commands"], b"distribute pin remote service ls\n"), (["commands", "--flags"], b"distribute add --cid-version\n"),
                        (["version", "deps"], b"libsodium"), (["help", "pin", "ls"], b"usage: "), (["pin", "ls", "--help"], b"usage: ")):
        done = subprocess.run([shop.program, *words], env=env, capture_output=True, timeout=60, check=False)
        check(done.returncode == 0 and want in done.stdout, f"{words}: {done}")
    check(not repo.exists(), "a repository was made")


def git(folder, *words, data=None):
    who = {f"GIT_{role}_{what}": value for role in ("AUTHOR", "COMMITTER")
           for what, value in (("NAME", f"{role} X"), ("EMAIL", "x@example.org"), ("DATE", "1112911993 -0700"))}
    result = subprocess.run(["git", *words], cwd=folder, input=data, capture_output=True, check=True, timeout=60,
                            env=dict(os.environ, GIT_CONFIG_GLOBAL="/dev/null", GIT_CONFIG_NOSYSTEM="1", **who))
    return result.stdout


def git_repository(folder):
    """Files, a link, folders, a merged signed tag, a signed commit, an encoding and a tag of the whole:
    {name: (type, bytes)}, the newest tag and all that is below it."""
    folder.mkdir()
    signer = folder.parent / "signer"
    signer.write_text("#!/bin/sh\ncat >/dev/null\nprintf '\\n[GNUPG:] SIG_CREATED \\n' >&2\n"
                      "printf -- '-----BEGIN PGP SIGNATURE-----\\n\\niQEz\\n-----END PGP SIGNATURE-----\\n'\n")
    signer.chmod(0o755)
    git(folder, "init", "-q", "-b", "main")
    git(folder, "config", "gpg.program", str(signer))
    (folder / "sub").mkdir()
    for name in ("a", "sub.txt", "sub/b"):
        (folder / name).write_text(f"{name}\n")
    (folder / "link").symlink_to("a")
    steps = (["add", "."], ["commit", "-qm", "first"], ["checkout", "-qb", "side"], ["commit", "-qm", "side", "--allow-empty"],
             ["tag", "-sm", "of the side\n\nmore", "s1"], ["checkout", "-q", "main"], ["commit", "-S", "-qm", "main", "--allow-empty"],
             ["merge", "-q", "--no-ff", "-m", "merge", "s1"],
             ["-c", "i18n.commitEncoding=ISO-8859-1", "commit", "-qm", "encoded", "--allow-empty"], ["tag", "-am", "release", "v1"])
    for words in steps:
        git(folder, *words)
    objects = {}
    for line in git(folder, "cat-file", "--batch-all-objects", "--batch-check").decode().splitlines():
        name, kind, size = line.split()
        objects[name] = kind, f"{kind} {size}\0".encode() + git(folder, "cat-file", kind, name)
    below = {line.split()[0] for line in git(folder, "rev-list", "--objects", "v1").decode().splitlines()}
    return objects, git(folder, "rev-parse", "v1").decode().strip(), below


def cid_of_git(name):
    return "f01781114" + name


def test_git_objects(shop):
    """A repository's objects keep git's names, through every codec; one pin holds all of them."""
    node = shop.node("git", start=False)
    objects, root, below = git_repository(shop.path("git-repository"))
    check({kind for kind, _ in objects.values()} == {"blob", "tree", "commit", "tag"}, "kinds of objects")
    for name, (kind, data) in objects.items():
        put = node.text("dag", "put", "--input-codec=git-raw", "--store-codec=git-raw", "--hash=sha1", "--cid-base=base16", stdin=data)
        check(put == cid_of_git(name), f"{kind} {name} became {put}")
        loose = node.text("dag", "put", "--input-codec=0x300078", "--store-codec=git-raw", "--hash=sha1", "--cid-base=base16",
                          stdin=zlib.compress(data))
        check(loose == put, f"{kind} {name}, compressed, became {loose}")
        for codec in ("git-raw", "dag-cbor", "dag-json"):
            form = node.run("dag", "get", f"--output-codec={codec}", put).stdout
            check(codec != "git-raw" or form == data, f"{kind} {name} is written otherwise")
            again = node.text("dag", "put", f"--input-codec={codec}", "--store-codec=git-raw", "--hash=sha1", "--cid-base=base16",
                              "--pin=false", stdin=form)
            check(again == put, f"{kind} {name} through {codec} became {again}")
    for damaged in (zlib.compress(b"blob 4\0lost")[:-1], b"blob 4\0lost", b""):
        fails(node, "dag", "put", "--input-codec=0x300078", "--store-codec=git-raw", "--hash=sha1", stdin=damaged, saying="zlib")
    fails(node, "dag", "get", "--output-codec=0x300078", cid_of_git(root), saying="no encoder registered")
    tag = cid_of_git(root)
    check(node.text("dag", "get", f"{tag}/object/parents/0/mergetag/0/tag") == '"s1"', "the tag that was merged")
    check("iQEz" in node.text("dag", "get", f"{tag}/object/parents/0/parents/0/signature"), "a signature")
    check(node.text("dag", "get", f"{tag}/object/parents/0/parents/0/tree/sub/hash/b/mode") == '"100644"', "a path")
    fails(node, "dag", "get", f"{tag}/object/nope", saying="no link named")
    lost = node.text("block", "put", "--cid-codec=git-raw", "--mhtype=sha1", stdin=b"blob 4\0lost")
    node.run("pin", "add", tag)
    node.run("repo", "gc")
    for name in below:
        check(node.run("block", "get", cid_of_git(name)).stdout == objects[name][1], f"{objects[name][0]} {name} was collected")
    fails(node, "block", "get", lost)
    archive = node.run("dag", "export", tag).stdout
    other = shop.node("git-other", start=False)
    other.run("dag", "import", stdin=archive)
    check(other.run("block", "get", tag).stdout == objects[root][1], "through an archive")
    check(len(other.text("refs", "-r", "-u", tag).splitlines()) == len(below - {root}), "all objects are below the tag")


def test_signed_objects(shop):
    """dag-jose: what is signed is a link, and pinned with it."""
    node = shop.node("jose", start=False)
    content = node.text("dag", "put", stdin=b'{"hello":"world"}')
    payload = base64.urlsafe_b64encode(bytes.fromhex(node.text("cid", "format", "-b=base16", content)[1:])).decode().rstrip("=")
    flat = json.dumps({"payload": payload, "protected": "e30", "signature": "c2ln"}).encode()
    signed = node.text("dag", "put", "--store-codec=dag-jose", stdin=flat)
    check(json.loads(node.text("dag", "get", signed)) == {
        "link": {"/": content}, "payload": payload, "signatures": [{"protected": "e30", "signature": "c2ln"}]}, "as data")
    check(node.text("dag", "get", f"{signed}/link/hello") == '"world"' and node.text("refs", signed) == content, "its link")
    node.run("pin", "add", signed)
    node.run("repo", "gc")
    check(node.run("block", "get", content).stdout, "what was signed is kept")
    block = node.run("block", "get", signed).stdout
    check(node.text("dag", "put", "--input-codec=dag-jose", "--store-codec=dag-jose", stdin=block) == signed, "read and written")
    fails(node, "dag", "put", "--store-codec=dag-jose", stdin=b"{}", saying="JOSE")


def test_hostile_blocks(shop):
    """Blocks that are not of their codec, or lie about their size, are errors everywhere, and cost little."""
    node = shop.node("hostile")
    deep = b"\x81" * 100000 + b"\0"
    wide = b"\x9b" + (1 << 40).to_bytes(8, "big")
    many = b"\x9a" + (2000000).to_bytes(4, "big") + b"\x80" * 2000000
    for data, why in ((deep, "nesting depth"), (wide, "EOF"), (b"\xd8\x2a\x41\x00", "CID"), (b"\xa1\x01\x01", "map key"), (b"", "EOF")):
        cid = node.text("block", "put", "--cid-codec=dag-cbor", stdin=data)
        for words in (["dag", "get"], ["dag", "stat"], ["pin", "add"], ["refs", "-r"]):
            fails(node, *words, cid, saying=why)
    cid = node.text("block", "put", "--cid-codec=dag-cbor", stdin=many)
    before = node.memory()[1]
    for _ in range(3):
        check(len(node.run("dag", "get", cid).stdout) == 2 + 3 * 2000000 - 1, "a list of lists")
    check(node.memory()[1] < before + (160 << 20), f"{node.memory()[1] - before} bytes more at the peak")
    for codec, data, why in (("git-raw", b"tree 99\0", "EOF"), ("git-raw", b"commit 1\0\n", "tree"), ("dag-jose", b"\xa0", "payload"),
                             ("dag-jose", deep, "nesting depth")):
        cid = node.text("block", "put", f"--cid-codec={codec}", stdin=data)
        for words in (["dag", "get"], ["dag", "stat"], ["pin", "add"], ["refs", "-r"]):
            fails(node, *words, cid, saying=why)
    cid = node.text("block", "put", "--cid-codec=eth-block", stdin=b"{}")
    fails(node, "pin", "add", cid, saying="links of codec 0x90 are not known")
    fails(node, "dag", "put", stdin=b"[" * 1000000, saying="nesting depth")
    repeated = "a2616101616102"
    fails(node, "dag", "put", "--input-codec=dag-cbor", stdin=bytes.fromhex(repeated), saying='cannot repeat map key "a"')


def test_big_blocks(shop):
    node = shop.node("big", start=False)
    big = json.dumps({"/": {"bytes": base64.b64encode(bytes(3 << 20)).decode()}}).encode()
    fails(node, "dag", "put", stdin=big, saying="produced block is over 2MiB")
    fails(node, "block", "put", stdin=bytes(3 << 20), saying="produced block is over 2MiB")
    cid = node.text("block", "put", "--allow-big-block", stdin=bytes(3 << 20))
    check(node.run("block", "get", cid).stdout == bytes(3 << 20), "a big block")
    check(node.text("block", "put", stdin=bytes(2 << 20)), "2 MiB exactly")
