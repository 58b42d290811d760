"""The gateway beside Kubo's, answer by answer, and under the field's own suite (ipfs/gateway-conformance 0.13)."""
import json
import os
import re
import shutil
import subprocess

import gateway_fixtures
from gateway_fixtures import HOST, ask, put_record, roots
from nodes import Skip, check

LISTED = "bafybeig6ka5mlwkl4subqhaiatalkcleo4jgnr3hqwvpmsqfca27cijp3i"
CACHED = "bafybeib3ffl2teiqdncv3mkz4r23b5ctrwkzrrhctdbne6iboayxuxk5ui"
HELLO = "bafkreicysg23kiwv34eg2d7qweipxwosdo2py4ldv42nbauguluen5v6am"
RULES = "QmYBhLYDwVFvxos9h8CGU2ibaY66QNgv8hpfewxaQrPiZj"
KEY = "k51qzi5uqu5dlkw8pxuw9qmqayfdeh4kfebhmreauqdc6a7c3y7d5i9fi8mk9w"
COMPARED = ("location", "etag", "cache-control", "content-type", "content-disposition", "content-location", "content-range",
            "x-ipfs-path", "x-ipfs-roots", "x-content-type-options", "access-control-allow-origin", "access-control-allow-headers",
            "access-control-expose-headers")


def kubo_with_fixtures(shop):
    kubo = shop.kubo("kubo-gateway", {"Gateway.PublicGateways": gateway_fixtures.PUBLIC_GATEWAYS}, start=False)
    kubo.environment["IPFS_NS_MAP"] = (gateway_fixtures.FIXTURES / "dnslinks.IPFS_NS_MAP").read_text()
    kubo.text("dag", "import", "--pin-roots=false", *sorted(gateway_fixtures.FIXTURES.glob("*.car")))
    kubo.start()
    for record in sorted(gateway_fixtures.FIXTURES.glob("*.ipns-record")):
        put_record(kubo, record.name.split("_")[0], record.read_bytes())
    return kubo


def requests(examples):
    document, plain = roots("dag-cbor-traversal")[0], roots("dag-json-traversal")[0]
    sub = f"{HOST}:1"
    yield from (({}, f"{target}", None) for target in (
        f"/ipfs/{LISTED}", f"/ipfs/{LISTED}/", f"/ipfs/{LISTED}/%C4%85", f"/ipfs/{LISTED}/%C4%85/?a=b", f"/ipfs/{CACHED}/root2/root3/root4/",
        f"/ipfs/{CACHED}/root2/root3/root4/index.html", f"/ipfs/{HELLO}", f"/ipfs/{HELLO}?filename=t%D1%82.txt",
        f"/ipfs/{HELLO}?filename=a.pdf&download=true", f"/ipfs/{HELLO}?format=raw", f"/ipfs/{HELLO}?format=nonsense",
        f"/ipfs/{HELLO}?format=json", f"/ipfs/{HELLO}?format=cbor", f"/ipfs/{HELLO}/below", f"/ipfs/{LISTED}/nothing", f"/ipfs/{HELLO}?format=dag-json", f"/ipfs/{HELLO}?format=ipns-record",
        "/ipfs/QmInvalidCID", "/ipfs/", f"/ipfs/ipfs/{HELLO}", f"/ipfs/?uri=ipfs%3A%2F%2F{HELLO}%2Fa%3Fx%3Dy", "/ipfs/?uri=nonsense",
        f"/ipfs/{document}", f"/ipfs/{document}?format=dag-cbor", f"/ipfs/{document}?format=cbor",
        f"/ipfs/{document}/foo", f"/ipfs/{plain}", f"/ipfs/{plain}?format=json",
        f"/ipfs/{plain}?download=true", f"/ipfs/{plain}?filename=x.json", f"/ipfs/{plain}?format=dag-cbor", f"/ipns/{KEY}", f"/ipns/{KEY}/",
        f"/ipns/{KEY}?format=raw", "/ipns/dnslink-test.example.org", "/ipns/12D3KooWRBy97UB99e3J6hiPesre1MZeuNQvfan4gBziswrRJsNK/a",
        "/ipns/QmcJM7PRfkSbcM5cf1QugM5R37TLRKyJGgBEhXjLTB8uA2?a=b"))
    yield from ((headers, f"/ipfs/{HELLO}", None) for headers in (
        {"Accept": "application/vnd.ipld.raw"}, {"Accept": "application/vnd.ipld.unknown"}, {"Accept": "text/html, application/x-tar"},
        {"Range": "bytes=0-1"}, {"Range": "bytes=-2"}, {"If-None-Match": f'"{HELLO}"'}, {"If-None-Match": '"other"'},
        {"Service-Worker": "script"}, {"X-Forwarded-Host": sub}, {"X-Forwarded-Host": sub, "X-Forwarded-Proto": "https"},
        {"Cache-Control": "only-if-cached"}))
    yield {"Accept": "text/html"}, f"/ipfs/{document}", None
    yield {"Accept": "application/vnd.ipld.raw"}, f"/ipfs/{CACHED}/root2?a=b", None
    yield from (({}, target, host) for target, host in (
        (f"/ipfs/{HELLO}", sub), (f"/ipfs/{RULES}/a%20b?c=d", sub), ("/ipns/dnslink-test.example.org/x", sub), (f"/ipns/{KEY}", sub),
        ("/ipfs/nonsense", sub), ("/other", sub), ("/", f"{HELLO}.ipfs.{sub}"), (f"/ipfs/{HELLO}", f"{HELLO}.ipfs.{sub}"),
        ("/%C4%85", f"{LISTED}.ipfs.{sub}"), ("/", f"dnslink--test-example-org.ipns.{sub}"), ("/", "dnslink-test.example.org"),
        ("/root3/root4/", "dnslink-subpath.example.org"), (f"/ipfs/{HELLO}", "elsewhere.example"), (f"/ipfs/{HELLO}", "localhost:1"),
        ("/", f"{HELLO}.ipfs.localhost:1"), ("/redirect-one", examples), ("/302-redirect-two?x=y", examples), ("/not-found/x", examples),
        ("/gone/x", examples), ("/unavail/x", examples), ("/200-index", examples), ("/posts/2022/01/02/hi", examples),
        ("/splat/a/b", examples), (f"http://{HELLO}.ipfs.{sub}/", "ignored.example")))


def differences(ours, theirs):
    if ours.status != theirs.status:
        return f"status {ours.status}, Kubo {theirs.status}: {ours.body[:120]!r}"
    for key in COMPARED if ours.status in (200, 206) else ("location", "access-control-allow-origin"):
        a, b = ours.headers.get(key, ""), theirs.headers.get(key, "")
        if key == "etag" and "Index-" in b:
            a, b = a.split("_CID-")[-1], b.split("_CID-")[-1]
        if key == "cache-control" and "immutable" not in b:
            a, b = (re.sub(r"max-age=\d+", "max-age=N", x) for x in (a, b))  # ours is what is left of the record's time
        if a != b:
            return f"{key} {a!r}, Kubo {b!r}"
    is_made_here = "Index-" in ours.headers.get("etag", "") or "x-tar" in ours.headers.get("content-type", "")
    is_content = ours.status in (200, 206) and not is_made_here
    return "other bytes" if is_content and ours.body != theirs.body else None


def test_gateway_beside_kubo(shop):
    ours, kubo = gateway_fixtures.start(shop), kubo_with_fixtures(shop)
    examples = ask(ours, f"/ipfs/{RULES}", f"{HOST}:1").headers["location"].split("//")[1].rstrip("/")
    wrong = []
    for headers, target, host in requests(examples):
        answers = [ask(node, target, host, **{k.replace("-", "_"): v for k, v in headers.items()}) for node in (ours, kubo)]
        found = differences(*answers)
        if found:
            wrong.append(f"{host or ''}{target} {headers or ''}: {found}")
    check(not wrong, "\n  ".join([f"{len(wrong)} answers differ", *wrong]))


OBJECTS = (  # codec, hash function, vectors and their column of the block, rows by name
    ("git-raw", "sha1", "git-raw.tsv", "object_hex", ("blob", "tree: file, folder, link, submodule", "first commit", "tag")),
    ("dag-jose", "sha2-256", "dag-jose.tsv", "block_hex", ("jws", "jwe-recipient")))
CONVERTED = ("dag-json", "dag-cbor", "json", "cbor", "raw", "ipns-record", "dag-jose")
ACCEPTED = ("application/vnd.ipld.dag-json", "application/vnd.ipld.dag-cbor", "application/json", "application/cbor", "application/vnd.ipld.raw",
            "text/html", "application/vnd.ipld.dag-jose")


def object_requests():
    yield "", {}
    yield "/nope", {}
    yield from ((f"?format={name}", {}) for name in CONVERTED)
    yield from (("", {"Accept": kind}) for kind in ACCEPTED)
    yield from ((f"?{words}", {}) for words in ("filename=x.bin", "filename=x.html&download=true"))
    yield "?format=dag-json&filename=x.bin&download=true", {}


def vectors(name):
    head, *rows = (line.split("\t") for line in (gateway_fixtures.FIXTURES.parent / name).read_text().splitlines())
    return [dict(zip(head, row)) for row in rows]


def object_differences(ours, kubo, codec, name):
    wrong = []
    for path, headers in object_requests():
        answers = [ask(node, f"/ipfs/{name}{path}", **headers) for node in (ours, kubo)]
        found = differences(*answers)
        if not found and answers[0].status == 406 and answers[0].body != answers[1].body:
            found = f"body {answers[0].body!r}, Kubo {answers[1].body!r}"
        if found:
            wrong.append(f"{codec} {name}{path} {headers or ''}: {found}")
    return wrong


def test_gateway_objects_of_other_codecs(shop):
    """git-raw and dag-jose as they are, and in the codecs that a gateway turns data into: switched off, as by default, and on. Not compared are
    ranges, of which Kubo's answers hold the first bytes of the block, and paths that end inside of one, whose rest it leaves out of the answer."""
    wrong = []
    for converts in (False, True):
        settings = {"Gateway.AllowCodecConversion": converts}
        both = [shop.node(f"ours-{converts}", settings), shop.kubo(f"kubo-{converts}", settings)]
        for codec, function, file, column, wanted in OBJECTS:
            rows = [row for row in vectors(file) if row.get("name", row.get("fixture")) in wanted]
            check(len(rows) == len(wanted), f"rows of {file}")
            for row in rows:
                block = bytes.fromhex(row[column])
                cids = [node.run("block", "put", f"--cid-codec={codec}", f"--mhtype={function}", stdin=block).stdout.decode().strip() for node in both]
                check(cids[0] == cids[1], f"{row}: {cids}")
                wrong += [f"{converts} {text}" for text in object_differences(*both, codec, cids[0])]
    check(not wrong, "\n  ".join([f"{len(wrong)} answers differ", *wrong]))


KINDS = (
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", b"\xff\xd8\xff\xe0\0\x10JFIF", b"GIF89a\1\0\1\0", b"RIFF\x24\0\0\0WEBPVP8 ", b"II*\0\x08\0\0\0", b"\0\0\1\0\1\0\x10\x10",
    b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf", b"\0\0\0\x18ftypheic\0\0\0\0heicmif1", b"\xff\x0a\0\0", b'<svg xmlns="http://www.w3.org/2000/svg"></svg>',
    b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', b"8BPS\0\1", b"ID3\4\0\0\0\0\0\0", b"\xff\xfb\x90\x44" + bytes(500), b"\xff\xf1\x50\x80",
    b"fLaC\0\0\0\x22", b"RIFF\x24\0\0\0WAVEfmt ", b"MThd\0\0\0\6", b"\0\0\0\x20ftypM4A \0\0\0\0", b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom", b"\0\0\0\x14ftypqt  \0\0\0\0",
    b"\x1a\x45\xdf\xa3\x9f\x42\x82\x84webm", b"\x1a\x45\xdf\xa3\xa3\x42\x82\x88matroska", b"FLV\1\5\0\0\0\x09", b"%PDF-1.4\n", b"%!PS-Adobe-3.0\n", b"{\\rtf1\\ansi}",
    b"\x1f\x8b\x08\0", b"\x28\xb5\x2f\xfd\x04\0", b"7z\xbc\xaf\x27\x1c\0\4", b"Rar!\x1a\7\0", b"!<arch>\ndebian-binary   1", b"\0asm\1\0\0\0", b"SQLite format 3\0",
    b"wOFF\0\1\0\0", b"wOF2\0\1\0\0", b"glTF\2\0\0\0", b"<!DOCTYPE html><html></html>", b"<div>hi</div>", b'<?xml version="1.0"?><a/>',
    b'<?xml version="1.0"?><rss version="2.0"></rss>', b'{"a":1}', b"[1,2]", b"12", b"BEGIN:VCALENDAR\nVERSION:2.0\n", b"BEGIN:VCARD\nVERSION:3.0\n", b"WEBVTT\n\n", b"hello\n",
    "\u043f\u0440\u0438\u0432\u0435\u0442".encode(), b"caf\xe9 ol\xe9\n", b"\xff\xfeh\0i\0", b"abc\0def", b"")


def test_gateway_types_without_names(shop):
    """What a file is by its first bytes: images of NFTs are mostly named by a CID alone."""
    ours, kubo = gateway_fixtures.start(shop), kubo_with_fixtures(shop)
    wrong = []
    for i, kind in enumerate(KINDS):
        path = shop.path(f"kind-{i}")
        path.write_bytes(kind)
        cids = [node.text("add", "-Q", "--cid-version=1", path) for node in (ours, kubo)]
        check(cids[0] == cids[1], f"{kind!r}: other CIDs")
        a, b = (ask(node, f"/ipfs/{cids[0]}").headers.get("content-type") for node in (ours, kubo))
        if a != b:
            wrong.append(f"{kind[:30]!r}: {a}, Kubo {b}")
    check(not wrong, "\n  ".join([f"{len(wrong)} of {len(KINDS)} types differ", *wrong]))


def test_gateway_conformance_suite(shop):
    """The suite as its authors install it; $GATEWAY_CONFORMANCE names the program where it is not on the PATH."""
    program = os.environ.get("GATEWAY_CONFORMANCE") or shutil.which("gateway-conformance")
    if not program:
        raise Skip("gateway-conformance on the PATH, or its path in GATEWAY_CONFORMANCE")
    node = gateway_fixtures.start(shop)
    report = shop.path("report.json")
    result = subprocess.run([program, "test", f"--gateway-url=http://127.0.0.1:{node.gateway_port}",
                             f"--subdomain-url=http://{HOST}:{node.gateway_port}", f"--json={report}"], capture_output=True, timeout=600)
    check(report.exists(), f"the suite did not run: {result.stderr[-500:]!r}")
    counts, failed = {"pass": 0, "fail": 0, "skip": 0}, []
    for line in report.read_text(errors="replace").splitlines():
        event = json.loads(line)
        if event.get("Test") and event.get("Action") in counts:
            counts[event["Action"]] += 1
            if event["Action"] == "fail":
                failed.append(event["Test"])
    print(f"  gateway-conformance: {counts['pass']} passed, {counts['fail']} failed, {counts['skip']} skipped")
    check(counts["pass"] and not failed, "\n  ".join(["failed:", *failed[:50]]))
