#!/usr/bin/env python3
"""Fails when what a source file that sends a message costs the compiler has grown by a tenth: lines that it reads, and
functions and tables that it makes.

    tests/preprocessed/check.py COMPILER [flags to find Asio and mbedTLS]

Whoever makes them fewer lowers the figures here, so that the gain stays.
"""

import pathlib
import subprocess
import sys
import tempfile

INCLUDE = pathlib.Path(__file__).resolve().parent.parent.parent / "include"
SENDING = """#include <postroad/mailer.hpp>
int main() {
    postroad::mailer mail{"smtp://user:password@localhost"};
    return mail.send(postroad::message{}.from("a@a.example").to("b@b.example").text("Hello")).all_accepted() ? 0 : 1;
}
"""
SEPARATE = "-DPOSTROAD_SEPARATE_COMPILATION"
# Lines that are not empty and weak symbols, with the C++ library of g++ 12 and Asio 1.22. Other versions have other
# headers.
RECORDED = {
    "header-only, lines": 147500,
    "header-only, symbols": 19760,
    "separate, lines": 102600,
    "separate, symbols": 1930,
}
MACROS = {"_GLIBCXX_RELEASE": "12", "ASIO_VERSION": "1022"}


def run_compiler(text, *flags):
    command = [*sys.argv[1:], "-std=c++20", "-DASIO_STANDALONE", f"-I{INCLUDE}", "-xc++", *flags, "-"]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout.splitlines()


def preprocess(text, *flags):
    return run_compiler(text, "-E", *flags)


def lines(*flags):
    return sum(1 for line in preprocess(SENDING, *flags) if line.strip() and not line.startswith("#"))


def symbols(*flags):
    with tempfile.TemporaryDirectory() as folder:
        made = pathlib.Path(folder, "sending.o")
        run_compiler(SENDING, "-O0", "-c", "-o", str(made), *flags)
        listed = subprocess.run(["nm", made], capture_output=True, text=True, check=True).stdout
    return sum(1 for line in listed.splitlines() if f" {line.split()[-2]} " in (" W ", " V ", " u "))


def grown(counted):
    return [f"{what}: {counted[what]}, {figure} were recorded" for what, figure in RECORDED.items()
            if counted[what] * 10 >= figure * 11]


def main():
    defined = {line.split()[1]: line.split()[2] for line in preprocess("#include <asio/version.hpp>\n#include <string>\n",
               "-dM") if len(line.split()) > 2}
    other = [f"{name} is {defined.get(name)}" for name, value in MACROS.items() if not defined.get(name, "").startswith(value)]
    if other:
        print(f"not compared: {', '.join(other)}")
        return 0
    assert not grown(RECORDED) and len(grown({what: figure * 2 for what, figure in RECORDED.items()})) == len(RECORDED)
    counted = {
        "header-only, lines": lines(),
        "header-only, symbols": symbols(),
        "separate, lines": lines(SEPARATE),
        "separate, symbols": symbols(SEPARATE),
    }
    problems = grown(counted)
    print("\n".join(problems) or counted)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
