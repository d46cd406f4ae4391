"""Makes keys, has the program argv[1] sign messages with them, and verifies each signature with dkimpy."""

import base64
import pathlib
import re
import subprocess
import sys
import tempfile

import dkim


def openssl(*arguments):
    return subprocess.run(["openssl", *arguments], check=True, capture_output=True).stdout


def make_keys(directory):
    """The records of the public keys, by the name that a verifier asks for."""
    openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", f"{directory}/rsa.pem")
    openssl("genpkey", "-algorithm", "ED25519", "-out", f"{directory}/ed25519.pem")
    rsa = openssl("pkey", "-in", f"{directory}/rsa.pem", "-pubout", "-outform", "DER")
    ed25519 = openssl("pkey", "-in", f"{directory}/ed25519.pem", "-pubout", "-outform", "DER")[-32:]
    record = "v=DKIM1; k={}; p={}"
    return {
        b"rsa._domainkey.example.com.": record.format("rsa", base64.b64encode(rsa).decode()).encode(),
        b"ed2._domainkey.example.com.": record.format("ed25519", base64.b64encode(ed25519).decode()).encode(),
    }


def verifies(message, index, records):
    try:
        return dkim.DKIM(message).verify(index, dnsfunc=lambda name, timeout=5: records.get(name))
    except dkim.DKIMException as e:
        print(f"  {e}")
        return False


def problems(message, count, records):
    found = len(re.findall(rb"^DKIM-Signature:", message, re.M))
    if found != count:
        yield f"{found} signatures, expected {count}"
    for index in range(count):
        if not verifies(message, index, records):
            yield f"signature {index} does not verify"
    if verifies(message + b"x\r\n", 0, records):
        yield "a longer body verifies"
    # What is not there may be added, but for From: lists and submission servers do.
    fields = [b"From: eve@example.com\r\n"] + [b"Subject: other\r\n"] * (b"\r\nSubject:" in b"\r\n" + message)
    for field in fields:
        for changed in (field + message, message.replace(b"\r\n\r\n", b"\r\n" + field + b"\r\n", 1)):
            if verifies(changed, 0, records):
                yield f"another {field.decode().strip()} verifies"
    lines = message.split(b"\r\n\r\n")[0].split(b"\r\n")
    signature = [line for line in lines if line.startswith((b"DKIM-", b" "))]
    if any(len(line) > 78 for line in signature):
        yield "a long line"


def main():
    failed = seen = 0
    with tempfile.TemporaryDirectory() as directory:
        records = make_keys(pathlib.Path(directory))
        output = subprocess.run([sys.argv[1], directory], check=True, capture_output=True).stdout.decode()
    for line in output.splitlines():
        _, count, octets = line.split(" ")
        message = bytes.fromhex(octets)
        found = list(problems(message, int(count), records))
        seen += 1
        if found:
            failed += 1
            print(f"message {seen}:", *found, message[:2000].decode(errors="backslashreplace"), sep="\n  ")
    print(f"{seen} messages, {failed} with problems")
    return 1 if failed or seen < 50 else 0


if __name__ == "__main__":
    sys.exit(main())
