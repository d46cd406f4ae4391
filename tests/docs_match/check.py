#!/usr/bin/env python3
"""Holds README.md and docs/*.md to what is compiled, run and there.

Each C++ block of a page is a piece of a file that is compiled and run, between `//[name` and `//]` in tests/docs/ or
examples/, and each piece stands on a page. Relative links lead somewhere. Each errc has its row in docs/errors.md,
and no page names one that does not exist. Python in README.md consists of lines of docs/python.md, whose code has a
test. Each row of docs/conformance.md names tests that exist, or says that there is none.

    tests/docs_match/check.py          checks, after checking that each rule can fail
    tests/docs_match/check.py --fix    replaces each block that differs by the piece that is most like it, first
"""

import difflib
import pathlib
import re
import sys
import textwrap

ROOT = pathlib.Path(__file__).resolve().parents[2]

BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
PIECE = re.compile(r"^[ \t]*//\[(\w+)\n(.*?)^[ \t]*//\]$", re.M | re.S)
LINK = re.compile(r"\]\(([^)\s]+)\)")
SHOWN = re.compile(r"`([\w/.]+)`(?:: (.+))?")
NOT_SHOWN = ("no test", "not met")
CODE_NAME = re.compile(r"(?<!std::)errc::(\w+)")


def pieces_of(sources):
    """Name of each marked piece, as FILE:NAME, and its text."""
    return {
        f"{path}:{name}": textwrap.dedent(text).strip("\n") + "\n"
        for path, source in sources.items()
        for name, text in PIECE.findall(source)
    }


def blocks_of(page, language):
    return [text for found, text in BLOCK.findall(page) if found == language]


def nearest(block, pieces):
    return max(pieces, key=lambda name: difflib.SequenceMatcher(None, block, pieces[name]).ratio(), default=None)


def check_code(pages, pieces):
    used = set()
    for path, page in pages.items():
        for block in blocks_of(page, "cpp"):
            same = [name for name, text in pieces.items() if text == block]
            used.update(same)
            if not same:
                name = nearest(block, pieces)
                text = pieces.get(name, "")
                difference = difflib.unified_diff(block.splitlines(), text.splitlines(), path, str(name), lineterm="")
                yield f"{path}: a block is no compiled piece; the nearest:\n" + "\n".join(difference)
    yield from (f"{name}: stands on no page" for name in pieces if name not in used)


def check_links(pages, exists):
    for path, page in pages.items():
        for target in LINK.findall(BLOCK.sub("", page)):
            place = target.split("#")[0]
            if "://" in target or target.startswith("mailto:") or not place:
                continue
            if not exists(pathlib.PurePosixPath(path).parent / place):
                yield f"{path}: the link {target} leads nowhere"


def check_codes(pages, codes):
    rows = re.findall(r"^\| `(\w+)` \|", pages.get("docs/errors.md", "").split("## Conditions")[0], re.M)
    yield from (f"docs/errors.md: lacks {code}" for code in codes if code not in rows)
    yield from (f"docs/errors.md: {code} is no errc" for code in rows if code not in codes)
    for path, page in pages.items():
        yield from (f"{path}: errc::{code} does not exist" for code in CODE_NAME.findall(page) if code not in codes)


def check_python(pages):
    lines = "\n".join(blocks_of(pages.get("docs/python.md", ""), "python")).splitlines()
    for block in blocks_of(pages.get("README.md", ""), "python"):
        rest = iter(lines)
        yield from (f"README.md: {line!r} is not in docs/python.md" for line in block.splitlines() if line not in rest)


def names_test(shown, tests):
    """Whether FILE: TITLE is a test, where FILE is a path in tests/ and a conversation is one without a title."""
    match = SHOWN.fullmatch(shown)
    source = tests.get("tests/" + match[1]) if match else None
    if source is None or (match[2] is None) != match[1].endswith(".txt"):
        return False
    return match[2] is None or f'"{match[2]}"' in source or f"def {match[2]}(" in source


def check_conformance(pages, tests):
    page = pages.get("docs/conformance.md", "")
    for row in re.findall(r"^\| (?!duty )(.*) \|$", page, re.M):
        cells = row.split(" | ")
        for shown in cells[-1].split("<br>"):
            if len(cells) != 3 or (shown not in NOT_SHOWN and not names_test(shown, tests)):
                yield f"docs/conformance.md: {cells[0]}: {shown!r} names no test"


def check_all(pages, sources, codes, exists, tests):
    problems = [*check_code(pages, pieces_of(sources)), *check_links(pages, exists), *check_codes(pages, codes)]
    return [*problems, *check_python(pages), *check_conformance(pages, tests)]


def fixed(page, pieces):
    def replace(match):
        if match[1] != "cpp" or match[2] in pieces.values():
            return match[0]
        return f"```cpp\n{pieces[nearest(match[2], pieces)]}```"

    return BLOCK.sub(replace, page)


def self_test():
    pages = {
        "README.md": "[a](docs/errors.md#top) [b](https://x.example)\n```python\nimport a\n```\n",
        "docs/errors.md": "```cpp\nint a;\n```\n| `bad` | means errc::bad |\n## Conditions\n| `worse` |\n",
        "docs/python.md": "```python\nimport a\n\na.b()\n```\n",
        "docs/conformance.md": "| duty | how | shown by |\n|---|---|---|\n"
        "| talk | so | `x/a.cpp`: it talks<br>`t/b.txt` |\n| walk | so | `x/c.py`: test_walk |\n| fly | no | not met |\n",
    }
    tests = {
        "tests/x/a.cpp": 'TEST_CASE("it talks") {',
        "tests/t/b.txt": "# It talks.",
        "tests/x/c.py": "def test_walk(one):",
    }
    sources = {"x.cpp": "void f() {\n    //[use\n    int a;\n    //]\n}\n"}

    def problems(pages=pages, sources=sources, codes=("bad",)):
        return check_all(pages, sources, codes, lambda path: str(path) in pages, tests)

    def changed(path, old, new):
        assert old in pages[path]
        return problems(pages | {path: pages[path].replace(old, new)})

    assert problems() == [], problems()
    cases = {
        "no compiled piece": changed("docs/errors.md", "int a", "int b"),
        "y/x.cpp:spare: stands on no page": problems(sources=sources | {"y/x.cpp": "//[spare\nint c;\n//]\n"}),
        "leads nowhere": changed("README.md", "errors.md", "terrors.md"),
        "lacks worse": problems(codes=("bad", "worse")),
        "good is no errc": changed("docs/errors.md", "| `bad`", "| `good`"),
        "errc::good does not exist": changed("docs/errors.md", "errc::bad", "errc::good"),
        "is not in docs/python.md": changed("README.md", "import a", "import b"),
        "talk: '`x/a.cpp`: it walks' names no test": changed("docs/conformance.md", "it talks", "it walks"),
        "talk: '`x/a.cpp`' names no test": changed("docs/conformance.md", ": it talks", ""),
        "talk: '`t/c.txt`' names no test": changed("docs/conformance.md", "b.txt", "c.txt"),
        "walk: '`x/c.py`: test_wal' names no test": changed("docs/conformance.md", "_walk", "_wal"),
        "fly: '' names no test": changed("docs/conformance.md", "not met", ""),
    }
    for sentence, found in cases.items():
        assert any(sentence in problem for problem in found), f"nothing found for {sentence!r}: {found}"
    spoilt = pages["docs/errors.md"].replace("int a", "int b")
    assert fixed(spoilt, pieces_of(sources)) == pages["docs/errors.md"]


def read_all(*patterns):
    return {
        path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
        for pattern in patterns
        for path in sorted(ROOT.glob(pattern))
    }


def main():
    self_test()
    sources = read_all("tests/docs/*.[ch]pp", "examples/*.cpp")
    if sys.argv[1:] == ["--fix"]:
        for path, page in read_all("README.md", "docs/*.md").items():
            (ROOT / path).write_text(fixed(page, pieces_of(sources)), encoding="utf-8")
    header = (ROOT / "include/postroad/core/error.hpp").read_text(encoding="utf-8")
    enumerators = re.sub(r"//[^\n]*", "", re.search(r"enum class errc \{(.*?)\};", header, re.S)[1])
    codes = re.findall(r"\b([a-z]\w*)\b", enumerators)
    pages = read_all("README.md", "docs/*.md")
    tests = read_all("tests/*/*.cpp", "tests/*/*.py", "tests/conversations/*.txt")
    problems = check_all(pages, sources, codes, lambda path: (ROOT / path).exists(), tests)
    count = sum(len(blocks_of(page, "cpp")) for page in pages.values())
    print("\n".join(problems) or f"{len(pages)} pages and {count} blocks are as the code is")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
