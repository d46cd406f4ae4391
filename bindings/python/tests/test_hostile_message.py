"""Whatever a string of a Message holds: it is refused by name, or it stays within its field."""

import email
import email.policy
import os
import random
import re

import postroad
import pytest

PIECES = [
    *(chr(c) for c in (*range(0x20), 0x7F, 0x80, 0x85, 0x9F, 0xA0)),
    *("\r\n", "\r\nX-Evil: 1", "\r\n\r\n", "\r\n.\r\n", "\r\n X-Evil: 1", "\nBcc: v@evil.example"),
    *("\ud800", "\udc80", "\udfff", "\ufffe", "\ufeff", "\U0010ffff", "\U000e0001"),
    *("\u202a", "\u202e", "\u2066", "\u2069", "\u200b", "\u200f", "\u2028", "\u2029", "\u061c"),
    *("\uff1a", "\uff20", "\uff1c", "\u037e", "\u3002", "=?utf-8?q?=0D=0AX-Evil:_1?=", "=?utf-8?b?Cg==?=", "=?"),
    *('"', "\\", "<", ">", "(", ")", "[", "]", ":", ";", ",", "@", "=", "%", "'", "/", "..", "--", "a", "é", "漢", " "),
]


def with_attachment(**about):
    m = postroad.Message(**BASE, text="t")
    m.attach(b"octets", **about)
    return m


def with_list(*values, **named):
    m = postroad.Message(**BASE, text="t")
    m.set_list(*values, **named)
    return m


def with_group(name):
    m = postroad.Message(**BASE, text="t")
    m.add_group(name, ["cid@example.org"], field="cc")
    return m


def with_nested(name):
    m = postroad.Message(**BASE, text="t")
    m.attach_message(b"Subject: nested\r\n\r\nx\r\n", name=name)
    return m


def with_alternative(what, media_type):
    m = postroad.Message(**BASE, text="t")
    m.add_alternative(what, media_type)
    return m


BASE = {"from_": "ann@example.com", "to": ["bob@example.org"]}
SLOTS = {
    "subject": ("s", lambda v: postroad.Message(**BASE, subject=v)),
    "text": ("t", lambda v: postroad.Message(**BASE, text=v)),
    "text_type": ("text/plain", lambda v: postroad.Message(**BASE, text="t", text_type=v)),
    "html": ("<p>", lambda v: postroad.Message(**BASE, html=v)),
    "message_id": ("<a@b>", lambda v: postroad.Message(**BASE, message_id=v)),
    "in_reply_to": ("<a@b>", lambda v: postroad.Message(**BASE, in_reply_to=v)),
    "references": ("<a@b>", lambda v: postroad.Message(**BASE, references=v)),
    "name of the author": ("n", lambda v: postroad.Message(**{**BASE, "from_": [(v, "ann@example.com")]})),
    "name of a recipient": ("n", lambda v: postroad.Message(**{**BASE, "to": [(v, "bob@example.org")]})),
    "local part": ("bob", lambda v: postroad.Message(**{**BASE, "to": [("n", v + "@example.org")]})),
    "domain": ("example.org", lambda v: postroad.Message(**{**BASE, "to": [("n", "bob@" + v)]})),
    "one mailbox": ("bob@example.org", lambda v: postroad.Message(**{**BASE, "to": [v]})),
    "own field": ("v", lambda v: postroad.Message(**BASE, headers={"X-Own": v})),
    "own mailboxes": ("n", lambda v: postroad.Message(**BASE, headers={"X-Own": [(v, "bob@example.org")]})),
    "name of an attachment": ("a.bin", lambda v: with_attachment(name=v)),
    "type of an attachment": ("a/b", lambda v: with_attachment(name="a", media_type=v)),
    "content id": ("a@b", lambda v: with_attachment(name="a", content_id=v)),
    "description": ("d", lambda v: with_attachment(name="a", description=v)),
    "field of an attachment": ("v", lambda v: with_attachment(name="a", headers={"Content-Language": v})),
    "list id": ("news.example.com", lambda v: with_list(v)),
    "name of a list": ("n", lambda v: with_list("news.example.com", v)),
    "one-click": ("https://example.com/u", lambda v: with_list("news.example.com", one_click=v)),
    "help": ("https://example.com/h", lambda v: with_list("news.example.com", help=v)),
    "name of a group": ("g", lambda v: with_group(v)),
    "name of a message": ("m.eml", lambda v: with_nested(v)),
    "alternative": ("a", lambda v: with_alternative(v, "text/x-own")),
    "type of an alternative": ("text/x-own", lambda v: with_alternative("a", v)),
}


def fields_of(octets):
    """Names of the fields of every part, as they stand."""
    message = email.message_from_bytes(octets, policy=email.policy.compat32)
    return [
        sorted(name.lower() for name in part if name.lower() != "content-transfer-encoding") for part in message.walk()
    ]


def problem(octets, usual):
    header = octets.split(b"\r\n\r\n")[0]
    if re.search(rb"\r(?!\n)|(?<!\r)\n|[\0-\x08\x0b\x0c\x0e-\x1f\x7f]", header):
        return "a control character in the header"
    if re.search(rb"(?mi)^(x-evil|bcc):", header):
        return "a field of the value"
    if fields_of(octets) != usual:
        return f"fields {fields_of(octets)}, expected {usual}"
    return None


@pytest.mark.parametrize("slot", SLOTS)
def test_a_value_is_refused_or_stays_in_its_field(slot):
    seed = int(os.environ.get("POSTROAD_SEED", "20250107"))
    print("POSTROAD_SEED =", seed)
    benign, build = SLOTS[slot]
    usual = fields_of(bytes(build(benign)))
    chance = random.Random(f"{seed} {slot}")
    values = [benign[:1] + piece + benign[1:] for piece in PIECES]
    values += ["".join(chance.choices([*PIECES, benign], k=chance.randint(1, 6))) for _ in range(300)]
    refused = []
    for value in values:
        try:
            octets = bytes(build(value))
        except postroad.InvalidInput as e:
            refused.append(str(e))
            continue
        assert problem(octets, usual) is None, repr(value)
    assert refused, "nothing at all is refused"
    assert all(refused), "an error says nothing"
