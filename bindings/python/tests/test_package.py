"""What is installed: version, names, types."""

from __future__ import annotations

import ast
import importlib.metadata
import inspect
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import FunctionType

import postroad
import pytest
from postroad import __main__, _core, testing
from postroad.prometheus import Collector

ROOT = Path(__file__).parents[3]
PACKAGE = Path(postroad.__file__).parent


def test_the_version_is_that_of_the_library():
    config = (ROOT / "include/postroad/core/config.hpp").read_text()
    (version,) = re.findall(r'POSTROAD_VERSION_STRING "(.+)"', config)
    assert postroad.__version__ == version
    assert importlib.metadata.version("postroad") == version


def test_the_libraries_inside_are_named():
    assert {"mbedTLS", "libidn2", "libunistring"} <= set(postroad.libraries)
    assert all(re.fullmatch(r"[\w.]+", version) for version in postroad.libraries.values())


def test_a_wheel_names_the_files_that_it_brings_along(tmp_path, monkeypatch):
    for name in ("libevent-2-0a1b2c3d.1.so.7", "libidn2-0a1b2c3d.so.0.3.8", "libssl.so.3", "README"):
        (tmp_path / "postroad.libs").mkdir(exist_ok=True)
        (tmp_path / "postroad.libs" / name).touch()
    monkeypatch.setattr(__main__, "__file__", str(tmp_path / "postroad/__main__.py"))
    assert __main__._version().endswith("; in files libevent-2.1.so.7, libidn2.so.0.3.8, libssl.so.3)")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into ELF")
def test_the_module_is_hardened():
    readelf = shutil.which("readelf")
    if not readelf:
        pytest.skip("readelf of binutils is missing")
    out = subprocess.run(
        [readelf, "--wide", "--program-headers", "--dynamic", "--dyn-syms", _core.__file__],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
    assert "GNU_RELRO" in out
    assert "BIND_NOW" in out or re.search(r"FLAGS_1.*\bNOW\b", out)
    assert re.search(r"GNU_STACK .* RW +0x", out)
    assert "__stack_chk_fail" in out
    assert re.search(r"__\w+_chk\b", out)
    assert "RPATH" not in out
    assert "RUNPATH" not in out


@pytest.mark.skipif(platform.machine() != "x86_64" or not shutil.which("objdump"), reason="disassembles x86-64")
def test_the_module_is_compiled_for_control_flow_protection():
    def out(*command):
        return subprocess.run([*command, _core.__file__], stdout=subprocess.PIPE, text=True, check=True).stdout

    (at,) = re.findall(r"(?m)^\s*\d+: ([0-9a-f]+) .* PyInit__core$", out("readelf", "--wide", "--dyn-syms"))
    assert "endbr64" in out("objdump", "-d", f"--start-address=0x{at}", f"--stop-address={int(at, 16) + 4}")


# What every Linux has, and each library that is linked by its name in `postroad --version`.
OF_THE_SYSTEM = {"c", "m", "gcc_s", "stdc++", "pthread", "dl", "rt", "ld-linux-x86-64", "ld-linux-aarch64"}
NAMES = {"z": "zlib", "mbedtls": "mbedTLS", "mbedx509": "mbedTLS", "mbedcrypto": "mbedTLS", "sqlite3": "SQLite"}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into ELF")
def test_each_library_that_is_linked_is_named():
    out = subprocess.run(["readelf", "-d", _core.__file__], stdout=subprocess.PIPE, text=True, check=True).stdout
    # auditwheel puts a hash behind the name
    needed = {re.sub(r"-[0-9a-f]{8}$", "", n) for n in re.findall(r"\(NEEDED\).*\[(?:lib)?([^\]]+?)\.so", out)}
    assert needed
    for name in needed - OF_THE_SYSTEM:
        assert {NAMES.get(name, f"lib{name}"), f"lib{name.partition('-')[0]}"} & set(_core.libraries), name


def test_the_licence_is_told():
    about = importlib.metadata.metadata("postroad")
    assert about.get("License-Expression", "BSL-1.0") == "BSL-1.0"
    assert "librabbitmq" not in _core.libraries or re.match(r"\d", _core.libraries["librabbitmq"])


def test_types_are_installed():
    assert (PACKAGE / "py.typed").exists()
    assert (PACKAGE / "_core.pyi").exists()


def test_all_is_complete():
    public = {n for n, v in vars(postroad).items() if not n.startswith("_") and isinstance(v, (type, FunctionType))}
    assert public | {"__version__", "libraries", "services"} == set(postroad.__all__)


def test_the_stub_describes_the_extension():
    stub = ast.parse((PACKAGE / "_core.pyi").read_text())
    described = {
        c.name: {f.name for f in c.body if isinstance(f, ast.FunctionDef)}
        for c in stub.body
        if isinstance(c, ast.ClassDef)
    }
    own = {
        n: {a for a in vars(v) if not a.startswith("_")} | {"__init__"}
        for n, v in vars(_core).items()
        if isinstance(v, type)
    }
    for name in ("BodyPart", "CredentialsQuestion", "Many", "Operation", "StoredContent"):
        own[name].discard("__init__")
    assert described == own


@pytest.mark.parametrize("name", postroad.__all__)
def test_everything_public_is_documented(name):
    if name not in ("__version__", "libraries", "services"):
        assert getattr(postroad, name).__doc__
    assert name in (ROOT / "docs/python.md").read_text()


FUNCTIONS = [postroad.send, postroad.configured, postroad.diagnose, testing.Sink, testing.Fault.reply, Collector] + [
    f
    for kind in (postroad.Mailer, postroad.Ticket, postroad.Queue)
    for n, f in [(kind.__name__, kind), *inspect.getmembers(kind, inspect.isfunction)]
    if not n.startswith("_")
]


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__qualname__)
def test_each_argument_is_documented(function):
    said = inspect.getdoc(function)
    for name in inspect.signature(function).parameters:
        if name != "self" and function is not postroad.Ticket:
            assert re.search(rf"\b{name}\b", said), (function, name)


def imported(file):
    """The modules of the package that one imports, for types too."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level == 1:
            yield from [node.module] if node.module else [a.name for a in node.names]


def test_modules_form_no_circle():
    imports = {f.stem: set(imported(f)) for f in PACKAGE.glob("*.py") if f.stem not in ("__init__", "__main__")}
    done = set()
    while ready := {name for name, needs in imports.items() if name not in done and not (needs & set(imports)) - done}:
        done |= ready
    assert set(imports) - done == set()


MEMBERS = {"Event", "Queued", "JobFilter", "Delivery", "RecipientOutcome", "Trouble", "Stored", "Service", "Stats"}
MEMBERS |= {"Fault", "Provider", "Tokens"}
MEANT = ("address", "status", "name", "host", "port")  # what needs no words


def test_each_member_of_a_dataclass_or_a_dictionary_is_documented():
    for file in PACKAGE.glob("*.py"):
        for c in ast.walk(ast.parse(file.read_text())):
            if not isinstance(c, ast.ClassDef) or c.name not in MEMBERS:
                continue
            for member, after in zip(c.body, [*c.body[1:], None]):
                if isinstance(member, ast.AnnAssign) and member.target.id not in MEANT:
                    assert isinstance(after, ast.Expr), (c.name, member.target.id)
