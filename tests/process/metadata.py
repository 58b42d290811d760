"""The metadata service as a process, a real PostgreSQL for it, and a client that checks every answer against the
service's own OpenAPI document."""
import base64
import hashlib
import hmac
import http.client
import json
import os
import pathlib
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile

from nodes import Daemon, Failure, Skip, check, wait_until


# ── the document ──
class Document:
    """Enough of OpenAPI 3.1 for our document: references, types, required, enum, pattern, lengths, bounds, no other members."""

    def __init__(self, document):
        self.document = document
        self.patterns = [(re.compile("^" + re.sub(r"\{[^}]*\}", "[^/]+", path) + "$"), path) for path in document["paths"]]

    def check_value(self, value, schema, where):
        if "$ref" in schema:
            schema = self.document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
        kinds = schema.get("type", [])
        kinds = [kinds] if isinstance(kinds, str) else kinds
        found = ("null" if value is None else "boolean" if isinstance(value, bool) else "integer" if isinstance(value, int) else
                 "string" if isinstance(value, str) else "array" if isinstance(value, list) else "object" if isinstance(value, dict) else "number")
        check(not kinds or found in kinds, f"{where}: {found} instead of {kinds}: {value!r}")
        check("enum" not in schema or value is None or value in schema["enum"], f"{where}: {value!r} is none of {schema.get('enum')}")
        if found == "string":
            check("pattern" not in schema or re.search(schema["pattern"], value), f"{where}: {value!r} does not fit {schema.get('pattern')}")
            if schema.get("format") == "date-time":
                check(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", value), f"{where}: {value!r} is no time")
        if found == "integer":
            check(value >= schema.get("minimum", value), f"{where}: {value} is too small")
        if found == "array":
            for i, item in enumerate(value):
                self.check_value(item, schema["items"], f"{where}[{i}]")
        if found == "object" and "properties" in schema:
            missing = set(schema.get("required", [])) - set(value)
            check(not missing, f"{where}: {missing} are missing")
            for key, item in value.items():
                check(key in schema["properties"], f"{where}: {key} is not in the document")
                self.check_value(item, schema["properties"][key], f"{where}.{key}")

    def check_answer(self, method, path, status, value):
        names = [path_name for pattern, path_name in self.patterns if pattern.match(path.split("?")[0])]
        exact = [n for n in names if "{" not in n]
        operation = self.document["paths"].get((exact or names or [""])[0], {}).get(method.lower())
        if operation is None:
            check(status in (404, 405), f"{method} {path} is not in the document and answered {status}")
            return self.check_value(value, {"$ref": "#/components/schemas/Error"}, f"{method} {path}")
        answer = operation["responses"].get(str(status))
        check(answer is not None or status >= 400, f"{method} {path}: {status} is not in the document")
        answer = answer or operation["responses"]["default"]
        schema = answer.get("content", {}).get("application/json", {}).get("schema")
        check((schema is None) == (value is None) or schema is None, f"{method} {path} {status}: no body")
        if schema is not None:
            self.check_value(value, schema, f"{method} {path} {status}")


# ── the service ──
class Service(Daemon):
    """`distribute metadata` on a free port."""

    def __init__(self, program, folder, name, *words, environment=None, tls=None):
        super().__init__(program, folder, name)
        self.tls = tls
        self.words = words
        self.environment = environment or {}
        self.document = None
        self.port = 0

    def start(self):
        self.out_path.write_text("")
        with open(self.out_path, "ab") as out, open(self.err_path, "ab") as err:
            self.process = subprocess.Popen([self.program, "metadata", f"--listen-addr=127.0.0.1:{self.port}", f"--data-dir={self.repo}", *self.words],
                                            stdout=out, stderr=err, env=self.env())
        def ready():
            check(self.process.poll() is None, f"{self.name} ended: {self.err_path.read_text()[-800:]}")
            return "is ready" in self.out_path.read_text()
        wait_until(ready, 60, f"{self.name} is ready", every=0.02)
        self.port = int(re.search(r"https?://127\.0\.0\.1:(\d+)", self.out_path.read_text()).group(1))
        if self.document is None:
            self.document = Document(self.client(None).call("GET", "/openapi.json", is_checked=False)[1])
        return self

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def client(self, token):
        return Client(self, token)

    def secret(self, name):
        return (self.repo / name).read_text().strip()

    def admin(self):
        return self.login("admin", self.environment.get("METADATA_ADMIN_PASSWORD") or self.secret("admin-password"))

    def node_key(self):
        return self.client(self.environment.get("METADATA_NODE_KEY") or self.secret("node-key"))

    def login(self, username, password):
        status, answer = self.client(None).call("POST", "/login", {"username": username, "password": password})
        check(status == 200, f"login: {status} {answer}")
        return self.client(answer["token"])

    def user(self, admin, name, role="user", **more):
        admin.good("POST", "/users", {"username": name, "password": f"password of {name}", "role": role, **more}, want=201)
        return self.login(name, f"password of {name}")


class Client:
    """One caller; a connection of its own that is kept. Checks each answer against the document."""

    def __init__(self, service, token):
        self.service, self.token = service, token
        self.connection = None

    def raw(self, method, path, body=None, headers=()):
        sent = dict(headers)
        if self.token is not None:
            sent.setdefault("Authorization", f"Bearer {self.token}")
        for last in (False, True):
            fresh = self.connection is None
            if fresh:
                self.connection = (http.client.HTTPSConnection("localhost", self.service.port, timeout=60, context=self.service.tls)
                                   if self.service.tls else http.client.HTTPConnection("127.0.0.1", self.service.port, timeout=60))
            try:
                self.connection.request(method, path, body, sent)
                answer = self.connection.getresponse()
                return answer, answer.read()
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                self.connection.close()
                self.connection = None
                if fresh or last or method not in ("GET", "PUT", "DELETE"):
                    raise

    def call(self, method, path, body=None, headers=(), is_checked=True):
        data = None if body is None else body if isinstance(body, (bytes, str)) else json.dumps(body)
        answer, content = self.raw(method, path, data, headers)
        self.etag = answer.getheader("ETag")
        value = json.loads(content) if content else None
        if is_checked:
            self.service.document.check_answer(method, path, answer.status, value)
        return answer.status, value

    def good(self, method, path, body=None, want=200, **more):
        status, value = self.call(method, path, body, **more)
        check(status == want, f"{method} {path}: {status} {value}")
        return value

    def refused(self, want, method, path, body=None, **more):
        status, value = self.call(method, path, body, **more)
        check(status == want, f"{method} {path}: {status} {value}, wanted {want}")
        return value

    # ── what clients and nodes do ──
    def begin(self, name, size, **more):
        return self.good("POST", "/init_upload", {"name": name, "size": size, **more}, want=201)

    def chunks_of(self, upload, size, keys, seed=""):
        """What a client says it stored, with the receipts that the planned nodes would give."""
        chunks, left = [], size
        for i in range(upload["chunk_count"]):
            length = min(left, upload["chunk_size"])
            left -= length
            chunk = hashlib.sha256(f"{upload['upload_id']}/{i}/{seed}".encode()).hexdigest()
            nodes = [upload["nodes"][n]["id"] for n in upload["plan"][i]]
            chunks.append({"id": chunk, "size": length + 28, "length": length,
                           "stored": [{"node": n, "receipt": receipt(keys, upload["upload_id"], chunk, length + 28, n)} for n in nodes]})
        return chunks

    def put(self, name, size, keys, **more):
        upload = self.begin(name, size, **more)
        return self.good("POST", "/commit_upload", {"upload_id": upload["upload_id"], "chunks": self.chunks_of(upload, size, keys)})


def node_id(i):
    return f"{i:032x}"


def node_secret(i):
    """The key of its own that the storage node with this number or id shows."""
    return "dsk_of-node-" + (i if isinstance(i, str) else node_id(i))


def key_sha256(secret):
    return hashlib.sha256(secret.encode()).hexdigest()


def registration(i, **more):
    return {"id": node_id(i), "address": f"127.0.0.1:{30000 + i}", "zone": "", "capacity_bytes": 10**12, "used_bytes": 0,
            "key_sha256": key_sha256(node_secret(i)), **more}


def register_nodes(keys, count, zones=3, capacity=10**12):
    """Registers storage nodes that are not there; gives their keys of receipts."""
    return {node_id(i): keys.good("POST", "/nodes", registration(i, zone=f"zone-{i % zones}", capacity_bytes=capacity))["receipt_keys"]
            for i in range(1, count + 1)}


def mac(keys, covered):
    digest = hmac.new(base64.b64decode(keys[0]["key"]), covered.encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def receipt(keys, upload, chunk, size, node):
    """As the node would give it; keys: of all nodes."""
    head = f"s1.{keys[node][0]['id']}"
    return f"{head}.{mac(keys[node], f'{head}|{upload}|{chunk}|{size}|{node}')}"


# ── PostgreSQL ──
class Postgres:
    """A server of Debian's package in a temporary folder, as a user that is not root."""

    def __init__(self):
        found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb"))
        if not found:
            raise Skip("PostgreSQL (Debian's package postgresql)")
        self.bin = found[-1].parent
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="distribute-pg-", dir="/tmp"))
        self.as_user = {}
        if os.geteuid() == 0:
            try:
                user = pwd.getpwnam("postgres")
            except KeyError:
                raise Skip("a user postgres")
            os.chown(self.folder, user.pw_uid, user.pw_gid)
            self.as_user = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        self.run("initdb", "-A", "trust", "--no-sync", "-U", "tester", "-E", "UTF8", "--locale=C", "-D", self.folder / "data")
        self.start()
        self.url = f"postgres://tester@127.0.0.1:{self.port}/postgres"

    def run(self, name, *words):
        done = subprocess.run([self.bin / name, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                              env={"PATH": os.environ["PATH"], "LC_ALL": "C"}, cwd="/tmp", timeout=60, **self.as_user)
        check(done.returncode == 0, f"{name}: {done.stdout.decode()[-600:]}")

    def start(self):
        options = f"-c listen_addresses=127.0.0.1 -p {self.port} -k {self.folder} -c fsync=on"
        self.run("pg_ctl", "-D", self.folder / "data", "-l", self.folder / "log", "-w", "-o", options, "start")

    def stop(self, mode="fast"):
        self.run("pg_ctl", "-D", self.folder / "data", "-m", mode, "-w", "stop")

    def close(self):
        try:
            self.stop("immediate")
        except Failure:
            pass
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
