"""A TCP service for tests of streams that are forwarded: it answers what comes with itself, then says how much it was."""
import socket
import threading

from nodes import check, make_bytes

STREAMS = {"Experimental__Libp2pStreamMounting": True}
KUBO_STREAMS = {"Experimental.Libp2pStreamMounting": True}


class Echo:
    def __init__(self, reads_line=False):
        self.reads_line, self.lines = reads_line, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"/ip4/127.0.0.1/tcp/{self.listener.getsockname()[1]}"
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.answer, args=(connection,), daemon=True).start()

    def answer(self, connection):
        with connection:
            if self.reads_line:
                line = b""
                while not line.endswith(b"\n"):
                    line += connection.recv(1)
                self.lines.append(line.decode().strip())
            try:
                while data := connection.recv(65536):
                    connection.sendall(data)
            except OSError:
                pass  # cut off

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join()


def enter(address):
    """A connection to the entry of a tunnel, /ip4/IP/tcp/PORT."""
    _, _, ip, _, port = address.split("/")
    return socket.create_connection((ip, int(port)), timeout=30)


def converse(address, size, seed=1):
    """Sends bytes and reads them again, in both directions at once."""
    data, got = make_bytes(seed, size), bytearray()
    with enter(address) as connection:
        sender = threading.Thread(target=connection.sendall, args=(data,), daemon=True)
        sender.start()
        while len(got) < size:
            piece = connection.recv(65536)
            check(piece, f"{address} ended behind {len(got)} of {size} bytes")
            got += piece
        sender.join()
    check(bytes(got) == data, f"other bytes came back over {address}")


def is_cut_off(connection):
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def entry_of(node, protocol):
    listeners = node.rpc("p2p/ls")["Listeners"]
    return next(one["ListenAddress"] for one in listeners if one["Protocol"] == protocol and "/tcp/" in one["ListenAddress"])
