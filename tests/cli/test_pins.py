"""Pins, collection and verification of the store, as a user meets them. Run by run.py."""
import concurrent.futures
import fcntl
import json
import threading

import nodes
import pinning_service
from nodes import check, fails

MIB = 1 << 20
NOBODY_HAS = "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG"


def test_pin_ls_options(shop):
    node = shop.node("pin-ls")
    folder = shop.path("tree")
    (folder / "sub").mkdir(parents=True)
    (folder / "a").write_bytes(b"a")
    (folder / "sub" / "b").write_bytes(nodes.make_bytes("b", 600000))
    root = node.text("add", "-r", "-Q", folder)
    leaf, sub = node.text("resolve", f"/ipfs/{root}/a").split("/")[-1], node.text("resolve", f"/ipfs/{root}/sub").split("/")[-1]
    node.run("pin", "add", "-r=false", "--name=one leaf", leaf)
    node.run("pin", "add", "--name=the sub", sub)
    lines = node.text("pin", "ls").splitlines()
    check(f"{root} recursive" in lines and f"{leaf} direct" in lines and f"{sub} recursive" in lines, f"pin ls: {lines}")
    check(sum(line.endswith(" indirect") for line in lines) == 4, f"pin ls: {lines}")  # b, and its three leaves
    check(len({line.split()[0] for line in lines}) == len(lines), f"a CID twice: {lines}")
    check(node.text("pin", "ls", "-t", "direct", "--names") == f"{leaf} direct one leaf", "--names")
    check(node.text("pin", "ls", "-n", "sub") == f"{sub} recursive the sub", "--name")
    check(node.text("pin", "ls", "-q", "-t", "direct") == leaf, "-q")
    check(sorted(node.text("pin", "ls", "-s").splitlines()) == sorted(lines), "--stream")
    answer = json.loads(node.text("pin", "ls", "--enc=json", "--names"))
    check(len(answer["Keys"]) == len(lines) and answer["Keys"][leaf] == {"Type": "direct", "Name": "one leaf"}, f"json: {answer}")
    b = node.text("resolve", f"/ipfs/{root}/sub/b").split("/")[-1]
    said = node.text("pin", "ls", f"/ipfs/{root}/sub", leaf, b)
    check(said.splitlines()[:2] == [f"{sub} recursive", f"{leaf} direct"] and " indirect through " in said.splitlines()[2], said)
    check(node.text("pin", "ls", "-t", "indirect", leaf) == f"{leaf} indirect through {root}", "direct and indirect at once")
    fails(node, "pin", "ls", leaf, NOBODY_HAS, "--offline", saying=f"path '{NOBODY_HAS}' is not pinned")
    check(not node.run("pin", "ls", leaf, NOBODY_HAS, check_code=False).stdout, "half an answer")
    fails(node, "pin", "ls", "-t", "recursive", leaf, saying="is not pinned")
    fails(node, "pin", "ls", "-t", "foo", code=2, saying="must be one of")
    fails(node, "pin", "ls", "-n", "x" * 256, saying="256 bytes")


def test_pin_verify(shop):
    node = shop.node("verify", start=False)
    root, other = (node.text("add", "-Q", shop.file(n, MIB)) for n in ("root", "other"))
    check(node.text("pin", "verify") == "", "sound pins are told of")
    check(sorted(node.text("pin", "verify", "--verbose").splitlines()) == sorted(f"{c} ok" for c in (root, other)), "--verbose")
    fails(node, "pin", "verify", "--verbose", "--quiet", saying="can not be used at the same time")


def test_pin_add_tells_that_it_waits(shop):
    node = shop.node("a")
    response, data = node.rpc_raw("pin/add", [NOBODY_HAS], {"progress": "true", "timeout": "1200ms"})
    lines = [json.loads(line) for line in data.splitlines()]
    check(response.status == 200 and len(lines) >= 2 and not any(line["Progress"] for line in lines), f"{response.status}: {lines}")
    check(NOBODY_HAS not in str(node.rpc("pin/ls")), "it is pinned without being here")


def test_pin_update_moves_copies(shop):
    a, b = shop.node("upd1", start=False), shop.node("upd2", start=False)
    for node, other in ((a, b), (b, a)):
        node.configure(Replication__AllowFrom=[other.identity()])
        node.start()
    a.connect(b)
    old = a.text("add", "-Q", "--replicas=2", shop.file("old", MIB))
    new = a.text("add", "-Q", "--pin=false", shop.file("new", MIB))
    check(a.text("pin", "update", old, new) == f"updated {old} to {new}", "pin update")
    check("replication factor: 2/2" in a.text("status", new), a.text("status", new))
    check(new in a.text("replica", "ls") and old not in a.text("replica", "ls"), a.text("replica", "ls"))
    check(old not in a.text("pin", "ls", "-t", "recursive"), "the old pin is still there")
    fails(a, "pin", "update", old, new, saying="was not recursively pinned")
    a.stop()
    fails(a, "pin", "update", new, old, saying="start the node")


def test_verify_heals(shop):
    giver, node = shop.node("giver"), shop.node("healed", profile="test,flatfs")
    path = shop.file("content", 2 * MIB)
    cid = giver.text("add", "-Q", path)
    node.connect(giver)
    node.run("pin", "add", cid)
    fails(shop.node("offline", start=False), "repo", "verify", "--heal", saying="online mode|running node")
    check(node.text("repo", "verify") == "verify complete, all blocks validated.", "verify")
    files = sorted((node.repo / "blocks").glob("*/*.data"))[:3]
    for file in files:
        file.write_bytes(file.read_bytes()[:-1])
    said = node.run("repo", "verify", check_code=False)
    check(said.returncode == 1 and said.stdout.count(b"was corrupt") == 3, f"verify: {said}")
    said = node.text("repo", "verify", "--heal").splitlines()
    check(said[-1] == "verify complete, 3 blocks corrupt, 3 removed, 3 healed", f"heal: {said}")
    check(node.run("cat", "--offline", cid).stdout == path.read_bytes(), "the healed file is another one")
    giver.stop()
    files[0].write_bytes(b"x")
    said = node.run("repo", "verify", "--heal", "--heal-timeout=200ms", check_code=False)
    check(said.returncode == 1 and b"1 removed, 1 failed to heal" in said.stderr, f"nobody has it: {said}")
    check(not files[0].exists(), "what cannot be healed is gone")
    fails(node, "repo", "gc", saying="pins have missing blocks")


def test_storage_limit_under_load(shop):
    """With --enable-gc the limit is kept while clients add and read; what is pinned stays, and nothing is added beside it when it is all."""
    node = shop.node("limit", start=False)
    node.configure(Datastore__StorageMax="40MB")
    node.start("--enable-gc")
    kept = shop.file("kept", 4 * MIB)
    cid = node.text("add", "-Q", kept)
    worst = [0]

    def add(n):
        for i in range(8):
            node.run("add", "-Q", "--pin=false", stdin=nodes.make_bytes(f"{n}/{i}", 3 * MIB))

    def read(adders):
        while not all(a.done() for a in adders):
            check(node.run("cat", cid).stdout == kept.read_bytes(), "a pinned file is damaged")
            worst[0] = max(worst[0], node.rpc("repo/stat", size_only="true")["RepoSize"])

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        adders = [pool.submit(add, n) for n in range(3)]
        for done in [*adders, pool.submit(read, adders)]:
            done.result()
    check(20e6 < worst[0] <= 48e6, f"the repository took {worst[0]} bytes of 40 MB")
    pinned = []
    for i in range(20):
        result = node.run("add", "-Q", stdin=nodes.make_bytes(f"pinned/{i}", 3 * MIB), check_code=False)
        if result.returncode:
            break
        pinned.append(result.stdout.decode().strip())
    check(5 < len(pinned) < 13 and b"Datastore.StorageMax" in result.stderr, f"after {len(pinned)}: {result}")
    check(node.rpc("repo/stat", size_only="true")["RepoSize"] <= 42e6, "the limit is not kept")
    check(node.run("cat", cid).stdout == kept.read_bytes(), "reads go on when it is full")
    node.run("pin", "rm", pinned[0], pinned[1])
    node.run("add", "-Q", stdin=nodes.make_bytes("again", 3 * MIB))
    check(node.text("pin", "verify") == "", "a pin is broken")
    for i in range(40):
        node.run("files", "write", "--create", f"/{i % 3}", stdin=nodes.make_bytes(f"file/{i}", 30000))
    on_disk = sum(path.stat().st_blocks * 512 for path in node.repo.rglob("*") if path.is_file())
    said = node.rpc("repo/stat", size_only="true")["RepoSize"]
    check(abs(on_disk - said) < 300000, f"the repository takes {on_disk} bytes and says {said}")


def test_malformed_sizes_and_the_lock(shop):
    """A size or duration that cannot be read is an error that names it, when it is set and at the start; a second node is told who has the
    repository."""
    node = shop.node("malformed", start=False)
    fails(node, "config", "Datastore.StorageMax", "10XB", saying='Datastore.StorageMax.*"10XB".*10GB')
    fails(node, "config", "--json", "Swarm.ConnMgr", '{"GracePeriod": "soon"}', saying="Swarm.ConnMgr.GracePeriod.*soon.*duration")
    check(node.text("config", "Datastore.StorageMax") == "10GB", "the config was changed")
    path = node.repo / "config"
    path.write_text(path.read_text().replace('"StorageMax": "10GB"', '"StorageMax": "10XB"'))
    fails(node, *node.start_words(), saying='Datastore.StorageMax.*"10XB"')
    node.run("config", "Datastore.StorageMax", "1GB")  # what is wrong can be mended
    node.start()
    said = fails(node, *node.start_words(), saying="in use by the process with pid")
    check(f"pid {node.process.pid}," in said and f"/tcp/{node.api_port}" in said, said)


def test_the_lock_of_a_process_that_ends_is_waited_for(shop):
    """Whoever has it answers no requests: it will not have it for long."""
    node = shop.node("again", start=False)
    with open(node.repo / "repo.lock", "r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        release = threading.Timer(0.5, fcntl.flock, (lock, fcntl.LOCK_UN))
        release.start()
        check(node.text("repo", "stat", "--size-only"), "a command waits")
        release.join()


def test_pin_remote(shop):
    """A remote service over HTTP: pins by pages, hints of where the content is, keys that nobody is shown."""
    service = pinning_service.Service()
    try:
        node = shop.node("remote")
        node.run("pin", "remote", "service", "add", "srv", f"{service.endpoint}/", pinning_service.KEY)
        fails(node, "pin", "remote", "service", "add", "srv", service.endpoint, "x", saying="already present")
        cids = [node.text("add", "-Q", stdin=b"%d" % i) for i in range(8)]
        for i, cid in enumerate(cids):
            node.run("pin", "remote", "add", "--service=srv", f"--name=pin & {i % 2}", cid)
        origins = service.pins[0]["pin"]["origins"]
        check(any(node.peer_id in address for address in origins), f"origins: {origins}")
        listed = node.text("pin", "remote", "ls", "--service=srv").splitlines()
        check([line.split("\t")[0] for line in listed] == cids[::-1], f"pages: {listed}")
        check(len(node.text("pin", "remote", "ls", "--service=srv", "--name=pin & 1").splitlines()) == 4, "--name")
        check(node.text("pin", "remote", "service", "ls", "--stat").endswith("0/0/8/0"), "--stat")
        fails(node, "pin", "remote", "rm", "--service=srv", saying="add --force")
        node.run("pin", "remote", "rm", "--service=srv", f"--cid={cids[0]},{cids[1]}", "--force")
        check(len(service.pins) == 6, "rm")
        service.failing.add(cids[0])
        fails(node, "pin", "remote", "add", "--service=srv", cids[0], saying="remote service failed to pin")
        fails(node, "pin", "remote", "ls", "--service=other", saying="service not known")
        check(pinning_service.KEY not in node.text("config", "show") + node.err_path.read_text(), "the key is shown")
        fails(node, "config", "Pinning.RemoteServices.srv.API", saying="credentials")
        shown = shop.path("shown")
        shown.write_text(node.text("config", "show"))
        node.run("config", "replace", shown)
        node.run("pin", "remote", "ls", "--service=srv")  # its key has stayed
        service.close()
        fails(node, "pin", "remote", "ls", "--service=srv", saying="refused|connect|unreachable")
        check(node.text("pin", "remote", "service", "ls", "--stat").endswith(" invalid"), "--stat of a service that is gone")
        node.run("pin", "remote", "service", "rm", "srv")
        check(node.text("pin", "remote", "service", "ls") == "", "service rm")
    finally:
        service.close()


def test_many_words_from_standard_input(shop):
    """More than a request's target holds, and more than one request takes."""
    node = shop.node("words", start=False)
    folder = shop.path("files")
    folder.mkdir()
    for i in range(500):
        (folder / f"{i}").write_text(str(i))
    cids = [line for line in node.text("add", "-r", "-q", "--pin=false", folder).splitlines()][:500]
    words = "\n".join(cids).encode()
    check(node.run("pin", "add", stdin=words).stdout.count(b"pinned") == 500, "without a running node")
    node.start()
    check(node.run("pin", "rm", stdin=words).stdout.count(b"unpinned") == 500, "pin rm")
    check(node.run("pin", "add", stdin=b"\n".join([words] * 9)).stdout.count(b"pinned") == 4500, "several requests")
    check(len(set(node.text("pin", "ls", "-q", "-t", "recursive").split())) == 500, "pin ls")
    node.run("pin", "rm", stdin=words)
    fails(node, "pin", "add", stdin=words + b"\nnonsense\n", saying="nonsense")
    check(len(node.text("pin", "ls", "-q", "-t", "recursive").split()) == 500, "what came before the error is not pinned")
