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
