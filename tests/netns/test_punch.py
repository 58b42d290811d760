"""Nodes behind NATs of the four kinds: they meet through a relay, and are connected directly after it where that can be done.

A NAT that maps each destination anew (symmetric) can be met only by one that lets in whom it has sent to from any port."""
import nodes
from nodes import check, wait_until

PUBLIC = {"Internal.Libp2pForceReachability": "public"}
OBSERVERS = 6  # Kubo believes an address of its own that four have seen
CAN_MEET = [("full", "port"), ("restricted", "port"), ("port", "port"), ("symmetric", "full"), ("symmetric", "restricted")]
LISTEN = {"tcp": "/ip4/0.0.0.0/tcp/4001", "quic": "/ip4/0.0.0.0/udp/4001/quic-v1"}


def ours(settings):
    return {key.replace(".", "__"): value for key, value in settings.items()}


def address(daemon, ip, kind="tcp"):
    return f"/ip4/{ip}/tcp/4001/p2p/{daemon.peer_id}" if kind == "tcp" else f"/ip4/{ip}/udp/4001/quic-v1/p2p/{daemon.peer_id}"


class Scene:
    """A relay and observers in the open, and two NATs."""

    def __init__(self, lab, kinds, transport):
        self.lab, self.transport = lab, transport
        self.internet = lab.switch("net")
        self.seen = []
        for i in range(OBSERVERS):
            machine = lab.machine(f"o{i}")
            ip = f"5.5.5.{i + 1}"
            machine.plug(self.internet, f"{ip}/24")
            self.seen.append((lab.node(machine, ours(PUBLIC), listen=[LISTEN[transport]]), ip))
        self.relay, self.relay_ip = self.seen[0]
        self.homes = [lab.nat(kind, f"home{i}", self.internet, f"5.5.5.{100 + i}", f"192.168.{i + 1}") for i, kind in enumerate(kinds)]

    def address(self, daemon, ip):
        return address(daemon, ip, self.transport)

    def resident(self, kind, home):
        known = [self.address(daemon, ip) for daemon, ip in self.seen]
        settings = {"Bootstrap": known, "Swarm.RelayClient.StaticRelays": known[:1], "Swarm.RelayClient.Enabled": True,
                    "Swarm.EnableHolePunching": True, "Internal.Libp2pForceReachability": "private"}
        listen = [LISTEN[self.transport]]
        if kind == "kubo":
            return self.lab.kubo(home, {**settings, "Addresses.Swarm": listen})
        return self.lab.node(home, ours(settings), listen=listen)


def ways(daemon, other):
    """The addresses of its connections to the other: relayed ones, and direct ones."""
    found = [p["Addr"] for p in daemon.rpc("swarm/peers")["Peers"] or [] if p["Peer"] == other.peer_id]
    return [a for a in found if "/p2p-circuit" in a], [a for a in found if "/p2p-circuit" not in a]


def meet(scene, dialer, listener):
    """A circuit through the relay, once the listener's reservation stands."""
    circuit = f"{scene.address(scene.relay, scene.relay_ip)}/p2p-circuit/p2p/{listener.peer_id}"

    def connects():
        answer, _ = dialer.rpc_raw("swarm/connect", [circuit])
        return answer.status == 200

    wait_until(connects, 40, f"{dialer.name} reaches {listener.name} through the relay", every=0.5)


def punch(lab, kinds, programs, direct, transport="tcp"):
    if transport == "quic":
        nodes.need_quic(lab.shop.program)
    scene = Scene(lab, kinds, transport)
    residents = [scene.resident(program, home) for program, home in zip(programs, scene.homes)]
    for i, daemon in enumerate(residents):
        wait_until(lambda d=daemon: len(d.peers()) >= OBSERVERS, 20, f"{daemon.name} knows all observers")
        if programs[i] == "kubo":
            if kinds[i] != "symmetric":  # of that one each sees another address
                wait_until(lambda d=daemon, ip=f"/5.5.5.{100 + i}/": any(ip in a for a in d.rpc("id")["Addresses"]), 20,
                           f"{daemon.name} learns its address from them")
            if daemon is not residents[0]:  # it asks nobody who came before it could punch; who dials is asked when it can
                wait_until(lambda d=daemon: "/libp2p/dcutr" in d.rpc("id")["Protocols"], 20, f"{daemon.name} punches holes")
    dialer, listener = residents
    meet(scene, dialer, listener)
    if direct:
        wait_until(lambda: ways(dialer, listener)[1] and ways(listener, dialer)[1], 20, f"{kinds}: they are connected directly")
        check(all(("/quic-v1" in way) == (transport == "quic") for way in ways(dialer, listener)[1]), f"by {ways(dialer, listener)[1]}")
    else:
        check(not ways(dialer, listener)[1], f"{kinds}: connected directly by {ways(dialer, listener)[1]}")
    check(dialer.rpc_lines("ping", listener.peer_id, count=2)[-1]["Success"], f"{kinds}: ping")


def each(lab, rows, direct):
    """Every row is tried, in networks of its own; all that failed is told."""
    failed = []
    for number, (kinds, programs, transport) in enumerate(rows):
        try:
            with lab.apart(f"r{number}") as place:
                punch(place, kinds, programs, direct, transport)
        except nodes.Failure as e:
            failed.append(f"{' '.join(programs)} {' '.join(kinds)} {transport}: {e}")
    check(not failed, "; ".join(failed))


def test_punching_quic(lab):
    each(lab, [(kinds, ("ours", "ours"), "quic") for kinds in CAN_MEET], True)


def test_punching_tcp(lab):
    each(lab, [(kinds, ("ours", "ours"), "tcp") for kinds in CAN_MEET if "symmetric" not in kinds], True)


WITH_KUBO = [("ours", "kubo"), ("kubo", "ours")]


def test_punching_with_kubo_quic(lab):
    each(lab, [(kinds, programs, "quic") for kinds in CAN_MEET for programs in WITH_KUBO], True)


def test_punching_with_kubo_tcp(lab):
    each(lab, [(kinds, programs, "tcp") for kinds in CAN_MEET if "symmetric" not in kinds for programs in WITH_KUBO], True)


def test_relayed_where_nothing_else_goes(lab):
    each(lab, [(("symmetric", "symmetric"), programs, "tcp") for programs in (("ours", "ours"), ("ours", "kubo"), ("kubo", "ours"))] +
         [(("symmetric", "port"), ("ours", "ours"), "quic")], False)
