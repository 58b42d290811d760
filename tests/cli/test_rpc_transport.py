"""How the RPC is carried: who may call it, what browsers are told, how answers and uploads stream. Run by run.py."""
import base64
import http.client
import json
import re
import socket
import time

import nodes
from nodes import check, fails, wait_until

MIB = 1 << 20


def ask(node, method, path, headers=None, body=None):
    connection = http.client.HTTPConnection("127.0.0.1", node.api_port, timeout=60)
    connection.request(method, path, body=body, headers=headers or {})
    response = connection.getresponse()
    data = response.read()
    connection.close()
    return response, data


def status(node, path="/api/v0/id", **headers):
    return ask(node, "POST", path, {k.replace("_", "-"): v for k, v in headers.items()})[0].status


# ── who may call ────────────────────────────────────────────────────────────────────────────────

AUTHORIZATIONS = {"API__Authorizations": {
    "everything": {"AuthSecret": "bearer:open-sesame", "AllowedPaths": ["/api/v0"]},
    "pins": {"AuthSecret": "basic:alice:secret", "AllowedPaths": ["/api/v0/pin"]},
    "nothing": {"AuthSecret": "plain-token"}}}


def test_authorizations(shop):
    node = shop.node("authorized", start=False)
    node.configure(**AUTHORIZATIONS)
    node.process = None
    node.environment = {**node.environment}
    start_with_token(node, "bearer:open-sesame")
    basic = "Basic " + base64.b64encode(b"alice:secret").decode()
    for header, path, want in (("Bearer open-sesame", "/api/v0/id", 200), (basic, "/api/v0/pin/ls", 200), (basic, "/api/v0/id", 403),
                               (basic, "/api/v0/version", 200), ("Bearer plain-token", "/api/v0/id", 403),
                               ("Bearer plain-token", "/api/v0/version", 200), ("Bearer nonsense", "/api/v0/version", 403),
                               ("", "/api/v0/version", 403)):
        got = status(node, path, **({"Authorization": header} if header else {}))
        check(got == want, f"{header!r} at {path}: {got}, wanted {want}")
    response, data = ask(node, "POST", "/api/v0/id")
    check(b"RPC Access Denied: Please provide a valid authorization token" in data, f"{data!r}")
    check(ask(node, "GET", "/logs")[0].status == 403 and ask(node, "GET", "/debug/metrics/prometheus")[0].status == 403, "inside without a token")
    check(ask(node, "GET", "/debug/metrics/prometheus", {"Authorization": basic})[0].status == 200, "metrics with a token")
    check(ask(node, "OPTIONS", "/api/v0/id")[0].status == 403, "OPTIONS without a token")
    # the command line
    check(node.text("--api-auth=bearer:open-sesame", "id", "-f=<id>").startswith("12D3Koo"), "--api-auth")
    check(node.text("--api-auth=open-sesame", "id", "-f=<id>").startswith("12D3Koo"), "--api-auth with the token alone")
    check(node.text("--api-auth", "basic:alice:secret", "pin", "ls") == "", "--api-auth basic")
    fails(node, "--api-auth=basic:alice:secret", "id", saying="RPC Access Denied")
    fails(node, "id", saying="RPC Access Denied")
    fails(node, "--api-auth=digest:x", "id", saying="begins with bearer: or basic:")
    check("RPC API access is limited by the rules defined in API.Authorizations" in node.out_path.read_text(), "the ready lines")


def start_with_token(node, secret):
    """start() asks the node for its id: with the secret here."""
    plain = node.rpc_raw

    def with_token(command, args=(), options=None, body=None, content_type=None, timeout=300):
        connection = http.client.HTTPConnection("127.0.0.1", node.api_port, timeout=timeout)
        connection.request("POST", f"/api/v0/{command}", headers={"Authorization": "Bearer " + secret.split(":")[1]})
        response = connection.getresponse()
        data = response.read()
        connection.close()
        return response, data

    node.rpc_raw = with_token
    node.start()
    node.rpc_raw = plain


def test_rpc_beyond_loopback_needs_authorizations(shop):
    node = shop.node("beyond", start=False)
    node.configure(**{"Addresses__API": "/ip4/0.0.0.0/tcp/0"})
    result = node.run("node", "--bootstrap=none", "--listen=127.0.0.1:0", "--metrics-port=0", check_code=False)
    check(result.returncode == 1 and b"API.Authorizations" in result.stderr, f"{result.returncode} {result.stderr!r}")


def test_browsers(shop):
    node = shop.node("browsers", {"API__HTTPHeaders": {"Access-Control-Allow-Origin": ["https://app.example"], "X-Extra": ["one", "two"],
                                                       "Access-Control-Allow-Methods": ["POST", "PUT"],
                                                       "Access-Control-Allow-Credentials": ["true"]}})
    own = f"http://localhost:{node.api_port}"
    for headers, want in (({}, 200), ({"Origin": own}, 200), ({"Origin": "https://app.example"}, 200), ({"Origin": "https://evil.example"}, 403),
                          ({"Origin": "http://localhost:1"}, 403), ({"Referer": own + "/webui"}, 200),
                          ({"Referer": "https://evil.example/x"}, 403), ({"User-Agent": "Mozilla/5.0"}, 403),
                          ({"User-Agent": "Mozilla/5.0 Electron/1"}, 200), ({"User-Agent": "Mozilla/5.0", "Origin": own}, 200),
                          ({"Origin": "chrome-extension://nibjojkomfdiaoajekhjakgkdhaomnch"}, 200)):
        got = ask(node, "POST", "/api/v0/id", headers)[0].status
        check(got == want, f"{headers}: {got}, wanted {want}")
    response, _ = ask(node, "POST", "/api/v0/id", {"Origin": "https://app.example"})
    got = {k.lower(): v for k, v in response.getheaders()}
    for name, want in (("access-control-allow-origin", "https://app.example"), ("access-control-allow-credentials", "true"), ("vary", "Origin"),
                       ("access-control-expose-headers", "X-Stream-Output, X-Chunked-Output, X-Content-Length")):
        check(got.get(name) == want, f"{name}: {got.get(name)}")
    check(response.headers.get_all("X-Extra") == ["one", "two"], f"{response.getheaders()}")
    for origin, method, allowed in ((own, "POST", True), ("https://app.example", "PUT", True), (own, "DELETE", False), ("https://evil.example", "POST", False)):
        response, _ = ask(node, "OPTIONS", "/api/v0/id", {"Origin": origin, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": "content-type"})
        check(response.status == 204, f"preflight: {response.status}")
        check((response.getheader("Access-Control-Allow-Origin") is not None) == allowed, f"{origin} {method}: {response.getheaders()}")
    response, _ = ask(node, "OPTIONS", "/api/v0/id")
    check(response.status == 204 and response.getheader("Allow") == "OPTIONS, POST", f"{response.getheaders()}")


def test_methods_and_paths(shop):
    node = shop.node("methods")
    for method in ("GET", "PUT", "DELETE", "HEAD"):
        response, data = ask(node, method, "/api/v0/id")
        check(response.status == 405 and response.getheader("Allow") == "OPTIONS, POST", f"{method}: {response.status}")
        check(data == (b"" if method == "HEAD" else b"405 - Method Not Allowed\n"), f"{data!r}")
    for path in ("/api/v0/nothing", "/api/v0/", "/api/v1/id", "/", "/ipfs/bafkqaaa"):
        response, data = ask(node, "POST", path)
        check(response.status == 404 and data == b"404 page not found\n", f"{path}: {response.status} {data!r}")
    response, _ = ask(node, "GET", "/webui/")
    check(response.status == 302 and response.getheader("Location").startswith("/ipfs/bafybei"), f"{response.getheaders()}")
    check(ask(node, "GET", "/version")[1].startswith(b"Commit: \nClient Version: distribute/"), "version")
    check(b"distribute_blocks_total" in ask(node, "GET", "/debug/metrics/prometheus")[1], "metrics")
    for host, status in (("Host: a\r\nhost: b\r\n", b"400"), ("Host: a\r\nHost: a\r\n", b"400"), ("Host: a\r\n", b"200")):
        s = raw_request(node, f"POST /api/v0/version HTTP/1.1\r\n{host}Connection: close\r\n\r\n")
        check(read_until(s, b"\r\n\r\n").startswith(b"HTTP/1.1 " + status), host)
        s.close()


# ── streams ─────────────────────────────────────────────────────────────────────────────────────


def raw_request(node, text):
    s = socket.create_connection(("127.0.0.1", node.api_port))
    s.settimeout(300)
    s.sendall(text.encode())
    return s


def read_until(s, mark, data=b""):
    while mark not in data:
        piece = s.recv(65536)
        if not piece:
            break
        data += piece
    return data


def without_chunks(data):
    out = b""
    while data:
        size, data = data.split(b"\r\n", 1)
        n = int(size, 16)
        if not n:
            break
        out, data = out + data[:n], data[n + 2:]
    return out


def test_an_error_in_a_stream_comes_as_a_trailer(shop):
    node = shop.node("trailer")
    root = node.text("add", "-Q", shop.file("t", 3 * MIB))
    leaves = node.text("refs", root).split()
    node.run("pin", "rm", root)
    node.run("block", "rm", leaves[-1])
    s = raw_request(node, f"POST /api/v0/cat?arg={root}&offline=true HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    data = read_until(s, b"\0never")
    s.close()
    head, tail = data.split(b"\r\n\r\n", 1)
    check(b" 200 " in head.splitlines()[0] and b"trailer: x-stream-error" in head.lower(), f"{head!r}")
    check(re.search(rb"X-Stream-Error: [^\r]*not found", tail[-400:]), f"{tail[-300:]!r}")
    fails(node, "cat", "--offline", root, saying="not found")


def test_a_slow_client_costs_a_window(shop):
    """A client that reads nothing of 256 MiB holds back the store, not the memory."""
    node = shop.node("slow")
    path = shop.file("large", 256 * MIB)
    cid = node.text("add", "-Q", path)
    before = node.memory()[0]
    sockets = [raw_request(node, f"POST /api/v0/cat?arg={cid} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n") for _ in range(8)]
    for s in sockets:
        read_until(s, b"\r\n\r\n")
    running = lambda: sum(c["Active"] and c["Command"] == "cat" for c in node.rpc("diag/cmds"))
    check(running() == 8, f"{running()} of 8 run")
    grown = node.memory()[0] - before
    check(grown < 64 * MIB, f"{grown / MIB:.0f} MiB more for 8 clients that read nothing")
    for s in sockets:
        s.close()
    wait_until(lambda: running() == 0, 60, "clients that left end their commands")


def test_a_client_that_leaves_ends_its_command(shop):
    node = shop.node("leaves")
    s = raw_request(node, "POST /api/v0/block/get?arg=QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
    running = lambda: [c for c in node.rpc("diag/cmds") if c["Active"] and c["Command"] == "block/get"]
    wait_until(running, 60, "the command runs")
    s.close()
    wait_until(lambda: not running(), 60, "the command ends")


def test_timeouts(shop):
    node = shop.node("timeouts")
    began = time.monotonic()
    fails(node, "cat", "--timeout=300ms", "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG", saying="time|deadline")
    check(time.monotonic() - began < 60, "the timeout came late")
    response, data = ask(node, "POST", "/api/v0/cat?arg=QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG&timeout=100ms")
    check(response.status == 500 and json.loads(data)["Type"] == "error", f"{response.status} {data!r}")


def test_what_a_command_says_during_an_upload_follows_it(shop):
    """20,000 files in one request: the lines of the answer, more than are kept in memory, come after the upload, whole and in order."""
    node = shop.node("spool")
    boundary, count = "B", 20000
    s = raw_request(node, "POST /api/v0/add?pin=false&quieter=false HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
                          f"Content-Type: multipart/form-data; boundary={boundary}\r\nConnection: close\r\n\r\n")
    for start in range(0, count, 500):
        part = "".join(f"--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{'long-' * 10}{i:06d}\"\r\n"
                       f"Content-Type: application/octet-stream\r\n\r\nfile {i}\r\n" for i in range(start, start + 500))
        s.sendall(f"{len(part):x}\r\n{part}\r\n".encode())
    end = f"--{boundary}--\r\n"
    s.sendall(f"{len(end):x}\r\n{end}\r\n0\r\n\r\n".encode())
    data = without_chunks(read_until(s, b"\0never").split(b"\r\n\r\n", 1)[1])
    s.close()
    names = re.findall(rb'"Name":"(?:long-){10}(\d+)"', data)
    check([int(n) for n in names] == list(range(count)), f"{len(names)} of {count} lines")


def test_rpc_at_several_addresses(shop):
    """TCP and a socket in the file system; the command line finds the first one, or the one that it is told."""
    node = shop.node("several", start=False)
    socket_path = shop.path("api.sock")
    node.configure(**{"Addresses.API": ["/ip4/127.0.0.1/tcp/0", f"/unix{socket_path}"], "Addresses.Gateway": f"/unix{shop.path('gw.sock')}"})
    process = node.begin("node", "--listen=127.0.0.1:0", "--metrics-port=0")
    try:
        wait_until(lambda: socket_path.exists() and (node.repo / "api").exists(), 20, "the node serves")
        check((node.repo / "api").read_text().startswith("/ip4/127.0.0.1/tcp/"), "the first address is in the file")
        check(socket_path.stat().st_mode & 0o777 == 0o600, f"mode {socket_path.stat().st_mode:o}")
        peer = node.text("id", "-f=<id>")
        check(node.text("--api", f"/unix{socket_path}", "id", "-f=<id>") == peer, "another node at the socket")
        cid = node.text("--api", f"/unix{socket_path}", "add", "-Q", shop.file("large", 3 << 20))
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(str(shop.path("gw.sock")))
            s.sendall(f"GET /ipfs/{cid} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
            data = b""
            while piece := s.recv(1 << 16):
                data += piece
        check(data.startswith(b"HTTP/1.1 200") and data.endswith(shop.path("large").read_bytes()), f"the gateway: {data[:80]!r}")
    finally:
        process.kill()
        process.wait(20)
    check(socket_path.exists(), "a node that is killed leaves its socket")
    node.configure(**{"Addresses.API": f"/unix{socket_path}", "Addresses.Gateway": []})
    process = node.begin("node", "--listen=127.0.0.1:0", "--metrics-port=0")
    try:
        wait_until(lambda: (node.repo / "api").exists() and (node.repo / "api").read_text() == f"/unix{socket_path}", 20, "the socket is taken over")
        check(node.text("id", "-f=<id>") == peer, "the file names the socket")
        node.run("shutdown")
        check(process.wait(20) == 0, "shutdown")
        check(not socket_path.exists(), "the socket goes with the node")
    finally:
        process.kill()
        process.wait(20)
    socket_path.write_text("not a socket")
    nodes.fails(node, "node", "--listen=127.0.0.1:0", "--metrics-port=0", code=None, saying="in use")
    check(socket_path.read_text() == "not a socket", "a file that was in the way is gone")
