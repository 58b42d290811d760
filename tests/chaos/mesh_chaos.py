#!/usr/bin/env python3
"""An encrypted mesh under faults: kills, a partition, a slow line with loss, a full disk, a wrong clock, damaged block files. Six
members store and delete all the while; after each round the fault is taken back, and every file that was acknowledged is read
back, by its owner and by another member, and compared; what was deleted stays deleted.

mesh_chaos.py PROGRAM TOOLS-FOLDER SECONDS [SEED]

Runs in namespaces of its own; where those are not allowed, on loopback with the faults that need none.
"""
import os
import pathlib
import random
import shutil
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / folder) for folder in ("process", "netns")]
import lab as labs
import nodes
from nodes import check, wait_until
from run import MARK, enclosure

MIB = 1 << 20
RELAY_IP = "5.5.5.1"
DISK_MIB = 64
PATIENCE = 120
CUT = """
table inet cut {
    chain input { type filter hook input priority 0; iifname "eth0" drop; }
    chain output { type filter hook output priority 0; oifname "eth0" drop; }
}
"""


class File:
    def __init__(self, owner, cid, path):
        self.owner, self.cid, self.path, self.is_deleted = owner, cid, path, False
        self.link = owner.text("share", cid)


def large_segments(m):
    return [p for p in (m.repo / "blocks").rglob("*.seg") if p.stat().st_size > 100000]


class World:
    def __init__(self, shop, lab, rng):
        self.shop, self.lab, self.rng = shop, lab, rng
        self.files, self.number, self.machines = [], 0, {}
        self.relay = self.member("relay", f"{RELAY_IP}/24", ["--relay"], port=":7000")
        self.members = [self.member(f"m{i}", f"5.5.5.{2 + i}/24") for i in range(3)]
        self.small = self.member("small", "5.5.5.8/24", disk_mib=DISK_MIB if lab else 0)
        self.far = self.member("far", None)
        self.everybody = [self.relay, *self.members, self.small, self.far]

    def member(self, name, address, more=(), port=":7001", disk_mib=0):
        repo = self.shop.path(name)
        if disk_mib:
            repo.mkdir()
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={disk_mib}m", "tmpfs", repo], check=True)
        m = self.shop.member(name, {"Replication__LostGrace": "4s"}, start=False)
        m.skew, words = None, list(more)
        if self.lab:
            machine = self.machines[name] = self.lab.machine(name)
            bootstrap = RELAY_IP
            if not hasattr(self, "net"):
                self.net = self.lab.switch("net")
            if address:
                machine.plug(self.net, address)
                words.append(f"--advertise={address.split('/')[0]}{port}")
            else:  # reached over a slow line, and through the relay alone
                self.lab.link(self.machines["relay"], machine, 30, 50, 100, 0.01)
                bootstrap = "10.9.0.1"
            m.inside, m.listen, m.loopback_addresses = machine.inside, port, lambda: []
        if name != "relay":
            m.bootstrap = [f"{bootstrap}:7000" if self.lab else self.relay.place()]
        m.more = words
        return m.start()

    # ── what users do ──
    def store(self, m, size=None):
        size = self.rng.choice([0, 1000, 300000, 3 * MIB]) if size is None else size
        path = self.shop.file(f"file-{self.number}", size, seed=str(self.rng.random()))
        self.number += 1
        result = m.run("store", path, check_code=False, timeout=300)
        said = result.stdout.decode()
        if result.returncode == 0:
            self.files.append(File(m, said.split()[1], path))
        return result

    def delete_some(self):
        alive = [f for f in self.files if not f.is_deleted and f.owner.process]
        if len(alive) > 3 and self.rng.random() < 0.5:
            file = self.rng.choice(alive)
            if file.owner.run("delete", file.cid, "--wait=2s", check_code=False).returncode == 0:
                file.is_deleted = True

    def work(self, among, n=2):
        for _ in range(n):
            self.store(self.rng.choice(among))
        self.delete_some()

    # ── faults: each does its harm, lets others work, and takes it back ──
    def fault_kill(self):
        victims = self.rng.sample(self.everybody, 2)
        for v in victims:
            v.kill()
        self.work([m for m in self.everybody if m.process])
        for v in victims:
            v.start()

    def fault_partition(self):
        if not self.lab or not shutil.which("nft"):
            return False
        victim = self.rng.choice([*self.members, self.small])
        machine = self.machines[victim.name]
        machine.nft(CUT)
        self.work([victim], 1)
        self.work([m for m in self.everybody if m is not victim], 1)
        machine.run("nft", "delete", "table", "inet", "cut")

    def fault_slow_line(self):
        self.work([self.far], 1)

    def fault_full_disk(self):
        if not self.lab:
            return False
        filler = self.small.repo / "filler"
        with open(filler, "wb", buffering=0) as f:
            try:
                while True:
                    f.write(bytes(MIB))
            except OSError:
                pass
        before = len(self.files)
        path = self.shop.file(f"large-{self.number}", 4 * MIB, seed=str(self.rng.random()))
        result = self.small.run("store", path, check_code=False, timeout=300)
        check(result.returncode == 1 and b"space" in result.stderr, f"a full disk: {result.returncode} {result.stderr[-200:]}")
        self.work([m for m in self.everybody if m is not self.small], 1)
        check(len(self.files) > before, "the others cannot store")
        filler.unlink()

    def fault_clock(self):
        clock = nodes.wrong_clock(self.rng.choice(["+3d", "-3d"]))
        if not clock:
            return False
        victim = self.rng.choice([*self.members, self.far])
        victim.stop()
        before = dict(victim.environment)
        victim.environment.update(clock)
        victim.start()
        self.work([victim, self.relay])
        victim.stop()
        victim.environment = before
        victim.start()

    def fault_damage(self):
        """Bytes flip in block files of one member, of which others have copies."""
        for f in self.files:
            if not f.is_deleted:
                wait_until(lambda f=f: f.owner.mesh_status(f.cid)["copies"] >= 2, PATIENCE, f"{f.path.name} has a second copy", every=1)
        stored = self.store(self.relay, 3 * MIB)  # large enough that its copies make large segments of two other nodes at least
        check(stored.returncode == 0, f"a file to damage: {stored.stderr[-200:]}")
        file = self.files[-1]
        wait_until(lambda: self.relay.mesh_status(file.cid)["copies"] >= 3, PATIENCE, "the file to damage has its copies", every=1)
        segments = {m: large_segments(m) for m in [*self.members, self.small, self.far]}
        holders = [m for m, paths in segments.items() if paths]
        check(holders, "nobody has segments to damage")
        victim = self.rng.choice(holders)
        victim.stop()
        segments = large_segments(victim)  # compaction may have moved them meanwhile
        check(segments, f"{victim.name} has no segments to damage")
        for path in segments:
            with open(path, "r+b") as f:
                for _ in range(3):
                    at = self.rng.randrange(4096, path.stat().st_size)
                    f.seek(at)
                    byte = f.read(1)
                    f.seek(at)
                    f.write(bytes([byte[0] ^ 0x40]))
        victim.start()

    # ── what must hold ──
    def missing_connections(self):
        names = {m.peer_id: m.name for m in self.everybody}
        met = {m.name: {names[p["peer"]] for p in m.rpc_lines("dfs/peers") if p["is_connected"]} for m in self.everybody}
        return [f"{a} to {b}" for a in met for b in met if a != b and b not in met[a]]

    def check_all(self):
        try:
            wait_until(lambda: not self.missing_connections(), PATIENCE, "all are connected again", every=0.5)
        except nodes.Failure as e:
            raise nodes.Failure(f"{e}: {self.missing_connections()}") from e
        for f in self.files:
            if f.is_deleted:
                check(f.owner.run("cat", f.cid, "--timeout=5s", check_code=False).returncode == 1, f"{f.path.name} came back")
                continue
            content = f.path.read_bytes()
            check(f.owner.run("cat", f.cid, "--timeout=60s", timeout=90).stdout == content, f"{f.path.name} as its owner reads it")
        for f in self.rng.sample(self.files, min(5, len(self.files))):
            reader = self.rng.choice([m for m in self.everybody if m is not f.owner])
            if f.is_deleted:
                wait_until(lambda f=f, r=reader: r.run("cat", f.link, "--timeout=5s", check_code=False).returncode == 1, PATIENCE,
                           f"{reader.name} can no longer read {f.path.name}", every=1)
            else:
                check(reader.run("cat", f.link, "--timeout=60s", timeout=90).stdout == f.path.read_bytes(), f"{f.path.name} as {reader.name} reads it")


def run(shop, lab, seconds, seed):
    rng = random.Random(seed)
    world = World(shop, lab, rng)
    wait_until(lambda: len(world.relay.rpc_lines("dfs/peers")) == 5, PATIENCE, "the mesh is whole")
    faults = [world.fault_kill, world.fault_partition, world.fault_slow_line, world.fault_full_disk, world.fault_clock, world.fault_damage]
    end, rounds, done = time.monotonic() + seconds, 0, {}
    while time.monotonic() < end or rounds < len(faults):
        fault = faults[rounds % len(faults)] if rounds < len(faults) else rng.choice(faults)
        rounds += 1
        world.work(world.everybody, 1)
        name = fault.__name__.removeprefix("fault_")
        print(f"  {name}", end="", flush=True)
        if fault() is False:
            print(": not possible here", flush=True)
            continue
        done[name] = done.get(name, 0) + 1
        world.check_all()
        print(f": {len(world.files)} files, {sum(f.is_deleted for f in world.files)} of them deleted", flush=True)
    check(len(done) >= 3 and world.files, "nothing happened")
    print(f"seed {seed}: {rounds} rounds {done}, {len(world.files)} files acknowledged", flush=True)
    for m in world.everybody:
        check(m.stop() == 0, f"{m.name} did not leave cleanly: {m.last_words()}")


def run_in(shop, tools, *args):
    with labs.Lab(shop, tools) as lab:
        run(shop, lab, *args)


def main(argv):
    program, tools, seconds = argv[0], os.path.abspath(argv[1]), float(argv[2])
    seed = int(argv[3]) if len(argv) > 3 and argv[3] else int(time.time())
    inside = MARK in os.environ
    if not inside and (words := enclosure()):
        os.environ[MARK] = "1"
        os.execvp(words[0], [*words, sys.executable, __file__, *argv])
    runner = nodes.Runner()
    with nodes.Workshop(program) as shop:
        if inside:
            subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
            # libfaketime keeps what it shares under process numbers, which begin anew in each namespace
            subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/dev/shm"], check=True)
            runner.run(f"a mesh under faults, seed {seed}", run_in, shop, tools, seconds, seed)
        else:
            print("network namespaces are not allowed here: on loopback, with fewer faults")
            runner.run(f"a mesh under faults, seed {seed}", run, shop, None, seconds, seed)
    return runner.close()


if __name__ == "__main__":
    nodes.end_on_signals()
    sys.exit(main(sys.argv[1:]))
