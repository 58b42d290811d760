#!/usr/bin/env python3
"""Runs the simulator's scenarios with many seeds, several at once; one seed twice, whose runs must be equal.

run_sim.py BUILD [--run SCENARIO:SEEDS …] [--jobs N] [--first N]
"""
import argparse
import concurrent.futures
import os
import re
import subprocess
import sys
import time

PAGES = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}  # a world is 100 MB that are gone through all over: a fifth of the time were misses of the TLB


def run(program, seed):
    began = time.monotonic()
    result = subprocess.run([program, "--seed", str(seed)], env={**os.environ, **PAGES}, capture_output=True, text=True, timeout=1800)
    line = (result.stdout.strip().splitlines() or ["no output"])[-1]
    if result.returncode:
        line += "\n" + result.stderr[-2000:]
    return seed, result.returncode == 0, line, time.monotonic() - began


def run_scenario(build, name, count, options):
    """Prints a line for each seed; returns how many passed and failed."""
    program = f"{build}/sim/scenarios/{name}"
    seeds = [options.first, *range(options.first, options.first + count)]
    passed = failed = 0
    hashes = {}
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for seed, ok, line, seconds in pool.map(lambda s: run(program, s), seeds):
            found = re.search(r"hash ([0-9a-f]+)", line)
            if ok and seed in hashes and hashes[seed] != found[1]:
                ok, line = False, f"seed {seed}: FAILED: two runs differ: {hashes[seed]} and {found[1]}"
            hashes[seed] = found[1] if found else None
            passed, failed = passed + ok, failed + (not ok)
            print(f"{name}: {line} ({seconds:.0f} s)", flush=True)
    return passed, failed


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--run", action="append", metavar="SCENARIO:SEEDS", help="default: scenarios:50")
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    passed = failed = 0
    for what in options.run or ["scenarios:50"]:
        name, count = what.split(":")
        results = run_scenario(options.build, name, int(count), options)
        passed, failed = passed + results[0], failed + results[1]
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
