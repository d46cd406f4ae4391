#!/usr/bin/env python3
"""Fails when the preprocessed lines of a source file that sends a message have grown by a tenth.

    tests/preprocessed/check.py COMPILER [flags to find Asio and mbedTLS]

Whoever makes them fewer lowers the figures here, so that the gain stays.
"""

import pathlib
import subprocess
import sys

INCLUDE = pathlib.Path(__file__).resolve().parent.parent.parent / "include"
SENDING = "#include <postroad/postroad.hpp>\n"
# Lines that are not empty, with the C++ library of g++ 12 and Asio 1.22. Other versions have other headers.
RECORDED = {"header-only": 139000, "separate": 129000}
MACROS = {"_GLIBCXX_RELEASE": "12", "ASIO_VERSION": "1022"}


def preprocess(text, *flags):
    command = [*sys.argv[1:], "-std=c++20", "-DASIO_STANDALONE", f"-I{INCLUDE}", "-E", "-xc++", *flags, "-"]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout.splitlines()


def lines(*flags):
    return sum(1 for line in preprocess(SENDING, *flags) if line.strip() and not line.startswith("#"))


def grown(counted):
    return [f"{mode}: {counted[mode]} lines, {figure} were recorded" for mode, figure in RECORDED.items()
            if counted[mode] * 10 >= figure * 11]


def main():
    defined = {line.split()[1]: line.split()[2] for line in preprocess("#include <asio/version.hpp>\n#include <string>\n",
               "-dM") if len(line.split()) > 2}
    other = [f"{name} is {defined.get(name)}" for name, value in MACROS.items() if not defined.get(name, "").startswith(value)]
    if other:
        print(f"not compared: {', '.join(other)}")
        return 0
    assert not grown(RECORDED) and len(grown({mode: figure * 2 for mode, figure in RECORDED.items()})) == len(RECORDED)
    counted = {"header-only": lines(), "separate": lines("-DPOSTROAD_SEPARATE_COMPILATION")}
    problems = grown(counted)
    print("\n".join(problems) or counted)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
