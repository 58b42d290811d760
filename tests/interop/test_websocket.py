"""Connections between our node and Kubo by WebSocket: on a port of its own, on one port with raw TCP, in a private network, and
over TLS of the web (which a proxy of ours ends). Run by run.py."""
import shutil
import socket
import ssl
import subprocess
import threading

import nodes
import test_security
from nodes import check


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def ws_address(node, way="/ws"):
    found = [a for a in node.rpc("swarm/addrs/listen")["Strings"] if a.startswith("/ip4/127.0.0.1/tcp/") and a.split("/p2p/")[0].endswith(way)]
    check(found, f"{node.name} listens on {node.rpc('swarm/addrs/listen')['Strings']}")
    return f"{found[0].split('/p2p/')[0]}/p2p/{node.peer_id}"


def speaking_ws(shop, name, shared=False):
    """Our node: by WebSocket alone, or beside raw TCP on one port."""
    node = shop.node(name, start=False)
    port = free_port()
    words = [f"--listen=/ip4/127.0.0.1/tcp/{port}/ws"] + ([f"--listen=/ip4/127.0.0.1/tcp/{port}"] if shared else [])
    node.start_words = lambda: ["node", "--api-port=0", "--gateway-port=0", "--metrics-port=0", *words]
    return node.start()


def kubo_with_ws(shop, name, shared=False, start=True):
    port = free_port() if shared else 0
    addresses = [f"/ip4/127.0.0.1/tcp/{port}/ws"] + ([f"/ip4/127.0.0.1/tcp/{port}"] if shared else [])
    return shop.kubo(name, {"Addresses.Swarm": addresses}, start)


def exchange(shop, ours, kubo, dialer, listener):
    listener.addresses = [ws_address(listener)]
    test_security.exchange(shop, ours, kubo, dialer, listener)
    remote = [p["Addr"] for p in dialer.rpc("swarm/peers")["Peers"]]
    check(all(a.endswith("/ws") for a in remote), f"connected by {remote}")


def test_websocket_to_kubo(shop):
    ours, kubo = shop.node("ws-out"), kubo_with_ws(shop, "kubo-ws")
    exchange(shop, ours, kubo, ours, kubo)


def test_websocket_from_kubo(shop):
    ours, kubo = speaking_ws(shop, "ws-in"), kubo_with_ws(shop, "kubo-ws-out")
    exchange(shop, ours, kubo, kubo, ours)


def test_one_port(shop):
    """Raw TCP and WebSocket on one port, of ours and of Kubo's."""
    ours, kubo = speaking_ws(shop, "shared", True), kubo_with_ws(shop, "kubo-shared", True)
    for node in (ours, kubo):
        check(ws_address(node).replace("/ws/", "/") == node.addresses[0], f"{node.name}: {ws_address(node)}, {node.addresses}")
    for i, listener in enumerate((ours, kubo)):
        for address in (listener.addresses[0], ws_address(listener)):
            name = f"dialer-{i}-{address.count('ws')}"
            dialer = shop.node(name) if listener is kubo else shop.kubo(name)
            dialer.rpc("swarm/connect", address)
            remote = [p["Addr"] for p in dialer.rpc("swarm/peers")["Peers"]]
            check(remote == [address.split("/p2p/")[0]], f"{name} is connected by {remote}, not {address}")
            dialer.stop()


def test_websocket_in_private_network(shop):
    kubo = kubo_with_ws(shop, "kubo-ws-private", start=False)
    (kubo.repo / "swarm.key").write_text(test_security.SWARM_KEY)
    kubo.start()
    ours = test_security.private(shop.node, "ws-private")
    exchange(shop, ours, kubo, ours, kubo)


def make_certificate(shop):
    """Of localhost; $SSL_CERT_FILE makes it known."""
    if not shutil.which("openssl"):
        raise nodes.Skip("openssl")
    cert, key = shop.path("cert.pem"), shop.path("key.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-keyout", key,
                    "-out", cert, "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"], check=True, capture_output=True)
    return cert, key


class Proxy:
    """Ends TLS in front of a port."""

    def __init__(self, shop, target):
        self.target = target
        self.cert, key = make_certificate(shop)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.cert, key)
        self.context = context
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                raw, _ = self.server.accept()
                inside = self.context.wrap_socket(raw, server_side=True)
                outside = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                if self.server.fileno() < 0:
                    return
                continue
            for a, b in ((inside, outside), (outside, inside)):
                threading.Thread(target=self.pump, args=(a, b), daemon=True).start()

    @staticmethod
    def pump(a, b):
        try:
            while piece := a.recv(65536):
                b.sendall(piece)
            b.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def close(self):
        self.server.close()


def through_proxy(shop, make_listener, make_dialer):
    listener = make_listener()
    proxy = Proxy(shop, int(ws_address(listener).split("/")[4]))
    try:
        dialer = make_dialer()
        dialer.environment["SSL_CERT_FILE"] = str(proxy.cert)
        dialer.start()
        listener.addresses = [f"/ip4/127.0.0.1/tcp/{proxy.port}/tls/sni/localhost/ws/p2p/{listener.peer_id}"]
        return listener, dialer
    finally:
        shop.proxy = proxy


def test_secure_websocket_to_kubo(shop):
    kubo, ours = through_proxy(shop, lambda: kubo_with_ws(shop, "kubo-wss"), lambda: shop.node("wss-out", start=False))
    test_security.exchange(shop, ours, kubo, ours, kubo)
    stranger = shop.node("wss-stranger")
    response, data = stranger.rpc_raw("swarm/connect", [kubo.addresses[0]])
    check(response.status != 200, f"a certificate that nobody vouches for was taken: {data}")
    other = shop.node("wss-other", start=False)
    other.environment["SSL_CERT_FILE"] = str(shop.proxy.cert)
    other.start()
    response, data = other.rpc_raw("swarm/connect", [kubo.addresses[0].replace("sni/localhost", "sni/example.com")])
    check(response.status != 200, f"a certificate for another name was taken: {data}")
    shop.proxy.close()


def test_secure_websocket_from_kubo(shop):
    """Raw TCP, WebSocket and secure WebSocket on one port, with a certificate of ours."""
    cert, key = make_certificate(shop)
    shutil.copy(key, shop.path("wss-in.key"))
    port = free_port()
    base = f"/ip4/127.0.0.1/tcp/{port}"
    ours = shop.node("wss-in", {"Swarm__WebsocketTLS": {"CertFile": str(cert), "KeyFile": "../wss-in.key"}}, start=False)
    ours.start_words = lambda: ["node", "--api-port=0", "--gateway-port=0", "--metrics-port=0", *(f"--listen={base}{way}" for way in ("", "/ws", "/tls/ws"))]
    ours.start()
    listens = sorted(a.split("/p2p/")[0] for a in ours.rpc("swarm/addrs/listen")["Strings"])
    check(listens == [base, base + "/tls/ws", base + "/ws"], f"listens on {listens}")
    for i, way in enumerate(("/tls/sni/localhost/ws", "/tls/ws", "/ws", "")):
        kubo = kubo_with_ws(shop, f"kubo-wss-{i}", start=False)
        kubo.environment["SSL_CERT_FILE"] = str(cert)
        kubo.start()
        ours.addresses = [f"{base}{way}/p2p/{ours.peer_id}"]
        kubo.connect(ours)
        remote = [p["Addr"] for p in kubo.rpc("swarm/peers")["Peers"]]
        check(remote and (("/ws" in remote[0]) == ("/ws" in way)), f"connected by {remote}")
        if i == 0:
            test_security.exchange(shop, ours, kubo, kubo, ours)
        kubo.stop()
        nodes.wait_until(lambda: not ours.peers(), 10, "Kubo is gone")
    shown = ssl.get_server_certificate(("127.0.0.1", port))
    renewed, key = make_certificate(shop)
    shutil.copy(key, shop.path("wss-in.key"))
    nodes.wait_until(lambda: ssl.get_server_certificate(("127.0.0.1", port)) == renewed.read_text() != shown, 20, "a renewed certificate is shown")
