"""Has the program argv[1] sign a message by S/MIME, and verifies it with `openssl cms` and Python's email."""

import email
import email.policy
import pathlib
import subprocess
import sys
import tempfile


def run(*arguments, octets=None):
    return subprocess.run(arguments, input=octets, capture_output=True)


def verified(octets, certificate):
    """What was signed, or None."""
    done = run("openssl", "cms", "-verify", "-CAfile", certificate, "-purpose", "any", octets=octets)
    return done.stdout if done.returncode == 0 else None


def problems(octets, certificate):
    inner = verified(octets, certificate)
    if inner is None:
        yield "the signature does not verify"
        return
    if not octets.isascii():
        yield "octets above 127, which a relay may recode"
    outer = email.message_from_bytes(octets, policy=email.policy.default)
    if (outer["Subject"], outer["From"]) != ("Verträge", "ann@example.com") or outer["Content-Type"].maintype != "multipart":
        yield f"the header is {outer.items()}"
    if outer.defects or [part.get_content_type() for part in outer.iter_parts()][1] != "application/pkcs7-signature":
        yield "it is no multipart/signed"
    text, file = email.message_from_bytes(inner, policy=email.policy.default).iter_parts()
    if (text.get_content().strip(), file.get_content(), file.get_filename()) != ("Im Anhang.", "a;b\n", "a.csv"):
        yield f"what was signed is {inner}"
    for old, new in ((b"text/csv", b"text/xml"), (b"a.csv", b"b.csv"), (b"Im Anhang", b"Am Anhang")):
        if old not in octets:
            yield f"there is no {old} to change"
        elif verified(octets.replace(old, new), certificate) is not None:
            yield f"with {new} it verifies, too"


def main():
    with tempfile.TemporaryDirectory() as directory:
        certificate, key = (str(pathlib.Path(directory, name)) for name in ("certificate.pem", "key.pem"))
        made = run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=ann@example.com", "-days", "2",
                   "-keyout", key, "-out", certificate)
        if made.returncode != 0:
            print(made.stderr.decode())
            return 1
        signed = run(sys.argv[1], certificate, key)
        found = [signed.stderr.decode()] if signed.returncode != 0 else list(problems(signed.stdout, certificate))
        refused = run(sys.argv[1], certificate, "/none")
        if refused.returncode != 1 or b"no such key" not in refused.stderr:
            found.append(f"a key that is not there: {refused.stderr}")
    print(*found, f"{len(found)} problems", sep="\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
