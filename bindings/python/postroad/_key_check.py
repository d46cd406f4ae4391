"""Whether verifiers find the public key of a DKIM signature."""

from __future__ import annotations

from typing import Callable, Iterable, List, Literal, NamedTuple, Optional, Tuple, Union

from . import _core
from ._errors import InvalidInput
from ._messages import octets

# The TXT records of a name; none where there are none or no such name.
Lookup = Callable[[str], Iterable[Union[str, bytes]]]


class KeyCheck(NamedTuple):
    """What a verifier makes of a published key."""

    verdict: Literal["good", "notice", "bad", "unknown"]
    """good: it is that of the private key; notice: it is, but `why` says what receivers may hold against it; bad: no
    signature verifies, or none counts; unknown: the look-up failed, or the public key of a function was not given."""
    why: str
    """For people, with what to do; empty where it is good."""
    name: str
    """Where the record is: `selector._domainkey.domain`."""
    record: str
    """What to publish there; empty where the public key is unknown."""


def _look_up_by_dnspython(name: str) -> List[bytes]:
    try:
        import dns.resolver
    except ImportError:
        why = "DKIM: looking a key up needs the package dnspython (pip install dnspython), or a function `lookup`"
        raise InvalidInput(why, code="invalid_option", phase="prepare") from None
    try:
        answer = dns.resolver.resolve(name + ".", "TXT", lifetime=20)
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return []
    return [b"".join(record.strings) for record in answer]


def check_key(by: _core.Signature, lookup: Optional[Lookup]) -> KeyCheck:
    name, record = _core.key_record(by)
    found, failure = _found(lookup or _look_up_by_dnspython, name)
    verdict, why = _core.check_key(by, found, failure)
    return KeyCheck(verdict, why, name, record)


def _found(lookup: Lookup, name: str) -> Tuple[List[bytes], bytes]:
    """The records, or why nobody knows: a resolver's exceptions are of many kinds."""
    try:
        given = lookup(name)
        records = [] if isinstance(given, (str, bytes)) else list(given)
    except (InvalidInput, TypeError):
        raise
    except Exception as e:
        return [], f"{type(e).__name__}: {e}".encode("utf-8", "backslashreplace")
    if isinstance(given, (str, bytes)) or not all(isinstance(r, (str, bytes)) for r in records):
        raise TypeError("lookup must give the TXT records of the name, each as str or bytes")
    return [r if isinstance(r, bytes) else octets("a record", r) for r in records], b""
