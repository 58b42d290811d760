"""/routing/v1 on the gateway's port: providers, peers and records for light clients. Run by run.py."""
import http.client
import http.server
import json
import re
import shutil
import socket
import ssl
import subprocess
import threading
import time

import nodes
from nodes import check, fails, wait_until

NOBODY_HAS = "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG"
SOMEBODY = "12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5"


def ask(node, path, headers=None, method="GET", body=None):
    connection = http.client.HTTPConnection("127.0.0.1", node.gateway_port, timeout=60)
    connection.request(method, f"/routing/v1/{path}", body=body, headers=headers or {})
    response = connection.getresponse()
    data = response.read()
    connection.close()
    return response, data


def provided(shop):
    giver, server = shop.node("giver"), shop.node("server")
    giver.connect(server)
    for one, other in ((giver, server), (server, giver)):
        wait_until(lambda: any(p["Peer"] == other.peer_id for p in one.rpc("dht/inspect")["Peers"]), 60, "the tables are filled")
    cid = giver.text("add", "-Q", stdin=b"for light clients")
    wait_until(lambda: giver.rpc_raw("routing/provide", [cid])[0].status == 200, 60, "provided", every=0.3)
    return giver, server, cid


def test_providers(shop):
    giver, server, cid = provided(shop)
    response, data = ask(server, f"providers/{cid}")
    check(response.status == 200 and response.getheader("Content-Type") == "application/json", f"{response.status} {data!r}")
    found = [p for p in json.loads(data)["Providers"] if p["ID"] == giver.peer_id]
    check(found and found[0]["Schema"] == "peer" and any("/tcp/" in a for a in found[0]["Addrs"]), f"{data!r}")
    check(response.getheader("Cache-Control") == "public, max-age=300, stale-while-revalidate=172800, stale-if-error=172800", f"{response.getheaders()}")
    check(response.getheader("Vary") == "Accept" and response.getheader("Last-Modified"), f"{response.getheaders()}")
    response, data = ask(server, f"providers/{cid}", {"Accept": "application/x-ndjson"})
    check(response.getheader("Content-Type") == "application/x-ndjson", f"{response.getheaders()}")
    check(giver.peer_id in [json.loads(line)["ID"] for line in data.splitlines()], f"{data!r}")
    for query, passes in (("filter-addrs=tcp", True), ("filter-addrs=udp", False), ("filter-addrs=!tcp", False), ("filter-addrs=udp,tcp", True),
                          ("filter-addrs=tcp,!ip4", False), ("filter-addrs=!udp", True), ("filter-protocols=unknown", True),
                          ("filter-protocols=transport-bitswap", False), ("filter-protocols=unknown,transport-bitswap&filter-addrs=tcp", True)):
        _, data = ask(server, f"providers/{cid}?{query}")
        check((giver.peer_id in [p["ID"] for p in json.loads(data)["Providers"]]) == passes, f"{query}: {data!r}")


def test_nothing_found_and_nonsense(shop):
    node = shop.node("nothing")
    for path, member in ((f"providers/{NOBODY_HAS}", "Providers"), (f"peers/{SOMEBODY}", "Peers")):
        response, data = ask(node, path)
        check(response.status == 200 and json.loads(data) == {member: []}, f"{path}: {response.status} {data!r}")
        check("max-age=15" in response.getheader("Cache-Control"), f"{response.getheaders()}")
        response, data = ask(node, path, {"Accept": "application/x-ndjson"})
        check(response.status == 200 and data == b"", f"{path}: {response.status} {data!r}")
    for path, headers, status in (("providers/nonsense", {}, 400), ("peers/nonsense", {}, 400), ("ipns/nonsense", {}, 400), ("dht/closest/peers/x", {}, 400),
                                  (f"providers/{NOBODY_HAS}", {"Accept": "text/html"}, 400), ("other", {}, 404), ("providers/", {}, 404),
                                  (f"ipns/{SOMEBODY}", {"Accept": "text/html"}, 406), ("providers/" + "a" * 2000, {}, 400)):
        response, data = ask(node, path, headers)
        check(response.status == status, f"{path}: {response.status}, wanted {status}: {data!r}")
    response, _ = ask(node, f"providers/{NOBODY_HAS}", method="POST")
    check(response.status == 405, f"POST: {response.status}")
    response, _ = ask(node, f"providers/{NOBODY_HAS}", method="OPTIONS")
    check(response.status == 200 and response.getheader("Access-Control-Allow-Origin") == "*", f"{response.getheaders()}")


def test_peers(shop):
    giver, server, _ = provided(shop)
    response, data = ask(server, f"peers/{giver.peer_id}")
    check([p["ID"] for p in json.loads(data)["Peers"]] == [giver.peer_id], f"{response.status} {data!r}")
    as_cid = giver.text("id", "--peerid-base=base36", "-f=<id>")
    check(json.loads(ask(server, f"peers/{as_cid}")[1])["Peers"][0]["ID"] == giver.peer_id, "a peer ID as CID")
    response, data = ask(server, f"dht/closest/peers/{NOBODY_HAS}")
    check(response.status == 200 and [p["ID"] for p in json.loads(data)["Peers"]] == [giver.peer_id], f"{response.status} {data!r}")


def test_records(shop):
    giver, server, cid = provided(shop)
    name = giver.rpc("key/gen", "v1-key")["Id"]
    giver.run("name", "publish", "--key=v1-key", "--ttl=77s", f"/ipfs/{cid}")
    response, record = ask(giver, f"ipns/{name}")
    check(response.status == 200 and response.getheader("Content-Type") == "application/vnd.ipfs.ipns-record", f"{response.status} {record!r}")
    check(re.match(r"public, max-age=77, stale-while-revalidate=1\d{5}, ", response.getheader("Cache-Control")), f"{response.getheaders()}")
    check(response.getheader("Expires").endswith("GMT") and response.getheader("Etag"), f"{response.getheaders()}")
    check(response.getheader("Content-Disposition") == f'attachment; filename="{name}.ipns-record"', f"{response.getheaders()}")
    alone = shop.node("alone")
    response, data = ask(alone, f"ipns/{name}")
    check(response.status == 200 and data == b"delegate error: routing: not found\n", f"{response.status} {data!r}")
    kind = {"Content-Type": "application/vnd.ipfs.ipns-record"}
    for headers, body, status in (({}, record, 406), (kind, record[:-1] + b"x", 400), (kind, b"x" * 20000, 400), (kind, b"", 400)):
        response, data = ask(alone, f"ipns/{name}", headers, "PUT", body)
        check(response.status == status, f"PUT of {len(body)} bytes: {response.status}, wanted {status}: {data!r}")
    alone.connect(server)
    wait_until(lambda: ask(alone, f"ipns/{name}", kind, "PUT", record)[0].status == 200, 60, "the record is taken", every=0.3)
    check(alone.text("name", "resolve", name) == f"/ipfs/{cid}", "the record that was put does not resolve")


def test_a_node_without_routing(shop):
    node = shop.node("alone", config={"Routing.Type": "none"})
    cid = node.text("add", "-Q", stdin=b"nobody is told")
    for path, status in ((f"providers/{cid}", 200), (f"peers/{SOMEBODY}", 200), (f"dht/closest/peers/{cid}", 500), (f"ipns/{node.peer_id}", 200)):
        response, data = ask(node, path)
        check(response.status == status, f"{path}: {response.status} {data!r}")
    for command, args, status, words in (
            ("routing/findprovs", [cid], 200, b""), ("routing/findpeer", [SOMEBODY], 200, b'"routing: not found"'),
            ("routing/get", [f"/ipns/{SOMEBODY}"], 500, b"routing: not found"), ("routing/provide", [cid], 500, b"no connected peers"),
            ("dht/query", [SOMEBODY], 500, b"routing service is not a DHT"), ("stats/dht", [], 500, b"routing service is not a DHT"),
            ("dht/inspect", [], 200, b'"Peers":[]'), ("provide/once", [cid], 500, b"no connected peers"), ("provide/clear", [], 200, b"0"),
            ("ping", [SOMEBODY], 500, b""), ("name/publish", [cid], 200, cid.encode()), ("name/resolve", [], 200, cid.encode())):
        response, data = node.rpc_raw(command, args)
        check(response.status == status and words in data, f"{command}: {response.status} {data!r}")
    other = shop.node("other", config={"Routing.Type": "none"})
    node.connect(other)
    for command in ("routing/provide", "provide/once"):
        response, data = node.rpc_raw(command, [cid])
        check(response.status == 200, f"{command}: {response.status} {data!r}")


def test_it_can_be_turned_off(shop):
    node = shop.node("off", {"Gateway__ExposeRoutingAPI": False})
    check(ask(node, f"providers/{NOBODY_HAS}")[0].status == 404, "still there")
    check("Routing V1" not in node.out_path.read_text(), "the ready lines")


# ── the client: other nodes as delegated routers ────────────────────────────────────────────────


def delegating(shop, name, router, kind="delegated"):
    return shop.node(name, {"Routing__Type": kind, "Routing__DelegatedRouters": ["auto", router]})


def test_a_router_finds_for_us(shop):
    giver, server, cid = provided(shop)
    for kind in ("delegated", "auto"):
        node = delegating(shop, f"client-{kind}", f"http://127.0.0.1:{server.gateway_port}", kind)
        check(not node.peers(), "the client has peers")
        check(giver.peer_id in node.text("routing", "findprovs", cid).split(), "findprovs through the router")
        check(any("/tcp/" in line for line in node.text("routing", "findpeer", giver.peer_id).splitlines()), "findpeer through the router")
        check(node.run("cat", "--timeout=60s", cid).stdout == b"for light clients", "cat of what the router's peer has")


def test_a_router_keeps_names_for_us(shop):
    giver, server, cid = provided(shop)
    node = delegating(shop, "names", f"http://127.0.0.1:{server.gateway_port}/")
    name = node.rpc("key/gen", "through-router")["Id"]
    node.run("name", "publish", "--key=through-router", f"/ipfs/{cid}", timeout=60)
    other = delegating(shop, "other-names", f"http://localhost:{server.gateway_port}/routing/v1/ipns")
    check(other.text("name", "resolve", name) == f"/ipfs/{cid}", "the name does not resolve through the router")
    check(other.text("routing", "findprovs", cid) == "", "a router for names was asked for providers")


def test_names_go_to_publishers(shop):
    """--allow-delegated needs no peers: the record goes to Ipns.DelegatedPublishers alone; without it they get it, too."""
    giver, server, cid = provided(shop)
    url = f"http://127.0.0.1:{server.gateway_port}"
    other = delegating(shop, "reader", url)
    node = shop.node("publisher", {"Routing__Type": "delegated", "Ipns__DelegatedPublishers": ["auto", url]})
    name = node.rpc("key/gen", "published")["Id"]
    node.run("name", "publish", "--key=published", "--allow-delegated", "--resolve=false", f"/ipfs/{cid}", timeout=60)
    check(other.text("name", "resolve", "--nocache", name) == f"/ipfs/{cid}", "the name does not resolve")
    record = other.run("name", "get", name).stdout
    again = node.rpc("key/gen", "plain")["Id"]
    node.run("name", "publish", "--key=plain", "--resolve=false", f"/ipfs/{cid}", timeout=60)
    check(other.text("name", "resolve", "--nocache", again) == f"/ipfs/{cid}", "the name without the option does not resolve")
    check(record, "no record")
    # nobody takes it; nobody is configured; both options
    dead = shop.node("dead", {"Routing__Type": "delegated", "Ipns__DelegatedPublishers": ["http://127.0.0.1:1"]})
    failed = dead.run("name", "publish", "--allow-delegated", "--resolve=false", f"/ipfs/{cid}", check_code=False, timeout=60)
    check(failed.returncode == 1 and b"no delegated publisher took the record" in failed.stderr, failed.stderr)
    failed = other.run("name", "publish", "--allow-delegated", "--resolve=false", f"/ipfs/{cid}", check_code=False)
    check(failed.returncode == 1 and b"no delegated publishers configured" in failed.stderr, failed.stderr)
    failed = node.run("name", "publish", "--allow-delegated", "--allow-offline", f"/ipfs/{cid}", check_code=False)
    check(failed.returncode == 1 and b"cannot use both" in failed.stderr, failed.stderr)


def test_a_silent_router_holds_nobody_up(shop):
    giver, server, cid = provided(shop)
    giver.run("name", "publish", f"/ipfs/{cid}")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        node = delegating(shop, "hurried", f"http://127.0.0.1:{silent.getsockname()[1]}", "auto")
        node.connect(server)
        wait_until(lambda: any(p["Peer"] == server.peer_id for p in node.rpc("dht/inspect")["Peers"]), 60, "the table is filled")
        begun = time.monotonic()
        found = node.text("name", "resolve", "--dht-record-count=1", giver.peer_id)
        check(found == f"/ipfs/{cid}" and time.monotonic() - begun < 12, f"{found} after {time.monotonic() - begun:.1f} s")


class Answers(http.server.BaseHTTPRequestHandler):
    """A router that says what the test wants."""
    answer = (200, "application/json", b"")

    def do_GET(self):
        self.server.asked.append((self.path, self.headers.get("Accept"), self.headers.get("User-Agent")))
        status, kind, body = self.server.answer
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        try:
            self.wfile.write(body)
        except OSError:
            pass

    def log_message(self, *_):
        pass


def router(answer, context=None):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    server.answer, server.asked = answer, []
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def test_strange_routers(shop):
    """Whatever a router says, the search ends and the node lives."""
    record = {"Schema": "peer", "ID": SOMEBODY, "Addrs": ["/ip4/127.0.0.1/tcp/1", "nonsense", 7, "/ip4/127.0.0.1/tcp/1/p2p/" + SOMEBODY]}
    line = json.dumps(record).encode()
    def speaks(**more):
        return (200, "application/x-ndjson", json.dumps({**record, **more}).encode() + b"\n")
    many = b"".join(json.dumps({**record, "Addrs": [f"/ip4/127.0.0.1/tcp/{i + 1}" for i in range(500)]}).encode() + b"\n" for _ in range(50))
    answers = [((200, "application/json", json.dumps({"Providers": [record]}).encode()), True), ((200, "application/x-ndjson", line + b"\n"), True),
               ((200, "application/x-ndjson", b"\n{\n[]\n" + line), True), ((200, "application/x-ndjson", many), True),
               ((200, "application/json", b'{"Providers":[1,{},{"ID":5},null]}'), False), ((200, "application/json", b"<html>"), False),
               ((200, "application/json", b'{"Providers":' + b"[" * 100000), False),
               ((200, "application/json", b'{"Providers":' * 1500 + b"1" + b"}" * 1500), False),
               ((200, "application/x-ndjson", b'{"Addrs":' * 1500 + b"1" + b"}" * 1500 + b"\n"), False), ((404, "text/plain", b"nothing"), False),
               ((500, "text/plain", b"broken"), False), ((302, "text/plain", b""), False), ((200, "application/x-ndjson", b"x" * 200000), False),
               ((200, "application/json", b" " * (5 << 20)), False), (speaks(Protocols=["transport-x"]), False), (speaks(Protocols=[]), True),
               (speaks(Protocols=["transport-x", "Transport-Bitswap"]), True), (speaks(Schema="bitswap", Protocol="transport-bitswap"), True),
               (speaks(Schema="graphsync-filecoinv1", Protocol="transport-graphsync-filecoinv1"), False),
               ((200, "application/json", json.dumps({"Providers": [{**record, "Protocols": ["transport-x"]}]}).encode()), False),
               ((200, "application/json", json.dumps({"Providers": None}).encode()), False)]
    server = router(None)
    node = delegating(shop, "strange", f"http://127.0.0.1:{server.server_address[1]}")
    for answer, found in answers:
        server.answer = answer
        said = node.text("routing", "findprovs", NOBODY_HAS).split()
        check(said == ([SOMEBODY] if found else []), f"{answer[:2]} {answer[2][:60]!r}: {said}")
        path, accept, agent = server.asked[-1]
        check(path.startswith("/routing/v1/providers/bafkrei") and "application/x-ndjson" in accept, f"{path} {accept}")
        check(agent == node.text("id", "-f", "<aver>"), f"User-Agent: {agent}")
    server.shutdown()


def test_https_routers(shop):
    """A certificate counts when the authorities that the system trusts vouch for it, and for this host."""
    if not shutil.which("openssl"):
        raise nodes.Skip("openssl")
    key, cert = shop.path("key.pem"), shop.path("cert.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", key, "-out", cert, "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=DNS:localhost"], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    record = {"Schema": "peer", "ID": SOMEBODY, "Addrs": ["/ip4/127.0.0.1/tcp/1"]}
    server = router((200, "application/json", json.dumps({"Providers": [record]}).encode()), context)
    port = server.server_address[1]
    for name, host, trusted, found in (("https-good", "localhost", True, True), ("https-host", "127.0.0.1", True, False),
                                       ("https-unknown", "localhost", False, False)):
        node = shop.node(name, {"Routing__Type": "delegated", "Routing__DelegatedRouters": [f"https://{host}:{port}"]}, start=False)
        if trusted:
            node.environment = {**node.environment, "SSL_CERT_FILE": str(cert)}
        node.start("--log-level=debug")
        said = node.text("routing", "findprovs", NOBODY_HAS).split()
        check(said == ([SOMEBODY] if found else []), f"{name}: {said}")
        if not found:
            check("TLS handshake" in node.err_path.read_text(), "the log does not say why")
    server.shutdown()
