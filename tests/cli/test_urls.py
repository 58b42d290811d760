"""URLs as content: added by the command line, and referred to by blocks that stay where the URL leads."""
import concurrent.futures
import json
import time

import nodes
import web_files
from nodes import check, fails
from web_files import WebFiles

BOTH = {"Experimental.FilestoreEnabled": True, "Experimental.UrlstoreEnabled": True}


def hash_of(node, path):
    """The CID of what the URL /HOW/SIZE/NAME holds."""
    return node.text("add", "-Q", "--only-hash", stdin=web_files.content_of(path))


def part_of(url, content):
    return (b'--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\nAbspath: ' + url.encode() +
            b"\r\nContent-Type: application/octet-stream\r\n\r\n" + content + b"\r\n--b--\r\n")


def add_part(node, url, content, **options):
    return node.rpc_raw("add", options={"nocopy": "true", **options}, body=part_of(url, content),
                        content_type="multipart/form-data; boundary=b")


# ── add ─────────────────────────────────────────────────────────────────────────────────────────


def test_add_of_urls(shop):
    """Whatever the framing, alone in this process and through a running node."""
    with WebFiles() as web:
        for node in (shop.node("alone", start=False), shop.node("running")):
            for how in ("ok", "chunked", "untilclose", "gzip", "asked", "slow", "whole", "to/302/ok", "to/301/ok", "to/307/ok", "to/308/ok",
                        "to/303/ok", "status/200", "status/203"):
                path = f"/{how}/30000/name.bin"
                check(node.text("add", f"{web.base}{path}") == f"added {hash_of(node, '/ok/30000/name.bin' if 'status' not in how else path)} name.bin", how)
            check(node.text("add", f"{web.base}/more/30000/x").endswith(" x"), "no more than the length says")
            check(node.text("add", f"{web.base}/empty/204/x").split()[1] == node.text("add", "-Qn", stdin=b""), "nothing is a file, too")
            check(node.text("add", f"{web.base}/ok/20/a%20b%2Fc.txt?x=y#z").endswith(" c.txt"), "the name")
            check(node.text("add", f"{web.base}/ok/20/dir/").endswith(" dir"), "the name of a folder")
            check(node.text("add", f"{web.base}/ok/20/a b").endswith(" a b"), "a blank")
            check("/ok/20/a%20b" == web.requests[-1][0], web.requests[-1])
            check(node.text("add", f"{web.base}/hops/9").split()[1] == hash_of(node, "/ok/100/hopped"), "nine redirects")


def test_add_of_urls_among_others(shop):
    node = shop.node("mixed", start=False)
    folder = shop.path("mixed-files")
    folder.mkdir()
    (folder / "f.txt").write_text("file")
    with WebFiles() as web:
        lines = node.text("add", f"{web.base}/ok/20/z", f"{web.base}/ok/20/b", "f.txt", "-", "--stdin-name=c", stdin=b"in", cwd=folder).splitlines()
        check([line.split()[2] for line in lines] == ["b", "c", "f.txt", "z"], lines)
        lines = node.text("add", "-w", f"{web.base}/ok/20/z", "f.txt", cwd=folder).splitlines()
        names = node.text("ls", lines[-1].split()[1]).splitlines()
        check([line.split()[2] for line in names] == ["f.txt", "z"], names)
        lines = node.text("add", f"{web.base}/ok/20/z", f"{web.base}/ok/30/z").splitlines()
        check([line.split()[2] for line in lines] == ["z", "z"] and lines[0] != lines[1], lines)
        fails(node, "add", "-w", f"{web.base}/ok/20/z", f"{web.base}/ok/30/z", saying="directory already has entry by that name")
        node.run("add", "--to-files=/", f"{web.base}/ok/20/there")
        check(node.run("files", "read", "/there").stdout == web_files.content_of("/ok/20/there"), "--to-files")
        check(node.text("add", "-r", f"{web.base}/ok/20/x") == node.text("add", "-n", f"{web.base}/ok/20/x"), "-r, -n")
        said = json.loads(node.text("add", "--preserve-mtime", "--preserve-mode", "--json", f"{web.base}/dated/30/x"))
        check((said["Mode"], said["Mtime"], said["Hash"]) == ("0640", 1600000000, "QmUx1u6zfqr1GZkfuh6xvHmsDS2LXLdYpAuAD2Q4toLXBw"), said)
        # other commands that take files
        block = node.text("block", "put", f"{web.base}/ok/50/block")
        check(node.run("block", "get", block).stdout == web_files.content_of("/ok/50/block"), "block put")
        node.run("files", "write", "--create", "/written", f"{web.base}/ok/60/w")
        check(node.run("files", "read", "/written").stdout == web_files.content_of("/ok/60/w"), "files write")
        web.replaced["/ok/0/x.car"] = node.run("dag", "export", block).stdout
        check(block in node.text("dag", "import", f"{web.base}/ok/0/x.car"), "dag import")


def test_files_of_one_name(shop):
    node = shop.node("twice", start=False)
    folder = shop.path("twice-files")
    for name in ("a", "b"):
        (folder / name).mkdir(parents=True)
        (folder / name / "x").write_text(name)
    fails(node, "add", "a/x", "b/x", saying="file name x repeated under different import directories: b and a", code=2, cwd=folder)
    check(len(node.text("add", "a/x", "a/../a/x", cwd=folder).splitlines()) == 1, "once")
    fails(node, "add", "-", "-", saying="standard input can be added once", code=2, stdin=b"x")
    fails(node, "add", "-w", "a/x", "-", "--stdin-name=x", saying="already has entry", stdin=b"x", cwd=folder)


def test_add_of_urls_that_fail(shop):
    """Nothing of them is pinned, and half a body is no file."""
    running, alone = shop.node("failing"), shop.node("failing-alone", start=False)
    with WebFiles() as web:
        for node in (alone, running):
            for path, saying in (("/cut/300000/x", "the connection ended in the middle"), ("/cutchunks/30000/x", "the connection ended in the middle"),
                                 ("/reset/300000/x", "in the middle|reset"), ("/cutgzip/30000/x", "cut short"), ("/status/404/x", "got non-2XX status code 404: "),
                                 ("/status/500/x", "500"), ("/status/304/x", "304"), ("/to/300/ok/20/x", "300"), ("/nowhere", "302"),
                                 ("/hops/10", "stopped after 10 redirects"), ("/loop", "stopped after 10 redirects"), ("/hugehead/100/x", "headers over 65536"),
                                 ("/to/302/x?u=file:///etc/passwd", "no http or https URL"), ("/to/302/x?u=ftp://h/", "no http or https URL")):
                said = fails(node, "add", web.base + path, saying=saying)
                check(web.base in said, f"{path}: which URL? {said}")
            for url, saying in (("http://127.0.0.1:1/x", "refused"), ("http://nobody.invalid/x", "nobody.invalid"), ("http://", "names no host"),
                                ("http://[::1/x", "names no host"), ("http://127.0.0.1:99999/x", "no such port"), (f"{web.base}/ok/20/a%zz", "percent"),
                                ("ftp://127.0.0.1/x", "no such file"), (web.base.replace("http", "https") + "/ok/20/x", "TLS")):
                fails(node, "add", url, code=None, saying=saying)
            check(node.text("pin", "ls") == "", f"something is pinned: {node.text('pin', 'ls')}")
        fails(alone, "add", "--timeout=1s", f"{web.base}/silent", saying="silent.*the time is over")
        web.released.set()


def test_add_of_urls_with_users(shop):
    node = shop.node("users", start=False)
    with WebFiles() as web:
        base = web.base.replace("//", "//user:pass%20word@")
        wanted = hash_of(node, "/secret/5/x")
        check(node.text("add", "-Q", f"{base}/secret/5/x") == wanted, "a user")
        check(node.text("add", "-Q", f"{base}/to/302/secret/5/x") == wanted, "the same host, behind a redirect")
        for url in (f"{base}/to/302/x?u={web.base.replace('127.0.0.1', 'localhost')}/secret/5/x", f"{web.base}/secret/5/x",
                    f"{base.replace('pass', 'wrong')}/secret/5/x"):
            check("wrong" not in fails(node, "add", url, saying="401"), "the password is shown")


def test_add_of_urls_over_tls(shop):
    node = shop.node("tls", start=False)
    certificate = web_files.make_certificate(shop.path("."))
    with WebFiles(certificate) as web, WebFiles() as plain:
        fails(node, "add", f"{web.base}/ok/20/x", saying="certificate")
        node.environment["SSL_CERT_FILE"] = str(certificate[0])
        wanted = hash_of(node, "/ok/20/x")
        for host in ("127.0.0.1", "localhost"):
            check(node.text("add", "-Q", f"https://{host}:{web.port}/ok/20/x") == wanted, host)
        check(node.text("add", "-Q", f"{web.base}/to/302/x?u={plain.base}/ok/20/x") == wanted, "a redirect to http")
        check(node.text("add", "-Q", f"{web.base}/chunked/300000/y") == hash_of(node, "/ok/300000/y"), "chunks")
        fails(node, "add", f"{web.base}/cut/300000/x", saying="in the middle|TLS")
        fails(node, "add", f"http://127.0.0.1:{web.port}/ok/20/x", saying=".")
        other = web_files.make_certificate(shop.path("."), "elsewhere.test")
        node.environment["SSL_CERT_FILE"] = str(other[0])
        fails(node, "add", f"{web.base}/ok/20/x", saying="certificate")


def test_add_of_urls_of_ipv6(shop):
    node = shop.node("v6", start=False)
    try:
        web = WebFiles(host="::1")
    except OSError:
        raise nodes.Skip("IPv6 on loopback") from None
    with web:
        check(node.text("add", "-Q", f"{web.base}/ok/20/x") == hash_of(node, "/ok/20/x"), "[::1]")
        check(web.requests[-1][1]["Host"] == f"[::1]:{web.port}", web.requests[-1])


def test_add_of_urls_through_proxies(shop):
    """The hosts do not exist: only the proxy can have given the content."""
    node = shop.node("proxies", start=False)
    certificate = web_files.make_certificate(shop.path("."), "files.test")
    own = web_files.make_certificate(shop.path("."))
    both = shop.path("both.pem")
    both.write_bytes(certificate[0].read_bytes() + own[0].read_bytes())
    wanted, plain = hash_of(node, "/ok/20/x"), dict(node.environment)
    with WebFiles() as proxy, WebFiles(own) as secure_proxy, WebFiles(certificate) as web:
        def add(url, **environment):
            node.environment = {**plain, "SSL_CERT_FILE": str(both), **environment}
            proxy.requests.clear()
            check(node.text("add", "-Q", url) == wanted, f"{url} {environment}")
            return proxy.requests[0] if proxy.requests else None

        path, headers = add("http://files.test:81/ok/20/x", HTTP_PROXY=proxy.base)
        check(path == "http://files.test:81/ok/20/x" and headers["Host"] == "files.test:81" and "Proxy-Authorization" not in headers, path)
        path, headers = add("http://u:p@files.test/ok/20/x", http_proxy=proxy.base.replace("//", "//me:pw@"))
        check(path == "http://files.test/ok/20/x" and headers["Proxy-Authorization"] == "Basic bWU6cHc=" and headers["Authorization"] == "Basic dTpw", headers)
        check(add(f"{proxy.base}/ok/20/x", HTTP_PROXY="http://127.0.0.1:1")[0] == "/ok/20/x", "loopback is reached directly")
        proxy.tunnel = secure_proxy.tunnel = web.port
        path, headers = add("https://files.test/ok/20/x", HTTPS_PROXY=proxy.base.replace("//", "//me:pw@"))
        check(path == "CONNECT files.test:443" and headers["Proxy-Authorization"] == "Basic bWU6cHc=", path)
        check(web.requests[-1][0] == "/ok/20/x" and "Proxy-Authorization" not in web.requests[-1][1], web.requests[-1])
        add("https://files.test:444/ok/20/x", HTTPS_PROXY=secure_proxy.base)
        check(secure_proxy.requests[-1][0] == "CONNECT files.test:444", secure_proxy.requests)
        add("http://files.test/ok/20/x", HTTP_PROXY=secure_proxy.base)
        node.environment = {**plain, "HTTP_PROXY": proxy.base, "NO_PROXY": "files.test"}
        fails(node, "add", "http://files.test/ok/20/x", saying="files.test")
        node.environment = {**plain, "HTTPS_PROXY": proxy.base}
        proxy.tunnel = None
        fails(node, "add", "https://files.test/ok/20/x", saying="the proxy .* answers 403")
        node.environment = {**plain, "HTTP_PROXY": "socks5://127.0.0.1:1"}
        fails(node, "add", "http://files.test/ok/20/x", code=None, saying="no http or https URL")


# ── references ──────────────────────────────────────────────────────────────────────────────────


def test_references_to_urls(shop):
    node = shop.node("refs", {"Experimental.UrlstoreEnabled": True})
    with WebFiles() as web:
        url = f"{web.base}/ok/700000/big.bin"
        content = web_files.content_of("/ok/700000/big.bin")
        root = node.text("add", "-Q", "--nocopy", "--cid-version=1", url)
        check(root == node.text("add", "-Q", "-n", "--cid-version=1", stdin=content), "the CID is that of the content")
        check([line.split()[1:] for line in node.text("filestore", "ls", "--file-order").splitlines()] ==
              [["262144", url, "0"], ["262144", url, "262144"], ["175712", url, "524288"]], node.text("filestore", "ls"))
        web.requests.clear()
        check(node.run("cat", root).stdout == content, "cat")
        check(sorted(h["Range"] for _, h in web.requests) == ["bytes=0-262143", "bytes=262144-524287", "bytes=524288-699999"], web.requests)
        check(node.run("cat", "--offset=300000", "--length=5", root).stdout == content[300000:300005], "a part")
        check(node.run("dag", "export", root).stdout.count(content[:1000]) == 1, "dag export")
        check([line.split()[0] for line in node.text("filestore", "verify").splitlines()] == ["ok"] * 3, "verify")
        # changed, as a file that has changed; the server gives all, or nothing
        leaves = [line.split()[0] for line in node.text("filestore", "ls", "--file-order").splitlines()]
        web.replaced["/ok/700000/big.bin"] = content[:300000] + b"X" + content[300001:]
        check([line.split()[0] for line in node.text("filestore", "verify", "--file-order").splitlines()] == ["ok", "changed", "ok"], "one changed")
        web.requests.clear()
        fails(node, "block", "get", "--offline", leaves[1], saying="error: data in file did not match. http")
        check(len(web.requests) == 1, "asked again in vain")
        web.replaced["/ok/700000/big.bin"] = content[:300000]
        check([line.split()[0] for line in node.text("filestore", "verify", "--file-order").splitlines()] == ["ok", "changed", "error"], "cut")
        del web.replaced["/ok/700000/big.bin"]
        check(node.run("cat", root).stdout == content, "as it was")
        check("".join(node.text("filestore", "dups")) == "", "no copies")
        node.run("add", "-Q", "--raw-leaves", stdin=content)
        check(sorted(node.text("filestore", "dups").split()) == sorted(leaves), "copies")
        web.requests.clear()
        check(node.run("cat", root).stdout == content and not web.requests, "a copy is read in its stead")
        node.run("repo", "gc")  # pinned
        check(len(node.text("filestore", "ls").splitlines()) == 3, "pinned references")
        node.run("pin", "rm", root, *[line.split()[0] for line in node.text("pin", "ls", "--type=recursive").splitlines() if not line.startswith(root)])
        node.run("repo", "gc")
        check(node.text("filestore", "ls") == "", "collected")
        one = node.text("add", "-Q", "--nocopy", f"{web.base}/ok/50/one")
        node.run("pin", "rm", one)
        check(one in node.text("block", "rm", one) and node.text("filestore", "ls") == "", "block rm")


def test_references_to_servers_of_all_kinds(shop):
    node = shop.node("kinds", BOTH)
    with WebFiles() as web:
        for how, status in (("whole/300000/a", ["changed", "ok"]), ("to/302/ok/50/b", ["ok"]), ("chunked/50/c", ["ok"]), ("untilclose/50/d", ["ok"])):
            node.run("add", "--nocopy", f"{web.base}/{how}")
            said = [line.split()[0] for line in node.text("filestore", "verify").splitlines()]
            check(sorted(said) == status, f"{how}: {said}")
            for line in node.text("pin", "ls", "--type=recursive").splitlines():
                node.run("pin", "rm", line.split()[0])
            node.run("repo", "gc")
        fails(node, "add", "--nocopy", f"{web.base}/gzip/50/x", saying="comes compressed, and cannot be referred to")
        check(node.text("add", "-Q", "--nocopy", f"{web.base}/asked/50/x") == node.text("add", "-Qn", "--raw-leaves", stdin=web_files.content_of("/asked/50/x")), "who compresses when asked")
        base = web.base.replace("//", "//user:pass%20word@")
        secret = node.text("add", "-Q", "--nocopy", f"{base}/secret/40/x")
        check(f"{base}/secret/40/x" in node.text("filestore", "ls"), "as Kubo, its owner sees all of it")
        check(node.run("cat", secret).stdout == web_files.content_of("/secret/40/x"), "a user")
        web.replaced["/secret/40/x"] = b"0" * 40
        said = fails(node, "cat", "--offline", secret, saying="did not match")
        check("pass" not in said and "/secret/40/x" in said, said)
        lines = node.text("filestore", "verify", "--remove-bad-blocks").splitlines()
        check(sum(line.endswith(" remove") for line in lines) == 1 and len(node.text("filestore", "ls").splitlines()) == len(lines) - 1, lines)
    check(b"pass%20word" not in node.err_path.read_bytes() and b"pass word" not in node.err_path.read_bytes(), "a password in the log")
    said = [line.split()[0] for line in node.text("filestore", "verify").splitlines()]
    check(said == ["error"] * len(said) and said, f"the server is gone: {said}")


def test_references_over_tls_and_proxies(shop):
    certificate = web_files.make_certificate(shop.path("."), "files.test")
    node = shop.node("tls-refs", BOTH, start=False)
    with WebFiles() as proxy, WebFiles(certificate) as web:
        proxy.tunnel = web.port
        node.environment |= {"SSL_CERT_FILE": str(certificate[0]), "HTTPS_PROXY": proxy.base}
        node.start()
        root = node.text("add", "-Q", "--nocopy", "https://files.test/ok/300000/x")
        check(node.run("cat", root).stdout == web_files.content_of("/ok/300000/x"), "cat")
        check(all(path == "CONNECT files.test:443" for path, _ in proxy.requests) and len(proxy.requests) >= 2, proxy.requests)


def test_references_and_settings(shop):
    """Each kind needs its own setting, to be made and to be read."""
    with WebFiles() as web:
        for name, files, urls in (("files", True, False), ("urls", False, True)):
            node = shop.node(f"only-{name}", {"Experimental.FilestoreEnabled": files, "Experimental.UrlstoreEnabled": urls})
            path = shop.file(f"{name}.bin", 100)
            for what, is_on, saying in ((path, files, "filestore is not enabled, see"), (f"{web.base}/ok/99/x", urls, "urlstore is not enabled")):
                if is_on:
                    cid = node.text("add", "-Q", "--nocopy", what)
                else:
                    fails(node, "add", "--nocopy", what, saying=saying)
            check(len(node.text("filestore", "ls").splitlines()) == 1, "one of two")
            node.stop()
            node.run("config", "--json", "Experimental.FilestoreEnabled", str(not files).lower())
            node.run("config", "--json", "Experimental.UrlstoreEnabled", str(not urls).lower())
            node.start()
            check(node.text("filestore", "verify").split()[0] == "ERROR", "read without its setting")
            check(node.text("filestore", "verify", "--remove-bad-blocks").endswith(" keep"), "kept")
            fails(node, "cat", "--offline", cid, saying="is not enabled")
            node.stop()
    node = shop.node("neither")
    answer = add_part(node, "http://127.0.0.1:1/x", b"hello")
    check(b"either the filestore or the urlstore must be enabled" in answer[1], answer)


def test_references_that_clients_name(shop):
    """The RPC takes what a client says that it read there; what it hashes to counts when it is read."""
    node = shop.node("clients", BOTH)
    with WebFiles() as web:
        content = web_files.content_of("/ok/30/x")
        response, said = add_part(node, f"{web.base}/ok/30/x", content)
        check(response.status == 200, said)
        check(not web.requests, "the node fetches while it adds")
        check(node.run("cat", json.loads(said)["Hash"]).stdout == content, "cat")
        said = json.loads(add_part(node, f"{web.base}/ok/31/x", b"something else")[1])
        fails(node, "cat", "--offline", said["Hash"], saying="did not match|shorter")
        for url, saying in (("http://", b"outside"), ("http:///x", b"names no host"), ("http://a b/", b"names no host"), ("HTTP://h/", b"outside"), ("ftp://h/", b"outside"),
                            ("http://h/%zz", b"percent"), ("file:///etc/passwd", b"outside"), ("http://h/" + "x" * 4000, b"")):
            answer = add_part(node, url, b"hello")
            check(saying in answer[1], f"{url[:60]}: {answer[1]}")


def test_references_are_read_a_few_at_a_time(shop):
    """However many are wanted, and while a server is silent the node answers others."""
    node = shop.node("many", BOTH)
    with WebFiles() as web:
        cids = [node.text("add", "-Q", "--nocopy", f"{web.base}/ok/{100 + i}/x") for i in range(24)]
        web.silence = True
        with concurrent.futures.ThreadPoolExecutor(len(cids)) as pool:
            waiting = [pool.submit(node.rpc_raw, "cat", [cid], {"offline": "true"}) for cid in cids]
            nodes.wait_until(lambda: web.held >= 16, 20, "sixteen reads")
            began = time.monotonic()
            check(node.text("add", "-Q", stdin=b"beside") and time.monotonic() - began < 5, "the node waits for a silent server")
            check(web.held == 16, f"{web.held} reads at a time")
            web.silence = False
            web.released.set()
            for cid, answer in zip(cids, waiting):
                check(answer.result()[0].status == 200, f"{cid}: {answer.result()[1]}")


def test_references_are_served_to_peers(shop):
    """A peer gets what was referred to, and nothing else is fetched for it."""
    node = shop.node("serving", BOTH)
    other = shop.node("asking")
    with WebFiles() as web:
        root = node.text("add", "-Q", "--nocopy", f"{web.base}/ok/600000/x")
        web.requests.clear()
        other.connect(node)
        check(other.run("cat", root).stdout == web_files.content_of("/ok/600000/x"), "over bitswap")
        check(len(web.requests) == 3, web.requests)
        web.replaced["/ok/600000/x"] = bytes(600000)
        check(other.run("cat", root).stdout == web_files.content_of("/ok/600000/x"), "the peer has its own")


def test_references_to_a_silent_server_hold_no_peer_up(shop):
    """Who asks for what does not come gets the rest all the same."""
    node = shop.node("holding", BOTH)
    other = shop.node("held-up")
    with WebFiles() as web:
        silent = [node.text("add", "-Q", "--nocopy", f"{web.base}/ok/{2000 + i}/x") for i in range(8)]
        here = node.text("add", "-Q", stdin=nodes.make_bytes("here", 300000))
        web.silence = True
        other.connect(node)
        for cid in silent:
            other.begin("cat", cid)
        nodes.wait_until(lambda: web.held, 20, "a read")
        began = time.monotonic()
        check(other.run("cat", here).stdout == nodes.make_bytes("here", 300000), "what is here")
        check(time.monotonic() - began < 40, f"{time.monotonic() - began:.0f} s")
        fails(node, "cat", "--offline", silent[0], saying="was silent a moment ago")
        web.silence = False
        web.released.set()


def test_references_beside_their_own_copies(shop):
    """A newer URL takes the place of an older one; a file that still holds keeps it; a copy wins over both."""
    node = shop.node("beside", BOTH)
    content = web_files.content_of("/ok/300/x")
    path = shop.path("x.bin")
    with WebFiles() as web:
        place = lambda: node.text("filestore", "ls").split()[2]  # noqa: E731
        node.run("add", "--nocopy", f"{web.base}/ok/300/x")
        node.run("add", "--nocopy", f"{web.base}/chunked/300/x")
        check(place() == f"{web.base}/chunked/300/x", place())
        path.write_bytes(content)
        node.run("add", "--nocopy", path)
        check(place() == "x.bin", place())
        node.run("add", "--nocopy", f"{web.base}/ok/300/x")
        check(place() == "x.bin", "the file holds")
        path.write_bytes(b"changed" + content[7:])
        node.run("add", "--nocopy", f"{web.base}/ok/300/x")
        check(place() == f"{web.base}/ok/300/x", "the file does not hold")
