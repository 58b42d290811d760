"""What goes wrong around a node: files it may not read, disks that are full, kills, damage, ports that are taken, hosts that
speak nonsense or nothing, output that nobody takes. Each ends in one clear line, and what was acknowledged stays. Run by
run.py."""
import http.client
import json
import os
import pathlib
import pty
import re
import resource
import shutil
import signal
import socket
import subprocess
import threading
import time

import nodes
from nodes import check, fails, wait_until

MIB = 1 << 20
NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
SOMEBODY = "12D3KooWE6PGgXS9VMcr6Bwb415G2KqyE7Zd55mWArdwAcKLr3EY"


def need(condition, what):
    if not condition:
        raise nodes.Skip(what)


def is_root():
    return os.geteuid() == 0


def error_lines(data):
    return [line for line in data.decode(errors="replace").splitlines() if line and not line.startswith("{")]


# ── files and rights ────────────────────────────────────────────────────────────────────────────


def as_nobody(shop, node, *words):
    result = subprocess.run([*NOBODY, node.program, *map(str, words)], env=node.env(), capture_output=True, timeout=60,
                            stdin=subprocess.DEVNULL, cwd="/")
    lines = error_lines(result.stderr)
    return result.returncode, lines


def test_repository_without_permission(shop):
    need(is_root() and shutil.which("setpriv"), "root and setpriv")
    node = shop.node("private", start=False)
    os.chmod(shop.folder, 0o755)
    for mode in (0o700, 0o755):  # not even the folder; the folder, but no file in it
        os.chmod(node.repo, mode)
        for words in (["id"], ["node", "--api-port=0", "--gateway-port=0", "--metrics-port=0"], ["add", "/etc/hostname"]):
            code, lines = as_nobody(shop, node, *words)
            check(code == 1 and len(lines) == 1, f"{words} at {mode:o}: exit {code}, said {lines}")
            check(re.search("permission|denied|not permitted", lines[0], re.I) and str(node.repo) in lines[0], f"{words}: {lines[0]}")
    code, lines = as_nobody(shop, node, "init", "--repo", shop.path("not-here"))
    check(code == 1 and len(lines) == 1 and "not-here" in lines[0], f"init in a folder of root: exit {code}, said {lines}")


def test_repository_that_may_only_be_read(shop):
    """Readable, not writable: no command pretends that it changed something."""
    need(is_root() and shutil.which("setpriv"), "root and setpriv")
    node = shop.node("read-only", start=False)
    node.text("add", "-Q", shop.file("x", 1000))
    os.chmod(shop.folder, 0o755)
    subprocess.run(["chmod", "-R", "a+rX,a-w", node.repo], check=True)
    code, lines = as_nobody(shop, node, "add", "/etc/hostname")
    check(code == 1 and len(lines) == 1, f"add: exit {code}, said {lines}")
    subprocess.run(["chmod", "-R", "u+w", node.repo], check=True)


def test_input_without_permission(shop):
    need(is_root() and shutil.which("setpriv"), "root and setpriv")
    node = shop.node("reader", start=False)
    os.chmod(shop.folder, 0o755)
    subprocess.run(["chown", "-R", "65534:65534", node.repo], check=True)
    secret = shop.file("secret", 100)
    os.chmod(secret, 0o600)
    folder = shop.path("some-folder")
    folder.mkdir()
    (folder / "open").write_text("x")
    (folder / "shut").write_text("x")
    os.chmod(folder / "shut", 0)
    for words, name in ((["add", secret], "secret"), (["add", "-r", folder], "shut"), (["config", "replace", secret], "secret")):
        code, lines = as_nobody(shop, node, *words)
        check(code == 1 and len(lines) == 1 and name in lines[0] and "ermission" in lines[0], f"{words}: exit {code}, said {lines}")


def test_odd_inputs(shop):
    node = shop.node("odd", start=False)
    fifo = shop.path("a-pipe")
    os.mkfifo(fifo)
    adding = node.begin("add", "-Q", fifo)  # waits for whoever writes
    fifo.write_bytes(b"through a pipe\n")
    out, error = adding.communicate(timeout=60)
    plain = shop.path("plain")
    plain.write_bytes(b"through a pipe\n")
    check(adding.returncode == 0 and out.decode().strip() == node.text("add", "-Q", plain), f"add of a pipe: {out} {error}")
    fails(node, "add", shop.path("x" * 300), saying="too long|no such file")
    fails(node, "add", "", code=None, saying=".")
    fails(node, "cat", "Qm" + "1" * 5000, saying=".")
    fails(node, "block", "put", "/dev/full/x", saying="full")
    name = "bad\x1b[31m\nname\x07"
    folder = shop.path("names")
    folder.mkdir()
    (folder / name).write_text("x")
    root = node.run("add", "-r", "-Q", folder).stdout.decode().strip()
    for words in (["ls", root], ["add", "-r", folder]):
        out = node.run(*words).stdout
        check(b"\x1b" not in out and b"\x07" not in out, f"{words} sends control bytes of a name to the terminal: {out!r}")
    out = shop.path("names-out")
    node.run("get", root, "-o", out)
    check(os.listdir(out) == [name], f"get wrote {os.listdir(out)}")
    link = {"Hash": {"/": root}, "Name": "a\x00b", "Tsize": 1}
    odd = node.run("dag", "put", "--store-codec=dag-pb", stdin=json.dumps({"Data": {"/": {"bytes": "CAE"}}, "Links": [link]}).encode())
    odd = odd.stdout.decode().strip()
    for words in (["ls", odd], ["ls", "--stream", odd]):
        check("a\\x00b/" in node.text(*words), f"{words} ends a name at its NUL: {node.text(*words)!r}")
    node.run("files", "cp", f"/ipfs/{odd}", "/odd")
    check(node.text("files", "ls", "/odd") == "a\\x00b", f"files ls ends a name at its NUL: {node.text('files', 'ls', '/odd')!r}")


def test_output_that_nobody_takes(shop):
    node = shop.node("pipes", start=False)
    cid = node.text("add", "-Q", shop.file("long", 8 * MIB))
    cat = node.begin("cat", cid)
    check(len(cat.stdout.read(10)) == 10, "cat begins")
    cat.stdout.close()
    check(error_lines(cat.stderr.read()) == [], "cat complains when its reader leaves")
    cat.wait(30)
    with open("/dev/full", "wb") as full:
        result = subprocess.run([node.program, "cat", cid], stdout=full, stderr=subprocess.PIPE, env=node.env(), timeout=60)
    lines = error_lines(result.stderr)
    check(result.returncode == 1 and len(lines) == 1 and "space" in lines[0], f"cat to a full device: {result.returncode} {lines}")
    fails(node, "get", cid, "-o", "/dev/full/x", saying="/dev/full/x")
    fails(node, "get", cid, "-o", "/nonexistent/x", saying="/nonexistent/x")


def test_progress_on_terminals_alone(shop):
    node = shop.node("tty", start=False)
    path = shop.file("shown", 40 * MIB)
    check(b"\r" not in node.run("add", path).stderr, "progress without a terminal")
    master, slave = pty.openpty()
    process = subprocess.Popen([node.program, "add", "-n", path], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=slave,
                               env=node.env())
    os.close(slave)
    seen = b""
    try:
        while piece := os.read(master, 4096):
            seen += piece
    except OSError:  # the other end is closed
        pass
    os.close(master)
    check(process.wait(60) == 0, "add")
    check(b"/s" in seen and b"\r" in seen, f"no progress on a terminal: {seen!r}")


def test_json_is_json(shop):
    node, other = shop.node("json"), shop.node("json-other")
    cid = node.text("add", "-Q", shop.file("j", 300000))
    node.connect(other)
    for words in (["id"], ["ls", cid], ["pin", "ls"], ["status", cid], ["swarm", "peers"], ["peers"], ["repo", "stat"], ["version"],
                  ["config", "show"], ["config", "--enc=json", "Addresses"], ["block", "stat", cid], ["dht", "inspect"], ["bitswap", "stat"],
                  ["refs", cid], ["resolve", cid], ["bootstrap"], ["swarm", "addrs"], ["ping", "-n", "1", other.peer_id], ["add", "-Q", shop.path("j")]):
        out = node.run(*words, "--json" if "--enc=json" not in words and words[0] != "config" else "--enc=json").stdout.decode()
        for line in out.splitlines() if not out.startswith("{\n") else [out]:
            check(isinstance(json.loads(line), dict), f"{words}: {line}")


# ── disks ───────────────────────────────────────────────────────────────────────────────────────


class SmallDisk:
    """A file system of some MiB; with block_bytes one of that block size in a file."""

    def __init__(self, shop, name, mib, block_bytes=0):
        need(is_root(), "root")
        self.path = shop.path(name)
        self.path.mkdir()
        words = ["-t", "tmpfs", "-o", f"size={mib}m", "tmpfs"]
        if block_bytes:
            need(shutil.which("mkfs.ext4"), "mkfs.ext4")
            image = shop.path(f"{name}.image")
            with open(image, "wb") as file:
                file.truncate(mib * MIB)
            subprocess.run(["mkfs.ext4", "-q", "-F", "-m", "0", "-b", str(block_bytes), image], check=True)
            words = ["-o", "loop", image]
        done = subprocess.run(["mount", *words, self.path], capture_output=True)
        need(done.returncode == 0, f"mount: {done.stderr.decode().strip()}")

    def __enter__(self):
        return self.path

    def __exit__(self, *_):
        subprocess.run(["umount", "-l", self.path], check=True)


def check_full_disk(shop, profile):
    with SmallDisk(shop, f"disk-{profile}", 24) as disk:
        node = nodes.Node(shop.program, disk, "repo", profile=profile)
        shop.daemons.append(node)
        node.start()
        small = node.text("add", "-Q", shop.file("small", MIB))
        large = shop.file("large", 64 * MIB)
        fails(node, "add", "-q", large, saying="space|full")
        check(node.rpc("id")["ID"] == node.peer_id, "the node ended")
        check(node.run("cat", small).stdout == shop.path("small").read_bytes(), "what was acknowledged is gone")
        large_cid = node.text("add", "-n", "-Q", large)
        fails(node, "cat", "--offline", large_cid, saying="could not find|not found")
        check(large_cid not in node.text("pin", "ls", "-q", "-t", "recursive"), "half a file is pinned")
        node.run("repo", "gc")
        again = node.text("add", "-Q", shop.file("again", 2 * MIB))
        check("error" not in node.text("repo", "verify").lower(), "repo verify finds damage")
        giver = shop.node(f"giver-{profile}")
        cid = giver.text("add", "-Q", large)
        node.connect(giver)
        fails(node, "pin", "add", "--timeout=60s", cid, saying="space|full|time")
        check(node.run("cat", again).stdout == shop.path("again").read_bytes(), "what was acknowledged is gone after a fetch")
        node.kill()
        node.start()
        check(node.run("cat", small).stdout == shop.path("small").read_bytes(), "what was acknowledged is gone after a kill")
        node.stop()


def test_full_disk_under_a_running_node(shop):
    check_full_disk(shop, "test")


def test_full_disk_under_a_running_node_flatfs(shop):
    check_full_disk(shop, "test,flatfs")


def fill_disk(disk):
    with open(disk / "filler", "wb", buffering=0) as filler:
        try:
            while filler.write(bytes(4096)):
                pass
        except OSError:
            pass


def test_full_disk_at_start(shop):
    """A repository that has not been used yet, so that its index is made now; and one that has."""
    for is_used in (False, True):
        with SmallDisk(shop, f"start-{is_used}", 8) as disk:
            node = nodes.Node(shop.program, disk, "repo")
            cid = node.text("add", "-Q", shop.file("kept", 100000)) if is_used else None
            fill_disk(disk)
            fails(node, "add", "-q", shop.file("more", 100000), saying="no space|full")
            os.unlink(disk / "filler")
            if is_used:
                check(node.run("cat", cid).stdout == shop.path("kept").read_bytes(), "what was acknowledged is gone")


def test_full_disk_of_small_blocks(shop):
    """What is mapped there has holes, and a write to one of them is a bus error."""
    with SmallDisk(shop, "small-blocks", 16, block_bytes=1024) as disk:
        node = nodes.Node(shop.program, disk, "repo")
        cid = node.text("add", "-Q", shop.file("kept", 100000))
        for room in (0, 40, 64, 80):  # KiB
            fill_disk(disk)
            os.truncate(disk / "filler", (disk / "filler").stat().st_size - room * 1024)
            fails(node, "add", "-q", shop.file("more", MIB), saying="free some space")
        os.unlink(disk / "filler")
        check(node.run("cat", cid).stdout == shop.path("kept").read_bytes(), "what was acknowledged is gone")


def test_full_disk_at_init(shop):
    with SmallDisk(shop, "no-room", 1) as disk:
        fill_disk(disk)
        env = {**os.environ, "DISTRIBUTE_PATH": str(disk / "repo")}
        result = subprocess.run([shop.program, "init"], env=env, capture_output=True, timeout=60)
        lines = error_lines(result.stderr)
        check(result.returncode == 1 and len(lines) == 1 and re.search("space|full", lines[0]), f"{result.returncode} {lines}")


def flip_byte(path, at):
    with open(path, "r+b") as f:
        f.seek(at)
        byte = f.read(1)
        f.seek(at)
        f.write(bytes([byte[0] ^ 0x55]))


def test_damaged_blocks_are_not_served(shop):
    for profile in ("test", "test,flatfs"):
        node = shop.node(f"damaged-{'flat' if 'flat' in profile else 'pack'}", profile=profile, start=False)
        path = shop.file("victim", 3 * MIB)
        cid = node.text("add", "-Q", path)
        other = node.text("add", "-Q", shop.file("other", 100000))
        files = sorted((p for p in (node.repo / "blocks").rglob("*") if p.suffix in (".seg", ".data")), key=lambda p: -p.stat().st_size)
        flip_byte(files[0], files[0].stat().st_size // 2)
        result = node.run("cat", "--offline", cid, check_code=False)
        check(result.returncode == 1, f"{profile}: a damaged file is given out with exit 0")
        check(path.read_bytes().startswith(result.stdout), f"{profile}: wrong bytes came out")
        check(len(error_lines(result.stderr)) == 1, f"{profile}: {result.stderr!r}")
        verify = node.run("repo", "verify", check_code=False)
        said = (verify.stdout + verify.stderr).decode().lower()
        check(verify.returncode != 0 and re.search("corrupt|damaged|not match|1 ", said), f"{profile}: verify said {said!r}")
        check(node.run("cat", other).stdout == shop.path("other").read_bytes(), f"{profile}: the rest is gone, too")
        node.run("repo", "verify", "--drop", check_code=False)
        check(node.text("add", "-Q", path) == cid and node.run("cat", cid).stdout == path.read_bytes(), f"{profile}: adding again does not heal")


def test_lost_index(shop):
    """The pack store's index is made anew from the segments."""
    node = shop.node("no-index", start=False)
    path = shop.file("kept", 5 * MIB)
    cid = node.text("add", "-Q", path)
    for index in [p for p in (node.repo / "blocks").rglob("*") if "index" in p.name]:
        shutil.rmtree(index) if index.is_dir() else index.unlink()
    check(node.run("cat", cid).stdout == path.read_bytes(), "gone with the index")
    check("error" not in node.text("repo", "verify").lower(), "repo verify")


# ── kills ───────────────────────────────────────────────────────────────────────────────────────


def check_kill_of_a_large_add(shop, name, profile, offline):
    """kill -9 in the midst of one large add: it was not acknowledged, so it is there whole or not at all."""
    node = shop.node(name, profile=profile, start=not offline)
    kept = node.text("add", "-Q", shop.file("kept", 700000))
    large = shop.file("large", 256 * MIB)
    cid = node.text("add", "-n", "-Q", large)
    for at in (0.05, 0.15, 0.3):
        add = node.begin("add", "-Q", large)
        time.sleep(at)  # anywhere in its course
        (add if offline else node.process).kill()
        if offline:
            add.wait()
        else:
            node.kill()
        out, error = add.communicate(timeout=60)
        acknowledged = cid.encode() in out
        check(acknowledged or offline or len(error_lines(error)) == 1, f"the client said {error!r}")
        if not offline:
            node.start()
        check(node.run("cat", kept).stdout == shop.path("kept").read_bytes(), "what was acknowledged is gone")
        result = node.run("cat", "--offline", cid, check_code=False)
        whole = result.stdout == large.read_bytes()
        check(whole if result.returncode == 0 else not acknowledged, f"half a file is served, exit {result.returncode}")
        check(large.read_bytes().startswith(result.stdout), "other bytes")
        if not whole:
            check(cid not in node.text("pin", "ls", "-q", "-t", "recursive").split(), "half a file is pinned")
        check("error" not in node.text("repo", "verify").lower(), "repo verify finds damage")
    check(node.text("add", "-Q", large) == cid, "the add works afterwards")
    check(node.text("pin", "verify") == "", "pin verify")


def test_kill_during_a_large_add(shop):
    check_kill_of_a_large_add(shop, "kill-daemon", "test", False)


def test_kill_during_a_large_add_flatfs(shop):
    check_kill_of_a_large_add(shop, "kill-flat", "test,flatfs", False)


def test_kill_during_a_large_add_without_a_node(shop):
    check_kill_of_a_large_add(shop, "kill-offline", "test", True)


def test_kill_during_gc(shop):
    node = shop.node("kill-gc", start=False)
    kept = [(node.text("add", "-Q", shop.file(f"k{i}", 300000)), f"k{i}") for i in range(5)]
    for at in (0.0, 0.01, 0.03, 0.1):
        for i in range(20):
            node.text("add", "-Q", "--pin=false", shop.file(f"d{i}-{at}", 400000))
        gc = node.begin("repo", "gc")
        time.sleep(at)
        gc.kill()
        gc.wait()
        check("error" not in node.text("repo", "verify").lower(), "repo verify finds damage")
        for cid, name in kept:
            check(node.run("cat", cid).stdout == shop.path(name).read_bytes(), f"pinned {name} is gone")
    node.run("repo", "gc")
    check(int(re.search(r"NumObjects: (\d+)", node.text("repo", "stat"))[1]) < 40, "gc leaves garbage")


def test_killed_node_leaves_no_obstacle(shop):
    node = shop.node("leftovers")
    cid = node.text("add", "-Q", shop.file("x", 1000))
    node.kill()
    check((node.repo / "api").exists(), "the killed node took its address along")
    check(node.run("cat", cid).stdout == shop.path("x").read_bytes(), "a command without the node")
    node.start()
    check(node.run("cat", cid).stdout == shop.path("x").read_bytes(), "a command with it")


def test_stop_while_busy(shop):
    """SIGTERM in the middle of an upload and of a fetch that waits for a peer: ends soon, with 0, and says nothing false."""
    for number in (signal.SIGTERM, signal.SIGINT):
        node = shop.node(f"busy-{number}")
        waiting = node.begin("cat", "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG")
        connection = socket.create_connection(("127.0.0.1", node.api_port))
        connection.sendall(b"POST /api/v0/add HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=B\r\n"
                           b"Transfer-Encoding: chunked\r\n\r\n5\r\n--B\r\n\r\n")
        wait_until(lambda: node.rpc("bitswap/stat")["Wantlist"], 60, "the fetch waits")
        node.process.send_signal(number)
        check(node.process.wait(20) == 0, f"exit {node.process.returncode}")
        out, error = waiting.communicate(timeout=60)
        check(waiting.returncode == 1 and len(error_lines(error)) == 1 and not out, f"the waiting command said {error!r}")
        connection.close()
        node.close_files()


# ── ports and hosts ─────────────────────────────────────────────────────────────────────────────


def test_default_ports_that_are_taken(shop):
    """In a network of its own: the second node takes the next free ports and warns."""
    need(is_root() and shutil.which("unshare") and shutil.which("nsenter") and shutil.which("ip"), "root, unshare, nsenter and ip")
    started = []

    def start(name, *prefix):
        node = nodes.Node(shop.program, shop.folder, name, profile="default")
        out, error = open(shop.path(f"{name}.o"), "wb"), open(shop.path(f"{name}.e"), "wb")
        process = subprocess.Popen([*prefix, node.program, "node"], stdin=subprocess.DEVNULL, stdout=out, stderr=error, env=node.env())
        started.append(process)
        wait_until(lambda: b"Daemon is ready" in shop.path(f"{name}.o").read_bytes() or process.poll() is not None, 60, f"{name} is ready")
        check(process.poll() is None, f"{name}: {shop.path(f'{name}.e').read_text()}")
        return process, shop.path(f"{name}.o").read_text(), shop.path(f"{name}.e").read_text()

    try:
        if subprocess.run(["unshare", "-n", "true"], capture_output=True).returncode:
            raise nodes.Skip("network namespaces")
        first, text, _ = start("ports-1", "unshare", "-n", "sh", "-c", 'ip link set lo up && exec "$@"', "sh")
        check(all(p in text for p in ("tcp/5001", "tcp/8080", ":4001", ":9090")), text)
        second, text, errors = start("ports-2", "nsenter", "-t", str(first.pid), "-n")
        check(all(p in text for p in ("tcp/5002", "tcp/8081", ":4002", ":9091")), text)
        warnings = [json.loads(line) for line in errors.splitlines() if '"warn"' in line]
        check(len(warnings) >= 4, f"warnings: {warnings}")
    finally:
        for process in started:
            if process.poll() is None:
                process.terminate()
            process.wait(30)


def test_configured_ports_that_are_taken(shop):
    """A port that the config asks for is as good as one of the command line."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        address = f"/ip4/127.0.0.1/tcp/{port}"
        for key, option in (("Addresses__API", "--api-port"), ("Addresses__Gateway", "--gateway-port"), ("Addresses__Swarm", "--listen"),
                            (None, "--metrics-port")):
            node = shop.node(f"taken{option}", start=False)
            words = [w for w in node.start_words() if not w.startswith(option)]
            if key:
                node.configure(**{key: [address] if "Swarm" in key else address})
            else:
                words.append(f"{option}={port}")
            result = subprocess.run([node.program, *words], env=node.env(), capture_output=True, timeout=60)
            lines = error_lines(result.stderr)
            check(result.returncode == 1 and len(lines) == 1 and str(port) in lines[0], f"{option}: {result.returncode} {lines}")
            check(node.text("id", "-f=<id>") == node.identity(), f"{option}: the repository is unusable afterwards")


class Listener:
    """A TCP server that answers each connection by `answer(socket)`, in threads that end with it."""

    def __init__(self, answer):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.answer, self.open = answer, []
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            self.open.append(connection)
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        try:
            self.answer(connection)
        except OSError:
            pass

    def close(self):
        self.socket.close()
        for connection in self.open:
            connection.close()


def test_hosts_that_speak_nonsense(shop):
    node = shop.node("dials")
    answers = {"http": lambda s: (s.recv(100), s.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n"), s.close()),
               "garbage": lambda s: (s.sendall(os.urandom(100000)), s.close()),
               "endless": lambda s: [s.sendall(b"\x13/multistream/1.0.0\n" * 1000) for _ in range(10000)],
               "no": lambda s: (s.sendall(b"\x13/multistream/1.0.0\n\x03na\n\x03na\n\x03na\n"), s.recv(1000), s.close()),
               "noise": lambda s: (s.sendall(b"\x13/multistream/1.0.0\n\x07/noise\n"), s.recv(1000), s.sendall(b"\x00\x60" + os.urandom(96)), s.recv(1000)),
               "closes": lambda s: s.close(),
               "echo": lambda s: [s.sendall(s.recv(1000)) for _ in range(100)]}
    before = node.memory()[0]
    for name, answer in answers.items():
        listener = Listener(answer)
        fails(node, "swarm", "connect", f"/ip4/127.0.0.1/tcp/{listener.port}/p2p/{SOMEBODY}", saying="connect|dial|peer", timeout=120)
        listener.close()
    check(node.rpc("id")["ID"] == node.peer_id, "the node ended")
    check(not node.peers(), f"connected to nonsense: {node.peers()}")
    check(node.memory()[0] - before < 16 * MIB, "memory grew with nonsense")


def test_hosts_that_say_nothing(shop):
    node = shop.node("patient")
    listener = Listener(lambda s: s.recv(1))
    began = time.monotonic()
    fails(node, "swarm", "connect", "--timeout=3s", f"/ip4/127.0.0.1/tcp/{listener.port}/p2p/{SOMEBODY}", saying="time|deadline", timeout=120)
    check(time.monotonic() - began < 30, "the time-out was not kept")
    listener.close()
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    fails(node, "swarm", "connect", f"/ip4/127.0.0.1/tcp/{port}/p2p/{SOMEBODY}", saying="refused")


def test_wrong_peer_id(shop):
    a, b = shop.node("right"), shop.node("asks")
    address = a.addresses[0].replace(a.peer_id, SOMEBODY)
    fails(b, "swarm", "connect", address, saying="instead of")
    check(not b.peers(), "connected to somebody else")


def test_nonsense_over_http(shop):
    node = shop.node("http")
    requests = [b"\x00" * 1000, b"GET\r\n\r\n", b"POST /api/v0/id HTTP/9.9\r\n\r\n", b"GET / HTTP/1.1\r\n" + b"X: " + b"a" * 100000 + b"\r\n\r\n",
                b"POST /api/v0/add HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZZZ\r\n", b"POST /api/v0/id HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
                b"POST /api/v0/id HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcde",
                b"POST /api/v0/cat?arg=%zz HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", b"POST /api/v0/" + b"a/" * 4000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
                b"GET /ipfs/" + b"%41" * 5000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", b"GET /ipfs/../../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n",
                b"POST /api/v0/id?" + b"arg=x&" * 8000 + b" HTTP/1.1\r\nHost: x\r\n\r\n"]
    for port in (node.api_port, node.gateway_port):
        for request in requests:
            with socket.create_connection(("127.0.0.1", port), timeout=60) as s:
                answer = b""
                try:
                    s.sendall(request)
                    s.shutdown(socket.SHUT_WR)
                    while piece := s.recv(65536):
                        answer += piece
                except TimeoutError:
                    check(False, f"{request[:60]!r}: neither an answer nor an end")
                except OSError:  # cut, which is an answer, too
                    pass
                check(not answer or re.match(rb"HTTP/1.[01] [2345]\d\d ", answer), f"{request[:60]!r}: {answer[:100]!r}")
                check(b"root:" not in answer, "a file of the machine is served")
    check(node.rpc("id")["ID"] == node.peer_id, "the node ended")


def test_many_clients_at_once(shop):
    """200 connections that say nothing keep nobody out."""
    node = shop.node("crowd")
    cid = node.text("add", "-Q", shop.file("c", 5000))
    silent = [socket.create_connection(("127.0.0.1", port)) for port in (node.gateway_port, node.api_port) for _ in range(100)]
    connection = http.client.HTTPConnection("127.0.0.1", node.gateway_port, timeout=60)
    connection.request("GET", f"/ipfs/{cid}")
    check(connection.getresponse().read() == shop.path("c").read_bytes(), "the gateway answers others")
    connection.close()
    check(node.run("cat", cid).stdout == shop.path("c").read_bytes(), "the RPC answers others")
    for s in silent:
        s.close()


def test_out_of_descriptors(shop):
    """Connections that take every descriptor: when they are gone, the node answers again."""
    node = shop.node("short")
    pid = node.process.pid
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (48, 48))
    held = [socket.create_connection(("127.0.0.1", port)) for _ in range(100) for port in (node.gateway_port, node.api_port)]
    wait_until(lambda: len(os.listdir(f"/proc/{pid}/fd")) >= 47, 60, "no descriptor is left")
    for s in held:
        s.close()
    check(node.rpc_raw("id", timeout=30)[0].status == 200, "it does not answer any more")


# ── replication ─────────────────────────────────────────────────────────────────────────────────


def test_holders_accept_from_their_list_alone(shop):
    owner, friend, stranger = (shop.node(name, start=False) for name in ("owner", "friend", "stranger"))
    owner.configure(Replication__AllowFrom=[friend.identity(), stranger.identity()])
    friend.configure(Replication__AllowFrom=[owner.identity()])
    for node in (owner, friend, stranger):
        node.start()
    for other in (friend, stranger):
        owner.connect(other)
    path = shop.file("copies", 3 * MIB)
    cid = owner.text("add", "-Q", path)
    owner.run("pin", "add", "--replicas=2", "--timeout=120s", cid)
    wait_until(lambda: "replication factor: 2/2" in owner.text("status", cid), 60, "two copies")
    check(friend.run("cat", "--offline", cid).stdout == path.read_bytes(), "the holder has other bytes")
    fails(stranger, "cat", "--offline", cid, saying="could not find|not found")
    check("Local: yes" in friend.text("status", cid), "the holder's status")
    # three copies cannot be, for the stranger refuses: status tells the truth
    owner.run("pin", "add", "--replicas=3", "--timeout=20s", cid, check_code=False)
    check("Peers: 2 (replication factor: 2/" in owner.text("status", cid), owner.text("status", cid))
    check("Local: no" in stranger.text("status", cid), "the stranger's status")
