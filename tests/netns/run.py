#!/usr/bin/env python3
"""Runs the tests in network namespaces. run.py PROGRAM TOOLS-FOLDER [--kubo=PATH] [--file NAME] [NAME-PART…]

Begins anew inside namespaces of its own (network, processes; and users, when not root), which end with it. Exits with 77, the
build tool's "skipped", where that is not allowed."""
import argparse
import importlib
import os
import pathlib
import subprocess
import sys

here = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(here), str(here.parent / "process")]
import lab
import nodes

SKIPPED = 77
MARK = "DISTRIBUTE_TEST_NAMESPACE"


def enclosure():
    """The command in front that gives namespaces, or None."""
    users = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    words = ["unshare", *users, "--net", "--pid", "--fork", "--kill-child=KILL", "--mount-proc", "--"]
    try:
        works = subprocess.run([*words, "ip", "link", "add", "try0", "type", "veth", "peer", "name", "try1"], capture_output=True)
    except FileNotFoundError:
        return None
    return words if works.returncode == 0 else None


def run_test(function, shop, tools):
    with lab.Lab(shop, tools) as test_lab:
        function(test_lab)
        shop.finish()


def main(argv):
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("tools")
    parser.add_argument("--kubo")
    parser.add_argument("--file", default="test_*")
    parser.add_argument("only", nargs="*")
    options = parser.parse_intermixed_args(argv)
    if MARK not in os.environ:
        words = enclosure()
        if words is None:
            print("skipped: needs network namespaces (unshare, ip, and the right to use them)")
            return SKIPPED
        os.environ[MARK] = "1"
        os.execvp(words[0], [*words, sys.executable, __file__, *argv])
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    nodes.end_on_signals()
    runner = nodes.Runner()
    for module in [importlib.import_module(path.stem) for path in sorted(here.glob(f"{options.file}.py"))]:
        for name, function in nodes.tests_of(module, options.only):
            with nodes.Workshop(options.program, options.kubo) as shop:
                runner.run(name, run_test, function, shop, options.tools)
    if not runner.passed and not runner.failed:
        return SKIPPED
    return runner.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
