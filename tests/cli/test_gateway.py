"""The gateway over HTTP, from the specs (ipfs/specs src/http-gateways), with the fixtures that the field uses."""
import http.client
import io
import json
import os
import re
import socket
import tarfile

import gateway_fixtures
from gateway_fixtures import HOST, ask, check_answer, put_record, read_answer, roots, start
import nodes
from nodes import check, fails, wait_until

LISTED = "bafybeig6ka5mlwkl4subqhaiatalkcleo4jgnr3hqwvpmsqfca27cijp3i"
CACHED = "bafybeib3ffl2teiqdncv3mkz4r23b5ctrwkzrrhctdbne6iboayxuxk5ui"
HELLO = "bafkreicysg23kiwv34eg2d7qweipxwosdo2py4ldv42nbauguluen5v6am"
SPA = "bafybeib5lboymwd6p2eo4qb2lkueaine577flvsjjeuevmp2nlio72xv5q"
RULES = "QmYBhLYDwVFvxos9h8CGU2ibaY66QNgv8hpfewxaQrPiZj"
RULES_DOMAIN = "dnslink-redirects-examples.example.org"
ABSENT = "QmYzfKSE55XCjD1MW128RfciAf2DViABhEiXfgVFMabSjN"
TOO_LONG = ("bafkrgqhhyivzstcz3hhswshfjgy6ertgmnqeleynhwt4dlfsthi4hn7zgh4uvlsb5xncykzapi3ocd4lzogukir6ksdy6wzrnz6ohnv4aglcs")
KEY = "k51qzi5uqu5dlkw8pxuw9qmqayfdeh4kfebhmreauqdc6a7c3y7d5i9fi8mk9w"
IMMUTABLE = "public, max-age=29030400, immutable"


def test_gateway_content_paths(shop):
    node = start(shop)
    page = ask(node, f"/ipfs/{LISTED}/%C4%85/%C4%99/")
    check_answer(page, "listing", 200, "Index of", content_type="text/html", etag="DirIndex-", cache_control="max-age=604800",
                 content_security_policy="default-src 'none'")
    check_answer(page, "listing", 200, f'<a href="/ipfs/{LISTED}/%C4%85/%C4%99/..">..</a>')
    check(b"<script" not in page.body and b"prefers-color-scheme" in page.body, "the page has scripts, or no dark mode")
    check(b">..</a>" not in ask(node, f"/ipfs/{LISTED}/").body, "a root leads up")
    check_answer(ask(node, f"/ipfs/{LISTED}/%C4%85"), "slash", 301, location=f"/ipfs/{LISTED}/%C4%85/")
    file = ask(node, f"/ipfs/{CACHED}/root2/root3/root4/index.html")
    check_answer(file, "file", 200, "hello\n", cache_control=IMMUTABLE, x_ipfs_path=f"/ipfs/{CACHED}/root2/root3/root4/index.html",
                 access_control_allow_origin="*", accept_ranges="bytes")
    check(len(file.headers["x-ipfs-roots"].split(",")) == 5, f"roots: {file.headers['x-ipfs-roots']}")
    check_answer(ask(node, f"/ipfs/{CACHED}/root2/root3/root4/"), "index.html", 200, "hello\n", cache_control=IMMUTABLE)
    check_answer(ask(node, f"/ipfs/{CACHED}/nothing"), "no such name", 404)
    check_answer(ask(node, f"/ipfs/{ABSENT}", Cache_Control="only-if-cached"), "uncached", 412)
    check_answer(ask(node, f"/ipfs/{HELLO}", Cache_Control="only-if-cached"), "cached", 200, "hello")
    check_answer(ask(node, "/ipfs/QmInvalidCID"), "no CID", 400, 'invalid path "/ipfs/QmInvalidCID"')
    check_answer(ask(node, "/ipfs/QmInvalidCID", Accept="text/html"), "no CID", 400, "<h1>400", content_type="text/html")
    check_answer(ask(node, f"/ipfs/{HELLO}", Service_Worker="script"), "worker", 400, "navigator.serviceWorker")
    check_answer(ask(node, f"/ipfs/ipfs/{HELLO}/x?a=b"), "doubled", 301, location=f"/ipfs/{HELLO}/x?a=b")
    check_answer(ask(node, f"/ipfs/?uri=ipfs%3A%2F%2F{HELLO}%2Fa"), "uri", 301, location=f"/ipfs/{HELLO}/a")
    check_answer(ask(node, f"/ipfs/?uri=IPFS%3A%2F%2F{HELLO}%2Fa%3Fb%3Dc%23d"), "uri", 301, location=f"/ipfs/{HELLO}/a?b=c#d")
    check_answer(ask(node, "/ipfs/?uri=http%3A%2F%2Fx"), "uri", 400)
    check_answer(ask(node, "/nothing"), "no content", 404, x_content_type_options="nosniff")
    check_answer(ask(node, f"/ipfs/{HELLO}?filename=te%22st%D1%82.txt&download=true"), "name", 200,
                 content_disposition="attachment; filename=\"te%22st_.txt\"; filename*=UTF-8''te%22st%D1%82.txt")
    check_answer(ask(node, f"/ipfs/{HELLO}", method="OPTIONS"), "preflight", 200, allow="GET, HEAD, OPTIONS",
                 access_control_allow_methods="GET")
    check_answer(ask(node, f"/ipfs/{HELLO}", method="PUT"), "write", 405)
    etag = file.headers["etag"]
    for condition in (etag, f'"a", W/{etag}', "*"):
        check_answer(ask(node, f"/ipfs/{CACHED}/root2/root3/root4/index.html", If_None_Match=condition), condition, 304)
    index = f"/ipfs/{CACHED}/root2/root3/root4/index.html"
    for condition, status in ((etag, 200), ("*", 200), (f'"a", {etag}', 200), ('"a"', 412), (f"W/{etag}", 412)):
        check_answer(ask(node, index, If_Match=condition), condition, status)
    for condition, status in ((etag, 206), ("", 206), (f"W/{etag}", 200), ('"a"', 200), ("yesterday", 200)):
        check_answer(ask(node, index, Range="bytes=0-1", If_Range=condition), condition, status)
    check_answer(ask(node, f"/ipfs/{CACHED}/root2/root3/", If_None_Match=page.headers["etag"]), "another folder", 200)
    check_answer(ask(node, f"/ipfs/{HELLO}", Range="bytes=1-2"), "range", 206, "el", content_range="bytes 1-2/")
    check_answer(ask(node, f"/ipfs/{HELLO}", Range="bytes=900-"), "range", 416)


def test_gateway_modification_times(shop):
    node = start(shop)
    shop.path("dated").write_text("dated")
    cid = node.text("add", "-Q", "--mtime=784111777", "--mode=0644", shop.path("dated"))
    date = "Sun, 06 Nov 1994 08:49:37 GMT"
    check_answer(ask(node, f"/ipfs/{cid}"), "dated", 200, "dated", last_modified=date)
    check_answer(ask(node, f"/ipfs/{cid}", If_Modified_Since=date), "dated", 304)
    check_answer(ask(node, f"/ipfs/{cid}", If_Modified_Since="Sunday, 06-Nov-94 08:49:37 GMT"), "dated", 304)
    check_answer(ask(node, f"/ipfs/{cid}", If_Modified_Since="Sun, 06 Nov 1994 08:49:36 GMT"), "dated", 200)
    check_answer(ask(node, f"/ipfs/{cid}", If_Unmodified_Since="Sun, 06 Nov 1994 08:49:36 GMT"), "dated", 412)
    check_answer(ask(node, f"/ipfs/{cid}", If_Unmodified_Since=date), "dated", 200)
    check_answer(ask(node, f"/ipfs/{cid}", Range="bytes=0-1", If_Range=date), "the same", 206, "da")
    check_answer(ask(node, f"/ipfs/{cid}", Range="bytes=0-1", If_Range="Sun, 06 Nov 1994 08:49:36 GMT"), "another", 200, "dated")
    check_answer(ask(node, f"/ipfs/{HELLO}"), "undated", 200, last_modified="")


def test_gateway_subdomains(shop):
    node = start(shop)
    gateway = f"{HOST}:{node.gateway_port}"

    def leads(target, to, host=gateway, **headers):
        check_answer(ask(node, target, host, **headers), f"{host}{target}", 301, location=to)

    leads(f"/ipfs/{HELLO}/a%20b?c=d", f"http://{HELLO}.ipfs.{gateway}/a%20b?c=d")
    leads(f"/ipfs/{RULES}", f"http://bafybei")
    leads(f"/ipfs/{HELLO}", f"https://{HELLO}.ipfs.{gateway}/", X_Forwarded_Proto="https")
    leads(f"/ipfs/{HELLO}", f"http://{HELLO}.ipfs.{HOST}/", host="fake.example.org", X_Forwarded_Host=HOST)
    leads("/ipns/en.wikipedia-on-ipfs.example.org/wiki/", f"http://en-wikipedia--on--ipfs-example-org.ipns.{gateway}/wiki/")
    leads("/ipns/12D3KooWLQzUv2FHWGVPXTXSZpdHs7oHbXub2G5WC8Tx4NQhyd2d", "http://k51qzi5uqu5dk3v4rmjber23h16xnr23bsggmqqil9z2gduiis5se8dht36dam.ipns.")
    check_answer(ask(node, f"/ipfs/{TOO_LONG}", gateway), "too long", 400, "CID incompatible with DNS label length limit of 63")
    check_answer(ask(node, "/", f"{TOO_LONG}.ipfs.{gateway}"), "too long", 400, "CID incompatible with DNS label length limit of 63")
    check_answer(ask(node, "/", f"{HELLO}.ipfs.{gateway}"), "content", 200, "hello")
    check_answer(ask(node, f"/ipfs/{HELLO}", f"{HELLO}.ipfs.{gateway}"), "its own paths", 404)
    check_answer(ask(node, "/%C4%85/", f"{LISTED}.ipfs.{gateway}"), "listing", 200,
                 f'/ipfs/<a href="//{gateway}/ipfs/{LISTED}">{LISTED}</a>/<a href="//{gateway}/ipfs/{LISTED}/%C4%85">')
    check_answer(ask(node, f"/ipfs/{HELLO}", "other.example.org"), "no gateway of ours", 200, "hello")
    check_answer(ask(node, "/unknown", gateway), "not below Paths", 404)


def test_gateway_names(shop):
    node = start(shop)
    put_record(node, "nonsense", b"no record")
    gateway = f"{HOST}:{node.gateway_port}"
    domain = "dnslink-test.example.org"
    check_answer(ask(node, f"/ipns/{domain}"), "DNSLink", 200, "hello", x_ipfs_path=f"/ipns/{domain}")
    check_answer(ask(node, "/", domain), "its own host", 200, "hello")
    check_answer(ask(node, "/", "dnslink--test-example-org.ipns." + gateway), "inlined", 200, "hello")
    check_answer(ask(node, "/root3/root4/index.html", "dnslink-subpath.example.org"), "below a path", 200, "hello\n")
    check_answer(ask(node, "/", "dnslink-over-ipns.example.org"), "domain to key", 200, "hello")
    listing = ask(node, "/%C4%85/", "dnslink-dir-listing.example.org")
    check_answer(listing, "listing of a domain", 200, 'href="https://cid.ipfs.tech/#')
    check_answer(listing, "listing of a domain", 200, '/ipns/<a href="//dnslink-dir-listing.example.org/">')
    check_answer(ask(node, "/ipns/nothing.example.org"), "no DNSLink", 404)
    check_answer(ask(node, "/ipns/12D3KooWRBy97UB99e3J6hiPesre1MZeuNQvfan4gBziswrRJsNK/a"), "base36", 302,
                 location="/ipns/k51qzi5uqu5dlvj2baxnqndepeb86cbk3ng7n3i46uzyxzyqj2xjonzllnv0v8/a")
    name = ask(node, f"/ipns/{KEY}")
    check_answer(name, "key", 200, cache_control="public, max-age=")
    check("immutable" not in name.headers["cache-control"] and "last-modified" in name.headers, f"key: {name.headers}")
    record = ask(node, f"/ipns/{KEY}?format=ipns-record")
    check_answer(record, "record", 200, content_type="application/vnd.ipfs.ipns-record",
                 content_disposition=f'attachment; filename="{KEY}.ipns-record"', cache_control="public, max-age=1800")
    check_answer(ask(node, f"/ipns/{KEY}?format=ipns-record", If_None_Match=record.headers["etag"]), "record", 304)
    check_answer(ask(node, f"/ipns/{KEY}/a?format=ipns-record"), "record below a key", 400)
    check_answer(ask(node, f"/ipfs/{HELLO}?format=ipns-record"), "record of content", 400)


def test_gateway_hosts(shop):
    gateways = {"paths.example": {"Paths": ["/ipfs"]}, "routing.example": {"Paths": ["/routing"], "UseSubdomains": True}}
    node = start(shop, gateway={"PublicGateways": {**gateway_fixtures.PUBLIC_GATEWAYS, **gateways}})
    gateway = f"{HOST}:{node.gateway_port}"
    check_answer(ask(node, f"/ipfs/{HELLO}", gateway, X_Forwarded_Host=""), "nothing forwarded", 301, location=f"{HELLO}.ipfs.{HOST}")
    check_answer(ask(node, f"http://{gateway}/ipfs/{HELLO}", "x", X_Forwarded_Host="paths.example"), "forwarded proxy", 200, "hello")
    for wrong in ("evil.example/.wild.example", "a b", "a\"b", "a<b", "a?b", "user@host", ".ipfs." + HOST, "a..b"):
        check_answer(ask(node, f"/ipfs/{HELLO}", X_Forwarded_Host=wrong), wrong, 400, "no host name")
    route = "/routing/v1/providers/" + HELLO
    for host, status in ((None, 200), ("elsewhere.example", 200), ("routing.example", 200), ("paths.example", 404), (HOST, 404)):
        check_answer(ask(node, route, host), f"routing on {host}", status)
    for host in (f"{CACHED}.ipfs.{gateway}", "dnslink-dir-listing.example.org"):
        check_answer(ask(node, route, host), "a site's own path", 404, "no link named")
    check_answer(ask(node, route, "dnslink-dir-listing.example.org", method="PUT"), "writing to a site", 405)


def test_gateway_formats_of_headers(shop):
    node = start(shop)
    raw, car = "application/vnd.ipld.raw", "application/vnd.ipld.car"
    liked = ask(node, f"/ipfs/{HELLO}?a=b&format=x", Accept=f"{raw};q=0.1, {car};dups=y;q=0.9")
    check_answer(liked, "the better one", 200, content_type=car, content_location=f"/ipfs/{HELLO}?a=b&format=car&car-dups=y")
    check("q=" not in liked.headers["content-location"] and "format=x" not in liked.headers["content-location"], "its URL")
    check_answer(ask(node, f"/ipfs/{HELLO}", Accept=f"{car};version=7, {car};version=1;q=0.2"), "what is served", 200, content_type=car)
    check_answer(ask(node, f"/ipfs/{HELLO}", Accept=f"text/html\r\nAccept: {raw}"), "two lines", 200, content_type=raw)
    document = roots("dag-cbor-traversal")[0]
    for wish in ("tar", "json", "dag-json"):
        check_answer(ask(node, f"/ipfs/{document}?format={wish}"), f"{wish} of dag-cbor", 406)
    page = ask(node, f"/ipfs/{document}/", Accept="text/html")
    check_answer(page, "a page where programs get bytes", 200, "<html", vary="Accept", cache_control="")
    index = f"/ipfs/{CACHED}/root2/root3/root4/"
    check_answer(ask(node, index + "?filename=a.txt"), "index.html renamed", 200, "hello", content_type="text/plain",
                 content_disposition='inline; filename="a.txt"')
    for query in ("?filename=", "?download=1", "?download=yes"):
        check_answer(ask(node, index + query), query, 200, "hello", content_disposition="")
    check_answer(ask(node, index + "nothing"), "which path", 404, f"failed to resolve {index}nothing: no link named")


def test_gateway_as_proxy(shop):
    node = start(shop)
    gateway = f"{HOST}:{node.gateway_port}"
    check_answer(ask(node, f"http://{HELLO}.ipfs.{gateway}/", "ignored.example"), "proxied", 200, "hello")
    check_answer(ask(node, f"http://{gateway}/ipfs/{HELLO}", "ignored.example"), "proxied", 301, location=f"{HELLO}.ipfs.{gateway}")
    with socket.create_connection(("127.0.0.1", node.gateway_port), timeout=60) as s:
        stream = s.makefile("rb")
        s.sendall(b"CONNECT example.com:80 HTTP/1.1\r\nHost: example.com:80\r\n\r\n")
        first = stream.readline()
        if b" 501 " in first:  # newer libmicrohttpd
            while line := stream.readline():
                if b"no tunnels here" in line:
                    return
            check(False, "CONNECT is refused without a reason")
        check(b" 200 " in first, f"CONNECT: {first!r}")
        while stream.readline().strip():
            pass
        s.sendall(f"GET / HTTP/1.1\r\nHost: {HELLO}.ipfs.{gateway}\r\nConnection: close\r\n\r\n".encode())
        check_answer(read_answer(stream, "GET"), "in the tunnel", 200, "hello")


def test_gateway_representations(shop):
    node = start(shop)
    document = roots("dag-cbor-traversal")[0]
    raw = ask(node, f"/ipfs/{document}?format=raw")
    check_answer(raw, "raw", 200, content_type="application/vnd.ipld.raw", etag=f'"{document}.raw"', x_content_type_options="nosniff",
                 content_disposition=f'attachment; filename="{document}.bin"')
    accepted = ask(node, f"/ipfs/{document}", Accept="application/vnd.ipld.raw")
    check_answer(accepted, "raw", 200, raw.body, content_location=f"/ipfs/{document}?format=raw")
    both = ask(node, f"/ipfs/{document}?format=raw", Accept="application/vnd.ipld.car")
    check_answer(both, "?format wins", 200, raw.body, content_type="application/vnd.ipld.raw", content_location="")
    plain = ask(node, f"/ipfs/{document}")
    check_answer(plain, "dag-cbor", 200, raw.body, content_type="application/vnd.ipld.dag-cbor", etag=f'"{document}.dag-cbor"')
    check_answer(ask(node, f"/ipfs/{document}?format=cbor"), "as cbor", 200, raw.body, content_type="application/cbor")
    check_answer(ask(node, f"/ipfs/{document}?format=dag-json"), "another codec", 406, "?format=raw")
    check_answer(ask(node, f"/ipfs/{HELLO}?format=dag-cbor"), "another codec", 406)
    check_answer(ask(node, f"/ipfs/{document}/foo?format=dag-cbor"), "inside of a block", 501)
    check_answer(ask(node, f"/ipfs/{document}/foo/nothing"), "no such field", 404)
    check_answer(ask(node, f"/ipfs/{document}/foo/link/bar"), "through links", 200, "this is not a link")
    check_answer(ask(node, f"/ipfs/{document}", Accept="text/html"), "page", 301, location=f"/ipfs/{document}/")
    page = ask(node, f"/ipfs/{document}/", Accept="text/html")
    check_answer(page, "page", 200, "<th>foo</th>", content_type="text/html", etag="DagIndex-", content_disposition="")
    check_answer(ask(node, f"/ipfs/{document}", Accept="application/vnd.ipld.other"), "unknown", 400)
    check_answer(ask(node, f"/ipfs/{document}", method="HEAD"), "head", 200, content_length=str(len(raw.body)))


def test_gateway_archives(shop):
    node = start(shop)
    inside, outside = roots("inside-root")[0], roots("outside-root")[0]
    tar = ask(node, f"/ipfs/{inside}?format=tar")
    check_answer(tar, "tar", 200, content_type="application/x-tar", etag='W/"', content_disposition=f'filename="{inside}.tar"')
    names = tarfile.open(fileobj=io.BytesIO(tar.body)).getnames()
    check(f"{inside}/foobar/file" in names, f"names: {names}")
    check_answer(ask(node, f"/ipfs/{outside}?format=tar"), "out of the root", 400, "outside the root")
    check_answer(ask(node, f"/ipfs/{inside}?format=tar", method="HEAD"), "head", 200, content_type="application/x-tar")


def test_gateway_redirects_files(shop):
    node = start(shop)
    gateway = f"{HOST}:{node.gateway_port}"
    examples = ask(node, f"/ipfs/{RULES}", gateway).headers["location"].split("//")[1].rstrip("/")
    for target, status, location in (("/redirect-one", 301, "/one.html"), ("/302-redirect-two", 302, "/two.html"),
                                     ("/posts/2022/01/02/hi", 301, "/articles/2022/01/02/hi"),
                                     ("/splat/a/b", 301, "/redirected-splat/a/b"), ("/redirect-one?a=b", 301, "/one.html?a=b")):
        for host in (examples, RULES_DOMAIN):
            check_answer(ask(node, target, host), host + target, status, location=location)
    check_answer(ask(node, "/200-index", examples), "rewritten", 200, "my index")
    (broken := shop.path("broken") / "_redirects").mkdir(parents=True)
    check_answer(ask(node, "/nothing", node.text("add", "-Qr", "--cid-version=1", broken.parent) + f".ipfs.{gateway}"), "no file of rules", 500,
                 "could not read _redirects")
    (site := shop.path("site")).mkdir()
    (site / "_redirects").write_text("/own /to?a=1&b=2#c 302\n/plain/:x /to/:x\n/off/* /:splat 302\n")
    own = node.text("add", "-Qr", "--cid-version=1", site) + f".ipfs.{gateway}"
    for target, to in (("/own", "/to?a=1&b=2#c"), ("/own?a=3&d=4", "/to?b=2&a=3&d=4#c"), ("/own?a=3&b=5", "/to?a=3&b=5#c"), ("/plain/y?z", "/to/y?z"),
                       ("/off/%2Fother.example", "/other.example")):
        answer = ask(node, target, own)
        check(answer.headers.get("location") == to, f"{target}: {answer}")
    for status in (404, 410, 451):
        name = {404: "not-found", 410: "gone", 451: "unavail"}[status]
        check_answer(ask(node, f"/{name}/x", examples), name, status, f"my {status}", content_type="text/html", cache_control=IMMUTABLE)
    check("immutable" not in ask(node, "/not-found/x", RULES_DOMAIN).headers.get("cache-control", ""), "a name is no CID")
    check_answer(ask(node, f"/ipfs/{RULES}/redirect-one"), "without an origin of its own", 404)
    check_answer(ask(node, "/redirect-one", examples, Accept="application/vnd.ipld.raw"), "another format", 404)
    page = ask(node, "/missing-page", f"{SPA}.ipfs.{gateway}", Accept="text/html")
    check_answer(page, "spa", 200)
    check_answer(ask(node, "/missing-page", f"{SPA}.ipfs.{gateway}", If_None_Match=page.headers["etag"]), "spa", 304)


def test_gateway_rules_of_the_operator(shop):
    node = start(shop, gateway={"DeserializedResponses": False, "MaxConcurrentRequests": 64, "RootRedirect": "/ipfs/" + HELLO,
                                "HTTPHeaders": {"X-Operator": ["a", "b"], "Access-Control-Allow-Origin": ["https://x.example"],
                                                "Cache-Control": ["no-store"], "Content-Type": ["x/y"]},
                                "PublicGateways": {"open.example": {"Paths": ["/ipfs"], "DeserializedResponses": True},
                                                   "localhost": None}})
    check_answer(ask(node, f"/ipfs/{HELLO}"), "trustless", 406, "trustless-gateway", x_operator="a, b",
                 access_control_allow_origin="https://x.example")
    own = ask(node, f"/ipfs/{HELLO}?format=raw")
    check_answer(own, "trustless", 200, "hello")
    check((own.headers["cache-control"], own.headers["content-type"]) == (IMMUTABLE, "application/vnd.ipld.raw"),
          f"what content has said itself is said once: {own.headers}")
    with socket.create_connection(("127.0.0.1", node.gateway_port), timeout=60) as s:
        s.sendall(b"GET /nothing HTTP/1.1\r\nHost: x.example\r\nConnection: close\r\n\r\n")
        head = s.makefile("rb").read().split(b"\r\n\r\n")[0]
    check(b"X-Operator: a\r\nX-Operator: b\r\n" in head, f"a line for each value: {head}")
    check_answer(ask(node, f"/ipfs/{CACHED}/root2?format=raw"), "a path", 406)
    check_answer(ask(node, f"/ipfs/{CACHED}/root2?format=car"), "a path", 200)
    check_answer(ask(node, f"/ipns/{KEY}?format=ipns-record"), "record", 200)
    check_answer(ask(node, "/ipns/dnslink-test.example.org?format=car"), "a domain", 406)
    check_answer(ask(node, f"/ipfs/{HELLO}", "open.example"), "another host", 200, "hello")
    check_answer(ask(node, f"/ipfs/{HELLO}?format=raw", f"localhost:{node.gateway_port}"), "no subdomains of localhost", 200)
    check_answer(ask(node, "/"), "root", 302, location="/ipfs/" + HELLO)


def test_gateway_conversions(shop):
    node = start(shop, gateway={"AllowCodecConversion": True})
    document = roots("dag-cbor-traversal")[0]
    converted = ask(node, f"/ipfs/{document}/foo/link/bar?format=dag-json")
    check_answer(converted, "dag-json", 200, '{"hello":"this is not a link"}', content_type="application/vnd.ipld.dag-json", etag='.dag-json"')
    check_answer(ask(node, f"/ipfs/{LISTED}?format=dag-json"), "of a folder", 200, '"Links":[')
    check_answer(ask(node, f"/ipfs/{document}?format=json"), "plain types are not converted to", 406)
    block = b"blob 6\0hello\n"
    blob = node.run("block", "put", "--cid-codec=git-raw", "--mhtype=sha1", stdin=block).stdout.decode().strip()
    for wish in ("", "?format=json"):
        check_answer(ask(node, f"/ipfs/{blob}{wish}"), "an object of git", 200, "blob 6\0hello", content_type="application/octet-stream", etag=f'"{blob}"')
    check(ask(node, f"/ipfs/{blob}", Range="bytes=7-9").body == b"hel", "a range of it")
    check(ask(node, f"/ipfs/{blob}", If_None_Match=f'"{blob}"').status == 304, "known already")
    check_answer(ask(node, f"/ipfs/{blob}?format=dag-json"), "as data", 200, '{"/":{"bytes":"YmxvYiA2AGhlbGxvCg"}}')


def test_gateway_limits(shop):
    node = start(shop, gateway={"MaxConcurrentRequests": 1, "MaxRangeRequestFileSize": "4B"})
    check_answer(ask(node, f"/ipfs/{HELLO}", Range="bytes=0-1"), "ranges of large files", 501)
    check_answer(ask(node, f"/ipfs/{HELLO}"), "large files", 200, "hello")
    held = http.client.HTTPConnection("127.0.0.1", node.gateway_port, timeout=60)
    held.request("GET", f"/ipfs/{ABSENT}")  # waits for peers that do not come
    crowded = wait_until(lambda: (answer := ask(node, f"/ipfs/{HELLO}")).status != 200 and answer, 60, "the place is taken")
    check_answer(crowded, "one too many", 429, retry_after="60", cache_control="no-store")
    check_answer(ask(node, f"/ipfs/{HELLO}", Accept="text/html"), "for a reader", 429, "<h1>429", content_type="text/html")
    held.close()
    wait_until(lambda: ask(node, f"/ipfs/{HELLO}").status == 200, 60, "the place is free again")


def test_gateway_gives_up(shop):
    node = start(shop, gateway={"MaxConcurrentRequests": 1, "RetrievalTimeout": "300ms"})
    late = ask(node, f"/ipfs/{ABSENT}")
    check(late.status in (404, 504), f"content that nobody has: {late.status}")
    check(late.status == 404 or late.headers.get("retry-after"), "when to try again")
    figures = nodes.http.client.HTTPConnection("127.0.0.1", node.api_port, timeout=60)
    figures.request("GET", "/debug/metrics/prometheus")
    text = figures.getresponse().read().decode()
    figures.close()
    count = int(late.status == 504)
    for line in (f'ipfs_http_gw_responses_total{{code="{late.status}"}} 1', "ipfs_http_gw_concurrent_requests 0",
                 f'ipfs_http_gw_retrieval_timeouts_total{{code="504",truncated="false"}} {count}'):
        check(line in text, f"no {line!r} among the figures: {re.findall('.*_gw_.*', text)}")
    check_answer(ask(node, f"/ipfs/{HELLO}"), "the place is free again", 200, "hello")


def test_gateway_missing_parts(shop):
    """A part that is not to be had is told by a status, while nothing has been promised."""
    node = start(shop, gateway={"RetrievalTimeout": "300ms"})
    path = shop.path("parts.txt")
    path.write_bytes(b"a" * 262144 + b"b" * 262144)
    cid = node.text("add", "-Q", "--cid-version=1", "--pin=false", path)
    node.text("block", "rm", node.text("refs", cid).split()[1])
    named = f"/ipfs/{cid}?filename=parts.txt&download=true"
    check_answer(ask(node, named, Range="bytes=0-9"), "the part that is here", 206, "aaaaaaaaaa", content_disposition="attachment")
    for wanted in ("bytes=262144-", "bytes=300000-300001,5-6"):
        lost = ask(node, named, Range=wanted)
        check(lost.status in (404, 504), f"the part that is not here: {lost}")
        check_answer(lost, "an error", lost.status, cache_control="no-cache", etag="", content_disposition="", content_range="")
    check_answer(ask(node, named, Range="bytes=262144-", Cache_Control="max-age=0, only-if-cached"), "only what is here", 412)
    check_answer(ask(node, named, method="HEAD", Range="bytes=262144-"), "the head", 206)
    (many := shop.path("many")).mkdir()
    for i in range(2500):  # nearly each of the 256 places of the first shard has a shard below it
        (many / str(i)).write_text("")
    node.configure(Import__UnixFSHAMTDirectorySizeThreshold="1KiB")
    folder = node.text("add", "-Qr", "--cid-version=1", "--pin=false", many)
    shards = node.text("refs", folder).split()[:3]
    check(all(shard.startswith("bafybei") for shard in shards), "the folder is not sharded")
    node.run("block", "rm", *shards)
    listed = ask(node, f"/ipfs/{folder}/")
    check(listed.status in (404, 504), f"a list without its shards: {listed}")


def test_gateway_denylists(shop):
    document = roots("dag-json-traversal")[0]

    def prepare(node):
        folder = node.repo / "denylists"
        folder.mkdir()
        (folder / "own.deny").write_text(f"version: 1\n---\n/ipfs/{document}\n/ipfs/{CACHED}/root2/root3/*\n"
                                         f"!/ipfs/{CACHED}/root2/root3/root4\n/ipns/dnslink-dir-listing.example.org\n")

    node = start(shop, prepare=prepare)
    for target in (f"/ipfs/{document}", f"/ipfs/{document}?format=raw", f"/ipfs/{document}/foo/link/bar", f"/ipfs/{CACHED}/root2/root3/",
                   "/ipns/dnslink-dir-listing.example.org", "/ipns/dnslink-subpath.example.org/root3/"):
        check_answer(ask(node, target), target, 410, "is blocked and cannot be provided")
    check_answer(ask(node, f"/ipfs/{CACHED}/root2/root3/root4/"), "the exception", 200, "hello\n")
    check_answer(ask(node, f"/ipfs/{LISTED}/"), "other content", 200)
    for words in (("block", "get", document), ("ls", f"{CACHED}/root2/root3"), ("ls", f"ipfs://{CACHED}/root2/root3"),
                  ("ls", f"/ipfs/{CACHED}/root2//x/../root3"), ("ls", f"//ipfs/{CACHED}/./root2/root3"),
                  ("ls", "/ipns/dnslink-dir-listing.example.org")):
        refused = node.run(*words, check_code=False)
        check(refused.returncode == 1 and b"is blocked and cannot be provided" in refused.stderr, f"{words}: {refused.stderr}")

    def status_becomes(status, what):
        wait_until(lambda: ask(node, f"/ipfs/{HELLO}").status == status, 10, what)

    lists = node.repo / "denylists"
    with open(lists / "own.deny", "a") as own:
        own.write(f"/ipfs/{HELLO}\n")
    status_becomes(410, "a rule at the end of a list is taken")
    fails(node, "block", "get", HELLO, saying="is blocked")
    (lists / "zz.deny").write_text(f"!/ipfs/{HELLO}\n")
    status_becomes(200, "another list is taken")
    (lists / "zz.deny").write_text("version: 7\n---\n")
    wait_until(lambda: "the former rules stay" in node.err_path.read_text(), 10, "a list that cannot be read is told of")
    check_answer(ask(node, f"/ipfs/{HELLO}"), "it changes nothing", 200)
    before = os.stat(lists / "zz.deny")
    with open(lists / "zz.deny", "r+") as same:
        same.write("version: 1")
    os.utime(lists / "zz.deny", ns=(before.st_atime_ns, before.st_mtime_ns))
    status_becomes(410, "it is tried again, though it looks as before")
    for name in ("own.deny", "zz.deny"):
        (lists / name).unlink()
    wait_until(lambda: ask(node, f"/ipfs/{document}").status == 200, 10, "lists that are gone deny nothing")


def test_gateway_previews(shop):
    node = start(shop)
    image = shop.path("image")
    image.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(64))
    cid = node.text("add", "-Q", "--cid-version=1", image)
    metadata = {"name": "<b>&\"x", "image": f"ipfs://{cid}", "animation_url": f"ipfs://ipfs/{cid}/a b.mp4",
                "other": f"ipfs://{ABSENT}/x.json", "web": "https://example.com/x.png", "script": "javascript:alert(1)",
                "drawn": "data:image/svg+xml,<svg onload=\"x\"/>", "not": "ipfs://nonsense", "list": [1, -2, None, True, 0.5]}
    text = json.dumps(metadata).encode()
    file = shop.path("1.json")
    file.write_bytes(text)
    token = node.text("add", "-Q", "--cid-version=1", file)
    whole = ask(node, f"/ipfs/{token}")
    check(whole.body == text, "the file is served as it is")
    check_answer(whole, "file", 200, content_type="application/json")
    page = ask(node, f"/ipfs/{token}?preview")
    check_answer(page, "preview", 200, f'<img alt="" src="/ipfs/{cid}">', content_type="text/html", content_security_policy="default-src 'none'")
    body = page.body.decode()
    for want in (f'<video controls preload="metadata" src="/ipfs/{cid}/a%20b.mp4"></video>', f'<a href="/ipfs/{ABSENT}/x.json?preview">',
                 "&lt;b&gt;&amp;&#34;x", "<pre>https://example.com/x.png</pre>", "<pre>ipfs://nonsense</pre>", "data:image/svg+xml,&lt;svg onload=&#34;x"):
        check(want in body, f"no {want} in {body}")
    check(not re.search(r"<script|<b>|<svg|href=\"javascript|src=\"https?:", body), body)
    gateway = f"{HOST}:{node.gateway_port}"
    check_answer(ask(node, "/?preview", f"{token}.ipfs.{gateway}"), "on a subdomain", 200, f'src="//{gateway}/ipfs/{cid}"')
    check_answer(ask(node, f"/ipfs/{cid}?preview"), "of an image", 200, b"\x89PNG")
    document = roots("dag-json-traversal")[0]
    check_answer(ask(node, f"/ipfs/{document}?preview"), "of a document", 200, "<th>foo</th>", content_type="text/html")
