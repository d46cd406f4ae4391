"""Makes the servers available to the tests of this directory."""

from fixtures import (  # noqa: F401
    dovecot,
    exim,
    opensmtpd,
    postfix,
    proxies,
    pytest_runtest_makereport,
    server,
    start_server,
    tls_dir,
)
