"""Publish/subscribe between our nodes and Kubo's: both ways, in meshes where neither knows all others, with old routers, over
restarts; and the same words to both. Run by run.py."""
import base64
import json
import os
import threading

import nodes
from nodes import check, wait_until

TOPIC = "interop/\u2603 topic"
ON = {"Pubsub.Enabled": True}


def url64(data):
    return "u" + base64.urlsafe_b64encode(data).decode().rstrip("=")


def from_url64(text):
    return base64.urlsafe_b64decode(text[1:] + "=" * (-len(text[1:]) % 4))


class Follower:
    """`pubsub sub`, as a program would read it."""

    def __init__(self, node, topic=TOPIC):
        self.node = node
        self.process = node.begin("pubsub", "sub", topic, "--enc=json")
        self.messages = []
        threading.Thread(target=self.read, daemon=True).start()
        wait_until(lambda: url64(topic.encode()) in (node.rpc("pubsub/ls")["Strings"] or []), 20, f"{node.name} follows the topic")

    def read(self):
        for line in self.process.stdout:
            if line.strip():
                self.messages.append(json.loads(line))

    def has(self, data, author):
        return sum(from_url64(m["data"]) == data and m["from"] == author for m in self.messages)

    def stop(self):
        self.process.terminate()
        self.process.wait()


def publish(node, data, topic=TOPIC):
    node.run("pubsub", "pub", topic, stdin=data)


def knows(node, topic, other):
    return other.peer_id in (node.rpc("pubsub/peers", url64(topic.encode()))["Strings"] or [])


def everybody_gets(followers, author, data):
    wait_until(lambda: all(f.has(data, author.peer_id) for f in followers), 30,
               f"a message of {author.name} comes to {[f.node.name for f in followers]}", every=0.05)


def exactly_once(followers, author, data):
    for f in followers:
        check(f.has(data, author.peer_id) == 1, f"{f.node.name} got a message of {author.name} {f.has(data, author.peer_id)} times")


def both_ways(shop, ours, kubo):
    ours.connect(kubo)
    followers = [Follower(ours), Follower(kubo)]
    wait_until(lambda: knows(ours, TOPIC, kubo) and knows(kubo, TOPIC, ours), 30, "each knows that the other follows")
    wait_until(lambda: kubo.peer_id in ours.text("pubsub", "peers"), 10, "peers of any topic")
    for n, data in enumerate((b"hello\n", b"", os.urandom(5000), os.urandom(900000), b"\x00\xff\xfe")):
        for author in (ours, kubo):
            sent = data + author.name.encode()
            publish(author, sent)
            everybody_gets(followers, author, sent)
            exactly_once(followers, author, sent)
    for message in followers[0].messages + followers[1].messages:
        check(message["topicIDs"] == [url64(TOPIC.encode())] and len(from_url64(message["seqno"])) == 8, f"{message}")
    check([m["data"] for m in followers[0].messages] == [m["data"] for m in followers[1].messages], "the same in the same order")
    followers[1].stop()
    wait_until(lambda: not knows(ours, TOPIC, kubo), 20, "the other has left the topic")


def test_both_ways(shop):
    both_ways(shop, shop.node("ours", ON), shop.kubo("kubo", ON))


def test_floodsub_of_kubo(shop):
    both_ways(shop, shop.node("ours-g", ON), shop.kubo("kubo-f", dict(ON, **{"Pubsub.Router": "floodsub"})))


def test_floodsub_of_ours(shop):
    both_ways(shop, shop.node("ours-f", dict(ON, **{"Pubsub.Router": "floodsub"})), shop.kubo("kubo-g", ON))


def test_without_signatures(shop):
    off = dict(ON, **{"Pubsub.DisableSigning": True})
    both_ways(shop, shop.node("ours-n", off), shop.kubo("kubo-n", off))


def test_mixed_mesh(shop):
    """A line of ours and Kubo's in turn: a message passes through all of them; then some more links."""
    line = [shop.kubo(f"k{i}", ON) if i % 2 else shop.node(f"o{i}", ON) for i in range(5)]
    for a, b in zip(line, line[1:]):
        a.connect(b)
    followers = [Follower(n) for n in line]
    for a, b in zip(line, line[1:]):
        wait_until(lambda: knows(a, TOPIC, b) and knows(b, TOPIC, a), 30, f"{a.name} and {b.name} know each other's topics")
    for n, author in enumerate(line * 2):
        data = f"line {n}".encode() * (1 + 400 * (n % 2))
        publish(author, data)
        everybody_gets(followers, author, data)
    line[0].connect(line[4])
    line[1].connect(line[3])
    for n, author in enumerate(line * 2):
        data = f"ring {n}".encode() * 300
        publish(author, data)
        everybody_gets(followers, author, data)
        exactly_once(followers, author, data)


def test_after_a_restart(shop):
    """A peer that went and came back is in the mesh again; what it says is new although its clock went on alone."""
    ours, kubo = shop.node("ours-r", ON), shop.kubo("kubo-r", ON)
    ours.connect(kubo)
    follower, first = Follower(ours), Follower(kubo)
    wait_until(lambda: knows(kubo, TOPIC, ours), 30, "known")
    publish(kubo, b"before")
    everybody_gets([follower], kubo, b"before")
    first.stop()  # Kubo waits for those who follow
    kubo.stop()
    wait_until(lambda: not knows(ours, TOPIC, kubo), 20, "gone")
    kubo.start()
    ours.connect(kubo)
    other = Follower(kubo)
    wait_until(lambda: knows(kubo, TOPIC, ours) and knows(ours, TOPIC, kubo), 30, "back")
    publish(kubo, b"after")
    everybody_gets([follower, other], kubo, b"after")
    publish(ours, b"to it")
    everybody_gets([follower, other], ours, b"to it")


def test_same_words(shop):
    ours, kubo = shop.node("same-ours", ON), shop.kubo("same-kubo", ON)
    off_ours, off_kubo = shop.node("off-ours"), shop.kubo("off-kubo")
    for words in (["ls"], ["peers"], ["peers", "none"], ["reset"], ["reset", "--peer", kubo.peer_id], ["reset", "--peer=x"],
                  ["pub", "t"], ["sub"]):
        for a, b in ((ours, kubo), (off_ours, off_kubo)):
            left, right = (n.run("pubsub", *words, stdin=b"x", check_code=False) for n in (a, b))
            check((left.stdout, left.returncode == 0) == (right.stdout, right.returncode == 0),
                  f"pubsub {' '.join(words)}: {left} and {right}")
    for args in (["plain"], ["zabc"], ["mAAAA"], ["u*"], []):
        codes = [n.rpc_raw("pubsub/sub", args, timeout=10)[0].status for n in (ours, kubo)]
        check(codes[0] == codes[1], f"pubsub/sub of {args}: {codes}")


CID = "/ipfs/bafkqahtwgevxmmrao5uxi2bamjzg623fnyqhg2lhnzqxi5lsmuqhmmi"
OTHER = "/ipfs/bafkqahtwgevxmmrao5uxi2bamjzg623fnyqhg2lhnzqxi5lsmuqhmmq"
NAMES = {"Ipns.UsePubsub": True, "Routing.Type": "dht"}


def resolves(node, name, wanted):
    result = node.run("name", "resolve", "--nocache", "--dht-timeout=5s", name, check_code=False)
    return result.stdout.decode().strip() == wanted


def names(shop, giver, taker):
    """What giver publishes anew comes to taker by itself; who joins late asks for it."""
    check(giver.text("name", "pubsub", "state") == taker.text("name", "pubsub", "state") == "enabled", "enabled")
    check(taker.text("name", "pubsub", "subs") == "", "no names yet")
    giver.connect(taker)
    wait_until(lambda: any(b["Peers"] for table in giver.rpc_lines("stats/dht") for b in table["Buckets"] or []), 60, "a peer in the table")
    name = giver.text("key", "gen", "followed")
    giver.run("name", "publish", "--resolve=false", "--key=followed", CID)
    wait_until(lambda: resolves(taker, name, CID), 30, f"{taker.name} resolves the name")
    topic = [t for t in taker.text("pubsub", "ls").splitlines() if t.startswith("/record/")]
    check(len(topic) == 1 and topic == giver.text("pubsub", "ls").splitlines(), f"one topic: {topic}")
    for node in (giver, taker):
        check(node.text("name", "pubsub", "subs") == f"/ipns/{name}", f"{node.name} follows the name")
    wait_until(lambda: knows(giver, topic[0], taker) and knows(taker, topic[0], giver), 30, "both are in the topic")
    giver.run("name", "publish", "--resolve=false", "--key=followed", OTHER)
    wait_until(lambda: resolves(taker, name, OTHER), 30, "the new record has come")
    check(taker.text("name", "pubsub", "cancel", name) == "canceled", "cancel")
    check(taker.text("name", "pubsub", "cancel", name) == "no subscription", "cancel again")
    check(taker.text("name", "pubsub", "subs") == "", "no names any more")
    fails_alike = [n.run("name", "pubsub", "cancel", "nonsense", check_code=False).returncode for n in (giver, taker)]
    check(all(fails_alike), f"cancel of nonsense: {fails_alike}")


def test_names_of_ours(shop):
    names(shop, shop.node("names-ours", NAMES), shop.kubo("names-kubo", NAMES))


def test_names_of_kubo(shop):
    names(shop, shop.kubo("names-kubo-2", NAMES), shop.node("names-ours-2", NAMES))


def test_names_fetched(shop):
    """No DHT at all: who joins gets the record from who is there, over /libp2p/fetch/0.0.1."""
    for giver, taker in ((shop.node("fetch-ours", NAMES), shop.kubo("fetch-kubo", dict(NAMES, **{"Routing.Type": "none"}))),
                         (shop.kubo("fetch-kubo-2", NAMES), shop.node("fetch-ours-2", dict(NAMES, **{"Routing.Type": "dhtclient"})))):
        giver.run("name", "publish", "--allow-offline", "--resolve=false", CID, check_code=False)
        giver.connect(taker)
        wait_until(lambda: resolves(taker, giver.peer_id, CID), 60, f"{taker.name} resolves the name of {giver.name}", every=0.5)


def test_peers_of_a_topic_are_found_through_the_dht(shop):
    """Two that are connected with a third one only, which does not follow the topic: who comes second finds the first."""
    keeper = shop.node("keeper")
    for first_is_ours in (False, True):
        ours = shop.node(f"seeker-{first_is_ours}", {**ON, "Routing__Type": "dhtclient"})
        kubo = shop.kubo(f"kubo-{first_is_ours}", {"Pubsub.Enabled": True, "Routing.Type": "dhtclient"})
        for node in (ours, kubo):
            node.connect(keeper)
            wait_until(lambda: node.rpc_lines("routing/findpeer", keeper.peer_id), 30, "the DHT is there", every=0.5)
        topic = f"found {first_is_ours}"
        first, second = (ours, kubo) if first_is_ours else (kubo, ours)
        followers = [Follower(first, topic)]
        cid = topic_cid(keeper, topic)
        wait_until(lambda: first.peer_id in known_providers(keeper, cid), 60, f"{first.name} is announced", every=0.5)
        followers.append(Follower(second, topic))
        wait_until(lambda: knows(ours, topic, kubo) and knows(kubo, topic, ours), 60, f"{second.name} finds {first.name}")
        publish(second, b"met", topic)
        everybody_gets(followers, second, b"met")
        for follower in followers:
            follower.stop()


def topic_cid(node, topic):
    return node.text("add", "-Q", "--only-hash", "--cid-version=1", "--raw-leaves", "-", stdin=f"floodsub:{topic}".encode())


def known_providers(node, cid):
    lines = node.rpc_lines("routing/findprovs", cid, timeout=60)
    return {r["ID"] for line in lines if line["Type"] == 4 for r in line["Responses"] or []}
