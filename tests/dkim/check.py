"""Makes keys, has the program argv[1] sign messages with them, and verifies each signature with dkimpy, and with
go-msgauth and mailauth, which script/bootstrap puts into the folder argv[2]; also after what lists and servers do."""

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


def as_changed_on_the_way(message):
    """The message as it came, with fields of lists and submission servers, and refolded where the signatures allow it."""
    header, empty, body = message.partition(b"\r\n\r\n")
    fields = re.split(rb"\r\n(?![ \t])", header)
    present = {field.partition(b":")[0].strip().lower() for field in fields}
    added = [b"Received: from a.example by b.example; Tue, 07 Jan 2025 00:00:00 +0000"]
    for field in (b"Sender: list@example.net", b"Cc: dee@example.org", b"Reply-To: list@example.net",
                  b"List-Id: <a.example.net>", b"List-Unsubscribe: <https://example.net/u>"):
        if field.partition(b":")[0].lower() not in present:
            added.append(field)
    yield "unchanged", message
    yield "with fields added", b"\r\n".join(added + fields) + empty + body
    ways = re.findall(rb"[; \t]c=(\w+)", b"".join(f for f in fields if f.startswith(b"DKIM-Signature:")))
    if set(ways) == {b"relaxed"}:
        folded = [f if f.startswith(b"DKIM-") else re.sub(rb"(?<=\S) +(?=\S)", b"\r\n\t ", f) for f in fields]
        yield "refolded", b"\r\n".join(folded) + empty + body


def problems_of_others(folder, messages, records):
    """What other verifiers say: all signatures hold, whatever is done on the way, but not in another body."""
    cases = [(what, changed, count) for message, count in messages for what, changed in as_changed_on_the_way(message)]
    cases += [("with a longer body", message + b"x\r\n", 0) for message, _ in messages]
    text = "".join(f"record {name.decode()} {record.decode()}\n" for name, record in records.items())
    text += "".join(changed.hex() + "\n" for _, changed, _ in cases)
    script = pathlib.Path(__file__).parent / "mailauth.mjs"
    for verifier, command in (("go-msgauth", [folder / "msgauth"]), ("mailauth", ["node", script, folder])):
        found = subprocess.run(command, input=text, check=True, stdout=subprocess.PIPE, text=True).stdout.split()
        for (what, changed, count), good in zip(cases, found, strict=True):
            if int(good) != count:
                yield f"{verifier}: {good} signatures of {count} hold, {what}:\n{changed[:2000].decode(errors='replace')}"
    for what, changed, count in cases:
        if sum(verifies(changed, index, records) for index in range(count)) != count:
            yield f"dkimpy: a signature does not hold, {what}"
    print(f"{len(cases)} messages to three verifiers, {len({what for what, _, _ in cases})} kinds")


def main():
    failed = seen = 0
    messages = []
    with tempfile.TemporaryDirectory() as directory:
        records = make_keys(pathlib.Path(directory))
        output = subprocess.run([sys.argv[1], directory], check=True, capture_output=True).stdout.decode()
    ours = {}
    for line in output.splitlines():
        word, count, octets = line.split(" ", 2)
        if word == "record":
            ours[count.encode()] = octets.encode()
            continue
        message = bytes.fromhex(octets)
        messages.append((message, int(count)))
        found = list(problems(message, int(count), records))
        seen += 1
        if found:
            failed += 1
            print(f"message {seen}:", *found, message[:2000].decode(errors="backslashreplace"), sep="\n  ")
    if ours != records:
        failed += 1
        print(f"the records to publish: {ours}, expected {records}")
    others = list(problems_of_others(pathlib.Path(sys.argv[2]).resolve(), messages, records))
    failed += len(others)
    print(*others[:10], sep="\n")
    print(f"{seen} messages, {failed} with problems")
    return 1 if failed or seen < 50 else 0


if __name__ == "__main__":
    sys.exit(main())
