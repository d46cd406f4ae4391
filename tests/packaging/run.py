#!/usr/bin/env python3
"""Uses postroad as others do: installed with find_package, and as a subdirectory.

    tests/packaging/run.py [CMake options for every configure step, such as -DCMAKE_PREFIX_PATH=...]
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
CONSUMER = ROOT / "tests/packaging/consumer"
# What is found is no system's header here either: consumers compile alike, however they came by the library. Nobody debugs
# them.
OPTIONS = ["-DCMAKE_CXX_COMPILER_LAUNCHER=ccache", "-GNinja", "-DCMAKE_BUILD_TYPE=Debug", "-DCMAKE_CXX_FLAGS_DEBUG=-O0",
           "-DCMAKE_NO_SYSTEM_FROM_IMPORTED=ON"]
# Where the library lies, beside the folders that are built in. With relative paths the compiler is told the same in `found`
# as in `sub`, and ccache keeps it from working twice.
FOUND, SUB = "found/postroad", "sub/postroad"


def run(*command, succeeds=True, **environment):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False,
                          env=os.environ | environment)
    output = done.stdout + done.stderr
    if (done.returncode == 0) != succeeds:
        raise AssertionError(f"{' '.join(map(str, command))} returned {done.returncode}\n{output}")
    return output


def configure(source, build, *options, succeeds=True):
    return run("cmake", "-S", source, "-B", build, *OPTIONS, *sys.argv[1:], *options, succeeds=succeeds)


def build_target(build, target="all"):
    run("cmake", "--build", build, "--target", target, CCACHE_BASEDIR=str(build.parent), CCACHE_NOHASHDIR="1")


def build_and_run(build):
    # Before those of `consumer_compiled`, which compile alike.
    build_target(build, "consumer_separate")
    build_target(build)
    run(build / "consumer")
    run(build / "consumer_separate")
    run(build / "consumer_compiled")
    for component in ("openssl", "sqlite", "amqp", "mx", "mta_sts", "rules", "tls_reports"):
        if (build / f"consumer_{component}").exists():
            run(build / f"consumer_{component}")


def install(work):
    """A tree that says nothing of where it was built, in a folder it was moved to after the installation."""
    configure(ROOT, work / "build", "-DPOSTROAD_BUILD_TESTS=OFF", "-DPOSTROAD_BUILD_EXAMPLES=OFF")
    run("cmake", "--install", work / "build", "--prefix", work / "installed")
    (work / FOUND).parent.mkdir()
    (work / "installed").rename(work / FOUND)
    for path in (work / FOUND).rglob("*.cmake"):
        text = path.read_text(encoding="utf-8")
        assert str(ROOT) not in text and str(work) not in text, f"{path.name} names the folder it was built in"
    headers = {p.relative_to(ROOT / "include") for p in (ROOT / "include").rglob("*.[hi]pp")}
    installed = {p.relative_to(work / FOUND / "include") for p in (work / FOUND / "include").rglob("*.*") if p.is_file()}
    assert headers == installed, headers ^ installed


def find_package(work):
    prefix = f"-Dpostroad_ROOT={work / FOUND}"
    configure(CONSUMER, work / "found/build", prefix, "-DWANTED_VERSION=0.1")
    build_and_run(work / "found/build")


def component_is_found(work):
    prefix = f"-Dpostroad_ROOT={work / FOUND}"
    for component in ("openssl", "sqlite", "amqp", "mx", "mta_sts", "rules", "tls_reports"):
        build = work / "found" / component
        configure(CONSUMER, build, prefix, f"-DWANTED_COMPONENTS={component}")
        build_target(build, f"consumer_{component}")
        run(build / f"consumer_{component}")


def newer_version_is_refused(work):
    output = configure(CONSUMER, work / "newer", f"-Dpostroad_ROOT={work / FOUND}", "-DWANTED_VERSION=99", succeeds=False)
    assert re.search(r"requested\s+version \"99\"", output), output


def unknown_component_is_refused(work):
    prefix = f"-Dpostroad_ROOT={work / FOUND}"
    output = configure(CONSUMER, work / "component", prefix, "-DWANTED_COMPONENTS=pigeons", succeeds=False)
    assert re.search(r"has no\s+component\s+pigeons", output), output


def missing_dependency_is_named(work):
    prefix = f"-Dpostroad_ROOT={work / FOUND}"
    hidden = ["-Dpostroad_asio_INCLUDE_DIR=NOTFOUND", "-DCMAKE_FIND_ROOT_PATH=/nonexistent",
              "-DCMAKE_FIND_ROOT_PATH_MODE_INCLUDE=ONLY"]
    output = configure(CONSUMER, work / "missing", prefix, *hidden, succeeds=False)
    assert re.search(r"postroad needs\s+asio", output), output


def add_subdirectory(work):
    shutil.copytree(ROOT, work / SUB, ignore=shutil.ignore_patterns("build", ".git"))
    configure(CONSUMER, work / "sub/build", f"-DPOSTROAD_SOURCE_DIR={work / SUB}")
    targets = run("cmake", "--build", work / "sub/build", "--target", "help")
    assert "test_" not in targets, "a subdirectory brings our tests along"
    build_and_run(work / "sub/build")


def main():
    os.environ.pop("CXXFLAGS", None)
    cases = [install, find_package, component_is_found, newer_version_is_refused, unknown_component_is_refused,
             missing_dependency_is_named, add_subdirectory]
    failed = 0
    with tempfile.TemporaryDirectory(prefix="postroad-packaging-") as folder:
        for case in cases:
            try:
                case(pathlib.Path(folder))
            except AssertionError as error:
                failed += 1
                print(f"{case.__name__}: {error}")
    print(f"packaging: {len(cases) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
