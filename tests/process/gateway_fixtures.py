"""A node that serves the field's gateway fixtures (tests/vectors/gateway), and requests to it whose host, path and method
are sent exactly as they are given."""
import base64
import collections
import pathlib
import socket

import nodes

FIXTURES = pathlib.Path(__file__).resolve().parent.parent / "vectors" / "gateway"
HOST = "example.com"
PUBLIC_GATEWAYS = {name: {"UseSubdomains": True, "InlineDNSLink": True, "Paths": ["/ipfs", "/ipns"]}
                   for name in (HOST, "localhost")}
Answer = collections.namedtuple("Answer", "status headers body")


def start(shop, name="gateway", gateway=None, prepare=None):
    node = shop.node(name, {"Gateway": {"PublicGateways": PUBLIC_GATEWAYS, **(gateway or {})}}, start=False)
    node.environment["IPFS_NS_MAP"] = (FIXTURES / "dnslinks.IPFS_NS_MAP").read_text()
    node.text("dag", "import", "--pin-roots=false", *sorted(FIXTURES.glob("*.car")))
    if prepare:
        prepare(node)
    node.start()
    for record in sorted(FIXTURES.glob("*.ipns-record")):
        put_record(node, record.name.split("_")[0], record.read_bytes())
    return node


def put_record(node, key, record):
    """Bad records are refused, and good ones cannot be published without peers: what the node knows shows when it is asked."""
    body = (b'--x\r\nContent-Disposition: form-data; name="file"; filename="record"\r\n'
            b"Content-Type: application/octet-stream\r\n\r\n" + record + b"\r\n--x--\r\n")
    node.rpc_raw("routing/put", [f"/ipns/{key}"], {"allow-offline": "true"}, body, "multipart/form-data; boundary=x")


def ask(node, target, host=None, method="GET", **headers):
    """One request on a connection of its own."""
    head = [f"{method} {target} HTTP/1.1", f"Host: {host or f'127.0.0.1:{node.gateway_port}'}", "Connection: close"]
    head += [f"{key.replace('_', '-')}: {value}" for key, value in headers.items()]
    with socket.create_connection(("127.0.0.1", node.gateway_port), timeout=60) as s:
        s.sendall(("\r\n".join(head) + "\r\n\r\n").encode())
        return read_answer(s.makefile("rb"), method)


def read_answer(stream, method):
    status = int(stream.readline().split()[1])
    headers = {}
    while line := stream.readline().strip():
        key, _, value = line.decode("latin-1").partition(": ")
        key = key.lower()
        headers[key] = f"{headers[key]}, {value}" if key in headers else value
    if method == "HEAD" or status in (204, 304):
        return Answer(status, headers, b"")
    if headers.get("transfer-encoding") == "chunked":
        body = b""
        while size := int(stream.readline().split(b";")[0], 16):
            body += stream.read(size)
            stream.readline()
        return Answer(status, headers, body)
    length = headers.get("content-length")
    return Answer(status, headers, stream.read() if length is None else stream.read(int(length)))


def roots(name):
    """The root CIDs (v1, in base32) of an archive: the CBOR of its header ends in them."""
    data = next(FIXTURES.glob(f"{name}*.car")).read_bytes()
    header = data[1:1 + data[0]]
    found = []
    for part in header.split(b"\xd8\x2a")[1:]:
        size, start = (part[1], 2) if part[0] == 0x58 else (part[0] - 0x40, 1)
        binary = part[start + 1:start + size]
        if binary[0] == 0x12:
            binary = b"\x01\x70" + binary
        found.append("b" + base64.b32encode(binary).decode().lower().rstrip("="))
    return found


def check_answer(answer, what, status, body=None, **headers):
    nodes.check(answer.status == status, f"{what}: {answer.status}, not {status}: {answer.body[:200]!r}")
    for key, want in headers.items():
        got = answer.headers.get(key.replace("_", "-"), "")
        nodes.check(got == want if want == "" else want in got, f"{what}: {key} is {got!r}, not {want!r}")
    if body is not None:
        body = body.encode() if isinstance(body, str) else body
        nodes.check(body in answer.body, f"{what}: no {body!r} in {answer.body[:400]!r}")
