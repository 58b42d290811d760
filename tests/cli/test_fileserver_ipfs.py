"""A storage node that is a node of IPFS besides: files are published with a flag, content of IPFS becomes files of the service, and
chunks stay what they are: nobody's business."""
import json
import pathlib
import subprocess

from fileservice import FileService
from nodes import check, wait_until


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
    node = s.add_node("public", "--ipfs", "--ipfs-listen=127.0.0.1:0", "--ipfs-bootstrap=none", "--api-port=0")
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


def token_of(account):
    return json.loads((account.home / "fs.json").read_text())["token"]


def ann_file(s, name, path):
    account = s.metadata.client(json.loads((pathlib.Path(s.shop.folder) / f"home-{name}" / "fs.json").read_text())["token"])
    file = next(f for f in account.good("GET", f"/files?name={path}")["files"] if f["name"] == path)
    return account.good("GET", f"/files/{file['id']}")
