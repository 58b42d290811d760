"""Whether others reach a node: found out by asking, of nodes in the open and behind a NAT, ours and Kubo's, from each other's."""
from nodes import check, wait_until
from test_punch import LISTEN, address, ours

SERVERS = 5  # in networks of their own: those of one network are one voice
PUBLIC = {"Internal.Libp2pForceReachability": "public"}


def reachability(daemon):
    return daemon.rpc("swarm/addrs/autonat")["reachability"]


def asked(lab, servers, askers, service):
    """A node in the open and one behind a NAT, who have only the servers to ask."""
    internet = lab.switch("net")
    known = []
    for i in range(SERVERS):
        machine = lab.machine(f"s{i}")
        machine.plug(internet, f"5.{i + 1}.0.1/8")
        server = start(lab, servers, machine, {**PUBLIC, "AutoNAT.ServiceMode": service})
        known.append(address(server, f"5.{i + 1}.0.1"))
    in_the_open = lab.machine("open")
    in_the_open.plug(internet, "5.77.0.1/8")
    home = lab.nat("port", "home", internet, "5.88.0.1", "192.168.7")
    home.router.ip("route add 5.0.0.0/8 dev eth0")
    settings = {"Bootstrap": known, "AutoNAT.ServiceMode": "disabled" if askers == "ours" else service}
    return [start(lab, askers, machine, settings) for machine in (in_the_open, home)]


def start(lab, program, machine, settings):
    if program == "kubo":
        return lab.kubo(machine, {**settings, "Addresses.Swarm": [LISTEN["tcp"]]})
    return lab.node(machine, ours(settings), listen=[LISTEN["tcp"]])


def find_out(lab, servers, askers, service="enabled"):
    in_the_open, hidden = asked(lab, servers, askers, service)
    wait_until(lambda: reachability(in_the_open) == "Public", 90, f"{askers} in the open asks {servers}", every=0.5)
    wait_until(lambda: reachability(hidden) == "Private", 90, f"{askers} behind a NAT asks {servers}", every=0.5)
    check(reachability(in_the_open) == "Public", "it stays so")


def test_ours_ask_kubo(lab):
    find_out(lab, "kubo", "ours")


def test_ours_ask_kubos_old_protocol(lab):
    find_out(lab, "kubo", "ours", "legacy-v1")


def test_kubo_asks_ours(lab):
    find_out(lab, "ours", "kubo")
