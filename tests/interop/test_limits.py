"""What connections may use, as Kubo has it: the same file of overrides, the same table. Run by run.py."""
import json
import re

from nodes import check

OVERRIDES = {"System": {"Conns": 611, "ConnsInbound": 610, "FD": 500, "Memory": "268435456"}, "Transient": {"Conns": "blockAll"},
             "Service": {"libp2p.ping": {"StreamsInbound": 7}}, "Conn": {"Memory": "1048576"}, "Stream": {"Memory": "1048576"}}


def table(node):
    lines = node.text("swarm", "resources").split("\n")
    return lines[0], {tuple(row[:2]): row for row in (re.split(r"\t+", line) for line in lines[1:])}


def test_resources_as_kubo(shop):
    ours, kubo = shop.node("limits-ours", start=False), shop.kubo("limits-kubo", start=False)
    for node in (ours, kubo):
        (node.repo / "libp2p-resource-limit-overrides.json").write_text(json.dumps(OVERRIDES))
        node.start()
    (head, rows), (kubo_head, kubo_rows) = table(ours), table(kubo)
    check(re.split(r"\t+", head) == re.split(r"\t+", kubo_head), f"{head!r}, Kubo: {kubo_head!r}")
    for row in (("system", "Conns"), ("system", "ConnsInbound"), ("system", "FD"), ("system", "Memory"), ("transient", "Conns")):
        check(rows[row] == kubo_rows[row], f"{rows[row]}, Kubo: {kubo_rows[row]}")
    answers = [json.loads(node.text("swarm", "resources", "--enc=json")) for node in (ours, kubo)]
    check(list(answers[0]["System"]) == list(answers[1]["System"]), f"members: {answers}")
    for member in ("Conns", "ConnsInbound", "FD", "Memory", "Streams"):
        check(answers[0]["System"][member] == answers[1]["System"][member], f"{member}: {answers}")


def test_filters_as_kubo(shop):
    ours, kubo = shop.node("filters-ours"), shop.kubo("filters-kubo")
    said = []
    for node in (ours, kubo):
        network = "/ip4/192.0.2.0/ipcidr/24"
        said.append([node.text("swarm", "filters", "add", network), node.text("swarm", "filters"),
                     node.text("swarm", "filters", "rm", "/ip4/198.51.100.0/ipcidr/24"), node.text("swarm", "filters", "rm", network),
                     node.text("swarm", "filters", "add", network, "/ip6/2001:db8::/ipcidr/32"), node.text("swarm", "filters", "rm", "all"),
                     node.text("swarm", "filters")])
    check(said[0] == said[1], f"{said[0]}, Kubo: {said[1]}")
