"""Django's own tests of its SMTP backend, run on that of postroad. docs/python-frameworks.md says why some fail."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import django
import pytest

HERE = Path(__file__).parent
PAGE = HERE.parents[2] / "docs/python-frameworks.md"


@pytest.fixture
def source(tmp_path):
    """The folder of tests in the source of the Django that is installed, which its wheel has not."""
    version = django.get_version()
    get = [sys.executable, "-m", "pip", "download", "-q", "-d", str(tmp_path), "--no-deps", "--no-binary", "django"]
    done = subprocess.run([*get, f"django=={version}"], capture_output=True, text=True, timeout=600)
    if done.returncode:
        pytest.fail(f"the source of Django {version} cannot be had: {done.stderr}")
    with tarfile.open(next(tmp_path.glob("*.tar.gz"))) as archive:
        safely = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        archive.extractall(tmp_path, [m for m in archive if "/tests/mail/" in m.name], **safely)
    return next(tmp_path.glob("*/tests"))


def test_what_fails_of_djangos_own_tests_is_what_the_page_names(source):
    program = [sys.executable, str(HERE / "django_backend.py"), str(source)]
    done = subprocess.run(program, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    named = set(re.findall(r"`(test_\w+)`", PAGE.read_text()))
    assert set(found["failed"]) - named == set(), found["failed"]
    assert found["run"] >= 45
    assert len(named) <= 19
