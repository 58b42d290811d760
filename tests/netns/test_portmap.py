"""A router that maps ports when it is asked: a node behind it is dialled from outside."""
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
