"""Signatures of every algorithm and canonical form that passed a real Postfix, verified by dkimpy."""

import importlib.util
import os
import pathlib
import re
import subprocess

import pytest

from fixtures import DOMAIN
from sending import WAYS, url_of

CHECK = pathlib.Path(__file__).resolve().parents[1] / "dkim/check.py"


@pytest.fixture(scope="module")
def check():
    """The verifier of tests/dkim."""
    spec = importlib.util.spec_from_file_location("dkim_check", CHECK)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_signatures_verify_behind_postfix(postfix, check, tmp_path):
    program = os.environ.get("POSTROAD_DKIM_SIGN")
    assert program, "POSTROAD_DKIM_SIGN must name the program built from tests/dkim/sign.cpp"
    records = check.make_keys(tmp_path)
    url = url_of(postfix, WAYS["postfix-plain"][1])
    subprocess.run([program, tmp_path, url, f"alice@{DOMAIN}"], check=True, timeout=300)
    ways = set()
    messages = postfix.wait("alice", 9 * 8)
    for message in messages:
        header = message.split(b"\r\n\r\n")[0]
        count = len(re.findall(rb"^DKIM-Signature:", header, re.MULTILINE))
        assert list(check.problems(message, count, records)) == [], message
        ways.update(re.findall(rb"a=([-a-z0-9]+); c=([a-z/]+);", header))
    assert ways == {
        (algorithm, header + b"/" + body)
        for algorithm in (b"rsa-sha256", b"ed25519-sha256")
        for header in (b"relaxed", b"simple")
        for body in (b"relaxed", b"simple")
    }
