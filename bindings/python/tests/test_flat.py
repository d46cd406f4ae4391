"""Nothing grows: a short run of flat.py, which by itself does more."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_memory_threads_and_descriptors_stay_as_they_are():
    program = [sys.executable, "-W", "ignore", str(Path(__file__).with_name("flat.py")), "8000", "80", "40"]
    done = subprocess.run(program, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("\n") == 3
