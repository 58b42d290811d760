#!/usr/bin/env python3
"""`make run`: three nodes form a network, store a real file on two of them, lose a holder, heal onto the third, and give
the same bytes back. Ends by itself and leaves nothing running.

demo.py PROGRAM [MIB]
"""
import json
import os
import pathlib
import subprocess
import sys
import tarfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "process"))
import nodes
from nodes import check, wait_until

MIB = 1 << 20
QUICK = {"Replication__Heartbeat": "500ms", "Replication__LostGrace": "2s", "Routing__LoopbackAddressesOnLanDHT": True,
         "Replication__MaxBytes": "4GB"}


def say(text=""):
    print(text, flush=True)


def step(number, text):
    say(f"\n[{number}] {text}")


def rate(size, seconds):
    return f"{size / 1e6:.1f} MB in {seconds:.2f} s, {size / 1e6 / max(seconds, 1e-6):.0f} MB/s"


def archive_of_this_machine(path, wanted):
    """A tar of the build's own tree, filled up with the system's libraries until it is large enough."""
    with tarfile.open(path, "w") as tar:
        for folder in (ROOT / "src", ROOT / "build", pathlib.Path("/usr/lib"), pathlib.Path("/usr/share"), pathlib.Path("/usr/bin")):
            for file in sorted(folder.rglob("*")):
                if file.is_symlink() or not file.is_file() or not os.access(file, os.R_OK):
                    continue
                tar.add(file, arcname=str(file.relative_to("/")), recursive=False)
                if tar.offset >= wanted:
                    return
    check(path.stat().st_size >= wanted, "this machine does not have enough files for the demonstration")


def status(node, cid):
    lines = node.text("status", cid)
    say("\n".join(f"      {line}" for line in lines.splitlines()))
    return json.loads(node.text("status", cid, "--json"))


def run_visibly(node, *words):
    """With the terminal as its stderr, so that progress bars show."""
    result = subprocess.run([node.program, *map(str, words)], stdout=subprocess.PIPE, env=node.env(), timeout=600)
    check(result.returncode == 0, f"{' '.join(map(str, words))} failed")
    return result.stdout.decode().strip()


def form_network(shop):
    started = time.monotonic()
    names = ["alpha", "beta", "gamma"]
    members = [shop.node(name, QUICK, start=False) for name in names]
    ids = [m.identity() for m in members]
    for member in members:
        member.configure(Replication__AllowFrom=ids)
    members[0].environment["TEST_DHT_STUB"] = "1"
    members[0].start()
    for member in members[1:]:
        member.environment["TEST_DHT_STUB"] = "1"
        member.configure(Bootstrap=[members[0].addresses[0]])
        member.start()
    wait_until(lambda: all(len(m.peers()) >= 1 for m in members), 60, "the three are connected")
    for member in members:
        say(f"      {member.name:6} {member.peer_id}  ready in {member.ready_seconds * 1000:.0f} ms, {len(member.peers())} peers")
    say(f"      network of three in {time.monotonic() - started:.1f} s")
    return members


def store(alpha, path, size):
    began = time.monotonic()
    line = run_visibly(alpha, "add", path)
    say(f"      {line}\n      {rate(size, time.monotonic() - began)}")
    return line.split()[1]


def replicate(alpha, cid, size):
    began = time.monotonic()
    for line in run_visibly(alpha, "pin", "add", "--replicas=2", cid).splitlines():
        say(f"      {line}")
    say(f"      {rate(size, time.monotonic() - began)}")
    s = status(alpha, cid)
    check(s["Copies"] == 2 and s["Target"] == 2, f"two nodes should hold it: {s}")
    return {h["Peer"] for h in s["Holders"]}


def main(argv):
    program, wanted = argv[0], int(argv[1]) * MIB if len(argv) > 1 else 200 * MIB
    with nodes.Workshop(program) as shop:
        step(1, "a real file: a tar of this machine's own build and libraries")
        path = shop.path("machine.tar")
        archive_of_this_machine(path, wanted)
        size, digest = path.stat().st_size, nodes.sha256_file(path)
        say(f"      {size / 1e6:.1f} MB, sha256 {digest}")

        step(2, "three nodes form a network")
        alpha, beta, gamma = form_network(shop)
        by_id = {m.peer_id: m for m in (alpha, beta, gamma)}

        step(3, "alpha stores the file")
        cid = store(alpha, path, size)

        step(4, "two nodes shall hold it")
        holders = replicate(alpha, cid, size)
        survivor = by_id[(holders - {alpha.peer_id}).pop()]
        third = ({beta, gamma} - {survivor}).pop()
        say(f"      held by alpha and {survivor.name}; {third.name} has nothing of it")

        step(5, "alpha, the node that added the file, is killed (SIGKILL)")
        began = time.monotonic()
        alpha.kill()
        last = None

        def is_healed():
            nonlocal last
            now = json.loads(survivor.text("status", cid, "--json"))
            if now["Copies"] != last:
                last = now["Copies"]
                say(f"      {time.monotonic() - began:5.1f} s: {now['Copies']} of {now['Target']} copies")
            return {h["Peer"] for h in now["Holders"]} >= {survivor.peer_id, third.peer_id}

        wait_until(is_healed, 120, "the copy is healed", every=0.5)
        say(f"      healed onto {third.name} after {time.monotonic() - began:.1f} s")
        status(survivor, cid)

        step(6, f"{survivor.name} leaves too; {third.name} gives the file back")
        check(survivor.stop() == 0, f"{survivor.name} did not leave cleanly")
        out = shop.path("returned.tar")
        began = time.monotonic()
        say(f"      {run_visibly(third, 'get', cid, '-o', out)}")
        say(f"      {rate(size, time.monotonic() - began)}")
        returned = nodes.sha256_file(out)
        say(f"      sha256 stored   {digest}\n      sha256 returned {returned}")
        check(returned == digest, "the bytes differ")
        check(third.stop() == 0, f"{third.name} did not leave cleanly")
    say("\nThe same bytes came back. Nothing is left running.")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except nodes.Failure as e:
        say(f"\nFAILED: {e}")
        sys.exit(1)
