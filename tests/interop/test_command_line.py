"""Words of the command line, called as `ipfs`: options in every place, numbers, lists of commands, named pipes. Run by run.py."""
import json
import os
import subprocess

from nodes import check
from test_same import EMPTY_FOLDER, Pair

NOBODY = "12D3KooWBoV1L1mBRX4LcYqYDqFcbF8ZbUP5v6bQ2nVvLXf3WZGe"


def begin(shop):
    shop.differences = []


def finish(shop):
    check(not shop.differences, "\n".join(shop.differences))


def first_line(text):
    return text.split("\n")[0]


def test_options_in_every_place(shop):
    p = Pair(shop, "words", start=True)
    p.add_tree()
    for line in ("--enc=json cid codecs", "--enc json cid codecs", "cid --enc=json codecs", "cid codecs --enc json", "--encoding=json cid codecs",
                 "--stream-channels key list", "--stream-channels=false key list", "-c nothing key list", "--config=nothing key list",
                 "--config-file nothing key list", "key list -c nothing", "--offline=false key list", "--cid-base=base32 add -r tree",
                 "add -r --cid-base base64 tree", "--upgrade-cidv0-in-output add tree/a.txt", "--cid-base=base32 --upgrade-cidv0-in-output=false add tree/a.txt",
                 "--cid-base=nothing add tree/a.txt", "bootstrap --enc=json list", "key list -- ", "add -qr -- tree", "add -rq tree", "--version",
                 f"cat -o 1 -l 2 {p.file}", f"cat -l2 -o1 {p.file}", f"cat --offset=0x1 {p.file}", f"cat --offset=01 {p.file}", f"cat --offset=0b1 {p.file}",
                 f"cat --offset=0_1 {p.file}", f"cat --offset=-1 {p.file}", f"cat --length=-1 {p.file}",
                 f"refs -r --max-depth=0x1 {p.root}", "add --chunker=size-+5 tree/a.txt", "add --chunker=size-05 tree/a.txt",
                 "add tree/a.txt/", "add -r tree/a.txt/", "add -r tree//", "add tree/link/", "add -r tree/sub/../sub"):
        p.same(*line.split(), normal=first_line if "nothing add" in line else None)
    for number in ("1_", "_1", "1__0", "0x", "0b2", "1e3", "--1"):
        p.both_fail("cat", f"--offset={number}", p.file)


def test_wrong_words(shop):
    p = Pair(shop, "wrong", start=True)
    for line in ("key list --enc=json --enc=xml", "--enc=json --encoding=xml key list", "--offline --offline key list", "cat --length=1 -l 2 x",
                 "--nope key list", "key list --nope", "key list -z", "add -s", "add --chunker", "key list more", f"get {EMPTY_FOLDER} out",
                 "nope", "help nope", "-- key list", "key -- list", "key nope"):
        p.same(*line.split(), normal=lambda text: "" if line == "key nope" else first_line(text))
    for node in (p.ours, p.kubo):
        said = node.run("pin", "remote", check_code=False)
        check(said.returncode == 0 and b"pin remote add" in said.stdout, f"{node.name}: {said}")


def test_every_command_is_listed(shop):
    p = Pair(shop, "list", start=True)
    ours, theirs = (set(node.text("commands", "--flags").splitlines()) for node in (p.ours, p.kubo))
    missing = {line for line in theirs - ours if "--allow-non-unixfs" not in line and "repo migrate --" not in line}
    check(not missing, f"not listed: {sorted(missing)}")


def test_without_daemon(shop):
    p = Pair(shop, "alone")
    for line in ("p2p ls", "p2p close -a", "p2p stream ls", "swarm peers", "swarm addrs", "swarm addrs local", "swarm addrs listen", "swarm resources",
                 "bitswap stat", "bitswap wantlist", "stats bitswap", "stats bw", "stats dht", "pubsub ls", "pubsub peers", "diag cmds", "diag profile",
                 "shutdown", "repo verify --heal", f"routing get /ipns/{NOBODY}", f"routing findpeer {NOBODY}", f"ping {NOBODY}"):
        p.same(*line.split(), normal=first_line)


def test_verify_tells_of_every_block(shop):
    p = Pair(shop, "verify")
    for node in (p.ours, p.kubo):
        node.run("add", "-r", "tree", cwd=p.folder)
        said = node.run("repo", "verify", "--enc=json").stdout.decode().splitlines()
        found = [json.loads(line) for line in said]
        check([f["Progress"] for f in found] == [*range(1, len(found)), 0] and "complete" in found[-1]["Msg"], f"{node.name}: {found}")


def test_add_waits_for_the_writer_of_a_pipe(shop):
    p = Pair(shop, "pipe", start=True)
    os.mkfifo(p.folder / "pipe")
    for words in (["pipe"], ["-Q", "pipe", "tree/a.txt"], ["-w", "pipe"]):
        said = []
        for node in (p.ours, p.kubo):
            adding = node.begin("add", *words, cwd=p.folder)
            subprocess.run(["sh", "-c", "printf 'through a pipe\\n' > pipe"], cwd=p.folder, timeout=30, check=True)
            out, error = adding.communicate(timeout=60)
            said.append((adding.returncode, out))
        check(said[0] == said[1] and said[0][0] == 0, f"{words}: {said} {error}")
    os.mkfifo(p.folder / "tree" / "pipe")
    p.both_fail("add", "-r", "tree")
