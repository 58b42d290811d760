"""Pins, collection and verification, the same words to our program called as `ipfs` and to Kubo. Run by run.py."""
import base64
import re

import nodes
import pinning_service
from nodes import check
from test_same import NOBODY_HAS, Pair, begin, finish, sorted_lines  # begin and finish: the runner calls them


def test_pin_ls(shop):
    p = Pair(shop, "pin-ls")
    p.add_tree()
    sub = p.ours.text("resolve", f"/ipfs/{p.root}/sub").split("/")[-1]
    p.same("pin", "add", "--name=sub folder", sub)
    p.same("pin", "rm", p.file)
    p.same("pin", "add", "-r=false", "--name=direct one", p.file)
    for words in ([], ["-t", "all"], ["-t", "indirect"], ["-t", "direct"], ["-q"], ["-q", "-t", "indirect"], ["-s"], ["-s", "-q"], ["--names"],
                  ["-n", "one"], ["--name=folder"], ["-n", "one", "-t", "indirect"], ["-n", "one", "-s"], ["--names", "-q"],
                  ["--names", "-t", "direct"], ["--name=nothing"], ["--name="]):
        p.same("pin", "ls", *words, normal=sorted_lines)
    for words in ([p.file], [p.file, "--names"], ["-t", "indirect", p.file], ["-t", "direct", p.file], ["-t", "recursive", p.file],
                  ["-t", "recursive", p.root], ["-t", "indirect", p.root], [f"/ipfs/{p.root}/sub"], [f"{p.root}/nothing"], ["foo"],
                  ["-t", "direct", sub], ["-t", "foo", sub], [p.file, sub], [p.file, p.root, sub], ["-q", p.file], ["-s", p.file],
                  ["-n", "x", p.file], ["-n", "x" * 256], ["--enc=json", p.file], ["--enc=json", "-s", p.file], ["--enc=json", "--names", "-s", p.file]):
        p.same("pin", "ls", *words, normal=sorted_lines)
    p.same("pin", "ls", "--offline", p.file, NOBODY_HAS)
    p.same("pin", "ls", "--enc=json", "-t", "direct")
    p.same("pin", "ls", "--enc=json", "-s", "-n", "one")
    p.same("pin", "ls", "--enc=json", "-t", "direct", "-n", "nothing")
    p.same("pin", "add", "--name=" + "x" * 256, p.file)


def test_pin_changes(shop):
    p = Pair(shop, "pin-changes")
    p.add_tree()
    for words in (["update", p.file, p.root], ["update", p.file, p.file], ["update", p.root, p.big], ["update", p.file, p.big],
                  ["update", NOBODY_HAS, p.file], ["update", "--offline", p.big, NOBODY_HAS], ["rm", p.big, p.file], ["rm", p.root], ["add", "--progress", p.root], ["add", p.root, p.file], ["update", "--unpin=false", p.root, p.file], ["verify", "--verbose", "--quiet"],
                  ["verify", "--quiet"], ["verify"], ["add", "--enc=json", "--progress=false", p.file], ["rm", "--enc=json", p.file],
                  ["update", "--enc=json", p.root, p.big]):
        p.same("pin", *words)
    for words in (["update", p.file], ["rm"], ["add"]):
        p.both_fail("pin", *words)
    p.same("pin", "verify", "--verbose", normal=sorted_lines)
    p.same("pin", "ls", normal=sorted_lines)
    p.same("pin", "ls", "--names", normal=sorted_lines)


def block_file(node, cid):
    """Where both keep a block: a file named by its multihash in base32."""
    found = [path for path in (node.repo / "blocks").glob("*/*.data") if path.stem == key_of(cid)]
    check(len(found) == 1, f"{node.name}: {cid} is in {found}")
    return found[0]


def key_of(cid):
    """A CIDv1 of raw or dag-pb in base32 is that of 01 55 or 01 70 and its multihash."""
    text = cid if cid.startswith("b") else nodes.raw_cid(cid)
    binary = base64.b32decode(text[1:].upper() + "=" * (-len(text[1:]) % 8))
    return base64.b32encode(binary[2:]).decode().rstrip("=")


def test_pin_verify_broken(shop):
    p = Pair(shop, "pin-broken", profile="test,flatfs")
    p.add_tree()
    leaves = p.ours.text("refs", p.big).split()
    p.same("pin", "verify")
    for node in (p.ours, p.kubo):
        block_file(node, p.file).unlink()
        damaged = block_file(node, p.root)
        data = bytearray(damaged.read_bytes())
        data[-1] ^= 1
        damaged.write_bytes(data)
        block_file(node, leaves[0]).unlink()
    # Kubo takes its own word for raw leaves and for what is below a block that is damaged; where it complains, so do we.
    for words in ([], ["-q"]):
        said = [set(cid for cid in (p.root, p.file, p.big) if any(line.split()[0] == cid for line in out.splitlines()))
                for out in (node.run("pin", "verify", *words, check_code=False).stdout.decode() for node in (p.ours, p.kubo))]
        check(said[0] == {p.root, p.file, p.big} and said[0] >= said[1] and said[1], f"ours {said[0]}, Kubo {said[1]}")
    p.same("pin", "add", "--offline", p.file)
    p.same("pin", "ls", p.root)


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def last_lines(text):
    """Without the progress, which is written over and over."""
    return sorted(line for line in re.split(r"[\r\n]+", text) if line and "blocks processed" not in line)


def test_repo_verify_and_heal(shop):
    p = Pair(shop, "verify", profile="test,flatfs")
    p.add_tree()
    giver = shop.node("giver")
    giver.run("add", "-r", "-Q", p.folder / "tree")
    damaged = [p.big, p.file] + p.ours.text("refs", p.big).split()[:1]
    p.same("repo", "verify", normal=last_lines)
    for node in (p.ours, p.kubo):
        for cid in damaged:
            flip(block_file(node, cid))
    p.same("repo", "verify", normal=last_lines)
    p.both_fail("repo", "verify", "--heal")
    p.same("repo", "verify", "--heal-timeout=nonsense")
    for node in (p.ours, p.kubo):
        node.start()
        node.connect(giver)
    p.same("repo", "verify", "--heal", "--heal-timeout=60s", normal=last_lines)
    p.same("repo", "verify", normal=last_lines)
    p.same("cat", p.big)
    for node in (p.ours, p.kubo):
        node.stop()
        flip(block_file(node, p.file))
    p.same("repo", "verify", "--drop", normal=last_lines)
    p.same("repo", "verify", "--drop", normal=last_lines)
    p.same("cat", "--offline", p.file, code_only=True)


def test_repo_answers(shop):
    p = Pair(shop, "repo-answers")
    p.add_tree()

    def unlike(text):  # sizes, counts and versions are each one's own
        return re.sub(r"\d[\d.]*( [kMG]?B)?$|fs-repo@\d+|distribute-1", "N", text, flags=re.M)

    p.kubo.run("repo", "gc")  # what its init left
    for words in ([], ["-s"], ["-H"], ["-s", "-H"], ["--human", "--size-only"]):
        p.same("repo", "stat", *words, normal=unlike)
    p.same("repo", "version", normal=unlike)
    p.same("repo", "version", "-q", normal=unlike)
    p.same("repo", "migrate", normal=lambda text: re.sub(r"(18|distribute-1)\.", "N", text))
    p.both_fail("repo", "migrate", "--to=3")
    p.same("repo", "ls", normal=sorted_lines)
    p.same("pin", "rm", p.file)
    for words in (["-q"], ["--silent"], [], ["--stream-errors"], ["--stream-errors", "-q"]):
        p.same("repo", "gc", *words, normal=sorted_lines)


def test_pin_remote(shop):
    """Both against one pinning service each, with the same words."""
    p = Pair(shop, "remote")
    p.add_tree()
    ours, kubos = pinning_service.Service(), pinning_service.Service()
    try:
        endpoints = {p.ours: ours.endpoint, p.kubo: kubos.endpoint}

        def same(*words, normal=lambda text: text, code_only=False):
            p.same("pin", "remote", *words, normal=lambda text: normal(re.sub(r"http://127\.0\.0\.1:\d+", "URL", text)), code_only=code_only)

        for node, endpoint in endpoints.items():
            node.run("pin", "remote", "service", "add", "good", f"{endpoint}//", pinning_service.KEY)
            node.run("pin", "remote", "service", "add", "bad one", endpoint, "wrong")
        for words in (["service", "ls"], ["service", "ls", "--stat"], ["service", "ls", "--enc=json"], ["service", "ls", "--stat", "--enc=json"],
                      ["service", "add", "good", "http://127.0.0.1:1", "x"], ["service", "add", "n", "ftp://x", "y"],
                      ["service", "add", "n", "http://x/pins", "y"], ["service", "add", "n", "http://x/?a=b", "y"]):
            same(*words)
        for cid in (p.root, p.file, p.big):
            same("add", "--service=good", f"--name=pin of {cid}", cid, normal=without_warning)
        same("add", "--service=good", "--background", p.file, normal=without_warning)
        for words in (["ls", "--service=good"], ["ls", "--service=good", "--status=queued"], ["ls", "--service=good", f"--cid={p.file}"],
                      ["ls", "--service=good", f"--cid={p.file},{p.root}", "--status=queued,pinned"], ["ls", "--service=good", "--name=nothing"],
                      ["ls", "--service=good", f"--name=pin of {p.big}"], ["ls", "--service=good", "--enc=json"], ["ls", "--service=none"],
                      ["ls"], ["ls", "--service=good", "--status=foo"], ["service", "ls", "--stat"],
                      ["rm", "--service=good"], ["rm", "--service=good", f"--cid={p.big}"], ["ls", "--service=good"],
                      ["rm", "--service=good", "--force"], ["ls", "--service=good", "--status=queued,pinning,pinned,failed"]):
            same(*words)
        same("ls", "--service=bad one", code_only=True)
        same("ls", "--service=good", "--cid=foo", code_only=True)
        for service in (ours, kubos):
            service.failing.add(p.file)
        same("add", "--service=good", p.file, normal=lambda text: re.sub(r'requestid="[^"]*"', "ID", without_warning(text)))
        for words in (["config", "Pinning"], ["config", "Pinning.RemoteServices.good.API.Key"], ["config", "Pinning.RemoteServices.good.API"]):
            p.same(*words)
        for node in endpoints:
            check(pinning_service.KEY not in node.text("config", "show"), "config show tells the key")
        same("service", "rm", "good")
        check("good" not in p.ours.text("pin", "remote", "service", "ls"), "a service that was removed")  # Kubo 0.42 keeps it
    finally:
        ours.close()
        kubos.close()


def without_warning(text):
    return "\n".join(line for line in text.splitlines() if not line.startswith("WARNING"))
