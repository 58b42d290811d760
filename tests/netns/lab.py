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

    def __init__(self, shop, tools):
        self.shop, self.tools = shop, tools
        self.machines = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for daemon in reversed(self.shop.daemons):
            daemon.end_all()
        for machine in reversed(self.machines):
            machine.end()

    def machine(self, name):
        self.machines.append(Machine(self, name))
        return self.machines[-1]

    def switch(self, name):
        switch = self.machine(name)
        # No filters of multicast: the groups that machines join are flooded.
        switch.ip("link add br0 type bridge mcast_snooping 0")
        switch.ip("link set br0 up")
        return switch

    def tool(self, name):
        return os.path.join(self.tools, name)

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
