"""The RPC's answers as text (encoding=text), of a real Kubo and of this node. Run by run.py."""
import http.client
import json
import re

import nodes
from nodes import check

EMPTY = "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn"
NOBODY = "12D3KooWBoV1L1mBRX4LcYqYDqFcbF8ZbUP5v6bQ2nVvLXf3WZGe"


def upload(name, *files):
    parts = [f'--BB\r\nContent-Disposition: form-data; name="{name}"; filename="{path}"\r\n'
             "Content-Type: application/octet-stream\r\n\r\n".encode() + data + b"\r\n" for path, data in files]
    return b"".join(parts) + b"--BB--\r\n"


def ask(node, path, body=None):
    connection = http.client.HTTPConnection("127.0.0.1", node.api_port, timeout=30)
    headers = {"Content-Type": "multipart/form-data; boundary=BB"} if body else {}
    connection.request("POST", "/api/v0/" + path, body=body, headers=headers)
    answer = connection.getresponse()
    text = re.sub(rb"12D3Koo\w+|k51\w+", b"ID", answer.read())
    return answer.status, answer.getheader("Content-Type"), text


def test_texts_are_the_same(shop):
    both = [shop.node("ours"), shop.kubo("kubo")]
    tree = upload("file", ("a.txt", b"hello\n"), ("b&c.txt", b"x" * 300000))
    root = [json.loads(line)["Hash"] for line in ask(both[0], "add?wrap-with-directory=true", tree)[2].split()][-1]
    folder = (b'--BB\r\nContent-Disposition: form-data; name="file"; filename="empty"\r\n'
              b"Content-Type: application/x-directory\r\n\r\n\r\n--BB--\r\n")
    for node in both:
        check(EMPTY.encode() in ask(node, "add", folder)[2], "an empty folder")
        ask(node, "add?wrap-with-directory=true", tree)
    asked = [
        ("add?wrap-with-directory=true&pin=false", tree), ("add?quieter=x", tree),
        (f"files/cp?arg=/ipfs/{root}&arg=/d", None), ("files/ls", None), ("files/ls?arg=/d&long=true", None), ("files/stat?arg=/d", None),
        ("files/stat?arg=/d&hash=true", None), ("files/stat?arg=/none", None), ("files/flush", None), ("files/rm?arg=/none", None),
        ("files/read?arg=/d/a.txt", None), ("files/mkdir?arg=/d", None), (f"pin/add?arg={root}", None),
        ("version", None), ("version?number=true", None), (f"refs?arg={root}", None), (f"refs?arg={root}&edges=true", None),
        (f"ls?arg={root}", None), (f"ls?arg={root}&long=true&headers=true", None), (f"ls?arg={root}&stream=true", None),
        (f"ls?arg={root}&arg={EMPTY}&arg={root}", None), (f"ls?arg={root}&size=false", None), ("ls", None),
        (f"cat?arg={root}/a.txt", None), (f"block/stat?arg={root}", None), ("block/put", upload("data", ("x", b"block"))),
        (f"block/rm?arg={root[:-1]}E", None), (f"dag/stat?arg={root}&progress=false", None), (f"dag/resolve?arg={root}/a.txt", None),
        ("dag/put", upload("object data", ("x", b'{"a":1}'))), (f"dag/get?arg={root}", None), ("dag/get?arg=x", None),
        (f"pin/ls?arg={root}", None), (f"pin/ls?arg={root}&quiet=true", None), (f"pin/ls?arg={root}&stream=true", None),
        (f"pin/rm?arg={root}", None), (f"pin/rm?arg={root}", None), ("pin/remote/service/ls", None),
        ("key/list", None), ("key/gen?arg=one", None), ("key/list?l=true", None), ("key/rename?arg=one&arg=two", None), ("key/rm?arg=two", None),
        (f"name/publish?arg={root}&allow-offline=true", None), (f"name/publish?arg={root}&allow-offline=true&quieter=true", None),
        (f"resolve?arg=/ipfs/{root}/a.txt", None), ("config?arg=Gateway.RootRedirect", None), ("bootstrap/list", None),
        (f"bootstrap/add?arg=/ip4/127.0.0.1/tcp/1/p2p/{NOBODY}", None), ("bootstrap/rm/all", None), ("swarm/peers", None),
        ("swarm/filters/add?arg=/ip4/10.1.0.0/ipcidr/16", None), ("swarm/filters", None), ("swarm/filters/rm?arg=all", None),
        (f"swarm/peering/add?arg=/ip4/127.0.0.1/tcp/1/p2p/{NOBODY}", None), ("swarm/peering/ls", None),
        (f"swarm/peering/rm?arg={NOBODY}", None), ("swarm/addrs/autonat", None), ("bitswap/wantlist", None), ("bitswap/stat", None),
        (f"bitswap/ledger?arg={NOBODY}", None), ("log/level?arg=all&arg=error", None), ("diag/healthy", None),
        (f"cid/format?arg={root}&v=1", None), (f"cid/base32?arg={root}", None), (f"cid/inspect?arg={root}", None), ("cid/codecs", None),
        ("cid/hashes?numeric=true", None), ("multibase/encode", upload("data", ("x", b"data"))),
        (f"object/diff?arg={root}&arg={EMPTY}", None), (f"object/diff?arg={EMPTY}&arg={root}&verbose=true", None),
        (f"object/patch/add-link?arg={EMPTY}&arg=n&arg={root}", None), ("filestore/ls", None), ("urlstore/add?arg=http://x", None),
    ]
    differing = []
    for path, body in asked:
        encoded = path + ("&" if "?" in path else "?") + "encoding=text"
        ours, theirs = (ask(node, encoded, body) for node in both)
        if ours != theirs:
            differing.append(f"{path}: {ours}, Kubo: {theirs}")
    check(not differing, "\n".join(differing))
    for encoding in ("protobuf", "yaml"):
        ours, theirs = (ask(node, f"version?encoding={encoding}") for node in both)
        check(ours == theirs, f"{encoding}: {ours}, Kubo: {theirs}")
