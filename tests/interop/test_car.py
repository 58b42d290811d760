"""Archives that Kubo made are read here, and the other way; both make the same ones, byte for byte. Run by run.py."""
import json
import pathlib
import re

import cars
import nodes
from nodes import check

VECTORS = pathlib.Path(__file__).resolve().parent.parent / "vectors" / "car"
PARTIAL = "QmYhmPjhFjYFyaoiuNzYv8WGavpSRDwdHWe5B4M5du5Rtk"


def make_tree(shop):
    tree = shop.path("tree")
    (tree / "many").mkdir(parents=True)
    (tree / "big").write_bytes(nodes.make_bytes("big", 3 << 20))
    (tree / "same").write_bytes(nodes.make_bytes("big", 3 << 20))
    (tree / "small").write_bytes(b"hi\n")
    (tree / "link").symlink_to("small")
    for i in range(300):
        (tree / "many" / f"{i}").write_bytes(b"%d" % (i // 2))
    return tree


def test_exports_are_the_same_byte_for_byte(shop):
    ours, kubo = shop.node("ours", start=False), shop.kubo("kubo", start=False)
    tree = make_tree(shop)
    roots = [kubo.text("add", "-Q", "-r", *options, tree) for options in ([], ["--cid-version=1"], ["--inline"], ["--trickle"])]
    kubo.run("config", "--json", "Import.UnixFSHAMTDirectorySizeThreshold", '"1B"')
    roots += [kubo.text("add", "-Q", "-r", *options, tree) for options in ([], ["--cid-version=1", "--inline"])]
    document = json.dumps({"b": [{"/": roots[0]}, {"a": {"/": roots[4]}}], "a": {"/": roots[3]}, "n": 1})
    roots.append(kubo.text("dag", "put", stdin=document.encode()))
    roots.append(kubo.text("dag", "put", "--store-codec=dag-json", stdin=document.encode()))
    for root in roots:
        theirs = kubo.run("dag", "export", root).stdout
        said = [node.text("dag", "import", "--stats", stdin=theirs) for node in (ours, kubo)]
        check(said[0] == said[1] and root in said[0], f"{root}: import says {said}")
        mine = ours.run("dag", "export", root).stdout
        check(mine == theirs, f"{root}: {len(mine)} bytes, Kubo's have {len(theirs)}")
    for path in (f"{roots[0]}/many", f"/ipfs/{roots[4]}/many/17", f"{roots[6]}/b/1/a/big"):
        check(ours.run("dag", "export", path).stdout == kubo.run("dag", "export", path).stdout, f"{path}: the archives differ")
    # without the blocks of one file, and what else is the same one
    for node in (ours, kubo):
        node.run("pin", "rm", *roots)
        node.run("block", "rm", "--force", node.text("resolve", f"/ipfs/{roots[1]}/small").split("/")[-1])
    for root in roots:
        check(ours.run("dag", "export", "--local-only", root).stdout == kubo.run("dag", "export", "--local-only", root).stdout,
              f"{root}: the archives of what is here differ")


def test_kubo_takes_archives_of_version_2(shop):
    ours, kubo = shop.node("ours", start=False), shop.kubo("kubo", start=False)
    tree = make_tree(shop)
    for options in ([], ["--cid-version=1", "--inline"]):
        root = ours.text("add", "-Q", "-r", *options, tree)
        archive = ours.run("dag", "export", "--car-version=2", root).stdout
        data, entries = cars.read_v2(archive)
        check(len(entries) == len(cars.cids(data)), "the index")
        said = [node.text("dag", "import", "--stats", stdin=archive) for node in (kubo, ours)]
        check(said[0] == said[1] and root in said[0], f"import says {said}")
        check(kubo.run("dag", "export", root).stdout == data, f"{options}: Kubo has something else")


def test_imports_say_the_same(shop):
    ours, kubo = shop.node("ours", start=False), shop.kubo("kubo", start=False)
    for path in sorted(VECTORS.glob("*.car")):
        answers = []
        for node in (ours, kubo):
            result = node.run("dag", "import", "--stats", path, check_code=False)
            lines = sorted(result.stdout.decode().splitlines())  # Kubo's roots come in any order
            answers.append((result.returncode, lines))
        check(answers[0] == answers[1], f"{path.name}: {answers}")
    for words in (["--silent"], ["--pin-roots=false"], ["--pin-roots=false", "--stats"], ["--local-only"],
                  ["--local-only", "--pin-roots=true"], ["--fast-provide-root=false"], ["--fast-provide-wait"], ["--allow-big-block"]):
        answers = [node.run("dag", "import", *words, VECTORS / "carv2-basic.car", check_code=False) for node in (ours, kubo)]
        said = [(a.returncode, a.stdout, re.sub(rb"^error: ", b"Error: ", a.stderr)) for a in answers]
        check(said[0] == said[1], f"{words}: {said}")


def test_nobody_hears_of_the_root(shop):
    """Who waits for the announcement is told that it failed; what was stored stays."""
    answers = []
    for node in (shop.node("ours"), shop.kubo("kubo")):
        path = VECTORS / "kubo-dir-symlinks.car"
        runs = [node.run(*words, "--fast-provide-wait", path, check_code=False) for words in (["dag", "import"], ["add"])]
        check(all(b"fast-provide: " in r.stderr for r in runs), f"{runs}")
        answers.append([(r.returncode, r.stdout.split(b"\n")[0]) for r in runs])
    check(answers[0] == answers[1], f"{answers}")


def test_rpc_answers_are_the_same(shop):
    ours, kubo = shop.node("ours"), shop.kubo("kubo")
    boundary = "interop"
    for name in ("carv2-basic", "bad-version-42", "kubo-dir-symlinks"):
        body = (f"--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\nContent-Type: application/octet-stream\r\n\r\n"
                .encode() + (VECTORS / f"{name}.car").read_bytes() + f"\r\n--{boundary}--\r\n".encode())
        answers = []
        for node in (ours, kubo):
            response, data = node.rpc_raw("dag/import", (), {"stats": "true", "offline": "true"}, body=body,
                                          content_type=f"multipart/form-data; boundary={boundary}")
            answers.append((response.status, response.getheader("Content-Type"), response.getheader("X-Chunked-Output"),
                            [json.loads(line) for line in data.splitlines()]))
        check(answers[0] == answers[1], f"{name}: {answers}")
    for node in (ours, kubo):
        node.run("dag", "import", "--pin-roots=false", VECTORS / "gwc-file-missing-block.car")
    root = cars.cids((VECTORS / "kubo-dir-symlinks.car").read_bytes())[0]
    for args, options in (([root], {}), ([PARTIAL], {"offline": "true"}), ([PARTIAL], {"local-only": "true"}), ([], {}),
                          ([root + "/nothing"], {}), (["x"], {})):
        answers = []
        for node in (ours, kubo):
            response, data = node.rpc_raw("dag/export", args, options, timeout=60)
            answers.append((response.status, response.getheader("Content-Type"), response.getheader("X-Stream-Output"), data))
        check(answers[0] == answers[1], f"export {args} {options}: {answers}")
