#!/usr/bin/env python3
"""Runs the tests of real processes. run.py PROGRAM [NAME-PART…]"""
import pathlib
import sys

here = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(here), str(here.parent / "process")]
import nodes
import test_cli
import test_faults
import test_hostile


def main(argv):
    program, *only = argv
    runner = nodes.Runner()
    for module in (test_cli, test_faults, test_hostile):
        for name, function in nodes.tests_of(module, only):
            with nodes.Workshop(program) as shop:
                runner.run(name, run_test, function, shop)
    return runner.close()


def run_test(function, shop):
    function(shop)
    shop.finish()


if __name__ == "__main__":
    nodes.end_on_signals()
    sys.exit(main(sys.argv[1:]))
