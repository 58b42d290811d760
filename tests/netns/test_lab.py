"""The networks themselves: what the other tests rely on. Each NAT maps and filters as its kind says (RFC 4787, RFC 3489's words),
the link has its delay and its rate."""
import select
import socket
import time

import nodes
from nodes import check


def udp(machine, address="0.0.0.0", port=0):
    with machine.inside():
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((address, port))
    s.settimeout(2)
    return s


def hears(receiver):
    """The sender of the next datagram, or None."""
    receiver.settimeout(0.3)
    try:
        return receiver.recvfrom(2000)[1]
    except socket.timeout:
        return None


def internet_with(lab_, kind):
    internet = lab_.switch("net")
    hosts = [lab_.machine(f"h{i}") for i in range(2)]
    for i, host in enumerate(hosts):
        host.plug(internet, f"5.5.5.{i + 1}/24")
    return lab_.nat(kind, "home", internet, "5.5.5.100"), hosts


def behaviour(lab_, kind):
    """(is the outside port the same to both hosts, who may send to it: a host unknown so far, the known host from another port)"""
    home, (first, second) = internet_with(lab_, kind)
    inside, at_first, at_second = udp(home, port=4001), udp(first, port=1000), udp(second, port=1000)
    inside.sendto(b"out", ("5.5.5.1", 1000))
    mapped = at_first.recvfrom(2000)[1]
    check(mapped[0] == "5.5.5.100", f"it comes from {mapped}")
    at_first.sendto(b"answer", mapped)
    check(hears(inside) == ("5.5.5.1", 1000), "the answer comes in")
    at_second.sendto(b"stranger", mapped)
    stranger = hears(inside) is not None
    udp(first, port=1001).sendto(b"other port", mapped)
    other_port = hears(inside) is not None
    inside.sendto(b"out", ("5.5.5.2", 1000))
    same_port = at_second.recvfrom(2000)[1] == mapped
    for s in (inside, at_first, at_second):
        s.close()
    return same_port, stranger, other_port


def test_full_cone(lab_):
    found = behaviour(lab_, "full")
    check(found == (True, True, True), str(found))


def test_restricted_cone(lab_):
    found = behaviour(lab_, "restricted")
    check(found == (True, False, True), str(found))


def test_port_restricted(lab_):
    found = behaviour(lab_, "port")
    check(found == (True, False, False), str(found))


def test_symmetric(lab_):
    found = behaviour(lab_, "symmetric")
    check(found == (False, False, False), str(found))


def pump(sender, send, receiver):
    """Sends and receives what goes at once; returns what came, or None after five seconds without either. Both are waited for
    together: the sender's buffer may be full of what was received and is not yet acknowledged."""
    readable, writable, _ = select.select([receiver], [sender] if send else [], [], 5)
    if writable:
        send()
    came = receiver.recv(1 << 20) if readable else b""
    return came if came or writable else None


def carried(sender, receiver, data):
    """What of data arrives."""
    got, at = bytearray(), 0

    def send():
        nonlocal at
        at += sender.send(data[at:at + 65536])

    sender.setblocking(False)
    while len(got) < len(data):
        came = pump(sender, send if at < len(data) else None, receiver)
        if came is None:
            break
        got += came
    return bytes(got)


def test_tcp_through_nats(lab_):
    """A megabyte each way, checksums and all; nobody comes in who was not asked."""
    for number, kind in enumerate(("full", "restricted", "port", "symmetric")):
        internet = lab_.switch(f"n{number}")
        server = lab_.machine(f"s{number}")
        server.plug(internet, "5.5.5.1/24")
        home = lab_.nat(kind, f"m{number}", internet, "5.5.5.100")
        with server.inside():
            listener = socket.create_server(("0.0.0.0", 80))
        with home.inside():
            out = socket.create_connection(("5.5.5.1", 80), timeout=5)
        accepted, where = listener.accept()
        check(where[0] == "5.5.5.100", f"{kind}: it comes from {where}")
        data = nodes.make_bytes(kind, 1 << 20)
        for sender, receiver in ((out, accepted), (accepted, out)):
            got = carried(sender, receiver, data)
            check(got == data, f"{kind}: the content arrives")
        for s in (out, accepted, listener):
            s.close()


def test_link(lab_):
    a, b = lab_.machine("a"), lab_.machine("b")
    lab_.link(a, b, delay_ms=30, mbit=80, queue_ms=50)
    ours, theirs = udp(a, "10.9.0.1"), udp(b, "10.9.0.2", 1000)
    began = time.monotonic()
    ours.sendto(b"there", ("10.9.0.2", 1000))
    theirs.sendto(b"and back", theirs.recvfrom(100)[1])
    ours.recvfrom(100)
    round_trip = time.monotonic() - began
    check(0.060 <= round_trip < 0.090, f"60 ms there and back took {round_trip * 1000:.1f} ms")
    with b.inside():
        listener = socket.create_server(("10.9.0.2", 2000))
    with a.inside():
        out = socket.create_connection(("10.9.0.2", 2000), timeout=5)
    accepted = listener.accept()[0]
    began, total = time.monotonic(), 0
    out.setblocking(False)
    piece = bytes(1 << 16)
    while time.monotonic() - began < 2:
        came = pump(out, lambda: out.send(piece), accepted)
        check(came is not None, "the line stands still")
        total += len(came)
    rate = total * 8 / 2 / 1e6
    check(50 < rate < 80, f"TCP over 80 Mbit/s carries {rate:.0f} Mbit/s")
    for s in (ours, theirs, out, accepted, listener):
        s.close()
