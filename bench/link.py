#!/usr/bin/env python3
"""One connection's rate: ours and go-libp2p's, over loopback and over an emulated link of 500 Mbit/s with 63 ms there and back, beside
plain TCP. Runs in network namespaces of its own.

link.py PROGRAM TOOLS-FOLDER [go_perf]; BENCH_MIB (1024): over loopback; BENCH_LINK_MIB (128): over the link; BENCH_RUNS (3)
"""
import os
import pathlib
import resource
import socket
import statistics
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests" / "netns"), str(ROOT / "tests" / "process")]
import lab
import nodes
import run as netns_run

MIB = 1 << 20
LOOPBACK_MIB = int(os.environ.get("BENCH_MIB", "1024"))
LINK_MIB = int(os.environ.get("BENCH_LINK_MIB", "128"))
RUNS = int(os.environ.get("BENCH_RUNS", "3"))
LINK = {"delay_ms": 31.5, "mbit": 500, "queue_ms": 100}
WAYS = {"tls": ("tcp/4001", "TCP + TLS"), "noise": ("tcp/4001", "TCP + Noise"), "quic": ("udp/4001/quic-v1", "QUIC")}


def settings(how):
    off = {"tls": "Noise", "noise": "TLS"}.get(how)
    return {"Swarm__Perf": "all", **({f"Swarm__Transports__Security__{off}": False} if off else {})}


def node_at(bench, machine, how, listen):
    node = bench.shop.node(f"{machine.name}-{len(bench.shop.daemons)}", settings(how), start=False)
    node.inside, node.listen = machine.inside, [listen]
    return node.start()


def measure_ours(bench, here, there, ip, how, mib):
    """MiB/s up and down, and the seconds of processor that both sides together took for a GiB."""
    address, _ = WAYS[how]
    server = node_at(bench, there, how, f"/ip4/{ip}/{address}")
    dialer = node_at(bench, here, how, f"/ip4/0.0.0.0/{address.replace('4001', '0')}")
    before = server.cpu_seconds() + dialer.cpu_seconds()
    rows = dialer.rpc_lines("perf", f"/ip4/{ip}/{address}/p2p/{server.peer_id}", upload=f"{mib}MiB", download=f"{mib}MiB", timeout=600)
    cpu = (server.cpu_seconds() + dialer.cpu_seconds() - before) * 512 / mib
    server.stop(), dialer.stop()
    return mib / rows[-1]["UploadSeconds"], mib / rows[-1]["DownloadSeconds"], cpu


def measure_go(go_perf, here, there, ip, how, mib):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with there.inside():
        server = subprocess.Popen([go_perf, "serve", f"/ip4/{ip}/{WAYS[how][0]}", how], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        address = server.stdout.readline().strip()
        with here.inside():
            said = subprocess.run([go_perf, "measure", address, str(mib), how], capture_output=True, text=True, timeout=600)
        nodes.check(said.returncode == 0, said.stderr)
        up, down = map(float, said.stdout.split())
    finally:
        server.kill()
        server.communicate()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return mib / up, mib / down, cpu * 512 / mib


def measure_plain(here, there, ip, mib):
    """Plain TCP, one way."""
    with there.inside():
        listener = socket.create_server((ip, 4002))
    done = []

    def take():
        connection = listener.accept()[0]
        area = bytearray(MIB)
        while connection.recv_into(area):
            pass
        connection.sendall(b"!")
        done.append(connection)

    thread = threading.Thread(target=take)
    thread.start()
    with here.inside():
        out = socket.create_connection((ip, 4002))
    began, piece = time.monotonic(), bytes(MIB)
    for _ in range(mib):
        out.sendall(piece)
    out.shutdown(socket.SHUT_WR)
    out.recv(1)
    seconds = time.monotonic() - began
    thread.join()
    for s in (out, listener, *done):
        s.close()
    return mib / seconds


def report(title, who, figures):
    """figures: (MiB/s up, MiB/s down, processor seconds for a GiB) of each run. Returns their medians."""
    up, down, cpu = (statistics.median(f[i] for f in figures) for i in range(3))
    text = f"  {cpu:5.2f} s/GiB" if cpu else ""
    print(f"{title:30} {who:10}  up {up * 8.388608:6.0f}  down {down * 8.388608:6.0f} Mbit/s{text}", flush=True)
    return up, down, cpu


def compare(ours, others, plain):
    said = []
    if others:
        said.append("{:.1f} and {:.1f} times go-libp2p's rate".format(*(ours[i] / others[i] for i in range(2))))
        said.append(f"{100 * ours[2] / others[2]:.0f}% of its processor")
    if plain:
        said.append(f"{100 * min(ours[:2]) / plain:.0f}% of plain TCP")
    if said:
        print(f"{'':30} -> {', '.join(said)}", flush=True)


def bench_path(bench, title, here, there, ip, mib, go_perf):
    """Turn by turn: what else the machine does hits all of them."""
    measures = {(how, "distribute"): lambda how=how: measure_ours(bench, here, there, ip, how, mib) for how in WAYS}
    if go_perf:
        measures |= {(how, "go-libp2p"): lambda how=how: measure_go(go_perf, here, there, ip, how, mib) for how in WAYS}
    figures, plain = {what: [] for what in measures}, []
    for _ in range(RUNS):
        if here is not there:
            plain.append(measure_plain(here, there, ip, mib))
        for what, measure in measures.items():
            figures[what].append(measure())
    if plain:
        report(f"{title}, plain TCP", "the kernel", [(rate, rate, 0) for rate in plain])
    for how, (_, name) in WAYS.items():
        ours = report(f"{title}, {name}", "distribute", figures[how, "distribute"])
        others = go_perf and report(f"{title}, {name}", "go-libp2p", figures[how, "go-libp2p"])
        compare(ours, others, plain and statistics.median(plain))


def main(program, tools, go_perf=None):
    if netns_run.MARK not in os.environ:
        words = netns_run.enclosure()
        if words is None:
            print("skipped: needs network namespaces")
            return 0
        os.environ[netns_run.MARK] = "1"
        os.execvp(words[0], [*words, sys.executable, __file__, *sys.argv[1:]])
    nodes.end_on_signals()
    with nodes.Workshop(program) as shop, lab.Lab(shop, tools) as bench:
        one = bench.machine("one")
        bench_path(bench, "loopback", one, one, "127.0.0.1", LOOPBACK_MIB, go_perf)
        a, b = bench.machine("a"), bench.machine("b")
        bench.link(a, b, **LINK)
        bench_path(bench, "500 Mbit/s, 63 ms", a, b, "10.9.0.2", LINK_MIB, go_perf)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
