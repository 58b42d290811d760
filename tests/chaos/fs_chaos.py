#!/usr/bin/env python3
"""The file service under faults: two metadata services over one PostgreSQL and five storage nodes, one of them on a small disk.
Storage nodes and services are killed, PostgreSQL is restarted in the middle of commits, a disk fills up, clocks are wrong, blocks
are damaged. All the while accounts put, get and remove files with content, and others do thousands of operations on metadata;
what each was told is a history, which must fit one order. At the end every file has its copies, everybody reads the same, and the log is whole.
Then the same in short with SQLite on a disk that fills up.

fs_chaos.py PROGRAM SECONDS [SEED]
"""
import hashlib
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / folder) for folder in ("process", "cli")]
import nodes
from fileservice import Account, StorageNode
from history import Operation, explain, is_linearizable
from metadata import Postgres
from nodes import Skip, check, make_bytes, wait_until
from test_metadata_cluster import MASTER, Writer, check_history, service_of

MIB = 1 << 20
MARK = "DISTRIBUTE_CHAOS_MOUNTS"
SMALL_DISK_MIB = 48
NAMES = 5
PATIENCE = 120
KINDS = ("put", "get", "rm")


class EmptyFiles(Writer):
    """Metadata alone: there is nothing to keep on storage nodes."""

    size = 0


class Worker(threading.Thread):
    """One who types commands, at one service or the other."""

    def __init__(self, number, world, account):
        super().__init__(daemon=True)
        self.number, self.world, self.account = number, world, account
        self.random = random.Random(f"{world.seed}/{number}")
        self.history = {i: [] for i in range(NAMES)}
        self.counts = dict.fromkeys(KINDS, 0)
        self.failure = None
        self.folder = pathlib.Path(tempfile.mkdtemp(dir=world.shop.folder))

    def command(self, *words):
        service = self.random.choice(self.world.services)
        environment = {**self.account.environment, "METADATA_ADDR": f"http://127.0.0.1:{service.port}", "HOME": str(self.folder)}
        began = time.monotonic()
        try:
            done = subprocess.run([self.account.program, "fs", *map(str, words)], env=environment, cwd=self.folder, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=90)
            code, out, err = done.returncode, done.stdout, done.stderr.decode(errors="replace")
        except subprocess.TimeoutExpired:
            code, out, err = -1, b"", ""
        check("Sanitizer" not in err and code not in (-6, -11), f"fs {words}: {code} {err[-500:]}")
        return began, time.monotonic(), code, out, err

    def note(self, name, kind, began, ended, outcome, state=None):
        self.history[name].append(Operation(began, ended if outcome == "ok" else float("inf"), kind, outcome, state=state))

    def put(self, name):
        size = self.random.choice([0, 1000, 200_000, 5_000_000])
        content = make_bytes(f"{self.world.seed}/{self.number}/{self.random.random()}", size) + f"{self.number}/{time.monotonic_ns()}".encode()
        path = self.folder / "put"
        path.write_bytes(content)
        began, ended, code, _, _ = self.command("put", path, f"file-{name}", "--replication=3", "--quorum=2")
        self.note(name, "put", began, ended, "ok" if code == 0 else "unknown", hashlib.sha256(content).hexdigest())
        return code == 0

    def get(self, name):
        began, ended, code, out, err = self.command("get", f"file-{name}", "-")
        if code == 0:
            self.note(name, "read", began, ended, "ok", hashlib.sha256(out).hexdigest())
        elif f'there is no file "file-{name}"' in err:
            self.note(name, "read", began, ended, "ok", None)
        return code == 0

    def rm(self, name):
        began, ended, code, _, _ = self.command("rm", f"file-{name}")
        self.note(name, "remove", began, ended, "ok" if code == 0 else "unknown")
        return code == 0

    def run(self):
        try:
            while not self.world.is_over.is_set():
                kind = self.random.choices(KINDS, (4, 5, 1))[0]
                self.counts[kind] += getattr(self, kind)(self.random.randrange(NAMES))
        except Exception as e:  # shown where the thread is joined
            self.failure = e


class World:
    def __init__(self, shop, database, rng, seed):
        self.shop, self.database, self.rng, self.seed = shop, database, rng, seed
        self.is_over = threading.Event()
        words = (f"--database={database.url}", "--heartbeat-ms=200", "--heal-after-ms=2000")
        self.services = [service_of(shop, f"metadata{i}", *words).start() for i in range(2)]
        for s in self.services:
            (s.repo / "node-key").write_text(MASTER["METADATA_NODE_KEY"])
        self.nodes = [self.node(f"n{i}") for i in range(4)]
        self.small = self.node("small", SMALL_DISK_MIB) if MARK in os.environ else None
        self.admin = self.services[0].admin()

    def node(self, name, disk_mib=0):
        node = StorageNode(self.services[len(name) % 2], self.shop.folder, name)
        if disk_mib:
            node.repo.mkdir()
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={disk_mib}m", "tmpfs", node.repo], check=True)
        self.shop.daemons.append(node)
        return node.start()

    def rest(self, least=0.3, most=1.5):
        time.sleep(self.rng.uniform(least, most))

    # ── faults: each does its harm, lets others work, and takes it back ──
    def fault_node_killed(self):
        victim = self.rng.choice(self.nodes)
        victim.kill()
        self.rest(0.5, 3)
        victim.start()

    def fault_service_killed(self):
        victim = self.rng.choice(self.services)
        victim.kill()
        self.rest()
        victim.start()

    def fault_postgres_restarted(self):
        self.database.stop("immediate")
        self.rest(0, 0.5)
        self.database.start()

    def fault_disk_full(self):
        if not self.small:
            return False
        fill(self.small.repo / "ballast")
        self.rest(1, 3)
        check(self.small.process.poll() is None, "a storage node whose disk is full goes on")
        (self.small.repo / "ballast").unlink()
        return True

    def fault_clock(self):
        victim = self.rng.choice([*self.nodes, *self.services])
        skew = self.rng.choice([-20, 20]) if victim in self.services else self.rng.choice([-1800, 1800, 7200])
        clock = nodes.wrong_clock(f"{skew:+d}s")
        if not clock:
            return False
        before = dict(victim.environment)
        victim.kill()
        victim.environment.update(clock)
        victim.start()
        self.rest(1, 2)
        victim.kill()
        victim.environment = before
        victim.start()
        return True

    def fault_damage(self):
        """Bytes flip in block files of one node, of whose chunks others have copies."""
        victim = self.rng.choice(self.nodes)
        victim.kill()
        for path in (victim.repo / "blocks").rglob("*.seg"):
            if path.stat().st_size < 100_000:
                continue
            with open(path, "r+b") as f:
                at = self.rng.randrange(50_000, path.stat().st_size)
                f.seek(at)
                byte = f.read(1)
                f.seek(at)
                f.write(bytes([byte[0] ^ 0x40]))
        victim.start()

    # ── what must hold ──
    def check_end(self, workers, writers, last):
        total = 0
        for w in [*workers, *writers]:
            w.join(PATIENCE)
            check(not w.is_alive(), "a client hangs")
            if w.failure:
                raise w.failure
        wait_until(self.is_healed, PATIENCE, "every chunk has its copies", every=0.5)
        for name in range(NAMES):
            check(last.get(name) or last.history[name], f"file-{name} can be read, or is not there")
            operations = [o for w in [*workers, last] for o in w.history[name]]
            total += len(operations)
            check(is_linearizable(operations), f"content of file-{name}:\n{explain(operations)[-4000:]}")
        check(wait_until(lambda: self.admin.call("GET", "/audit/verify")[1], 20, "the log can be read")["is_intact"], "the log is whole")
        return total

    def is_healed(self):
        alive = {n["id"] for n in self.admin.good("GET", "/nodes")["nodes"] if n["health"] == "healthy"}
        if len(alive) < len(self.nodes):
            return False
        user = self.services[0].login("ann", "password of ann")
        for file in user.good("GET", "/files")["files"]:
            for chunk in user.good("GET", f"/files/{file['id']}")["chunks"]:
                if len({p["node"] for p in chunk["locations"]} & alive) < 3:
                    return False
        return True


def fill(path):
    with open(path, "wb", buffering=0) as f:
        try:
            while True:
                f.write(bytes(MIB // 4))
        except OSError:
            pass


def run(shop, seconds, seed):
    rng = random.Random(seed)
    with Postgres() as database:
        world = World(shop, database, rng, seed)
        for name in ("ann", "meg"):
            world.services[0].user(world.admin, name)
        ann = Account(world.services[0], shop.folder, "ann", "password of ann")
        workers = [Worker(i, world, ann) for i in range(3)]
        until = time.monotonic() + seconds
        meg = world.services[0].login("meg", "password of meg")
        writers = [EmptyFiles(i, world.services, meg.token, None, until) for i in range(8)]
        for w in [*workers, *writers]:
            w.start()
        faults = [world.fault_node_killed, world.fault_service_killed, world.fault_postgres_restarted, world.fault_disk_full,
                  world.fault_clock, world.fault_damage]
        rounds, done = 0, {}
        while time.monotonic() < until:
            fault = faults[rounds] if rounds < len(faults) else rng.choice(faults)
            rounds += 1
            if fault() is not False:
                name = fault.__name__.removeprefix("fault_")
                done[name] = done.get(name, 0) + 1
            world.rest(0.2, 0.8)
        world.is_over.set()
        last = Worker(99, world, ann)
        total = world.check_end(workers, writers, last)
        metadata = check_writers(world, writers, meg)
        counts = {k: sum(w.counts[k] for w in workers) for k in KINDS}
        print(f"seed {seed}: {done}; content: {total} operations, of which worked {counts}; metadata: {metadata} operations", flush=True)
        check(len(done) >= 4 and total > 20 and counts["put"] and counts["get"] and metadata > 200, "too little happened")
        for d in [*world.nodes, *([world.small] if world.small else [])]:
            d.stop()
        for s in world.services:
            check(s.stop() == 0, f"{s.name}: {s.err_path.read_text()[-500:]}")


def check_writers(world, writers, user):
    last = EmptyFiles(99, world.services[:1], user.token, None, time.monotonic() + 60)
    total = 0
    for name in writers[0].history:
        last.read(name)
        operations = [o for w in [*writers, last] for o in w.history[name]]
        total += sum(o.outcome != "nothing" for o in operations)
        check(is_linearizable(operations), f"metadata of file-{name}:\n{explain(operations)[-4000:]}")
    quota = user.good("GET", "/users/me/quota")
    check(quota["used_files"] == len(user.good("GET", "/files")["files"]), f"what is counted is what is there: {quota}")
    return total


def run_sqlite(shop, seconds, seed):
    """The disk of a service over SQLite fills up, is freed, fills up again; between, the service is killed."""
    if MARK not in os.environ:
        raise Skip("mounting (root)")
    rng = random.Random(seed)
    service = service_of(shop, "sqlite")
    service.repo.mkdir()
    # Room for the log that all operations of the run make: while the disk is full nothing of it moves into the database.
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96m", "tmpfs", service.repo], check=True)
    service.start()
    admin = service.admin()
    user = service.user(admin, "meg")
    refused = []

    def disturb(until):
        while time.monotonic() < until - 1:
            fill(service.repo / "ballast")
            time.sleep(rng.uniform(0.3, 0.8))
            client = service.client(user.token)
            refused.append(client.call("POST", "/files", {"name": f"folder-{time.monotonic_ns()}", "kind": "folder"})[0])
            check(client.call("GET", "/nodes")[0] == 200, "reads go on")
            (service.repo / "ballast").unlink()
            if rng.random() < 0.5:
                service.kill()
                service.start()
            time.sleep(rng.uniform(0.2, 0.5))

    total = check_history([service], user, None, disturb, seconds, EmptyFiles)
    check(admin.good("GET", "/audit/verify")["is_intact"], "the log is whole")
    check(507 in refused or 500 in refused or 503 in refused, f"writes to a full disk are refused: {refused}")
    check(service.stop() == 0, service.err_path.read_text()[-500:])
    print(f"seed {seed}: {len(refused)} times full, {total} operations", flush=True)


def main(argv):
    program, seconds = argv[0], float(argv[1])
    seed = int(argv[2]) if len(argv) > 2 and argv[2] else int(time.time())
    if MARK not in os.environ and os.geteuid() == 0 and shutil.which("unshare"):
        tried = subprocess.run(["unshare", "--mount", "true"], stderr=subprocess.DEVNULL)
        if tried.returncode == 0:
            os.environ[MARK] = "1"
            os.execvp("unshare", ["unshare", "--mount", "--propagation=private", sys.executable, __file__, *argv])
    runner = nodes.Runner()
    with nodes.Workshop(program) as shop:
        runner.run(f"the file service under faults, seed {seed}", run, shop, seconds, seed)
    with nodes.Workshop(program) as shop:
        runner.run(f"a metadata service on a full disk, seed {seed}", run_sqlite, shop, seconds / 4, seed)
    return runner.close()


if __name__ == "__main__":
    nodes.end_on_signals()
    sys.exit(main(sys.argv[1:]))
