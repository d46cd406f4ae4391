#!/usr/bin/env python3
"""Checks what a compiler says about mistakes in composing a mailer.

Each *.cpp beside this file is one mistake. Its `// expect: words` lines are what both compilers must say; the message
must be one error in at most 20 lines. With -DGOOD the same source, without the mistake, must compile. A file with lines
`// expect NAME: words` holds a mistake for each NAME, by -DNAME, and none without.

    tests/compile_fail/run.py [-v] [CASE...]    -v prints each message in full
"""

import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
INCLUDE = HERE.parent.parent / "include"
COMPILERS = ["g++", "clang++"]
MAX_LINES = 20
COMMON = "#include <postroad/mailer.hpp>\n#include <postroad/transport/discard.hpp>"


# What each compiler is told so that it need not parse for each mistake what its file includes: by compiler and file.
precompiled = {}


def command_of(compiler):
    return [compiler, "-std=c++20", "-DASIO_STANDALONE", f"-I{INCLUDE}"]


def precompile(compiler, folder, source):
    """Parses once what a file includes: for files of one mistake what they share. Of many mistakes each would instantiate
    again what the bodies of inline functions use, which says nothing of mistakes in policies: they are told that the
    library is compiled elsewhere."""
    several = len(cases(source)) > 1
    text, flags = COMMON, []
    if several:
        text = "\n".join(re.findall(r"^#include .+", source.read_text(encoding="utf-8"), re.M))
        flags = ["-DPOSTROAD_SEPARATE_COMPILATION"]
    header = pathlib.Path(folder, compiler.replace("+", "x"), source.stem if several else "common", "common.hpp")
    made = f"{header}.gch"
    if not header.exists():
        header.parent.mkdir(parents=True)
        header.write_text(text + "\n", encoding="utf-8")
        subprocess.run([*command_of(compiler), *flags, "-xc++-header", str(header), "-o", made], check=True)
    used = ["-include-pch", made] if "clang" in compiler else ["-Winvalid-pch", "-include", str(header)]
    precompiled[compiler, source] = [*flags, *used]


def compile_source(compiler, source, *flags):
    command = [*command_of(compiler), "-fsyntax-only", *precompiled.get((compiler, source), []), *flags, str(source)]
    environment = os.environ | {"LC_ALL": "C"}
    run = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=source.parent)
    return run.returncode == 0, run.stderr


def cases(source):
    """The mistakes in a file: for each a name, empty where there is one, and what is to be said of it."""
    found = {}
    for name, words in re.findall(r"^// expect(?: (\w+))?: (.+)$", source.read_text(encoding="utf-8"), re.M):
        found.setdefault(name, []).append(words)
    return found or {"": []}


def check(compiler, source, name=""):
    """Returns what is wrong with one case under one compiler, and the message the compiler gave."""
    problems = []
    expected = cases(source)[name]
    if not expected:
        problems.append("has no `// expect:` line")
    compiled, message = compile_source(compiler, source, *([f"-D{name}"] if name else []))
    if compiled:
        problems.append("compiles although it holds a mistake")
    else:
        problems += [f"does not say: {words}" for words in expected if words not in message]
        errors = len(re.findall(r"\berror: ", message))
        if errors != 1:
            problems.append(f"{errors} errors instead of one")
        lines = len(message.splitlines())
        if lines > MAX_LINES:
            problems.append(f"{lines} lines, more than {MAX_LINES}")
    if name not in list(cases(source))[:1]:
        return problems, message
    fine, twin = compile_source(compiler, source, "-DGOOD")
    if not fine:
        problems.append("does not compile with -DGOOD:\n" + "\n".join(twin.splitlines()[:MAX_LINES]))
    return problems, message


MODEL = """
#include <concepts>
template <class Q> concept queue = requires(Q q) { q.push(1); { q.pop() } -> std::convertible_to<int>; };
template <class Q> struct mailer { static_assert(queue<Q>, "the queueing policy does not model queue"); Q q; };
"""
LACKING = """// expect: the queueing policy does not model queue
// expect: pop
struct mine {
    void push(int) {}
#ifdef GOOD
    int pop() { return 1; }
#endif
};
mailer<mine> m;
"""


def self_test():
    """The checks above can each fail."""
    cases = {
        None: LACKING,
        "has no `// expect:` line": LACKING.replace("// expect", "// hope"),
        "does not say: rabbits": "// expect: rabbits\n" + LACKING,
        "compiles although": LACKING.replace("#ifdef GOOD", "#if 1"),
        "2 errors": LACKING + "\n#ifndef GOOD\nint twice = unknown_name;\n#endif\n",
        "lines, more than": LACKING + "#ifndef GOOD\n" + "".join(f"#warning {n}\n" for n in range(20)) + "#endif\n",
        "does not compile with -DGOOD": LACKING.replace("#ifdef GOOD", "#if 0"),
    }
    with tempfile.TemporaryDirectory() as folder:
        source = pathlib.Path(folder) / "case.cpp"
        for sentence, text in cases.items():
            source.write_text(text.split("struct mine")[0] + MODEL + "struct mine" + text.split("struct mine")[1])
            for compiler in COMPILERS:
                problems, message = check(compiler, source)
                if sentence is None:
                    assert not problems, f"{compiler}: {problems}\n{message}"
                else:
                    assert any(sentence in problem for problem in problems), f"{compiler}: no {sentence!r}: {problems}"


def main():
    arguments = sys.argv[1:]
    verbose = "-v" in arguments
    names = [argument for argument in arguments if argument != "-v"]
    missing = [compiler for compiler in COMPILERS if not shutil.which(compiler)]
    if missing:
        print(f"missing: {', '.join(missing)}")
        return 1
    self_test()
    sources = [HERE / f"{pathlib.Path(name).stem}.cpp" for name in names] or sorted(HERE.glob("*.cpp"))
    pairs = [(source, compiler, name) for source in sources for name in cases(source) for compiler in COMPILERS]
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        # What a file defines must come before what it includes.
        helped = [source for source in sources if "#define" not in source.read_text(encoding="utf-8")]
        list(pool.map(lambda compiler: [precompile(compiler, folder, source) for source in helped], COMPILERS))
        results = list(pool.map(lambda pair: check(pair[1], pair[0], pair[2]), pairs))
    failed = 0
    for (source, compiler, name), (problems, message) in zip(pairs, results):
        failed += bool(problems)
        if problems or verbose:
            print(f"{source.name} {name}, {compiler}: {'; '.join(problems) or 'ok'}\n{message}")
    print(f"compile_fail: {len(pairs) - failed} passed, {failed} failed")
    return 1 if failed or not pairs else 0


if __name__ == "__main__":
    sys.exit(main())
