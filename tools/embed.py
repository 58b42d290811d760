#!/usr/bin/env python3
"""Turns a JSON file into C: embed.py IN.json OUT.c NAME. Without its white space, as bytes with a length."""
import json
import pathlib
import sys

source, target, name = sys.argv[1:]
text = json.dumps(json.loads(pathlib.Path(source).read_text()), separators=(",", ":"), ensure_ascii=False).encode()
rows = "".join(",".join(map(str, text[i : i + 32])) + ",\n" for i in range(0, len(text), 32))
pathlib.Path(target).write_text(
    f"#include <stddef.h>\n#include <stdint.h>\nextern const uint8_t {name}[];\nextern const size_t {name}_len;\n"
    f"const uint8_t {name}[] = {{\n{rows}}};\nconst size_t {name}_len = {len(text)};\n")
