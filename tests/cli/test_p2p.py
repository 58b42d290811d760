"""`p2p`: services of one machine, used from another."""
import json
import socket
import threading
import time

from nodes import check, fails, make_bytes, wait_until
from services import STREAMS, Echo, converse, enter, entry_of, is_cut_off

PEER = "12D3KooWQYV9dGMFoRzNStwpXztXaBUjtPqi6aU76ZgUriHhKust"


def test_streams_are_forwarded(shop):
    a, b, echo = shop.node("a", STREAMS), shop.node("b", STREAMS), Echo()
    check(b.text("p2p", "listen", "/x/echo", echo.address) == "", "says nothing")
    check(a.text("p2p", "forward", "/x/echo", "/ip4/127.0.0.1/tcp/0", b.addresses[0]) == "", "says nothing")
    entry = entry_of(a, "/x/echo")
    check(a.text("p2p", "ls") == f"/x/echo {entry} /p2p/{b.peer_id}", a.text("p2p", "ls"))
    check(b.text("p2p", "ls", "-v").split("\n")[1] == f"/x/echo  /p2p/{b.peer_id} {echo.address}", b.text("p2p", "ls", "-v"))
    for size in (1, 70000, 5000000):
        converse(entry, size)
    with enter(entry) as connection:
        connection.sendall(b"hello")
        check(connection.recv(5) == b"hello", "the service answers")
        streams = b.rpc("p2p/stream/ls")["Streams"]
        check(len(streams) == 1 and streams[0]["OriginAddress"] == f"/p2p/{a.peer_id}" and streams[0]["TargetAddress"] == echo.address, json.dumps(streams))
        check(a.text("p2p", "stream", "ls").endswith(f"/p2p/{b.peer_id}"), a.text("p2p", "stream", "ls"))
        check(b.text("p2p", "close", "-p", "/x/echo") == "Closed 1 stream(s)", "closed")
        connection.sendall(b"again")
        check(connection.recv(5) == b"again", "what is open goes on")
        check(b.text("p2p", "stream", "close", streams[0]["HandlerID"]) == "", "says nothing")
        check(is_cut_off(connection), "cut off")
    wait_until(lambda: not a.rpc("p2p/stream/ls")["Streams"], 10, "no stream is left")
    with enter(entry) as connection:
        check(is_cut_off(connection), "the service is not offered any more")
    check(a.text("p2p", "close", "--all") == "Closed 1 stream(s)", "closed")
    echo.close()


def test_enabled_while_the_nodes_run(shop):
    a, b, echo = shop.node("late-a"), shop.node("late-b"), Echo()
    for node in (a, b):
        fails(node, "p2p", "ls", saying="libp2p stream mounting not enabled")
        node.text("config", "--json", "Experimental.Libp2pStreamMounting", "true")
    b.text("p2p", "listen", "/x/echo", echo.address)
    a.text("p2p", "forward", "/x/echo", "/ip4/127.0.0.1/tcp/0", b.addresses[0])
    converse(entry_of(a, "/x/echo"), 70000)
    a.text("config", "--json", "Experimental.Libp2pStreamMounting", "false")
    fails(a, "p2p", "ls", saying="libp2p stream mounting not enabled")
    echo.close()


def test_forward_from_a_socket_in_the_file_system(shop):
    a, b, echo = shop.node("a", STREAMS), shop.node("b", STREAMS), Echo()
    path = shop.path("entry")
    b.text("p2p", "listen", "/x/echo", echo.address)
    check(a.text("p2p", "forward", "/x/echo", f"/unix{path}", b.addresses[0]) == "", "says nothing")
    check(a.text("p2p", "ls") == f"/x/echo /unix{path} /p2p/{b.peer_id}", a.text("p2p", "ls"))
    check(path.is_socket() and path.stat().st_mode & 0o777 == 0o600, "for this user alone")

    def connect():
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(30)
        connection.connect(str(path))
        return connection

    connections = [connect() for _ in range(3)]
    for i, connection in enumerate(connections):
        data = make_bytes(i, 100000)
        threading.Thread(target=connection.sendall, args=(data,), daemon=True).start()
        got = b""
        while len(got) < len(data):
            got += connection.recv(65536)
        check(got == data, "comes back")
    streams = a.rpc("p2p/stream/ls")["Streams"]
    check(len(streams) == 3 and streams[0]["OriginAddress"] == f"/unix{path}", f"{streams}")
    fails(a, "p2p", "forward", "/x/other", f"/unix{path}", b.addresses[0], saying="in use")
    fails(a, "p2p", "forward", "/x/other", "/unix/" + "n" * 200, b.addresses[0], saying="path of a socket")
    fails(a, "p2p", "listen", "/x/other", f"/unix{path}", saying="address does not contain tcp or udp protocol")
    check(a.text("p2p", "close", "-l", f"/unix{path}") == "Closed 1 stream(s)" and not path.exists(), "gone with its listener")
    for connection in connections:
        connection.close()
    echo.close()


def test_foreground_and_peer_id(shop):
    a, b, echo = shop.node("a", STREAMS), shop.node("b", STREAMS), Echo(reads_line=True)
    listening = b.begin("p2p", "listen", "-f", "-r", "/x/who", echo.address)
    check(listening.stdout.readline().decode() == f"Listening on /x/who, forwarding to {echo.address}, waiting for interrupt...\n", "says that it waits")
    forwarding = a.begin("p2p", "forward", "--foreground", "/x/who", "/ip4/127.0.0.1/tcp/0", b.addresses[0])
    check(b"Forwarding /x/who to /ip4/127.0.0.1/tcp/0" in forwarding.stdout.readline(), "says that it waits")
    converse(entry_of(a, "/x/who"), 1000)
    check(echo.lines == [a.peer_id], f"{echo.lines}")
    check(b.text("p2p", "close", "-a") == "Closed 1 stream(s)", "closed")
    check(listening.stdout.read().decode() == "Received interrupt, removing listener for /x/who\n" and listening.wait(30) == 0, "ends")
    forwarding.terminate()
    forwarding.wait(30)
    wait_until(lambda: a.text("p2p", "ls") == "", 10, "what was interrupted is gone")
    echo.close()


def test_refusals(shop):
    a, off = shop.node("a", STREAMS), shop.node("off")
    fails(off, "p2p", "ls", saying="libp2p stream mounting not enabled")
    here = "/ip4/127.0.0.1/tcp/1234"
    a.text("p2p", "listen", "/x/a", here)
    for words, saying in ((("listen", "/x/a", here), "listener already registered"), (("listen", "a", here), "within '/x/' namespace"),
                          (("listen", "/x/b", "/ip4/127.0.0.1/tcp/0"), "port can not be 0"), (("listen", "/x/b", "foo"), "failed to parse multiaddr"),
                          (("listen", "/x/b", "/ip4/127.0.0.1"), "does not contain tcp or udp"), (("close",), "no matching options given"),
                          (("listen", "--allow-custom-protocol", "/ipfs/ping/1.0.0", here), "speaks"),
                          (("close", "-a", "-p", "x"), "can't combine --all"), (("stream", "close"), "no id specified"),
                          (("stream", "close", "x"), "invalid syntax"), (("forward", "/x/c", f"/ip4/127.0.0.1/udp/1", f"/p2p/{PEER}"), "listen address")):
        fails(a, "p2p", *words, saying=saying)
    a.text("p2p", "listen", "--allow-custom-protocol", "custom", here)
    check(a.text("p2p", "close", "-t", here) == "Closed 2 stream(s)", "both have that target")
    a.text("p2p", "forward", "/x/c", "/ip4/127.0.0.1/tcp/0", f"/p2p/{PEER}")
    began = time.monotonic()
    with enter(entry_of(a, "/x/c")) as connection:
        check(is_cut_off(connection) and time.monotonic() - began < 30, "nobody is there")
