"""The encrypted mesh as a user meets it: `dfs`, its control API, its prompt. Run by run.py."""
import json
import os
import pathlib
import pty
import re
import select
import signal
import socket
import stat
import subprocess
import time

import nodes
from described import check_answer
from nodes import check, fails, wait_until

MIB = 1 << 20


def mesh(shop, n, **options):
    """A relay and n - 1 members that joined through it, all of which know each other."""
    relay = shop.member("relay", more=["--relay"], **options)
    others = [shop.member(f"member-{i}", bootstrap=[relay.place()], **options) for i in range(1, n)]
    members = [relay, *others]
    wait_until(lambda: all(sum(p["is_connected"] for p in m.rpc_lines("dfs/peers")) == n - 1 for m in members), 60, "all are connected")
    return members


def copies(member, cid):
    return member.mesh_status(cid)["copies"]


def test_dfs_stores_and_another_gets(shop):
    relay, a, b = mesh(shop, 3)
    path = shop.file("report.pdf", 3 * MIB + 17)
    result = a.run("store", path)
    cid = re.fullmatch(r"CID: ([0-9a-f]{64})\n", result.stdout.decode())[1]
    check("3 of 3 nodes" in result.stderr.decode() and "keep a copy" in result.stderr.decode(), result.stderr.decode())
    check(a.store(path) != cid, "a second time it is a file of its own")
    said = a.text("status", cid).splitlines()
    check(said[:5] == [f"CID: {cid}", "Size: 3.1 MB", "Local: yes", "Pinned: yes", "Peers: 3 (replication factor: 3/3)"], said)
    check(f"{cid}    3.1 MB  report.pdf" in a.text("ls").splitlines(), a.text("ls"))
    # Another key does not open it, a link does.
    fails(b, "get", cid, "-o", shop.path("no"), saying="key")
    link = a.text("share", cid)
    said = b.text("get", link, "-o", shop.path("by-link"))
    check(said == "✓ File retrieved, decrypted, and saved." and shop.path("by-link").read_bytes() == path.read_bytes(), said)
    # With the same key on another machine, by words; under its own name.
    words = a.text("key", "export")
    check(len(words.split()) % 12 == 0, "words of the key")
    b.run("key", "import", "-", "--replace", stdin=words.encode())
    folder = shop.path("there")
    folder.mkdir()
    check(b.text("get", cid, cwd=folder).startswith("✓ "), "get by the key")
    check((folder / "report.pdf").read_bytes() == path.read_bytes(), "its name and bytes")
    check(b.run("cat", cid, "--offset=1000000", "--length=70000").stdout == path.read_bytes()[1000000:1070000], "a part")
    for member in (relay, a, b):
        log = member.err_path.read_text()
        check(words.split()[0] + " " + words.split()[1] not in log and link.split("#")[1] not in log, "a secret is in the log")


def test_dfs_folders(shop):
    a = shop.member("alone")
    top = shop.path("album")
    (top / "2026" / "empty").mkdir(parents=True)
    (top / "a.txt").write_text("a")
    (top / "2026" / "b.bin").write_bytes(nodes.make_bytes("b", 700000))
    cid = a.store(top)
    out = shop.path("again")
    a.run("get", cid, "-o", out)
    check((out / "2026" / "b.bin").read_bytes() == (top / "2026" / "b.bin").read_bytes() and (out / "a.txt").read_text() == "a", "files")
    check((out / "2026" / "empty").is_dir(), "an empty folder")
    check([line.split()[-1] for line in a.text("ls", cid).splitlines()] == ["2026/", "a.txt"], a.text("ls", cid))
    check(a.text("cat", f"{cid}/a.txt") == "a", "a path in a folder")
    check(a.run("store", "-", "--stdin-name=in", stdin=b"piped").returncode == 0, "standard input")
    os.symlink("a.txt", top / "link")
    fails(a, "store", top, saying="symbolic link")


def test_dfs_deletes_everywhere(shop):
    relay, a, b = mesh(shop, 3)
    path = shop.file("secret", MIB)
    cid = a.store(path)
    fails(b, "delete", cid, saying="no key file")
    b.store(shop.file("own", 100))
    fails(b, "delete", cid, saying="owner")
    check(copies(b, cid) == 3, "a foreign deletion did something")
    said = a.text("delete", cid).splitlines()
    check(said[0] == "deleted on 3 of 3 holders" and len(said) == 4, said)
    fails(a, "get", cid, "-o", shop.path("no"), code=None)
    check(a.text("ls") == "" and "(deleted)" in a.text("ls", "--deleted"), "ls")
    check("State: deleted" in a.text("status", cid), a.text("status", cid))
    again = a.store(path)
    check(again != cid and copies(a, again) == 3, "stored again it is a new file")


def test_dfs_heals(shop):
    relay, a, b, c = mesh(shop, 4)
    cid = a.store(shop.file("kept", MIB))
    held = {h["peer"] for h in a.mesh_status(cid)["holders"]}
    check(len(held) == 3, held)
    victim = next(m for m in (b, c, relay) if m.peer_id in held)
    victim.kill()
    wait_until(lambda: (s := a.mesh_status(cid))["copies"] >= 3 and victim.peer_id not in {h["peer"] for h in s["holders"]}, 60,
               "a copy on the member that is left")


def test_dfs_holder_keeps_its_copy(shop):
    """`block rm` and `repo gc` of whoever owns the machine do not take the mesh's copy away."""
    relay, a = mesh(shop, 2)
    cid = a.store(shop.file("kept", MIB))
    wait_until(lambda: copies(a, cid) == 2, 30, "two copies")
    manifest = relay.mesh_status(cid)["cid"]
    chunk = relay.rpc_lines("refs", manifest)[0]["Ref"]
    for block in (manifest, chunk):
        check("held as a copy" in relay.rpc("block/rm", block)["Error"], "it may be removed")
    relay.rpc_lines("repo/gc")
    check(relay.rpc("block/stat", chunk, offline="true")["Size"], "the chunk is still here")
    check(copies(a, cid) == 2, "two copies")


def test_dfs_get_of_a_damaged_only_copy(shop):
    a = shop.member("alone")
    cid = a.store(shop.file("only", 3 * MIB))
    a.stop()
    segment = max(a.repo.rglob("*.seg"), key=lambda path: path.stat().st_size)
    with open(segment, "r+b") as f:
        f.seek(segment.stat().st_size // 2)
        byte = f.read(1)
        f.seek(-1, 1)
        f.write(bytes([byte[0] ^ 1]))
    a.start()
    began = time.monotonic()
    fails(a, "get", cid, "-o", shop.path("no"), saying="copy|damaged|corrupt|not found")
    check(time.monotonic() - began < 20, "it waits in silence")


def test_dfs_key_under_a_passphrase(shop):
    a = shop.member("locked")
    old, new = shop.path("old"), shop.path("new")
    old.write_text("correct horse\n")
    new.write_text("battery staple\n")
    path = shop.file("f", 1000)
    cid = a.store(path)
    check(stat.S_IMODE((a.repo / "vault.key").stat().st_mode) == 0o600, "the key file's mode")
    a.run("key", "passphrase", f"--new-passphrase-file={old}")
    a.run("key", "lock")
    check("locked" in a.text("key", "info"), a.text("key", "info"))
    fails(a, "cat", cid, saying="passphrase|locked")
    fails(a, "key", "unlock", f"--passphrase-file={new}", saying="passphrase")
    a.run("key", "unlock", f"--passphrase-file={old}")
    check(a.run("cat", cid).stdout == path.read_bytes(), "unlocked")
    check("Epochs: 2" in a.text("key", "rotate", f"--passphrase-file={old}"), "rotation")
    check(a.run("cat", cid).stdout == path.read_bytes(), "an old file after rotation")
    out = shop.path("exported")
    check(b"no passphrase" in a.run("key", "export", out).stderr, "a file that anybody can open is said to be one")
    check(stat.S_IMODE(out.stat().st_mode) == 0o600, "the exported file's mode")
    fails(a, "key", "export", out, saying="exists")
    a.stop()
    a.more = [f"--passphrase-file={old}"]
    a.start()
    check(a.run("cat", cid).stdout == path.read_bytes(), "unlocked at the start")


def listening(pid):
    """Local ports on which a process listens."""
    inodes = {os.readlink(f)[8:-1] for f in pathlib.Path(f"/proc/{pid}/fd").iterdir() if os.readlink(f).startswith("socket:")}
    found = set()
    for table in ("tcp", "tcp6"):
        for line in pathlib.Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in inodes:
                found.add(int(fields[1].rsplit(":", 1)[1], 16))
    return found


def test_dfs_opens_its_ports_and_no_others(shop):
    a = shop.member("ports")
    metrics = re.search(r"Metrics server listening on http://127\.0\.0\.1:(\d+)/", a.out_path.read_text())[1]
    expected = {int(a.place().split(":")[1]), a.api_port, int(metrics)}
    check(listening(a.process.pid) == expected, f"{listening(a.process.pid)}, not {expected}")


def test_control_api_is_as_described(shop):
    relay, a = mesh(shop, 2)
    status, headers, data = a.ask("GET", "/openapi.json")
    document = json.loads(data)
    seen = set()

    def ask(method, path, described, body=None, accept=None, expect=200, headers=None):
        status, got, data = a.ask(method, path, body, {**({"Accept": accept} if accept else {}), **(headers or {})})
        value = json.loads(data) if got["Content-Type"] == "application/json" and method != "HEAD" else None
        check_answer(document, "get" if method == "HEAD" else method, described, status, got["Content-Type"], value)
        check(status == expect, f"{method} {path}: {status} {data[:200]}")
        seen.add((method.lower(), described))
        return got, data if value is None else value

    content = nodes.make_bytes("api", 400000)
    _, stored = ask("POST", "/store?name=a%20b.txt&replicas=2", "/store", content, expect=201)
    check(stored["name"] == "a b.txt" and stored["size"] == 400000 and stored["copies"] == 2, stored)
    form = b"".join(b"--x\r\nContent-Disposition: form-data; name=\"f\"; filename=\"%s\"\r\n\r\nhi\r\n" % n for n in (b"one", b"two")) + b"--x--\r\n"
    _, several = ask("POST", "/store", "/store", form, expect=201, headers={"Content-Type": "multipart/form-data; boundary=x"})
    check([f["name"] for f in several["files"]] == ["one", "two"], several)
    cid = stored["cid"]
    check({f["cid"] for f in ask("GET", "/files", "/files")[1]["files"]} == {cid, *(f["cid"] for f in several["files"])}, "list")
    check(len(ask("GET", "/files?limit=1", "/files")[1]["files"]) == 1, "limit")
    headers, data = ask("GET", f"/files/{cid}", "/files/{cid}")
    check(data == content and headers["Content-Type"].startswith("text/plain") and "a%20b.txt" in headers["Content-Disposition"], dict(headers))
    headers, data = ask("GET", f"/files/{stored['hash']}", "/files/{cid}", expect=206, headers={"Range": "bytes=262000-262999"})
    check(data == content[262000:263000] and headers["Content-Range"] == "bytes 262000-262999/400000", dict(headers))
    ask("GET", f"/files/{cid}", "/files/{cid}", expect=416, headers={"Range": "bytes=400000-"})
    headers, data = ask("HEAD", f"/files/{cid}", "/files/{cid}")
    check(headers["Content-Length"] == "400000" and not data, dict(headers))
    _, info = ask("GET", f"/files/{cid}", "/files/{cid}", accept="application/json")
    check(info["state"] == "healthy" and len(info["holders"]) == 2 and info["name"] == "a b.txt", info)
    chunk = a.rpc_lines("refs", cid)[0]["Ref"]
    check(ask("GET", f"/chunks/{chunk}", "/chunks/{cid}", accept="application/json")[1]["is_local"], "a chunk's state")
    _, sealed = ask("GET", f"/chunks/{chunk}", "/chunks/{cid}")
    check(len(sealed) in (262144, 400000 - 262144) and sealed[:64] not in content, "a chunk is ciphertext")
    check(ask("GET", "/peers", "/peers")[1]["peers"][0]["peer"] == relay.peer_id, "peers")
    check(ask("GET", "/status", "/status")[1]["members"] >= 1, "status")
    ask("GET", "/files/nonsense", "/files/{cid}", expect=400)
    ask("GET", f"/files/{'0' * 64}", "/files/{cid}", accept="application/json", expect=404)
    _, deletion = ask("DELETE", f"/files/{cid}?wait_ms=20000", "/files/{cid}")
    check(deletion["holders"] == deletion["deleted"] == 2, deletion)
    ask("GET", "/openapi.json", "/openapi.json")
    described = {(m, p) for p, methods in document["paths"].items() for m in methods if m != "parameters"}
    check(described <= seen, f"not tried: {described - seen}")
    check(a.ask("PUT", "/files")[0] == 405 and a.ask("GET", "/nothing")[0] == 404, "what is not there")
    check(a.ask("POST", "/api/v0/version")[0] == 200, "the RPC beside it")
    for host, wanted in (("evil.example:80", 403), ("evil.example", 403), ("127.0.0.1.evil.example:1", 403), ("localhost:1", 200), ("127.0.0.1", 200), ("[::1]:80", 200)):
        check(a.ask("GET", "/files", headers={"Host": host})[0] == wanted, f"asked as {host}")
    status, _, data = a.ask("GET", "/files", headers={"Origin": "http://evil.example"})
    check(status == 403, f"another site: {status}")


def test_control_api_elsewhere_wants_a_token(shop):
    a = shop.member("public", start=False)
    a.api_at = "0.0.0.0:0"
    a.out_path.touch()
    process = subprocess.Popen([a.program, *a.start_words()], stdin=subprocess.DEVNULL, stdout=open(a.out_path, "wb"), stderr=open(a.err_path, "wb"), env=a.env())
    try:
        wait_until(lambda: "Daemon is ready" in a.out_path.read_text(), 30, "ready")
        a.api_port = int(re.search(r"Control API listening on http://0\.0\.0\.0:(\d+)", a.out_path.read_text())[1])
        token_file = a.repo / "api-token"
        check(stat.S_IMODE(token_file.stat().st_mode) == 0o600, "the token's mode")
        token = token_file.read_text().strip()
        for path in ("/files", "/status", "/openapi.json"):
            check(a.ask("GET", path)[0] == 401 and a.ask("GET", path, headers={"Authorization": "Bearer wrong"})[0] == 401, path)
            check(a.ask("GET", path, headers={"Authorization": f"Bearer {token}"})[0] == 200, f"{path} with the token")
        check(a.ask("POST", "/api/v0/id")[0] == 401, "the RPC without the token")
        check(a.text("ls") == "", "the command line knows the token")
        check(token not in a.err_path.read_text() + a.out_path.read_text(), "the token is in the log")
    finally:
        process.send_signal(signal.SIGTERM)
        check(process.wait(30) == 0, "its end")


class Prompt:
    """A node with a prompt at a terminal of ours."""

    def __init__(self, member):
        self.pid, self.fd = pty.fork()
        if not self.pid:
            os.environ.clear()
            os.environ.update(member.env(), TERM="vt100", COLUMNS="200")
            os.execv(member.program, [member.program, *member.start_words(), "-i"])
        self.text = ""

    def send(self, text):
        os.write(self.fd, text.encode())

    def wait(self, what, seconds=30):
        end = time.monotonic() + seconds
        while not (found := re.search(what, self.text)):
            check(time.monotonic() < end, f"no {what!r} in {self.text[-800:]!r}")
            if select.select([self.fd], [], [], 0.2)[0]:
                try:
                    self.text += os.read(self.fd, 65536).decode(errors="replace")
                except OSError:
                    raise nodes.Failure(f"it ended without {what!r}: {self.text[-800:]!r}") from None
        self.text = self.text[found.end():]
        return found

    def end(self):
        os.close(self.fd)
        try:
            os.kill(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def test_prompt(shop):
    a = shop.member("prompted", start=False)
    path = shop.file("shown.txt", 200000)
    prompt = Prompt(a)
    try:
        prompt.wait("Daemon is ready")
        prompt.wait("dfs> ")
        prompt.send("help\n")
        prompt.wait(r"store FILE")
        prompt.send(f"store {shop.path('sho')}\t\n")  # the path is completed
        cid = prompt.wait(r"CID: ([0-9a-f]{64})")[1]
        prompt.wait("dfs> ")
        prompt.send(f"stat\t{cid[:6]}\t\n")  # the command and the CID are
        prompt.wait(r"Peers: 1 \(replication factor: 1/")
        prompt.send("nonsense\n")
        prompt.wait("unknown command")
        prompt.wait("dfs> ")
        prompt.send("half a line\x03")  # Ctrl-C gives it up, and nothing else
        prompt.wait("dfs> ")
        prompt.send(f"get {cid} -o {shop.path('out')}\n")
        prompt.wait("retrieved, decrypted, and saved")
        check(shop.path("out").read_bytes() == path.read_bytes(), "the file")
        prompt.send("key export\n")
        prompt.wait("Whoever has these words")
        prompt.wait("dfs> ")
        prompt.send("exit\n")
        _, code = os.waitpid(prompt.pid, 0)
        check(code == 0, f"it ended with {code}")
        history = (a.repo / "shell_history").read_text()
        check("nonsense" in history and stat.S_IMODE((a.repo / "shell_history").stat().st_mode) == 0o600, "history")
    finally:
        prompt.end()


def test_prompt_ctrl_c_ends_the_transfer_alone(shop):
    a = shop.member("slow", start=False)
    pipe = shop.path("endless")
    os.mkfifo(pipe)
    nobody = "0" * 64
    prompt = Prompt(a)
    try:
        prompt.wait("dfs> ")
        prompt.send(f"cat {nobody}\n")  # nobody has it: it waits
        time.sleep(0.5)
        prompt.send("\x03")
        prompt.wait("interrupted|error")
        prompt.wait("dfs> ")
        prompt.send("peers\n")
        prompt.wait("dfs> ")
        os.kill(prompt.pid, signal.SIGTERM)
        _, code = os.waitpid(prompt.pid, 0)
        check(code == 0, f"it ended with {code}")
    finally:
        prompt.end()


def test_prompt_takes_lines_from_a_pipe(shop):
    a = shop.member("piped", start=False)
    path = shop.file("f", 1000)
    result = subprocess.run([a.program, *a.start_words(), "-i"], input=f"store '{path}'\nls\nexit\n".encode(), capture_output=True, env=a.env(), timeout=60)
    said = result.stdout.decode()
    check(result.returncode == 0, result.stderr.decode()[-500:])
    cid = re.search(r"^CID: ([0-9a-f]{64})$", said, re.M)
    check(cid and f"{cid[1]}    1.0 kB  f" in said, said)


def test_dfs_refuses_what_is_wrong(shop):
    a = shop.member("wrong", start=False)
    fails(a, "peers", saying="dfs node start")
    fails(a, "store", shop.file("x", 1), saying="dfs node start")
    fails(a, "node", "start", "--bootstrap=nonsense", code=2)
    fails(a, "node", "start", "--api-port=nonsense", "--metrics-port=0", "--port=127.0.0.1:0", code=2)
    fails(a, "get", code=2, saying="needs CID")
    fails(a, "add", "x", code=2, saying="unknown command")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        fails(a, "node", "start", "--port=127.0.0.1:0", f"--api-port=:{port}", "--metrics-port=0", saying="in use")
    a.start()
    fails(a, "status", "nonsense", saying="CID|hex")
    fails(a, "get", "0" * 63, saying="CID|hex")
    fails(a, "store", shop.path("absent"), saying="no such file")
