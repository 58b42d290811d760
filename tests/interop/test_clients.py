"""Client libraries that we did not write, against our RPC: kubo-rpc-client (npm) and Kubo's client/rpc (Go), each running a scenario of
its own (clients/), which passes against Kubo, too; and the suite that Kubo's makers have for all implementations of their Go interface. Run
by run.py."""
import os
import pathlib
import re
import subprocess

import nodes
from nodes import check

CLIENTS = pathlib.Path(__file__).resolve().parent / "clients"


def built(script, *words):
    result = subprocess.run([CLIENTS / script, *words], capture_output=True, text=True, timeout=900)
    if result.returncode == 3:
        raise nodes.Skip(f"{script}: not installed here: {result.stderr.strip()[-200:]}")
    check(result.returncode == 0, f"{script}: {result.stderr[-500:]}")
    return result.stdout.strip()


def run_scenario(shop, words):
    node, other = shop.node("served"), shop.kubo("other")
    result = subprocess.run([*words, f"http://127.0.0.1:{node.api_port}", other.addresses[0]], capture_output=True, text=True, timeout=180)
    lines = result.stdout.splitlines()
    failed = [line for line in lines if not line.startswith("ok ")]
    check(len(lines) > 8, f"the scenario ended early: {result.stdout} {result.stderr[-500:]}")
    check(not failed, "\n".join(failed))


def test_kubo_rpc_client(shop):
    run_scenario(shop, ["node", f"{built('build_js_client.sh')}/scenario.mjs"])


def test_go_client(shop):
    run_scenario(shop, [built("build_go_client.sh")])


def test_go_interface_suite(shop):
    """Blocks, DAGs, keys, names, objects, paths, pins, pubsub, routing, UnixFS: what Kubo passes over its RPC."""
    suite = built("build_go_suite.sh")
    env = dict(os.environ, PROGRAM=str(pathlib.Path(shop.program).parent / "ipfs"), FOLDER=str(shop.path("suite")))
    shop.path("suite").mkdir()
    result = subprocess.run([suite, "-test.v", "-test.timeout=300s"], cwd=shop.path("suite"), env=env, capture_output=True, text=True, timeout=320)
    passed, failed = (re.findall(rf"^ *--- {word}: (\S+)", result.stdout, re.M) for word in ("PASS", "FAIL"))
    check(not failed and result.returncode == 0, f"failed: {failed}: {result.stdout[-1500:]} {result.stderr[-500:]}")
    check(len(passed) > 120, f"only {len(passed)} ran")
