"""A router that maps ports when it is asked: a node behind it is dialled from outside. Our own speaks NAT-PMP; miniupnpd, which
home routers run, speaks PCP and UPnP, too."""
import pathlib
import re
import socket
import struct
import threading

import lab
import nodes

PORT_OUTSIDE = 40001


class NatPmp(threading.Thread):
    """Speaks NAT-PMP (RFC 6886) at the router, and does what it says with the kernel's NAT."""

    def __init__(self, router, public_ip):
        super().__init__(daemon=True)
        self.router, self.public_ip = router, public_ip
        self.removed = 0
        with router.inside():
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.socket.bind(("0.0.0.0", 5351))
        self.start()

    def run(self):
        while True:
            try:
                request, sender = self.socket.recvfrom(1100)
            except OSError:
                return
            self.socket.sendto(self.answer(request, sender[0]), sender)

    def answer(self, request, inside_ip):
        version, op = request[0], request[1]
        head = struct.pack(">BBHI", 0, 0x80 | op, 1 if version else 0, 1)
        if version:
            return head
        if op == 0:
            return head + socket.inet_aton(self.public_ip)
        inside, _, lifetime = struct.unpack(">HHI", request[4:12])
        if lifetime:
            kind = "tcp" if op == 2 else "udp"
            self.router.nft(f"""
table ip nat {{
    chain prerouting {{
        type nat hook prerouting priority -100
        ip daddr {self.public_ip} {kind} dport {PORT_OUTSIDE} dnat to {inside_ip}:{inside}
    }}
}}
insert rule ip guard forward ct status dnat accept
""")
        else:
            self.removed += 1
        return head + struct.pack(">HHI", inside, PORT_OUTSIDE, lifetime)


def test_mapped_port_is_dialled(lab_):
    lab.need("nft")
    internet = lab_.switch("net")
    outside = lab_.machine("outside")
    outside.plug(internet, "5.5.5.1/24")
    home = lab_.nat("port", "home", internet, "5.5.5.100")
    router = NatPmp(home.router, "5.5.5.100")
    node = lab_.node(home, {"Swarm__DisableNatPortMap": False})
    mapped = f"/ip4/5.5.5.100/tcp/{PORT_OUTSIDE}/p2p/{node.peer_id}"
    nodes.wait_until(lambda: mapped in node.rpc("id")["Addresses"], 10, "the node announces its mapped port")
    dialer = lab_.node(outside)
    dialer.rpc("swarm/connect", mapped)
    nodes.check(dialer.rpc_lines("ping", node.peer_id, count=1)[-1]["Success"], "ping through the mapped port")
    node.stop()
    nodes.check(router.removed == 1, "the node gives its port back when it ends")
    router.socket.close()


# The chains that miniupnpd fills, and what the lab's router lets in then.
CHAINS = """
table inet filter {
    chain forward { type filter hook forward priority 0; jump miniupnpd; }
    chain miniupnpd { }
    chain prerouting { type nat hook prerouting priority -100; jump prerouting_miniupnpd; }
    chain postrouting { type nat hook postrouting priority 100; jump postrouting_miniupnpd; }
    chain prerouting_miniupnpd { }
    chain postrouting_miniupnpd { }
}
insert rule ip guard forward ct status dnat accept
"""


def miniupnpd(router, folder, **settings):
    lab.need("miniupnpd")
    router.nft(CHAINS)
    wan = re.search(r"(eth\d+)(?:@\S+)? .*5\.5\.5\.100", router.run("ip", "-br", "-4", "addr"))[1]
    config, log = folder / "miniupnpd.conf", folder / "miniupnpd.log"
    config.write_text("".join(f"{key}={value}\n" for key, value in {
        "ext_ifname": wan, "ext_ip": "5.5.5.100", "listening_ip": "lan", "http_port": 5000, "secure_mode": "yes", "ipv6_disable": "yes",
        "upnp_table_name": "filter", "upnp_nat_table_name": "filter", "upnp_forward_chain": "miniupnpd",
        "upnp_nat_chain": "prerouting_miniupnpd", "upnp_nat_postrouting_chain": "postrouting_miniupnpd",
        "uuid": "5f2b5b3c-0000-4000-8000-000000000001", **settings}.items()) + "allow 1024-65535 192.168.1.0/24 1024-65535\n")
    router.begin("sh", "-c", f"exec 2>{log}; echo; exec miniupnpd -d -f {config} -P {folder}/miniupnpd.pid")
    try:
        nodes.wait_until(lambda: "istening " in log.read_text(), 10, "miniupnpd listens")
    except nodes.Failure:
        print(log.read_text())
        raise


def rules(router):
    return router.run("nft", "list", "chain", "inet", "filter", "prerouting_miniupnpd").count(" dnat ")


def mapped_by_miniupnpd(lab_, **settings):
    """TCP and QUIC are mapped, dialled from outside, and given back at the end."""
    nodes.need_quic(lab_.shop.program)
    internet = lab_.switch("net")
    home = lab_.nat("port", "home", internet, "5.5.5.100")
    miniupnpd(home.router, pathlib.Path(lab_.shop.folder), **settings)
    listen = ["/ip4/0.0.0.0/tcp/4001", "/ip4/0.0.0.0/udp/4001/quic-v1"]
    node = lab_.node(home, {"Swarm__DisableNatPortMap": False}, listen=listen)
    mapped = [address.replace("0.0.0.0", "5.5.5.100") for address in listen]
    nodes.wait_until(lambda: {f"{address}/p2p/{node.peer_id}" for address in mapped} <= set(node.rpc("id")["Addresses"]), 20,
                     f"the node announces {mapped}")
    nodes.check(rules(home.router) == len(listen), f"{rules(home.router)} ports are mapped")
    for number, address in enumerate(mapped):
        outside = lab_.machine(f"outside{number}")
        outside.plug(internet, f"5.5.5.{number + 1}/24")
        dialer = lab_.node(outside)
        dialer.rpc("swarm/connect", f"{address}/p2p/{node.peer_id}")
        ways = [p["Addr"] for p in dialer.rpc("swarm/peers")["Peers"]]
        nodes.check(ways == [address], f"connected by {ways}")
    node.stop()
    nodes.check(rules(home.router) == 0, "the node gives its ports back when it ends")


def test_miniupnpd_by_pcp(lab_):
    mapped_by_miniupnpd(lab_, enable_natpmp="yes", enable_upnp="no")


def test_miniupnpd_by_upnp(lab_):
    mapped_by_miniupnpd(lab_, enable_natpmp="no", enable_upnp="yes")
