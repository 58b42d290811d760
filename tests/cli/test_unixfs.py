"""Files and folders through the command line and the RPC. Run by run.py."""
import json
import os
import pathlib

import nodes
from nodes import check, fails

VECTORS = pathlib.Path(__file__).resolve().parent.parent / "vectors"


def make_vector_folder(shop, name):
    """A folder of unixfs-dirs.json on disk."""
    folder = shop.path(name)
    folder.mkdir()
    for entry in json.loads((VECTORS / "unixfs-dirs.json").read_text())[name]["entries"]:
        path = folder / bytes.fromhex(entry["path_hex"]).decode()
        if entry["type"] == "dir":
            path.mkdir()
        elif entry["type"] == "symlink":
            path.symlink_to(entry["target"])
        else:
            kind, rest = entry["data"].split(":", 1)
            check(kind == "hex", f"{name}: content {entry['data']}")
            path.write_bytes(bytes.fromhex(rest))
    return folder


def test_folders_are_told_with_their_argument(shop):
    """Each folder is finished before the next argument, unless one is wrapped around all; the last line is the last argument's."""
    node = shop.node("told", start=False)
    folder = shop.path("told")
    (folder / "a" / "sub").mkdir(parents=True)
    for name in ("a/f", "a/sub/g", "z"):
        (folder / name).write_text(name)
    names = [line.split(" ", 2)[2] for line in node.text("add", "-r", "a", "z", cwd=folder).splitlines()]
    check(names == ["a/f", "a/sub/g", "a", "a/sub", "z"] or names == ["a/f", "a/sub/g", "a/sub", "a", "z"], names)
    check(node.text("add", "-r", "-Q", "a", "z", cwd=folder) == node.text("add", "-Q", "z", cwd=folder), "the last argument")
    names = [line.split(" ", 2)[2] for line in node.text("add", "-r", "-w", "a", "z", cwd=folder).splitlines() if line.count(" ") == 2]
    check(names.index("z") < names.index("a"), names)
    pins = node.text("pin", "ls", "--type=recursive").splitlines()
    check(len(pins) == 3, pins)


def test_golden_rows_with_links(shop):
    """The rows that the golden test leaves to the command line: links are followed where files are read from disk."""
    node = shop.node("links", start=False)
    folder = make_vector_folder(shop, "symlinks-ok")
    rows = [line.split("\t") for line in (VECTORS / "unixfs-golden.tsv").read_text().splitlines()]
    rows = [row for row in rows if "--dereference-symlinks" in row[4]]
    check(len(rows) == 2, f"{len(rows)} rows")
    for row in rows:
        words = [folder if word == "DIR" else word for word in row[4].split()[1:]]
        check(node.text(*words) == row[5], f"{row[0]}: {row[4]}")


def test_add_of_many_files(shop):
    """More names than one page of a folder, and more files than the node holds in memory: the CID is Kubo's, the answer
    names each file once and in order, and no temporary file stays."""
    count = 33000
    node = shop.node("many", start=False)
    folder = shop.path("f")
    folder.mkdir()
    for i in range(count):
        (folder / f"file-{i:05}").touch()
    lines = node.text("add", "-r", "-n", folder).splitlines()
    names = [line.split(" ", 2)[2] for line in lines]
    check(names == [f"f/file-{i:05}" for i in range(count)] + ["f"], f"{len(names)} names")
    check(lines[-1].split(" ")[1] == "QmT4jNQMSqgQhPYQJwP43LTcKr9q1mYqzsxm4hu7gXfW3n", lines[-1])
    check(not list(node.repo.glob("entries-*")), "a temporary file stayed")


def test_add_of_many_folders(shop):
    """More folders than the node holds in memory, sent in any order: the CID is Kubo's, each folder is named once and the
    one above them last. With a file in the place of a folder that has left memory there is none."""
    count = 17000
    node = shop.node("folders")

    def part(name, kind, content=""):
        return (f'--b\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\nContent-Type: application/{kind}'
                f"\r\n\r\n{content}\r\n")

    def add(parts):
        return node.rpc_raw("add", options={"only-hash": "true"}, body=("".join(parts) + "--b--\r\n").encode(),
                            content_type="multipart/form-data; boundary=b")
    files = [part(f"folder%2F{i}%2Ffile", "octet-stream", i) for i in range(count)]
    files[1::2] = reversed(files[1::2])
    response, data = add(files + [part(f"folder%2F{i}", "x-directory") for i in range(0, count, 2)])
    check(response.status == 200, f"{response.status}: {data[:200]!r}")
    lines = [json.loads(line) for line in data.splitlines()]
    folders = [line["Name"] for line in lines if not line["Name"].endswith("file")]
    check(sorted(folders[:-1]) == sorted(f"folder/{i}" for i in range(count)) and folders[-1] == "folder", f"{len(folders)} folders")
    check(lines[-1]["Hash"] == "Qma45iK7DkCP1VpkC18cZLroPbVvCmLYGkuppsgDSqPzhN", lines[-1])
    response, data = add([*files, part("folder%2F1", "octet-stream", "in the way")])
    check(b'"Name":"folder"' not in data, f"{response.status}: {data[-200:]!r}")
    check(not list(node.repo.glob("entries-*")), "a temporary file stayed")


def test_add_leaves_out(shop):
    node = shop.node("ignore", start=False)
    folder = shop.path("tree")
    (folder / "sub" / "empty").mkdir(parents=True)
    for name in ("a.txt", "b.log", "sub/c.log", "sub/d.txt", ".hidden"):
        (folder / name).write_text(name)
    (shop.path("rules")).write_text("*.log\n# no rule\n")

    def names(*words):
        return [line.split(" ", 2)[2] for line in node.text("add", "-r", *words, folder).splitlines()]

    check(names("--ignore=*.txt") == ["tree/b.log", "tree/sub/c.log", "tree/sub/empty", "tree/sub", "tree"], "--ignore")
    check(names(f"--ignore-rules-path={shop.path('rules')}", "--ignore=!b.log", "--empty-dirs=false", "--hidden")
          == ["tree/.hidden", "tree/a.txt", "tree/b.log", "tree/sub/d.txt", "tree/sub", "tree"], "--ignore-rules-path")
    fails(node, "add", "-r", "--ignore-rules-path=/nothing", folder, saying="/nothing")


def test_add_says_modes_and_times(shop):
    """What an upload says of its files stands in the answer, as Kubo's clients expect."""
    node = shop.node("meta")
    path = shop.file("a.txt", 5)
    os.chmod(path, 0o640)
    os.utime(path, ns=(0, 1600000000000000250))
    answer = json.loads(node.text("add", "--preserve-mode", "--preserve-mtime", "--json", path))
    check((answer["Mode"], answer["Mtime"], answer["MtimeNsecs"]) == ("0640", 1600000000, 250), answer)
    check("Mode" not in json.loads(node.text("add", "--json", path)), "a mode that was not sent")
    link = json.loads(node.text("ls", "--json", node.text("add", "-Q", "-w", "--preserve-mode", path)))["Objects"][0]["Links"][0]
    check(link["Mode"] == 0o640, link)


def test_names_of_uploads(shop):
    """A client's names are taken without what would lead elsewhere, as Kubo takes them."""
    node = shop.node("names")
    for name, wanted in (("a%2F..%2Fb", "b"), ("..", ""), ("%2F", ""), (".", ""), ("%2Fa%2F%2Fb%2F", "a/b"), ("..%2F..%2Fx", "x"), ("a%2F.%2Fb", "a/b"), ("...", "...")):
        part = (f'--b\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
                "Content-Type: application/octet-stream\r\n\r\nhello\r\n--b--\r\n").encode()
        response, said = node.rpc_raw("add", body=part, content_type="multipart/form-data; boundary=b")
        first = json.loads(said.splitlines()[0])
        check(response.status == 200 and first["Name"] == (wanted or first["Hash"]), f"{name}: {said}")


def test_filestore(shop):
    node = shop.node("files", start=False)
    path = shop.file("big.bin", 700000)
    fails(node, "filestore", "ls", saying="filestore is not enabled, see https://git.io/vNItf")
    fails(node, "add", "--nocopy", path, saying="either the filestore or the urlstore must be enabled to use nocopy")
    node.run("config", "--json", "Experimental.FilestoreEnabled", "true")
    root = node.text("add", "-Q", "--nocopy", path)
    check(node.text("repo", "stat", "--size-only") != "", "repo stat")
    lines = node.text("filestore", "ls").splitlines()
    check(len(lines) == 3 and all(" big.bin " in line for line in lines), lines)
    check([line.split()[3] for line in node.text("filestore", "ls", "--file-order").splitlines()] == ["0", "262144", "524288"], "file order")
    content = path.read_bytes()
    check(node.run("cat", root).stdout == content, "cat")
    check(node.text("filestore", "dups") == "", "no copies yet")
    node.run("add", "-Q", "--raw-leaves", path)
    check(len(node.text("filestore", "dups").splitlines()) == 3, "copies")
    fails(node, "add", "--nocopy", saying="cannot add filestore references outside", stdin=b"x")
    node.run("pin", "rm", root)
    node.run("repo", "gc")
    check(node.text("filestore", "ls") == "", "collected")
    # what has changed is told, not served
    root = node.text("add", "-Q", "--nocopy", path)
    path.write_bytes(content[:300000] + b"X" + content[300001:])
    check(sorted(line.split()[0] for line in node.text("filestore", "verify").splitlines()) == ["changed", "ok", "ok"], "verify")
    fails(node, "cat", root, saying="data in file did not match. big.bin offset 262144")
    check("X" not in node.run("cat", "--length=262144", root).stdout.decode("latin1")[262144:], "nothing of it is served")
    lines = node.text("filestore", "verify", "--remove-bad-blocks").splitlines()
    check(sum(line.endswith(" remove") for line in lines) == 1 and sum(line.endswith(" keep") for line in lines) == 2, lines)
    check(len(node.text("filestore", "ls").splitlines()) == 2, "forgotten")
    path.unlink()
    check(all(line.startswith("no-file") for line in node.text("filestore", "verify").splitlines()), "no file")


def test_filestore_beside_changing_files(shop):
    """Files that are away for a while, or that something else stands in for: a node goes on, and its references stay."""
    node = shop.node("away", {"Experimental.FilestoreEnabled": True})
    paths = [shop.file(f"away-{i}", 1000) for i in range(8)]
    cids = [node.text("add", "-Q", "--nocopy", path) for path in paths]
    for path in paths:
        path.rename(f"{path}.kept")
        os.mkfifo(path)  # nobody writes to it: reading would wait for ever
    for cid in cids:
        fails(node, "cat", "--timeout=50ms", cid, saying="not found in time|time is over")
    check(node.text("add", "-Q", stdin=b"beside") != "", "the node's workers wait for pipes")
    paths[0].unlink()
    paths[1].unlink()
    paths[1].symlink_to("/dev/zero")
    said = [line.split()[0] for line in node.text("filestore", "verify", "--file-order").splitlines()]
    check(said == ["no-file", "changed"] + ["error"] * 6, said)
    for path, cid in zip(paths, cids):
        os.replace(f"{path}.kept", path)
        check(node.run("cat", "--offline", cid).stdout == path.read_bytes(), f"{path}: the reference is lost")

