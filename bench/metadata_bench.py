#!/usr/bin/env python3
"""The metadata service under load: 100,000 files, 70% reads and 30% writes, by wrk. metadata_bench.py PROGRAM [FILES] [SECONDS]
Prints operations a second, and for each operation how many took longer than 10 ms, as the service's own histogram has it."""
import os
import pathlib
import re
import sqlite3
import subprocess
import sys

here = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(here.parent / "tests" / "process"))
import nodes
from metadata import Service, node_id, register_nodes

CONNECTIONS = 32


def wrk(service, token, seconds, *words):
    done = subprocess.run(["wrk", "-t2", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", "10s", "-H", f"Authorization: Bearer {token}",
                           "-s", str(here / "metadata.lua"), f"http://127.0.0.1:{service.port}", "--", *words],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=600)
    found = re.search(r"RESULT (\d+) ([\d.]+) ([\d.]+) ([\d.]+) ([\d.]+) (\d+)", done.stdout)
    if not found:
        raise SystemExit(done.stdout + done.stderr)
    if done.stderr:
        print(done.stderr[:500], file=sys.stderr)
    count, duration, median, p99, most, failed = map(float, found.groups())
    return count / duration, median, p99, most, int(failed)


def add_chunks(database, tickets):
    """One chunk with three copies for each file, written straight into the tables while the service is stopped."""
    db = sqlite3.connect(database)
    ids = [row[0] for row in db.execute("SELECT id FROM files WHERE is_visible = 1")]
    db.executemany("INSERT OR IGNORE INTO chunks VALUES (?, ?, 1028, 1000, 3, 1)", ((i + i, i) for i in ids))
    db.executemany("INSERT OR IGNORE INTO file_chunks VALUES (?, 1, 0, ?)", ((i, i + i) for i in ids))
    db.executemany("INSERT OR IGNORE INTO locations VALUES (?, ?, 0, 0)", ((i + i, node_id(n)) for i in ids for n in (1, 2, 3)))
    db.commit()
    db.close()
    return ids


def cpu_seconds(service):
    fields = pathlib.Path(f"/proc/{service.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def slow_ones(service):
    text = service.client(None).raw("GET", "/metrics")[1].decode()
    rows = {}
    for operation, bound, count in re.findall(r'fs_metadata_operation_duration_seconds_bucket\{operation="([^"]*)",le="([^"]*)"\} (\d+)', text):
        rows.setdefault(operation, {})[bound] = int(count)
    return rows


def main(program, files="100000", seconds="20"):
    with nodes.Workshop(program) as shop:
        service = Service(shop.program, shop.folder, "metadata", "--heal-after-ms=100000000", "--rate=1000000")
        shop.daemons.append(service)
        service.start()
        admin = service.admin()
        tickets = register_nodes(service.node_key(), 3)
        for turn in range(100):
            if admin.good("GET", "/users/me")["used_files"] >= int(files):
                break
            rate, *rest = wrk(service, admin.token, 5, "seed", f"seed{turn}x")
            made = admin.good("GET", "/users/me")["used_files"]
            print(f"  seeding: {rate:.0f} operations/s, p99 {rest[1]:.1f} ms, {made} files", flush=True)
            if rest[3]:
                raise SystemExit(f"{rest[3]} failed")
        service.stop()
        ids = add_chunks(service.repo / "metadata.db", tickets)
        service.start()
        shop.path("ids").write_text("\n".join(ids) + "\n")
        before, cpu = slow_ones(service), cpu_seconds(service)
        rate, median, p99, most, failed = wrk(service, admin.token, int(seconds), "mix", str(shop.path("ids")))
        print(f"{len(ids)} files, {CONNECTIONS} clients: {rate:.0f} operations/s, median {median:.2f} ms, p99 {p99:.2f} ms, slowest {most:.1f} ms, {failed} failed")
        print(f"  {1e6 * (cpu_seconds(service) - cpu) / (rate * int(seconds)):.0f} µs of CPU for each operation, in the service")
        for operation, buckets in sorted(slow_ones(service).items()):
            count = lambda bound: buckets[bound] - before.get(operation, {}).get(bound, 0)
            total = count("+Inf")
            if total > 100:
                print(f"  {operation}: {total}, {100 * count('0.005') / total:.2f}% within 5 ms, {100 * count('0.01') / total:.3f}% within 10 ms, {100 * count('0.025') / total:.3f}% within 25 ms")
        status = pathlib.Path(f"/proc/{service.process.pid}/status").read_text()
        print("  resident", re.search(r"VmRSS:\s*(\d+)", status).group(1), "KiB; audit", admin.good("GET", "/audit/verify"))
        service.stop()


if __name__ == "__main__":
    nodes.end_on_signals()
    main(*sys.argv[1:])
