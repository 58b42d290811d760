"""Real processes for tests, the demonstration and the benchmarks: our node and Kubo, each with a repository of its own
below a temporary folder, free ports on loopback, and an end that is always reached."""
import base64
import contextlib
import hashlib
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.parse

READY_SECONDS = 60


class Failure(Exception):
    """A check that did not hold."""


class Skip(Exception):
    """This machine cannot show it; the text names what is missing."""


def check(condition, text):
    if not condition:
        raise Failure(text)


def wait_until(condition, seconds, what, every=0.1):
    """Polls processes that this test cannot step; gives the condition's value."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Failure(f"{what}: not within {seconds} s")
        time.sleep(every)


def need_quic(program):
    """A build without QUIC has its words for that in it."""
    if b"this build has no QUIC" in pathlib.Path(program).read_bytes():
        raise Skip("a build with QUIC")


def make_bytes(seed, size):
    """Bytes from a seed that do not compress: SHAKE-256 in pieces."""
    out = bytearray()
    counter = 0
    while len(out) < size:
        piece = min(size - len(out), 1 << 24)
        out += hashlib.shake_256(f"{seed}/{counter}".encode()).digest(piece)
        counter += 1
    return bytes(out)


def sha256_file(path):
    digest = hashlib.sha256()
    with open(path, "rb") as f:
        while piece := f.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def hash_tree(folder):
    """Names, kinds, modes, times of change and contents of all that is below a folder, as one hash."""
    digest = hashlib.sha256()
    for path in sorted(pathlib.Path(folder).rglob("*")):
        info = path.lstat()
        digest.update(f"{path.relative_to(folder)} {info.st_mode} {info.st_mtime_ns} {info.st_size}\n".encode())
        if path.is_file():
            digest.update(path.read_bytes())
    return digest.hexdigest()


def raw_cid(qm):
    """The CIDv1 with codec raw of a CIDv0: the collector knows blocks by their multihash alone and prints them so."""
    digits = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
    number = 0
    for character in qm:
        number = number * 58 + digits.index(character)
    binary = b"\x01\x55" + number.to_bytes(34, "big")
    return "b" + base64.b32encode(binary).decode().lower().rstrip("=")


class Daemon:
    """A node process. Subclasses say how it is started and what its ready lines look like."""

    def __init__(self, program, folder, name):
        self.program = str(program)
        self.name = name
        self.repo = pathlib.Path(folder) / name
        self.process = self.out_file = self.err_file = None
        self.out_path = pathlib.Path(folder) / f"{name}.out"
        self.err_path = pathlib.Path(folder) / f"{name}.err"
        self.api_port = self.gateway_port = 0
        self.peer_id = ""
        self.addresses = []
        self.environment = {}
        self.helpers = []
        self.inside = contextlib.nullcontext  # where its processes and connections begin: a network namespace

    # ── running ──
    def env(self):
        keep = {k: v for k, v in os.environ.items() if k not in ("IPFS_PATH", "DISTRIBUTE_PATH")}
        keep.update(self.environment)
        return keep

    def run(self, *words, stdin=None, stdout=subprocess.PIPE, check_code=True, timeout=300, cwd=None):
        with self.inside():
            result = subprocess.run([self.program, *map(str, words)], input=stdin, stdout=stdout, stderr=subprocess.PIPE,
                                    env=self.env(), timeout=timeout, cwd=cwd)
        if check_code and result.returncode:
            raise Failure(f"{self.name}: {' '.join(map(str, words))}: exit {result.returncode}: "
                          f"{result.stderr.decode(errors='replace').strip()[-500:]}")
        return result

    def begin(self, *words, **options):
        """Starts a command that is ended with the daemon, at the latest."""
        with self.inside():
            self.helpers.append(subprocess.Popen([self.program, *map(str, words)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                                 stderr=subprocess.PIPE, env=self.env(), **options))
        return self.helpers[-1]

    def text(self, *words, **options):
        return self.run(*words, **options).stdout.decode().strip()

    def start(self, *words):
        self.out_file, self.err_file = open(self.out_path, "ab"), open(self.err_path, "ab")
        mark = self.out_path.stat().st_size
        began = time.monotonic()
        with self.inside():
            self.process = subprocess.Popen([self.program, *self.start_words(), *words], stdin=subprocess.DEVNULL,
                                            stdout=self.out_file, stderr=self.err_file, env=self.env())

        def is_ready():
            if self.process.poll() is not None:
                raise Failure(f"{self.name} ended with {self.process.returncode}: {self.last_words()}")
            return "Daemon is ready" in self.out_path.read_text(errors="replace")[mark:]

        wait_until(is_ready, READY_SECONDS, f"{self.name} is ready", every=0.005)
        self.ready_seconds = time.monotonic() - began
        text = self.out_path.read_text(errors="replace")[mark:]
        self.api_port = int(re.search(r"API server listening on /ip4/127\.0\.0\.1/tcp/(\d+)", text)[1])
        gateway = re.search(r"Gateway server listening on /ip4/127\.0\.0\.1/tcp/(\d+)", text)
        self.gateway_port = int(gateway[1]) if gateway else 0
        who = self.rpc("id")
        self.peer_id = who["ID"]
        self.addresses = [] if "--offline" in words else self.loopback_addresses()
        return self

    def loopback_addresses(self):
        listen = self.rpc("swarm/addrs/listen")["Strings"]
        return [f"{a.split('/p2p/')[0]}/p2p/{self.peer_id}" for a in listen if a.startswith("/ip4/127.0.0.1/tcp/") and "/ws" not in a]

    def last_words(self):
        return self.err_path.read_text(errors="replace").strip()[-600:]

    def stop(self, seconds=60):
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                self.close_files()
                raise Failure(f"{self.name} did not stop within {seconds} s of SIGTERM")
        code = self.process.returncode
        self.close_files()
        return code

    def kill(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.close_files()

    def end_all(self):
        for helper in self.helpers:
            if helper.poll() is None:
                helper.kill()
            helper.communicate()
        self.kill()

    def close_files(self):
        if self.process is not None:
            forget_clock(self.process.pid)
        self.process = None
        for file in (self.out_file, self.err_file):
            if file:
                file.close()

    # ── asking ──
    def rpc_raw(self, command, args=(), options=None, body=None, content_type=None, timeout=300):
        query = [("arg", a) for a in args] + list((options or {}).items())
        connection = http.client.HTTPConnection("127.0.0.1", self.api_port, timeout=timeout)
        with self.inside():
            connection.connect()
        headers = {"Content-Type": content_type} if content_type else {}
        connection.request("POST", f"/api/v0/{command}?{urllib.parse.urlencode(query)}", body=body, headers=headers)
        response = connection.getresponse()
        data = response.read()
        connection.close()
        return response, data

    def rpc_lines(self, command, *args, timeout=300, **options):
        options = {k.replace("_", "-"): v for k, v in options.items()}
        response, data = self.rpc_raw(command, args, options, timeout=timeout)
        if response.status != 200:
            raise Failure(f"{self.name}: rpc {command} {args}: {response.status} {data[:300]!r}")
        return [json.loads(line) for line in data.splitlines() if line.strip()]

    def rpc(self, command, *args, **options):
        lines = self.rpc_lines(command, *args, **options)
        return lines[0] if lines else None

    def connect(self, other):
        return self.rpc("swarm/connect", other.addresses[0])

    def peers(self):
        return {p["Peer"] for p in self.rpc("swarm/peers")["Peers"] or []}

    def memory(self):
        """Resident and peak bytes, from /proc."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        figures = dict(re.findall(r"^(VmRSS|VmHWM):\s+(\d+) kB", status, re.M))
        return int(figures["VmRSS"]) * 1024, int(figures["VmHWM"]) * 1024

    def cpu_seconds(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Node(Daemon):
    """Our node."""

    def __init__(self, program, folder, name, config=None, profile="test"):
        super().__init__(program, folder, name)
        self.environment = {"DISTRIBUTE_PATH": str(self.repo)}
        self.listen = ["127.0.0.1:0"]
        self.text("init", f"--profile={profile}")
        self.configure(**{"Bootstrap": [], "Routing__LoopbackAddressesOnLanDHT": True, **(config or {})})

    def configure(self, **settings):
        """Keys use __ for the dot."""
        for key, value in settings.items():
            self.text("config", "--json", key.replace("__", "."), json.dumps(value))

    def identity(self):
        return json.loads(self.text("id", "--json"))["ID"]

    def start_words(self):
        return ["node", *(f"--listen={at}" for at in self.listen), "--api-port=0", "--gateway-port=0", "--metrics-port=0"]


class Member(Node):
    """Our node as a member of an encrypted mesh, called as `dfs`. Timers are short, so that what takes minutes takes seconds."""

    SETTINGS = {"Replication__Heartbeat": "300ms", "Replication__LostGrace": "2s", "Mesh__GCWindow": "3s"}

    def __init__(self, program, folder, name, config=None):
        super().__init__(program, folder, name, {**self.SETTINGS, **(config or {})})
        self.program = os.path.join(os.path.dirname(self.program), "dfs")
        self.listen, self.bootstrap, self.api_at, self.more = "127.0.0.1:0", [], "0", []

    def start_words(self):
        return ["node", "start", f"--port={self.listen}", f"--api-port={self.api_at}", "--metrics-port=0",
                *(f"--bootstrap={at}" for at in self.bootstrap), *self.more]

    def place(self):
        """IP:PORT of its TCP listener."""
        _, _, ip, _, port, *_ = self.addresses[0].split("/")
        return f"{ip}:{port}"

    def store(self, path, *words):
        said = self.text("store", path, *words)
        found = re.search(r"^CID: ([0-9a-f]{64})$", said, re.M)
        check(found, f"store said {said!r}")
        return found[1]

    def mesh_status(self, cid):
        return json.loads(self.text("status", cid, "--json"))

    def ask(self, method, path, body=None, headers=None):
        """The control API: status, headers, body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.api_port, timeout=120)
        with self.inside():
            connection.connect()
        connection.request(method, path, body=body, headers=headers or {})
        response = connection.getresponse()
        data = response.read()
        connection.close()
        return response.status, response.headers, data


class Kubo(Daemon):
    def __init__(self, program, folder, name, config=None):
        super().__init__(program, folder, name)
        self.environment = {"IPFS_PATH": str(self.repo), "TEST_DHT_STUB": "1", "IPFS_TELEMETRY": "off"}
        self.text("init", "--profile=test")
        path = self.repo / "config"
        settings = json.loads(path.read_text())
        loopback = "/ip4/127.0.0.1/tcp/0"
        for key, value in {"Addresses.Swarm": [loopback], "Addresses.API": loopback, "Addresses.Gateway": loopback,
                           "Routing.Type": "dht", "Routing.LoopbackAddressesOnLanDHT": True, "Routing.DelegatedRouters": [],
                           "Bootstrap": [], "AutoConf.Enabled": False, "AutoTLS.Enabled": False, "DNS.Resolvers": {},
                           "Ipns.DelegatedPublishers": [], "Plugins.Plugins.telemetry": {"Disabled": True},
                           **(config or {})}.items():
            *above, last = key.split(".")
            place = settings
            for part in above:
                if not isinstance(place.get(part), dict):
                    place[part] = {}
                place = place[part]
            place[last] = value
        path.write_text(json.dumps(settings, indent=2))

    def start_words(self):
        return ["daemon"]


def fails(node, *words, code=1, saying=None, **options):
    """The command must fail with one line of error that names the thing."""
    result = node.run(*words, check_code=False, **options)
    text = result.stderr.decode(errors="replace").strip()
    check(result.returncode == code or (code is None and result.returncode), f"{words}: exit {result.returncode}, not {code}: {text}")
    lines = [line for line in text.splitlines() if not line.startswith("{")]
    check(len(lines) == 1, f"{words}: {len(lines)} lines of error: {text}")
    check(re.search(saying or ".", lines[0], re.I), f"{words}: said {lines[0]!r}")
    return lines[0]


class Workshop:
    """A temporary folder and the daemons in it; leaves nothing behind."""

    def __init__(self, program, kubo=None):
        self.program, self.kubo_program = os.path.abspath(program), kubo
        self.folder = tempfile.mkdtemp(prefix="distribute-test-")
        self.daemons = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for daemon in reversed(self.daemons):
            try:
                daemon.end_all()
            except Exception as e:  # the others must still be ended
                print(f"ending {daemon.name}: {e}", file=sys.stderr)
        shutil.rmtree(self.folder, ignore_errors=True)

    def node(self, name, config=None, start=True, **options):
        node = Node(self.program, self.folder, name, config, **options)
        self.daemons.append(node)
        return node.start() if start else node

    def member(self, name, config=None, start=True, bootstrap=(), more=()):
        member = Member(self.program, self.folder, name, config)
        member.bootstrap, member.more = list(bootstrap), list(more)
        self.daemons.append(member)
        return member.start() if start else member

    def kubo(self, name, config=None, start=True):
        kubo = Kubo(self.kubo_program, self.folder, name, config)
        self.daemons.append(kubo)
        return kubo.start() if start else kubo

    def finish(self):
        """Ends our nodes as a user does: each must end with 0, and none may have met a bug (sanitizers, assertions)."""
        for daemon in self.daemons:
            if isinstance(daemon, Node):
                ended = daemon.process is not None and daemon.process.poll() is None
                code = daemon.stop() if ended else 0
                said = daemon.err_path.read_text(errors="replace") if daemon.err_path.exists() else ""
                found = re.search(r"^.*(Sanitizer|runtime error|Assertion).*$", said, re.M)
                check(not found, f"{daemon.name}: {said[found.start():][:1500] if found else ''}")
                check(code == 0, f"{daemon.name} ended with {code}: {said[-600:]}")

    def path(self, name):
        return pathlib.Path(self.folder) / name

    def file(self, name, size, seed=None):
        path = self.path(name)
        path.write_bytes(make_bytes(seed or name, size))
        return path


def wrong_clock(skew):
    """The environment of a process whose clock, but not its stop-watch, is off by `skew` ("-90s", "+3d"); None where libfaketime is
    not installed."""
    library = next(pathlib.Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
    return library and {"LD_PRELOAD": str(library), "FAKETIME": skew, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}


def forget_clock(pid):
    """A process that is killed leaves what libfaketime shares under its number, and the next one of that number stumbles over it."""
    for name in (f"faketime_shm_{pid}", f"sem.faketime_sem_{pid}"):
        pathlib.Path("/dev/shm", name).unlink(missing_ok=True)


def end_on_signals():
    """SIGTERM unwinds as Ctrl-C does, so that workshops end their daemons."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


class Runner:
    """Runs functions named test_…, prints a line for each and `N passed, N failed` at the end."""

    def __init__(self):
        with open(os.devnull) as nothing:  # the programs read what their test gives them, and not what the run was begun with
            os.dup2(nothing.fileno(), 0)
        self.passed = self.failed = 0

    def run(self, name, function, *args):
        began = time.monotonic()
        try:
            function(*args)
        except Skip as e:
            print(f"skip   {name}: needs {e}", flush=True)
            return True
        except Exception as e:
            self.failed += 1
            print(f"FAILED {name}: {type(e).__name__}: {e}", flush=True)
            return False
        self.passed += 1
        print(f"ok     {name} ({time.monotonic() - began:.1f} s)", flush=True)
        return True

    def close(self):
        print(f"{self.passed} passed, {self.failed} failed")
        return 1 if self.failed or not self.passed else 0


def tests_of(module, only=()):
    found = [(n, f) for n, f in vars(module).items() if n.startswith("test_") and callable(f)]
    return [(n, f) for n, f in found if not only or any(o in n for o in only)]
