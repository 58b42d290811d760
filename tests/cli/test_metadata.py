"""The metadata service as its callers meet it: shapes, rights, quotas, tokens of others, attacks, the log."""
import base64
import concurrent.futures
import http.client
import json
import socket
import subprocess
import sys
import threading
import time

from metadata import Service, key_sha256, mac, node_id, node_secret, receipt, register_nodes, registration
from nodes import Skip, check, wait_until


def serve(shop, *words, name="metadata", **more):
    service = Service(shop.program, shop.folder, name, *words, **more)
    shop.daemons.append(service)
    return service.start()


def end(service):
    code = service.stop()
    said = service.err_path.read_text()
    check(code == 0 and "Sanitizer" not in said and "runtime error" not in said, f"ended with {code}: {said[-800:]}")


def outcomes(admin, action):
    records = admin.good("GET", f"/audit?limit=1000&action={action}")["records"]
    return [r["outcome"] for r in records]


def intact(admin):
    found = admin.good("GET", "/audit/verify")
    check(found["is_intact"], found)
    return found


# ── files ──
def test_metadata_files(shop):
    service = serve(shop)
    admin, nodes = service.admin(), service.node_key()
    keys = register_nodes(nodes, 5)
    user = service.user(admin, "ann")
    # an upload is invisible until it is committed, and committing again changes nothing
    upload = user.begin("photos/2024/cat.jpg", 9_000_000, media_type="image/jpeg")
    check(upload["chunk_count"] == 3 and all(len(set(row)) == 3 for row in upload["plan"]), upload["plan"])
    for row in upload["plan"]:
        check(len({upload["nodes"][n]["zone"] for n in row}) == 3, "three zones for three copies")
    check(user.good("GET", "/files")["files"] == [], "nothing is visible yet")
    user.refused(404, "GET", f"/files/{upload['file_id']}")
    check(user.good("GET", f"/uploads/{upload['upload_id']}")["key"] == upload["key"], "an upload can be resumed")
    body = {"upload_id": upload["upload_id"], "chunks": user.chunks_of(upload, 9_000_000, keys)}
    first = user.good("POST", "/commit_upload", body)
    check(user.good("POST", "/commit_upload", body) == first, "committing twice is committing once")
    user.refused(409, "POST", "/commit_upload", {**body, "chunks": body["chunks"][::-1]})
    detail = user.good("GET", f"/files/{first['id']}")
    check(detail["key"] == upload["key"] and [c["id"] for c in detail["chunks"]] == [c["id"] for c in body["chunks"]], "the chunks in order")
    check(all(len(c["locations"]) == 3 for c in detail["chunks"]), "three places each")
    page = user.good("GET", f"/files/{first['id']}?chunks_limit=2")
    check(len(page["chunks"]) == 2 and page["next_chunk"] == 2, "a page of chunks")
    status, _ = user.call("GET", f"/files/{first['id']}", headers={"If-None-Match": first["etag"]})
    check(status == 304, f"unchanged: {status}")
    # a new version keeps the key, and takes old chunks without receipts
    again = user.begin("photos/2024/cat.jpg", 9_000_000)
    check(again["key"] == upload["key"] and again["upload_seq"] == 2 and again["version"] == 2, again)
    mixed = user.chunks_of(again, 9_000_000, keys)
    mixed[0] = {k: v for k, v in body["chunks"][0].items() if k != "stored"}
    second = user.good("POST", "/commit_upload", {"upload_id": again["upload_id"], "chunks": mixed, "if_match": first["etag"]})
    check(second["version"] == 2 and second["stored_bytes"] == 9_000_000 + 3 * 28 + sum(c["size"] for c in mixed[1:]), second)
    check([v["version"] for v in user.good("GET", f"/files/{first['id']}/versions")["versions"]] == [2, 1], "two versions")
    old = user.good("GET", f"/files/{first['id']}?version=1")
    check([c["id"] for c in old["chunks"]] == [c["id"] for c in body["chunks"]], "the old version's chunks")
    late = user.begin("photos/2024/cat.jpg", 100)
    user.refused(412, "POST", "/commit_upload", {"upload_id": late["upload_id"], "chunks": user.chunks_of(late, 100, keys), "if_match": first["etag"]})
    user.good("DELETE", f"/uploads/{late['upload_id']}", want=204)
    # names, folders, pages
    for i in range(12):
        user.put(f"docs/{i:02}.txt", 10, keys)
    user.good("POST", "/files", {"name": "empty", "kind": "folder"}, want=201)
    user.good("POST", "/files", {"name": "pinned", "kind": "file", "size": 5, "cid": "bafkreiabc"}, want=201)
    top = user.good("GET", "/files?delimiter=/")
    check(top["folders"] == ["docs/", "photos/"] and [f["name"] for f in top["files"]] == ["empty", "pinned"], top)
    seen, cursor = [], ""
    while cursor is not None:
        page = user.good("GET", f"/files?prefix=docs/&limit=5{'&cursor=' + cursor if cursor else ''}")
        seen += [f["name"] for f in page["files"]]
        cursor = page["next_cursor"]
    check(seen == [f"docs/{i:02}.txt" for i in range(12)], seen)
    moved = user.good("PATCH", f"/files/{first['id']}", {"name": "cat.jpg"}, headers={"If-Match": second["etag"]})
    check(moved["name"] == "cat.jpg" and moved["etag"] != second["etag"], moved)
    user.refused(412, "PATCH", f"/files/{first['id']}", {"name": "dog.jpg"}, headers={"If-Match": second["etag"]})
    user.refused(409, "PATCH", f"/files/{first['id']}", {"name": "empty"})
    # deleting reaches the nodes, and takes the room and the key back
    before = user.good("GET", "/users/me/quota")
    user.good("DELETE", f"/files/{first['id']}", want=204)
    user.refused(404, "GET", f"/files/{first['id']}")
    after = user.good("GET", "/users/me/quota")
    check(after["used_files"] == before["used_files"] - 1 and after["used_bytes"] == before["used_bytes"] - second["stored_bytes"], (before, after))
    check(after["reserved_bytes"] == 0, after)
    told = {}
    for i in range(1, 6):
        beat = {"used_bytes": 1, "capacity_bytes": 10**12}
        node = service.client(node_secret(i))
        told[i] = node.good("PUT", f"/nodes/{node_id(i)}/heartbeat", beat)["delete"]
        check(node.good("PUT", f"/nodes/{node_id(i)}/heartbeat", beat)["delete"] == told[i], "asked until it is done")
        check(node.good("PUT", f"/nodes/{node_id(i)}/heartbeat", {**beat, "deleted": told[i]})["delete"] == [], "and then no more")
    check({c for ids in told.values() for c in ids} == {c["id"] for c in body["chunks"] + mixed}, "every chunk on every node")
    nodes.refused(404, "GET", f"/chunks/{body['chunks'][0]['id']}/locations")
    intact(admin)
    end(service)


# ── rights ──
def test_metadata_rights(shop):
    service = serve(shop)
    admin, nodes, nobody = service.admin(), service.node_key(), service.client(None)
    keys = register_nodes(nodes, 3)
    ann, bob = service.user(admin, "ann"), service.user(admin, "bob")
    eve = service.user(admin, "eve", "readonly")
    own = ann.put("secret.txt", 100, keys)
    who = {"all": nobody, "admin": admin, "user": bob, "readonly": eve, "key:node": nodes}
    for scope in ("read", "write", "admin"):
        made = admin.good("POST", "/api_keys", {"name": scope, "scopes": [scope]}, want=201)
        who[f"key:{scope}"] = service.client(made["key"])
    # every operation by every kind of caller: who is not in the document is refused, and the log says so
    refusals = 0
    for path, operations in service.document.document["paths"].items():
        for method, operation in operations.items():
            for kind, caller in who.items():
                if kind in operation["x-roles"] or operation["x-roles"] == ["all"]:
                    continue
                real = path.replace("{user}", "bob").replace("{id}", "ann" if "users" in path else "0" * 64 if "chunks" in path else "1" * 32)
                if kind == "all":
                    caller.refused(401, method.upper(), real, {} if method in ("post", "put", "patch") else None)
                else:
                    caller.refused(403, method.upper(), real, {} if method in ("post", "put", "patch") else None)
                refusals += 1
    records, seq = [], 1
    while seq:
        page = admin.good("GET", f"/audit?limit=1000&from_seq={seq}")
        records += page["records"]
        seq = page["next_seq"]
    check(sum(r["outcome"] in ("ERR_DENIED", "ERR_UNAUTHORIZED") for r in records) == refusals, "each refusal is in the log")
    # somebody else's file, upload, account
    for caller in (bob, eve, who["key:read"]):
        caller.refused(403, "GET", f"/files/{own['id']}")
        check(caller.good("GET", "/files?name=secret.txt")["files"] == [], "not in others' lists")
        caller.refused(403, "GET", "/files?owner=ann")
    check(admin.good("GET", f"/files/{own['id']}")["key"] is None, "admins see no keys of others")
    bob.refused(403, "DELETE", f"/files/{own['id']}")
    bob.refused(403, "PATCH", f"/files/{own['id']}", {"name": "mine"})
    bob.refused(403, "PATCH", "/users/me", {"role": "admin"})
    bob.refused(403, "PATCH", "/users/me", {"is_disabled": False})
    bob.refused(403, "POST", "/api_keys", {"name": "x", "scopes": ["node"]})
    bob.refused(403, "GET", "/users/ann")
    upload = ann.begin("other.txt", 100)
    chunks = ann.chunks_of(upload, 100, keys)
    bob.refused(403, "POST", "/commit_upload", {"upload_id": upload["upload_id"], "chunks": chunks})
    bob.refused(403, "GET", f"/uploads/{upload['upload_id']}")
    # a chunk of somebody else's file cannot be taken into one's own, and receipts are not to be made up
    theirs = ann.good("GET", f"/files/{own['id']}")["chunks"][0]
    mine = bob.begin("mine.txt", 100)
    forged = {"id": theirs["id"], "size": theirs["size"], "length": 100,
              "stored": [{"node": node_id(i), "receipt": receipt(keys, mine["upload_id"], theirs["id"], theirs["size"], node_id(i))} for i in (1, 2)]}
    bob.refused(403, "POST", "/commit_upload", {"upload_id": mine["upload_id"], "chunks": [forged]})
    good = bob.chunks_of(mine, 100, keys)
    for change in ({"size": 127}, {"id": "ab" * 32}):
        bob.refused(403, "POST", "/commit_upload", {"upload_id": mine["upload_id"], "chunks": [{**good[0], **change}]})
    one = {**good[0], "stored": good[0]["stored"][:1] * 3}
    bob.refused(400, "POST", "/commit_upload", {"upload_id": mine["upload_id"], "chunks": [one]})
    bob.good("POST", "/commit_upload", {"upload_id": mine["upload_id"], "chunks": good})
    # sharing
    ann.good("POST", f"/files/{own['id']}/shares", {"user": "bob", "access": "read"})
    check(bob.good("GET", f"/files/{own['id']}")["key"] is not None, "who it is shared with reads it")
    check([f["id"] for f in bob.good("GET", "/files?shared=true")["files"]] == [own["id"]], "and finds it")
    bob.refused(403, "DELETE", f"/files/{own['id']}")
    ann.good("DELETE", f"/files/{own['id']}/shares/bob", want=204)
    bob.refused(403, "GET", f"/files/{own['id']}")
    # what takes a right away counts at once
    admin.good("PATCH", "/users/bob", {"role": "readonly"})
    bob.refused(403, "POST", "/init_upload", {"name": "x", "size": 1})
    admin.good("PATCH", "/users/bob", {"is_disabled": True})
    bob.refused(401, "GET", "/files")
    admin.refused(409, "PATCH", "/users/me", {"role": "user"})
    ann.good("POST", "/logout", want=204)
    ann.refused(401, "GET", "/files")
    other = service.login("eve", "password of eve")
    eve.refused(403, "PATCH", "/users/me", {"password": "another one", "old_password": "wrong one"})
    time.sleep(1.1)  # tokens count whole seconds: the next one must be younger than the password
    eve.good("PATCH", "/users/me", {"password": "another one", "old_password": "password of eve"})
    other.refused(401, "GET", "/files")
    # keys of services: rotated, expired, revoked
    made = admin.good("POST", "/api_keys", {"name": "turn", "scopes": ["read"]}, want=201)
    old = service.client(made["key"])
    fresh = service.client(admin.good("POST", f"/api_keys/{made['api_key']['id']}/rotate", {"grace_s": 60})["key"])
    old.good("GET", "/files")
    fresh.good("GET", "/files")
    last = service.client(admin.good("POST", f"/api_keys/{made['api_key']['id']}/rotate", {})["key"])
    fresh.refused(401, "GET", "/files")
    admin.good("DELETE", f"/api_keys/{made['api_key']['id']}", want=204)
    last.refused(401, "GET", "/files")
    short = service.client(admin.good("POST", "/api_keys", {"name": "short", "scopes": ["read"], "expires_in_s": 0}, want=201)["key"])
    short.refused(401, "GET", "/files")
    intact(admin)
    kept = (service.repo / "metadata.db").read_bytes() + (service.repo / "metadata.db-wal").read_bytes()
    for secret in (made["key"], base64.b64decode(theirs and ann and mine["key"]), b"password of ann"):
        check((secret if isinstance(secret, bytes) else secret.encode()) not in kept, "no secret is in the database as it is")
    end(service)


# ── tokens of others ──
def pyjwt():
    try:
        import jwt
    except ImportError:
        sys.path.append("/usr/lib/python3/dist-packages")
        try:
            import jwt
        except ImportError:
            raise Skip("PyJWT (Debian's python3-jwt)")
    return jwt


def test_metadata_foreign_tokens(shop):
    jwt = pyjwt()
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa
    key, stranger = (rsa.generate_private_key(65537, 2048) for _ in range(2))
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    jwk = {**json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key())), "kid": "one", "use": "sig", "alg": "RS256"}
    jwk.pop("key_ops", None)
    jwks = shop.path("jwks.json")
    jwks.write_text(json.dumps({"keys": [{"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}, jwk]}))
    service = serve(shop, "--issuer=https://issuer.example", f"--jwks-file={jwks}", "--audience=files")
    now = int(time.time())
    good = {"iss": "https://issuer.example", "aud": "files", "sub": "carol", "role": "user", "exp": now + 600, "iat": now, "jti": "one"}

    def token(claims, by=key, algorithm="RS256", **headers):
        return jwt.encode(claims, by, algorithm=algorithm, headers={"kid": "one", **headers})

    def b64(value):
        return base64.urlsafe_b64encode(json.dumps(value).encode() if not isinstance(value, bytes) else value).rstrip(b"=").decode()

    carol = service.client(token(good))
    check(carol.good("GET", "/users/me")["username"] == "carol", "an account comes with its first token")
    check(carol.good("GET", "/users/me")["role"] == "user", "with its role")
    admin = service.client(token({**good, "sub": "root", "role": "admin", "jti": "two"}))
    check(len(admin.good("GET", "/users")["users"]) == 3, "admin, carol, root")
    service.client(None).refused(501, "POST", "/login", {"username": "admin", "password": "whatever"})
    hs = b64({"alg": "HS256", "typ": "JWT", "kid": "one"}) + "." + b64(good)
    import hashlib
    import hmac
    confused = hs + "." + b64(hmac.new(public, hs.encode(), hashlib.sha256).digest())
    valid = token(good)
    head, claims, signature = valid.split(".")
    own = jwt.encode(good, stranger, algorithm="RS256", headers={"jwk": json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(stranger.public_key()))})
    bad = {
        "expired": token({**good, "exp": now - 1}), "without expiry": token({k: v for k, v in good.items() if k != "exp"}),
        "not yet": token({**good, "nbf": now + 300}), "from the future": token({**good, "iat": now + 300}),
        "other issuer": token({**good, "iss": "https://evil.example"}), "other audience": token({**good, "aud": "mail"}),
        "no audience": token({k: v for k, v in good.items() if k != "aud"}), "stranger": token(good, stranger), "own key": own,
        "none": b64({"alg": "none"}) + "." + claims + ".", "none signed": b64({"alg": "none"}) + "." + claims + "." + signature,
        "HS256 by the public key": confused, "RS512": token(good, algorithm="RS512"), "PS256": token(good, algorithm="PS256"),
        "critical": token(good, crit=["x"], x=1), "jku": token(good, jku="https://evil.example/keys"), "other kid": token(good, kid="two"),
        "unsigned": head + "." + claims, "empty signature": head + "." + claims + ".", "two signatures": valid + "." + signature,
        "other claims": head + "." + b64({**good, "role": "admin"}) + "." + signature, "no role": token({**good, "role": "root"}),
        "without role": token({k: v for k, v in good.items() if k != "role"}), "no subject": token({k: v for k, v in good.items() if k != "sub"}),
        "long": valid + "A" * 5000, "nothing": "", "padded": valid + "==", "nul": token({**good, "sub": "ca\0rol"}),
        "not JSON": head + "." + b64(b"\xff{") + "." + signature, "deep": head + "." + b64(b"[" * 5000) + "." + signature,
    }
    for name, text in bad.items():
        status, answer = service.client(text).call("GET", "/users/me")
        check(status == 401, f"{name}: {status} {answer}")
    check(outcomes(admin, "user.get").count("ERR_UNAUTHORIZED") == len(bad), "each is in the log")
    metrics = service.client(None).raw("GET", "/metrics")[1].decode()
    check(f'fs_security_refused_total{{reason="unauthorized"}} {len(bad)}' in metrics, "and counted")
    admin.good("DELETE", "/tokens/one", want=204)
    carol.refused(401, "GET", "/users/me")
    service.client(token({**good, "jti": "three", "role": "readonly"})).refused(403, "POST", "/init_upload", {"name": "x", "size": 1})
    end(service)


# ── attacks ──
def test_metadata_attacks(shop):
    service = serve(shop, "--login-rate=20", "--rate=3000")
    admin, nobody = service.admin(), service.client(None)
    keys = register_nodes(service.node_key(), 3)
    ann = service.user(admin, "ann")
    def logged(action, outcome, n=1):
        """How often it is in the log grows by n meanwhile."""
        was = outcomes(admin, action).count(outcome)
        return lambda: check(outcomes(admin, action).count(outcome) == was + n, f"{action} {outcome}: {outcomes(admin, action).count(outcome)} after {was}")
    bad_names = ("", "/", "a//b", "../x", "a/../b", "a/.", "./a", "a/", "/a", "a\nb", "a\0b", "x" * 1025, "\x7f")
    are_logged = (logged("upload.init", "ERR_INVALID", len(bad_names) - 1), logged("request", "ERR_INVALID"))  # the NUL is no JSON
    for name in bad_names:
        ann.refused(400, "POST", "/init_upload", {"name": name, "size": 1})
    for check_log in are_logged:
        check_log()
    for name in ("'; DROP TABLE files; --", '" OR 1=1 --', "%27", "a\\b", "?1", "😀", "x" * 1024, "a b", "..." , "a..b/c"):
        made = ann.put(name, 10, keys)
        check(made["name"] == name, made)
        query = "/files?name=" + "".join(f"%{b:02X}" for b in name.encode())
        check([f["id"] for f in ann.good("GET", query)["files"]] == [made["id"]], f"{name!r} is found")
    for wanted, action, outcome, paths in (
            (400, "file.get", "ERR_INVALID", ("/files/..", "/files/%2e%2e%2fusers", "/files/' OR '1'='1", "/files/1;DROP TABLE files", "/files/" + "A" * 32)),
            (400, "node.get", "ERR_INVALID", ("/nodes/%27%20UNION%20SELECT%20key_hash%20FROM%20nodes--",)),
            (400, "location.list", "ERR_INVALID", ("/chunks/..%2f..%2fetc%2fpasswd/locations",)),
            (404, "request", "ERR_NOT_FOUND", ("/files/../users", "/files/" + "a" * 3000, "/users/%00", "//files", "/files/"))):
        are_logged = logged(action, outcome, len(paths))
        for path in paths:
            status, _ = admin.call("GET", path.replace(" ", "%20"), is_checked=False)
            check(status == wanted, f"{path}: {status}")
        are_logged()
    admin.refused(404, "GET", "/users/ann'%20--")
    queries = ("limit=0", "limit=1001", "limit=-1", "limit=x", "limit=99999999999999999999", "delimiter=x", "cursor=" + "x" * 1500)
    are_logged = logged("file.list", "ERR_INVALID", len(queries))
    for query in queries:
        ann.refused(400, "GET", f"/files?{query}")
    are_logged()
    are_logged = logged("request", "ERR_INVALID")
    ann.refused(400, "GET", "/files?prefix=%ff")
    are_logged()
    for body in (b"", b"[]", b"null", b"{", b'{"name":"a","size":1,"size":2}', b'{"name":"a","size":1,"x":1}', b"[" * 100000, b"\xff\xfe", b'{"name":1,"size":1}',
                 b'{"name":"a","size":-1}', b'{"name":"a","size":1e3}', b'{"name":"a","size":99999999999999999999}', b'{"name":"a","size":1,"chunk_size":1}',
                 b'{"name":"a","size":1,"quorum":4}', b'{"name":"a","size":1,"replication_factor":17}', b'{"name":"a","size":1000000000000000}'):
        status, answer = ann.call("POST", "/init_upload", body)
        check(status == 400, f"{body[:60]}: {status} {answer}")
    # oversized: refused before it is read
    are_logged = logged("request", "ERR_NO_MEMORY", 2)
    for token, size in ((None, 20 << 10), (ann.token, 2 << 20)):
        status, _ = service.client(token).call("POST", "/init_upload", b"x" * size, is_checked=False)
        check(status == 413, f"{size} bytes: {status}")
    are_logged()
    # slow: a body that never comes holds a connection and nothing else
    slow = []
    for _ in range(20):
        s = socket.create_connection(("127.0.0.1", service.port))
        s.sendall(b"POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        slow.append(s)
    began = time.monotonic()
    ann.good("GET", "/files")
    check(time.monotonic() - began < 2, "others are served meanwhile")
    for s in slow:
        s.close()
    # guessing passwords: the account rests after five, the address after its rate
    are_logged = (logged("login", "ERR_UNAUTHORIZED", 5), logged("login", "ERR_AGAIN", 2))
    codes = [nobody.call("POST", "/login", {"username": "ann", "password": f"guess {i}"})[0] for i in range(7)]
    check(codes[:5] == [401] * 5 and codes[5:] == [429] * 2, codes)
    for check_log in are_logged:
        check_log()
    nobody.refused(429, "POST", "/login", {"username": "ann", "password": "password of ann"})
    codes = [nobody.call("POST", "/login", {"username": f"user{i}", "password": "x"})[0] for i in range(20)]
    check(codes[-1] == 429, codes)
    check(outcomes(admin, "login").count("ERR_UNAUTHORIZED") >= 5, "the log has them")
    check(intact(admin)["records"] > 50, "the log is intact")
    nobody.refused(404, "GET", "/nothing")
    nobody.refused(405, "DELETE", "/login")
    end(service)


def test_metadata_floods(shop):
    """Who shows no good token gets no memory, no slot, and after a while no record either; others are served meanwhile."""
    service = serve(shop, "--refusal-rate=60")
    admin = service.admin()
    keys = register_nodes(service.node_key(), 3)
    ann = service.user(admin, "ann")
    upload = ann.begin("large", 12000 * 4096, chunk_size=4096)
    large = {"upload_id": upload["upload_id"], "chunks": ann.chunks_of(upload, 12000 * 4096, keys)}
    head = "POST /commit_upload HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n%s\r\n\r\n"
    open_ones = []
    for kind in ("Content-Length: 9000000", "Transfer-Encoding: chunked"):
        for token in ("dsk_unknown", "no.such.token", ann.token[:-3] + "AAA"):
            s = socket.create_connection(("127.0.0.1", service.port), timeout=20)
            s.sendall((head % (token, kind)).encode())
            check(b"401" in s.recv(4096).split(b"\r\n")[0], f"{token} {kind}: refused before its body comes")
            s.close()
        s = socket.create_connection(("127.0.0.1", service.port), timeout=20)
        s.sendall((head.replace("Authorization: Bearer %s\r\n", "") % kind).encode() + b"400\r\n{")  # says nothing more
        open_ones.append(s)
    check(b"413" in open_ones[0].recv(4096).split(b"\r\n")[0], "nobody sends large bodies")
    check(len(json.dumps(large)) > 1 << 20, "this is a large body")
    ann.good("POST", "/commit_upload", large)
    for s in open_ones:
        s.close()
    # bad tokens and keys: first refused and logged, each; then refused as a flood, and few are logged
    before = admin.good("GET", "/audit/verify")["records"]
    codes = [service.client(t).call("GET", "/files")[0] for t in ["dsk_guess%d" % i for i in range(150)] + ["x.y.z"] * 150]
    check(codes[0] == 401 and codes[-1] == 429 and set(codes) == {401, 429}, codes)
    grown = admin.good("GET", "/audit/verify")["records"] - before
    check(40 <= grown < 130, f"{grown} records")
    ann.good("GET", "/files")
    node = service.client(node_secret(1))
    node.good("PUT", f"/nodes/{node_id(1)}/heartbeat", {"used_bytes": 1, "capacity_bytes": 10**12})
    service.client("dsk_guess").refused(429, "POST", "/init_upload", {"name": "x", "size": 1})
    service.client(None).refused(429, "GET", "/users")
    metrics = service.client(None).raw("GET", "/metrics")[1].decode()
    check('fs_security_refused_total{reason="rate"}' in metrics, "counted")
    intact(admin)
    end(service)


# ── races ──
def test_metadata_quota_races(shop):
    service = serve(shop)
    admin = service.admin()
    keys = register_nodes(service.node_key(), 3)
    ann = service.user(admin, "ann", quota_bytes=10 * (1000 + 64), quota_files=8)
    callers = threading.local()

    def mine():
        """A connection of its own for each thread."""
        if not hasattr(callers, "client"):
            callers.client = service.client(ann.token)
        return callers.client

    def one(i):
        status, upload = mine().call("POST", "/init_upload", {"name": f"file {i}", "size": 1000})
        if status != 201:
            return status
        return mine().call("POST", "/commit_upload", {"upload_id": upload["upload_id"], "chunks": ann.chunks_of(upload, 1000, keys)})[0]

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        codes = list(pool.map(one, range(64)))
    check(codes.count(200) == 8 and codes.count(507) == 56, codes)
    check(outcomes(admin, "upload.init").count("ERR_LIMIT") + outcomes(admin, "upload.commit").count("ERR_LIMIT") == 56, "each is in the log")
    quota = ann.good("GET", "/users/me/quota")
    check(quota["used_files"] == 8 and quota["used_bytes"] == 8 * 1028 and quota["reserved_bytes"] == 0, quota)
    check(len(ann.good("GET", "/files")["files"]) == 8, "eight files")
    # one name, many uploads at once: each gets a version of its own, and upload_seq never repeats
    admin.good("PUT", "/users/ann/quota", {"quota_bytes": None, "quota_files": None})
    uploads = [ann.begin("same", 1000) for _ in range(10)]
    check(sorted(u["upload_seq"] for u in uploads) == list(range(1, 11)), "no nonce twice")
    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        done = list(pool.map(lambda i: mine().good("POST", "/commit_upload", {"upload_id": uploads[i]["upload_id"], "chunks": ann.chunks_of(uploads[i], 1000, keys)}), range(10)))
    check(sorted(d["version"] for d in done) == list(range(1, 11)), [d["version"] for d in done])
    end(service)


# ── background ──
def test_metadata_healing_and_draining(shop):
    service = serve(shop, "--heartbeat-ms=200", "--heal-after-ms=1000", "--upload-ttl-ms=1500")
    admin, nodes = service.admin(), service.node_key()
    keys = register_nodes(nodes, 5)
    ann = service.user(admin, "ann", quota_bytes=10**6)
    beat = {"used_bytes": 1, "capacity_bytes": 10**12}
    held = {i: set() for i in range(1, 6)}

    def work(alive):
        """What storage nodes do with their orders."""
        for i in alive:
            node = service.client(node_secret(i))
            told = node.good("PUT", f"/nodes/{node_id(i)}/heartbeat", beat)
            fetched = [o["id"] for o in told["replicate"] if o["from"]]
            held[i] |= set(fetched)
            held[i] -= set(told["delete"])
            if fetched or told["delete"]:
                node.good("PUT", f"/nodes/{node_id(i)}/heartbeat", {**beat, "replicated": fetched, "deleted": told["delete"]})

    work(held)
    made = [ann.put(f"file {i}", 1000, keys) for i in range(20)]
    chunks = {}
    for f in made:
        for c in ann.good("GET", f"/files/{f['id']}")["chunks"]:
            chunks[c["id"]] = [p["node"] for p in c["locations"]]
            for node in chunks[c["id"]]:
                held[int(node, 16)].add(c["id"])
    check(sum(map(len, held.values())) == 60, held)

    def copies():
        return {c: sum(c in h for i, h in held.items() if i in alive) for c in chunks}

    alive = [1, 2, 3, 4]  # the fifth falls silent
    def healed():
        work(alive)
        return all(n >= 3 for n in copies().values())
    wait_until(healed, 30, "three copies on those that are left")
    check(any(5 == int(n, 16) for places in chunks.values() for n in places), "the fifth had some")
    alive = [1, 2, 3, 4, 5]  # it comes back: too many copies go, never below three
    def pruned():
        work(alive)
        found = copies()
        check(min(found.values()) >= 3, "never below the factor")
        return all(n == 3 for n in found.values())
    wait_until(pruned, 30, "three copies again")
    admin.good("POST", f"/nodes/{node_id(1)}/drain")
    def drained():
        work(alive)
        check(min(copies().values()) >= 3, "never below the factor")
        return nodes.good("GET", f"/nodes/{node_id(1)}")["state"] == "drained"
    wait_until(drained, 30, "the first is drained")
    check(not held[1], "and has nothing left")
    admin.good("DELETE", f"/nodes/{node_id(1)}", want=204)
    # an upload that nobody commits gives its room back
    left = ann.begin("never", 500_000)
    check(ann.good("GET", "/users/me/quota")["reserved_bytes"] > 0, "reserved")
    wait_until(lambda: ann.good("GET", "/users/me/quota")["reserved_bytes"] == 0, 20, "the room is free again")
    ann.refused(404, "POST", "/commit_upload", {"upload_id": left["upload_id"], "chunks": []})
    end(service)


# ── keys, log, backup, crash ──
def test_metadata_master_key_and_log(shop):
    key_file = shop.path("master")
    key_file.write_text("11" * 32 + "\n")
    key_file.chmod(0o600)
    service = serve(shop, f"--master-key=command:cat {key_file}")
    admin = service.admin()
    keys = register_nodes(service.node_key(), 3)
    ann = service.user(admin, "ann")
    made = [ann.put(f"file {i}", 100, keys) for i in range(250)]
    before = {f["id"]: ann.good("GET", f"/files/{f['id']}")["key"] for f in made[:20]}
    old = admin.good("GET", "/keys")
    check(old["files_left"] == 0, old)
    key_file.write_text("22" * 32 + "\n" + "11" * 32 + "\n")
    began = admin.good("POST", "/keys/rotate", want=202)
    check(began["files_left"] >= 250 and began["current_key"] != old["current_key"], began)
    service.kill()  # in the middle: it goes on after the next start
    service.start()
    wait_until(lambda: not admin.good("GET", "/keys")["is_rotating"], 30, "all keys are wrapped anew")
    key_file.write_text("22" * 32 + "\n")
    check(service.stop() == 0, "it stops")
    service.start()
    for file, key in before.items():
        check(ann.good("GET", f"/files/{file}")["key"] == key, "the files' keys are the same")
    saved = shop.path("saved.db")
    run = lambda *words, code=0: check_run(shop, code, *words)
    run("metadata", "backup", saved, f"--data-dir={service.repo}")
    run("metadata", "backup", saved, f"--data-dir={service.repo}", code=1)
    # another process that came and went took nothing of the service's log away: what is written next outlives a kill
    ann.put("after the backup", 100, keys)
    service.kill()
    service.start()
    check(len(ann.good("GET", "/files?name=after%20the%20backup")["files"]) == 1, "a file of after the backup is there")
    end(service)
    said = run("audit", "verify", f"--data-dir={service.repo}")
    check("intact" in said, said)
    run("audit", "verify", f"--database={saved}")
    # restored: a service over the copy has the files
    again = Service(shop.program, shop.folder, "restored", f"--master-key=command:cat {key_file}", f"--database={saved}")
    shop.daemons.append(again)
    again.start()
    check(len(again.login("ann", "password of ann").good("GET", "/files?limit=1000")["files"]) == 250, "all files are there")
    end(again)
    # who changes, drops or adds a record is found out
    import sqlite3
    for change in ("UPDATE audit SET actor = 'bob' WHERE seq = 7", "DELETE FROM audit WHERE seq = 9", "DELETE FROM audit WHERE seq = (SELECT max(seq) FROM audit)",
                   "UPDATE audit SET at = at + 1 WHERE seq = 3"):
        copy = shop.path("copy.db")
        copy.write_bytes(saved.read_bytes())
        with sqlite3.connect(copy) as db:
            db.execute(change)
        db.close()
        check("was changed" in run("audit", "verify", f"--database={copy}", code=1), change)
        copy.unlink()
    check("no database" in run("audit", "verify", "--database=/nowhere/x.db", code=1), "a missing database is not made")


def check_run(shop, code, *words):
    done = subprocess.run([shop.program, *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
    check(done.returncode == code, f"{words}: {done.returncode} {done.stdout.decode()}")
    return done.stdout.decode()


# ── TLS ──
def test_metadata_tls(shop):
    """HTTPS, TLS 1.3 alone; uploads that are refused and requests one after the other over one connection."""
    import datetime
    import ssl
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.utcnow()
    made = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
            .not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), False).sign(key, hashes.SHA256()))
    cert_file, key_file = shop.path("cert.pem"), shop.path("key.pem")
    cert_file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    context = ssl.create_default_context(cafile=str(cert_file))
    service = Service(shop.program, shop.folder, "metadata", f"--tls-cert={cert_file}", f"--tls-key={key_file}", tls=context)
    shop.daemons.append(service)
    service.start()
    admin = service.admin()
    keys = register_nodes(service.node_key(), 3)
    for i in range(20):
        check(admin.put(f"file {i}", 100, keys)["version"] == 1, "over TLS")
    try:
        status, _ = service.client(admin.token).call("POST", "/init_upload", b"x" * (3 << 20), is_checked=False)
        check(status == 413, f"too large: {status}")
    except OSError:
        pass  # the service closed behind its answer, while this client was still sending
    check(len(admin.good("GET", "/files")["files"]) == 20, "and on")
    with socket.create_connection(("127.0.0.1", service.port)) as plain, context.wrap_socket(plain, server_hostname="localhost") as wrapped:
        check(wrapped.version() == "TLSv1.3", wrapped.version())
    old = ssl.create_default_context(cafile=str(cert_file))
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    try:
        with socket.create_connection(("127.0.0.1", service.port)) as plain, old.wrap_socket(plain, server_hostname="localhost"):
            check(False, "TLS 1.2 was taken")
    except (ssl.SSLError, ConnectionError):
        pass
    with socket.create_connection(("127.0.0.1", service.port)) as plain:
        plain.settimeout(20)
        plain.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        try:
            check(b"200" not in plain.recv(100), "plain HTTP was answered")
        except ConnectionError:
            pass
    admin.good("GET", "/users/me")
    check_run(shop, 2, "metadata", "--listen-addr=127.0.0.1:0", f"--data-dir={shop.path('other')}", f"--tls-cert={cert_file}")
    end(service)
