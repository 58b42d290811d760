"""URLs as content beside Kubo: `add URL`, `add --nocopy URL`, and what the filestore says of them."""
import re

import web_files
from nodes import check
from test_same import Pair
from web_files import WebFiles


def on_the_same_host(text):
    """Without the passwords that Kubo prints, and the reader's own words of what failed."""
    return re.sub(r"//[^/@\s]*@", "//", text)


def settings(p, files, urls):
    for node in (p.ours, p.kubo):
        node.run("config", "--json", "Experimental.FilestoreEnabled", files)
        node.run("config", "--json", "Experimental.UrlstoreEnabled", urls)


def test_urls_are_added_as_kubo_adds_them(shop):
    p = Pair(shop, "urls")
    with WebFiles() as web:
        base = web.base
        user = base.replace("//", "//user:pass%20word@")
        for path in ("ok/300000/name.bin", "ok/20/a%20b%2Fc.txt?x=y#z", "ok/20/dir/", "ok/20/a b", "ok/20/ä", "ok/20/.hidden", "ok/20/%2f", "ok/20/a%0ab",
                     "chunked/20000/x", "untilclose/20000/x", "gzip/20000/x", "asked/20000/x", "slow/20000/x", "whole/20000/x", "status/201/x", "status/206/x",
                     "empty/200/x", "empty/204/x", "hops/9", "to/301/ok/30/x", "to/302/ok/30/x", "to/303/ok/30/x", "to/307/ok/30/x", "to/308/ok/30/x"):
            check(p.same("add", f"{base}/{path}")[0] == 0, path)
        for path in ("status/404/x", "status/500/x", "status/300/x", "to/300/ok/30/x", "to/305/ok/30/x", "nowhere", "secret/5/x"):
            check(p.same("add", f"{base}/{path}")[0] == 1, path)
        for path in ("hops/10", "loop", "to/302/x?u=ftp://h/", "to/302/x?u=file:///etc/passwd", "hugehead/20000/x"):
            p.both_fail("add", f"{base}/{path}")
        for url in ("http://127.0.0.1:1/x", "http://[::1]:1/x", "http://nobody.invalid/x", "http://", "http://[::1/x", "http://a b/x", "http://127.0.0.1:x/x",
                    f"{base}/ok/20/a%zz", "ftp://127.0.0.1/x", base.replace("http", "https") + "/ok/20/x"):
            p.both_fail("add", url)
        for path in ("secret/5/x", "to/302/secret/5/x", f"to/302/x?u={base}/secret/5/x"):
            p.same("add", f"{user}/{path}", normal=on_the_same_host)
        p.same("add", base.replace("http", "HTTP") + "/ok/20/x")
        for words in (["-w"], ["-r"], ["-n"], ["-Q"], ["--to-files=/"], ["--cid-version=1", "-w"], ["--chunker=size-1000"], ["--inline"], ["--silent"]):
            p.same("add", *words, f"{base}/ok/3000/x")
        p.same("files", "ls", "-l", "/")
        p.same("add", f"{base}/ok/20/z", f"{base}/ok/20/b", "tree/a.txt", "-", stdin=b"in")
        p.same("add", "-w", f"{base}/ok/20/z", f"{base}/ok/20/b", "tree/a.txt", "-", "--stdin-name=s", stdin=b"in")
        p.same("add", f"{base}/ok/20/z", f"{base}/ok/30/z")
        p.same("add", f"{base}/ok/20/a.txt", "tree/a.txt")
        p.same("add", "tree/a.txt", "tree/a.txt")
        p.same("add", "tree/a.txt", "tree/sub/../a.txt", code_only=True)
        p.same("block", "put", f"{base}/ok/50/block")
        p.same("files", "write", "--create", "/w", f"{base}/ok/60/w")
        p.same("files", "read", "/w")
    p.same("add", "tree/a.txt", "tree/sub/b.bin", "tree/../tree/sub/b.bin")


def test_urls_through_proxies_as_kubo(shop):
    p = Pair(shop, "url-proxies")
    with WebFiles() as proxy:
        for variables, url in (({"HTTP_PROXY": proxy.base}, "http://files.test:81/ok/20/x"), ({"http_proxy": proxy.base}, "http://files.test/ok/20/x"),
                               ({"HTTP_PROXY": proxy.base[7:]}, "http://files.test/ok/20/x"), ({"HTTP_PROXY": proxy.base, "NO_PROXY": ".files.test"}, "http://files.test/ok/20/x"),
                               ({"HTTP_PROXY": "http://127.0.0.1:1"}, f"{proxy.base}/ok/20/x")):
            for node in (p.ours, p.kubo):
                node.environment |= variables
            check(p.same("add", url)[0] == 0, url)
            for node in (p.ours, p.kubo):
                for name in variables:
                    del node.environment[name]
        for variables in ({"HTTP_PROXY": proxy.base, "NO_PROXY": "files.test"}, {"HTTP_PROXY": proxy.base, "NO_PROXY": "*"}, {"HTTPS_PROXY": proxy.base},
                          {"ALL_PROXY": proxy.base}, {"HTTP_PROXY": proxy.base, "REQUEST_METHOD": "GET"}):
            for node in (p.ours, p.kubo):
                node.environment |= variables
            p.both_fail("add", "http://files.test/ok/20/x")
            for node in (p.ours, p.kubo):
                for name in variables:
                    del node.environment[name]


def test_references_to_urls_as_kubo(shop):
    p = Pair(shop, "url-refs")
    lines = lambda text: sorted(text.splitlines())  # noqa: E731
    with WebFiles() as web:
        base = web.base
        user = base.replace("//", "//user:pass%20word@")
        p.same("add", "--nocopy", f"{base}/ok/20/x")
        settings(p, "true", "false")
        p.same("add", "--nocopy", f"{base}/ok/20/x")
        p.same("add", "--nocopy", "tree/a.txt")
        settings(p, "false", "true")
        p.same("filestore", "ls")
        p.same("filestore", "verify")
        p.same("filestore", "verify", "--remove-bad-blocks")
        p.same("add", "--nocopy", "tree/sub/b.bin")
        settings(p, "true", "true")
        p.same("filestore", "verify")
        for path in ("ok/700000/y.bin", "ok/300/c?q=1#frag", "ok/300/a%20b", "empty/200/e", "to/302/ok/50/red", "whole/600000/who"):
            p.same("add", "--nocopy", f"{base}/{path}")
        p.same("add", "--nocopy", f"{user}/secret/40/x")
        for words in (["--raw-leaves=false"], ["--inline"], ["--chunker=size-1000"], ["--chunker=rabin"], ["--cid-version=1", "--hash=blake2b-256"], ["--trickle"], ["-n"],
                      ["--preserve-mtime"], ["--fscache"], ["-w"]):
            p.same("add", "--nocopy", *words, f"{base}/ok/3000/{len(words)}{words[0][-2:]}")
        p.same("filestore", "ls", "--file-order")
        p.same("filestore", "verify", "--file-order")
        p.same("add", "-Q", "--raw-leaves", f"{base}/ok/300/a%20b")
        p.same("filestore", "dups")
        web.replaced["/ok/700000/y.bin"] = bytes(700000)
        web.replaced["/ok/300/a%20b"] = b"short"
        web.replaced["/secret/40/x"] = b""
        p.same("filestore", "verify", "--file-order")
        p.same("filestore", "verify", "--remove-bad-blocks", normal=lines)
        p.same("filestore", "ls", "--file-order")
        one = p.same("add", "-Q", "--nocopy", f"{base}/ok/310/zz")[1].strip()
        p.same("cat", one)
        web.replaced["/ok/310/zz"] = b"x" * 310
        p.same("cat", "--offline", one)
        p.same("block", "get", "--offline", one)
        p.same("pin", "rm", one)
        p.same("block", "rm", one)
        p.same("filestore", "ls", "--file-order")
    p.same("filestore", "verify", "--file-order")  # nobody answers any more


def test_import_of_references_to_urls(shop):
    from test_import_kubo import Imported
    kubo = shop.kubo("referring-to-urls", start=False)
    for kind in ("Filestore", "Urlstore"):
        kubo.run("config", "--json", f"Experimental.{kind}Enabled", "true")
    with WebFiles() as web:
        path = shop.file("beside", 300)
        kubo.run("add", "-Q", "--nocopy", path)
        root = kubo.text("add", "-Q", "--nocopy", f"{web.base}/ok/700000/x")
        ours = Imported(shop, "taking-urls")
        said = ours.text("repo", "import-kubo", kubo.repo)
        check("blocks that stay in your files or at URLs: 4" in said, said)
        check(sorted(ours.text("filestore", "ls").splitlines()) == sorted(kubo.text("filestore", "ls").splitlines()), "the references")
        check(ours.run("cat", root).stdout == web_files.content_of("/ok/700000/x"), "cat")
        check(ours.text("config", "Experimental.UrlstoreEnabled") == "true", "the setting")
        other = Imported(shop, "without-urls")
        other.run("init")
        other.run("config", "--json", "Experimental.FilestoreEnabled", "true")
        result = other.run("repo", "import-kubo", kubo.repo, check_code=False)
        check(result.returncode == 1 and b"3 blocks that Kubo keeps in your files or at URLs" in result.stderr and b"Experimental.UrlstoreEnabled" in result.stderr, f"without: {result}")
        check(len(other.text("filestore", "ls").splitlines()) == 1, "the file is taken")
