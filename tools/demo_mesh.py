#!/usr/bin/env python3
"""The second act of `make run`: an encrypted mesh of a relay, two nodes behind NATs and two more in the open. A file is stored
behind one NAT and read behind the other, holders are killed and their copies healed, the file is deleted, and its holders sign
that it is gone. The NATs are the kernel's, in network namespaces of this demonstration's own; where those are not allowed, all runs
on loopback. Ends by itself and leaves nothing running.

demo_mesh.py PROGRAM TOOLS-FOLDER [MIB]
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests" / folder) for folder in ("process", "netns")]
import lab as labs
import nodes
from nodes import check, wait_until
from run import MARK, enclosure

MIB = 1 << 20
RELAY_IP = "5.5.5.1"
# As often as a demonstration wants it; the defaults are minutes.
QUICK = {"Replication__Heartbeat": "500ms", "Replication__LostGrace": "2s"}


def say(text=""):
    print(text, flush=True)


def step(number, text):
    say(f"\n[{number}] {text}")


def show(text):
    say("\n".join(f"      {line}" for line in text.splitlines()))


def member(shop, name, machine, port, more):
    m = shop.member(name, QUICK, start=False, more=more)
    m.listen = port
    if machine:
        m.inside = machine.inside
    m.loopback_addresses = lambda: []
    return m.start()


def nat_kind():
    """One that this machine can make."""
    return "port" if shutil.which("nft") else "restricted"


def behind_nats(shop, lab):
    internet = lab.switch("net")
    open_machines = []
    for i, name in enumerate(("relay", "open0", "open1")):
        open_machines.append(lab.machine(name))
        open_machines[-1].plug(internet, f"5.5.5.{i + 1}/24")
    homes = [lab.nat(nat_kind(), f"home{i}", internet, f"5.5.5.{100 + i}", f"192.168.{i + 1}") for i in range(2)]
    relay = member(shop, "relay", open_machines[0], ":7000", ["--relay", f"--advertise={RELAY_IP}:7000", "--zone=public"])
    joins = f"--bootstrap={RELAY_IP}:7000"
    ann, ben = (member(shop, name, home, ":7001", [joins, f"--zone={name}"]) for name, home in zip(("ann", "ben"), homes))
    cleo, dora = (member(shop, name, m, ":7001", [joins, f"--zone={name}", f"--advertise=5.5.5.{2 + i}:7001"])
                  for i, (name, m) in enumerate(zip(("cleo", "dora"), open_machines[1:])))
    return relay, ann, ben, cleo, dora


def on_loopback(shop):
    say("      network namespaces are not allowed here: without NATs, on loopback")
    relay = shop.member("relay", QUICK, more=["--relay"])
    return (relay, *(shop.member(name, QUICK, bootstrap=[relay.place()], more=[f"--zone={name}"]) for name in ("ann", "ben", "cleo", "dora")))


def holders(node, cid):
    return {h["peer"] for h in node.mesh_status(cid)["holders"]}


def delete(owner, cid, names, *words, until):
    began = time.monotonic()
    said = owner.text("delete", cid, *words)
    show(re.sub(r"12D3\w+", lambda m: f"{names[m[0]]:5}", said))
    show(f"after {time.monotonic() - began:.2f} s")
    check(said.startswith(f"deleted on {until} of "), said)


def act(shop, members, wanted):
    relay, ann, ben, cleo, dora = members
    names = {m.peer_id: m.name for m in members}
    wait_until(lambda: sum(p["is_connected"] for p in ann.rpc_lines("dfs/peers")) == 4, 60, "all know each other")
    for line in ann.text("peers").splitlines():
        show(names[line.split()[0]] + "  " + re.sub(r"^\S+ ", "", line))

    step(8, "ann, behind her NAT, stores a file: it leaves her machine encrypted")
    path = shop.file("letter.bin", wanted)
    began = time.monotonic()
    cid = ann.store(path)
    seconds = time.monotonic() - began
    show(f"CID: {cid}\n{wanted / 1e6:.1f} MB on three nodes in {seconds:.2f} s, {wanted / 1e6 / seconds:.0f} MB/s")
    held = holders(ann, cid)
    check(len(held) == 3, f"three nodes should hold it: {held}")
    show("held by " + ", ".join(sorted(names[h] for h in held)))

    step(9, "ben, behind another NAT, reads it with a link to this one file")
    link = ann.text("share", cid)
    out = shop.path("letter-again.bin")
    show(ben.text("get", link, "-o", out))
    check(nodes.sha256_file(out) == nodes.sha256_file(path), "the bytes differ")
    result = cleo.run("get", cid, "-o", shop.path("no"), check_code=False)
    check(result.returncode == 1, "somebody read it without a key")
    show("cleo, without the link: " + result.stderr.decode().strip().splitlines()[-1])

    step(10, "a holder is killed, then another: others take their place")
    killed = []
    for _ in range(2):
        victim = next(m for m in (cleo, dora, ben) if m.process and m.peer_id in holders(ann, cid))
        began = time.monotonic()
        victim.kill()
        killed.append(victim)
        gone = victim.peer_id
        alive = {m.peer_id for m in members if m.process}
        enough = min(3, len(alive))
        wait_until(lambda: gone not in (now := holders(ann, cid)) and len(now & alive) >= enough, 240, "the copy is healed", every=0.5)
        show(f"{victim.name} is gone; healed after {time.monotonic() - began:.1f} s, now held by "
             + ", ".join(sorted(names[h] for h in holders(ann, cid))))

    step(11, "ann deletes the file; who holds it signs that it is gone")
    delete(ann, cid, names, "--wait=2s", until=3)
    for m in killed:
        m.start()
    show(" and ".join(m.name for m in killed) + " come back, with their copies, and learn of it")
    wait_until(lambda: sum(p["is_connected"] for p in ann.rpc_lines("dfs/peers")) == 4, 60, "all are back")
    delete(ann, cid, names, "--wait=60s", until=5)
    result = ben.run("get", link, "-o", shop.path("no"), "--timeout=5s", check_code=False) if ben.process else None
    check(result is None or result.returncode == 1, "a deleted file was read")
    for m in members:
        check(not m.process or m.stop() == 0, f"{m.name} did not leave cleanly")


def main(argv):
    program, tools = os.path.abspath(argv[0]), os.path.abspath(argv[1])
    wanted = int(argv[2]) * MIB if len(argv) > 2 else 32 * MIB
    inside = MARK in os.environ
    if not inside and (words := enclosure()):
        os.environ[MARK] = "1"
        os.execvp(words[0], [*words, sys.executable, sys.argv[0], *argv])
    step(7, "an encrypted mesh: a relay, ann and ben behind NATs, cleo and dora in the open")
    with nodes.Workshop(program) as shop:
        if not inside:
            act(shop, on_loopback(shop), wanted)
        else:
            subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
            with labs.Lab(shop, tools) as lab:
                act(shop, behind_nats(shop, lab), wanted)
    say("\nNobody but ann and ben could read it, and it is gone. Nothing is left running.")
    return 0


if __name__ == "__main__":
    nodes.end_on_signals()
    try:
        sys.exit(main(sys.argv[1:]))
    except nodes.Failure as e:
        say(f"\nFAILED: {e}")
        sys.exit(1)
