#!/usr/bin/env python3
"""Runs the tests of real processes. run.py PROGRAM [--file NAME] [NAME-PART…]"""
import importlib
import pathlib
import sys

here = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(here), str(here.parent / "process")]
import nodes


def main(argv):
    program, *only = argv
    files = "test_*.py"
    if only[:1] == ["--file"]:
        files = f"{only[1]}.py"
        only = only[2:]
    runner = nodes.Runner()
    for module in [importlib.import_module(path.stem) for path in sorted(here.glob(files))]:
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
