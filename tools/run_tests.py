#!/usr/bin/env python3
"""Runs the tests of a build folder with Meson and closes with one line, `N passed, N failed`.

run_tests.py BUILD [--suite NAME]...
"""
import json
import pathlib
import subprocess
import sys


def main(argv):
    build, rest = argv[0], argv[1:]
    log = pathlib.Path(build) / "meson-logs" / "testlog.json"
    log.unlink(missing_ok=True)
    command = ["meson", "test", "-C", build, "--no-rebuild", "--print-errorlogs", "--quiet", *rest]
    code = subprocess.run(command).returncode
    passed, failed, skipped = 0, [], 0
    if log.exists():
        for line in log.read_text().splitlines():
            result = json.loads(line)
            if result["result"] == "OK":
                passed += 1
            elif result["result"] == "SKIP":
                skipped += 1
            else:
                failed.append(result["name"])
    for name in failed:
        print(f"failed: {name}")
    print(f"{passed} passed, {len(failed)} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if code or failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
