#!/usr/bin/env python3
"""Finds variables that are cleaned up at the end of their block (AUTO, AUTO_PTR) before they were set: a way out that
comes earlier frees what happens to be on the stack, and neither compilers nor sanitizers see it.

cleanups.py FILE…
"""
import re
import sys

DECLARED = re.compile(r"^\s*AUTO(?:_PTR)?\(\w+\) ([^=;]*);")
WAY_OUT = re.compile(r"\bTRY\(|\breturn\b|\bgoto\b|\bbreak;|\bcontinue;")


def find(path, lines):
    for at, line in enumerate(lines):
        declared = DECLARED.match(line)
        for name in re.split(r",\s*", declared.group(1)) if declared else []:
            name = name.lstrip("*").split("[")[0]
            for number, later in enumerate(lines[at + 1:], at + 2):
                if re.search(rf"\b{name}\b", later):
                    break
                if WAY_OUT.search(later):
                    yield f"{path}:{number}: left before `{name}` is set, which is cleaned up"
                    break


def main(paths):
    found = [text for path in paths for text in find(path, open(path, encoding="utf-8").read().split("\n"))]
    print("\n".join(found), end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
