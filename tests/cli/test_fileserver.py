"""Storage nodes and `distribute fs`: files there and back, rights, versions, deltas; nodes that die, stop, fill up, are drained;
interrupted transfers; clients of gRPC that we did not write."""
import hashlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import time

from fileservice import Account, FileService, StorageNode, python_with
from nodes import check, make_bytes, wait_until

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def same(account, name, path):
    account.run("get", name, "back")
    check((account.home / "back").read_bytes() == path.read_bytes(), f"{name} came back changed")
    (account.home / "back").unlink()


def test_fileserver_files(shop):
    s = FileService(shop, 4)
    ann, bob = s.account("ann"), s.account("bob")
    big, small = shop.file("big", 9_500_000), shop.file("small", 10)
    (ann.home / "empty").touch()
    stored = ann.json("put", big, "docs/big")
    check(stored["version"] == 1 and stored["size"] == 9_500_000 and stored["sent_chunks"] == 3, stored)
    ann.run("put", small)
    ann.run("put", "empty")
    check(ann.names() == ["docs/big", "empty", "small"], ann.names())
    check(ann.names("docs/") == ["docs/big"], "by prefix")
    for name, path in (("docs/big", big), ("small", small), ("empty", ann.home / "empty")):
        same(ann, name, path)
    check(ann.run("get", "docs/big", "-").stdout == big.read_bytes(), "to standard output")
    check(os.stat(ann.home / "fs.json").st_mode & 0o777 == 0o600, "the session is secret")
    check(not list(ann.home.glob("fs.json.uploads/*")), "nothing is left of uploads that are done")
    # what storage nodes have says nothing: no plaintext anywhere
    marks = make_bytes("big", 9_500_000)[5_000_000:5_000_032]
    for node in s.nodes:
        check(not any(marks in p.read_bytes() for p in node.repo.rglob("*") if p.is_file()), "plaintext on a node")
    # others
    bob.fails("no file", "get", "docs/big", "x")
    check(bob.names() == [], "bob sees nothing")
    ann.run("share", "docs/big", "bob")
    check("bob" in ann.text("share", "docs/big"), "who may read it")
    same(bob, "docs/big", big)
    bob.fails("403|404|may not|no file", "rm", "docs/big")
    bob.fails("403|404|may not|no file", "mv", "docs/big", "mine")
    ann.run("share", "docs/big", "bob", "--remove")
    bob.fails("no file", "get", "docs/big", "x")
    # names, versions
    ann.run("mv", "docs/big", "other/big")
    changed = bytearray(big.read_bytes())
    changed[5_000_000:5_000_010] = b"0123456789"
    second = shop.path("second")
    second.write_bytes(changed)
    delta = ann.json("put", second, "other/big", "--delta")
    check(delta["version"] == 2 and delta["sent_chunks"] == 1 and delta["kept_chunks"] == 2, delta)
    same(ann, "other/big", second)
    ann.run("get", "other/big", "old", "--version=1")
    check((ann.home / "old").read_bytes() == big.read_bytes(), "version 1")
    # cut by content: what moved is found again
    ann.run("put", big, "cut", "--chunker=buzhash")
    moved = shop.path("moved")
    moved.write_bytes(b"a few bytes in front" + big.read_bytes())
    delta = ann.json("put", moved, "cut", "--chunker=buzhash", "--delta")
    check(delta["kept_chunks"] > 5 * delta["sent_chunks"], delta)
    same(ann, "cut", moved)
    # deleting reaches the nodes
    for name in ann.names():
        ann.run("rm", name)
    ann.fails("no file", "get", "cut")
    wait_until(lambda: all(n["chunk_count"] == 0 and n["used_bytes"] == 0 for n in s.known().values()), 30, "the nodes are empty")
    ann.run("logout")
    ann.fails("logged in", "ls")
    (ann.home / "fs.json").write_text(json.dumps({"url": ann.environment["METADATA_ADDR"], "token": "of.another.service"}))
    ann.fails("token", "ls")
    ann.run("login", "--username=ann")
    check(ann.names() == [], "logged in again")
    check(s.client.good("GET", "/audit/verify")["is_intact"], "the audit log")
    s.finish()


def test_fileserver_heals(shop):
    s = FileService(shop, 4)
    file = shop.file("file", 6_000_000)
    s.admin.run("put", file, "file")
    check(all(len(c) == 3 for c in s.copies("file")), s.copies("file"))
    lost = next(n for n in s.nodes if n.id in s.copies("file")[0])
    lost.kill()
    same(s.admin, "file", file)  # from the others
    alive = {n.id for n in s.nodes if n is not lost}
    wait_until(lambda: all(len(c & alive) == 3 for c in s.copies("file")), 60, "three copies again")
    again = next(n for n in s.nodes if n is not lost)
    again.kill()
    same(s.admin, "file", file)
    # one that comes back is in service again; what it lost is noticed by its readers
    lost.start()
    again.start()
    wait_until(lambda: all(n["health"] == "healthy" for n in s.known().values()), 30, "both are back")
    same(s.admin, "file", file)
    s.finish()


def test_fileserver_quorum_and_full_nodes(shop):
    s = FileService(shop, 3)
    file = shop.file("file", 3_000_000)
    s.nodes[0].process.send_signal(signal.SIGSTOP)
    began = time.monotonic()
    s.admin.run("put", file, "file")
    check(time.monotonic() - began < 20, "a node that hangs does not hold a quorum up")
    same(s.admin, "file", file)
    s.nodes[0].process.send_signal(signal.SIGCONT)
    s.admin.fails("storage node|copies|nodes", "put", file, "never", "--replication=9", "--quorum=9")
    check(s.admin.names() == ["file"], "what was not committed is not visible")
    wait_until(lambda: all(len(c) == 3 for c in s.copies("file")), 60, "the third copy")
    # a node that takes little, and says so
    little = s.add_node("little", "--capacity=1MiB")
    s.nodes.append(little)
    s.admin.run("put", file, "more")
    check(all(little.id not in c for c in s.copies("more")), "not on the small one")
    same(s.admin, "more", file)
    s.finish()


def test_fileserver_drain(shop):
    s = FileService(shop, 4)
    file = shop.file("file", 6_000_000)
    s.admin.run("put", file, "file")
    leaving = next(n for n in s.nodes if n.id in s.copies("file")[0])
    check("draining" in s.admin.text("drain", leaving.id), "draining")
    wait_until(lambda: s.known()[leaving.id]["state"] == "drained", 60, "drained")
    check(all(leaving.id not in c and len(c) == 3 for c in s.copies("file")), s.copies("file"))
    s.admin.run("put", file, "second")
    check(all(leaving.id not in c for c in s.copies("second")), "takes no more")
    leaving.kill()
    s.admin.run("forget", leaving.id)
    check(leaving.id not in s.known() and leaving.id not in s.admin.text("nodes"), "forgotten")
    same(s.admin, "file", file)
    s.account("eve").fails("403|may not|role|allowed", "drain", s.nodes[0].id if s.nodes[0] is not leaving else s.nodes[1].id)
    s.finish()


def test_fileserver_resumes(shop):
    s = FileService(shop, 3)
    file = shop.file("file", 24_000_000)
    words = [shop.program, "fs", "put", str(file), "file", "--chunk-size=256KiB"]
    notes = s.admin.home / "fs.json.uploads"

    def stored():
        return sum(p.read_text(errors="replace").count('"stored"') for p in notes.glob("*.upload"))
    putting = subprocess.Popen(words, env=s.admin.environment, cwd=s.admin.home, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until(lambda: stored() >= 5 or putting.poll() is not None, 60, "some chunks are stored", every=0.005)
    check(putting.poll() is None, "it was too fast to be interrupted")
    putting.kill()
    putting.wait()
    had = stored()
    done = s.admin.json("put", file, "file", "--chunk-size=256KiB")
    check(done["was_resumed"] and done["sent_chunks"] == 92 - had, (done, had))
    same(s.admin, "file", file)
    # a file that changes between is begun anew
    putting = subprocess.Popen(words[:-2] + ["two", words[-1]], env=s.admin.environment, cwd=s.admin.home, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    wait_until(lambda: stored() >= 5 or putting.poll() is not None, 60, "some chunks are stored", every=0.005)
    putting.kill()
    putting.wait()
    other = bytearray(file.read_bytes())
    other[:9] = b"different"
    info = file.stat()
    with open(file, "r+b") as f:
        f.write(other[:9])
    os.utime(file, ns=(info.st_atime_ns, info.st_mtime_ns))  # as if nothing had happened
    s.admin.fails("changed", "put", file, "two", "--chunk-size=256KiB")
    again = s.admin.json("put", file, "two", "--chunk-size=256KiB")
    check(not again["was_resumed"], again)
    same(s.admin, "two", file)
    # a get that was cut off goes on behind its last whole chunk
    part = next(iter(f for f in s.client.good("GET", "/files?name=two")["files"]))
    left = s.admin.home / f"out.{part['id'][:8]}-v{again['version']}.part"
    left.write_bytes(file.read_bytes()[:10_000_000])
    got = s.admin.json("get", "two", "out")
    check(0 < got["resumed_at"] <= 10_000_000 and got["resumed_at"] % (256 << 10) == 0, got)
    check((s.admin.home / "out").read_bytes() == file.read_bytes() and not left.exists(), "whole")
    # as after a loss of power: its length was written, a part of its content was not
    torn = bytearray(file.read_bytes()[:10_000_000])
    torn[3_000_000:4_000_000] = bytes(1_000_000)
    left.write_bytes(torn)
    got = s.admin.json("get", "two", "out")
    check(got["resumed_at"] == 3_000_000 // (256 << 10) * (256 << 10), got)
    check((s.admin.home / "out").read_bytes() == file.read_bytes() and not left.exists(), "whole")
    s.finish()


def test_fileserver_grpc(shop):
    python = python_with("grpcio", "grpcio-tools")
    s = FileService(shop, 1)
    node = s.nodes[0]
    file = shop.file("file", 3_000_000)
    s.admin.run("put", file, "file", "--replication=1", "--quorum=1")
    detail = s.client.good("GET", f"/files/{s.client.good('GET', '/files?name=file')['files'][0]['id']}")
    reads = [{k: c[k] for k in ("id", "ticket", "size")} for c in detail["chunks"]]
    upload = s.client.begin("by hand", 5_000_000, chunk_size=5_000_000, replication_factor=1, quorum=1)
    key, certificate = shop.path("client.key"), shop.path("client.crt")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=client",
                    "-keyout", str(key), "-out", str(certificate)], check=True, stderr=subprocess.DEVNULL)
    given = {"scratch": shop.folder, "proto": str(ROOT / "proto"), "address": f"127.0.0.1:{node.port}", "length": 5_000_000,
             "pem": {"server": str(node.repo / "fileserver.crt"), "key": str(key), "certificate": str(certificate)},
             "write_ticket": upload["ticket"], "read_ticket": None, "reads": reads}
    done = subprocess.run([python, str(ROOT / "tests/process/grpc_client.py")], input=json.dumps(given).encode(), stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=120)
    check(done.returncode == 0, done.stderr.decode()[-1500:])
    found = json.loads(done.stdout)

    def refused(code, *names):
        for name in names:
            check(found[name][0] == code, f"{name}: {found[name]}, not {code}")
    check(isinstance(found["put"], dict), found["put"])
    check(found["put"]["was_present"] is False and found["put_again"]["was_present"] is True, found)
    check(found["put"]["node"] == node.id and found["put"]["receipt"] == found["put_again"]["receipt"], found["put"])
    refused("PERMISSION_DENIED", "put_without_ticket", "put_forged", "get", "get_with_write_ticket", "get_without_ticket", "delete", "replicate",
            "stat", "read_other_chunk")
    refused("DATA_LOSS", "put_other_bytes")
    refused("INVALID_ARGUMENT", "put_too_short", "put_too_long", "put_bad_id", "put_no_head", "put_nothing", "not_a_message", "read_behind")
    refused("RESOURCE_EXHAUSTED", "put_huge", "put_over_ticket", "has_too_many", "too_large")
    refused("UNIMPLEMENTED", "unknown", "compressed")
    refused("NOT_FOUND", "check_other")
    refused("UNAVAILABLE", "no_certificate", "no_tls")
    check(found["has"] == [True, False] and found["many"] == 500, found["has"])
    check(found["health"] == found["check"] == found["health_afterwards"] == "SERVING", found["health"])
    check(found["read"]["sha"] == reads[-1]["id"] and found["read"]["size"] == reads[-1]["size"] and found["read"]["pieces"] > 1, found["read"])
    check(found["read_range"]["len"] == 1000 and found["read_end"]["len"] == 5, found["read_range"])
    # the log of the service has what its nodes refused
    wait_until(lambda: any(r["outcome"] == "ERR_DENIED" and r["actor"].endswith(node.id) and "get=" in r["detail"] and len(r["target"]) == 64
                           for r in s.client.good("GET", "/audit?action=chunk.refused")["records"]), 20, "the refused reads are in the log")
    # the receipt is good for a commit: gRPC and REST alone make a file
    chunk = hashlib.sha256(hashlib.shake_256(b"chunk").digest(5_000_028)).hexdigest()
    s.client.good("POST", "/commit_upload", {"upload_id": upload["upload_id"], "chunks": [
        {"id": chunk, "size": 5_000_028, "length": 5_000_000, "stored": [{"node": node.id, "receipt": found["put"]["receipt"]}]}]})
    s.finish()


def test_fileserver_words(shop):
    s = FileService(shop, 1)
    # a node that knows another storage node alone finds the metadata service through it
    second = StorageNode(s.metadata, shop.folder, "second", f"-bootstrap-nodes=127.0.0.1:{s.nodes[0].port}")
    second.knows_metadata = False
    shop.daemons.append(second)
    second.start()
    s.nodes.append(second)
    check(set(s.known()) == {s.nodes[0].id, second.id}, "both are registered")

    def refuses(saying, *words, **environment):
        env = {**os.environ, "HOME": shop.folder, "DISTRIBUTE_PATH": str(shop.path("bad")), **environment}
        env.pop("METADATA_ADDR", None)
        done = subprocess.run([shop.program, "fileserver", *words], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
        said = done.stderr.decode()
        check(done.returncode and saying in said, f"{words}: exit {done.returncode}: {said}")
    refuses("METADATA_NODE_KEY", "-listen-addr=127.0.0.1:0")
    refuses("unknown option", "-listen-adr=127.0.0.1:0")
    refuses("nonsense", "-listen-addr=nonsense", METADATA_NODE_KEY="dsk_x")
    refuses("belong together", "-listen-addr=127.0.0.1:0", "--tls-cert=/nowhere", METADATA_NODE_KEY="dsk_x")
    refuses("in use", f"-listen-addr=127.0.0.1:{s.nodes[0].port}", "--metrics-port=0", METADATA_NODE_KEY="dsk_x")
    # chunks outlive a collection of garbage, and a restart
    file = shop.file("file", 2_000_000)
    s.admin.run("put", file, "file", "--replication=2", "--quorum=2")
    for node in s.nodes:
        node.stop()
        env = {**os.environ, "DISTRIBUTE_PATH": str(node.repo)}
        subprocess.run([shop.program, "repo", "gc"], env=env, check=True, stdout=subprocess.DEVNULL)
        node.start()
    same(s.admin, "file", file)
    s.finish()


def test_fileserver_mends_damage(shop):
    s = FileService(shop, 3)
    file = shop.file("file", 12_000_000)
    s.admin.run("put", file, "file", "--chunk-size=256KiB")
    bad = s.nodes[0]
    bad.stop()
    for segment in bad.repo.rglob("*.seg"):
        with open(segment, "r+b") as f:
            for at in range(100_000, segment.stat().st_size - 100, 300_000):
                f.seek(at)
                f.write(b"damaged")
    bad.start()
    for _ in range(3):
        same(s.admin, "file", file)  # readers notice, and get what others have

    def mended():
        same(s.admin, "file", file)
        return all(len(c) == 3 for c in s.copies("file")) and "a chunk is damaged" in bad.err_path.read_text()
    wait_until(mended, 60, "three copies of everything again")
    s.finish()


def test_fileserver_other_databases(shop):
    """The metadata service comes back with another database: nodes keep what they have, and tell an older backup what it lacks."""
    s = FileService(shop, 3)
    data = s.metadata.repo
    file, later = shop.file("file", 2_000_000), shop.file("later", 1_000_000)
    s.admin.run("put", file, "file", "--replication=1", "--quorum=1")
    backup = shop.path("backup.db")
    subprocess.run([shop.program, "metadata", "backup", str(backup), f"--data-dir={data}"], check=True, stdout=subprocess.DEVNULL)
    before = s.copies("file")
    leaving = next(iter(before[0]))
    s.admin.run("drain", leaving)
    wait_until(lambda: s.known()[leaving]["state"] == "drained", 60, "drained")
    s.admin.run("put", later, "later")

    def start_with(database, password=None):
        s.metadata.stop()
        for path in data.glob("metadata.db*"):
            path.unlink()
        if database:
            shutil.copy(database, data / "metadata.db")
        marks = [n.err_path.stat().st_size for n in s.nodes]
        if password:
            (data / "admin-password").write_text(password)
        s.metadata.start()
        s.client = s.metadata.admin()
        s.admin.environment["DISTRIBUTE_PASSWORD"] = s.metadata.secret("admin-password")
        s.admin.run("login", "--username=admin")
        return marks
    # an older backup: where it looks for the chunks there are none any more
    start_with(backup)
    check(s.admin.names() == ["file"], "as of the backup")
    def again():
        log = s.client.good("GET", "/audit?action=service.set_back")["records"]
        return log and all(c and leaving not in c for c in s.copies("file"))
    wait_until(again, 30, "the copies are known again")
    same(s.admin, "file", file)
    s.admin.run("put", later, "later")
    same(s.admin, "later", later)
    newest = shop.path("newest.db")
    subprocess.run([shop.program, "metadata", "backup", str(newest), f"--data-dir={data}"], check=True, stdout=subprocess.DEVNULL)
    # an empty one, with the keys of before: nodes do not take its word
    password = s.metadata.secret("admin-password")
    marks = start_with(None)
    holders = [n for n in s.nodes if n.id != leaving]
    for node in holders:
        node.stop()
        node.is_let_in = False
        node.start()
        wait_until(lambda: "with another database" in node.err_path.read_text()[marks[s.nodes.index(node)]:], 20, "the node says why it does not register")
    check(not set(s.known()) & {n.id for n in holders}, "they have not registered")
    # one is told to belong to it: to that one alone, however long the option stays
    said = re.search(r"chunks of the metadata service ([0-9a-f]{32}); this one is ([0-9a-f]{32})", holders[0].err_path.read_text())
    holders[0].stop()
    holders[0].is_let_in = True
    holders[0].start(f"--adopt={said[2]}")
    holders[0].stop()
    marks = start_with(newest, password)
    holders[0].is_let_in = False
    mark = holders[0].err_path.stat().st_size
    holders[0].start(f"--adopt={said[2]}")
    wait_until(lambda: "with another database" in holders[0].err_path.read_text()[mark:], 20, "it does not follow another one")
    holders[0].stop()
    for node in holders:
        node.is_let_in = True
    holders[0].start(f"--adopt={said[1]}")
    # the other one has run all the time: until it has asked again, its health is what the database remembers
    wait_until(lambda: "registered with" in holders[1].err_path.read_text()[marks[s.nodes.index(holders[1])]:], 30, "the other one has registered")
    wait_until(lambda: all(n["health"] == "healthy" for n in s.known().values() if n["id"] != leaving), 30, "they are back")
    same(s.admin, "file", file)
    same(s.admin, "later", later)
    s.finish()


def test_fileserver_evens_out(shop):
    """A node that is added takes its share; older versions go, and take with them what no other version has."""
    s = FileService(shop, 2, "--keep-versions=2")
    s.nodes = [s.nodes[0], s.nodes[1]] + [s.add_node(f"full{i}", "--capacity=48MiB") for i in range(2)]
    for first in s.nodes[:2]:
        s.admin.run("drain", first.id)  # those that are as large as the disk: any others look empty beside them
    files = [shop.file(f"file{i}", 6_000_000) for i in range(4)]
    for file in files:
        s.admin.run("put", file, file.name, "--replication=2", "--quorum=2", "--chunk-size=512KiB")
    full = [n.id for n in s.nodes[2:]]
    check(all(c == set(full) for f in files for c in s.copies(f.name)), "on both")
    fresh = s.add_node("fresh", "--capacity=48MiB")
    s.nodes.append(fresh)

    def fill():
        known = s.known()
        return [known[i]["used_bytes"] / known[i]["capacity_bytes"] for i in full + [fresh.id]]

    def even():
        check(all(len(c) >= 2 for f in files for c in s.copies(f.name)), "never fewer copies than asked for")
        return max(fill()) - min(fill()) <= 0.1 and all(len(c) == 2 for f in files for c in s.copies(f.name)) and fill()
    found = wait_until(even, 60, "all three are about as full")
    check(min(found) > 0.2, found)
    moves = s.client.good("GET", "/audit?action=chunk.balance")["records"]
    check(moves and all(r["outcome"] == "OK" for r in moves), "the log has it")
    for file in files:
        same(s.admin, file.name, file)
    # versions
    before = s.client.good("GET", "/users/me/quota")["used_bytes"]
    second = shop.path("second")
    for i in range(1, 4):
        changed = bytearray(files[0].read_bytes())
        changed[i * 600_000:i * 600_000 + 9] = b"different"
        second.write_bytes(changed)
        s.admin.json("put", second, files[0].name, "--delta", "--replication=2", "--quorum=2", "--chunk-size=512KiB")
    file = s.client.good("GET", f"/files?name={files[0].name}")["files"][0]

    def versions():
        return [v["version"] for v in s.client.good("GET", f"/files/{file['id']}/versions")["versions"]]
    wait_until(lambda: versions() == [4, 3], 30, "two versions are left")
    after = s.client.good("GET", f"/files/{file['id']}?chunks_limit=0")["file"]
    chunk = 512 * 1024 + 44
    check(after["stored_bytes"] == 6_000_000 + 12 * 44 + 2 * chunk, after)  # the newest, and the two chunks in which the one before differs
    check(s.client.good("GET", "/users/me/quota")["used_bytes"] == before + 2 * chunk, "the quota has them back")
    same(s.admin, files[0].name, second)
    s.admin.fails("no version", "get", files[0].name, "old", "--version=1")
    s.admin.run("get", files[0].name, "old", "--version=3")
    live = sum(len(c) for f in files for c in s.copies(f.name)) + 4
    wait_until(lambda: sum(n["chunk_count"] for n in s.known().values()) == live, 30, "their chunks are gone from the nodes")
    s.finish()


def test_fileserver_accounts(shop):
    """Accounts, keys, the log and the master key by the command line."""
    s = FileService(shop, 0)
    secret = shop.path("secret")
    secret.write_text("a password of bob\n")
    wrong, short = shop.path("wrong"), shop.path("short")
    wrong.write_text("a wrong password")
    short.write_text("abc")
    made = s.admin.json("user", "add", "bob", f"--password-file={secret}", "--quota-bytes=1GB", "--quota-files=10")
    check(made["role"] == "user" and made["quota_bytes"] == 10**9 and made["quota_files"] == 10, made)
    s.admin.fails("already", "user", "add", "bob", f"--password-file={secret}")
    s.admin.fails("password-file", "user", "add", "eve")
    s.admin.fails("a password has 8", "user", "add", "eve", f"--password-file={short}")
    check("bob" in s.admin.text("user", "ls") and "admin" in s.admin.text("user", "ls"), s.admin.text("user", "ls"))
    bob = Account(s.metadata, shop.folder, "bob", "a password of bob")
    bob.fails("may not|403", "user", "ls")
    bob.fails("may not|403", "user", "add", "eve", f"--password-file={secret}")
    bob.fails("may not|only admins|403", "user", "set", "bob", "--role=admin")
    bob.fails("may not|403", "audit")
    bob.fails("old_password", "passwd", f"--password-file={secret}", f"--old-password-file={wrong}")
    fresh = shop.path("fresh")
    fresh.write_text("another password")
    bob.run("passwd", f"--password-file={fresh}")
    bob.environment["DISTRIBUTE_PASSWORD"] = "another password"
    bob.run("login", "--username=bob")
    # keys
    key = bob.text("key", "add", "robot", "--scope=read,write", "--expires-in=3600")
    check(key.startswith("dsk_") and len(key.split()) == 1, "the secret alone")
    listed = bob.json("key", "ls")["api_keys"]
    check([k["scopes"] for k in listed] == [["read", "write"]] and key not in bob.text("key", "ls"), listed)
    bob.fails("only admins|403", "key", "add", "node", "--scope=node")
    second = bob.text("key", "rotate", listed[0]["id"])
    check(second.startswith("dsk_") and second != key, "another secret")
    s.metadata.client(key).refused(401, "GET", "/files")
    s.metadata.client(second).good("GET", "/files")
    bob.run("key", "rm", listed[0]["id"])
    s.metadata.client(second).refused(401, "GET", "/files")
    # changing and removing
    changed = s.admin.json("user", "set", "bob", "--quota-bytes=none", "--role=readonly")
    check(changed["quota_bytes"] is None and changed["quota_files"] == 10 and changed["role"] == "readonly", changed)
    check(s.admin.json("user", "set", "bob", "--disable")["is_disabled"], "disabled")
    bob.fails("disabled", "ls")
    s.admin.run("user", "set", "bob", "--enable")
    bob.run("ls")
    s.admin.run("user", "rm", "bob")
    bob.fails("gone|token|logged", "ls")
    s.admin.fails("no account", "user", "rm", "bob")
    log = s.admin.text("audit", "--action=user.change")
    check(log.count("user.change") == len(log.splitlines()) > 3 and "ERR_DENIED" in log, log)
    status = s.admin.json("master", "status")
    s.admin.run("master", "rotate")
    check(s.admin.json("master", "status") == status, "the same key again")


def test_fileserver_client_cache(shop):
    """What was read stays near for a while, encrypted and bounded; what it gives is checked."""
    s = FileService(shop, 1)
    ann = s.account("ann")
    del ann.environment["DISTRIBUTE_FS_CACHE"]
    ann.environment["XDG_CACHE_HOME"] = str(ann.home / "caches")
    folder = ann.home / "caches/distribute/fs"
    path = shop.file("file", 3_000_000)
    ann.run("put", path, "file", "--replication=1", "--quorum=1", "--chunk-size=1MiB")
    check(ann.json("get", "file", "back")["cached_chunks"] == 0, "the first time")
    check(ann.json("get", "file", "back")["cached_chunks"] == 3, "the second time")
    check((ann.home / "back").read_bytes() == path.read_bytes(), "the same")
    check(folder.stat().st_mode & 0o77 == 0 and all(p.stat().st_mode & 0o77 == 0 for p in folder.iterdir()), "nobody else's")
    marks = path.read_bytes()[1_500_000:1_500_032]
    check(not any(marks in p.read_bytes() for p in folder.iterdir()), "no plaintext")
    s.nodes[0].kill()
    check(ann.json("get", "file", "back")["cached_chunks"] == 3, "also while no storage node answers")
    ann.fails("", "get", "--no-cache", "file", "x")
    s.nodes[0].start()
    for p in folder.iterdir():  # damaged: fetched again, and kept again
        data = bytearray(p.read_bytes())
        data[1000] ^= 1
        p.write_bytes(data)
    check(ann.json("get", "file", "back")["cached_chunks"] == 0, "what does not fit its name is no chunk")
    check((ann.home / "back").read_bytes() == path.read_bytes(), "nobody notices")
    check(ann.json("get", "file", "back")["cached_chunks"] == 3, "mended")
    ann.environment["DISTRIBUTE_FS_CACHE"] = "2MB"
    for i in range(8):
        ann.run("put", shop.file(f"small{i}", 400_000), f"small{i}", "--replication=1", "--quorum=1")
        ann.run("get", f"small{i}", "-")
    check(sum(p.stat().st_size for p in folder.iterdir()) <= 2_000_000, "bounded")
    ann.environment["DISTRIBUTE_FS_CACHE"] = "much"
    ann.fails("much", "get", "file", "-")
    s.finish()
