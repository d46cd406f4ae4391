"""What others decide on the cases of table.cpp: python3 references.py FOLDER. Needs the openssl command.

FOLDER has trusted-N.pem, sent-N.pem (the server's certificate first), key-N.pem and host-N, of each N from 0 on. Prints for each
whether `openssl verify` and Python's ssl take the server: y or n.
"""

import ipaddress
import pathlib
import ssl
import subprocess
import sys


def is_address(host):
    try:
        ipaddress.ip_address(host)
        return True
    except ValueError:
        return False


def by_command(folder, n, host):
    # As a client at security level 2 would; nothing is read from the system.
    command = ["openssl", "verify", "-no-CApath", "-no-CAstore", "-CAfile", f"trusted-{n}.pem", "-untrusted"]
    command += [f"sent-{n}.pem", "-purpose", "sslserver", "-auth_level", "2"]
    command += ["-verify_ip" if is_address(host) else "-verify_hostname", host, f"sent-{n}.pem"]
    return subprocess.run(command, cwd=folder, capture_output=True, stdin=subprocess.DEVNULL).returncode == 0


def by_python(folder, n, host):
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.set_ciphers("ALL:@SECLEVEL=0")
    server.load_cert_chain(folder / f"sent-{n}.pem", folder / f"key-{n}.pem")
    try:
        client = ssl.create_default_context(cafile=folder / f"trusted-{n}.pem")
        a, b = ssl.MemoryBIO(), ssl.MemoryBIO()
        ends = [client.wrap_bio(a, b, server_hostname=host), server.wrap_bio(b, a, server_side=True)]
    except (ssl.SSLError, ValueError):
        return False
    for _ in range(10):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLError:
                return False
    return True


folder = pathlib.Path(sys.argv[1])
n = 0
while (folder / f"host-{n}").exists():
    host = (folder / f"host-{n}").read_text()
    print("".join("ny"[decide(folder, n, host)] for decide in (by_command, by_python)))
    n += 1
