"""The encrypted mesh over real NATs: the commands are typed as the README prints them, on machines that have never run them."""
import os
import re
import shlex

import lab as labs
import nodes
from nodes import check, wait_until

RELAY_IP = "5.5.5.1"
START_RELAY = f"dfs node start --port :7000 --relay --advertise {RELAY_IP}:7000"
START_MEMBER = f"dfs node start --port :7001 --bootstrap {RELAY_IP}:7000 --api-port :9001 -i"


class Fresh(nodes.Member):
    """A machine with a home folder and nothing in it; `dfs` is on the path."""

    def __init__(self, lab, machine, command):
        nodes.Daemon.__init__(self, lab.shop.program, lab.shop.folder, machine.name)
        home = lab.shop.path(f"home-{machine.name}")
        home.mkdir()
        self.repo = home / ".distribute"
        self.command, self.inside, self.program = command, machine.inside, "dfs"
        self.environment = {"HOME": str(home), "PATH": f"{os.path.dirname(lab.shop.program)}:{os.environ['PATH']}"}
        lab.shop.daemons.append(self)

    def start_words(self):
        return shlex.split(self.command)[1:]

    def loopback_addresses(self):
        return []


def scene(lab, kinds):
    internet = lab.switch("net")
    public = lab.machine("relay")
    public.plug(internet, f"{RELAY_IP}/24")
    homes = [lab.nat(kind, f"home{i}", internet, f"5.5.5.{100 + i}", f"192.168.{i + 1}") for i, kind in enumerate(kinds)]
    relay = Fresh(lab, public, START_RELAY).start()
    members = [Fresh(lab, home, START_MEMBER).start() for home in homes]
    for member in members:
        wait_until(lambda m=member: sum(p["is_connected"] for p in m.rpc_lines("dfs/peers")) == len(kinds), 60, f"{member.name} knows the others")
    return relay, members


def type_in(member, line, **options):
    words = shlex.split(line)
    check(words[0] == "dfs", line)
    return member.text(*words[1:], **options)


def store_and_get(lab, kinds):
    relay, (a, b) = scene(lab, kinds)
    check(f"Bootstrap peer at {RELAY_IP}:7000 is {relay.peer_id}" in a.out_path.read_text(), "whom it met is told")
    path = lab.shop.path("report.txt")
    secret = b"what the relay must not read "
    path.write_bytes(secret * 50000)
    said = type_in(a, f"dfs store {path}")
    cid = re.search(r"^CID: (\S+)$", said, re.M)[1]
    wait_until(lambda: a.mesh_status(cid)["copies"] == 3, 60, "all three hold it")
    b.run("key", "import", "-", stdin=a.run("key", "export").stdout)
    out = lab.shop.path("out.txt")
    said = type_in(b, f"dfs get {cid} -o {out}")
    check(said.splitlines()[-1] == "✓ File retrieved, decrypted, and saved." and out.read_bytes() == path.read_bytes(), said)
    for holder in (relay, b):
        for file in holder.repo.rglob("*"):
            check(not file.is_file() or secret not in file.read_bytes(), f"{holder.name} has plaintext in {file.name}")
    said = type_in(a, f"dfs delete {cid}")
    check(said.splitlines()[0] == "deleted on 3 of 3 holders", said)
    return relay, a, b


def test_mesh_behind_nats(lab):
    labs.need("nft")
    relay, a, b = store_and_get(lab, ["port", "port"])
    # Whom it met is kept: another one at the relay's address is not taken for it.
    a.stop()
    b.stop()
    relay.stop()
    key = relay.repo / "config"
    kept = key.read_bytes()
    os.rename(relay.repo, f"{relay.repo}-kept")
    relay.start()
    check(relay.repo.exists() and kept, "a fresh relay")
    a.start()
    check(not wait_short(lambda: any(p["is_connected"] for p in a.rpc_lines("dfs/peers")), 5), "a stranger was taken for the relay")
    check("another peer answers" in a.err_path.read_text(), a.last_words())


def wait_short(condition, seconds):
    try:
        return wait_until(condition, seconds, "it")
    except nodes.Failure:
        return None


def test_mesh_behind_symmetric_nats(lab):
    """These cannot meet directly: all goes through the relay."""
    labs.need("nft")
    relay, a, b = store_and_get(lab, ["symmetric", "symmetric"])
    check(any(p["peer"] == b.peer_id and p["is_relayed"] for p in a.rpc_lines("dfs/peers")), "it went through the relay")
