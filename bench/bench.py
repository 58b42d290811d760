#!/usr/bin/env python3
"""Measures our node and Kubo on the same work, turn by turn in one run, and prints medians and ratios.

bench.py KUBO|none PROGRAM [NAME-PART…]; BENCH_MIB (1024), BENCH_RUNS (3), BENCH_PINS (100000), BENCH_LARGE_MIB (10240),
BENCH_FOLDER (100000): entries of the large folders; with 1000000 Kubo takes a quarter of an hour; BENCH_CONNECTIONS (2000), BENCH_METADATA_FILES (100000)
"""
import concurrent.futures
import hashlib
import http.client
import json
import mmap
import os
import pathlib
import re
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "process"))
import metadata_bench
import nodes

MIB = 1 << 20
SIZE = int(os.environ.get("BENCH_MIB", "1024")) * MIB
RUNS = int(os.environ.get("BENCH_RUNS", "3"))
SMALL_FILES = 10000
FOLDER_ENTRIES = int(os.environ.get("BENCH_FOLDER", "100000"))
LARGE = int(os.environ.get("BENCH_LARGE_MIB", "10240")) * MIB
PINS = int(os.environ.get("BENCH_PINS", "100000"))
METADATA_FILES = int(os.environ.get("BENCH_METADATA_FILES", "100000"))
METADATA_SECONDS = 20
CONNECTIONS = int(os.environ.get("BENCH_CONNECTIONS", "2000"))
CONNECTIONS_WITH_STREAMS = (140, 720)
GATEWAY_SECONDS = 5
LOOPBACK = {"Routing__LoopbackAddressesOnLanDHT": True}


def ours(shop, name, start=True):
    return shop.node(name, LOOPBACK, start=start)


def makers(shop):
    made = [("distribute", lambda name, start=True: ours(shop, name, start))]
    if shop.kubo_program:
        made.append(("kubo", lambda name, start=True: shop.kubo(name, start=start)))
    return made


def report(title, unit, figures, digits=1, smaller_is_better=False):
    """figures: {"distribute": [..], "kubo": [..], …}"""
    medians = {who: statistics.median(values) for who, values in figures.items() if values}
    text = ", ".join(f"{who} {medians[who]:.{digits}f} {unit}" for who in medians)
    line = f"{title:46} {text}"
    if "kubo" in medians and "distribute" in medians and medians["kubo"] and medians["distribute"]:
        ratio = medians["kubo"] / medians["distribute"] if smaller_is_better else medians["distribute"] / medians["kubo"]
        line += f"  -> {ratio:.1f} times {'smaller' if smaller_is_better else 'faster'}"
    print(line, flush=True)
    return medians


def big_file(shop, name="big.bin", size=SIZE):
    """No two blocks of it are the same."""
    path = shop.path(name)
    if not path.exists():
        with open(path, "wb") as f:
            for i in range(size // (16 * MIB)):
                f.write(nodes.make_bytes(f"bench/{i}", 16 * MIB))
        os.sync()
    return path


def cpu_of_children():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def move_directly(path, write):
    """The whole of a file past the page cache, 1 MiB at a time."""
    piece = mmap.mmap(-1, MIB)
    fd = os.open(path, (os.O_WRONLY | os.O_CREAT if write else os.O_RDONLY) | os.O_DIRECT)
    for at in range(0, SIZE, MIB):
        (os.pwritev if write else os.preadv)(fd, [piece], at)
    os.fsync(fd)
    os.close(fd)


def disk_copy_rate(shop):
    """One file is read while another is written, as by the two nodes of a fetch: MB/s of each."""
    paths = shop.path("direct-0"), shop.path("direct-1")
    try:
        move_directly(paths[0], True)
        began = time.monotonic()
        threads = [threading.Thread(target=move_directly, args=(path, path is paths[1])) for path in paths]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        return SIZE / 1e6 / (time.monotonic() - began)
    except OSError as e:
        print(f"machine: no direct input and output here ({e})")
        return 0
    finally:
        for path in paths:
            path.unlink(missing_ok=True)


def bench_machine(shop):
    """What this machine gives by itself: the limits that the rest is to be read against."""
    data = nodes.make_bytes("x", 64 * MIB)
    began = time.monotonic()
    for _ in range(4):
        hashlib.sha256(data).digest()
    sha = 256 / (time.monotonic() - began)
    path = shop.path("raw")
    began = time.monotonic()
    with open(path, "wb", buffering=0) as f:
        for _ in range(8):
            f.write(data)
            os.fdatasync(f.fileno())
    disk = 512 / (time.monotonic() - began)
    path.unlink()
    print(f"machine: {os.cpu_count()} cores, SHA-256 {sha:.0f} MiB/s a core, write + fdatasync each 64 MiB {disk:.0f} MiB/s, "
          f"disk read and written at once {disk_copy_rate(shop):.0f} MB/s each", flush=True)


def bench_add(shop):
    """`add` of a large file into a fresh repository, without a running node."""
    path = big_file(shop)
    rates, cpus = {}, {}
    for run in range(RUNS):
        for who, make in makers(shop):
            node = make(f"add-{who}-{run}", start=False)
            os.sync()
            cpu, began = cpu_of_children(), time.monotonic()
            node.run("add", "-Q", path, timeout=1200)
            rates.setdefault(who, []).append(SIZE / 1e6 / (time.monotonic() - began))
            cpus.setdefault(who, []).append((cpu_of_children() - cpu) / (SIZE / 1e9))
            subprocess.run(["rm", "-rf", node.repo], check=True)
    report(f"add {SIZE // MIB} MiB", "MB/s", rates, 0)
    report("  CPU seconds per GB", "s", cpus, 2, smaller_is_better=True)


def run_measured(node, *words):
    """Runs a command; gives its seconds, its CPU seconds, and the peak of its memory in MiB."""
    errors, peak = node.repo.parent / "measured.err", 0
    began = time.monotonic()
    with open(errors, "wb") as err, subprocess.Popen([node.program, *map(str, words)], stdout=subprocess.DEVNULL, stderr=err,
                                                     stdin=subprocess.DEVNULL, env=node.env()) as process:
        pid = 0
        while not pid:
            status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
            peak = max([peak, *map(int, re.findall(r"^VmHWM:\s+(\d+) kB", status, re.M))])
            time.sleep(0.01)
            pid, code, usage = os.wait4(process.pid, os.WNOHANG)
        process.returncode = os.waitstatus_to_exitcode(code)
    if process.returncode:
        raise nodes.Failure(f"{words}: exit {process.returncode}: {errors.read_text()[-500:]}")
    return time.monotonic() - began, usage.ru_utime + usage.ru_stime, peak / 1024


def bench_car(shop):
    """`dag import` of an archive of one large file into a fresh repository, and `dag export` of it, without a running node."""
    archive = shop.path("big.car")
    maker = ours(shop, "maker", start=False)
    root = maker.text("add", "-Q", big_file(shop), timeout=1200)
    with open(archive, "wb") as f:
        subprocess.run([maker.program, "dag", "export", root], stdout=f, env=maker.env(), check=True)
    subprocess.run(["rm", "-rf", maker.repo], check=True)
    figures = {}
    for run in range(RUNS):
        for who, make in makers(shop):
            node = make(f"car-{who}-{run}", start=False)
            for what, words in (("import", ("dag", "import", archive)), ("export", ("dag", "export", root))):
                os.sync()
                seconds, cpu, peak = run_measured(node, *words)
                for kind, value in (("rate", SIZE / 1e6 / seconds), ("cpu", cpu / (SIZE / 1e9)), ("peak", peak)):
                    figures.setdefault((what, kind), {}).setdefault(who, []).append(value)
            subprocess.run(["rm", "-rf", node.repo], check=True)
    for what in ("import", "export"):
        report(f"dag {what}, CAR of {SIZE // MIB} MiB", "MB/s", figures[what, "rate"], 0)
        report("  CPU seconds per GB", "s", figures[what, "cpu"], 2, smaller_is_better=True)
        report("  peak memory", "MiB", figures[what, "peak"], 1, smaller_is_better=True)


def watch_peak(node, stop, peaks):
    while not stop.wait(0.05):
        peaks.append(node.memory()[0])


def fetch_with_cat(taker, cid):
    with open(os.devnull, "wb") as out:
        taker.run("cat", cid, stdout=out, timeout=1200)


def fetch_with_pin(taker, cid):
    taker.run("pin", "add", cid, timeout=1200)


def measure_fetch(shop, path, make, who, name, fetch, sums):
    """One fetch between two fresh nodes: rate, CPU seconds per GB and peak memory go into sums."""
    giver, taker = make(f"give-{who}-{name}", start=False), make(f"take-{who}-{name}")
    cid = giver.text("add", "-Q", path, timeout=1200)
    giver.start()
    taker.connect(giver)
    os.sync()
    stop, memory = threading.Event(), {giver: [0], taker: [0]}
    watchers = [threading.Thread(target=watch_peak, args=(n, stop, memory[n])) for n in (giver, taker)]
    for w in watchers:
        w.start()
    cpu, began = giver.cpu_seconds() + taker.cpu_seconds(), time.monotonic()
    fetch(taker, cid)
    seconds = time.monotonic() - began
    used = giver.cpu_seconds() + taker.cpu_seconds() - cpu
    stop.set()
    for w in watchers:
        w.join()
    for kind, value in (("rate", SIZE / 1e6 / seconds), ("cpu", used / (SIZE / 1e9)),
                        ("peak", max(max(m) for m in memory.values()) / MIB)):
        sums.setdefault(kind, {}).setdefault(who, []).append(value)
    for n in (giver, taker):
        n.stop(60)
        subprocess.run(["rm", "-rf", n.repo], check=True)


def bench_fetch(shop):
    """A large file from one node to another over loopback, both with their stores on disk: read by `cat`, as who
    wants the file does, and kept by `pin add`, which needs no order."""
    path = big_file(shop)
    for title, fetch in (("cat", fetch_with_cat), ("pin add", fetch_with_pin)):
        sums = {}
        for run in range(RUNS):
            for who, make in makers(shop):
                measure_fetch(shop, path, make, who, f"{title[:3]}-{run}", fetch, sums)
        sums["rate"]["disk read and written at once"] = [disk_copy_rate(shop) for _ in range(RUNS)]
        report(f"fetch {SIZE // MIB} MiB between two nodes ({title})", "MB/s", sums["rate"], 0)
        report("  CPU seconds per GB, both ends", "s", sums["cpu"], 2, smaller_is_better=True)
        report("  peak memory, the larger end", "MiB", sums["peak"], 1, smaller_is_better=True)


def peak_of(node, work):
    """Seconds of the work, and the most memory that the node had meanwhile, in MiB."""
    pathlib.Path(f"/proc/{node.process.pid}/clear_refs").write_text("5")
    began = time.monotonic()
    work()
    seconds = time.monotonic() - began
    return seconds, node.memory()[1] / MIB


def upload_part(name, content_type, content=b""):
    return (b'--b\r\nContent-Disposition: form-data; name="file"; filename="%s"\r\nContent-Type: %s\r\n\r\n%s\r\n'
            % (name, content_type, content))


def upload_of_folder(count, of_folders):
    """The body of an add of a folder of many entries, as it is sent: small files, or empty folders."""
    yield upload_part(b"folder", b"application/x-directory")
    for first in range(0, count, 500):
        numbers = range(first, min(first + 500, count))
        if of_folders:
            yield b"".join(upload_part(b"folder%%2Ffolder-%07d" % i, b"application/x-directory") for i in numbers)
        else:
            yield b"".join(upload_part(b"folder%%2Ffile-%07d" % i, b"application/octet-stream", b"%d" % i) for i in numbers)
    yield b"--b--\r\n"


def upload(port, path, pieces):
    """Sends a body and gives the end of the answer, which is read meanwhile: Kubo answers during the upload, and stops when
    nobody listens."""
    end = [b""]

    def read(connection):
        while piece := connection.recv(1 << 20):
            end[0] = (end[0] + piece)[-4096:]

    with socket.create_connection(("127.0.0.1", port)) as connection:
        reader = threading.Thread(target=read, args=(connection,))
        reader.start()
        connection.sendall(f"POST /api/v0/{path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
                           "Content-Type: multipart/form-data; boundary=b\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        for piece in pieces:
            connection.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
        connection.sendall(b"0\r\n\r\n")
        reader.join()
    return end[0]


def add_large_folder(node, count, of_folders=False):
    """Adds a folder that stands on no disk; gives its CID."""
    end = upload(node.api_port, "add?pin=true", upload_of_folder(count, of_folders))
    added = [json.loads(line) for line in end.splitlines() if line.startswith(b"{") and line.endswith(b"}")]
    nodes.check(added and added[-1]["Name"] == "folder", f"add of {count} entries: {end[-300:]!r}")
    return added[-1]["Hash"]


def list_folder(node, cid):
    connection = http.client.HTTPConnection("127.0.0.1", node.api_port, timeout=7200)
    connection.request("POST", f"/api/v0/ls?arg={cid}")
    response, size = connection.getresponse(), 0
    while piece := response.read(1 << 20):
        size += len(piece)
    connection.close()
    nodes.check(response.status == 200 and size > 100 * FOLDER_ENTRIES, f"ls: {response.status}, {size} bytes")


def bench_flat_memory(shop):
    """Memory of a node that takes in folders of very many entries, lists one, and takes in a large file."""
    large = big_file(shop, "large.bin", LARGE)
    rates, peaks, client = {}, {}, {}
    rows = ("add of a folder of {} files", "ls of it, over HTTP", "ls of it, command line", "add of a folder of {} folders",
            "add of a file of {} MiB")
    for who, make in makers(shop):
        node = make(f"flat-{who}")
        root = []
        for row, count, work in zip(rows, 4 * (FOLDER_ENTRIES,) + (LARGE / 1e6,), (
                lambda: root.append(add_large_folder(node, FOLDER_ENTRIES)),
                lambda: list_folder(node, root[0]),
                lambda: client.setdefault(who, []).append(run_measured(node, "ls", root[0])[2]),
                lambda: add_large_folder(node, FOLDER_ENTRIES, of_folders=True),
                lambda: node.run("add", "-Q", large, timeout=7200))):
            seconds, peak = peak_of(node, work)
            rates.setdefault(row, {}).setdefault(who, []).append(count / seconds)
            peaks.setdefault(row, {}).setdefault(who, []).append(peak)
        node.stop(60)
        shutil.rmtree(node.repo)
    large.unlink()
    for row in rows:
        is_file = row == rows[-1]
        report(row.format(LARGE // MIB if is_file else FOLDER_ENTRIES), "MB/s" if is_file else "entries/s", rates[row], 0)
        report("  peak memory", "MiB", peaks[row], 1, smaller_is_better=True)
        if row == rows[2]:
            report("  peak memory of the client", "MiB", client, 1, smaller_is_better=True)


def bench_memory(shop):
    """Resident memory when idle, and after many small files; time from start to ready."""
    idle, after, ready, adds = {}, {}, {}, {}
    folder = shop.path("small-files")
    for i in range(SMALL_FILES):
        path = folder / f"{i // 1000}" / f"{i}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(nodes.make_bytes(str(i), 1024))
    for run in range(RUNS):
        for who, make in makers(shop):
            node = make(f"memory-{who}-{run}")
            ready.setdefault(who, []).append(node.ready_seconds * 1000)
            time.sleep(3)
            idle.setdefault(who, []).append(node.memory()[0] / MIB)
            began = time.monotonic()
            node.run("add", "-r", "-Q", folder, timeout=1200)
            adds.setdefault(who, []).append(SMALL_FILES / (time.monotonic() - began))
            time.sleep(3)
            after.setdefault(who, []).append(node.memory()[0] / MIB)
            node.stop(60)
    report("start to ready", "ms", ready, 0, smaller_is_better=True)
    report("idle node, resident", "MiB", idle, 1, smaller_is_better=True)
    report(f"add of {SMALL_FILES} files of 1 KiB", "files/s", adds, 0)
    report(f"resident after {SMALL_FILES} small files", "MiB", after, 1, smaller_is_better=True)


def crowd(program, security, n, streams=0):
    """A listener with n idle connections (and idle streams in each), which answers pings meanwhile: what it has in memory for
    all of them, in bytes."""
    env = {k: v for k, v in os.environ.items() if k != "NET_PEER_SECURITY"}
    if security != "quic":
        env["NET_PEER_SECURITY"] = security
    listener = subprocess.Popen([program, "listen"], stdout=subprocess.PIPE, text=True, env=env)
    try:
        addresses = [listener.stdout.readline().strip()]
        if security == "quic":
            addresses.append(listener.stdout.readline().strip())
        threading.Thread(target=listener.stdout.read, daemon=True).start()

        def resident():
            return int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{listener.pid}/status").read_text())[1]) * 1024

        before = resident()
        dialer = subprocess.Popen([program, "crowd", addresses[-1], str(n), "8", str(streams)], stdout=subprocess.PIPE, text=True,
                                  env=env)
        line = dialer.stdout.readline()
        nodes.check(line.startswith(f"{n} connections, {n * streams} streams"), line)
        time.sleep(2)
        used = resident() - before
        pinged = subprocess.run([program, "dial", addresses[-1], "3"], capture_output=True, text=True, timeout=60, env=env).stdout
        nodes.check(len(re.findall(r"^ping ", pinged, re.M)) >= 2, f"no pings beside the crowd: {pinged}")
        nodes.check(dialer.wait(timeout=600) == 0, "the crowd did not end well")
        return used
    finally:
        listener.kill()
        listener.wait()


def bench_connections(shop):
    """Memory of connections that do nothing, on the side that was dialed; and of streams that do nothing."""
    program = pathlib.Path(shop.program).parent.parent / "bench" / "net_peer"
    if not program.exists():
        print("connections: ninja -C build/release bench/net_peer makes what measures them")
        return
    for security, n in (("noise", CONNECTIONS), ("tls", CONNECTIONS), ("quic", CONNECTIONS // 5)):
        report(f"idle connection, {security}, of {n}", "KiB", {"distribute": [crowd(program, security, n) / n / 1024]}, 1, smaller_is_better=True)
    conns, streams = CONNECTIONS_WITH_STREAMS
    used = crowd(program, "noise", conns, streams)
    report(f"idle stream, of {conns * streams}", "KiB", {"distribute": [used / conns / streams / 1024]}, 2, smaller_is_better=True)


def wrk(port, path_list, script):
    text = subprocess.run(["wrk", "-t2", "-c32", f"-d{GATEWAY_SECONDS}s", "-s", str(script), f"http://127.0.0.1:{port}", "--",
                           str(path_list)], capture_output=True, text=True, timeout=120, check=True).stdout
    errors = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    if errors:
        raise nodes.Failure(f"wrk: {errors[0]}")
    return float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1])


def constant_rate(shop, paths, script):
    """The same requests to the same server with an answer of the same headers and length that is looked up nowhere."""
    program = pathlib.Path(shop.program).parent.parent / "bench" / "http_constant"
    with subprocess.Popen([program, "1024", str(3 * GATEWAY_SECONDS)], stdout=subprocess.PIPE, text=True) as server:
        try:
            return wrk(int(server.stdout.readline().rsplit(":", 1)[1]), paths, script)
        finally:
            server.terminate()


def path_script(shop):
    """wrk asks for the lines of a file in turn."""
    script = shop.path("paths.lua")
    script.write_text('local paths = {}\nlocal n = 0\n'
                      'function init(args)\n  for line in io.lines(args[1]) do paths[#paths + 1] = line end\nend\n'
                      'function request()\n  n = n + 1\n  return wrk.format("GET", paths[n % #paths + 1])\nend\n')
    return script


def many_files(shop, name, count, size):
    folder = shop.path(name)
    folder.mkdir()
    for i in range(count):
        (folder / f"{i}.txt").write_bytes(nodes.make_bytes(f"{name}/{i}", size // 2).hex().encode())
    return folder


def add_folder(shop, node, folder):
    """The folder's CID, and a file of the paths of what is in it."""
    lines = [line.split() for line in node.text("add", "-r", folder, timeout=600).splitlines()]
    paths = shop.path(f"paths-{node.name}")
    paths.write_text("".join(f"/ipfs/{words[1]}\n" for words in lines if words[2].endswith(".txt")))
    return lines[-1][1], paths


def bench_gateway(shop):
    """Requests a second for files of 1 KiB over 32 connections, each request for another of 1,000 files."""
    script = path_script(shop)
    folder = many_files(shop, "kib-files", 1000, 1024)
    rates = {}
    for run in range(RUNS):
        for who, make in makers(shop):
            node = make(f"gateway-{who}-{run}")
            _, paths = add_folder(shop, node, folder)
            rates.setdefault(who, []).append(wrk(node.gateway_port, paths, script))
            if who == "distribute":
                rates.setdefault("constant answer", []).append(constant_rate(shop, paths, script))
            node.stop(60)
    medians = report("gateway, 1 KiB files, 32 connections", "requests/s", rates, 0)
    if "constant answer" in medians:
        print(f"  {medians['distribute'] / medians['constant answer'] * 100:.0f}% of what the same server reaches with a constant answer")


def download_seconds(node, path):
    """The best of three, read straight from the socket: the client shares the cores."""
    best, size, room = float("inf"), 0, bytearray(MIB)
    for _ in range(3):
        began = time.monotonic()
        with socket.create_connection(("127.0.0.1", node.gateway_port), timeout=300) as s:
            s.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
            size = 0
            while n := s.recv_into(room):
                nodes.check(size or room.startswith(b"HTTP/1.1 200 "), f"{path}: {bytes(room[:64])!r}")
                size += n
        best = min(best, time.monotonic() - began)
    return best, size


def bench_gateway_bodies(shop):
    """Larger answers: 256 KiB over 32 connections, one of 100 MiB, and the page of a folder of 10,000 files."""
    script = path_script(shop)
    middle, crowd = many_files(shop, "middle-files", 64, 256 * 1024), many_files(shop, "crowd", SMALL_FILES, 16)
    large = shop.file("large.bin", 100 * MIB)
    rates, speeds, pages = {}, {}, {}
    for run in range(RUNS):
        for who, make in makers(shop):
            node = make(f"bodies-{who}-{run}")
            _, paths = add_folder(shop, node, middle)
            rates.setdefault(who, []).append(wrk(node.gateway_port, paths, script))
            cid = node.text("add", "-Q", large, timeout=600)
            seconds, size = download_seconds(node, f"/ipfs/{cid}")
            nodes.check(size > 100 * MIB, f"{size} bytes came")
            speeds.setdefault(who, []).append(100 * MIB / 1e6 / seconds)
            folder, _ = add_folder(shop, node, crowd)
            pages.setdefault(who, []).append(download_seconds(node, f"/ipfs/{folder}/")[0] * 1000)
            node.stop(60)
    report("gateway, 256 KiB files, 32 connections", "requests/s", rates, 0)
    report("gateway, one file of 100 MiB", "MB/s", speeds, 0)
    report("gateway, page of a folder of 10,000 files", "ms", pages, 1, smaller_is_better=True)


def pin_many(node, count):
    """Raw blocks of a few bytes, each with a recursive pin; over 16 connections, since Kubo syncs at each pin."""
    def put(first):
        parts = "".join(f'--b\r\nContent-Disposition: form-data; name="data"\r\nContent-Type: application/octet-stream\r\n\r\n'
                        f"block {i}\r\n" for i in range(first, min(first + 500, count)))
        response, data = node.rpc_raw("block/put", body=f"{parts}--b--\r\n".encode(), content_type="multipart/form-data; boundary=b")
        cids = [json.loads(line)["Key"] for line in data.splitlines()]
        for i in range(0, len(cids), 100):
            response, data = node.rpc_raw("pin/add", cids[i:i + 100])
            nodes.check(response.status == 200, f"pin/add: {data[:200]!r}")
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        for done in pool.map(put, range(0, count, 500)):
            pass


def list_pins(node, **options):
    """Milliseconds to the first bytes of the answer and to its end, and its bytes."""
    connection = http.client.HTTPConnection("127.0.0.1", node.api_port, timeout=600)
    began = time.monotonic()
    connection.request("POST", "/api/v0/pin/ls?" + "&".join(f"{k}={v}" for k, v in options.items()))
    response = connection.getresponse()
    size = len(response.read(4096))
    first = time.monotonic() - began
    while piece := response.read(1 << 20):
        size += len(piece)
    whole = time.monotonic() - began
    connection.close()
    return first * 1000, whole * 1000, size


def bench_pins(shop):
    """Listing many recursive pins: until the first of them comes, and until the last has."""
    first, whole, cli, memory = {}, {}, {}, {}
    made = [(who, make(f"pins-{who}")) for who, make in makers(shop)]
    for who, node in made:
        pin_many(node, PINS)
    for run in range(RUNS):
        for who, node in made:
            before = node.memory()[0]
            a, b, size = list_pins(node, type="recursive", stream="true")
            nodes.check(size > PINS * 60, f"{who}: {size} bytes")
            first.setdefault(who, []).append(a)
            whole.setdefault(who, []).append(PINS / b * 1000)
            memory.setdefault(who, []).append((node.memory()[1] - before) / MIB)
            began = time.monotonic()
            lines = node.text("pin", "ls", "--type=recursive", timeout=600).count("\n")
            nodes.check(lines >= PINS - 1, f"{who}: {lines} lines")
            cli.setdefault(who, []).append(PINS / (time.monotonic() - began))
    for who, node in made:
        node.stop(60)
    report(f"pin ls of {PINS} pins, first page", "ms", first, 1, smaller_is_better=True)
    report("  whole list over HTTP", "pins/s", whole, 0)
    report("  whole list, command line", "pins/s", cli, 0)
    report("  peak memory above what it was", "MiB", memory, 1, smaller_is_better=True)


FILES_WRITES = int(os.environ.get("BENCH_FILES", "500"))
FILES_HEAD = b'--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\nContent-Type: application/octet-stream\r\n\r\n'


class Writer:
    """Sends `files write` over one kept connection. Straight from the socket: a client of Python's http module takes longer
    than the node, and eight of them share one interpreter."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=600)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def close(self):
        self.socket.close()

    def write(self, path, data, options):
        tail = b"\r\n--b--\r\n"
        length = len(FILES_HEAD) + len(data) + len(tail)
        head = (f"POST /api/v0/files/write?arg={path}{options} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                f"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {length}\r\n\r\n").encode() + FILES_HEAD
        for part in (head + data + tail,) if len(data) < 65536 else (head, data, tail):
            self.socket.sendall(part)
        answer = b""
        while not self.is_whole(answer):
            more = self.socket.recv(65536)
            nodes.check(more, f"files/write {path}: the connection ended behind {answer[:200]!r}")
            answer += more
        nodes.check(answer.startswith(b"HTTP/1.1 200 "), f"files/write {path}: {answer[:300]!r}")

    @staticmethod
    def is_whole(answer):
        head, end, body = answer.partition(b"\r\n\r\n")
        if not end:
            return False
        length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
        return len(body) >= int(length[1]) if length else body.endswith(b"0\r\n\r\n") or b"\r\n0\r\n" in b"\r\n" + body and body.endswith(b"\r\n\r\n")


def bench_files(shop):
    """`files write` by one client after another: small files, and appends to a large one. What our node acknowledges is on
    disk; Kubo's blocks are not, since its block store does not sync."""
    small, many, appended, large = {}, {}, {}, {}
    made = [(who, make(f"files-{who}")) for who, make in makers(shop)]
    for run in range(RUNS):
        for who, node in made:
            connection = Writer(node.api_port)
            node.rpc_raw("files/mkdir", [f"/d{run}"])
            began = time.monotonic()
            for i in range(FILES_WRITES):
                connection.write(f"/d{run}/file-{i}", b"some bytes %d\n" % i * 20, "&create=true")
            small.setdefault(who, []).append(FILES_WRITES / (time.monotonic() - began))
            began = time.monotonic()

            def client(number):
                own = Writer(node.api_port)
                for i in range(FILES_WRITES // 8):
                    own.write(f"/c{run}-{number}/file-{i}", b"some bytes %d\n" % i * 20, "&create=true&parents=true")
            with concurrent.futures.ThreadPoolExecutor(8) as pool:
                list(pool.map(client, range(8)))
            many.setdefault(who, []).append(FILES_WRITES // 8 * 8 / (time.monotonic() - began))
            size = 64 * MIB
            data = os.urandom(size)
            began = time.monotonic()
            connection.write(f"/big{run}", data, "&create=true")
            large.setdefault(who, []).append(size / MIB / (time.monotonic() - began))
            began = time.monotonic()
            for i in range(FILES_WRITES // 4):
                connection.write(f"/big{run}", b"x" * 4096, f"&offset={size + 4096 * i}")
            appended.setdefault(who, []).append(FILES_WRITES // 4 / (time.monotonic() - began))
            connection.close()
    for who, node in made:
        node.stop(60)
    report(f"files write, {FILES_WRITES} small files, one client", "files/s", small, 0)
    report("  eight clients", "files/s", many, 0)
    report("  64 MiB in one write", "MiB/s", large, 0)
    report("  appends of 4 KiB to it", "writes/s", appended, 0)


def bench_metadata(shop):
    """The metadata service: each operation's times at 5,000 a second, and as many as it answers."""
    program = pathlib.Path(shop.program).parent.parent / "bench" / "metadata_load"
    if not program.exists():
        print("metadata: ninja -C build/release bench/metadata_load makes what measures it")
        return
    metadata_bench.run(shop, program, METADATA_FILES, METADATA_SECONDS, metadata_bench.RATES)


def main(argv):
    kubo, program, *only = argv
    for name, function in list(globals().items()):
        if name.startswith("bench_") and (not only or any(o in name for o in only)):
            with nodes.Workshop(program) as shop:
                shop.kubo_program = None if kubo == "none" else kubo
                function(shop)
    return 0


if __name__ == "__main__":
    nodes.end_on_signals()
    sys.exit(main(sys.argv[1:]))
