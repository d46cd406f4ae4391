#!/usr/bin/env python3
"""Writes one source file that holds several tests, each in a namespace of its own: what they share is compiled once.

    tests/unite.py OUTPUT SOURCE...

What they include comes first, under the conditions that it stands under. Lines keep their numbers in what compilers say.
"""

import pathlib
import re
import sys


def take_apart(source):
    """The lines that include something, and the text without them."""
    included, rest, conditions = [], [], []
    for line in source.read_text(encoding="utf-8").split("\n"):
        directive = re.match(r"\s*#\s*(\w+)\s*(.*)", line)
        word = directive[1] if directive else ""
        if word in ("if", "ifdef", "ifndef"):
            conditions.append(line)
        elif word in ("else", "elif"):
            conditions[-1] = None
        elif word == "endif":
            conditions.pop()
        if word == "include":
            if None in conditions:
                raise SystemExit(f"{source}: an include behind #else is not known here: compile this file alone")
            beside = source.parent / directive[2].strip('"')
            found = f'#include "{beside}"' if directive[2].startswith('"') and beside.exists() else line
            included.append("\n".join([*conditions, found, *["#endif"] * len(conditions)]))
        rest.append("" if word == "include" else line)
    return included, "\n".join(rest)


def main():
    output, *sources = map(pathlib.Path, sys.argv[1:])
    parts = [take_apart(source.resolve()) for source in sources]
    written = dict.fromkeys(line for included, _ in parts for line in included)
    # By name: two files of one program may both have a `world`, and stand in different ones of these.
    united = [f'namespace file_{source.stem} {{\n#line 1 "{source.resolve()}"\n{text}\n}}\n'
              for source, (_, text) in zip(sources, parts)]
    output.write_text("\n".join([*written, *united]), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
