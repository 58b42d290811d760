"""Publish/subscribe, as a user meets it. Run by run.py."""
import base64
import json

from nodes import check, fails, wait_until

ON = {"Pubsub.Enabled": True}
NAMES = {"Ipns.UsePubsub": True}
CID = "/ipfs/bafkqahtwgevxmmrao5uxi2bamjzg623fnyqhg2lhnzqxi5lsmuqhmmi"


def url64(data):
    return "u" + base64.urlsafe_b64encode(data).decode().rstrip("=")


def in_topic(node, topic, other):
    return other.peer_id in (node.rpc("pubsub/peers", url64(topic.encode()))["Strings"] or [])


def follow(node, topic, *options):
    process = node.begin("pubsub", "sub", topic, *options)
    wait_until(lambda: url64(topic.encode()) in (node.rpc("pubsub/ls")["Strings"] or []), 20, f"{node.name} follows")
    return process


def test_pubsub(shop):
    a, b = shop.node("a", ON), shop.node("b", ON)
    a.connect(b)
    check(a.text("pubsub", "ls") == "" and a.text("pubsub", "peers", "t") == "", "nothing yet")
    plain, detailed = follow(a, "t"), follow(b, "t", "--enc=json")
    wait_until(lambda: in_topic(a, "t", b) and in_topic(b, "t", a), 20, "both are in the topic")
    check(a.text("pubsub", "peers") == b.peer_id, "peers of any topic")
    b.run("pubsub", "pub", "t", stdin=b"raw \x00\xff bytes\n")
    check(plain.stdout.readline() == b"raw \x00\xff bytes\n", "as it was said")
    message = json.loads(detailed.stdout.readline())
    check(message["from"] == b.peer_id and message["topicIDs"] == [url64(b"t")] and message["data"] == url64(b"raw \x00\xff bytes\n"),
          f"{message}")
    a.run("pubsub", "pub", "t", shop.file("large", 900_000))
    check(len(json.loads(detailed.stdout.readline())["data"]) == len(url64(b"x" * 900_000)), "a large one")
    fails(a, "pubsub", "pub", "t", shop.file("too-large", 2_000_000), saying="")
    fails(a, "pubsub", "pub", "", stdin=b"x", saying="topic")
    plain.terminate()
    detailed.terminate()
    wait_until(lambda: a.rpc("pubsub/ls")["Strings"] is None, 20, "who leaves is no longer subscribed")
    check(a.text("pubsub", "reset", "--peer", b.peer_id) == f"Reset validator state for peer {b.peer_id}", "reset of one")
    check(a.text("pubsub", "reset", "--peer", b.peer_id) == f"No validator state found for peer {b.peer_id}", "reset again")
    check(b.text("pubsub", "reset") == "Reset validator state for 1 peer(s)", "reset of all")
    fails(a, "pubsub", "reset", "--peer=x", saying="invalid peer ID")


def test_switches(shop):
    """The options of the command line come before the config."""
    off = shop.node("off", ON, start=False)
    off.start("--enable-pubsub-experiment=false")
    fails(off, "pubsub", "ls", saying="experimental pubsub feature not enabled")
    on = shop.node("on", start=False)
    on.start("--enable-pubsub-experiment")
    check(on.text("pubsub", "ls") == "", "enabled")
    wrong = shop.node("wrong", dict(ON, **{"Pubsub.Router": "pigeons"}), start=False)
    fails(wrong, *wrong.start_words(), code=2, saying="unknown pubsub router")


def test_names_over_pubsub(shop):
    giver, taker = shop.node("giver", NAMES), shop.node("taker", NAMES)
    check(taker.text("name", "pubsub", "state") == "enabled", "state")
    giver.connect(taker)
    giver.run("name", "publish", "--allow-offline", "--resolve=false", CID)
    wait_until(lambda: taker.run("name", "resolve", "--nocache", giver.peer_id, check_code=False).stdout.decode().strip() == CID, 30,
               "the name is resolved", every=0.3)
    name = taker.text("name", "pubsub", "subs")
    check(name.startswith("/ipns/k51") and name == giver.text("name", "pubsub", "subs"), f"followed: {name}")
    check(taker.text("name", "pubsub", "cancel", name) == "canceled", "cancel")
    check(taker.text("name", "pubsub", "cancel", name) == "no subscription", "cancel again")
    fails(taker, "name", "pubsub", "cancel", "x", code=2, saying="not a valid IPNS name")
