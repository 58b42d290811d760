#!/usr/bin/env python3
"""Runs the tests of a coverage build and reports line coverage by folder; fails when a critical one is below 90%.

coverage.py BUILD
"""
import collections
import json
import subprocess
import sys

CRITICAL = ["base", "multi", "codec", "wire", "logic", "store", "repo", "replica"]
NEEDED = 90.0


def main(build):
    code = subprocess.run(["tools/run_tests.py", build]).returncode
    report = subprocess.run(
        ["gcovr", "--root", ".", "--filter", "src/", "--exclude", r".*_(test|fuzz)\.c", "--json-summary", "-",
         "--gcov-ignore-parse-errors", "--object-directory", build],
        capture_output=True, text=True, check=True)
    folders = collections.defaultdict(lambda: [0, 0])
    for file in json.loads(report.stdout)["files"]:
        folder = file["filename"].split("/")[1]
        folders[folder][0] += file["line_covered"]
        folders[folder][1] += file["line_total"]
    low = []
    for folder in sorted(folders):
        covered, total = folders[folder]
        percent = 100.0 * covered / total if total else 100.0
        is_low = folder in CRITICAL and percent < NEEDED
        print(f"{folder:10} {covered:6} of {total:6} lines  {percent:5.1f}%{'  below ' + str(NEEDED) if is_low else ''}")
        if is_low:
            low.append(folder)
    return 1 if code or low else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
