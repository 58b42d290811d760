#!/usr/bin/env python3
"""Hostile peers, clients, files and disks against running nodes: memory stays bounded, honest users are served, nothing
wrong is given out. The program's build folder holds tests/process/attacker, too. Run by run.py."""
import http.client
import json
import os
import pathlib
import re
import socket
import subprocess
import threading
import time

import nodes
from nodes import check, wait_until

MIB = 1 << 20
ATTACKS = ("streams", "pushes", "yamux", "kad", "wants", "blocks", "replica")


def error_of(node, *words, **options):
    """The command fails, and says so in one line."""
    result = node.run(*words, check_code=False, **options)
    lines = [line for line in result.stderr.decode(errors="replace").splitlines() if not line.startswith("{")]
    check(result.returncode != 0, f"{words} went well")
    check(len(lines) == 1, f"{words}: {len(lines)} lines of error: {lines}")
    return lines[0]


def is_sanitized(program):
    return b"__asan_init" in pathlib.Path(program).read_bytes()


def raw(port, data, seconds=60):
    """What comes back until the other side closes, for bytes as they are."""
    out = b""
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as s:
        try:
            s.sendall(data)
            while piece := s.recv(65536):
                out += piece
        except ConnectionError:
            pass
    return out


# ── peers ───────────────────────────────────────────────────────────────────────────────────────


def test_attacking_peers(shop):
    """One peer after the other misbehaves in its own way, while an honest one fetches."""
    attacker = pathlib.Path(shop.program).resolve().parent.parent / "tests" / "process" / "attacker"
    check(attacker.exists(), f"{attacker} is not built")
    victim, honest = shop.node("victim"), shop.node("honest")
    honest.connect(victim)
    start = victim.memory()[0]
    for number, attack in enumerate(ATTACKS):
        path = shop.file(f"served-{number}", 2 * MIB)
        cid = victim.text("add", "-Q", path)
        process = subprocess.Popen([attacker, attack, victim.addresses[0], "4"], stdout=subprocess.PIPE)
        try:
            check(honest.run("cat", "--timeout=60s", cid).stdout == path.read_bytes(), f"{attack}: fetched")
            check(int(process.communicate(timeout=60)[0] or 0) > 0, f"{attack} did nothing")
        finally:
            process.kill()
            process.wait()
        wait_until(lambda: victim.peers() == {honest.peer_id}, 60, f"{attack}: the attacker is gone")
        if not is_sanitized(shop.program):
            check(victim.memory()[1] - start < 64 * MIB, f"{attack}: {victim.memory()[1] // MIB} MiB at most")
    if not is_sanitized(shop.program):
        wait_until(lambda: victim.memory()[0] - start < 8 * MIB, 60, "memory is given back")
    check(victim.rpc("repo/stat")["NumObjects"] < 100, "blocks that nobody asked for are kept")
    check(victim.stop() == 0, "the node did not end well")


def test_attacking_relays_and_topics(shop):
    """The protocols for peers behind NATs, of topics and of measuring, over TCP and QUIC, by two peers at once."""
    attacker = pathlib.Path(shop.program).resolve().parent.parent / "tests" / "process" / "attacker"
    victim = shop.node("victim", {"Pubsub.Enabled": True, "Swarm.RelayService.Enabled": True, "Internal.Libp2pForceReachability": "public",
                                  "Swarm.Transports.Network.QUIC": True}, start=False)
    victim.listen.append("/ip4/127.0.0.1/udp/0/quic-v1")
    victim.start()
    quic = [a for a in victim.rpc("swarm/addrs/listen")["Strings"] if a.startswith("/ip4/127.0.0.1/udp/")]
    check(quic, "it does not listen by QUIC")
    targets = (victim.addresses[0], f"{quic[0].split('/p2p/')[0]}/p2p/{victim.peer_id}")
    victim.begin("pubsub", "sub", "busy")
    wait_until(lambda: victim.rpc("pubsub/ls")["Strings"], 20, "subscribed")
    start = victim.memory()[0]
    for attack in ("pubsub", "relay", "autonat", "perf", "noise"):
        processes = [subprocess.Popen([attacker, attack, at, "1"], stdout=subprocess.PIPE) for at in targets]
        try:
            check(victim.rpc("id", timeout=20)["ID"] == victim.peer_id, f"{attack}: the node does not answer")
            check(all(int(p.communicate(timeout=60)[0] or 0) > 0 for p in processes), f"{attack} did nothing")
        finally:
            for process in processes:
                process.kill()
                process.wait()
        wait_until(lambda: not victim.peers(), 60, f"{attack}: the attackers are gone")
    if not is_sanitized(shop.program):
        check(victim.memory()[1] - start < 64 * MIB, f"{victim.memory()[1] // MIB} MiB at most")


def test_half_handshakes(shop):
    """Hundreds of connections that go no further: a newcomer gets in once they are gone, memory comes back."""
    node, other = shop.node("slots"), shop.node("newcomer")
    port = int(node.addresses[0].split("/")[4])
    held, before = [], len(os.listdir(f"/proc/{node.process.pid}/fd"))
    for i in range(600):
        try:
            s = socket.create_connection(("127.0.0.1", port), timeout=60)
            held.append(s)
            s.sendall((b"\x13/multistream/1.0.0\n", b"\x13/multistream/1.0.0\n\x07/noise\n", b"\x13", b"")[i % 4])
        except ConnectionError:
            pass  # over the limit: refused at once
    check(node.rpc("id")["ID"] == node.peer_id, "the node does not answer")
    check(len(os.listdir(f"/proc/{node.process.pid}/fd")) - before < 600, "all of them are kept")
    wait_until(lambda: len(os.listdir(f"/proc/{node.process.pid}/fd")) <= before + 2, 60, "their places are free")
    other.connect(node)
    for s in held:
        s.close()


# ── HTTP ────────────────────────────────────────────────────────────────────────────────────────


def metrics_port(node):
    return int(re.search(r"Metrics server listening on http://127\.0\.0\.1:(\d+)/", node.out_path.read_text())[1])


def test_http_nonsense(shop):
    node = shop.node("http")
    cid = node.text("add", "-Q", stdin=b"x" * 100)
    ports = (node.api_port, node.gateway_port, metrics_port(node))
    head = b"Host: 127.0.0.1\r\nConnection: close\r\n"
    cases = (
        (b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: y\r\n" % i for i in range(100000)) + b"\r\n", b"431"),
        (b"GET /" + b"a" * 1000000 + b" HTTP/1.1\r\n" + head + b"\r\n", b"414"),
        (b"GET /?" + b"arg=x&" * 2500 + b" HTTP/1.1\r\n" + head + b"\r\n", b"414"),
        (b"POST /api/v0/id HTTP/1.1\r\n" + head + b"Content-Length: -1\r\n\r\n", b"400"),
        (b"POST /api/v0/id HTTP/1.1\r\n" + head + b"Content-Length: 99999999999999999999999\r\n\r\n", b"413"),
        (b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n", b"400"),
        (b"GET / HTTP/9.9\r\n" + head + b"\r\n", b"505"),
        (os.urandom(100000), None),
    )
    for port in ports:
        for data, status in cases:
            got = raw(port, data)
            check(status is None or not got or got.startswith(b"HTTP/1.1 " + status), f"{data[:40]!r}: {got[:60]!r}")
    for path in ("/ipfs/%2e%2e/%2e%2e/etc/passwd", "/ipfs/../../etc/passwd", f"/ipfs/{cid}/%00", f"/ipfs/{cid}%00",
                 "//evil.example/", f"/ipfs/{cid}/../../x", "/ipfs/%zz", "/ipfs//evil.example", "/%5cevil.example/", "/x/../\\evil.example"):
        got = raw(node.gateway_port, f"GET {path} HTTP/1.1\r\n".encode() + head + b"\r\n")
        if got.startswith(b"HTTP/1.1 307"):  # to the path without empty segments and dots, on this host
            path = re.search(rb"\r\nLocation: (/[^/\\\r][^\r]*)\r\n", got)[1].decode()
            got = raw(node.gateway_port, f"GET {path} HTTP/1.1\r\n".encode() + head + b"\r\n")
        check(got.startswith(b"HTTP/1.1 4") and b"\r\nLocation:" not in got, f"{path}: {got[:80]!r}")
    got = raw(node.gateway_port, f"GET /ipfs/{cid}?filename=a%0d%0aX-Evil:%201%22 HTTP/1.1\r\n".encode() + head + b"\r\n")
    check(b"\r\nX-Evil" not in got and got.startswith(b"HTTP/1.1 200"), f"header injection: {got[:300]!r}")
    check(node.stop() == 0, f"the node did not end well: {node.last_words()}")


def test_requests_hidden_in_others(shop):
    """Whoever stands before the node may read these heads otherwise: none is answered as usual, nothing behind it is read."""
    node = shop.node("hidden")
    host = f"Host: 127.0.0.1:{node.api_port}\r\n"
    behind = f"0\r\n\r\nPOST /api/v0/id HTTP/1.1\r\n{host}Content-Length: 0\r\nConnection: close\r\n\r\n"
    heads = ("Content-Length: 0\r\nContent-Length: 144", "Content-Length: 144\r\nContent-Length: 0",
             "Content-Length: 4\r\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked\r\nContent-Length: 4",
             "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", "Transfer-Encoding: gzip, chunked",
             "Transfer-Encoding: identity", 'Transfer-Encoding: "chunked"', "Content-Length : 144", "Transfer-Encoding : chunked",
             "X Y: z\r\nContent-Length: 0", "\x01: y\r\nContent-Length: 0", "X: y\rContent-Length: 144\r\nContent-Length: 0")
    for head in heads:
        out = raw(node.api_port, f"POST /api/v0/version HTTP/1.1\r\n{host}{head}\r\n\r\n{behind}".encode())
        check(out.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 501 ")) and b" 200 " not in out, f"{head!r}: {out[:300]}")
    out = raw(node.api_port, f"POST /api/v0/version HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n{behind}".encode())
    check(b" 400 " in out and b" 200 " not in out, f"HTTP/1.0: {out[:300]}")
    twice = f"POST /api/v0/version HTTP/1.1\r\n{host}Content-Length: 0\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    check(raw(node.api_port, twice.encode()).startswith(b"HTTP/1.1 200 "), "twice the same length is one")


def test_slow_clients(shop):
    """More of them than places, each with the beginning of a request: others are served on every face."""
    node = shop.node("slow")
    for port, method, path in ((node.api_port, "POST", "/api/v0/id"), (metrics_port(node), "GET", "/health")):
        held = []
        for _ in range(700):
            try:
                s = socket.create_connection(("127.0.0.1", port), timeout=60)
                held.append(s)
                s.sendall(b"GET / HTTP/1.1\r\nX-Slow: ")
            except ConnectionError:
                pass
        c = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        c.request(method, path)
        check(c.getresponse().status == 200, f"{path} during slow requests")
        for s in held:
            s.close()
    check(node.stop() == 0, "the node did not end well")


def test_a_walk_without_end_leaves_time_for_others(shop):
    """A folder of 40 levels, each of which links the one below twice: 2^40 ways down, all of them in memory."""
    node = shop.node("bomb")
    cid = node.text("dag", "put", "--store-codec=dag-pb", stdin=b'{"Data":{"/":{"bytes":"CAE"}},"Links":[]}')
    for _ in range(40):
        links = [{"Hash": {"/": cid}, "Name": name, "Tsize": 1} for name in "ab"]
        cid = node.text("dag", "put", "--store-codec=dag-pb", stdin=json.dumps({"Data": {"/": {"bytes": "CAE"}}, "Links": links}).encode())
    with socket.create_connection(("127.0.0.1", node.api_port), timeout=60) as s:
        s.sendall(f"POST /api/v0/files/stat?with-local=true&arg=/ipfs/{cid} HTTP/1.1\r\nHost: 127.0.0.1:{node.api_port}\r\n\r\n".encode())
        for _ in range(5):
            check(node.rpc("id", timeout=2)["ID"] == node.peer_id, "the node does not answer")
            time.sleep(0.1)  # while it walks


def test_other_sites(shop):
    """Pages of other sites, also under a name that leads to this machine, do not reach the RPC."""
    node = shop.node("sites")
    port = node.api_port
    for origin in ("http://evil.example", f"http://evil.example:{port}", "null", f"http://127.0.0.1:{port}.evil.example", "file://"):
        got = raw(port, f"POST /api/v0/id HTTP/1.1\r\nHost: evil.example:{port}\r\nConnection: close\r\nOrigin: {origin}\r\n"
                        "Content-Length: 0\r\n\r\n".encode())
        check(got.startswith(b"HTTP/1.1 403") and b"Access-Control-Allow-Origin" not in got, f"{origin}: {got[:80]!r}")
    for name in ("Identity.PrivKey", "Identity"):
        response, body = node.rpc_raw("config", [name])
        check(response.status == 500 and b"CAES" not in body, f"config {name}: {body!r}")


# ── files ───────────────────────────────────────────────────────────────────────────────────────


def test_strange_files(shop):
    node = shop.node("strange", start=False)
    folder = shop.path("folder")
    folder.mkdir()
    os.mkfifo(folder / "fifo")
    for path in ("/dev/zero", folder): # a pipe that is named itself is read, as a program's output
        check("neither" in error_of(node, "add", "-r", path, timeout=60), f"{path}")
    (folder / "fifo").unlink()
    (folder / "loop").symlink_to(".")
    (folder / "a").symlink_to("b")
    (folder / "b").symlink_to("a")
    check(node.text("add", "-r", "-Q", folder), "links that go round")
    named = shop.path("named")
    named.mkdir()
    for name in (b"new\nline\x1b[31m\x07", b"\xc2\x9b31m", b"\xff\xfe", "\u202egpj.exe".encode()):
        pathlib.Path(os.fsdecode(os.fsencode(named) + b"/" + name)).write_text("x")
    result = node.run("add", "-r", named)
    root = result.stdout.decode().splitlines()[-1].split()[1]
    for shown in (result.stdout, node.run("ls", root).stdout):
        text = shown.decode()
        check(not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text), f"on a terminal: {text!r}")
        check(len(text.splitlines()) in (4, 5), f"a name breaks the line: {text!r}")
    out = shop.path("named-out")
    node.run("get", root, "-o", out)
    check(sorted(os.listdir(os.fsencode(out))) == sorted(os.listdir(os.fsencode(named))), "names as they were")


def test_deep_folders(shop):
    node = shop.node("deep", start=False)
    top = shop.path("top")
    (top / "/".join(["d"] * 300)).mkdir(parents=True)
    (top / "/".join(["d"] * 300) / "file").write_text("at the bottom")
    root = node.text("add", "-r", "-Q", top)
    node.run("get", root, "-o", shop.path("top-out"))
    check((shop.path("top-out") / "/".join(["d"] * 300) / "file").read_text() == "at the bottom", "bottom")
    (top / "/".join(["d"] * 600)).mkdir(parents=True)
    check("deeper" in error_of(node, "add", "-r", top), "a limit that says so")


def test_get_spares_what_links_lead_to(shop):
    node = shop.node("links", start=False)
    cid = node.text("add", "-Q", stdin=b"new")
    victim = shop.path("victim")
    victim.write_text("own")
    (shop.path("link")).symlink_to(victim)
    node.run("get", cid, "-o", shop.path("link"), check_code=False)
    check(victim.read_text() == "own", "a link was followed")


def test_changing_file(shop):
    """A file that is cut and grows while it is read: an error or a whole CID, and the node goes on."""
    node = shop.node("changing")
    path = shop.file("changes", 64 * MIB)
    stop = threading.Event()

    def change():
        while not stop.is_set():
            os.truncate(path, 1 * MIB)
            os.truncate(path, 64 * MIB)

    worker = threading.Thread(target=change)
    worker.start()
    try:
        result = node.run("add", "-Q", path, check_code=False, timeout=120)
    finally:
        stop.set()
        worker.join()
    if result.returncode == 0:
        node.run("cat", "--offline", result.stdout.decode().strip())
    check(node.rpc("id")["ID"] == node.peer_id, "the node is gone")


# ── disks ───────────────────────────────────────────────────────────────────────────────────────


def damaged(shop, name, damage):
    """A repository with one file, and damage done to it while no node runs."""
    node = shop.node(name, start=False)
    path = shop.file(f"{name}-file", 3 * MIB)
    cid = node.text("add", "-Q", path)
    damage(node.repo)
    return node, cid, path


def flip(path, at):
    data = bytearray(path.read_bytes())
    data[at] ^= 0x40
    path.write_bytes(data)


def never_wrong(node, cid, path):
    """The bytes, or an error; never other bytes."""
    result = node.run("cat", "--offline", cid, check_code=False, timeout=60)
    if result.returncode == 0:
        check(result.stdout == path.read_bytes(), "wrong bytes were given out")
    else:
        check(path.read_bytes().startswith(result.stdout), "wrong bytes were given out before the error")
    return result.returncode == 0


def test_flipped_bits(shop):
    node, cid, path = damaged(shop, "flipped", lambda repo: flip(repo / "blocks/pack/00000001.seg", 1500000))
    check(not never_wrong(node, cid, path), "a flipped bit goes unnoticed")
    result = node.run("repo", "verify", check_code=False)
    check(result.returncode != 0, "repo verify finds nothing")
    check("verify --drop" in error_of(node, "cat", "--offline", cid), "the error does not say what helps")
    node.run("repo", "verify", "--drop", check_code=False)
    check(node.text("add", "-Q", path) == cid and never_wrong(node, cid, path), "adding again does not mend it")


def test_truncated_segment(shop):
    node, cid, path = damaged(shop, "cut", lambda repo: os.truncate(repo / "blocks/pack/00000001.seg", 2000000))
    check(not never_wrong(node, cid, path), "half a segment is served as a whole one")
    check(node.text("add", "-Q", path) == cid and never_wrong(node, cid, path), "adding again does not mend it")


def test_index_gone_or_damaged(shop):
    def remove(repo):
        (repo / "blocks/index/data.mdb").unlink()

    def empty(repo):
        os.truncate(repo / "blocks/index/data.mdb", 0)

    def cut(repo):
        os.truncate(repo / "blocks/index/data.mdb", 4096)

    def noise(repo):
        (repo / "blocks/index/data.mdb").write_bytes(os.urandom(40960))

    for number, damage in enumerate((remove, empty, cut, noise)):
        node, cid, path = damaged(shop, f"index-{number}", damage)
        if not never_wrong(node, cid, path):
            check(damage is not remove, "a lost index is not rebuilt")
            text = error_of(node, "cat", "--offline", cid)
            check(re.search("index|corrupt", text), f"{damage.__name__}: {text}")


def test_state_damaged(shop):
    def noise(repo):
        (repo / "state.db").write_bytes(os.urandom(8192))

    def cut(repo):
        os.truncate(repo / "state.db", 1000)

    for number, damage in enumerate((noise, cut)):
        node, cid, path = damaged(shop, f"state-{number}", damage)
        text = error_of(node, "pin", "ls")
        check("state.db" in text or "state" in text, text)
        check((node.repo / "blocks/pack/00000001.seg").stat().st_size > 3 * MIB, "blocks were touched")


def test_no_byte_left(shop):
    """A disk that is full to the last byte before the repository is used for the first time: an error, no crash."""
    if os.geteuid() != 0:
        return
    mount = shop.path("tiny")
    mount.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", mount], check=True)
    try:
        node = nodes.Node(shop.program, mount, "repo")
        (mount / "fill").write_bytes(b"")
        with open(mount / "fill", "ab", buffering=0) as fill:
            try:
                while fill.write(bytes(1024)):
                    pass
            except OSError:
                pass
        result = node.run("pin", "ls", check_code=False)
        check(result.returncode in (0, 1), f"exit {result.returncode}: {result.stderr!r}")
        (mount / "fill").unlink()
        check(node.text("add", "-Q", stdin=b"x"), "room does not help")
    finally:
        subprocess.run(["umount", mount], check=True)


# ── secrets ─────────────────────────────────────────────────────────────────────────────────────


def test_private_files(shop):
    """Whatever the umask is: others read nothing of a repository."""
    program = os.path.abspath(shop.program)
    repo = shop.path("open-umask")
    old = os.umask(0)
    try:
        env = {**os.environ, "DISTRIBUTE_PATH": str(repo)}
        subprocess.run([program, "init", "--profile=test"], env=env, check=True, capture_output=True)
        subprocess.run([program, "add", "-Q"], input=b"x", env=env, check=True, capture_output=True)
    finally:
        os.umask(old)
    for path in [repo, *repo.rglob("*")]:
        if path.name != "version":
            check(path.stat().st_mode & 0o077 == 0, f"{path} is open to others: {oct(path.stat().st_mode)}")


def test_no_core_dumps(shop):
    """A process that may not be dumped belongs to root in /proc, whoever runs it."""
    node = shop.node("core", start=False)
    who = 65534 if os.geteuid() == 0 else os.geteuid()
    if os.geteuid() == 0:
        os.chmod(shop.folder, 0o755)
        subprocess.run(["chown", "-R", str(who), node.repo], check=True)
    process = subprocess.Popen([node.program, *node.start_words()], env=node.env(), user=who if os.geteuid() == 0 else None,
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        while (line := process.stdout.readline()) and b"ready" not in line:
            pass
        check(line, "the node did not start")
        check(os.stat(f"/proc/{process.pid}/environ").st_uid == 0, "the process can be dumped and traced")
        key = json.loads((node.repo / "config").read_text())["Identity"]["PrivKey"]
        check(key.encode() not in pathlib.Path(f"/proc/{process.pid}/cmdline").read_bytes(), "the key is on the command line")
    finally:
        process.kill()
        process.wait()
