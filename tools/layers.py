#!/usr/bin/env python3
"""The layering of src/: each folder is one line of src/LAYERS and includes only what its line names.

layers.py [SRC]         checks: an include that is not allowed, an unlisted folder, an include that is
                        not a path from src/, a name that is not above its line, and a permission that
                        nobody uses. Tests (*_test.c) and fuzz targets are held to the same lines,
                        but may use sim/ and tests/ besides.
layers.py --list SRC    prints the lines without comments, for the build
"""
import pathlib
import re
import sys

BESIDE = ("sim/", "tests/", "distribute.h")


def lines(src):
    for number, line in enumerate((src / "LAYERS").read_text().splitlines(), 1):
        line = line.split("#")[0].strip()
        if line:
            name, _, below = line.partition(":")
            yield number, name.strip(), below.split()


def main(argv):
    if argv[:1] == ["--list"]:
        for _, name, below in lines(pathlib.Path(argv[1])):
            print(f"{name}: {' '.join(below)}")
        return 0
    src = pathlib.Path(argv[0] if argv else "src")
    may, problems = {}, []
    for number, name, below in lines(src):
        problems += [f"LAYERS:{number}: {name} names {b}, which is not above it" for b in below if b not in may]
        may[name] = set(below)

    def folder_of(path):
        head = str(path).split("/")[0]
        return head if head in may else None

    used = {name: set() for name in may}
    for file in sorted(src.rglob("*.[ch]")):
        path = file.relative_to(src)
        here = folder_of(path)
        if here is None:
            problems.append(f"{path}: its folder is not in LAYERS")
            continue
        is_test = path.stem.endswith(("_test", "_fuzz"))
        for number, text in enumerate(file.read_text(errors="replace").splitlines(), 1):
            match = re.match(r'\s*#\s*include\s+"([^"]+)"', text)
            if not match:
                continue
            target = match[1]
            if target.startswith(BESIDE):
                if not is_test and target != "distribute.h":
                    problems.append(f"{path}:{number}: only tests may include {target}")
                continue
            to = folder_of(target)
            if to is None:
                problems.append(f'{path}:{number}: "{target}" is not a path from src/')
            elif to != here and to not in may[here]:
                problems.append(f"{path}:{number}: {here} may not include {to}")
            elif not is_test:
                used[here].add(to)
    problems += [f"LAYERS: {name} may include {b} but does not" for name in may for b in sorted(may[name] - used[name])]
    for folder in sorted(p.name for p in src.iterdir() if p.is_dir()):
        if folder not in may:
            problems.append(f"LAYERS: {folder}/ has no line")
    print("\n".join(sorted(set(problems))) or f"layers: {len(may)} folders in order")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
