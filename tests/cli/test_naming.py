"""Names and keys, as a user meets them. Run by run.py."""
import json
import os
import stat

import nodes
from nodes import check, fails, wait_until

CID = "bafkqahtwgevxmmrao5uxi2bamjzg623fnyqhg2lhnzqxi5lsmuqhmmi"  # an identity CID: needs no block
OTHER = "bafkqahtwgevxmmrao5uxi2bamjzg623fnyqhg2lhnzqxi5lsmuqhmmq"
NOBODY = "k51qzi5uqu5diamp7qnnvs1p1gzmku3eijkeijs3418j23j077zrkok63xdm8c"


def name_of(node, key="self"):
    keys = json.loads(node.text("key", "ls", "-l", "--enc=json"))["Keys"]
    return next(k["Id"] for k in keys if k["Name"] == key)


def test_names_offline(shop):
    node = shop.node("names", start=False)
    file = node.text("add", "-Q", shop.file("hello", 1000))
    me = name_of(node)
    fails(node, "name", "publish", file, saying="can't publish while offline")
    fails(node, "name", "publish", "--allow-offline", "--allow-delegated", file, saying="cannot use both")
    fails(node, "name", "publish", "--allow-delegated", file, saying="no delegated publishers")
    fails(node, "name", "publish", "--allow-offline", "nonsense", saying="invalid path")
    fails(node, "name", "publish", "--allow-offline", "--key=nobody", file, saying="no key by the given name")
    fails(node, "name", "resolve", saying="could not resolve name")
    check(node.text("name", "publish", "--allow-offline", file) == f"Published to {me}: /ipfs/{file}", "publish")
    check(node.text("name", "publish", "--allow-offline", "-Q", f"/ipfs/{file}/") == me, "-Q")
    check(node.text("name", "resolve") == f"/ipfs/{file}/", "resolve")
    check(node.text("name", "resolve", f"/ipns/{me}/a/b", "--nocache") == f"/ipfs/{file}/a/b", "the rest of the path")
    fails(node, "name", "publish", "--allow-offline", "--sequence=1", file, saying="sequence number must be greater")
    node.run("name", "publish", "--allow-offline", "--sequence=9", "--v1compat=false", "--ttl=1h30m", "--lifetime=1000h", file)
    record = node.run("name", "get", me).stdout
    said = json.loads(node.run("name", "inspect", "--enc=json", "--verify", me, stdin=record).stdout)
    check(said["SignatureType"] == "V2" and said["Entry"]["Sequence"] == 9 and said["Validation"]["Valid"], f"inspect: {said}")
    check(said["Entry"]["TTL"] == 5400 * 10**9 and said["PbSize"] == len(record), f"inspect: {said}")
    text = node.run("name", "inspect", stdin=record).stdout.decode()
    check(f'Value:          "/ipfs/{file}"\n' in text and "TTL:            1h30m0s\n" in text and "Hex Dump:" in text, text)
    said = node.run("name", "inspect", "--dump=false", "--verify", NOBODY, stdin=record).stdout.decode()
    check(" Valid:  false\n Reason: signature verification failed\n" in said, said)
    fails(node, "name", "put", NOBODY, "--allow-offline", stdin=record, saying="signature verification failed")
    check(node.text("name", "pubsub", "state") == "disabled", "pubsub")


def test_paths_with_names(shop):
    """Each command that takes a path takes a name."""
    node = shop.node("paths", start=False)
    folder = shop.path("tree")
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "file").write_bytes(b"in a folder\n")
    root = node.text("add", "-r", "-Q", folder)
    me = name_of(node)
    node.run("name", "publish", "--allow-offline", "--resolve", f"/ipfs/{root}/sub")
    sub = node.text("resolve", f"/ipfs/{root}/sub").split("/")[-1]
    at = f"/ipns/{me}"
    check(node.text("cat", f"{at}/file") == "in a folder", "cat")
    check(node.text("ls", at).endswith("file"), "ls")
    node.run("get", f"{at}/file", "-o", shop.path("got"))
    check(shop.path("got").read_bytes() == b"in a folder\n", "get")
    check(node.text("resolve", at) == f"/ipfs/{sub}", "resolve")
    check(node.text("resolve", "-r=false", at) == f"/ipfs/{root}/sub", "resolve one step")
    check(node.text("block", "stat", at) == node.text("block", "stat", sub), "block stat")
    check(node.text("refs", at) == node.text("refs", sub), "refs")
    check(node.text("dag", "get", at) == node.text("dag", "get", sub), "dag get")
    check(sub in node.text("pin", "add", at), "pin add")
    fails(node, "cat", f"/ipns/{NOBODY}", saying="could not resolve name")
    fails(node, "cat", "/ipns/nobody.invalid", saying="DNSLink lookup")


def test_static_names(shop):
    node = shop.node("static", start=False)
    node.environment["IPFS_NS_MAP"] = f"x.example:/ipfs/{CID},y.example:/ipns/x.example/deep"
    check(node.text("name", "resolve", "x.example") == f"/ipfs/{CID}", "a fixed name")
    check(node.text("name", "resolve", "/ipns/y.example/er") == f"/ipfs/{CID}/deep/er", "one that leads to another")
    check(node.text("name", "resolve", "-r=false", "y.example") == "/ipns/x.example/deep", "one step")
    check(node.text("name", "resolve", "/ipns/y.example//a/./b/../c/") == f"/ipfs/{CID}/deep/a/c/", "a path with detours")
    fails(node, "name", "resolve", "/ipns/y.example/..", saying="enough components")
    node.run("name", "publish", "--allow-offline", f"/ipfs//{CID}/x/../../{CID}")
    check(node.text("name", "resolve") == f"/ipfs/{CID}", "no detours in a record")
    node.start()
    check(node.text("name", "resolve", "x.example") == f"/ipfs/{CID}", "of the running node")
    node.stop()
    node.environment["IPFS_NS_MAP"] = "x.example:nonsense"
    fails(node, "name", "resolve", "x.example", code=None, saying="IPFS_NS_MAP")


def test_keys(shop):
    node = shop.node("keys", start=False)
    first = node.text("key", "gen", "first")
    check(node.text("key", "ls").splitlines() == ["self", "first"], "ls")
    check(f"{first} first" in node.text("key", "list", "-l"), "list -l")
    check(node.text("key", "ls", "-l", "--ipns-base=b58mh").splitlines()[1].startswith("12D3KooW"), "--ipns-base")
    fails(node, "key", "gen", "first", saying="already exists")
    fails(node, "key", "gen", "self", saying="cannot create key with name 'self'")
    fails(node, "key", "gen", "--type=dsa", "x", saying="unrecognized key type")
    odd = node.text("key", "gen", "../x")
    check(not (node.repo.parent / "x").exists() and f"{odd} ../x" in node.text("key", "ls", "-l"), "a name is no path")
    node.run("key", "export", stdin=b"../x\n", cwd=shop.path(""))
    check(shop.path("x.key").stat().st_size == 68 and node.text("key", "rm", "../x") == "../x", "a name from standard input")
    node.text("key", "gen", "n" * 156)
    check("n" * 156 in node.text("key", "ls").splitlines() and node.text("key", "rm", "n" * 156) == "n" * 156, "the longest name")
    fails(node, "key", "gen", "n" * 157, code=2, saying="at most 156 bytes")
    fails(node, "key", "export", stdin=b"", code=2, saying="NAME")
    fails(node, "key", "rm", "nobody", saying="no key named nobody")
    fails(node, "key", "ls", "--ipns-base=nope", saying="unsupported multibase encoding")
    rsa = node.text("key", "gen", "--type=rsa", "second")
    check(rsa.startswith("k2k4"), f"an RSA name: {rsa}")
    fails(node, "key", "rename", "first", "second", saying="refusing to overwrite")
    check(node.text("key", "rename", "first", "third") == f"Key {first} renamed to third", "rename")
    check(node.text("key", "rename", "-f", "third", "second") == f"Key {first} renamed to second with overwriting", "rename -f")
    file = shop.path("data")
    file.write_bytes(b"to be signed")
    said = json.loads(node.text("key", "sign", "-k", "second", file))
    check(said["Key"] == {"Name": "second", "Id": first}, f"sign: {said}")
    for key in ("second", first):
        checked = json.loads(node.text("key", "verify", "-k", key, "-s", said["Signature"], file))
        check(checked["SignatureValid"] is True, f"verify: {checked}")
    file.write_bytes(b"something else")
    check(json.loads(node.text("key", "verify", "-k", first, "-s", said["Signature"], file))["SignatureValid"] is False, "verify")
    check(node.text("key", "rm", "second") == "second" and node.text("key", "ls") == "self", "rm")


def test_keys_leave_and_come_back(shop):
    node = shop.node("export")  # beside a running node
    for kind in ("ed25519", "rsa"):
        key = node.text("key", "gen", f"--type={kind}", kind)
        for form, ending in (("libp2p-protobuf-cleartext", "key"), ("pem-pkcs8-cleartext", "pem")):
            node.run("key", "export", kind, f"--format={form}", cwd=shop.folder)
            file = shop.path(f"{kind}.{ending}")
            check(stat.S_IMODE(os.stat(file).st_mode) == 0o600, f"{file}: {os.stat(file)}")
            check(node.text("key", "import", f"{kind}-{ending}", f"--format={form}", file) == key, f"{kind} as {form}")
    fails(node, "key", "import", "x", shop.path("rsa.pem"), saying="try again with format=pem-pkcs8-cleartext")
    fails(node, "key", "import", "rsa", shop.path("rsa.key"), saying="already exists")
    fails(node, "key", "export", "nobody", saying="doesn't exist")
    fails(node, "key", "export", "self", saying="cannot export key with name 'self'")
    for word in ("export", "rotate"):  # nothing of it through the RPC
        response, _ = node.rpc_raw(f"key/{word}", ["rsa"])
        check(response.status == 404, f"key/{word}: {response.status}")
    fails(node, "key", "rotate", "--oldkey=before", saying="is running")
    before = node.peer_id
    node.stop()
    fails(node, "key", "rotate", code=2, saying="must be provided")
    fails(node, "key", "rotate", "--oldkey=rsa", saying="already exists")
    check("generating ED25519 keypair...done" in node.text("key", "rotate", "-o", "before"), "rotate")
    node.start()
    check(node.peer_id != before, "the identity is the same")
    check(node.text("key", "ls", "-l", "--ipns-base=b58mh").count(before) == 1, "the old key is lost")


def test_names_of_two_nodes(shop):
    a, b = shop.node("name-a"), shop.node("name-b")
    a.connect(b)
    wait_until(lambda: any(p["Peer"] == b.peer_id for p in a.rpc("dht/inspect")["Peers"]), 60, "the tables are filled")
    wait_until(lambda: any(p["Peer"] == a.peer_id for p in b.rpc("dht/inspect")["Peers"]), 60, "the tables are filled")
    me = name_of(a)
    fails(b, "name", "resolve", me, saying="could not resolve name")
    check(a.text("name", "publish", f"/ipfs/{CID}") == f"Published to {me}: /ipfs/{CID}", "publish")
    check(b.text("name", "resolve", me) == f"/ipfs/{CID}", "resolved by the other")
    check(b.text("cat", f"/ipns/{me}").startswith("v1+v2"), "cat")
    record = b.run("routing", "get", f"/ipns/{me}").stdout
    check(record == a.run("name", "get", me).stdout, "the record is another one")
    a.run("name", "publish", f"/ipfs/{OTHER}")
    check(b.text("name", "resolve", me) == f"/ipfs/{CID}", "kept for its TTL")
    check(b.text("name", "resolve", "--nocache", me) == f"/ipfs/{OTHER}", "asked anew")
    fails(b, "name", "put", me, stdin=record, saying="use 'ipfs name put --force'")
    fails(b, "routing", "put", f"/ipns/{me}", shop.path("nothing"), code=None)
    check(b.text("name", "resolve", "--nocache", "--stream", me) == f"/ipfs/{OTHER}", "an old record came back")
    # an old one of somebody else, passed on by a node that does not hold its key
    b.stop()
    b.start()
    a.connect(b)
    check(b.rpc("name/resolve", me)["Path"] == f"/ipfs/{OTHER}", "after a restart")
