"""The DHT with Kubo: what our sweep announces Kubo finds, and the other way round; figures of the sweep; a peer that
is found. Run by run.py."""
import json

import nodes
from nodes import check, wait_until

CLIENT, KUBO_CLIENT = {"Routing__Type": "dhtclient"}, {"Routing.Type": "dhtclient"}
NS_PER_HOUR = 3600 * 10**9


def providers(asker, cid):
    lines = asker.rpc_lines("routing/findprovs", cid, timeout=60)
    return {r["ID"] for line in lines if line["Type"] == 4 for r in line["Responses"] or []}


def stat(node):
    return node.rpc("provide/stat", lan="true")["Sweep"]


def all_blocks(node, root):
    return node.text("refs", "-r", "--unique", root).split() + [root]


def add_without_telling(node, shop, name, size):
    """All blocks come to others by the sweep alone."""
    return node.text("add", "-Q", "--cid-version=1", "--fast-provide-root=false", shop.file(name, size))


def test_our_sweep_reaches_kubo(shop):
    giver = shop.node("sweeper", CLIENT, start=False)
    root = add_without_telling(giver, shop, "swept", 3 << 20)
    kubo = shop.kubo("record-keeper")
    giver.start()
    giver.connect(kubo)
    blocks = all_blocks(giver, root)
    wait_until(lambda: stat(giver)["operations"]["past"]["keys_provided"] >= len(blocks), 60, "the sweep went round")
    for cid in blocks:
        check(giver.peer_id in providers(kubo, cid), f"Kubo knows who has {cid}")
    seen = stat(giver)
    check(seen["connectivity"]["status"] == "online", f"{seen['connectivity']}")
    check(seen["schedule"]["keys"] >= len(blocks), f"{seen['schedule']}")
    check(seen["timing"]["reprovides_interval"] == 22 * NS_PER_HOUR and seen["timing"]["lag"] == 0, f"{seen['timing']}")
    check(seen["network"]["reachable"] >= 1 and seen["network"]["avg_holders"] == 1, f"{seen['network']}")
    # a restart does not begin again
    giver.stop()
    giver.start()
    giver.connect(kubo)
    wait_until(lambda: stat(giver)["schedule"]["keys"] >= len(blocks), 60, "the keys are read again")
    again = stat(giver)
    check(again["operations"]["past"]["keys_provided"] == 0, f"announced again after a restart: {again['operations']}")


def test_kubos_announcements_reach_us(shop):
    ours, giver = shop.node("keeper"), shop.kubo("kubo-giver", KUBO_CLIENT)
    giver.connect(ours)
    root = giver.text("add", "-Q", "--cid-version=1", shop.file("from-kubo", 3 << 20))
    for cid in all_blocks(giver, root)[-3:]:  # alone in a network with one server Kubo leaves out blocks of `provide once`
        giver.rpc_lines("routing/provide", cid, timeout=120)
        wait_until(lambda: giver.peer_id in providers(ours, cid), 60, f"we know who has {cid}", every=0.3)


def shape(value):
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    return "number" if isinstance(value, (int, float)) and not isinstance(value, bool) else type(value).__name__


def test_figures_have_kubos_shape(shop):
    """All that Kubo's clients read is there; lag and forecast are more."""
    answers = [shape(node.rpc("provide/stat")) for node in (shop.node("figures"), shop.kubo("kubo-figures"))]
    for name in ("lag", "forecast"):
        check(answers[0]["Sweep"]["timing"].pop(name) == "number", name)
    check(answers[0] == answers[1], f"ours\n{json.dumps(answers[0], indent=1)}\nKubo's\n{json.dumps(answers[1], indent=1)}")


def labels(text):
    return [line.split(":")[0].strip() for line in text.splitlines()]


def test_figures_as_text(shop):
    ours, kubo = shop.node("text"), shop.kubo("kubo-text")
    for options in ([], ["--network"], ["--queues", "--schedule"], ["--operations"], ["--workers"], ["--connectivity"]):
        a, b = (labels(node.text("provide", "stat", *options)) for node in (ours, kubo))
        check(a == b, f"provide stat {options}: {a} here, {b} from Kubo")
    a, b = (labels(node.text("provide", "stat", "--all")) for node in (ours, kubo))
    check([label for label in a if label not in ("Lag", "Forecast")] == b, f"provide stat --all: {a} here, {b} from Kubo")


def test_pins_alone(shop):
    """Provide.Strategy pinned+mfs+entities: roots of files and folders, not their chunks, on both sides."""
    strategy = "pinned+mfs+entities"
    keeper = shop.node("strategy-keeper")
    ours = shop.node("strategist", {**CLIENT, "Provide__Strategy": strategy}, start=False)
    kubo = shop.kubo("kubo-strategist", {**KUBO_CLIENT, "Provide.Strategy": strategy}, start=False)
    known = []
    for node in (ours, kubo):
        root = node.text("add", "-Q", "--cid-version=1", shop.file(f"of-{node.name}", 1 << 20))
        loose = node.text("add", "-Q", "--cid-version=1", "--pin=false", shop.file(f"loose-{node.name}", 1000))
        node.start()
        node.connect(keeper)
        wait_until(lambda: node.peer_id in providers(keeper, root), 90, f"{node.name} announced its root", every=0.5)
        chunks = node.text("refs", root).split()
        known.append([node.peer_id in providers(keeper, cid) for cid in [root, loose, *chunks]])
    check(known[0] == known[1] == [True] + [False] * (len(known[0]) - 1), f"ours {known[0]}, Kubo's {known[1]}")
