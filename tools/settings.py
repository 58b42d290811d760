#!/usr/bin/env python3
"""Finds settings that the program reads and that config_check.c does not know: `config KEY VALUE` would warn of a key
that has an effect, and a value that cannot be read would quietly be the default.

settings.py SOURCE_FOLDER
"""
import pathlib
import re
import sys

CHECK = "repo/config_check.c"
KEY = r'"([A-Z]\w*(?:\.[A-Z]\w*)+)"'
KNOWN = re.compile(rf'^\s*(?:\{{{KEY}, |{KEY},$)', re.MULTILINE)
READ = re.compile(rf"\b(?:config|read|face|router|choose|check)_?\w*\([^;\"]*?{KEY}")


def known_keys(text):
    return {first or second for first, second in KNOWN.findall(text)}


def is_known(key, known):
    """Also an object of which settings are known, and a member of a setting that is an object."""
    return any(k == key or k.startswith(key + ".") or key.startswith(k + ".") for k in known)


def main(folder):
    root = pathlib.Path(folder)
    known = known_keys((root / CHECK).read_text(encoding="utf-8"))
    if not known:
        print(f"{root / CHECK}: no known setting was found")
        return 1
    status = 0
    for path in sorted(root.rglob("*.c")):
        if path.name.endswith(("_test.c", "_fuzz.c")) or path == root / CHECK:
            continue
        text = path.read_text(encoding="utf-8")
        for match in READ.finditer(text):
            if not is_known(match.group(1), known):
                line = text.count("\n", 0, match.start(1)) + 1
                print(f"{path}:{line}: the setting {match.group(1)} is read, and {CHECK} does not know it")
                status = 1
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
