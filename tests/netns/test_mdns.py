"""Nodes of one link find each other by multicast, Kubo among them; nobody is told of anybody."""
import lab
import nodes

ON = {"Discovery__MDNS__Enabled": True}
KUBO_ON = {"Discovery.MDNS.Enabled": True}


def link(lab_, count):
    switch = lab_.switch("switch")
    machines = [lab_.machine(f"m{i}") for i in range(count)]
    for i, machine in enumerate(machines):
        machine.plug(switch, f"192.0.2.{i + 1}/24", f"2001:db8::{i + 1}/64", gateway="192.0.2.254")
    return machines


def all_connected(daemons):
    return all(other.peer_id in daemon.peers() for daemon in daemons for other in daemons if other is not daemon)


def test_nodes_find_each_other(lab_):
    found = [lab_.node(machine, ON) for machine in link(lab_, 3)]
    nodes.wait_until(lambda: all_connected(found), 10, "all three are connected")


def deafen(machine, to):
    """The machine hears no multicast DNS of the other: finding can only go the other way."""
    machine.nft(f"""
table inet deaf {{
    chain input {{
        type filter hook input priority 0
        ip saddr {to} udp dport 5353 drop
        meta nfproto ipv6 udp dport 5353 drop
    }}
}}
""")


def test_finds_kubo(lab_):
    lab.need("nft")
    a, b = link(lab_, 2)
    deafen(a, to="192.0.2.2")
    kubo, ours = lab_.kubo(a, KUBO_ON), lab_.node(b, ON)
    nodes.wait_until(lambda: all_connected([ours, kubo]), 20, "ours has found Kubo")


def test_kubo_finds(lab_):
    lab.need("nft")
    a, b = link(lab_, 2)
    deafen(a, to="192.0.2.2")
    ours, kubo = lab_.node(a, ON), lab_.kubo(b, KUBO_ON)
    nodes.wait_until(lambda: all_connected([ours, kubo]), 20, "Kubo has found ours")


def test_off_is_off(lab_):
    a, b, c = link(lab_, 3)
    quiet, *loud = lab_.node(a), lab_.node(b, ON), lab_.node(c, ON)
    nodes.wait_until(lambda: all_connected(loud), 10, "the two with discovery are connected")
    nodes.check(not quiet.peers(), f"a node without discovery has the peers {quiet.peers()}")
