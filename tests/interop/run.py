#!/usr/bin/env python3
"""Runs the tests against Kubo. run.py KUBO PROGRAM [NAME-PART…]"""
import importlib
import pathlib
import sys

here = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(here), str(here.parent / "process")]
import nodes


def main(argv):
    kubo, program, *only = argv
    runner = nodes.Runner()
    for module in [importlib.import_module(path.stem) for path in sorted(here.glob("test_*.py"))]:
        for name, function in nodes.tests_of(module, only):
            with nodes.Workshop(program, kubo) as shop:
                runner.run(name, run_test, module, function, shop)
    return runner.close()


def run_test(module, function, shop):
    getattr(module, "begin", lambda shop: None)(shop)
    function(shop)
    getattr(module, "finish", lambda shop: None)(shop)
    shop.finish()


if __name__ == "__main__":
    nodes.end_on_signals()
    sys.exit(main(sys.argv[1:]))
