"""Names between our node and Kubo: published on the one, resolved on the other, over a DHT on loopback; keys and records
taken over both ways; the same words to both. Run by run.py."""
import json
import pathlib
import re

import nodes
from nodes import check, wait_until
from test_same import Pair, begin, finish  # what differs is collected, and told at the end

CID = "bafkqahtwgevxmmrao5uxi2bamjzg623fnyqhg2lhnzqxi5lsmuqhmmi"
OTHER = "bafkqahtwgevxmmrao5uxi2bamjzg623fnyqhg2lhnzqxi5lsmuqhmmq"
RECORDS = pathlib.Path(__file__).resolve().parents[1] / "vectors" / "ipns"
NOBODY = "k51qzi5uqu5diamp7qnnvs1p1gzmku3eijkeijs3418j23j077zrkok63xdm8c"


def new_key(node, key, kind="ed25519"):
    return node.text("key", "gen", f"--type={kind}", key)


def resolves(node, name, wanted):
    result = node.run("name", "resolve", "--nocache", "--dht-timeout=10s", name, check_code=False)
    return result.stdout.decode().strip() == wanted


def has_table(node):
    return any(b["Peers"] for table in node.rpc_lines("stats/dht") for b in table["Buckets"] or [])


def publish(node, *words):
    """Who knows no peer keeps what he publishes: so the table comes first."""
    wait_until(lambda: has_table(node), 60, f"{node.name} has a peer in its table", every=0.2)
    node.run("name", "publish", "--resolve=false", *words)


def names_through(shop, giver, taker, third):
    """giver and taker know only the third node, which keeps the records."""
    giver.connect(third)
    taker.connect(third)
    for kind, options in (("ed25519", []), ("rsa", []), ("ed25519", ["--v1compat=false"])):
        key = f"{kind}{len(options)}"
        name = new_key(giver, key, kind)
        publish(giver, f"--key={key}", *options, f"/ipfs/{CID}")
        wait_until(lambda: resolves(taker, name, f"/ipfs/{CID}"), 60, f"{taker.name} resolves a name of {giver.name}", every=0.3)
        publish(giver, f"--key={key}", f"/ipfs/{OTHER}")
        wait_until(lambda: resolves(taker, name, f"/ipfs/{OTHER}"), 60, "the newest wins", every=0.3)
        check(taker.text("cat", f"/ipns/{name}").startswith("v1+v2"), f"{taker.name}: cat of /ipns/{name}")
        record = taker.run("routing", "get", f"/ipns/{name}").stdout
        said = json.loads(taker.run("name", "inspect", "--enc=json", "--verify", name, stdin=record).stdout)
        check(said["Validation"]["Valid"] and said["Entry"]["Sequence"] == 1, f"{taker.name}: {said}")


def test_kubo_to_us_through_us(shop):
    names_through(shop, shop.kubo("giver-kubo"), shop.node("taker-ours"), shop.node("third-ours"))


def test_us_to_kubo_through_kubo(shop):
    names_through(shop, shop.node("giver-ours"), shop.kubo("taker-kubo"), shop.kubo("third-kubo"))


def test_us_to_kubo_through_us(shop):
    names_through(shop, shop.node("giver-2"), shop.kubo("taker-2"), shop.node("third-2"))


def test_records_passed_on(shop):
    """What the one got by `name get` the other puts."""
    ours, kubo, third = shop.node("put-ours"), shop.kubo("put-kubo"), shop.node("put-third")
    for node in (ours, kubo):
        node.connect(third)
    for giver, taker in ((ours, kubo), (kubo, ours)):
        name = new_key(giver, f"of-{giver.name}")
        publish(giver, f"--key=of-{giver.name}", f"/ipfs/{CID}")
        record = giver.run("name", "get", name).stdout
        wait_until(lambda: taker.run("name", "put", name, stdin=record, check_code=False).returncode == 0, 60,
                   f"{taker.name} passes on a record of {giver.name}", every=0.3)
        result = taker.run("name", "put", NOBODY, stdin=record, check_code=False)
        check(b"signature verification failed" in result.stderr, f"{taker.name}: {result.stderr}")


def test_keys_both_ways(shop):
    ours, kubo = shop.node("keys-ours", start=False), shop.kubo("keys-kubo", start=False)
    for giver, taker in ((ours, kubo), (kubo, ours)):
        for kind in ("ed25519", "rsa"):
            name = new_key(giver, f"{giver.name}-{kind}", kind)
            for form in ("libp2p-protobuf-cleartext", "pem-pkcs8-cleartext"):
                file = shop.path(f"{giver.name}-{kind}-{form}")
                giver.run("key", "export", f"--format={form}", "-o", file, f"{giver.name}-{kind}")
                got = taker.text("key", "import", f"--format={form}", f"{giver.name}-{kind}-{form[:3]}", file)
                check(got == name, f"{kind} as {form}: {got}, not {name}")
        # what the one signs the other verifies
        data = shop.path("data")
        data.write_bytes(b"to be signed")
        signed = json.loads(giver.text("key", "sign", f"--key={giver.name}-ed25519", data))
        verified = json.loads(taker.text("key", "verify", f"--key={signed['Key']['Id']}", "-s", signed["Signature"], data))
        check(verified["SignatureValid"], f"{taker.name}: {verified}")


def test_same_words(shop):
    p = Pair(shop, "names")
    key = shop.path("a.key")
    p.kubo.run("key", "gen", "a")
    p.kubo.run("key", "export", "-o", key, "a")
    p.kubo.run("key", "rm", "a")
    p.same("key", "import", "k", key)
    p.same("key", "import", "k", key)
    p.same("key", "import", "other", "-f", "pem-pkcs8-cleartext", "--ipns-base=b58mh", key, code_only=True)
    for words in (["rename", "nobody", "x"], ["rename", "self", "x"], ["rename", "k", "self"], ["rename", "k", "x"],
                  ["rename", "x", "x"], ["rename", "x", "k"], ["rm", "nobody"], ["rm", "self"], ["gen", "k"], ["gen", "self"],
                  ["gen", "-t", "dsa", "x"], ["export", "nobody"], ["export", "self"], ["ls"], ["ls", "--ipns-base=nope"],
                  ["export", "k", "-f", "x"]):
        p.same("key", *words)
    p.same("key", "sign", "-k", "k", stdin=b"data")
    p.same("key", "sign", "-k", "nobody", stdin=b"data")
    p.same("key", "verify", "-k", "k", "-s", "uAAAA", stdin=b"data")
    name = next(k["Id"] for k in json.loads(p.kubo.text("key", "ls", "--enc=json"))["Keys"] if k["Name"] == "k")
    publish_words = ["name", "publish", "--key=k", "--allow-offline"]
    for words in ([], ["-Q"], ["--enc=json"], ["--ipns-base=b58mh"], ["--sequence=0"], ["--sequence=7"], ["--lifetime=x"],
                  ["--ttl=x"], ["--allow-delegated"]):
        p.same(*publish_words, *words, f"/ipfs/{CID}")
    p.same("name", "publish", f"/ipfs/{CID}")
    p.same(*publish_words, CID)
    p.same(*publish_words, f"/ipfs/{CID}/")
    p.same(*publish_words, "nonsense")
    p.same("name", "publish", "--key=nobody", "--allow-offline", f"/ipfs/{CID}")
    p.same(*publish_words, "--resolve=false", f"/ipns/{NOBODY}")
    p.same(*publish_words, f"/ipld/{CID}")
    for words in (["-r=false", name], [name], ["--dhtrc=1", name], ["--dhtt=1s", name], ["nobody.invalid"], [NOBODY], ["a..b"], ["--dht-timeout=-1s", name]):
        p.same("name", "resolve", *words)
    p.same("resolve", "-r=false", f"/ipns/{name}")
    for path in (f"/ipns/{name}//a/./b/../c/", f"/ipns/{name}/..", f"/ipns/{name}/../{name}"):
        p.same("name", "resolve", path)
        p.same("resolve", "-r=false", path)
        p.same(*publish_words, "--resolve=false", path)
    p.same(*publish_words, f"/ipfs/{CID}")
    for words in (["name", "resolve", name], ["name", "resolve", "--nocache", f"/ipns/{name}/a/b"], ["cat", f"/ipns/{name}"],
                  ["resolve", f"/ipns/{name}"], ["name", "pubsub", "state"], ["name", "pubsub", "subs"],
                  ["name", "pubsub", "cancel", "x"], ["name", "resolve", "--stream", name]):
        p.same(*words)
    for row in json.loads((RECORDS / "records.json").read_text()):
        for words in ([], ["--dump=false", "--verify", row["name"]], ["--enc=json", "--dump=false"]):
            # what cannot be read at all is worded by the protobuf library there
            p.same("name", "inspect", *words, RECORDS / row["file"], code_only=row["file"].startswith("bad-") and "reason" in row
                   and row["reason"] in ("Data removed", "record over 10 KiB", "not a protobuf") or row["file"] == "gwc-v1.ipns-record")
    good = RECORDS / "ed25519-v2only.ipns-record"
    owner = "k51qzi5uqu5djmw2yvf8kk5cdjc1ddc00o4d5sjwi6f79xzcay9j3gkddw5uu4"
    p.same("name", "put", "--allow-offline", owner, good)
    p.same("name", "put", "--allow-offline", "-q", owner, good)
    p.same("name", "resolve", owner)
    p.same("name", "put", "--allow-offline", NOBODY, good)
    p.same("routing", "put", "--allow-offline", f"/ipns/{owner}", good)
    p.same("routing", "put", f"/ipns/{owner}", good)
