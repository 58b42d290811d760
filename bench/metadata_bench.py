#!/usr/bin/env python3
"""The metadata service under load: 100,000 files, 70% reads and 30% writes. metadata_bench.py PROGRAM LOAD [FILES] [SECONDS] [RATE…]
LOAD: bench/metadata_load of the same build. Each RATE is run by itself: requests a second that come whether or not earlier ones were
answered; 0: as many as are answered. $BENCH_DATABASE=postgres: over a PostgreSQL of its own instead of SQLite."""
import base64
import contextlib
import os
import pathlib
import re
import subprocess
import sys

here = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(here.parent / "tests" / "process"))
import nodes
from metadata import Postgres, Service, register_nodes

CONNECTIONS = 32
LIMIT_MS = 10
RATES = 5000, 0


class Load:
    """Runs the clients; gives {operation: (count, median, p99, p99.9, most, failed)}, the rate, and the clients' CPU seconds."""

    def __init__(self, program, service, token, keys, ids):
        self.program, self.service, self.ids = program, service, ids
        self.environment = {"METADATA_TOKEN": token, "METADATA_RECEIPT_KEYS": ",".join(f"{key['id']}:{base64.b64decode(key['key']).hex()}" for key, *_ in keys.values())}

    def run(self, mode, connections, *words):
        done = subprocess.run([self.program, mode, str(self.service.port), self.ids, str(connections), *map(str, words)],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=900, env=self.environment)
        if done.returncode:
            raise SystemExit(done.stdout + done.stderr)
        print(done.stderr, end="", file=sys.stderr)
        *rows, last = done.stdout.splitlines()
        rate, cpu = map(float, re.match(r"rate (\d+), cpu ([\d.]+)", last).groups())
        rows = [row.split("\t") for row in rows]
        return {name: tuple(map(float, values)) for name, *values in rows}, rate, cpu


def measure(load, seconds, wanted):
    cpu = load.service.cpu_seconds()
    rows, rate, own_cpu = load.run("mix", CONNECTIONS if not wanted else 4 * CONNECTIONS, seconds, wanted)
    count, median, p99, p999, most, failed = rows.pop("all")
    cost = 1e6 * (load.service.cpu_seconds() - cpu) / count
    title = f"{wanted} a second" if wanted else f"{CONNECTIONS} clients"
    print(f"metadata, {title:16} {rate:.0f} operations/s, median {median:.2f} ms, p99 {p99:.2f}, p99.9 {p999:.2f}, slowest {most:.1f}, {failed:.0f} failed; "
          f"CPU of an operation {cost:.0f} µs in the service, {1e6 * own_cpu / count:.0f} in the client")
    for name, (count, median, p99, p999, most, failed) in rows.items():
        print(f"  {name:18} {count:7.0f}, median {median:.2f} ms, p99 {p99:.2f}{'' if p99 < LIMIT_MS else ' (above 10)'}, p99.9 {p999:.2f}, slowest {most:.1f}", flush=True)


def run(shop, load_program, files, seconds, rates, database=None):
    words = ["--heartbeat-ms=600000", "--rate=1000000"]  # the nodes are not there, and are not missed
    service = Service(shop.program, shop.folder, "metadata", *words, *([f"--database={database}"] if database else []))
    shop.daemons.append(service)
    service.start()
    admin = service.admin()
    load = Load(load_program, service, admin.token, register_nodes(service.node_key(), 3), str(shop.path("ids")))
    rows, rate, _ = load.run("seed", 4 * CONNECTIONS, files)
    print(f"metadata, {files} files registered: {rate:.0f} operations/s, p99 {rows['all'][2]:.1f} ms", flush=True)
    for wanted in rates:
        measure(load, seconds, int(wanted))
    resident = service.memory()[0] / (1 << 20)
    log = admin.good("GET", "/audit/verify")
    print(f"  resident {resident:.0f} MiB; {log['records']} audit records, {'intact' if log['is_intact'] else 'BROKEN'}")
    service.stop()


def main(program, load_program, files="100000", seconds="20", *rates):
    with contextlib.ExitStack() as stack:
        shop = stack.enter_context(nodes.Workshop(program))
        database = stack.enter_context(Postgres()).url if os.environ.get("BENCH_DATABASE") == "postgres" else None
        run(shop, load_program, files, seconds, rates or RATES, database)


if __name__ == "__main__":
    nodes.end_on_signals()
    main(*sys.argv[1:])
