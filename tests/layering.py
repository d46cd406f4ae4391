#!/usr/bin/env python3
"""Holds the layout of the source: the order of layers, where Asio and clocks may be used, and what src.hpp lists.

    tests/layering.py          checks the tree, after checking that each rule can fail
    tests/layering.py --fix    rewrites the list in include/postroad/src.hpp first
"""

import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent

# A file includes only from its own layer and from those above it in this list.
LAYERS = [
    "fwd.hpp",
    "core",
    "message",
    "smtp",
    "tls",
    "net",
    "transport",
    "pooling",
    "queueing",
    "scheduling",
    "engine",
    "mailer.hpp",
    "services.hpp",
    "submission.hpp",
    "diagnose.hpp",
    "diagnose_direct.hpp",
    "libraries.hpp",
    "postroad.hpp",
    "testing",
    "src.hpp",
]
MAY_DO_IO = re.compile(r"(net/|testing/|(mailer|diagnose(_direct)?)\.hpp|impl/mailer|engine/(impl/)?(any_runtime|carriers|executors|gate|mailer_base|runtime|ticket)\.[hi]pp)")
MAY_READ_CLOCKS = re.compile(
    r"(net/|testing/|diagnose(_direct)?\.hpp|impl/diagnose_direct|engine/(impl/)?(any_runtime|carriers|runtime)\.[hi]pp|queueing/impl/(amqp|sqlite)\w*\.ipp)"
)
# Slow to compile, or missing from the oldest supported compilers.
BANNED = {"iostream", "regex", "format", "expected", "source_location", "asio.hpp"}
# Parts that need more than Asio and mbedTLS: included by name, always inline, never from src.hpp.
OPT_IN = re.compile(
    r"tls/impl/openssl_(certificate|context|engine)\.ipp"
    r"|queueing/impl/(amqp(?!_message)|sqlite|suppression_sqlite)\w*\.ipp"
)

INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', re.M)
COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.S)
NOW = re.compile(r"::\s*now\s*\(\s*\)")
# Spelled so that this file does not match itself.
MACHINE_PATH = re.compile(r"/(?:work|farm|root)/|\.\./shar" + "ed")

SRC_HEAD = """#pragma once
// The non-template parts of the library, for one source file of a program that defines POSTROAD_SEPARATE_COMPILATION
// everywhere. `tests/layering.py --fix` keeps the list.

#ifndef POSTROAD_SEPARATE_COMPILATION
#error "postroad/src.hpp needs POSTROAD_SEPARATE_COMPILATION, defined for every source file of the program"
#endif

"""


def layer(path):
    first = path.split("/")[0]
    if first == "impl":
        first = path.split("/")[1].replace(".ipp", ".hpp")
    return LAYERS.index(first) if first in LAYERS else None


def check_layers(headers):
    for path, text in headers.items():
        own = layer(path)
        if own is None:
            yield f"{path}: stands in no known layer (LAYERS in tests/layering.py)"
            continue
        for included in INCLUDE.findall(text):
            if not included.startswith("postroad/"):
                continue
            included = included.removeprefix("postroad/")
            if included not in headers:
                yield f"{path}: includes {included}, which does not exist"
            elif layer(included) is not None and layer(included) > own:
                yield f"{path}: includes {included}, which stands below it"


def check_io(headers):
    for path, text in headers.items():
        code = COMMENT.sub("", text)
        if not MAY_DO_IO.match(path) and re.search(r"<asio|\basio::", code):
            yield f"{path}: uses Asio outside net/, testing/, the mailer, its runtime and its tickets"
        if not MAY_READ_CLOCKS.match(path) and NOW.search(code):
            yield f"{path}: reads a clock; take `now` as a parameter"
        for included in INCLUDE.findall(text):
            if included in BANNED:
                yield f"{path}: includes <{included}>"


def check_anatomy(headers):
    included = {name for path, text in headers.items() if path != "src.hpp" for name in INCLUDE.findall(text)}
    for path, text in headers.items():
        if not text.startswith("#pragma once\n"):
            yield f"{path}: does not begin with #pragma once"
        instantiates_only = "\nPOSTROAD_COMPILE_MAILER" in text
        if path.endswith(".ipp") and not instantiates_only and f"postroad/{path}" not in included:
            yield f"{path}: is included by no header, so it is missing in header-only mode"


def src_text(headers):
    parts = sorted(path for path in headers if path.endswith(".ipp") and not OPT_IN.fullmatch(path))
    return SRC_HEAD + "".join(f"#include <postroad/{path}>\n" for path in parts)


def check_src(headers):
    wanted, found = src_text(headers).splitlines(), headers.get("src.hpp", "").splitlines()
    for line in wanted:
        if line not in found:
            yield f"src.hpp: lacks {line!r} (run tests/layering.py --fix)"
    for line in found:
        if line not in wanted:
            yield f"src.hpp: has {line!r} too much (run tests/layering.py --fix)"


def check_paths(files):
    for path, text in files.items():
        for number, line in enumerate(text.splitlines(), 1):
            if MACHINE_PATH.search(line):
                yield f"{path}:{number}: names a path of one machine: {line.strip()[:100]}"


HEADER_CHECKS = [check_layers, check_io, check_anatomy, check_src]


def check_all(headers, files):
    return [problem for check in HEADER_CHECKS for problem in check(headers)] + list(check_paths(files))


def self_test():
    good = {
        "core/a.hpp": "#pragma once\n#include <string>\n#include <postroad/core/impl/a.ipp>\n",
        "core/impl/a.ipp": "#pragma once\n#include <postroad/core/a.hpp>\n",
        "net/b.hpp": "#pragma once\n#include <asio/post.hpp>\n// calls clock::now() itself\ninline auto t = c::now();\n",
        "engine/runtime.hpp": "#pragma once\n#include <postroad/net/b.hpp>\nasio::io_context* context();\n",
    }
    good["src.hpp"] = src_text(good)
    bad = {
        "stands below": {"core/a.hpp": good["core/a.hpp"] + "#include <postroad/net/b.hpp>\n"},
        "does not exist": {"net/b.hpp": "#pragma once\n#include <postroad/core/missing.hpp>\n"},
        "no known layer": {"misc/x.hpp": "#pragma once\n"},
        "uses Asio": {"smtp/x.hpp": "#pragma once\nvoid f(asio::io_context&);\n"},
        "reads a clock": {"smtp/x.hpp": "#pragma once\ninline auto t = std::chrono::steady_clock::now();\n"},
        "includes <regex>": {"smtp/x.hpp": "#pragma once\n#include <regex>\n"},
        "#pragma once": {"smtp/x.hpp": "// words\n#pragma once\n"},
        "is included by no header": {"core/a.hpp": "#pragma once\n"},
        "src.hpp: lacks": {"src.hpp": SRC_HEAD},
        "too much": {"src.hpp": good["src.hpp"] + "#include <postroad/core/impl/gone.ipp>\n"},
    }
    assert check_all(good, {}) == [], check_all(good, {})
    for sentence, change in bad.items():
        problems = check_all(good | change, {})
        assert any(sentence in problem for problem in problems), f"nothing found for {sentence!r}: {problems}"
    assert list(check_paths({"x": "see /wo" + "rk/y"})) and not list(check_paths({"x": "see /usr/share"}))


def read(path):
    return path.read_text(encoding="utf-8", errors="replace")


def main():
    self_test()
    include = ROOT / "include/postroad"

    def read_headers():
        return {p.relative_to(include).as_posix(): read(p) for p in sorted(include.rglob("*.[hi]pp"))}

    if sys.argv[1:] == ["--fix"]:
        (include / "src.hpp").write_text(src_text(read_headers()), encoding="utf-8")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    files = {name: read(ROOT / name) for name in listed.split("\0") if name and (ROOT / name).is_file()}
    headers = read_headers()
    problems = check_all(headers, files)
    print("\n".join(problems) or f"{len(headers)} headers and {len(files)} files keep the layout")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
