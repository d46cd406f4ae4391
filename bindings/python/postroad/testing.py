"""Tests of programs that send mail, without a server: a sink, which is a mail server in the process that tests, and
captured(), which has mailers keep what they would send. The pytest fixtures mail_sink and mail_outbox are these two."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Mapping as MappingABC
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Dict, Iterable, Iterator, List, Literal, Mapping, Optional, Type, Union

from . import _sink
from ._errors import InvalidInput
from ._literals import words
from ._mailer import Mailer
from ._messages import check_flags, check_several, choice, count, instance, octets, seconds, several
from ._outbox import Captured, Stored, capturing
from ._threads import waiting

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["Captured", "Fault", "FaultPhase", "Security", "Sink", "Stored", "Then", "captured"]

FaultPhase = Literal[
    "greeting", "hello", "starttls", "auth", "mail", "rcpt", "data", "content", "reset", "quit", "idle"
]
Then = Literal["go_on", "stall", "drop"]
Security = Literal["insecure_none", "starttls", "implicit"]


def _sent(value: object) -> Optional[bytes]:
    if value is None or isinstance(value, bytes):
        return value
    if not isinstance(value, str):
        raise TypeError(f"send must be bytes or a str, not {type(value).__name__}")
    return octets("send", value)


@dataclass(frozen=True)
class Fault:
    """One thing that a Sink does otherwise than a server should. It takes the place of one reply; the parts combine.
    docs/testing.md says more."""

    at: FaultPhase
    """Which reply: "content" is that to the end of the content; "idle" comes unasked, behind a transaction."""
    nth: int = 1
    """At which time it happens, counted over all connections from 1; 0: every time."""
    match: str = ""
    """Only what contains this counts: of the command's argument, at "content" of the recipients."""
    send: Union[str, bytes, None] = None
    """Octets in place of the reply, with the CRLF if there is to be one; None: the reply that was due."""
    takes_effect: bool = False
    """With `send`: whether the command is done all the same."""
    then: Then = "go_on"
    """How the connection goes on: "stall" says nothing more, "drop" closes it."""
    early: bool = False
    """At "content": with its first octet, not behind its end."""
    wait: float = 0.0
    """So many seconds later than without the fault."""

    def __post_init__(self) -> None:
        choice("at", self.at, words(FaultPhase))
        choice("then", self.then, words(Then))
        if isinstance(self.nth, bool) or not isinstance(self.nth, int):
            raise TypeError(f"nth must be an int, not {type(self.nth).__name__}")
        if not 0 <= self.nth < 1 << 32:
            raise InvalidInput("nth must not be negative", code="invalid_option")
        octets("match", self.match)
        _sent(self.send)
        check_flags(takes_effect=self.takes_effect, early=self.early)
        seconds("wait", self.wait, zero=True)

    @classmethod
    def parse(cls, text: str) -> Fault:
        """Reads the text form, PHASE[@MATCH]:NTH:[+]TEXT[|FLAG]..., such as "rcpt:1:451 4.7.1 later". Raises
        InvalidInput."""
        return cls(*_sink.parse_fault(octets("a fault", text)))  # type: ignore[arg-type]

    @classmethod
    def reply(cls, at: FaultPhase, text: str, nth: int = 1) -> Fault:
        """Replies `text`, a line without CRLF, at the `nth` time, and does not do what was asked."""
        return cls(at, nth, send=text + "\r\n")

    @classmethod
    def drop(cls, at: FaultPhase, nth: int = 1) -> Fault:
        """Closes the connection in place of the `nth` reply; nothing is done."""
        return cls(at, nth, send="", then="drop")

    @classmethod
    def stall(cls, at: FaultPhase, nth: int = 1) -> Fault:
        """Says nothing more in place of the `nth` reply; nothing is done."""
        return cls(at, nth, send="", then="stall")


def _parts(fault: Union[Fault, str]) -> _sink.FaultParts:
    f = Fault.parse(fault) if isinstance(fault, str) else fault
    if not isinstance(f, Fault):
        raise TypeError(f"a fault is a Fault or a str, not {type(fault).__name__}")
    return f.at, f.nth, f.match, _sent(f.send), f.takes_effect, f.then, f.early, float(f.wait)


class Sink:
    """A mail server for tests, on a free port of 127.0.0.1 and a thread of its own, with real sockets and real TLS. It
    takes what arrives, notes what a client must not do, and goes wrong where it is told to. Any thread may use it.

    security: "insecure_none", "starttls" or "implicit"; the certificate is made when the sink starts.
    users: names and passwords, or tokens; with any, AUTH is offered.
    mechanisms: of "PLAIN", "LOGIN", "XOAUTH2" and "OAUTHBEARER".
    auth_in_clear: AUTH without TLS is offered, and no violation.
    require_auth, require_tls: MAIL is refused before.
    faults: what goes wrong, each a Fault or its text form.
    name: what the greeting says.
    lmtp: speaks LMTP (RFC 2033). esmtp=False: knows HELO only.
    pipelining, eight_bit_mime, smtputf8, enhanced_codes, dsn, chunking, binarymime: whether the extension is offered.
    size: octets a message may have. more_keywords: further lines for the reply to EHLO.
    connection_limit, messages_per_connection, recipient_limit: more are refused for now.
    delay: seconds from the arrival of octets to that of their replies.
    keep: False: messages are only counted.
    port: 0 takes a free one.
    certificate_names: host names in the certificate instead of those of this machine. expired: it no longer holds.

    Raises InvalidInput, and OSError when it cannot listen.
    """

    def __init__(
        self,
        *,
        security: Security = "insecure_none",
        users: Optional[Mapping[str, str]] = None,
        mechanisms: Optional[Iterable[str]] = None,
        auth_in_clear: bool = False,
        require_auth: bool = False,
        require_tls: bool = False,
        faults: Iterable[Union[Fault, str]] = (),
        name: str = "sink.example",
        lmtp: bool = False,
        esmtp: bool = True,
        pipelining: bool = True,
        eight_bit_mime: bool = True,
        smtputf8: bool = True,
        enhanced_codes: bool = True,
        dsn: bool = True,
        chunking: bool = False,
        binarymime: bool = False,
        size: Optional[int] = None,
        more_keywords: Iterable[str] = (),
        connection_limit: Optional[int] = None,
        messages_per_connection: Optional[int] = None,
        recipient_limit: Optional[int] = None,
        delay: float = 0.0,
        keep: bool = True,
        port: int = 0,
        certificate_names: Optional[Iterable[str]] = None,
        expired: bool = False,
    ) -> None:
        flags = {
            **{"auth_in_clear": auth_in_clear, "require_auth": require_auth, "require_tls": require_tls},
            **{"lmtp": lmtp, "esmtp": esmtp, "pipelining": pipelining, "eight_bit_mime": eight_bit_mime},
            **{"smtputf8": smtputf8, "enhanced_codes": enhanced_codes, "dsn": dsn, "chunking": chunking},
            **{"binarymime": binarymime, "keep": keep, "expired": expired},
        }
        check_flags(**flags)
        limits = {
            **{"size": size, "connection_limit": connection_limit, "recipient_limit": recipient_limit},
            "messages_per_connection": messages_per_connection,
        }
        options: Dict[str, Any] = {**flags}
        options.update((what, count(what, value, 1 << 40)) for what, value in limits.items())
        options["security"] = choice("security", security, words(Security))
        options["name"] = octets("name", name)
        instance("users", users or {}, MappingABC)
        options["users"] = {octets("users", u): octets("users", p) for u, p in (users or {}).items()}
        options["mechanisms"] = None if mechanisms is None else several("mechanisms", mechanisms)
        options["more_keywords"] = several("more_keywords", more_keywords)
        check_several("faults", faults)
        options["faults"] = [_parts(f) for f in faults]
        options["delay"] = seconds("delay", delay, zero=True)
        options["port"] = None if port == 0 else count("port", port, 65535)
        if certificate_names is not None:
            options["certificate_names"] = several("certificate_names", certificate_names)
        self._users = dict(users or {})
        self._ca_file: Optional[str] = None
        self._core = _sink.Sink(options)

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._core.port

    def url(self, user: Optional[str] = None) -> str:
        """For a Mailer; with the name and password of `user`, one of `users`. Raises KeyError for another."""
        if user is not None and user not in self._users:
            raise KeyError(user)
        url = self._core.url(octets("user", user or ""))
        in_clear = user is not None and url.startswith(("smtp+insecure", "lmtp+insecure"))
        return url + ("?insecure_authentication=true" if in_clear else "")

    @property
    def ca_pem(self) -> str:
        """The CA that signed its certificate; empty without TLS."""
        return self._core.ca_pem

    @property
    def ca_file(self) -> Optional[str]:
        """The same in a file, which lasts until stop(); None without TLS."""
        if self._ca_file is None and self.ca_pem:
            handle, self._ca_file = tempfile.mkstemp(suffix=".pem")
            with os.fdopen(handle, "w") as f:
                f.write(self.ca_pem)
        return self._ca_file

    def mailer(self, user: Optional[str] = None, **arguments: Any) -> Mailer:
        """A Mailer that sends here, as `user` if one is given, and trusts its certificate. `arguments` are further ones
        of Mailer."""
        return Mailer(self.url(user), **{"ca_file": self.ca_file, **arguments})

    @property
    def messages(self) -> List[Stored]:
        """What arrived so far, oldest first."""
        return [Stored(*parts) for parts in self._core.messages()]

    def wait_for(self, messages: int, timeout: float = 30.0) -> List[Stored]:
        """Waits until so many `messages` have arrived, and returns what did. Raises TimeoutError after `timeout`
        seconds."""
        patience = seconds("timeout", timeout, zero=True) or 0.0
        if not waiting(self._core.wait_for, count("messages", messages, 1 << 40), patience):
            raise TimeoutError(f"{self.counts['messages']} of {messages} messages have arrived")
        return self.messages

    @property
    def violations(self) -> List[str]:
        """What clients did that they must not do; never holds a secret."""
        return self._core.violations()

    @property
    def commands(self) -> List[str]:
        """Each command line that came, without credentials."""
        return self._core.commands()

    @property
    def counts(self) -> Dict[str, int]:
        """ "connections" open now, "most_connections" at a time, "connections_ever", "messages", "octets", "commands",
        "auth_attempts", "handshakes", "violations"."""
        return self._core.counts()

    def add(self, fault: Union[Fault, str]) -> None:
        """One more `fault`, with a count of its own that begins here."""
        self._core.add(_parts(fault))

    def clear_faults(self) -> None:
        """Forgets the faults."""
        self._core.clear_faults()

    def clear(self) -> None:
        """Forgets messages, violations, commands and counts; not the faults."""
        self._core.clear()

    def drop_connections(self) -> None:
        """Closes all connections, as a server does that is restarted."""
        waiting(self._core.drop_connections)

    def stop(self) -> None:
        """Closes all connections and listens no more. What it saw can still be looked at."""
        waiting(self._core.stop)
        if self._ca_file is not None:
            with contextlib.suppress(OSError):
                os.unlink(self._ca_file)
            self._ca_file = None

    def __enter__(self) -> Sink:
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], value: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"<postroad.testing.Sink at port {self.port}>"


@contextlib.contextmanager
def captured() -> Iterator[Captured]:
    """Each Mailer that is made meanwhile, in whatever thread, keeps what it sends in the Captured that this gives, and
    connects to no server; what would be wrong with its arguments or a message is wrong all the same. Those made before
    are not changed."""
    kept = Captured()
    with capturing(kept):
        yield kept
