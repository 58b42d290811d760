"""The file service as processes: a metadata service, storage nodes, accounts that call `distribute fs`."""
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys

from metadata import Service
from nodes import Daemon, Failure, Skip, check, wait_until


class StorageNode(Daemon):
    """`distribute fileserver` on a free port, with a zone of its own."""

    def __init__(self, service, folder, name, *words):
        super().__init__(service.program, folder, name)
        self.service, self.words, self.port = service, words, 0
        self.id = ""
        self.knows_metadata = self.is_let_in = True

    def start(self, *more):
        words = [self.program, "fileserver", f"-listen-addr=127.0.0.1:{self.port}", "--metrics-port=0", f"--zone={self.name}",
                 f"--node-key-file={self.service.repo / 'node-key'}", *self.words, *more]
        self.out_path.write_text("")
        mark = self.err_path.stat().st_size if self.err_path.exists() else 0
        with open(self.out_path, "ab") as out, open(self.err_path, "ab") as err:
            env = {**self.env(), "DISTRIBUTE_PATH": str(self.repo)}
            if self.knows_metadata:
                env["METADATA_ADDR"] = f"{'https' if self.service.tls else 'http'}://127.0.0.1:{self.service.port}"
            self.process = subprocess.Popen(words, stdout=out, stderr=err, env=env)

        def ready():
            check(self.process.poll() is None, f"{self.name} ended: {self.err_path.read_text()[-800:]}")
            return "is ready" in self.out_path.read_text() and (not self.is_let_in or "registered with" in self.err_path.read_text()[mark:])
        try:
            wait_until(ready, 60, f"{self.name} is registered", every=0.02)
        except Failure as e:
            raise Failure(f"{e}: {self.err_path.read_text()[-800:]}")
        said = self.out_path.read_text()
        self.port = int(re.search(r"gRPC listening on 127\.0\.0\.1:(\d+)", said).group(1))
        self.metrics_port = int(re.search(r"metrics on \S+:(\d+)", said).group(1))
        self.id = re.search(r"Storage node ([0-9a-f]{32})", said).group(1)
        return self

    def stop(self):
        self.process.send_signal(signal.SIGCONT)
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(60)
        said = self.err_path.read_text(errors="replace")
        check(code == 0 and "Sanitizer" not in said and "runtime error" not in said, f"{self.name} ended with {code}: {said[-800:]}")


class Account:
    """Somebody who runs `distribute fs …`, with a session of their own."""

    def __init__(self, service, folder, name, password):
        self.program, self.name = service.program, name
        self.home = pathlib.Path(folder) / f"home-{name}"
        self.home.mkdir()
        self.environment = {**os.environ, "METADATA_ADDR": f"http://127.0.0.1:{service.port}", "HOME": str(self.home),
                            "DISTRIBUTE_FS_SESSION": str(self.home / "fs.json"), "DISTRIBUTE_PASSWORD": password, "DISTRIBUTE_FS_CACHE": "0"}
        self.run("login", f"--username={name}")

    def run(self, *words, check_code=True, timeout=120, **options):
        done = subprocess.run([self.program, "fs", *map(str, words)], env=self.environment, cwd=self.home, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout, **options)
        if check_code and done.returncode:
            raise Failure(f"fs {words}: exit {done.returncode}: {done.stderr.decode(errors='replace')[-600:]}")
        return done

    def text(self, *words):
        return self.run(*words).stdout.decode().strip()

    def json(self, *words):
        return json.loads(self.text(*words, "--json").splitlines()[-1])

    def fails(self, saying, *words):
        done = self.run(*words, check_code=False)
        said = done.stderr.decode(errors="replace")
        check(done.returncode and re.search(saying, said, re.I), f"fs {words}: exit {done.returncode}: {said}")

    def names(self, *words):
        return [f["name"] for f in self.json("ls", *words)["files"]]


class FileService:
    def __init__(self, shop, nodes=4, *words):
        self.shop = shop
        self.metadata = Service(shop.program, shop.folder, "metadata", "--heartbeat-ms=200", "--heal-after-ms=1500", *words)
        shop.daemons.append(self.metadata)
        self.metadata.start()
        self.nodes = [self.add_node(f"n{i}") for i in range(nodes)]
        self.client = self.metadata.admin()
        self.admin = Account(self.metadata, shop.folder, "admin", self.metadata.secret("admin-password"))

    def add_node(self, name, *words):
        node = StorageNode(self.metadata, self.shop.folder, name, *words)
        self.shop.daemons.append(node)
        return node.start()

    def account(self, name, role="user", **more):
        self.client.good("POST", "/users", {"username": name, "password": f"password of {name}", "role": role, **more}, want=201)
        return Account(self.metadata, self.shop.folder, name, f"password of {name}")

    def known(self):
        return {n["id"]: n for n in self.client.good("GET", "/nodes")["nodes"]}

    def copies(self, name):
        """For each chunk of a file the ids of the nodes that have it."""
        file = next(f for f in self.client.good("GET", f"/files?name={name}")["files"])
        detail = self.client.good("GET", f"/files/{file['id']}")
        return [{place["node"] for place in chunk["locations"]} for chunk in detail["chunks"]]

    def finish(self):
        for node in self.nodes:
            if node.process is not None and node.process.poll() is None:
                node.stop()
        code = self.metadata.stop()
        check(code == 0, f"metadata ended with {code}")


def python_with(*packages):
    """A Python that has these packages of PyPI, in a folder that is made once."""
    home = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "distribute"
    venv = home / ("python-" + "-".join(p.split("=")[0] for p in packages))
    python = venv / "bin" / "python"
    if not (venv / "complete").exists():
        shutil.rmtree(venv, ignore_errors=True)
        for words in ([sys.executable, "-m", "venv", str(venv)], [str(python), "-m", "pip", "install", "-q", *packages]):
            try:
                done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=90)
            except subprocess.TimeoutExpired:
                raise Skip(f"Python packages {' '.join(packages)}: not within 90 s")
            if done.returncode:
                raise Skip(f"Python packages {' '.join(packages)}: {done.stdout.decode()[-200:]}")
        (venv / "complete").touch()
    return str(python)


def debian_tool(package, path):
    """A program of a Debian package, unpacked into a folder that is made once: installing it would start its service."""
    found = shutil.which(pathlib.Path(path).name)
    if found:
        return found
    home = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "distribute" / f"debian-{package}"
    if not (home / path).exists():
        home.mkdir(parents=True, exist_ok=True)
        for words in (["apt-get", "download", package], ["sh", "-c", f"dpkg -x {package}_*.deb ."]):
            done = subprocess.run(words, cwd=home, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300)
            if done.returncode:
                raise Skip(f"Debian's package {package}: {done.stdout.decode()[-200:]}")
    return str(home / path)
