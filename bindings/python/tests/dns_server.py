"""A resolver for tests: it answers what is written down, and nothing is signed."""

from __future__ import annotations

import ipaddress
import socket
import struct
import threading
import urllib.parse
from typing import Dict, List, Set, Tuple

from postroad.testing import Sink

_TYPES = {"A": 1, "CNAME": 5, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28, "SRV": 33, "TLSA": 52}
_NAMES = {number: name for name, number in _TYPES.items()}


def labels(name: str) -> bytes:
    """As the DNS writes a name, without compression."""
    parts = [part.encode() for part in name.rstrip(".").split(".") if part]
    return b"".join(bytes([len(part)]) + part for part in parts) + b"\0"


def _rdata(kind: str, value: str) -> bytes:
    if kind in ("A", "AAAA"):
        return ipaddress.ip_address(value).packed
    if kind == "MX":
        preference, host = value.split(" ")
        return struct.pack("!H", int(preference)) + labels(host)
    if kind == "SRV":
        *numbers, host = value.split(" ")
        return struct.pack("!HHH", *map(int, numbers)) + labels(host)
    if kind == "TXT":
        octets = value.encode()
        pieces = [octets[i : i + 255] for i in range(0, len(octets), 255)] or [b""]
        return b"".join(bytes([len(piece)]) + piece for piece in pieces)
    if kind == "TLSA":
        return bytes.fromhex(value.replace(" ", ""))
    return labels(value)


class DnsServer:
    """On UDP at 127.0.0.1. `add` writes a record down; the others may be called at any time, too."""

    def __init__(self) -> None:
        self._records: Dict[str, Dict[str, List[str]]] = {}
        self._failing: Set[str] = set()
        self.questions: List[Tuple[str, str]] = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.address = f"127.0.0.1@{self.port}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def add(self, name: str, kind: str, value: str) -> DnsServer:
        self._records.setdefault(name, {}).setdefault(kind, []).append(value)
        return self

    def fail(self, name: str) -> None:
        """It says SERVFAIL."""
        self._failing.add(name)

    def mend(self, name: str) -> None:
        self._failing.discard(name)

    def close(self) -> None:
        self._socket.sendto(b"", ("127.0.0.1", self.port))
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while True:
            try:
                query, whence = self._socket.recvfrom(4096)
            except OSError:
                return
            if not query:
                return
            self._socket.sendto(self._answer(query), whence)

    def _answer(self, query: bytes) -> bytes:
        at, parts = 12, []
        while query[at]:
            parts.append(query[at + 1 : at + 1 + query[at]].decode("latin-1"))
            at += 1 + query[at]
        name = ".".join(parts).lower()
        question = query[12 : at + 5]
        kind = _NAMES.get(struct.unpack("!H", query[at + 1 : at + 3])[0], "?")
        self.questions.append((kind, name))
        if name in self._failing:
            return query[:2] + struct.pack("!HHHHH", 0x8182, 1, 0, 0, 0) + question
        found = self._records.get(name)
        # one above a name that is written down is there, too
        known = found is not None or any(each.endswith("." + name) for each in self._records)
        answers = [(kind, value) for value in (found or {}).get(kind, [])]
        answers += [("CNAME", value) for value in (found or {}).get("CNAME", []) if not answers]
        records = b""
        for of, value in answers:
            rdata = _rdata(of, value)
            records += b"\xc0\x0c" + struct.pack("!HHIH", _TYPES[of], 1, 60, len(rdata)) + rdata
        code = 0x8180 if known else 0x8183
        return query[:2] + struct.pack("!HHHHH", code, 1, len(answers), 0, 0) + question + records


def mx_url(dns: DnsServer, sink: Sink, name: str = "out.sender.example", **options: str) -> str:
    """The URL of a sender that asks `dns`, and finds every server at the port of `sink`."""
    given = {"resolver": dns.address, "dnssec": "off", "mta_sts": "off", "private_addresses": "true", **options}
    return f"mx://{name}:{sink.port}?{urllib.parse.urlencode({k: v for k, v in given.items() if v})}"
