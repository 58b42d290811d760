#!/usr/bin/env python3
"""The encrypted mesh on one machine: files stored and got beside plain ones, a tombstone that all holders confirm, healing after a loss.

mesh_bench.py PROGRAM [NAME-PART…]; BENCH_MIB (1024), BENCH_RUNS (3), BENCH_HEAL_MIB (1024): of the file that is healed
"""
import os
import pathlib
import statistics
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests" / "process"))
import nodes
from bench import MIB, RUNS, SIZE, big_file, disk_copy_rate

HEAL = int(os.environ.get("BENCH_HEAL_MIB", "1024")) * MIB


def bench_vault(shop):
    """The same file in the clear and encrypted, by a running member of a mesh of one: `add` and `dfs store`, `get` and
    `dfs get`. Each turn stores other bytes, for chunks that are there already cost little."""
    path, out = big_file(shop), shop.path("out")
    node, rates, cpus = shop.member("vault"), {}, {}
    programs = {"plain": os.path.join(os.path.dirname(node.program), "distribute"), "encrypted": node.program}

    def measured(what, *words):
        node.program = programs[what]
        cpu, began = node.cpu_seconds(), time.monotonic()
        text = node.text(*words, timeout=1200)
        rates.setdefault((words[0], what), []).append(SIZE / 1e6 / (time.monotonic() - began))
        cpus.setdefault((words[0], what), []).append((node.cpu_seconds() - cpu) / (SIZE / 1e9))
        out.unlink(missing_ok=True)
        return text

    for run in range(RUNS):
        with open(path, "r+b") as f:  # in each chunk
            for at in range(0, SIZE, 262144):
                f.seek(at)
                f.write(os.urandom(8))
        os.sync()
        plain = measured("plain", "add", "-Q", path)
        sealed = measured("encrypted", "store", path).split()[1]
        measured("plain", "get", plain, "-o", out)
        measured("encrypted", "get", sealed, "-o", out)
    node.stop(60)
    for title, plain, sealed in (("store", "add", "store"), ("get", "get", "get")):
        medians = [statistics.median(rates[key]) for key in ((plain, "plain"), (sealed, "encrypted"))]
        spent = [statistics.median(cpus[key]) for key in ((plain, "plain"), (sealed, "encrypted"))]
        print(f"vault {title} {SIZE // MIB} MiB, beside `{plain}`".ljust(46), f"encrypted {medians[1]:.0f} MB/s, plain {medians[0]:.0f} MB/s",
              f" -> {100 * medians[1] / medians[0]:.0f}%; CPU {spent[1]:.2f} and {spent[0]:.2f} s per GB", flush=True)


def mesh_of(shop, n, size):
    """Members that all know each other, and have room for a file of that size."""
    room = {"Datastore__StorageMax": str(8 * size), "Replication__MaxBytes": str(8 * size), "Mesh__MaxBytesPerPeer": str(2 * size)}
    first = shop.member("mesh-0", room, more=["--relay"])
    members = [first, *(shop.member(f"mesh-{i}", room, bootstrap=[first.place()]) for i in range(1, n))]
    nodes.wait_until(lambda: all(sum(p["is_connected"] for p in m.rpc_lines("dfs/peers")) == n - 1 for m in members), 60, "all are connected")
    return members


def holders_of(member, cid):
    return {h["peer"] for h in member.mesh_status(cid)["holders"]}


def known_holders(member, cid):
    """As its records say: nobody is asked, and no answer waited for that a killed one does not give."""
    return next({h["peer"] for h in f["holders"]} for f in member.rpc_lines("dfs/status", all="true") if f["hash"] == cid)


def bench_tombstone(shop):
    """A large file that its owner and three others hold is deleted: until the last of them has signed that it is gone."""
    members, seconds = mesh_of(shop, 4, SIZE), []
    for _ in range(RUNS):
        cid = members[1].store(big_file(shop), "--replicas=4")
        nodes.wait_until(lambda cid=cid: len(holders_of(members[1], cid)) == 4, 600, "four copies", every=0.2)
        os.sync()
        began = time.monotonic()
        said = members[1].text("delete", cid, "--wait=60s")
        seconds.append(time.monotonic() - began)
        nodes.check(said.startswith("deleted on 4 of 4 holders"), said)
    for m in members:
        m.stop(60)
    print(f"mesh delete {SIZE // MIB} MiB".ljust(46), f"receipts of all 4 holders after {statistics.median(seconds):.2f} s (the worst {max(seconds):.2f} s)", flush=True)


def bench_heal(shop):
    """One of three holders is lost for good; until the fourth member has a copy, from when the others give it up (LostGrace, 2 s here)."""
    members, path = mesh_of(shop, 4, HEAL), shop.path("heal.bin")
    with open(path, "wb") as f:
        for _ in range(HEAL // (16 * MIB)):
            f.write(os.urandom(16 * MIB))
    owner = members[1]
    cid = owner.store(path)
    path.unlink()
    nodes.wait_until(lambda: len(holders_of(owner, cid)) == 3, 600, "three copies", every=0.2)
    os.sync()
    disk, held = disk_copy_rate(shop), holders_of(owner, cid)
    victim = next(m for m in members if m is not owner and m.peer_id in held)
    cpu = sum(m.cpu_seconds() for m in members if m is not victim)
    victim.kill()
    nodes.wait_until(lambda: victim.peer_id not in known_holders(owner, cid), 120, "the loss is seen", every=0.05)
    began = time.monotonic()
    nodes.wait_until(lambda: len(known_holders(owner, cid)) >= 3, 3600, "healed", every=0.1)
    seconds = time.monotonic() - began
    cpu = sum(m.cpu_seconds() for m in members if m is not victim) - cpu
    for m in members:
        if m is not victim:
            m.stop(60)
    rate = HEAL / 1e6 / seconds
    against = f", {100 * rate / disk:.0f}% of the disk's own rate of reading and writing at once ({disk:.0f} MB/s)" if disk else ""
    print(f"mesh heal {HEAL // MIB} MiB after a loss".ljust(46), f"{seconds:.1f} s, {rate:.0f} MB/s{against}; CPU {cpu / (HEAL / 1e9):.2f} s per GB", flush=True)


def main(argv):
    program, *only = argv
    for name, function in list(globals().items()):
        if name.startswith("bench_") and (not only or any(o in name for o in only)):
            with nodes.Workshop(program) as shop:
                function(shop)
    return 0


if __name__ == "__main__":
    nodes.end_on_signals()
    sys.exit(main(sys.argv[1:]))
