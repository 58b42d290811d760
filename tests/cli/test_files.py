"""The mutable tree of files as a user meets it: the commands with and without a running node, many clients at once, kills
while it is written, garbage collection beside writers, large folders, strange names. Run by run.py."""
import concurrent.futures
import http.client
import json
import random
import time

import nodes
from nodes import check, fails

EMPTY = "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn"
HEAD = b'--B\r\nContent-Disposition: form-data; name="file"; filename="x"\r\nContent-Type: application/octet-stream\r\n\r\n'


def write(node, path, data, connection=None, **options):
    options = {"create": "true", "parents": "true", **options}
    query = "&".join(f"{key.replace('_', '-')}={value}" for key, value in options.items())
    connection = connection or http.client.HTTPConnection("127.0.0.1", node.api_port, timeout=60)
    connection.request("POST", f"/api/v0/files/write?arg={path}&{query}", body=HEAD + data + b"\r\n--B--\r\n",
                       headers={"Content-Type": "multipart/form-data; boundary=B"})
    response = connection.getresponse()
    answer = response.read()
    check(response.status == 200, f"write {path}: {response.status} {answer[:200]!r}")


def read(node, path):
    response, data = node.rpc_raw("files/read", [path])
    check(response.status == 200, f"read {path}: {data[:200]!r}")
    return data


def root(node):
    return json.loads(node.rpc_raw("files/stat", ["/"])[1])["Hash"]


def test_files_offline(shop):
    node = shop.node("files-offline", start=False)
    check(node.text("files", "stat", "--hash", "/") == EMPTY, "a fresh tree is empty")
    node.run("files", "mkdir", "-p", "/a/b")
    node.run("files", "write", "-e", "/a/b/f", stdin=b"hello world\n")
    node.run("files", "write", "-o", "6", "/a/b/f", stdin=b"WORLD")
    check(node.text("files", "read", "/a/b/f") == "hello WORLD", "read")
    check(node.text("files", "read", "-o", "6", "-n", "3", "/a/b/f") == "WOR", "a range")
    path = shop.file("data.bin", 1500000)
    node.run("files", "write", "-e", "-t", "/data", path)
    check(node.run("files", "read", "/data").stdout == path.read_bytes(), "a large file")
    cid = node.text("add", "-Q", path)
    node.run("files", "cp", f"/ipfs/{cid}", "/a/added")
    check(node.run("files", "read", "/a/added").stdout == path.read_bytes(), "content that was added")
    node.run("files", "mv", "/a/b", "/moved")
    check(node.text("files", "ls") == "a\ndata\nmoved", "ls")
    check(node.text("files", "ls", "-l", "/moved").split("\t")[::2] == ["f", "12"], "ls -l")
    fails(node, "files", "rm", "/a", saying="can't remove some files")
    node.run("files", "rm", "-r", "/a", "/moved", "/data")
    check(node.text("files", "stat", "--hash", "/") == EMPTY, "all is gone")
    fails(node, "files", "write", "/nope", saying="file does not exist", stdin=b"")
    fails(node, "files", "ls", "relative", saying="leading slash")
    fails(node, "files", "chcid", "/nope", saying="file does not exist")


def test_files_survive(shop):
    """Kills while clients write: what was acknowledged is there, and so is the tree."""
    node = shop.node("files-kill", start=False)
    said = {}
    for round_ in range(4):
        node.start()
        for path, data in said.items():
            check(read(node, path) == data, f"{path} after kill {round_}")
        check(node.rpc("files/stat", "/", with_local="true").get("Local"), "blocks of the tree are missing")
        pick = random.Random(round_)

        def client(number):
            connection = http.client.HTTPConnection("127.0.0.1", node.api_port, timeout=60)
            for i in range(1000):
                path, data = f"/d{i % 4}/r{round_}-{number}-{i}", nodes.make_bytes(f"{round_}{number}{i}", pick.choice([10, 3000, 300000]))
                try:
                    write(node, path, data, connection)
                except (OSError, http.client.HTTPException):
                    return
                said[path] = data

        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            clients = [pool.submit(client, n) for n in range(6)]
            enough = len(said) + 25
            while len(said) < enough and any(not c.done() for c in clients):
                time.sleep(0.002)
            node.kill()
            for c in clients:
                c.result()
    node.start()
    for path, data in said.items():
        check(read(node, path) == data, path)
    check(len(said) >= 100, f"only {len(said)} files were written")


def test_files_beside_gc(shop):
    """`repo gc` again and again while clients write and replace."""
    node = shop.node("files-gc")
    done = []

    def client(number):
        connection = http.client.HTTPConnection("127.0.0.1", node.api_port, timeout=60)
        for i in range(25):
            write(node, f"/c{number}/f{i % 5}", nodes.make_bytes(f"{number}-{i}", 5000 * (i % 7) + 10), connection, truncate="true",
                  flush="false" if i % 4 == 3 else "true")
        done.append(number)

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        clients = [pool.submit(client, n) for n in range(6)]
        runs = 0
        while any(not c.done() for c in clients):
            node.rpc_lines("repo/gc")
            runs += 1
        for c in clients:
            c.result()
    node.rpc_lines("repo/gc")
    for number in range(6):
        for i in range(20, 25):
            check(read(node, f"/c{number}/f{i % 5}") == nodes.make_bytes(f"{number}-{i}", 5000 * (i % 7) + 10), f"/c{number}/f{i % 5}")
    check(runs >= 2, "garbage was collected once only")


def test_files_large_folder(shop):
    """A folder of 8,000 entries that was added: put, changed and listed without being loaded whole."""
    node = shop.node("files-large")
    folder = shop.path("many")
    folder.mkdir()
    for i in range(8000):
        (folder / f"{i:05}").write_bytes(b"x")
    cid = node.text("add", "-r", "-Q", folder)
    node.run("files", "cp", f"/ipfs/{cid}", "/many")
    for i in range(0, 8000, 1000):
        write(node, f"/many/new-{i}", b"new")
        node.rpc_raw("files/rm", [f"/many/{i:05}"])
    names = node.text("files", "ls", "/many").split("\n")
    expected = sorted([f"{i:05}" for i in range(8000) if i % 1000] + [f"new-{i}" for i in range(0, 8000, 1000)])
    check(names == expected, f"{len(names)} names")
    for i in range(0, 8000, 1000):
        node.rpc_raw("files/rm", [f"/many/new-{i}"])
        write(node, f"/many/{i:05}", b"x", raw_leaves="false")
    check(node.text("files", "ls", "/many").count("\n") == 7999, "as before")


def test_files_strange_names(shop):
    node = shop.node("files-names", start=False)
    for name in ("a\nb", "\x1b[31mred", "..x", "Ünï", "\u202egpj.exe", "with space", "%2f", "x" * 4000):
        node.run("files", "mkdir", f"/{name}")
        check(node.text("files", "stat", "--hash", f"/{name}") == EMPTY, repr(name[:20]))
    shown = node.text("files", "ls")
    check("\x1b" not in shown and "\u202e" not in shown, "a terminal would be steered")
    fails(node, "files", "mkdir", "/" + "x" * 5000, saying="name of 5000 bytes")
    fails(node, "files", "mkdir", "-p", "/d" * 300, saying="more than 256 names")
    node.run("files", "mkdir", "-p", "/d" * 250)
    node.run("files", "rm", "-r", "/d")


def test_files_lazy(shop):
    """Content of another node is put without being fetched, and fetched when it is read; the tree can be used meanwhile."""
    giver, taker = shop.node("files-giver"), shop.node("files-taker")
    path = shop.file("lazy.bin", 2000000)
    cid = giver.text("add", "-Q", path)
    taker.connect(giver)
    taker.rpc_raw("files/cp", [f"/ipfs/{cid}", "/lazy"])
    check(taker.rpc("files/stat", "/lazy", with_local="true")["SizeLocal"] < 100000, "all of it was fetched")
    taker.rpc_lines("repo/gc")  # what is missing is no fault
    write(taker, "/lazy", b"CHANGED", offset=1000000)
    data = path.read_bytes()
    check(read(taker, "/lazy") == data[:1000000] + b"CHANGED" + data[1000007:], "content")


def test_files_unflushed(shop):
    """Without --flush the limit of the reference holds, and what is flushed by anybody is durable."""
    node = shop.node("files-unflushed", config={"Internal__MFSNoFlushLimit": 5})
    for i in range(5):
        write(node, f"/f{i}", b"x", flush="false", parents="false")
    response, data = node.rpc_raw("files/mkdir", ["/d"], {"flush": "false"})
    check(response.status == 500 and b"reached limit of 5 unflushed MFS operations" in data, data)
    node.rpc_raw("files/flush")
    write(node, "/more", b"x", flush="false")
    before = root(node)
    node.stop()
    node.start()
    check(root(node) == before, "a clean end loses nothing")


def test_files_full_clients(shop):
    """Sixteen clients write different files of one folder at once."""
    node = shop.node("files-many")

    def client(number):
        connection = http.client.HTTPConnection("127.0.0.1", node.api_port, timeout=60)
        for i in range(20):
            write(node, f"/d/f-{number}-{i}", b"%d %d" % (number, i), connection)

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        list(pool.map(client, range(16)))
    check(len(node.rpc("files/ls", "/d")["Entries"]) == 320, "entries are missing")
    for number in range(16):
        check(read(node, f"/d/f-{number}-7") == b"%d 7" % number, f"file {number}")
