"""Runs the tests that Python has for its own smtplib, with postroad.smtplib in its place.

Their John, Sally and so on have no domain, which the engine leaves to the standard module; with an argument they do.
Prints JSON: how many ran, and the names of those that failed, with the last line of why.
"""

from __future__ import annotations

import importlib.util
import io
import json
import re
import smtplib as standard
import sys
import types
import unittest
import warnings
from pathlib import Path

from postroad import smtplib
from test import support


class Both(types.ModuleType):
    """The tests put a socket of their own into the module: into the classes' as well."""

    def __setattr__(self, name, value):
        super().__setattr__(name, value)
        if name == "socket":
            setattr(standard, name, value)


smtplib.__class__ = Both
sys.modules["smtplib"] = smtplib
warnings.simplefilter("ignore")
support.LOOPBACK_TIMEOUT = 60.0  # seconds: theirs are too few on a busy machine

found = importlib.util.find_spec("test.test_smtplib")
assert found is not None
assert found.origin is not None
text = Path(found.origin).read_text()
if len(sys.argv) > 1:
    text = re.sub(r"\b(Dinsdale|Fred|John|Sally)\b(?! A| Root|@)", r"\1@x.example", text)
test_smtplib = importlib.util.module_from_spec(found)
exec(compile(text, found.origin, "exec"), test_smtplib.__dict__)
assert test_smtplib.smtplib is smtplib
sent = []
begin = smtplib._core.Dialogue


def counted(*arguments):
    sent.append(arguments)
    return begin(*arguments)


smtplib._core = types.SimpleNamespace(Dialogue=counted)
result = unittest.TextTestRunner(stream=io.StringIO()).run(unittest.defaultTestLoader.loadTestsFromModule(test_smtplib))
failed = {test.id().split(".", 2)[2]: text.splitlines()[-1] for test, text in result.failures + result.errors}
print(json.dumps({"run": result.testsRun, "failed": failed, "engine": len(sent)}))
