"""Runs Django's own tests of its SMTP backend, from the folder `tests` of its source, on that of postroad.

Prints JSON: how many ran, and the names of those that failed, with the last line of why.
"""

from __future__ import annotations

import io
import json
import sys
import types
import unittest
import warnings

sys.path.insert(0, sys.argv[1])
warnings.simplefilter("ignore")

import django  # noqa: E402
from django.conf import settings  # noqa: E402

settings.configure(EMAIL_BACKEND="postroad.django.EmailBackend", USE_I18N=False, SECRET_KEY="x")
django.setup()

from django.test.utils import setup_test_environment  # noqa: E402

try:
    from mail import test_backends as tests  # since Django 6.1
except ImportError:
    from mail import tests
from postroad.django import EmailBackend  # noqa: E402

tests.smtp = types.SimpleNamespace(EmailBackend=EmailBackend)
tests.SMTPBackendTests.email_backend = "postroad.django.EmailBackend"
tests.SMTPBackendTests.backend_class = EmailBackend
setup_test_environment()
load = unittest.defaultTestLoader.loadTestsFromTestCase
suite = unittest.TestSuite([load(tests.SMTPBackendTests), load(tests.SMTPBackendStoppedServerTests)])
result = unittest.TextTestRunner(stream=io.StringIO()).run(suite)
failed = {}
for test, text in result.failures + result.errors:
    failed[test.id().split(" ")[0].split(".")[-1]] = text.splitlines()[-1]
print(json.dumps({"run": result.testsRun, "failed": failed}))
