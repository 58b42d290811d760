"""The program as a user meets it: commands with and without a running node, and what it says when something is wrong. Run by
run.py."""
import http.client
import json
import os
import pathlib
import re
import socket
import subprocess
import threading
import time
import urllib.request

import nodes
from nodes import check, fails, wait_until

MIB = 1 << 20
NOBODY_HAS = "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG"


# ── commands ────────────────────────────────────────────────────────────────────────────────────


def test_init_twice(shop):
    node = shop.node("init", start=False)
    fails(node, "init", saying="already|exists")
    check((node.repo / "version").read_text().strip() == "distribute-1", "version file")
    check((node.repo / "config").stat().st_mode & 0o777 == 0o600, "config is readable by others")


def test_add_cat_get_offline(shop):
    node = shop.node("offline", start=False)
    path = shop.file("data.bin", 3 * MIB + 17)
    line = node.text("add", path)
    cid = line.split()[1]
    check(line == f"added {cid} data.bin", line)
    check(node.run("cat", cid).stdout == path.read_bytes(), "cat gives other bytes")
    check(node.run("cat", "--offset=1000000", "--length=77", cid).stdout == path.read_bytes()[1000000:1000077], "range")
    out = shop.path("out.bin")
    said = node.text("get", cid, out)
    check(re.match(r"fetching from .+\.\.\. done \(.+ in .+s\)$", said), said)
    check(out.read_bytes() == path.read_bytes(), "get gives other bytes")
    check(node.text("add", "-Q", path) == cid, "-Q")
    check(node.run("add", "-Q", stdin=b"hello\n").stdout.strip() == b"QmZULkCELmmk5XNfCgTnCyFgAVxBRBXyDHGGMVoLFLiXEN", "stdin")


def test_add_directory_ls_get(shop):
    node = shop.node("dirs")
    folder = shop.path("tree")
    (folder / "sub" / "empty").mkdir(parents=True)
    (folder / "a.txt").write_text("a")
    (folder / "sub" / "b.bin").write_bytes(nodes.make_bytes("b", 700000))
    (folder / "link").symlink_to("a.txt")
    (folder / ".hidden").write_text("not added by default")
    fails(node, "add", folder, code=2, saying="use the '-r' flag")
    lines = node.text("add", "-r", folder).splitlines()
    root = lines[-1].split()[1]
    check(lines[-1].endswith(" tree"), lines[-1])
    names = [line.split(" ", 2)[2] for line in node.text("ls", root).splitlines()]
    check(names == ["a.txt", "link", "sub/"], f"ls says {names}")
    out = shop.path("tree-out")
    node.run("get", root, "-o", out)
    check((out / "sub" / "b.bin").read_bytes() == (folder / "sub" / "b.bin").read_bytes(), "file below")
    check((out / "sub" / "empty").is_dir() and os.readlink(out / "link") == "a.txt", "empty folder and link")
    fails(node, "get", root, "-o", folder / "a.txt", saying="the folder [^ ]*/tree/a.txt: a file or a symbolic link is in the way")
    check(node.run("cat", f"{root}/sub/b.bin").stdout == (folder / "sub" / "b.bin").read_bytes(), "path")
    check(node.text("resolve", f"/ipfs/{root}/a.txt").startswith("/ipfs/Qm"), "resolve")


def test_pins_and_gc(shop):
    node = shop.node("gc")
    keep, drop = (node.text("add", "-Q", shop.file(n, 2 * MIB)) for n in ("keep", "drop"))
    check({keep, drop} <= set(node.text("pin", "ls", "-q", "--type=recursive").split()), "pins")
    check(node.text("pin", "rm", drop) == f"unpinned {drop}", "unpin")
    fails(node, "pin", "rm", drop, saying="not pinned")
    removed = node.text("repo", "gc").splitlines()
    check(f"removed {nodes.raw_cid(drop)}" in removed, "gc removed nothing of it")
    check(f"removed {nodes.raw_cid(keep)}" not in removed, "gc removed a pinned block")
    check(node.run("cat", keep).stdout == shop.path("keep").read_bytes(), "the pinned file is whole")
    fails(node, "cat", "--offline", drop, saying="not found|not here")
    check("RepoSize" in node.text("repo", "stat"), "repo stat")


def test_blocks(shop):
    node = shop.node("blocks")
    cid = node.text("block", "put", stdin=b"some bytes")
    check(node.run("block", "get", cid).stdout == b"some bytes", "block get")
    check(node.text("block", "stat", cid) == f"Key: {cid}\nSize: 10", "block stat")
    check(node.text("block", "rm", cid) == f"removed {cid}", "block rm")
    fails(node, "block", "get", "--offline", cid, saying="not found|not here")


def test_config(shop):
    node = shop.node("config", start=False)
    node.run("config", "Datastore.StorageMax", "20GB")
    check(node.text("config", "Datastore.StorageMax") == "20GB", "config")
    node.run("config", "--json", "Swarm.ConnMgr.HighWater", "50")
    check(node.text("config", "Swarm.ConnMgr.HighWater") == "50", "config --json")
    fails(node, "config", "Identity.PrivKey", saying="private|denied|cannot")
    check("PrivKey" not in node.text("config", "show"), "config show prints the private key")
    fails(node, "config", "No.Such.Key", saying="No.Such|no such|not found")
    said = node.run("config", "Gateway.NoFetchh", "true")
    check(not said.stdout and b"Gateway.NoFetchh: no setting has this name" in said.stderr, f"a typing error: {said}")
    said = node.run("config", "--json", "Gateway.PublicGateways", '{"a.example": {"Paths": ["/ipfs"]}}')
    check(not said.stderr, f"a setting that is known: {said}")
    fails(node, "config", "--json", "Replication.AllowFrom", '["12D3Koo…"]', saying="no list of peer IDs")
    node.run("config", "--json", "Replication.AllowFrom", json.dumps([node.identity(), "*"]))
    before = (node.repo / "config").read_text()
    said = node.text("config", "profile", "apply", "--dry-run", "lowpower")
    check("- Swarm.ConnMgr.HighWater: 50\n+ Swarm.ConnMgr.HighWater: 40" in said, said)
    check((node.repo / "config").read_text() == before, "--dry-run changed the config")
    check(node.text("config", "profile", "apply", "lowpower") == said, "the change is another one")
    check(node.text("config", "Swarm.ConnMgr.HighWater") == "40", "the profile had no effect")
    fails(node, "config", "profile", "apply", "nonsense", code=2, saying="nonsense")


def test_status_and_peers(shop):
    a, b = shop.node("s1"), shop.node("s2")
    a.connect(b)
    check(b.peer_id in a.text("peers"), "peers")
    cid = a.text("add", "-Q", shop.file("s", 400000))
    lines = a.text("status", cid).splitlines()
    check([line.split(":")[0] for line in lines] == ["CID", "Size", "Local", "Pinned", "Peers"], f"status says {lines}")
    check(lines[2] == "Local: yes" and lines[3] == "Pinned: yes", f"status says {lines}")
    check(a.text("swarm", "disconnect", b.addresses[0]).endswith("success"), "disconnect")


def test_cid_base(shop):
    node = shop.node("base", start=False)
    v0 = node.text("add", "-Q", stdin=b"base")
    v1 = node.text("add", "-Q", "--cid-base=base32", stdin=b"base")
    check(v0.startswith("Qm") and v1.startswith("bafybei"), f"{v0} {v1}")
    check(node.text("add", "-Q", "--upgrade-cidv0-in-output", stdin=b"base") == v1, "upgrade-cidv0-in-output")
    check(node.text("resolve", "--cid-base", "base36", v0).startswith("/ipfs/k2"), "base36")
    check(v1 in node.text("pin", "ls", "-q", "--type=recursive", "--cid-base=base32"), "pin ls")
    check(node.run("cat", v1).stdout == b"base", "the same content by its other name")
    fails(node, "add", "-Q", "--cid-base=base99", stdin=b"x", code=2, saying="base99")


def test_replicas_are_released(shop):
    a, b = shop.node("rel1", start=False), shop.node("rel2", start=False)
    for node, other in ((a, b), (b, a)):
        node.configure(Replication__AllowFrom=[other.identity()])
        node.start()
    a.connect(b)
    path = shop.file("released", 3 * MIB)
    cid = a.text("add", "-Q", "--replicas=2", path)
    check("replication factor: 2/2" in a.text("status", cid), a.text("status", cid))
    b.text("repo", "gc")
    check(b.run("cat", "--offline", cid).stdout == path.read_bytes(), "a held copy was collected")
    a.stop()
    fails(a, "pin", "rm", cid, saying="start the node")
    check(cid in a.text("pin", "ls", "-q", "--type=recursive"), "the pin is gone although pin rm failed")
    a.start()
    a.connect(b)
    check(a.text("pin", "rm", cid) == f"unpinned {cid}", "pin rm")
    wait_until(lambda: "Local: yes" not in b.text("status", cid) or (b.text("repo", "gc"), False)[1], 60,
               "the holder lets the released content go", every=1)


def test_without_bitswap(shop):
    giver = shop.node("giver")
    taker = shop.node("taker", {"Bitswap.Libp2pEnabled": False})
    cid = giver.text("add", "-Q", shop.file("unreachable", 1000))
    taker.connect(giver)
    fails(taker, "cat", cid, saying="could not find")
    wait_until(lambda: giver.rpc("id", taker.peer_id)["Protocols"], 20, "the giver knows what the taker speaks")
    check(not [p for p in giver.rpc("id", taker.peer_id)["Protocols"] if "bitswap" in p], "bitswap is spoken")
    check(taker.rpc("bitswap/wantlist")["Keys"] == [] and taker.rpc("bitswap/stat")["Peers"] == [], "bitswap's numbers")
    own = taker.text("add", "-Q", shop.file("own", 1000))
    check(len(taker.run("cat", own).stdout) == 1000, "what is here is read")
    refused = shop.node("refused", {"Bitswap.Libp2pEnabled": False, "HTTPRetrieval.Enabled": False}, start=False)
    fails(refused, "daemon", saying="HTTPRetrieval.Enabled are both disabled")


def test_filters_and_resources(shop):
    a, b = shop.node("r1"), shop.node("r2")
    network = "/ip4/127.0.0.0/ipcidr/8"
    check(a.text("swarm", "filters", "add", network) == network, "filters add")
    check(a.text("swarm", "filters") == network, "filters")
    fails(a, "swarm", "connect", b.addresses[0], saying="dialed|failure")
    check(json.loads((a.repo / "config").read_text())["Swarm"]["AddrFilters"] == [network], "filters are not kept")
    check(a.text("swarm", "filters", "rm", network) == network and not a.text("swarm", "filters"), "filters rm")
    fails(a, "swarm", "filters", "add", "/ip4/127.0.0.1/tcp/1", saying="ipcidr")
    a.connect(b)
    text = a.text("swarm", "resources")
    check(re.search(r"^system\t+Conns\t+\d+\t+1\t", text, re.M) and f"peer:{b.peer_id}\t" in text, text)


def test_requests_have_trace_ids(shop):
    node = shop.node("traced")
    node.stop()
    node.start("--log-level=debug")
    trace = "0af7651916cd43dd8448eb211c80319c"
    http_get(node, f"/api/v0/cat?arg=not-a-cid", {"traceparent": f"00-{trace}-b7ad6b7169203331-01"}, "POST", node.api_port)
    http_get(node, "/api/v0/cat?arg=not-a-cid", None, "POST", node.api_port)
    node.text("add", "-Q", stdin=b"traced")
    node.stop()
    entries = [json.loads(line) for line in node.err_path.read_text().splitlines()]
    failed = [e["trace_id"] for e in entries if e["msg"] == "rpc failed"]
    check(len(failed) == 2 and failed[0] == trace and re.fullmatch("[0-9a-f]{32}", failed[1]), f"trace ids: {failed}")
    check([e for e in entries if e["msg"] == "content added" and e.get("trace_id")], "no line about the added content")


def test_gateway_settings(shop):
    node = shop.node("gwset", start=False)
    node.configure(Gateway__NoFetch=True, Gateway__RootRedirect="https://example.com/start")
    node.start()
    began = time.monotonic()
    r, _ = http_get(node, f"/ipfs/{NOBODY_HAS}")
    check(r.status == 404 and time.monotonic() - began < 5, f"NoFetch: {r.status}")
    r, _ = http_get(node, "/")
    check(r.status == 302 and r.getheader("Location") == "https://example.com/start", f"RootRedirect: {r.status}")


def test_fetch_between_nodes(shop):
    a, b = shop.node("f1"), shop.node("f2")
    path = shop.file("f", 20 * MIB)
    cid = a.text("add", "-Q", path)
    b.connect(a)
    out = shop.path("f-out")
    said = b.text("get", cid, "-o", out)
    check(a.peer_id in said, f"get does not name the peer: {said}")
    check(out.read_bytes() == path.read_bytes(), "other bytes")
    wait_until(lambda: a.peer_id in b.text("findprovs", cid), 60, "findprovs names the one who has it")
    check(b.text("findprovs", "--verbose", cid).count("\n") >= 1, "findprovs --verbose shows no hop")


def test_daemon_lines_and_clean_stop(shop):
    node = shop.node("lines", start=False)
    node.program = str(pathlib.Path(shop.program).parent / "ipfs")
    node.start()
    text = node.out_path.read_text()
    check("\nRun 'ipfs id' to inspect " in text, text)  # the name that it was called by
    check(re.search(r"^RPC API server listening on /ip4/127\.0\.0\.1/tcp/\d+$", text, re.M), text)
    check(text.rstrip().endswith("Daemon is ready"), text)
    check((node.repo / "api").exists(), "api file")
    check(node.stop() == 0, "exit code after SIGTERM")
    check(not (node.repo / "api").exists(), "api file left behind")
    node.start()
    node.run("shutdown")
    wait_until(lambda: node.process.poll() is not None, 60, "shutdown ends the node")


# ── HTTP ────────────────────────────────────────────────────────────────────────────────────────


def http_get(node, path, headers=None, method="GET", port=None):
    c = http.client.HTTPConnection("127.0.0.1", port or node.gateway_port, timeout=60)
    c.request(method, path, headers=headers or {})
    r = c.getresponse()
    body = r.read()
    c.close()
    return r, body


def test_gateway(shop):
    node = shop.node("gw")
    path = shop.file("page.bin", 600000)
    cid = node.text("add", "-Q", path)
    r, body = http_get(node, f"/ipfs/{cid}")
    check(r.status == 200 and body == path.read_bytes(), f"{r.status}")
    etag = r.getheader("ETag")
    check(etag == f'"{cid}"', f"ETag {etag}")
    check("immutable" in r.getheader("Cache-Control", ""), "Cache-Control")
    r, body = http_get(node, f"/ipfs/{cid}", {"If-None-Match": etag})
    check(r.status == 304 and not body, f"If-None-Match gave {r.status}")
    r, body = http_get(node, f"/ipfs/{cid}", {"Range": "bytes=262140-262150"})
    check(r.status == 206 and body == path.read_bytes()[262140:262151], f"range gave {r.status}")
    r, _ = http_get(node, f"/ipfs/{cid}", {"Range": "bytes=700000-"})
    check(r.status == 416, f"range behind the end gave {r.status}")
    r, body = http_get(node, f"/ipfs/{cid}", method="HEAD")
    check(r.status == 200 and not body and r.getheader("Content-Length") == "600000", "HEAD")
    folder = shop.path("listing")
    folder.mkdir()
    (folder / "<script>alert(1)&.txt").write_text("x")
    root = node.text("add", "-r", "-Q", folder)
    r, body = http_get(node, f"/ipfs/{root}/")
    check(r.status == 200 and b"<script>alert" not in body and b"&lt;script&gt;" in body, "listing is not escaped")
    r, _ = http_get(node, f"/ipfs/{root}/nothing")
    check(r.status == 404, f"missing name gave {r.status}")
    r, body = http_get(node, "/ipfs/not-a-cid")
    check(r.status == 400, f"wrong CID gave {r.status}: {body[:100]!r}")


def test_gateway_command(shop):
    """`gateway` opens one more in a running node, and serves by itself where none runs."""
    node = shop.node("gwcmd")
    cid = node.text("add", "-Q", stdin=b"through the other door")
    port = int(re.fullmatch(r"Gateway server listening on /ip4/127\.0\.0\.1/tcp/(\d+)", node.text("gateway", "--port=0"))[1])
    check(port != node.gateway_port, "the same gateway")
    check(http_get(node, f"/ipfs/{cid}", port=port)[1] == b"through the other door", "the second gateway")
    node.stop()
    alone = subprocess.Popen([node.program, "gateway", "--port", "0", "--offline"], env=node.env(),
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        port = int(re.search(r"tcp/(\d+)$", alone.stdout.readline().strip())[1])
        check(http_get(node, f"/ipfs/{cid}", port=port)[1] == b"through the other door", "the gateway alone")
        alone.terminate()
        check(alone.wait(20) == 0, "the gateway did not leave cleanly")
    finally:
        alone.kill()
        alone.wait()
        alone.stdout.close()


def test_rpc_stays_on_loopback(shop):
    node = shop.node("open", start=False)
    node.configure(Addresses__API="/ip4/0.0.0.0/tcp/0")
    words = [word for word in node.start_words() if not word.startswith("--api-port")]
    result = subprocess.run([node.program, *words], env=node.env(), capture_output=True, timeout=60)
    check(result.returncode == 1 and b"loopback" in result.stderr, f"{result.stderr!r}")


def test_advertised_addresses(shop):
    node = shop.node("adv", start=False)
    node.start("--advertise=192.0.2.7:7000")
    check(f"/ip4/192.0.2.7/tcp/7000/p2p/{node.peer_id}" in node.rpc("id")["Addresses"], "not told to others")


def test_rpc_is_guarded(shop):
    node = shop.node("guard")
    r, _ = http_get(node, "/api/v0/id", port=node.api_port)
    check(r.status == 405, f"GET gave {r.status}")
    for headers in ({"Origin": "http://evil.example"}, {"Referer": "http://evil.example/x"}, {"User-Agent": "Mozilla/5.0"}):
        r, _ = http_get(node, "/api/v0/id", headers, "POST", node.api_port)
        check(r.status == 403, f"{headers} gave {r.status}")
    r, _ = http_get(node, "/api/v0/nonsense", None, "POST", node.api_port)
    check(r.status == 404, f"unknown command gave {r.status}")
    r, body = http_get(node, "/api/v0/cat", None, "POST", node.api_port)
    check(r.status == 400 and body == b'argument "ipfs-path" is required\n', f"{r.status} {body!r}")


def test_metrics_and_health(shop):
    node = shop.node("metrics")
    port = int(re.search(r"Metrics server listening on http://127\.0\.0\.1:(\d+)/", node.out_path.read_text())[1])
    for path, want in (("/health", b"ok"), ("/ready", b"ok")):
        r, body = http_get(node, path, port=port)
        check(r.status == 200 and want in body, f"{path}: {r.status} {body!r}")
    cid = node.text("add", "-Q", stdin=b"metrics")
    http_get(node, f"/ipfs/{cid}")
    r, body = http_get(node, "/metrics", port=port)
    text = body.decode()
    for name in ("distribute_blocks_total", "distribute_wantlist_size", "dht_routing_table_size", "bitswap_blocks_sent",
                 "bitswap_blocks_received", "gateway_requests_total"):
        check(re.search(rf"^{name}(\{{.*\}})? [0-9.e+]+$", text, re.M), f"no metric {name}")


def test_log_lines_are_json(shop):
    node = shop.node("logs")
    node.stop()
    lines = node.err_path.read_text().splitlines()
    check(lines, "no log at all")
    for line in lines:
        entry = json.loads(line)
        check({"level", "ts", "msg"} <= set(entry), f"log line {line}")
    key = json.loads((node.repo / "config").read_text())["Identity"]["PrivKey"]
    check(key not in node.err_path.read_text() + node.out_path.read_text(), "the private key is in a log")


# ── bad input and faults ────────────────────────────────────────────────────────────────────────


def test_wrong_words(shop):
    node = shop.node("wrong", start=False)
    fails(node, "nonsense", code=2, saying="unknown command")
    fails(node, code=2, saying="no command given")
    fails(node, "add", "--nonsense", code=2, saying="nonsense")
    fails(node, "cat", code=2, saying="CID")
    fails(node, "cat", "not-a-cid", saying="not-a-cid|cid")
    fails(node, "cat", "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdX", saying="cid|invalid|not found")
    fails(node, "cat", "--offline", NOBODY_HAS, saying="not found|not here")
    fails(node, "add", shop.path("no-such-file"), saying="no-such-file")
    fails(node, "swarm", "peers", saying="running node")


def test_missing_content_times_out(shop):
    node = shop.node("timeout")
    began = time.monotonic()
    fails(node, "cat", "--timeout=1s", NOBODY_HAS, saying="timed out|deadline|not found")
    check(time.monotonic() - began < 60, "the time-out was not kept")


def test_repo_is_locked(shop):
    node = shop.node("locked")
    (node.repo / "api").unlink()
    fails(node, "add", stdin=b"x", saying="use|lock|running")
    result = subprocess.run([node.program, *node.start_words()], env=node.env(), capture_output=True, timeout=60)
    check(result.returncode == 1 and str(node.repo).encode() in result.stderr, f"second node: {result.stderr!r}")


def test_unusable_repositories(shop):
    kubo = shop.path("kubo-repo")
    kubo.mkdir()
    (kubo / "version").write_text("18\n")
    (kubo / "datastore_spec").write_text("{}")
    (kubo / "config").write_text("{}")
    node = shop.node("unusable", start=False)
    fails(node, "id", "--repo", kubo, saying="import-kubo")
    fails(node, "id", "--repo", shop.path("absent"), saying="no IPFS repo found in .*: run 'init' first")
    broken = shop.node("broken", start=False)
    (broken.repo / "config").write_text("{ not json")
    fails(broken, "id", saying="config")
    future = shop.node("future", start=False)
    (future.repo / "version").write_text("distribute-999\n")
    fails(future, "id", saying="version|newer")
    file = shop.path("a-file")
    file.write_text("x")
    fails(node, "id", "--repo", file, saying="a-file")


def test_port_in_use(shop):
    node = shop.node("ports", start=False)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        for option in (f"--listen=127.0.0.1:{port}", f"--api-port={port}", f"--gateway-port={port}"):
            words = [w for w in node.start_words() if not option.startswith(w.split("=")[0])]
            result = subprocess.run([node.program, *words, option], env=node.env(), capture_output=True, timeout=60)
            lines = [line for line in result.stderr.decode().splitlines() if not line.startswith("{")]
            check(result.returncode == 1 and len(lines) == 1 and str(port) in lines[0], f"{option}: {result.stderr!r}")


def test_peer_that_speaks_nonsense(shop):
    node = shop.node("nonsense")
    host, port = "127.0.0.1", int(node.addresses[0].split("/")[4])
    before = node.memory()[0]
    for data in (b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 100000, b"\x13/multistream/1.0.0\n" + b"\x80" * 5000,
                 b"\x13/multistream/1.0.0\n\x07/noise\n" + b"\xff\xff" + os.urandom(65535)):
        with socket.create_connection((host, port), timeout=60) as s:
            try:
                s.sendall(data)
                s.settimeout(60)
                while s.recv(4096):
                    pass
            except (ConnectionError, TimeoutError):
                pass
    check(node.rpc("id")["ID"] == node.peer_id, "the node no longer answers")
    check(node.memory()[0] - before < 8 * MIB, "memory grew with nonsense")


def test_full_disk(shop):
    """A file system of 24 MiB: adding more fails with one line, what was there stays readable, and room helps."""
    if os.geteuid() != 0:
        return
    mount = shop.path("small-disk")
    mount.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", mount], check=True)
    try:
        node = nodes.Node(shop.program, mount, "repo")
        small = node.text("add", "-Q", shop.file("small", MIB))
        fails(node, "add", "-q", shop.file("large", 64 * MIB), saying="no space|storage|full")
        check(node.run("cat", small).stdout == shop.path("small").read_bytes(), "what was acknowledged is gone")
        node.run("repo", "gc")
        check(node.text("add", "-Q", shop.file("again", 2 * MIB)), "room does not help")
    finally:
        subprocess.run(["umount", mount], check=True)


def test_kill_during_add(shop):
    """kill -9 in the middle of adds: what was acknowledged is there, what was not is not served half."""
    node = shop.node("killed")
    acknowledged = []
    stop = threading.Event()

    def add_files():
        i = 0
        while not stop.is_set():
            path = shop.file(f"k-{i}", 150000 + i)
            try:
                result = node.run("add", "-Q", path, check_code=False, timeout=60)
            except Exception:
                return
            if result.returncode == 0:
                acknowledged.append((result.stdout.decode().strip(), path))
            i += 1

    for round_number in range(3):
        stop.clear()
        worker = threading.Thread(target=add_files)
        worker.start()
        wait_until(lambda: len(acknowledged) > 5 * (round_number + 1), 60, "files are added", every=0.01)
        node.kill()
        stop.set()
        worker.join(60)
        node.start()
    for cid, path in acknowledged:
        check(node.run("cat", cid).stdout == path.read_bytes(), f"{path.name} was acknowledged and is gone")
    check("error" not in node.text("repo", "verify").lower(), "repo verify finds damage")


def test_cat_of_a_link(shop):
    """Where a link leads counts like the bytes of a file."""
    node = shop.node("cat-link", start=False)
    path = shop.path("cat-link-target")
    path.symlink_to("target")
    link = node.text("add", "-Q", path)
    file = node.text("add", "-Q", stdin=b"more")
    for words, want in (([], "targetmore"), (["--offset=2"], "rgetmore"), (["--offset=2", "--length=3"], "rge"), (["--length=8"], "targetmo"),
                        (["--offset=7"], "ore"), (["--offset=20"], "")):
        check(node.text("cat", *words, link, file) == want, f"cat {words}")


def test_get_writes_nowhere_else(shop):
    node = shop.node("safe", start=False)
    folder = shop.path("evil")
    folder.mkdir()
    (folder / "link").symlink_to("/tmp")
    root = node.text("add", "-r", "-Q", folder)
    out = shop.path("evil-out")
    node.run("get", root, "-o", out)
    check(os.readlink(out / "link") == "/tmp", "a link is written as a link")


def test_an_offline_node_stays_away_from_the_network(shop):
    a, b = shop.node("at-home", start=False), shop.node("outside")
    a.start("--offline", "--agent-version-suffix=kitchen", "--enable-gc", "--routing=dht", "--manage-fdlimit")
    check("Swarm not listening, running in offline mode." in a.out_path.read_text(), "the offline mode is told")
    fails(a, "swarm", "connect", b.addresses[0], saying="online mode")
    fails(a, "swarm", "peers", saying="online mode")
    cid = a.text("add", "-Q", stdin=b"kept here")
    check(a.text("cat", cid) == "kept here", "content is there")
    fails(a, "cat", b.text("add", "-Q", stdin=b"elsewhere"), saying="not found locally")
    check(a.rpc("id")["AgentVersion"].endswith("/kitchen"), a.rpc("id")["AgentVersion"])


def test_options_of_kubos_daemon_that_cannot_be_kept(shop):
    node = shop.node("wishes", start=False)
    for option, saying in (("--disable-transport-encryption", "encrypted"), 
                           ("--agent-version-suffix=a b", "suffix"), ("--routing=pigeons", "unrecognized routing option")):
        fails(node, "daemon", "--listen=127.0.0.1:0", option, code=None, saying=saying)


def test_addresses_in_lists(shop):
    """Addresses.API and Addresses.Gateway are one address or a list; an empty one is none."""
    node, loopback = shop.node("lists", start=False), "/ip4/127.0.0.1/tcp/0"
    for key, value in (("API", [loopback]), ("Gateway", [loopback, loopback]), ("Swarm", [loopback])):
        node.run("config", "--json", f"Addresses.{key}", json.dumps(value))
    words = ["node", "--offline", "--metrics-port=0"]
    node.start_words = lambda: words
    node.start("--offline")
    ports = set(re.findall(r"Gateway server listening on /ip4/127\.0\.0\.1/tcp/(\d+)", node.out_path.read_text()))
    check(len(ports) == 2 and node.api_port not in (0, 5001), f"{ports} {node.api_port}")
    for port in ports:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/ipfs/bafkqabtimvwgy3yk", timeout=60) as answer:
            check(answer.read() == b"hello\n", port)
    node.run("config", "--json", "Addresses.Gateway", "[]")
    node.stop()
    node.start("--offline")
    check(not node.gateway_port and not (node.repo / "gateway").exists(), "no gateway was asked for")


def test_init_with_the_settings_of_a_file(shop):
    """With its identity when it has one, as a copy of a config moves a node; what cannot be used makes no repository."""
    first = shop.node("first", start=False)
    first.configure(**{"Addresses.Gateway": "/ip4/127.0.0.1/tcp/0", "Mine.key": [1, {"a": None}]})
    bare = shop.path("bare.json")
    bare.write_text('{"Addresses": {"API": "/ip4/127.0.0.1/tcp/0", "Gateway": [], "Swarm": []}, "Bootstrap": []}')

    def env(name):
        return {**os.environ, "DISTRIBUTE_PATH": str(shop.path(name))}

    def run(name, *words):
        return subprocess.run([shop.program, *map(str, words)], env=env(name), capture_output=True, timeout=60)

    moved = run("moved", "init", first.repo / "config")
    check(moved.returncode == 0 and first.text("id", "-f=<id>").encode() in moved.stdout, f"{moved}")
    check(json.loads(run("moved", "config", "Mine.key").stdout) == [1, {"a": None}], "a setting of the file")
    check((shop.path("moved") / "config").stat().st_mode & 0o777 == 0o600, "the mode of the config")
    fresh = run("fresh", "init", "--profile=server", bare)
    check(fresh.returncode == 0 and b"12D3Koo" in fresh.stdout, f"{fresh}")
    check(json.loads(run("fresh", "config", "Addresses.NoAnnounce").stdout), "the profile is applied to the settings")
    for text in ("no JSON", "[]", '{"Identity": {"PrivKey": "x"}}', '{"Datastore": {"StorageMax": "much"}}'):
        wrong = shop.path("wrong.json")
        wrong.write_text(text)
        result = run("none", "init", wrong)
        check(result.returncode == 1 and b"wrong.json" in result.stderr, f"{text}: {result}")
        check(not (shop.path("none") / "version").exists(), f"{text} made a repository")
    daemon = subprocess.Popen([shop.program, "daemon", f"--init-config={bare}", "--offline", "--metrics-port=0"], env=env("later"),
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        lines = []
        while not lines or (lines[-1] and lines[-1] != b"Daemon is ready\n"):
            lines.append(daemon.stdout.readline())
        check(lines[-1] and not any(line.startswith(b"Gateway") for line in lines), f"{lines}")
    finally:
        daemon.terminate()
        daemon.wait(20)
