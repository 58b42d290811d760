"""A storage node of the file service as a peer of Kubo: what is published comes to it, what it has becomes a file. Run by run.py."""
import json
import subprocess

from fileservice import FileService
from nodes import check


def test_file_service_and_kubo(shop):
    s = FileService(shop, 0)
    node = s.add_node("public", "--ipfs", "--ipfs-listen=127.0.0.1:0", "--ipfs-bootstrap=none", "--api-port=0")
    s.nodes.append(node)
    kubo = shop.kubo("kubo")
    said = subprocess.run([shop.program, "id"], env={**node.env(), "DISTRIBUTE_PATH": str(node.repo)}, stdout=subprocess.PIPE, check=True).stdout
    kubo.run("swarm", "connect", json.loads(said)["Addresses"][0])
    ours, theirs = shop.file("ours", 5_000_000), shop.file("theirs", 4_000_000)
    stored = s.admin.json("put", ours, "ours", "--publish", "--replication=1", "--quorum=1")
    check(stored["cid"] == kubo.text("add", "-Q", "--only-hash", "--cid-version=1", ours), "Kubo makes the same CID of it")
    check(kubo.run("cat", stored["cid"], timeout=60).stdout == ours.read_bytes(), "Kubo gets what is published")
    folder = shop.path("folder")
    folder.mkdir()
    theirs.rename(folder / "theirs")
    root = kubo.text("add", "-r", "-Q", folder)
    stored = s.admin.json("put", "--from-ipfs", f"/ipfs/{root}/theirs", "--replication=1", "--quorum=1")
    check(stored["name"] == "theirs" and stored["cid"] == kubo.text("resolve", f"/ipfs/{root}/theirs").split("/")[-1], stored)
    kubo.stop()
    check(s.admin.run("get", "theirs", "-").stdout == (folder / "theirs").read_bytes(), "and it is kept without Kubo")
    s.finish()
