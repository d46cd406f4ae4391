"""The engine against OpenSSL's server: python3 check.py PEER. Needs the openssl command."""

import os
import re
import shutil
import subprocess
import sys
import tempfile

PEER = os.path.abspath(sys.argv[1])
FAILURES = []

LEAF = """
[{name}]
basicConstraints = CA:false
subjectAltName = DNS:mail.example.com
extendedKeyUsage = {usage}
"""
CONFIG = """
[req]
distinguished_name = dn
[dn]
[ca]
basicConstraints = critical, CA:true
[constrained]
basicConstraints = critical, CA:true
nameConstraints = critical, permitted;DNS:mail.example.com
""" + LEAF.format(name="server", usage="serverAuth") + LEAF.format(name="client", usage="clientAuth")


def openssl(*arguments):
    subprocess.run(["openssl", *arguments], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def make_ca(name, section="ca"):
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-config", "config",
            "-extensions", section, "-subj", f"/CN={name} CA", "-days", "2", "-keyout", f"{name}.key",
            "-out", f"{name}.pem")


def make_leaf(name, ca, key, section="server"):
    openssl("req", "-new", "-newkey", *key, "-nodes", "-config", "config", "-subj", f"/CN={name}",
            "-keyout", f"{name}.key", "-out", f"{name}.csr")
    openssl("x509", "-req", "-in", f"{name}.csr", "-CA", f"{ca}.pem", "-CAkey", f"{ca}.key", "-CAcreateserial",
            "-days", "2", "-extfile", "config", "-extensions", section, "-out", f"{name}.pem")


def run_peer(leaf, options, ca="good", name="mail.example.com", newest=()):
    server = subprocess.Popen(
        ["openssl", "s_server", "-rev", "-accept", "127.0.0.1:0", "-cert", f"{leaf}.pem", "-key", f"{leaf}.key",
         *options], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        for line in server.stdout:
            found = re.match(r"ACCEPT .*:(\d+)$", line.strip())
            if found:
                break
        else:
            return "openssl s_server did not start"
        peer = subprocess.run([PEER, found.group(1), name, f"{ca}.pem", *newest], stdout=subprocess.PIPE, text=True,
                              timeout=60)
        return peer.stdout.strip()
    except subprocess.TimeoutExpired:
        return "hangs"
    finally:
        server.kill()
        server.wait()
        server.stdout.close()


def check(what, wanted, got):
    good = re.match(wanted, got)
    print("ok  " if good else "FAIL", what, "->", got)
    if not good:
        FAILURES.append(what)


def main():
    version = tuple(int(n) for n in subprocess.run([PEER], stdout=subprocess.PIPE, text=True).stdout.split("."))
    has_1_3 = version >= (3, 6, 0)
    newest = r"ok TLSv1\.3" if has_1_3 else r"ok TLSv1\.2"
    with open("config", "w") as file:
        file.write(CONFIG)
    rsa, ec = ["rsa:2048"], ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    make_ca("good")
    make_ca("constrained", "constrained")
    make_leaf("rsa", "good", rsa)
    make_leaf("ec", "good", ec)
    make_leaf("client", "good", ec, "client")
    make_leaf("limited", "constrained", ec)

    for leaf in "rsa", "ec":
        check(f"{leaf}, any version", newest, run_peer(leaf, []))
        check(f"{leaf}, TLS 1.2", r"ok TLSv1\.2", run_peer(leaf, ["-tls1_2"]))
        check(f"{leaf}, client takes TLS 1.2 at most", r"ok TLSv1\.2", run_peer(leaf, [], newest=["1.2"]))
        wanted = r"ok TLSv1\.3" if has_1_3 else r"the TLS handshake failed: .*speaks TLS 1\.2 only"
        check(f"{leaf}, TLS 1.3 only", wanted, run_peer(leaf, ["-tls1_3"]))
        check(f"{leaf}, many session tickets", newest, run_peer(leaf, ["-num_tickets", "20"]))
        check(f"attack 23: {leaf}, TLS 1.1 only", "the TLS handshake failed: ",
              run_peer(leaf, ["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"]))

    check("session id, TLS 1.2", r"ok TLSv1\.2\nok TLSv1\.2 resumed$",
          run_peer("ec", ["-tls1_2", "-no_ticket"], newest=["twice"]))
    check("session ticket, TLS 1.2", r"ok TLSv1\.2\nok TLSv1\.2 resumed$",
          run_peer("ec", ["-tls1_2", "-no_cache"], newest=["twice"]))
    check("session ticket, any version", newest + r"\n" + newest + " resumed$", run_peer("ec", [], newest=["twice"]))

    has_pss_bug = (3, 6, 0) <= version < (3, 6, 7)
    wanted = r".*\(-0x6600\).*set newest = tls::protocol::tls_1_2" if has_pss_bug else r"ok TLSv1\.2"
    check("rsa, TLS 1.2, server's order", wanted, run_peer("rsa", ["-tls1_2", "-serverpref"]))
    check("rsa, TLS 1.2, server's order, client takes TLS 1.2 at most", r"ok TLSv1\.2",
          run_peer("rsa", ["-tls1_2", "-serverpref"], newest=["1.2"]))

    refused = "the server's certificate was not accepted: certificate of mail.example.com "
    check("certificate for clients", refused + "is not meant for servers", run_peer("client", []))
    check("unknown CA", refused + 'is signed by an unknown CA "CN=good CA"', run_peer("ec", [], ca="limited"))
    check("wrong name", ".*is for mail.example.com; expected other.example", run_peer("ec", [], name="other.example"))
    check("CA with critical name constraints", r"ok TLSv1\.", run_peer("limited", [], ca="constrained"))
    check("client certificate demanded, TLS 1.2", "the TLS handshake failed: ",
          run_peer("ec", ["-tls1_2", "-Verify", "1"]))
    if has_1_3:
        check("client certificate demanded, TLS 1.3", "the TLS handshake failed: .*wants a client certificate",
              run_peer("ec", ["-tls1_3", "-Verify", "1"]))


if not shutil.which("openssl"):
    sys.exit("the openssl command is missing")
with tempfile.TemporaryDirectory() as directory:
    os.chdir(directory)
    main()
sys.exit(f"{len(FAILURES)} of the checks failed: {', '.join(FAILURES)}" if FAILURES else 0)
