"""Kubo's command list against ours (tests/vectors/kubo-commands.tsv, taken from Kubo 0.42): each path answers over the RPC, takes
the same options under the same names, and is there on the command line; and what the commands about the node itself do. Run by
run.py."""
import csv
import http.client
import io
import json
import pathlib
import re
import subprocess
import threading
import zipfile

import nodes
from nodes import check, fails, wait_until

VECTORS = pathlib.Path(__file__).resolve().parent.parent / "vectors" / "kubo-commands.tsv"
# They end the node, never end, or take their time.
NOT_ASKED = ("shutdown", "log/tail", "diag/profile", "repo/gc", "repo/verify")
SOMEBODY = "12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5"


def commands():
    with open(VECTORS, newline="") as f:
        return list(csv.DictReader(f, delimiter="\t", quoting=csv.QUOTE_NONE))


def options_of(row):
    """[(names, type)]"""
    return [(o.split(":")[0].split(","), o.split(":")[1].split("=")[0]) for o in row["options"].split("|") if o]


def post(node, path, headers=None, body=None, method="POST", timeout=60):
    connection = http.client.HTTPConnection("127.0.0.1", node.api_port, timeout=timeout)
    connection.request(method, f"/api/v0/{path}", body=body, headers=headers or {})
    response = connection.getresponse()
    data = response.read()
    connection.close()
    return response, data


def wanted_refusal(row):
    """What Kubo says to a request without any argument; None: it is none."""
    for argument in filter(None, row["arguments"].split("|")):
        if argument.startswith("?"):
            continue
        name = argument.strip("@<").removesuffix("...")
        return f"file argument '{name}' is required\n" if argument.startswith("@") else f'argument "{name}" is required\n'
    return None


def test_every_command_of_kubo_answers(shop):
    node = shop.node("list")
    asked = 0
    for row in commands():
        path, refusal = row["path"], wanted_refusal(row)
        if path in NOT_ASKED:
            continue
        response, data = post(node, path)
        asked += 1
        if row["where"] == "local":
            check(response.status == 404, f"{path} is for the command line and answers {response.status}")
            continue
        check(response.status != 404, f"{path} is not there")
        if row["kind"] == "group":
            check(response.status == 200 and not data, f"the group {path}: {response.status} {data!r}")
        elif refusal:
            check(response.status == 400 and data.decode() == refusal, f"{path}: {response.status} {data!r}, wanted {refusal!r}")
            check(response.getheader("Content-Type") == "text/plain; charset=utf-8", f"{path}: {response.getheader('Content-Type')}")
        elif response.status != 200:
            error = json.loads(data)
            check(error["Type"] == "error" and error["Message"], f"{path}: {data!r}")
    check(asked > 110, f"{asked} commands asked")


def test_options_have_kubos_names(shop):
    node = shop.node("options")
    tree = node.rpc("commands", flags="true")
    ours = {}

    def collect(entry, above):
        for sub in entry["Subcommands"]:
            path = f"{above}/{sub['Name']}".lstrip("/")
            ours[path] = [set(o["Names"]) for o in sub["Options"]]
            collect(sub, path)

    collect(tree, "")
    checked = 0
    for row in commands():
        if row["kind"] == "group" or row["where"] == "local":
            continue
        for names, _ in options_of(row):
            check(set(names) in ours[row["path"]], f"{row['path']}: no option {names}, but {ours[row['path']]}")
            checked += 1
    check(checked > 80, f"{checked} options")
    listed = {line for line in node.text("commands").splitlines()}
    check({f"{pathlib.Path(node.program).name} swarm peers", f"{pathlib.Path(node.program).name} pin add"} <= listed, "commands")


def test_options_are_checked_before_a_command_runs(shop):
    node = shop.node("types")
    for row in commands():
        if row["kind"] == "group" or row["where"] == "local":
            continue
        for names, kind in options_of(row):
            if kind in ("bool", "int", "int64", "uint", "uint64"):
                for name in names:
                    response, data = post(node, f"{row['path']}?{name}=three")
                    want = f'could not convert value "three" to type "{kind}" (for option "-{name}")\n'
                    check(response.status == 400 and data.decode() == want, f"{row['path']}: {response.status} {data!r}")
    response, data = post(node, "version?encoding=nonsense")
    check(response.status == 400 and data == b"invalid encoding: nonsense\n", f"{response.status} {data!r}")


def test_short_names_of_options_count_over_http(shop):
    node = shop.node("node")
    path = shop.file("content", 1000)
    cid = node.text("add", "-Q", str(path)).strip()
    check(post(node, f"cat?arg={cid}&o=990&l=5")[1] == path.read_bytes()[990:995], "cat -o -l")
    many = ["silent=false", "trickle=false", "wrap-with-directory=false", "pin=false", "raw-leaves=true", "nocopy=false", "fscache=false", "cid-version=1",
            "hash=sha2-256", "inline=false", "inline-limit=32", "preserve-mode=false", "preserve-mtime=false", "progress=false", "quiet=false",
            "quieter=false", "offline=true", "timeout=10s"]
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    body = b'--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\nContent-Type: application/octet-stream\r\n\r\n%s\r\n--b--\r\n'
    for options, content in ([], b"few"), (many, b"very many"):
        for option, is_stored in ("n=true", False), ("q=true", True):
            response, data = post(node, "add?" + "&".join([*options, option]), headers, body % content)
            check(response.status == 200, f"add: {data!r}")
            result = node.run("block", "stat", "--offline", json.loads(data.splitlines()[-1])["Hash"], check_code=False)
            check((result.returncode == 0) == is_stored, f"{len(options)} options and {option}: {result.stdout} {result.stderr}")


def test_the_empty_folder_is_always_here(shop):
    node, empty = shop.node("node"), "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn"
    check(node.text("ls", "--offline", empty) == "", "ls")
    node.text("files", "cp", f"/ipfs/{empty}", "/new")
    check(node.text("files", "ls").split() == ["new"], "files cp")
    made = node.text("object", "patch", "add-link", "--offline", empty, "a", empty).strip()
    check(node.text("ls", "--offline", made).split() == [empty, "-", "a/"], node.text("ls", "--offline", made))
    node.text("repo", "gc")
    check(node.text("block", "stat", "--offline", empty).split()[-1] == "4", "after a collection")


def test_what_gos_client_relies_on(shop):
    """Smaller things that the suite of Kubo's Go interface (tests/interop) looks at."""
    node = shop.node("node")
    check(node.text("pin", "rm", "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn").startswith("unpinned"), "the pin of Kubo's new repositories")
    fails(node, "pin", "rm", node.text("add", "-Q", "--pin=false", shop.file("loose", 10)), saying="not pinned")
    check(node.text("add", "-Q", "--inline", "--inline-limit=0", "--raw-leaves", shop.file("empty", 0)) == "bafkqaaa", "the empty block is inline")
    check(not node.text("add", "-Q", "--inline", "--inline-limit=0", "--raw-leaves", shop.file("byte", 1)).startswith("bafkq"), "others are not")
    folder = shop.path("tree")
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "file").write_text("x")
    told = [json.loads(line)["Name"] for line in node.run("add", "--json", "--silent", "-r", folder).stdout.splitlines()]
    check(told == ["tree/sub", "tree"], f"folders are told, files are not: {told}")
    no_unixfs = node.run("dag", "put", "--store-codec=dag-pb", stdin=b'{"Links":[]}').stdout.decode().strip()
    fails(node, "get", no_unixfs, saying="required field")
    missing = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"
    fails(node, "block", "get", "--offline", missing, saying=f"ipld: could not find {missing}")


def test_what_javascripts_client_relies_on(shop):
    """Smaller things that the suite of kubo-rpc-client looks at."""
    node = shop.node("node", {"Internal.UnixFSShardingSizeThreshold": "1B"})
    node.text("files", "mkdir", "/sharded")
    node.run("files", "write", "--create", "/sharded/file", stdin=b"x")
    kind = json.loads(node.run("dag", "get", node.text("files", "stat", "--hash", "/sharded")).stdout)["Data"]["/"]["bytes"]
    check(kind.startswith("CAU"), f"a sharded folder (UnixFS type 5): {kind}")
    node.run("files", "write", "--create", "/sharded/second, with a longer name", stdin=b"x")
    node.text("files", "mv", "/sharded/second, with a longer name", "/moved")
    kind = json.loads(node.run("dag", "get", node.text("files", "stat", "--hash", "/sharded")).stdout)["Data"]["/"]["bytes"]
    check(kind.startswith("CAU"), f"with what is left it is still over the threshold: {kind}")
    response, body = node.rpc_raw("block/get", ["bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"], {"timeout": "300ms"})
    check(response.status == 500 and "context deadline exceeded" in json.loads(body)["Message"], f"the words of a time-out: {body}")


def test_words_from_standard_input(shop):
    """`bootstrap rm` takes them too, but --all asks for none; around CIDs there may be spaces."""
    node = shop.node("words", start=False)
    node.text("bootstrap", "rm", "--all")
    ids = ["QmNnooDu7bfjPFoTZYxMNLWUQJyrVwtbZg5gBMjTezGAJN", "QmQCU2EcMqAqQPR2i9bChDtGNJchTbq5TbXJJ16u19uLTa"]
    peers = [f"/ip4/127.0.0.1/tcp/4001/p2p/{i}" for i in ids]
    given = "".join(f"{p}\n" for p in peers).encode()
    check(node.text("bootstrap", "add", stdin=given).splitlines() == [f"added {p}" for p in peers], "bootstrap add")
    check(node.text("bootstrap", "rm", stdin=given).splitlines() == [f"removed {p}" for p in peers], "bootstrap rm")
    check(not node.text("bootstrap"), "all are gone")
    node.text("bootstrap", "add", *peers)
    check(node.text("bootstrap", "rm", stdin=b"") == "" and len(node.text("bootstrap").split()) == 2, "nothing asked, nothing removed")
    node.text("bootstrap", "rm", "--all", stdin=b"not read\n")
    check(not node.text("bootstrap"), "rm --all")
    cid = node.text("cid", "base32", ids[0])
    check(node.text("cid", "base32", stdin=f" {ids[0]}\t\r\n  {ids[0]}\n".encode()).split() == [cid, cid], "cid base32")
    fails(node, "block", "stat", stdin=f" {ids[0]}\n".encode(), saying="invalid path")
    check(node.text("cid", "format", "-b=f", ids[0]) == node.text("cid", "format", "-b=base16", ids[0]), "a base by its prefix")
    check(node.text("cid", "format", "--v=1", "-b", "z", ids[0])[0] == "z", "another")


def test_digests_that_prove_nothing_are_not_waited_for(shop):
    """Hash functions and lengths that no block may have: refused at once, also online."""
    node = shop.node("weak")
    for cid, saying in (("bafksebhh7d53e", "potentially insecure hash"), ("bafkreez3itiri7ghbbf6lzej7paxyxy2qznpw", "digest too small")):
        for words in (["cat"], ["get", "-o", str(shop.path("weak.out"))], ["block", "get"], ["block", "stat"], ["dag", "get"], ["ls"],
                      ["pin", "add"]):
            fails(node, *words, cid, saying=saying)
    dag = node.text("dag", "put", "--input-codec=dag-json", stdin=b'{"weak":{"/":"bafksebhh7d53e"}}')
    fails(node, "dag", "get", f"{dag}/weak", saying="potentially insecure hash")
    fails(node, "pin", "add", dag, saying="potentially insecure hash")


def test_bootstrap_auto_stands_for_the_default_peers(shop):
    node = shop.node("node", start=False)
    own = "/ip4/127.0.0.1/tcp/4001/p2p/12D3KooWKnDdG3iXw9eTFijk3EWSunZcFi54Zka4wmtqtt6rPxc8"
    fails(node, "bootstrap", "add", "default", saying="AutoConf is disabled")  # by the profile for tests
    node.text("config", "--bool", "AutoConf.Enabled", "true")
    for word in "default", "auto":
        check(node.text("bootstrap", "add", word) == "added auto" and node.text("bootstrap") == "auto", word)
    peers = node.text("bootstrap", "list", "--expand-auto").split()
    check(len(peers) == 6 and all("/p2p/" in peer for peer in peers), f"the default peers: {peers}")
    node.text("bootstrap", "add", own)
    fails(node, "bootstrap", "rm", own, saying="rm --all")
    check(sorted(node.text("bootstrap").split()) == [own, "auto"], "nothing was removed")
    check(sorted(node.text("bootstrap", "rm", "--all").split()[1::2]) == [own, "auto"] and not node.text("bootstrap"), "rm --all")


def test_help_names_kubos_options(shop):
    program = str(pathlib.Path(shop.program).parent / "ipfs")
    missing = []
    for row in commands():
        path = row["path"]
        if path == "update" or path.startswith("update/"):
            continue
        result = subprocess.run([program, *path.split("/"), "--help"], capture_output=True, text=True, timeout=60)
        check(result.returncode == 0, f"{path} --help: {result.stderr}")
        for names, _ in options_of(row) if row["kind"] != "group" else ():
            if len(names[0]) > 1 and f"--{names[0]}" not in result.stdout:
                missing.append(f"{path} --{names[0]}")
            short = [n for n in names if len(n) == 1]
            if len(names[0]) > 1 and short and f"-{short[0]}," not in result.stdout:
                missing.append(f"{path} -{short[0]}")
    check(not missing, f"help does not name {missing}")


def test_arguments_in_the_path_and_in_the_upload(shop):
    node = shop.node("args")
    first, second = (node.text("add", "-Q", stdin=text) for text in (b"one", b"two"))
    response, data = post(node, f"cat/{first}")
    check(response.status == 200 and data == b"one", f"cat/CID: {response.status} {data!r}")
    body = ("--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"\"\r\nContent-Type: application/octet-stream\r\n\r\n"
            f"{first}\n{second}\n\r\n--B--\r\n")
    response, data = post(node, "cat", {"Content-Type": "multipart/form-data; boundary=B"}, body)
    check(response.status == 200 and data == b"onetwo", f"words in the upload: {response.status} {data!r}")
    response, data = post(node, "commands/completion/bash")
    check(response.status == 404, f"{response.status} {data!r}")


def test_peering(shop):
    a, b = shop.node("peer-a"), shop.node("peer-b")
    check(a.text("swarm", "peering", "add", b.addresses[0]) == f"add {b.peer_id} success", "add")
    wait_until(lambda: b.peer_id in a.peers(), 60, "connected to a peering")
    listed = a.text("swarm", "peering", "ls").splitlines()
    check(listed[0] == b.peer_id and listed[1].strip().startswith("/ip4/127.0.0.1/tcp/"), f"{listed}")
    check(a.text("swarm", "peering", "rm", b.peer_id) == f"remove {b.peer_id} success", "rm")
    check(a.text("swarm", "peering", "ls") == "", "still listed")
    fails(a, "swarm", "peering", "add", "/ip4/127.0.0.1/tcp/1", saying="p2p|peer")


def test_traffic(shop):
    a, b = shop.node("bw-a"), shop.node("bw-b")
    a.connect(b)
    cid = b.text("add", "-Q", shop.file("bw", 3 << 20))
    a.run("cat", cid)
    one = a.rpc("stats/bw", peer=b.peer_id)
    total = a.rpc("stats/bw")
    check(total["TotalIn"] > 3 << 20 and total["TotalOut"] > 0, f"{total}")
    check(3 << 20 < one["TotalIn"] <= total["TotalIn"], f"{one}")
    bitswap = a.rpc("stats/bw", proto="/ipfs/bitswap/1.2.0")
    given = b.rpc("stats/bw", proto="/ipfs/bitswap/1.2.0")
    check(bitswap["TotalIn"] + given["TotalIn"] > 3 << 20, f"{bitswap} {given}")
    check(a.rpc("stats/bw", proto="/nobody/speaks/this")["TotalIn"] == 0, "an unknown protocol")
    fails(a, "stats", "bw", "-p", b.peer_id, "-t", "/x", code=2, saying="peer OR protocol")
    check(re.match(r"Bandwidth\nTotalIn: 3\.\d MB\nTotalOut: .*\nRateIn: .*/s\nRateOut: .*/s$", a.text("stats", "bw")), a.text("stats", "bw"))
    check(a.rpc("stats/bitswap")["BlocksReceived"] == a.rpc("bitswap/stat")["BlocksReceived"] > 10, "stats bitswap")
    check("DHT lan" in a.text("stats", "dht", "lan"), "stats dht")
    fails(a, "stats", "dht", "nonsense", code=2, saying="unknown dht type")


def test_provide(shop):
    a, b = shop.node("pr-a"), shop.node("pr-b")
    cid = a.text("add", "-Q", shop.file("pr", 1 << 20))
    fails(a, "provide", "once", cid, saying="no connected peers")
    a.connect(b)
    check(a.text("provide", "once", cid) == "queued 1 CID(s) for immediate provide", "once")
    check(a.text("provide", "once", "-r", cid) == "queued 5 CID(s) for immediate provide", "once -r")
    fails(a, "provide", "once", nodes.raw_cid("QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG"), saying="not found locally")
    check("Provide queue:" in a.text("provide", "stat") and re.search(r"^ *Replication factor: +20$", a.text("provide", "stat", "--all"), re.M), "stat")
    check(re.match(r"removed \d+ items from provide queue$", a.text("provide", "clear")), "clear")
    fails(a, "routing", "reprovide", saying="manual reprovide is not available")


def test_log_levels(shop):
    node = shop.node("log")
    check(node.text("log", "level") == "info", node.text("log", "level"))
    check(node.text("log", "level", "net", "debug") == "Changed log level of 'net' to 'debug'", "set one")
    check(node.text("log", "level", "net") == "debug" and node.text("log", "level", "api") == "info", "one level of two")
    levels = node.text("log", "level", "all").splitlines()
    check("net: debug" in levels and "(default): info" in levels, f"{levels}")
    check(node.text("log", "level", "all", "warn") == "Changed log level of '*' to 'warn'", "set all")
    check(node.text("log", "level", "net") == "warn", "all means all")
    fails(node, "log", "level", "nonsense", "debug", saying="No such logger")
    fails(node, "log", "level", "net", "loud", saying="unrecognized level")
    check({"net", "api", "store"} <= set(node.text("log", "ls").split()), "log ls")


def test_log_tail(shop):
    node = shop.node("tail")
    node.run("log", "level", "api", "debug")
    lines, ready = [], threading.Event()
    connection = http.client.HTTPConnection("127.0.0.1", node.api_port, timeout=60)
    connection.request("POST", "/api/v0/log/tail")
    response = connection.getresponse()
    check(response.getheader("X-Stream-Output") == "1", f"{response.getheaders()}")

    def read():
        lines.append(response.readline())
        ready.set()

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    node.rpc_raw("block/stat", ["nonsense"])
    check(ready.wait(60), "no line came")
    check({"level", "ts", "msg"} <= set(json.loads(lines[0])), f"{lines}")
    running = [c["Command"] for c in node.rpc("diag/cmds") if c["Active"]]
    check("log/tail" in running, f"running: {running}")
    connection.sock.shutdown(2)
    connection.close()
    wait_until(lambda: "log/tail" not in [c["Command"] for c in node.rpc("diag/cmds") if c["Active"]], 60, "a client that left ends its command")


def test_diag(shop):
    node = shop.node("diag")
    check(node.text("diag", "healthy") == '"ok"', node.text("diag", "healthy"))
    info = json.loads(node.text("diag", "sys"))
    check(info["ipfs_version"] == node.rpc("version")["Version"] and info["net"]["online"] is True, f"{info}")
    check(info["diskinfo"]["total_space"] > info["diskinfo"]["free_space"] > 0, f"{info['diskinfo']}")
    node.rpc_raw("block/stat", ["nonsense"])
    last = [c for c in node.rpc("diag/cmds") if c["Command"] == "block/stat"][-1]
    check(last["Args"] == ["nonsense"] and not last["Active"], f"{last}")
    node.rpc_raw("diag/cmds/clear")
    check("block/stat" not in [c["Command"] for c in node.rpc("diag/cmds")], "clear")
    node.rpc_raw("diag/cmds/set-time", ["0s"])
    node.rpc_raw("block/stat", ["nonsense"])
    check("block/stat" not in [c["Command"] for c in node.rpc("diag/cmds")], "set-time")
    out = shop.path("profile.zip")
    check(node.text("diag", "profile", "-o", out) == f"Wrote profiles to: {out}", "profile")
    with zipfile.ZipFile(out) as archive:
        check(archive.testzip() is None, "the archive is damaged")
        check({"version.json", "tasks.txt", "metrics.txt", "commands.json"} == set(archive.namelist()), f"{archive.namelist()}")
        key = json.loads((node.repo / "config").read_text())["Identity"]["PrivKey"].encode()
        check(not any(key in archive.read(n) for n in archive.namelist()), "the private key is in the archive")


def test_version_details(shop):
    node = shop.node("versions")
    names = [line.split("@")[0] for line in node.text("version", "deps").splitlines()]
    check(names[0] == "distribute" and "libcrypto" in names, f"{names}")
    said = node.rpc("version/check")
    check(said["PeersSampled"] == 1 and not said["UpdateAvailable"] and said["GreatestVersion"] == said["RunningVersion"], f"{said}")
    fails(node, "update", "install", saying="does not replace itself")


def test_removed_and_not_enabled(shop):
    node = shop.node("absent")
    for words in (["dht", "findprovs", SOMEBODY], ["dht", "get", "/ipns/x"], ["dht", "provide", SOMEBODY]):
        fails(node, *words, saying="removed, use 'ipfs routing' instead")
    for words in (["p2p", "ls"], ["p2p", "listen", "/x/a", "/ip4/127.0.0.1/tcp/1"], ["p2p", "forward", "/x/a", "/ip4/127.0.0.1/tcp/1", "/p2p/" + SOMEBODY]):
        fails(node, *words, saying="libp2p stream mounting not enabled")
    fails(node, "pubsub", "ls", saying="experimental pubsub feature not enabled, run daemon with --enable-pubsub-experiment to use")


def test_completion(shop):
    node = shop.node("completion", start=False)
    name = pathlib.Path(node.program).name
    script = shop.path("completion.bash")
    script.write_text(node.text("commands", "completion", "bash"))

    def complete(*words):
        line = " ".join(f"'{w}'" for w in words)
        code = f"source {script}; COMP_WORDS=({name} {line}); COMP_CWORD={len(words)}; _{name}; printf '%s\\n' \"${{COMPREPLY[@]}}\""
        return subprocess.run(["bash", "-c", code], capture_output=True, text=True, timeout=60, check=True).stdout.split()

    check({"add", "swarm", "pin"} <= set(complete("")), f"{complete('')}")
    check(complete("sw") == ["swarm"], f"{complete('sw')}")
    check({"peers", "addrs", "peering"} <= set(complete("swarm", "")), f"{complete('swarm', '')}")
    check(complete("swarm", "peering", "a") == ["add"], f"{complete('swarm', 'peering', 'a')}")
    check("--recursive" in complete("add", "--rec"), f"{complete('add', '--rec')}")
    check("complete -c" in node.text("commands", "completion", "fish") and "#compdef" in node.text("commands", "completion", "zsh"), "other shells")


def test_config_edit(shop):
    node = shop.node("edit", start=False)
    node.environment = {**node.environment, "EDITOR": "sed -i s/10GB/11GB/"}
    node.run("config", "edit")
    check(node.text("config", "Datastore.StorageMax") == "11GB", "the editor's change")


def test_id_formats(shop):
    node = shop.node("id")
    key = node.rpc("id")
    check(node.text("id", "--format=<id>\\t<aver>\\n<pubkey>") == f"{key['ID']}\t{key['AgentVersion']}\n{key['PublicKey']}", "format")
    check(node.text("id", "-f=<protocols>").splitlines() == key["Protocols"], "protocols")
    check(node.rpc("id", **{"peerid-base": "base36"})["ID"].startswith("k51"), "peerid-base")
    fails(node, "id", "nonsense", saying="invalid peer id")


def test_datastore(shop):
    """The state database can be looked into while no node runs."""
    node = shop.node("state", start=False)
    cid = node.text("add", "-Q", shop.file("f", 1000))
    check(node.text("diag", "datastore", "count", "/pins/") == "1", f"one pin: {cid}")
    fails(node, "diag", "datastore", "get", "/pins/none", saying="key not found: /pins/none")
    fails(node, "diag", "datastore", "count", "/", code=2, saying="/SPACE/KEY")
    node.run("diag", "datastore", "put", "/test/a%20b", "hello")
    check(node.run("diag", "datastore", "get", "/test/a%20b").stdout == b"hello", "the bytes")
    dump = "Key: /test/a b\nHex Dump:\n00000000  68 65 6c 6c 6f                                    |hello|"
    check(node.text("diag", "datastore", "get", "--hex", "/test/a b") == dump, node.text("diag", "datastore", "get", "--hex", "/test/a b"))
    node.start()
    fails(node, "diag", "datastore", "get", "/test/a%20b", saying="please stop it")
    fails(node, "files", "chroot", "--confirm", saying="please stop it")
    fails(node, "repo", "migrate", saying="please stop it")
