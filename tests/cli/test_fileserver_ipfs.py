"""A storage node that is a node of IPFS besides: files are published with a flag, content of IPFS becomes files of the service, and
chunks stay what they are: nobody's business."""
import json
import pathlib
import shutil
import subprocess

from fileservice import FileService, python_with
from nodes import check, wait_until


ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
IPFS = ("--ipfs", "--ipfs-listen=127.0.0.1:0", "--ipfs-bootstrap=none", "--api-port=0")


def ipfs_of(shop, node, *words, check_code=True):
    """A command of the storage node's own IPFS node."""
    done = subprocess.run([shop.program, *map(str, words)], env={**node.env(), "DISTRIBUTE_PATH": str(node.repo)}, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=120)
    check(done.returncode == 0 or not check_code, f"{words}: {done.stderr.decode(errors='replace')[-600:]}")
    return done.stdout if check_code else done


def raw_cid(shop, node, hex_id):
    """The CID of a chunk."""
    return ipfs_of(shop, node, "cid", "format", "-f=%s", "-b=base32", "f01551220" + hex_id).decode().strip()


def test_fileserver_ipfs(shop):
    s = FileService(shop, 2)
    s.account("early").fails("--ipfs", "put", shop.file("tiny", 10), "--publish")  # stored, and told why it is not published
    node = s.add_node("public", *IPFS)
    s.nodes.append(node)
    peer = shop.node("peer")
    address = json.loads(ipfs_of(shop, node, "id"))["Addresses"][0]
    peer.run("swarm", "connect", address)
    ann, bob = s.account("ann"), s.account("bob")
    published, secret = shop.file("published", 3_000_000), shop.file("secret", 1_000_000)

    # a flag publishes: the CID is that of `add`, and a peer that we do not tell gets the bytes
    said = ann.json("put", published, "public/file", "--publish", "--replication=3")
    cid = peer.text("add", "-Q", "--only-hash", "--cid-version=1", published)
    check(said["cid"] == cid, f"{said['cid']} is not {cid}")
    check(ann.json("stat", "public/file")["cid"] == cid, "the file carries its CID")
    check(peer.run("cat", cid, timeout=60).stdout == published.read_bytes(), "published content comes by bitswap")
    check(cid in ipfs_of(shop, node, "pin", "ls", "--type=recursive").decode(), "it is pinned")
    ann.run("get", "public/file", "back")
    check((ann.home / "back").read_bytes() == published.read_bytes(), "it is in the service as well")

    # chunks are not given to IPFS, whoever knows their names
    ann.run("put", secret, "secret", "--replication=3", "--quorum=3")
    detail = ann_file(s, "ann", "secret")
    chunk = detail["chunks"][0]["id"]
    hidden = raw_cid(shop, node, chunk)
    check(len(ipfs_of(shop, node, "block", "get", hidden)) == detail["chunks"][0]["size"], "the owner of the node has the block")
    done = peer.run("block", "get", "--timeout=3s", hidden, check_code=False)
    check(done.returncode != 0, "a chunk was given to a peer")

    # content of IPFS becomes a file; blocks are verified by the client
    found = shop.file("found", 2_500_000)
    theirs = peer.text("add", "-Q", found)
    said = bob.json("put", "--from-ipfs", theirs, "from/ipfs")
    check(said["cid"] == theirs and said["size"] == 2_500_000, said)
    peer.stop()
    bob.run("get", "from/ipfs", "back")
    check((bob.home / "back").read_bytes() == found.read_bytes(), "content of IPFS is kept by the service")
    check(not list(bob.home.glob("fs.json.uploads/*")), "nothing is left of what was fetched")
    bob.fails("CID|path", "put", "--from-ipfs", "no-cid", "x")

    # who may: a ticket of the service, for one's own files
    other = ann_file(s, "ann", "secret")["file"]["id"]
    client = s.metadata.client(token_of(bob))
    client.refused(403, "POST", "/ipfs_tickets", {"file": other})
    reader = s.account("reader", role="readonly")
    s.metadata.client(token_of(reader)).refused(403, "POST", "/ipfs_tickets", {})

    # with the file its publication goes
    ann.run("rm", "public/file")
    wait_until(lambda: cid not in ipfs_of(shop, node, "pin", "ls", "--type=recursive").decode(), 60, "the pin is gone")
    wait_until(lambda: ipfs_of(shop, node, "block", "stat", "--offline", cid, check_code=False).returncode, 30, "the block is gone")
    s.finish()


def test_fileserver_ipfs_set_back(shop):
    """The service comes back with an older backup: what it has not heard of stays published; what is deleted goes."""
    s = FileService(shop, 0)
    data, backup = s.metadata.repo, shop.path("backup.db")
    node = s.add_node("public", *IPFS)
    s.nodes.append(node)

    def pins():
        return ipfs_of(shop, node, "pin", "ls", "--type=recursive").decode()

    def is_compared():
        return node.err_path.read_text().count("compared with the metadata service")

    def publish(name):
        return s.admin.json("put", shop.file(name, 100_000), name, "--publish", "--replication=1", "--quorum=1")["cid"]
    wait_until(is_compared, 20, "compared, for the first time")
    early = publish("early")
    subprocess.run([shop.program, "metadata", "backup", str(backup), f"--data-dir={data}"], check=True, stdout=subprocess.DEVNULL)
    late = publish("late")
    check(late in pins(), "published")
    before, beats = is_compared(), set()
    wait_until(lambda: beats.add(s.known()[node.id]["last_heartbeat_at"]) or len(beats) > 2, 20, "the node has seen the log as it is now")
    s.metadata.stop()
    for path in data.glob("metadata.db*"):
        path.unlink()
    shutil.copy(backup, data / "metadata.db")
    s.metadata.start()
    s.client = s.metadata.admin()
    s.admin.run("login", "--username=admin")
    wait_until(lambda: s.client.good("GET", "/audit?action=service.set_back")["records"], 30, "the node says so")
    wait_until(lambda: is_compared() > before, 30, "compared again")
    check(s.admin.names() == ["early"], "as of the backup")
    s.admin.run("rm", "early")
    wait_until(lambda: early not in pins(), 60, "what is deleted goes")
    check(late in pins(), "what the backup does not know stays")
    s.finish()


def test_fileserver_ipfs_attacked(shop):
    """A client of another make that means ill: what is published is what was allowed, whole, and what it says; chunks stay private."""
    python = python_with("grpcio", "grpcio-tools")
    s = FileService(shop, 1)
    public = s.add_node("public", *IPFS)
    s.nodes.append(public)
    s.admin.run("put", shop.file("small", 10), "small", "--replication=2", "--quorum=2")
    file = s.client.good("GET", "/files?name=small")["files"][0]
    chunk = s.client.good("GET", f"/files/{file['id']}")["chunks"][0]["id"]
    key, certificate = shop.path("client.key"), shop.path("client.crt")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=client",
                    "-keyout", str(key), "-out", str(certificate)], check=True, stderr=subprocess.DEVNULL)

    def place(node):
        return {"address": f"127.0.0.1:{node.port}", "certificate": str(node.repo / "fileserver.crt")}
    given = {"scratch": shop.folder, "proto": str(ROOT / "proto"), "pem": {"key": str(key), "certificate": str(certificate)}, "public": place(public),
             "other": place(s.nodes[0]), "chunk": chunk, "ticket": s.client.good("POST", "/ipfs_tickets", {"file": file["id"]}, want=201)["ticket"],
             "reading": s.client.good("POST", "/ipfs_tickets", {}, want=201)["ticket"], "writing": s.client.begin("by hand", 100)["ticket"]}
    done = subprocess.run([python, str(ROOT / "tests/process/publisher_client.py")], input=json.dumps(given).encode(), stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=120)
    check(done.returncode == 0, done.stderr.decode()[-1500:])
    found = json.loads(done.stdout)
    check(found["good"] is True and found["read"] == ["hello, all of you"] * 2 and found["good_afterwards"] == ["hello, all of you"], found)
    for code, names in {"PERMISSION_DENIED": ("no_ticket", "forged", "reading", "writing", "weak_hash", "read_no_ticket", "read_write_ticket"),
                        "DATA_LOSS": ("wrong_block",), "NOT_FOUND": ("absent_root", "absent_leaf", "read_private", "read_private_otherwise"),
                        "INVALID_ARGUMENT": ("no_root", "nothing", "root_first", "bad_cid", "bad_root", "read_bad_cid"),
                        "RESOURCE_EXHAUSTED": ("too_much", "read_too_many"), "UNIMPLEMENTED": ("elsewhere", "read_elsewhere")}.items():
        for name in names:
            check(found[name][0] == code, f"{name}: {found[name]}, not {code}")
    asked = [r for r in s.client.good("GET", "/audit?limit=1000")["records"] if r["action"] == "ipfs.ticket"]
    check(len(asked) == 2 and any("publish" in r["detail"] for r in asked), f"asking for it is in the log: {asked}")
    s.finish()


def token_of(account):
    return json.loads((account.home / "fs.json").read_text())["token"]


def ann_file(s, name, path):
    account = s.metadata.client(json.loads((pathlib.Path(s.shop.folder) / f"home-{name}" / "fs.json").read_text())["token"])
    file = next(f for f in account.good("GET", f"/files?name={path}")["files"] if f["name"] == path)
    return account.good("GET", f"/files/{file['id']}")
