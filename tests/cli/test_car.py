"""CAR archives: dag import, dag export, and those that the gateway makes. Run by run.py."""
import hashlib
import http.client
import json
import pathlib
import threading
import urllib.parse

import cars
import nodes
from nodes import check, fails, wait_until
from test_faults import SmallDisk

MIB = 1 << 20
VECTORS = pathlib.Path(__file__).resolve().parent.parent / "vectors" / "car"
PARTIAL = "QmYhmPjhFjYFyaoiuNzYv8WGavpSRDwdHWe5B4M5du5Rtk"  # of gwc-file-missing-block: its second block is in no file
PARTIAL_LACKS = "QmSNLTo6Wv9dfroVaw7MFYjLqf9ho7PKrgsjdzYDtv8h1W"


def multipart(*files):
    boundary = "car-test-boundary"
    body = b"".join(b"--%s\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f.car\"\r\n"
                    b"Content-Type: application/octet-stream\r\n\r\n%s\r\n" % (boundary.encode(), f) for f in files)
    return body + b"--%s--\r\n" % boundary.encode(), f"multipart/form-data; boundary={boundary}"


def import_by_rpc(node, *files, **options):
    body, content_type = multipart(*files)
    options = {k.replace("_", "-"): v for k, v in options.items()}
    response, data = node.rpc_raw("dag/import", (), options, body=body, content_type=content_type)
    return response.status, [json.loads(line) for line in data.splitlines()]


def test_archives_of_the_reference_come_back_the_same(shop):
    """Byte for byte: depth first, each block once."""
    running, idle = shop.node("car-run"), shop.node("car-idle", start=False)
    for path in sorted(VECTORS.glob("kubo-*.car")):
        whole = path.read_bytes()
        root = cars.cids(whole)[0]
        for node in (running, idle):
            said = node.text("dag", "import", path, "--stats")
            blocks = cars.read(whole)[1]
            size = sum(len(data) for _, data in blocks)
            check(said == f"Pinned root\t{root}\tsuccess\nImported {len(blocks)} blocks ({size} bytes)", f"{path.name}: {said}")
            check(node.run("dag", "export", root).stdout == whole, f"{path.name}: the export differs")
            check(node.text("pin", "ls", "-q", "-t", "recursive", root) == root, f"{path.name}: not pinned")


def test_import_of_several_archives(shop):
    node = shop.node("several")
    tree = shop.path("tree")
    tree.mkdir()
    for name in ("a", "b"):
        (tree / name).write_bytes(nodes.make_bytes(name, MIB))
    source = shop.node("source", start=False)
    root = source.text("add", "-r", "-Q", tree)
    head, blocks = cars.read(source.run("dag", "export", root).stdout)
    halves = [shop.path(f"{i}.car") for i in range(2)]
    halves[0].write_bytes(cars.write([], blocks[1::2]))
    halves[1].write_bytes(cars.uvarint(len(head)) + head + b"".join(cars.section(*b) for b in blocks[::2]))
    fails(node, "dag", "import", halves[1], saying=f'pinning root "{root}" FAILED: .*could not find')
    check(node.text("pin", "ls", "-q", "-t", "recursive") == "", "a part is pinned")
    check(node.text("dag", "import", "--pin-roots=false", "--stats", halves[1]).startswith("Imported "), "without pins")
    check(node.text("dag", "import", *halves) == f"Pinned root\t{root}\tsuccess", "both halves")
    check(node.run("cat", f"{root}/b").stdout == nodes.make_bytes("b", MIB), "other content")
    check(node.text("dag", "import", "--silent", *halves) == "", "--silent")
    check(node.text("dag", "import", "--local-only", halves[1]) == "", "--local-only")
    fails(node, "dag", "import", "--local-only", "--pin-roots", halves[1], saying="cannot be combined")
    check(node.text("dag", "import", stdin=halves[0].read_bytes() + b"".join(cars.section(*b) for b in blocks[::2])) == "", "stdin")
    # two roots, one of which is nowhere: the other is pinned
    nowhere = cars.raw_cid(b"nobody has this")
    present = cars.raw_cid(b"here")
    status, lines = import_by_rpc(node, cars.write([nowhere, present], [(present, b"here")]), stats="true")
    check(status == 200 and lines == [
        {"Root": {"Cid": {"/": cars.cid_text(nowhere)}, "PinErrorMsg": f"ipld: could not find {cars.cid_text(nowhere)}"}},
        {"Root": {"Cid": {"/": cars.cid_text(present)}, "PinErrorMsg": ""}},
        {"Stats": {"BlockCount": 1, "BlockBytesCount": 4}}], f"two roots: {status} {lines}")


def test_damaged_archives(shop):
    node = shop.node("damaged")
    blocks = [(cars.raw_cid(data), data) for data in (nodes.make_bytes(str(i), 100000) for i in range(50))]
    good = bytearray(cars.write([blocks[0][0]], blocks))
    bad = shop.path("bad.car")
    at = good.index(blocks[30][0])
    good[at + 5000] ^= 1
    bad.write_bytes(good)
    fails(node, "dag", "import", bad, saying=f'import failed at block "{cars.cid_text(blocks[30][0])}"')
    check(node.text("pin", "ls", "-q") == "", "a damaged archive is pinned")
    good[at + 5000] ^= 1
    bad.write_bytes(good[:-1])
    fails(node, "dag", "import", bad, saying=f'import failed after block "{cars.cid_text(blocks[49][0])}": unexpected EOF')
    for name, saying in (("header-length", "header"), ("section-length", "section"), ("v2-pragma", "EOF"), ("version-42", "version: 42")):
        fails(node, "dag", "import", VECTORS / f"bad-{name}.car", saying=saying)
    fails(node, "dag", "import", VECTORS / "gocar-v1-zero-len-section.car", saying="import failed after block")
    big = bytes(2 * MIB + 1)
    bad.write_bytes(cars.write([], [(cars.raw_cid(big), big)]))
    fails(node, "dag", "import", bad, saying=f'at block "{cars.cid_text(cars.raw_cid(big))}": produced block is over 2MiB')
    status, lines = import_by_rpc(node)
    check(status == 400 and "argument 'path' is required" in lines[0]["Message"], f"no file: {status} {lines}")
    with open(bad, "wb") as f:  # longer than what is dropped of an upload: the error comes before its end
        f.write(cars.header([]) + cars.section(blocks[0][0], blocks[1][1]))
        for _ in range(80):
            f.write(cars.section(*blocks[1]) * 10)
    fails(node, "dag", "import", bad, saying=f'import failed at block "{cars.cid_text(blocks[0][0])}"')
    bad.write_bytes(good)
    check(node.text("dag", "import", bad) == f"Pinned root\t{cars.cid_text(blocks[0][0])}\tsuccess", "the sound archive")


def test_archives_of_big_blocks(shop):
    """Those that no message to a peer holds are stored when they are asked for, and offered to nobody."""
    node, other = shop.node("big"), shop.node("other")
    big = nodes.make_bytes("big", 5 * MIB)
    cid = cars.cid_text(cars.raw_cid(big))
    archive = cars.write([cars.raw_cid(big)], [(cars.raw_cid(big), big)])
    check(node.text("dag", "import", "--allow-big-block", stdin=archive) == f"Pinned root\t{cid}\tsuccess", "import")
    check(node.run("block", "get", cid).stdout == big and node.run("dag", "export", cid).stdout == archive, "export")
    check("verify complete" in node.text("repo", "verify").lower(), "repo verify")
    other.connect(node)
    fails(other, "block", "get", "--timeout=500ms", cid)
    node.kill()
    node.start()
    check(node.run("cat", cid).stdout == big, "after a kill")


def test_export_of_a_part(shop):
    node = shop.node("part")
    node.text("dag", "import", "--pin-roots=false", VECTORS / "gwc-file-missing-block.car")
    result = node.run("dag", "export", "--offline", PARTIAL, check_code=False)
    check(result.returncode == 1 and PARTIAL_LACKS.encode() in result.stderr, f"export: {result.stderr}")
    check(cars.cids(result.stdout)[0] == PARTIAL, "the part before the gap")
    response, data = node.rpc_raw("dag/export", [PARTIAL], {"offline": "true"})
    check(response.status == 200 and response.getheader("Content-Type") == "application/vnd.ipld.car" and
          response.getheader("X-Stream-Output") == "1" and len(cars.cids(data)) == 2, f"rpc: {response.getheaders()}")
    whole = (VECTORS / "gwc-file-missing-block.car").read_bytes()
    check(node.run("dag", "export", "--local-only", PARTIAL).stdout == whole, "--local-only")
    fails(node, "dag", "export", "--offline", PARTIAL_LACKS, saying="could not find")
    fails(node, "dag", "export", "--local-only", "--offline=false", PARTIAL, saying="cannot be combined")
    fails(node, "dag", "export", "not-a-cid", saying="invalid path")


def test_export_of_version_2(shop):
    """The archive of version 1, its length in front of it, and an index of all its blocks; it comes in again."""
    node, other = shop.node("v2"), shop.node("v2-idle", start=False)
    for path in sorted(VECTORS.glob("kubo-*.car")):
        whole = path.read_bytes()
        root, count = cars.cids(whole)[0], len(cars.cids(whole))
        node.text("dag", "import", path)
        archive = node.run("dag", "export", "--car-version=2", root).stdout
        data, entries = cars.read_v2(archive)
        check(data == whole, f"{path.name}: other data")
        check(archive[11] == 0x80 and len(entries) == count, f"{path.name}: {len(entries)} of {count} blocks in the index")
        check([e[0] for e in entries] == sorted(e[0] for e in entries), f"{path.name}: not sorted")
        said = other.text("dag", "import", "--stats", stdin=archive)
        check(said.startswith(f"Pinned root\t{root}\tsuccess\nImported {count} blocks"), said)
        check(other.run("dag", "export", "--car-version=2", root).stdout == archive, f"{path.name}: not the same without a node")
        check(other.run("dag", "export", "--car-version=1", root).stdout == whole, f"{path.name}: --car-version=1")
    small = shop.path("small")
    small.write_bytes(b"in its CID")
    root = node.text("add", "-Q", "--inline", "--cid-version=1", small)
    data, entries = cars.read_v2(node.run("dag", "export", "--car-version=2", root).stdout)
    check(len(cars.cids(data)) == 1 and [e[0] for e in entries] == [(0, b"in its CID")], f"an identity: {entries}")
    data, entries = cars.read_v2(node.run("dag", "export", "--car-version=2", "--local-only", root).stdout)
    check(not cars.cids(data) and entries is None, f"nothing to index: {entries}")
    for version in ("0", "3", "x", "-1"):
        fails(node, "dag", "export", f"--car-version={version}", root, code=2, saying="car-version")
    # what is missing is told before the answer begins
    node.text("dag", "import", "--pin-roots=false", VECTORS / "gwc-file-missing-block.car")
    result = node.run("dag", "export", "--offline", "--car-version=2", PARTIAL, check_code=False)
    check(result.returncode == 1 and not result.stdout and PARTIAL_LACKS.encode() in result.stderr, f"{result}")
    response, data = node.rpc_raw("dag/export", [PARTIAL], {"offline": "true", "car-version": "2"})
    check(response.status == 500 and PARTIAL_LACKS in json.loads(data)["Message"], f"rpc: {response.status} {data[:300]}")
    data, entries = cars.read_v2(node.run("dag", "export", "--local-only", "--car-version=2", PARTIAL).stdout)
    check(data == (VECTORS / "gwc-file-missing-block.car").read_bytes() and len(entries) == len(cars.cids(data)), "--local-only")


class Growing:
    """A CAR of `count` raw blocks as a multipart body, made while it is sent."""

    def __init__(self, count, size):
        self.count, self.size = count, size
        self.boundary = "growing"

    def block(self, i):
        data = i.to_bytes(8, "big") * (self.size // 8)
        return cars.raw_cid(data), data

    def __iter__(self):
        yield (f"--{self.boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n"
               f"Content-Type: application/octet-stream\r\n\r\n").encode() + cars.header([self.block(0)[0]])
        gathered = []
        for i in range(self.count):
            gathered.append(cars.section(*self.block(i)))
            if sum(map(len, gathered[-1:])) > 60000 or len(gathered) == 1000:
                yield b"".join(gathered)
                gathered = []
        yield b"".join(gathered) + f"\r\n--{self.boundary}--\r\n".encode()

    def send(self, node):
        connection = http.client.HTTPConnection("127.0.0.1", node.api_port, timeout=300)
        connection.request("POST", "/api/v0/dag/import?stats=true", body=iter(self), encode_chunked=True,
                           headers={"Content-Type": f"multipart/form-data; boundary={self.boundary}", "Transfer-Encoding": "chunked"})
        response = connection.getresponse()
        return response.status, [json.loads(line) for line in response.read().splitlines()]


def put_links(node, *growings):
    """A DAG-CBOR block that links all blocks of these."""
    links = [cid for g in growings for cid in (g.block(i)[0] for i in range(g.count))]
    data = b"\x9a" + len(links).to_bytes(4, "big") + b"".join(b"\xd8\x2a\x58" + bytes([len(c) + 1]) + b"\0" + c for c in links)
    if len(links) < 1 << 16:
        data = b"\x99" + data[3:]
    return node.text("block", "put", "--cid-codec=dag-cbor", stdin=data)


def export_by_rpc(node, root, **options):
    """How many bytes came, their hash, and the first of them."""
    connection = http.client.HTTPConnection("127.0.0.1", node.api_port, timeout=300)
    connection.request("POST", "/api/v0/dag/export?" + urllib.parse.urlencode({"arg": root, **options}))
    response, size, digest, first = connection.getresponse(), 0, hashlib.sha256(), b""
    while data := response.read(1 << 20):
        size, first = size + len(data), first or data
        digest.update(data)
    check(response.status == 200, f"{response.status} {first[:300]}")
    return size, digest.hexdigest(), first


def test_memory_is_flat(shop):
    """Large archives, and archives of many small blocks, both ways."""
    node = shop.node("flat")
    status, lines = Growing(8, 64 << 10).send(node)
    before = node.memory()[0]
    for count, size in ((1536, 128 << 10), (40000, 64)):
        growing = Growing(count, size)
        status, lines = growing.send(node)
        check(status == 200 and lines[-1] == {"Stats": {"BlockCount": count, "BlockBytesCount": count * size}}, f"{status} {lines}")
        check(node.rpc_raw("block/get", [cars.cid_text(growing.block(count - 1)[0])])[1] == growing.block(count - 1)[1], "last block")
    grown = (node.memory()[1] - before) / MIB
    check(grown < 48, f"importing 192 MiB and 40,000 blocks took {grown:.0f} MiB more")
    before = node.memory()[1]
    root = put_links(node, Growing(1536, 128 << 10), Growing(40000, 64))
    size, _, _ = export_by_rpc(node, root)
    size_v2, _, first = export_by_rpc(node, root, **{"car-version": 2})
    data_size = int.from_bytes(first[35:43], "little")
    check(data_size == size and size_v2 == 51 + size + 2 + 4 + 12 + 12 + 41537 * 40, f"{size} bytes, as version 2 {size_v2}")
    grown = (node.memory()[1] - before) / MIB
    check(grown < 32, f"exporting 192 MiB and 40,000 blocks took {grown:.0f} MiB more")


def test_killed_while_importing(shop):
    """What was acknowledged is there after a kill; what was not is asked for again without harm."""
    node = shop.node("killed")
    first = Growing(64, 64 << 10)
    check(first.send(node)[0] == 200, "the first import")
    slow, begun = Growing(100000, 64 << 10), threading.Event()

    def send():
        def body():
            for i, piece in enumerate(slow):
                if i == 300:
                    begun.set()
                yield piece
        connection = http.client.HTTPConnection("127.0.0.1", node.api_port, timeout=60)
        try:
            connection.request("POST", "/api/v0/dag/import", body=body(), encode_chunked=True,
                               headers={"Content-Type": "multipart/form-data; boundary=growing", "Transfer-Encoding": "chunked"})
            connection.getresponse().read()
        except (OSError, http.client.HTTPException):
            pass

    sender = threading.Thread(target=send)
    sender.start()
    check(begun.wait(60), "the second import never began")
    node.kill()
    sender.join(60)
    check(not sender.is_alive(), "the sender hangs")
    node.start()
    check(node.text("pin", "ls", "-q", "-t", "recursive") == cars.cid_text(first.block(0)[0]), "the pins after the kill")
    for i in (0, 63):
        check(node.rpc_raw("block/get", [cars.cid_text(first.block(i)[0])], {"offline": "true"})[1] == first.block(i)[1], f"block {i}")
    check("verify complete" in node.text("repo", "verify").lower(), "damage after the kill")
    check(first.send(node)[0] == 200, "an import after the kill")


def test_import_while_the_disk_fills(shop):
    """The import fails and says why; what was acknowledged before stays, and after a collection there is room again."""
    with SmallDisk(shop, "car-disk", 24) as disk:
        node = nodes.Node(shop.program, disk, "repo")
        shop.daemons.append(node)
        node.start()
        small, large, again = Growing(16, 64 << 10), Growing(1024, 64 << 10), Growing(32, 62 << 10)
        check(small.send(node)[0] == 200, "the first import")
        archive = shop.path("large.car")
        archive.write_bytes(cars.header([large.block(1)[0]]) + b"".join(cars.section(*large.block(i)) for i in range(1, large.count)))
        fails(node, "dag", "import", archive, saying="space|full")
        kept = cars.cid_text(small.block(0)[0])
        check(node.text("pin", "ls", "-q", "-t", "recursive") == kept, "a part of an archive is pinned")
        node.run("repo", "gc")
        check(again.send(node)[0] == 200, "an import after the collection")
        node.kill()
        node.start()
        for growing in (small, again):
            cid, data = growing.block(0)
            check(node.run("block", "get", "--offline", cars.cid_text(cid)).stdout == data, "what was acknowledged is gone")
        node.stop()


# ── the gateway ─────────────────────────────────────────────────────────────────────────────────


def fetch(node, path, method="GET", **headers):
    """Status, headers and body; the body is None when the answer is cut off."""
    connection = http.client.HTTPConnection("127.0.0.1", node.gateway_port, timeout=60)
    connection.request(method, path, headers={k.replace("_", "-"): v for k, v in headers.items()})
    response = connection.getresponse()
    try:
        body = response.read()
    except http.client.IncompleteRead as e:
        response.partial, body = e.partial, None
    connection.close()
    return response, body


def gateway_node(shop):
    node = shop.node("car-gateway", {"Gateway.NoFetch": True})
    for path in sorted(VECTORS.glob("*.car")):
        if not path.name.startswith("bad-") and "zero-len" not in path.name:
            node.text("dag", "import", "--pin-roots=false", path)
    return node


def test_gateway_scopes(shop):
    """Each row of gateway-cars.tsv: the blocks of the reference's answer, in its order."""
    node = gateway_node(shop)
    rows = [line.split("\t") for line in (VECTORS / "gateway-cars.tsv").read_text().splitlines()[1:]]
    check(len(rows) > 250, "rows are missing")
    for _, path, scope, entity_bytes, dups, want in rows:
        options = {"dag-scope": scope, "entity-bytes": entity_bytes, "car-dups": dups}
        query = urllib.parse.urlencode({k: v for k, v in options.items() if v})
        for url, headers in ((f"/ipfs/{urllib.parse.quote(path)}?format=car&{query}", {}),
                             (f"/ipfs/{urllib.parse.quote(path)}?{query}", {"Accept": "application/vnd.ipld.car"})):
            response, body = fetch(node, url, **headers)
            got = " ".join(cars.cids(body)) if response.status == 200 else body
            if want.startswith("sha256:"):
                got = "sha256:" + hashlib.sha256(got.encode()).hexdigest()
            check(response.status == 200 and got == want, f"{url}: {response.status} {got[:300]}, wanted {want[:300]}")


DIR = "bafybeietjm63oynimmv5yyqay33nui4y4wx6u3peezwetxgiwvfmelutzu"  # of gwc-subdir-two-files
CAR = "application/vnd.ipld.car"


def test_gateway_headers(shop):
    node = gateway_node(shop)
    response, body = fetch(node, f"/ipfs/{DIR}/subdir/ascii.txt?format=car")
    header = response.getheader
    check(header("Content-Type") == f"{CAR}; version=1; order=dfs; dups=n", header("Content-Type"))
    check(header("Content-Disposition").startswith(f'attachment; filename="{DIR}_ascii.txt.car"'), header("Content-Disposition"))
    check(header("Accept-Ranges") == "none" and header("X-Content-Type-Options") == "nosniff", f"{response.getheaders()}")
    check(header("Cache-Control") == "public, max-age=29030400, immutable", header("Cache-Control"))
    check(header("X-Ipfs-Roots").split(",") == cars.cids(body) and header("X-Ipfs-Path") == f"/ipfs/{DIR}/subdir/ascii.txt", "paths")
    etag = header("Etag")
    check(etag.startswith(f'W/"{DIR}.car.'), etag)
    check(cars.read(body)[0] == cars.read(cars.header([cars.read(body)[1][-1][0]]))[0], "the root is the end of the path")
    for given in (etag, etag[2:], f'"x", {etag}', "*"):
        response, body = fetch(node, f"/ipfs/{DIR}/subdir/ascii.txt?format=car", If_None_Match=given)
        check(response.status == 304 and not body and response.getheader("Etag") == etag, f"If-None-Match: {given}: {response.status}")
    etags = {etag}
    for query in ("dag-scope=block", "dag-scope=entity", "entity-bytes=0:*", "entity-bytes=0:5", "car-dups=y", "car-order=unk", "dag-scope=all"):
        response, _ = fetch(node, f"/ipfs/{DIR}/subdir/ascii.txt?format=car&{query}", If_None_Match=etag)
        check((response.status == 304) == (query == "dag-scope=all"), f"{query}: {response.status}")
        etags.add(response.getheader("Etag"))
    check(len(etags) == 7, f"the same ETag for other archives: {etags}")
    response, body = fetch(node, f"/ipfs/{DIR}/subdir?format=car&filename=x%20y.car", method="HEAD")
    check(response.status == 200 and not body and 'filename="x%20y.car"' in response.getheader("Content-Disposition"), "HEAD")


def test_gateway_parameters(shop):
    node = gateway_node(shop)
    for accept, query, want in ((f"{CAR}; version=1; order=dfs; dups=y", "", "dfs; dups=y"), (f"{CAR};order=unk", "", "unk; dups=n"),
                                (f"{CAR}; order=unk", "format=car&car-order=dfs", "dfs; dups=n"), (f"{CAR};dups=n", "format=car&car-dups=y", "dfs; dups=y"),
                                (f"{CAR};dups=y", "format=car", "dfs; dups=y"), ("application/vnd.ipld.raw", "format=car", "dfs; dups=n"),
                                (f"text/html, {CAR}; dups=y;q=0.5", "", "dfs; dups=y"), (f'{CAR};version="1"', "", "dfs; dups=n")):
        response, _ = fetch(node, f"/ipfs/{DIR}?{query}", Accept=accept)
        check(response.getheader("Content-Type") == f"{CAR}; version=1; order={want}", f"{accept} {query}: {response.getheader('Content-Type')}")
    response, _ = fetch(node, f"/ipfs/{DIR}?format=raw", Accept=CAR)
    check(response.getheader("Content-Type") == "application/vnd.ipld.raw", "?format=raw")
    for accept, query, saying in ((f"{CAR};version=2", "", "only version=1"), (f"{CAR};order=foo", "", "order"), (f"{CAR};dups=maybe", "", "dups"),
                                  (CAR, "car-version=2", "only version=1"), (CAR, "dag-scope=some", "scope"), (CAR, "entity-bytes=x", "entity-bytes"),
                                  (CAR, "entity-bytes=5:1", "entity-bytes"), (CAR, f"car-order={'x' * 1000}", "")):
        response, body = fetch(node, f"/ipfs/{DIR}?{query}", Accept=accept)
        check(response.status == 400 and saying in body.decode() and response.getheader("Cache-Control") != "public, max-age=29030400, immutable",
              f"{accept} {query}: {response.status} {body}")


def test_gateway_missing_blocks(shop):
    """Absent roots are a status; what is found missing later cuts the answer off, behind all that was there."""
    node = gateway_node(shop)
    check(fetch(node, f"/ipfs/{PARTIAL_LACKS}?format=car")[0].status == 404, "an absent root")
    check(fetch(node, f"/ipfs/{DIR}/subdir/nothing?format=car")[0].status == 404, "a name that is not there")
    for query in ("", "&dag-scope=entity", "&entity-bytes=0:*"):
        response, body = fetch(node, f"/ipfs/{PARTIAL}?format=car{query}")
        check(response.status == 200 and body is None, f"{query}: a part passes for the whole: {response.status}")
        check(cars.cids(response.partial)[0] == PARTIAL and len(cars.cids(response.partial)) == 2, "the part that is there")
    for query, count in (("&entity-bytes=0:1000", 2), ("&entity-bytes=2200:*", 2), ("&dag-scope=block", 1)):
        response, body = fetch(node, f"/ipfs/{PARTIAL}?format=car{query}")
        check(response.status == 200 and len(cars.cids(body)) == count, f"{query}: {body}")


def test_gateway_fetches_what_is_missing(shop):
    giver, taker = shop.node("giver"), shop.node("taker")
    hasty = shop.node("hasty", {"Gateway.RetrievalTimeout": "1s"})
    for node in (taker, hasty):
        node.connect(giver)
    tree = shop.path("tree")
    tree.mkdir()
    for name in ("a", "b"):
        (tree / name).write_bytes(nodes.make_bytes(name, 2 * MIB))
    root = giver.text("add", "-r", "-Q", tree)
    whole = giver.run("dag", "export", root).stdout
    response, body = fetch(taker, f"/ipfs/{root}?format=car")
    check(response.status == 200 and body == whole, f"{response.status}: {len(body or b'')} of {len(whole)} bytes")
    # the giver lacks a block: whoever waits for it is told, after what was there
    giver.text("dag", "import", "--pin-roots=false", VECTORS / "gwc-file-missing-block.car")
    hasty.run("block", "get", PARTIAL)
    response, body = wait_until(lambda: (got := fetch(hasty, f"/ipfs/{PARTIAL}?format=car"))[1] is None and
                                len(cars.cids(got[0].partial)) == 2 and got, 60, "the part that is there")
    check(response.status == 200, f"{response.status}")
    response, body = fetch(hasty, f"/ipfs/{PARTIAL_LACKS}?format=car")
    check(response.status in (404, 504), f"{response.status}: {body}")
