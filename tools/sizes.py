#!/usr/bin/env python3
"""Files of more than 700 lines (tests: 800) and functions of more than 70 are refused: split them by nouns.

sizes.py FILE...
"""
import re
import sys

FILE_LINES, TEST_LINES, FUNCTION_LINES = 700, 800, 70
# The project's format puts a function's braces in the first column, and nothing else but types and tables.
NAME = re.compile(r"^[A-Za-z_].*?\b([a-z_][a-z0-9_]*)\(")


def functions(lines):
    name, began = None, None
    for number, line in enumerate(lines, 1):
        match = NAME.match(line)
        if match and not line.startswith(("#", "typedef")):
            name = match[1]
        if line == "{":
            began = number
        elif line.startswith("}") and began:
            yield name, began, number - began - 1
            began = None


def main(files):
    problems = []
    for file in files:
        with open(file, errors="replace") as f:
            lines = f.read().splitlines()
        most = TEST_LINES if file.endswith("_test.c") else FILE_LINES
        if len(lines) > most:
            problems.append(f"{file}: {len(lines)} lines, more than {most}")
        problems += [f"{file}:{at}: {name} has {length} lines, more than {FUNCTION_LINES}"
                     for name, at, length in functions(lines) if length > FUNCTION_LINES]
    if problems:
        print("\n".join(problems))
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
