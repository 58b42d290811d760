"""Client libraries that we did not write, against our RPC: kubo-rpc-client (npm) and Kubo's client/rpc (Go), each running a scenario of
its own (clients/), which passes against Kubo, too. Run by run.py."""
import pathlib
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
