"""The metadata service over PostgreSQL: two of them as one, connections lost in the middle of commits, services killed; and the
same over SQLite, killed. Histories of thousands of operations are checked: every answer fits one order of all."""
import contextlib
import http.client
import os
import random
import socket
import struct
import threading
import time

from history import Operation, explain, is_linearizable
from metadata import Postgres, Service, node_id, node_secret, register_nodes
from nodes import Failure, Skip, check, wait_until, wrong_clock

MASTER = {"METADATA_MASTER": "33" * 32, "METADATA_ADMIN_PASSWORD": "a password", "METADATA_NODE_KEY": "dsk_" + "n" * 40}
NAMES = 6
SECONDS = float(os.environ.get("HISTORY_SECONDS", "4"))
PATIENCE = 40  # seconds more, where the machine is slow


def service_of(shop, name, *words):
    service = Service(shop.program, shop.folder, name, "--master-key=env:METADATA_MASTER", *words, environment=MASTER)
    shop.daemons.append(service)
    return service


# ── a history ──
class Writer(threading.Thread):
    """One client that works on a few files, and notes what it was told."""

    size = 10  # of its files

    def __init__(self, number, services, token, keys, until):
        super().__init__(daemon=True)
        self.random = random.Random(number)
        self.services, self.token, self.keys, self.until = services, token, keys, until
        self.history = {i: [] for i in range(NAMES)}
        self.failure = None
        self.clients = {}
        self.is_enough = lambda: True

    def client(self):
        service = self.random.choice(self.services)
        if service not in self.clients:
            self.clients[service] = service.client(self.token)
        return self.clients[service]

    def note(self, name, kind, call, **more):
        """Calls, and turns the answer into an operation."""
        began = time.monotonic()
        try:
            status, value = call()
        except (OSError, http.client.HTTPException):
            status, value = 0, None
            time.sleep(0.01)
        ended = time.monotonic()
        operation = Operation(began, ended, kind, "ok", **more)
        if status in (0, 500, 503, 504):
            operation.outcome, operation.ended = ("nothing" if kind == "read" else "unknown"), float("inf")
        elif status == 412:
            operation.outcome = "refused"
        elif status in (404, 409, 507):
            operation.outcome = "nothing"
        elif status not in (200, 204):
            raise Failure(f"{kind}: {status} {value}")
        self.history[name].append(operation)
        return status, value, operation

    def read(self, name):
        status, value, operation = self.note(name, "read", lambda: self.client().call("GET", f"/files?name=file-{name}"))
        if status == 200:
            found = value["files"]
            operation.state = (found[0]["id"], found[0]["etag"]) if found else None
            return operation.state
        return None

    def commit(self, name, seen):
        try:
            status, upload = self.client().call("POST", "/init_upload", {"name": f"file-{name}", "size": self.size})
        except (OSError, http.client.HTTPException):
            return
        if status != 201:
            return
        body = {"upload_id": upload["upload_id"], "chunks": self.client().chunks_of(upload, self.size, self.keys)}
        if seen is None:
            body["if_none_match"], made = "*", (upload["file_id"], '"1-1"')
        else:
            body["if_match"] = seen[1]
            version, revision = map(int, seen[1].strip('"').split("-"))
            made = (seen[0], f'"{version + 1}-{revision + 1}"')
            if upload["file_id"] != seen[0]:  # deleted and made again meanwhile: the condition is about another file
                return
        status, value, operation = self.note(name, "commit", lambda: self.client().call("POST", "/commit_upload", body), expected=seen, state=made)
        if status == 200:
            check((value["id"], value["etag"]) == made, f"a commit made {value}, not {made}")
        while status in (0, 500, 503, 504) and time.monotonic() < self.until + 20 and self.random.random() < 0.7:
            # asked again: the same answer, or the same effect, whenever the first one took place
            try:
                status, value = self.client().call("POST", "/commit_upload", body)
            except (OSError, http.client.HTTPException):
                status = 0
                time.sleep(0.05)
                continue
            if status == 200:
                operation.outcome, operation.ended = "ok", time.monotonic()

    def delete(self, name, seen):
        if seen is not None:
            self.note(name, "delete", lambda: self.client().call("DELETE", f"/files/{seen[0]}", headers={"If-Match": seen[1]}), expected=seen)

    def run(self):
        try:
            while time.monotonic() < self.until or (not self.is_enough() and time.monotonic() < self.until + PATIENCE):
                name = self.random.randrange(NAMES)
                seen = self.read(name)
                chance = self.random.random()
                if chance < 0.45:
                    self.commit(name, seen)
                elif chance < 0.55:
                    self.delete(name, seen)
        except Failure as e:
            self.failure = e


def check_history(services, user, keys, disturb, seconds=SECONDS, kind=Writer, at_least=0):
    """Eight clients work while `disturb` does its worst, and longer on a slow machine, until there are enough operations; what
    they were told must fit one order. Gives the count."""
    until = time.monotonic() + seconds
    writers = [kind(i, services, user.token, keys, until) for i in range(8)]
    for w in writers:
        w.is_enough = lambda: sum(o.outcome != "nothing" for w in writers for h in w.history.values() for o in list(h)) > at_least
    for w in writers:
        w.start()
    disturb(until)
    for w in writers:
        w.join(seconds + PATIENCE + 60)
        check(not w.is_alive(), "a client hangs")
        if w.failure:
            raise w.failure
    last = kind(99, services[:1], user.token, keys, time.monotonic() + 60)
    total = 0
    for name in range(NAMES):
        last.read(name)
        operations = [o for w in writers + [last] for o in w.history[name]]
        total += sum(o.outcome != "nothing" for o in operations)
        check(is_linearizable(operations), f"file-{name}:\n{explain(operations)[-4000:]}")
    quota = user.good("GET", "/users/me/quota")
    check(quota["used_files"] == len(user.good("GET", "/files")["files"]), f"what is counted is what is there: {quota}")
    return total


def test_metadata_checker_finds_faults(shop):
    """The checker itself: a lost write, a stale read and two winners are found."""
    new, newer = ("id", '"1-1"'), ("id", '"2-2"')
    good = [Operation(0, 1, "commit", "ok", None, new), Operation(0.5, 2, "read", "ok", state=None), Operation(3, 4, "commit", "ok", new, newer),
            Operation(3, 5, "commit", "refused", new, newer), Operation(3.5, 6, "read", "ok", state=newer)]
    check(is_linearizable(good), "a good history")
    check(is_linearizable(good + [Operation(7, float("inf"), "delete", "unknown", newer), Operation(8, 9, "read", "ok", state=None)]), "a delete without an answer took place")
    for wrong, what in ((Operation(7, 8, "read", "ok", state=new), "a stale read"), (Operation(7, 8, "read", "ok", state=None), "a lost write"),
                        (Operation(4.5, 8, "commit", "ok", new, newer), "two winners"), (Operation(7, 8, "commit", "refused", newer), "refused for nothing")):
        check(not is_linearizable(good + [wrong]), what)


    content = [Operation(0, 1, "put", "ok", state="a"), Operation(2, float("inf"), "put", "unknown", state="b"), Operation(2, float("inf"), "put", "unknown", state="c"),
               Operation(3, 4, "read", "ok", state="a"), Operation(5, 6, "read", "ok", state="b"), Operation(7, 8, "remove", "ok"), Operation(9, 10, "read", "ok", state=None)]
    check(is_linearizable(content), "content: one put without an answer took place, one did not")
    for wrong, what in ((Operation(6.5, 6.9, "read", "ok", state="a"), "content of before"), (Operation(11, 12, "read", "ok", state="b"), "removed content came back"),
                        (Operation(11, 12, "read", "ok", state="d"), "content that nobody put")):
        check(not is_linearizable(content + [wrong]), what)


def test_metadata_sqlite_killed(shop):
    service = service_of(shop, "metadata").start()
    admin = service.admin()
    keys = register_nodes(service.node_key(), 3)
    user = service.user(admin, "ann")

    def kill_now_and_then(until):
        while time.monotonic() < until - 0.8:
            time.sleep(random.uniform(0.3, 0.9))
            service.kill()
            service.start()

    total = check_history([service], user, keys, kill_now_and_then, at_least=300)
    check(total > 300, f"{total} operations")
    check(admin.good("GET", "/audit/verify")["is_intact"], "the log is whole")
    print(f"  {total} operations")


def test_metadata_postgres_as_one(shop):
    with Postgres() as database:
        services = [service_of(shop, f"metadata{i}", f"--database={database.url}") for i in range(2)]
        starters = [threading.Thread(target=s.start) for s in services]  # both at once, over an empty database
        for s in starters:
            s.start()
        for s in starters:
            s.join()
        admin = services[0].admin()
        keys = register_nodes(services[1].node_key(), 3)
        user = services[1].user(admin, "ann", quota_bytes=10**7)
        made = user.put("a/b", 5000, keys)
        other = services[0].client(user.token)
        check(other.good("GET", f"/files/{made['id']}")["file"] == made, "the other one has it")
        check(other.good("GET", "/files?delimiter=/")["folders"] == ["a/"], "and lists it")
        other.good("PATCH", f"/files/{made['id']}", {"name": "c"}, headers={"If-Match": made["etag"]})
        user.refused(412, "DELETE", f"/files/{made['id']}", headers={"If-Match": made["etag"]})
        user.good("DELETE", f"/files/{made['id']}", want=204)

        def break_things(until):
            """A service is killed, the database restarted in the middle of commits."""
            time.sleep(0.7)
            services[0].kill()
            time.sleep(0.4)
            services[0].start()
            time.sleep(0.4)
            database.stop("immediate")
            database.start()

        total = check_history(services, user, keys, break_things, at_least=150)
        check(total > 150, f"{total} operations")
        check(wait_until(lambda: admin.call("GET", "/audit/verify")[1], 20, "the log can be read")["is_intact"], "the log is whole")
        for s in services:
            check(s.stop() == 0, f"{s.name}: {s.err_path.read_text()[-500:]}")
        print(f"  {total} operations")


# ── a commit that is lost on its way ──
class CommitThief:
    """Between a service and PostgreSQL. Armed, it takes the next COMMIT, breaks the service's connection, and hands the COMMIT on
    (`late`) only when the service has come back and waits for the row that the old transaction still holds; or never."""

    def __init__(self, port):
        self.port, self.is_armed, self.is_late, self.stolen, self.is_back = port, False, False, threading.Event(), threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"postgres://tester@127.0.0.1:{self.listener.getsockname()[1]}/postgres"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client = self.listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self.carry, args=(client, socket.create_connection(("127.0.0.1", self.port))), daemon=True).start()

    @staticmethod
    def pass_on(source, target):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        for s in (source, target):
            with contextlib.suppress(OSError):
                s.shutdown(socket.SHUT_RDWR)

    def carry(self, client, server):
        for s in (client, server):
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=self.pass_on, args=(server, client), daemon=True).start()
        stream, texts = client.makefile("rb"), {}
        try:
            length = 8
            while length == 8:  # messages without a kind: requests for encryption, then the startup
                head = stream.read(4)
                length = struct.unpack("!I", head)[0]
                server.sendall(head + stream.read(length - 4))
            while len(head := stream.read(5)) == 5:
                body = stream.read(struct.unpack("!I", head[1:])[0] - 4)
                names = body.split(b"\0", 2)
                if head[:1] == b"P":
                    texts[names[0]] = names[1]
                text = texts.get(names[1], b"") if head[:1] == b"B" else b""
                if text == b"COMMIT" and self.is_armed:
                    self.is_armed = False
                    client.shutdown(socket.SHUT_RDWR)
                    self.stolen.set()
                    if self.is_late:
                        check(self.is_back.wait(30), "the service comes back")
                        server.sendall(head + body + b"E" + struct.pack("!I", 9) + b"\0" + struct.pack("!I", 0) + b"S" + struct.pack("!I", 4))
                    server.shutdown(socket.SHUT_WR)
                    return
                server.sendall(head + body)
                if b"FOR UPDATE" in text and self.stolen.is_set():
                    self.is_back.set()
        except OSError:
            pass

    def arm(self, is_late):
        self.stolen.clear()
        self.is_back.clear()
        self.is_late, self.is_armed = is_late, True


def test_metadata_postgres_commit_lost(shop):
    """A commit that arrives after the service has given its connection up counts, once; one that never arrives is done again, once."""
    with Postgres() as database:
        thief = CommitThief(database.port)
        service = service_of(shop, "metadata", f"--database={thief.url}", "--heartbeat-ms=3600000").start()
        admin = service.admin()
        for name, is_late in (("late", True), ("never", False), ("late-again", True)):
            thief.arm(is_late)
            made = admin.good("POST", "/files", {"name": name, "kind": "folder"}, want=201)
            check(thief.stolen.is_set() and thief.is_back.is_set(), "the commit was stolen")
            check(admin.good("GET", f"/files/{made['id']}")["file"] == made, f"{name}: what was answered is what is there")
        done = [r for r in admin.good("GET", "/audit?limit=1000")["records"] if r["action"] == "file.register"]
        check(len(done) == 3 and all(r["outcome"] == "OK" for r in done), f"each happened once: {done}")
        check(admin.good("GET", "/users/me/quota")["used_files"] == 3, "counted once")
        check(admin.good("GET", "/audit/verify")["is_intact"], "the log is whole")
        check(service.stop() == 0, service.err_path.read_text()[-500:])
        thief.listener.close()


def test_metadata_postgres_jobs(shop):
    """The background jobs' statements, which SQLite has seen elsewhere: versions, evening out, healing, expiry."""
    with Postgres() as database:
        service = service_of(shop, "metadata", f"--database={database.url}", "--heartbeat-ms=500", "--heal-after-ms=2000", "--keep-versions=1",
                             "--upload-ttl-ms=1000").start()
        admin = service.admin()
        keys = register_nodes(service.node_key(), 5)
        for _ in range(3):
            made = admin.put("file", 60 * 4096, keys, chunk_size=4096)  # on all nodes, surely
        admin.begin("left behind", 10)

        def beat(i, **more):
            return service.client(node_secret(i)).good("PUT", f"/nodes/{node_id(i)}/heartbeat", {"used_bytes": 1, "capacity_bytes": 10**8, **more})
        seen = beat(1)["log_head"]

        def done():
            for i in range(1, 5):  # the fifth is silent; one has all that there is
                beat(i, used_bytes=9 * 10**7 if i == 1 else 1, log_seen=seen)
            actions = {r["action"] for r in admin.good("GET", "/audit?limit=1000")["records"]}
            return {"version.prune", "chunk.balance", "chunk.heal", "upload.expire"} <= actions
        wait_until(done, 30, "each job has done something")
        check(len(admin.good("GET", f"/files/{made['id']}/versions")["versions"]) == 1, "one version is left")
        check(admin.good("GET", "/users/me/quota")["reserved_bytes"] == 0, "nothing is reserved")
        check(service.stop() == 0 and "background job failed" not in service.err_path.read_text(), service.err_path.read_text()[-800:])


def test_metadata_postgres_clocks(shop):
    """Services whose clocks differ by far more than heartbeats take each other's notes of nodes as they are."""
    if not wrong_clock("+1s"):
        raise Skip("faketime is not installed")
    with Postgres() as database:
        words = [f"--database={database.url}", "--heartbeat-ms=2000"]
        services = [service_of(shop, "metadata", *words).start()]
        admin = services[0].admin()
        for skew in ("-90s", "+90s"):
            service = service_of(shop, f"metadata{skew}", *words)
            service.environment = {**MASTER, **wrong_clock(skew)}
            services.append(service.start())
        for noting in services:
            register_nodes(noting.node_key(), 3)
            for i in range(1, 4):
                noting.client(node_secret(i)).good("PUT", f"/nodes/{node_id(i)}/heartbeat", {"used_bytes": 1, "capacity_bytes": 10**9})
            for reading in services:
                other = reading.client(admin.token)
                check({n["health"] for n in other.good("GET", "/nodes")["nodes"]} == {"healthy"}, f"{reading.name}: what {noting.name} heard of is there")
                other.begin(f"{noting.name} {reading.name}", 10)
        for s in services:
            check(s.stop() == 0, s.err_path.read_text()[-500:])


def test_metadata_postgres_master_key(shop):
    """A new master key among several services: in force when all have it, and no file is unreadable meanwhile."""
    with Postgres() as database:
        files = [shop.path(f"master{i}") for i in range(2)]
        for f in files:
            f.write_text("33" * 32 + "\n")
        services = []
        for i, f in enumerate(files):
            service = Service(shop.program, shop.folder, f"metadata{i}", f"--master-key=command:cat {f}", f"--database={database.url}", environment=MASTER)
            shop.daemons.append(service)
            services.append(service.start())
        admin = services[0].admin()
        keys = register_nodes(services[0].node_key(), 3)
        users = [s.client(admin.token) for s in services]
        made = [admin.put(f"file {i}", 100, keys)["id"] for i in range(20)]
        before = [admin.good("GET", f"/files/{i}")["key"] for i in made]

        def readable():
            for caller in users:
                check([caller.good("GET", f"/files/{i}")["key"] for i in made] == before, "every service opens every file")
        old = admin.good("GET", "/keys")["current_key"]
        files[0].write_text("44" * 32 + "\n" + "33" * 32 + "\n")
        began = admin.good("POST", "/keys/rotate", want=202)
        check(began["services_lacking"] == 1 and began["is_rotating"] and began["current_key"] != old, began)
        for i in range(5):  # nothing is wrapped by it before the other one has it
            time.sleep(0.5)
            readable()
            made.append(users[i % 2].put(f"meanwhile {i}", 100, keys)["id"])
            before.append(users[1 - i % 2].good("GET", f"/files/{made[-1]}")["key"])
        status = users[1].good("GET", "/keys")
        check(status["is_rotating"] and status["services_lacking"] == 1 and status["files_left"] >= 25, status)
        files[1].write_text("44" * 32 + "\n" + "33" * 32 + "\n")  # nobody has to tell it

        def done():
            readable()
            return not users[1].good("GET", "/keys")["is_rotating"]
        wait_until(done, 30, "all keys are wrapped anew")
        check([r["action"] for r in admin.good("GET", "/audit?action=master.switch")["records"]] == ["master.switch"], "once")
        for s, f in zip(services, files):
            check(s.stop() == 0 and "background job failed" not in s.err_path.read_text(), s.err_path.read_text()[-800:])
            f.write_text("44" * 32 + "\n")
            s.start()
        readable()
        for s in services:
            check(s.stop() == 0, "it stops")
        files[0].write_text("55" * 32 + "\n")  # without the key in force it does not start
        try:
            services[0].start()
            raise Failure("a service started without the master key")
        except Failure as e:
            check("which is not here" in str(e), str(e))
