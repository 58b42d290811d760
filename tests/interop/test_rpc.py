"""Clients that we did not write, against our RPC: Kubo's own command line, the calls that IPFS Cluster makes, the lines
that js-ipfsd-ctl waits for. Run by run.py."""
import http.client
import json
import os
import re
import subprocess

import nodes
from nodes import check, wait_until

NOBODY_HAS = "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG"


class Remote:
    """Kubo's program with --api at our node, in an empty repository of its own."""

    def __init__(self, shop, node):
        self.program, self.node = shop.kubo_program, node
        self.env = {**os.environ, "IPFS_PATH": str(shop.path("no-repository")), "IPFS_TELEMETRY": "off"}

    def run(self, *words, stdin=b"", fails=False):
        words = [self.program, "--api", f"/ip4/127.0.0.1/tcp/{self.node.api_port}", *map(str, words)]
        result = subprocess.run(words, input=stdin, capture_output=True, env=self.env, timeout=120)
        check((result.returncode != 0) == fails, f"{' '.join(words[3:])}: exit {result.returncode}: {result.stderr[-300:]!r}")
        return result.stderr if fails else result.stdout

    def text(self, *words, **options):
        return self.run(*words, **options).decode().strip()


def test_kubo_command_line(shop):
    node, other = shop.node("server"), shop.node("other")
    ipfs = Remote(shop, node)
    check(node.peer_id in ipfs.text("id"), "id")
    check(ipfs.text("id", "-f=<id>") == node.peer_id, "id -f")
    path = shop.file("file", 700000)
    cid = ipfs.text("add", "-Q", path)
    check(node.text("add", "-Q", path) == cid, "another CID")
    check(ipfs.run("cat", cid) == path.read_bytes(), "cat")
    check(ipfs.run("cat", "-o", "262140", "-l", "10", cid) == path.read_bytes()[262140:262150], "cat with a range")
    folder = shop.path("folder")
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "b").write_bytes(nodes.make_bytes("b", 300000))
    (folder / "a").write_text("a")
    (folder / "link").symlink_to("a")
    root = ipfs.text("add", "-r", "-Q", folder)
    check(node.text("add", "-r", "-Q", folder) == root, "another CID of the folder")
    check([line.split()[-1] for line in ipfs.text("ls", root).splitlines()] == ["a", "link", "sub/"], ipfs.text("ls", root))
    ipfs.run("get", root, "-o", shop.path("got"))
    check((shop.path("got") / "sub" / "b").read_bytes() == (folder / "sub" / "b").read_bytes(), "get")
    check(os.readlink(shop.path("got") / "link") == "a", "get of a link")
    check(len(ipfs.text("refs", "-r", root).splitlines()) == len(node.text("refs", "-r", root).splitlines()) > 4, "refs")
    check(ipfs.text("resolve", f"/ipfs/{root}/a").startswith("/ipfs/Qm"), "resolve")
    check(f"{root} recursive" in ipfs.text("pin", "ls", "-t", "recursive").splitlines(), "pin ls")
    check(ipfs.text("pin", "rm", root) == f"unpinned {root}", "pin rm")
    check(b"not pinned" in ipfs.run("pin", "rm", root, fails=True), "pin rm of what is not pinned")
    check(ipfs.text("pin", "add", "--name=n", root) == f"pinned {root} recursively", "pin add")
    check(ipfs.text("pin", "ls", "--names", root) == f"{root} recursive n", "pin ls --names")
    check(b"nodes" in subprocess.run([ipfs.program, "--api", f"/ip4/127.0.0.1/tcp/{node.api_port}", "pin", "add", "--progress", root],
                                     capture_output=True, env=ipfs.env, timeout=60).stderr, "pin add --progress")
    check("ok" in ipfs.text("pin", "verify", "--verbose"), "pin verify")
    block = ipfs.text("block", "put", stdin=b"a block")
    check(ipfs.run("block", "get", block) == b"a block" and "Size: 7" in ipfs.text("block", "stat", block), "block")
    check(ipfs.text("block", "rm", block) == f"removed {block}", "block rm")
    check("success" in ipfs.text("swarm", "connect", other.addresses[0]), "swarm connect")
    check(other.peer_id in ipfs.text("swarm", "peers"), "swarm peers")
    check(ipfs.text("ping", "-n", "1", other.peer_id).count("Pong") == 1, "ping")
    check(f'"ID": "{other.peer_id}"' in ipfs.text("id", other.peer_id), "id of a peer")
    check("success" in ipfs.text("swarm", "disconnect", other.addresses[0]), "swarm disconnect")
    check("NumObjects" in ipfs.text("repo", "stat"), "repo stat")
    ipfs.run("repo", "gc", "-q")
    check("verify complete" in ipfs.text("repo", "verify"), "repo verify")
    check(ipfs.text("config", "Datastore.StorageMax") == "10GB", "config")
    ipfs.run("config", "--json", "Swarm.ConnMgr.HighWater", "77")
    check(ipfs.text("config", "Swarm.ConnMgr.HighWater") == "77", "config --json")
    check("Addresses" in json.loads(ipfs.text("config", "show")), "config show")
    check(ipfs.text("bootstrap", "list") == "", "bootstrap")
    check("wantlist" in ipfs.text("bitswap", "stat"), "bitswap stat")
    check(b"could not find" in ipfs.run("cat", "--offline", NOBODY_HAS, fails=True), "cat of what is not here")
    check(b"invalid path" in ipfs.run("cat", "foo", fails=True), "cat of a wrong CID")
    ipfs.run("shutdown")
    wait_until(lambda: node.process.poll() is not None, 60, "shutdown ends the node")


def test_calls_of_cluster(shop):
    """The requests of IPFS Cluster's connector (ipfsconn/ipfshttp), with the answers that it decodes."""
    node, other = shop.node("cluster"), shop.node("cluster-peer")
    check(node.rpc("id")["ID"] == node.peer_id and node.rpc("id")["Addresses"], "id")
    check("success" in node.rpc("swarm/connect", other.addresses[0])["Strings"][0], "swarm/connect")
    check(other.peer_id in node.peers(), "swarm/peers")
    path = shop.file("pinned", 2 * 1024 * 1024)
    cid, second = other.text("add", "-Q", path), other.text("add", "-Q", shop.file("second", 300000))
    lines = node.rpc_lines("pin/add", cid, recursive="true", progress="true")
    check(lines[-1].get("Pins") == [cid] and any(line.get("Progress") for line in lines), f"pin/add says {lines}")
    check(node.rpc("pin/ls", cid, type="recursive")["Keys"][cid]["Type"] == "recursive", "pin/ls of one")
    listed = node.rpc_lines("pin/ls", stream="true", type="recursive")
    check([line for line in listed if line["Cid"] == cid and line["Type"] == "recursive"], f"pin/ls?stream says {listed}")
    response, data = node.rpc_raw("pin/ls", [NOBODY_HAS], {"type": "recursive"})
    check(response.status == 500 and json.loads(data)["Message"].endswith("is not pinned"), f"pin/ls of what is not pinned: {data!r}")
    check(node.rpc("pin/update", cid, second, unpin="false")["Pins"] == [cid, second], "pin/update")
    check(node.rpc("pin/rm", cid)["Pins"] == [cid], "pin/rm")
    response, data = node.rpc_raw("pin/rm", [cid])
    check(response.status == 500 and json.loads(data)["Message"] == "not pinned or pinned indirectly", f"pin/rm: {data!r}")
    stat = node.rpc("repo/stat", size_only="true")
    check(stat["RepoSize"] > 0 and stat["StorageMax"] == 10 ** 10, f"repo/stat says {stat}")
    removed = node.rpc_lines("repo/gc", stream_errors="true")
    check(nodes.raw_cid(cid) in [line["Key"]["/"] for line in removed], "repo/gc")
    check(node.rpc("resolve", f"/ipfs/{second}")["Path"] == f"/ipfs/{second}", "resolve")
    check("Datastore" in node.rpc("config/show"), "config/show")
    body = b'--XX\r\nContent-Disposition: form-data; name="data"; filename=""\r\n\r\ncluster\r\n--XX--\r\n'
    response, data = node.rpc_raw("block/put", (), {"format": "raw", "mhtype": "sha2-256", "pin": "true"}, body,
                                  "multipart/form-data; boundary=XX")
    key = json.loads(data)["Key"]
    check(response.status == 200 and node.rpc_raw("block/get", [key])[1] == b"cluster", f"block/put: {data!r}")


def test_lines_of_ipfsd_ctl(shop):
    """js-ipfsd-ctl edits the config file itself and reads the addresses off standard output."""
    node = shop.node("ctl", start=False)
    path = node.repo / "config"
    config = json.loads(path.read_text())
    config["Addresses"]["API"] = config["Addresses"]["Gateway"] = "/ip4/127.0.0.1/tcp/0"
    config["Addresses"]["Swarm"] = ["/ip4/127.0.0.1/tcp/0"]
    path.write_text(json.dumps(config))
    node.start_words = lambda: ["daemon"]
    node.start()
    text = node.out_path.read_text()
    api = re.search(r"API .*listening on:? (.*)", text)[1].strip()
    gateway = re.search(r"Gateway .*listening on:? (.*)", text)[1].strip()
    check(re.fullmatch(r"/ip4/127\.0\.0\.1/tcp/\d+", api) and re.fullmatch(r"/ip4/127\.0\.0\.1/tcp/\d+", gateway), text)
    check(re.search(r"(?:daemon is running|Daemon is ready)", text), text)
    check((node.repo / "api").read_text().strip() == api, "the file api names another address")


def test_uploads_as_clients_send_them(shop):
    """Multipart bodies as kubo-rpc-client, Go's client and curl write them: the names of parts and headers differ."""
    node = shop.node("uploads")
    for head in ('name="file"; filename="a.txt"\r\nContent-Type: application/octet-stream', 'name="file-0"; filename="a.txt"',
                 'name="data"; filename="a.txt"\r\nContent-Type: text/plain', "name=file; filename=a.txt"):
        body = f"--B\r\nContent-Disposition: form-data; {head}\r\n\r\nhello\n\r\n--B--\r\n".encode()
        response, data = node.rpc_raw("add", (), {"pin": "false"}, body, "multipart/form-data; boundary=B")
        line = json.loads(data.splitlines()[-1])
        check(line["Hash"] == "QmZULkCELmmk5XNfCgTnCyFgAVxBRBXyDHGGMVoLFLiXEN" and line["Name"] == "a.txt", f"{head}: {data!r}")
    body = ("--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"dir\"\r\nContent-Type: application/x-directory\r\n\r\n\r\n"
            "--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"dir%2Fa%20b.txt\"\r\nContent-Type: application/octet-stream"
            "\r\n\r\nx\r\n--B--\r\n").encode()
    response, data = node.rpc_raw("add", (), {}, body, "multipart/form-data; boundary=B")
    names = [json.loads(line)["Name"] for line in data.splitlines()]
    check(names == ["dir/a b.txt", "dir"], f"names {names}")
    for body, kind in ((b"", "multipart/form-data; boundary=B"), (b"--B\r\n", "multipart/form-data; boundary=B"),
                       (b"{}", "application/json"), (b"x" * 100000, "multipart/form-data; boundary=B"), (b"x", "multipart/form-data")):
        response, data = node.rpc_raw("add", (), {}, body, kind)
        told = response.status >= 400 or response.getheader("X-Stream-Error")
        check(told, f"{kind} with {body[:20]!r}: {response.status} {data[:200]!r}")
    check(node.rpc("id")["ID"] == node.peer_id, "the node answers no more")


def test_cross_site_requests_are_refused_as_by_kubo(shop):
    ours, kubo = shop.node("guard"), shop.kubo("kubo-guard")
    for method in ("POST", "GET", "OPTIONS", "PUT"):
        for headers in ({}, {"Origin": "http://evil.example"}, {"Referer": "http://evil.example/x"}, {"User-Agent": "Mozilla/5.0 (X11)"},
                        {"Origin": "http://localhost:5001"}, {"Origin": "null"}):
            answers = []
            for node in (ours, kubo):
                headers_there = {k: v.replace("5001", str(node.api_port)) for k, v in headers.items()}
                connection = http.client.HTTPConnection("127.0.0.1", node.api_port, timeout=60)
                connection.request(method, "/api/v0/id", headers=headers_there)
                response = connection.getresponse()
                response.read()
                connection.close()
                answers.append(response.status)
            check(answers[0] == answers[1], f"{method} with {headers}: {answers[0]} here, {answers[1]} from Kubo")
