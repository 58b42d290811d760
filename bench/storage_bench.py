#!/usr/bin/env python3
"""The file service with three storage nodes on one machine: a large file is put with one copy and with three, and got, with storage
nodes reading from the disk and from memory; as ratios to what the disk and the loopback gave in the same run.

storage_bench.py PROGRAM; BENCH_FS_MIB (512), BENCH_RUNS (3)
"""
import mmap
import os
import pathlib
import socket
import statistics
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests" / "process"))
import bench
import nodes
from fileservice import FileService

MIB = 1 << 20
SIZE = int(os.environ.get("BENCH_FS_MIB", "512")) * MIB
RUNS = int(os.environ.get("BENCH_RUNS", "3"))
PIECE = 4 * MIB


def rate(began):
    return SIZE / 1e6 / (time.monotonic() - began)


# ── what the machine gives ──
def disk_write(shop):
    """As a storage node has it: pieces of a chunk, each on the disk before the next."""
    path, data = shop.path("disk"), os.urandom(PIECE)
    with open(path, "wb", buffering=0) as f:
        began = time.monotonic()
        for _ in range(SIZE // PIECE):
            f.write(data)
            os.fdatasync(f.fileno())
        return rate(began)


def disk_read(shop):
    """Past the page cache."""
    piece = mmap.mmap(-1, PIECE)
    try:
        fd = os.open(shop.path("disk"), os.O_RDONLY | os.O_DIRECT)
    except OSError:
        return None
    began = time.monotonic()
    for at in range(0, SIZE, PIECE):
        os.preadv(fd, [piece], at)
    result = rate(began)
    os.close(fd)
    return result


def loopback():
    listener = socket.create_server(("127.0.0.1", 0))

    def send():
        with listener.accept()[0] as s:
            data = bytes(MIB)
            for _ in range(SIZE // MIB):
                s.sendall(data)
    sender = threading.Thread(target=send)
    sender.start()
    buffer, left = bytearray(MIB), SIZE
    with socket.create_connection(listener.getsockname()) as s:
        began = time.monotonic()
        while left:
            left -= s.recv_into(buffer)
        result = rate(began)
    sender.join()
    listener.close()
    return result


# ── what the service gives ──
def forget_pages(service):
    """The nodes' files leave the page cache, and the nodes begin with empty caches of their own."""
    os.sync()
    for node in service.nodes:
        node.stop()
        for path in node.repo.rglob("*"):
            if path.is_file():
                fd = os.open(path, os.O_RDONLY)
                os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
                os.close(fd)
        node.start()


def cpu_seconds(service):
    """Of the nodes, which run, and of clients, which have ended."""
    return bench.cpu_of_children() + sum(node.cpu_seconds() for node in service.nodes)


def fs(service, cpus, *words):
    cpu, began = cpu_seconds(service), time.monotonic()
    with open(os.devnull, "wb") as out:
        subprocess.run([service.admin.program, "fs", *map(str, words)], env=service.admin.environment, cwd=service.admin.home,
                       stdout=out, check=True, timeout=1200)
    result = rate(began)
    cpus.append((cpu_seconds(service) - cpu) / (SIZE / 1e9))
    return result


def report(title, rates, cpus, limit_name, limits, share=1.0):
    """share: what part of the limit one copy of the file can have at best."""
    ours, limit = statistics.median(rates), statistics.median(limits) * share
    print(f"{title:46} {ours:.0f} MB/s, {limit_name} {limit:.0f} MB/s -> {100 * ours / limit:.0f}%, "
          f"{statistics.median(cpus):.1f} CPU s per GB", flush=True)


def main(argv):
    program = argv[0]
    with nodes.Workshop(program) as shop:
        path = shop.path("large")
        with open(path, "wb") as f:
            for i in range(SIZE // MIB):
                f.write(nodes.make_bytes(f"storage/{i}", MIB))
        service = FileService(shop, 3)
        one, three, cold, warm, writes, reads, lines = [], [], [], [], [], [], []
        cpus = [[], [], [], []]
        for run in range(RUNS):
            os.sync()
            writes.append(disk_write(shop))
            reads.append(disk_read(shop))
            lines.append(loopback())
            one.append(fs(service, cpus[0], "put", path, f"one-{run}", "--replication=1", "--quorum=1"))
            three.append(fs(service, cpus[1], "put", path, f"three-{run}", "--replication=3", "--quorum=3"))
            forget_pages(service)
            cold.append(fs(service, cpus[2], "get", f"one-{run}", "-"))
            warm.append(fs(service, cpus[3], "get", f"one-{run}", "-"))
            for name in (f"one-{run}", f"three-{run}"):
                service.admin.run("rm", name)
        title = f"storage nodes, {SIZE // MIB} MiB: put, one copy"
        report(title, one, cpus[0], "the disk writes", writes)
        report("  put, three copies, all durable, one disk", three, cpus[1], "a third of that is", writes, 1 / 3)
        if None not in reads:
            report("  get, from the disk", cold, cpus[2], "the disk reads", reads)
        report("  get, from memory over the network", warm, cpus[3], "loopback gives", lines)
        service.finish()
    return 0


if __name__ == "__main__":
    nodes.end_on_signals()
    sys.exit(main(sys.argv[1:]))
