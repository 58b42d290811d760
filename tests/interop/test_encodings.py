"""The RPC's answers in the encodings that show the structs of Kubo's language (xml, textnl, octet-stream), and their errors, of a real
Kubo and of this node. Run by run.py."""
import http.client
import json
import pathlib
import re

import nodes
from nodes import check

EMPTY = "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn"
NOBODY = "12D3KooWBoV1L1mBRX4LcYqYDqFcbF8ZbUP5v6bQ2nVvLXf3WZGe"
SOME_CID = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"
ENCODINGS = ("xml", "textnl", "octet-stream", "text", "json")
SETTINGS = {"Experimental.FilestoreEnabled": True, "Experimental.Libp2pStreamMounting": True, "Pubsub.Enabled": True, "Ipns.UsePubsub": True}


def part(name, path, data, kind="application/octet-stream"):
    return (f'--BB\r\nContent-Disposition: form-data; name="{name}"; filename="{path}"\r\nContent-Type: {kind}\r\n\r\n'.encode()
            + data + b"\r\n")


def upload(name, *files):
    return b"".join(part(name, path, data) for path, data in files) + b"--BB--\r\n"


class Answer:
    """Status, the headers that tell what the answer is, body and trailer; identities, times and addresses are masked."""

    def __init__(self, node, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", node.api_port, timeout=30)
        headers = {"Content-Type": "multipart/form-data; boundary=BB"} if body else {}
        connection.request("POST", "/api/v0/" + path, body=body, headers=headers)
        answer = connection.getresponse()
        raw = answer.fp
        chunked = answer.getheader("Transfer-Encoding") == "chunked"
        self.trailer = b""
        if chunked:
            self.body, self.trailer = read_chunks(raw)
        else:
            self.body = answer.read()
        self.head = (answer.status, answer.getheader("Content-Type") or "", answer.getheader("X-Chunked-Output"), answer.getheader("X-Stream-Output"))
        connection.close()

    def shown(self):
        return self.head, mask(self.body), mask(self.trailer)


def read_chunks(stream):
    body = b""
    while True:
        size = int(stream.readline().split(b";")[0], 16)
        if not size:
            break
        body += stream.read(size)
        stream.readline()
    trailer = b""
    while (line := stream.readline().strip()):
        trailer += line.lower().split(b":")[0] + b":" + line.split(b":", 1)[1].strip() + b"\n"
    return body, trailer


def mask(text):
    text = re.sub(rb"12D3Koo\w+|k51\w+|CAES\w+=*|0xc000\w+", b"ID", text)
    text = re.sub(rb"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:[0-9.]+( [+-]\d{4} \w+( m=\S+)?|Z|[+-]\d\d:\d\d)", b"TIME", text)
    text = re.sub(rb"/tcp/\d{4,}", b"/tcp/PORT", text)
    return re.sub(rb"/tmp/[^ <\"}]*", b"PATH", text)


def differences(both, asked, encodings=ENCODINGS):
    differing = []
    for path, body in asked:
        for encoding in encodings:
            encoded = path + ("&" if "?" in path else "?") + "encoding=" + encoding
            ours, theirs = (Answer(node, encoded, body).shown() for node in both)
            if ours != theirs:
                differing.append(f"{encoded}:\n  ours {ours}\n  Kubo {theirs}")
    return differing


def prepare(shop):
    both = [shop.node("ours", SETTINGS), shop.kubo("kubo", SETTINGS)]
    tree = upload("file", ("a.txt", b"hello\n"), ("b&c.txt", b"x" * 300000))
    for node in both:
        lines = Answer(node, "add?wrap-with-directory=true", tree).body.split()
        check(EMPTY.encode() in Answer(node, "add", part("file", "empty", b"", "application/x-directory") + b"--BB--\r\n").body, "an empty folder")
    return both, tree, json.loads(lines[-1])["Hash"]


def test_structs_are_the_same(shop):
    both, tree, root = prepare(shop)
    asked = [
        ("add?wrap-with-directory=true&pin=false", tree), ("add?progress=true&pin=false", tree), (f"files/cp?arg=/ipfs/{root}&arg=/d", None),
        ("files/ls", None), ("files/ls?arg=/d&long=true", None), ("files/stat?arg=/d", None), ("files/stat?arg=/none", None),
        ("files/flush", None), ("files/rm?arg=/none", None), ("files/read?arg=/d/a.txt", None), ("files/mkdir?arg=/d", None), ("files/mkdir?arg=/d/%3Ca%26b%3E%E2%80%A8%5Cu001B", None), ("files/ls?arg=/d", None),
        (f"pin/add?arg={root}", None), (f"pin/add?arg={root}&progress=true", None),
        (f"refs?arg={root}", None), (f"refs?arg={root}&edges=true", None), (f"ls?arg={root}", None), (f"ls?arg={root}&long=true", None),
        (f"ls?arg={root}&stream=true", None), (f"ls?arg={root}&arg={EMPTY}", None), ("ls", None), (f"cat?arg={root}/a.txt", None),
        (f"cat?arg={root}", None), (f"block/stat?arg={root}", None), (f"block/get?arg={root}", None), ("block/put", upload("data", ("x", b"block"))),
        (f"block/rm?arg={SOME_CID}", None), (f"dag/stat?arg={root}&progress=false", None), (f"dag/stat?arg={root}", None), (f"dag/resolve?arg={root}/a.txt", None),
        ("dag/put", upload("object data", ("x", b'{"a":1}'))), (f"dag/get?arg={root}", None), ("dag/get?arg=x", None),
        (f"dag/export?arg={root}&progress=false", None), (f"pin/ls?arg={root}", None), (f"pin/ls?arg={root}&stream=true", None),
        (f"pin/ls?arg={root}&quiet=true", None), (f"pin/update?arg={root}&arg={root}", None), ("pin/verify?verbose=true", None),
        (f"pin/rm?arg={root}", None), ("pin/remote/service/ls", None), ("pin/remote/ls", None),
        ("key/list", None), ("key/list?l=true", None), ("key/rm?arg=none", None),
        (f"name/publish?arg={root}&allow-offline=true&ttl=1h", None), ("name/pubsub/state", None), ("name/pubsub/subs", None),
        ("name/pubsub/cancel?arg=/ipns/k51qzi5uqu5dlvj2baxnqndepeb86cbk3ng7n3i46uzyxzyqj2xjonzllnv0v8", None),
        (f"resolve?arg=/ipfs/{root}/a.txt", None), ("config?arg=Gateway.RootRedirect", None), ("config?arg=Addresses.Swarm", None), ("config?arg=none", None),
        ("bootstrap", None), ("bootstrap/list", None), (f"bootstrap/add?arg=/ip4/127.0.0.1/tcp/1/p2p/{NOBODY}", None), ("bootstrap/rm/all", None),
        ("swarm/peers", None), ("swarm/addrs", None), ("swarm/addrs/autonat", None), ("swarm/filters/add?arg=/ip4/10.1.0.0/ipcidr/16", None),
        ("swarm/filters", None), ("swarm/filters/rm?arg=all", None), (f"swarm/peering/add?arg=/ip4/127.0.0.1/tcp/1/p2p/{NOBODY}", None),
        ("swarm/peering/ls", None), (f"swarm/peering/rm?arg={NOBODY}", None), (f"swarm/disconnect?arg=/p2p/{NOBODY}", None),
        ("bitswap/wantlist", None), ("bitswap/stat", None), (f"bitswap/ledger?arg={NOBODY}", None),
        ("log/level?arg=all&arg=error", None), ("diag/healthy", None), ("diag/cmds/clear", None),
        (f"cid/format?arg={root}&v=1", None), (f"cid/base32?arg={root}", None), (f"cid/inspect?arg={root}", None),
        ("cid/codecs", None),
        ("multibase/encode", upload("data", ("x", b"data"))), (f"object/diff?arg={root}&arg={EMPTY}", None), (f"object/diff?arg={EMPTY}&arg={root}", None),
        (f"object/patch/add-link?arg={EMPTY}&arg=n&arg={root}", None), ("object/get?arg=x", None), ("filestore/ls", None), ("filestore/verify", None),
        ("filestore/dups", None), ("p2p/ls", None), ("p2p/stream/ls", None), ("p2p/close?all=true", None),
        ("pubsub/peers", None), ("stats/bw", None),
        ("files/rm?arg=/d&recursive=true&force=true", None),
    ]
    differing = differences(both, asked)
    escaped = [("files/mkdir?arg=/escaped/a%1B%0A%08%7F%5C%22&parents=true", None), ("files/ls?arg=/escaped", None)]
    differing += differences(both, escaped, ("json", "xml", "textnl", "octet-stream"))
    check(not differing, "\n".join(differing))


def test_encodings_that_are_refused(shop):
    both = [shop.node("ours", SETTINGS), shop.kubo("kubo", SETTINGS)]
    asked = ["version?encoding=", "version?encoding=yaml", "version?enc=yaml", "version?encoding=protobuf", "version?encoding=JSON",
             "version?encoding=%3Cx%3E", "version?encoding=xml&encoding=json", "version?enc=xml", "cat?encoding=yaml",
             "cat?arg=x&encoding=yaml", "cat?arg=x&encoding=ndpayload", "pin?encoding=xml", "pin?encoding=yaml", "nosuch?encoding=xml",
             f"refs?arg={EMPTY}&max-depth=x&encoding=xml"]
    for path in asked:
        ours, theirs = (Answer(node, path).shown() for node in both)
        ours, theirs = (re.sub(r"none|go1[.\d]+", "GO", repr(answer)) for answer in (ours, theirs))
        check(ours == theirs, f"{path}:\n  ours {ours}\n  Kubo {theirs}")


def without_versions(text):
    return re.sub(rb"none|go1[.\d]+|distribute-1|fs-repo@18|distribute/[.\d]+|kubo/[.\d]+", b"OWN", mask(text))


def run(node, words):
    result = node.run(*words, stdin=b"", check_code=False, timeout=60)
    return result.returncode, without_versions(result.stdout), mask(result.stderr).splitlines()[:1]


def test_command_line_encodes_the_same(shop):
    both, _, root = prepare(shop)
    both[0].program = str(pathlib.Path(shop.program).parent / "ipfs")
    folder = shop.path("tree")
    folder.mkdir()
    (folder / "a&b.txt").write_text("hello\n")
    told = (f"cat {root}/a.txt", f"cat {root}", f"ls {root}", f"ls -s {root}", f"block stat {root}", f"block rm {SOME_CID}", "version", "version -n",
            "files ls /", "files stat /", "files rm /none", f"pin add {root}", f"pin ls {root}", f"pin ls -s {root}", f"refs {root}", f"dag stat {root}",
            f"dag resolve {root}/a.txt", f"dag get {root}", f"cid format {root}", "cid codecs", "key list", "key list -l", f"resolve /ipfs/{root}",
            "config Gateway.RootRedirect", "swarm peers", "filestore ls", "p2p ls", "p2p close --all", "diag healthy", "pubsub peers", f"provide once {root}",
            f"object patch add-link {EMPTY} x {root}", f"add -r {folder}", f"add -rQ {folder}", f"pin rm {root}")
    differing = []
    for encoding in ("json", "xml", "textnl", "octet-stream", "text"):
        for line in told:
            words = line.split() + ["--enc=" + encoding]
            ours, theirs = (run(node, words) for node in both)
            if ours != theirs:
                differing.append(f"{' '.join(words)}:\n  ours {ours}\n  Kubo {theirs}")
    check(not differing, "\n".join(differing))
