"""Networks of this test's own, in namespaces that end with it: machines, switches, routers with NAT, links with delay.

The test runs inside a namespace of its own (run.py sees to that), so that nothing here can reach the machine's network, and
with a process tree of its own, so that all ends with it."""
import contextlib
import ctypes
import os
import shutil
import subprocess

import nodes

LIFE_SECONDS = 900  # of a namespace whose owner was killed
_libc = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNET = 0x40000000


def _enter(fd):
    if _libc.setns(fd, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


class Machine:
    """A network namespace, kept by a process that only sleeps."""

    def __init__(self, lab, name):
        self.lab, self.name = lab, name
        self.keeper = subprocess.Popen(["unshare", "-n", "sh", "-c", f"echo; exec sleep {LIFE_SECONDS}"], stdout=subprocess.PIPE)
        self.keeper.stdout.readline()
        self.fd = os.open(f"/proc/{self.keeper.pid}/ns/net", os.O_RDONLY)
        self.path = f"/proc/{self.keeper.pid}/ns/net"
        self.helpers = []
        self.interfaces = 0
        self.ip("link set lo up")

    @contextlib.contextmanager
    def inside(self):
        """What is started or connected here belongs to the machine's network."""
        here = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        try:
            _enter(self.fd)
            yield
        finally:
            _enter(here)
            os.close(here)

    def run(self, *words, stdin=None, check_code=True):
        with self.inside():
            result = subprocess.run(words, input=stdin, text=True, capture_output=True, timeout=60)
        if check_code and result.returncode:
            raise nodes.Failure(f"{self.name}: {' '.join(words)}: {result.stderr.strip()}")
        return result.stdout

    def ip(self, words):
        return self.run("ip", *words.split())

    def begin(self, *words):
        """A helper that is ended with the machine; it says a line when it is ready."""
        with self.inside():
            helper = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        self.helpers.append(helper)
        line = helper.stdout.readline()
        nodes.check(line, f"{self.name}: {words[0]} ended with {helper.poll()}")
        return line.decode().strip()

    def plug(self, switch, *addresses, gateway=None):
        """Connects an interface to a switch; returns its name."""
        name, far = f"eth{self.interfaces}", f"{self.name}{self.interfaces}"
        self.interfaces += 1
        self.ip(f"link add {name} type veth peer name {far} netns {switch.keeper.pid}")
        for address in addresses:
            self.ip(f"addr add {address} dev {name}" + (" nodad" if ":" in address else ""))
        self.ip(f"link set {name} up")
        switch.ip(f"link set {far} master br0")
        switch.ip(f"link set {far} up")
        if gateway:
            self.ip(f"route add default via {gateway}")
        return name

    def forward(self):
        self.run("sysctl", "-qw", "net.ipv4.ip_forward=1")

    def nft(self, rules):
        self.run("nft", "-f", "-", stdin=rules)

    def end(self):
        for helper in self.helpers:
            helper.kill()
            helper.wait()
            helper.stdout.close()
        os.close(self.fd)
        self.keeper.kill()
        self.keeper.wait()
        self.keeper.stdout.close()


class Lab:
    """Machines and switches of one test, all gone at its end."""

    def __init__(self, shop, tools, prefix=""):
        self.shop, self.tools, self.prefix = shop, tools, prefix
        self.machines = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for daemon in reversed(self.shop.daemons):
            if daemon.process is not None and daemon.name.startswith(self.prefix):
                daemon.stop() if isinstance(daemon, nodes.Node) else daemon.kill()
        for machine in reversed(self.machines):
            machine.end()

    def apart(self, prefix):
        """Another lab within the same test, whose daemons and machines end with it."""
        return Lab(self.shop, self.tools, f"{prefix}-")

    def machine(self, name):
        self.machines.append(Machine(self, self.prefix + name))
        return self.machines[-1]

    def switch(self, name):
        switch = self.machine(name)
        # No filters of multicast: the groups that machines join are flooded.
        switch.ip("link add br0 type bridge mcast_snooping 0")
        switch.ip("link set br0 up")
        return switch

    def tool(self, name):
        path = os.path.join(self.tools, name)
        if not os.path.exists(path):
            raise nodes.Skip(f"{name} (the build makes it)")
        return path

    def link(self, a, b, delay_ms, mbit=0, queue_ms=100, loss=0.0, addresses=("10.9.0.1/30", "10.9.0.2/30"), device="tun0"):
        """Two machines and a line between them, with delay each way, a rate, a queue and loss."""
        a.begin(self.tool("link_emulator"), a.path, b.path, device, str(delay_ms), str(mbit), str(queue_ms), str(loss))
        for machine, address in ((a, addresses[0]), (b, addresses[1])):
            machine.ip(f"addr add {address} dev {device}")
            machine.ip(f"link set {device} up txqueuelen 10000")

    def nat(self, kind, name, internet, public_ip, inside="192.168.1"):
        """A machine behind a NAT of its own: "full", "restricted" (cones), "port" (restricted) or "symmetric"."""
        home = self.machine(name)
        router = home.router = self.machine(f"{name}r")
        network, number = public_ip.rsplit(".", 1)
        is_cone = kind in ("full", "restricted")
        # Of a cone, what comes to the public address goes to the NAT: the router itself has another.
        wan = router.plug(internet, f"{network}.{int(number) + 100}/24" if is_cone else f"{public_ip}/24")
        router.forward()
        if is_cone:
            router.begin(self.tool("cone_nat"), home.path, router.path, "nat0", public_ip, kind)
            home.ip(f"addr add {inside}.2/24 dev nat0")
            home.ip("link set nat0 up")
            home.ip("route add default dev nat0")
            router.ip("link set nat0 up")
            router.ip(f"route add {public_ip}/32 dev nat0")
            router.run("sysctl", "-qw", f"net.ipv4.conf.{wan}.proxy_arp=1", "net.ipv4.conf.all.rp_filter=0",
                       f"net.ipv4.conf.{wan}.rp_filter=0", f"net.ipv4.neigh.{wan}.proxy_delay=0")
        else:
            need("nft")
            home.ip(f"link add eth0 type veth peer name lan netns {router.keeper.pid}")
            home.ip(f"addr add {inside}.2/24 dev eth0")
            home.ip("link set eth0 up")
            router.ip(f"addr add {inside}.1/24 dev lan")
            router.ip("link set lan up")
            home.ip(f"route add default via {inside}.1")
            # What comes to no mapping is dropped without a word: an answer would end the other side's punching. What
            # goes out and fits no connection is dropped as well, as home routers do: it would leave with its own address.
            router.nft(f"""
table ip nat {{
    chain postrouting {{
        type nat hook postrouting priority 100
        oifname "{wan}" masquerade {"random,fully-random" if kind == "symmetric" else ""}
    }}
}}
table ip guard {{
    chain input {{
        type filter hook input priority 0
        iifname "{wan}" ct state new,invalid drop
    }}
    chain forward {{
        type filter hook forward priority 0
        iifname "{wan}" ct state new,invalid drop
        oifname "{wan}" ct state invalid drop
    }}
}}
""")
        return home

    def node(self, machine, config=None, listen=("0.0.0.0:4001",), start=True, **options):
        node = self.shop.node(machine.name, config, start=False, **options)
        node.inside, node.listen = machine.inside, list(listen)
        return node.start() if start else node

    def kubo(self, machine, config=None, start=True):
        if not self.shop.kubo_program:
            raise nodes.Skip("Kubo (Go builds it; see tests/interop/build_kubo.sh)")
        settings = {"Addresses.Swarm": ["/ip4/0.0.0.0/tcp/4001", "/ip4/0.0.0.0/udp/4001/quic-v1"], **(config or {})}
        kubo = self.shop.kubo(machine.name, settings, start=False)
        kubo.inside = machine.inside
        return kubo.start() if start else kubo


def need(*programs):
    for program in programs:
        if not shutil.which(program):
            raise nodes.Skip(program)
