"""Who connects with whom: peers that we did not write, each with one transport and one security at a time, dialling us and dialled by
us; ping and identify over what came about. Printed as a table. Run by run.py."""
import js_peer
import nodes
from nodes import check

SECURITIES = ("noise", "tls")
LISTEN = {"tcp": "/ip4/127.0.0.1/tcp/0", "ws": "/ip4/127.0.0.1/tcp/0/ws", "quic": "/ip4/127.0.0.1/udp/0/quic-v1"}


def address_of(node):
    return f"{node.rpc('swarm/addrs/listen')['Strings'][0].split('/p2p/')[0]}/p2p/{node.peer_id}"


class KuboPeer:
    def __init__(self, shop, transport, security):
        other = "TLS" if security == "noise" else "Noise"
        settings = {"Addresses.Swarm": [LISTEN[transport]], f"Swarm.Transports.Security.{other}": False}
        self.kubo = shop.kubo(f"kubo-{transport}-{security}", settings)
        self.peer_id = self.kubo.peer_id
        self.address = address_of(self.kubo)

    def dial(self, address, security):
        self.kubo.rpc("swarm/connect", address)
        check(self.kubo.rpc_lines("ping", address.split("/p2p/")[1], count=1)[-1]["Success"], "Kubo pings us")

    def end(self):
        self.kubo.kill()


def to_them(ours, peer):
    ours.rpc("swarm/connect", peer.address)
    check(ours.rpc_lines("ping", peer.peer_id, count=1)[-1]["Success"], "we ping them")
    check(ours.rpc("id", peer.peer_id)["AgentVersion"], "identify names their agent")


def from_them(ours, peer, security):
    ours.rpc("swarm/disconnect", f"/p2p/{peer.peer_id}")
    peer.dial(address_of(ours), security)


def cell(function, *words):
    try:
        function(*words)
        return "ok"
    except Exception as e:
        return f"FAILED: {e}"


def fill(shop, who, make, transports):
    """{(transport, security): (to them, from them)}"""
    found = {}
    for transport in transports:
        for security in SECURITIES if transport != "quic" else ("tls",):  # of QUIC it is a part
            ours = shop.node(f"for-{who}-{transport}-{security}", start=False)
            ours.listen = [LISTEN[transport]]
            ours.start()
            peer = make(transport, security)
            found[transport, security] = cell(to_them, ours, peer), cell(from_them, ours, peer, security)
            peer.end()
            ours.stop()
    return found


def judge(who, found):
    print(f"  {'peer':12}{'transport':11}{'security':10}{'we dial':9}they dial")
    for (transport, security), (out, back) in found.items():
        print(f"  {who:12}{transport:11}{security:10}{out[:8]:9}{back[:8]}", flush=True)
    failed = [f"{key} {text}" for key, cells in found.items() for text in cells if text != "ok"]
    check(not failed, "; ".join(failed))


def test_matrix_kubo(shop):
    nodes.need_quic(shop.program)
    judge("kubo 0.42", fill(shop, "kubo", lambda transport, security: KuboPeer(shop, transport, security), ("tcp", "ws", "quic")))


def test_matrix_js(shop):
    nodes.need_quic(shop.program)
    where = js_peer.folder()
    judge("js-libp2p 3", fill(shop, "js", lambda transport, security: js_peer.JsPeer(where, transport, security), ("tcp", "ws", "quic")))
