"""What goes wrong on purpose: the faults of the library's test server, at replies of postroad catch."""

from __future__ import annotations

import asyncio
from typing import Any, Dict, List, Optional

from .._errors import InvalidInput
from ..testing import Fault

MOST = 100
_COMMANDS = {
    "EHLO": "hello",
    "HELO": "hello",
    "AUTH": "auth",
    "MAIL": "mail",
    "RCPT": "rcpt",
    "DATA": "data",
    "RSET": "reset",
    "QUIT": "quit",
}
_PHASES = ("greeting", *dict.fromkeys(_COMMANDS.values()), "content", "idle")


class Faults:
    """Used by one thread. Each counts from when it was added, over all connections."""

    def __init__(self) -> None:
        self._all: List[List[Any]] = []

    def add(self, text: str) -> None:
        """Text form of a fault (docs/testing.md). Raises InvalidInput."""
        fault = Fault.parse(text)
        if fault.at not in _PHASES:
            choices = ", ".join(_PHASES)
            raise InvalidInput(f"{text}: catch cannot fail at {fault.at}: choose {choices}", code="invalid_option")
        if fault.early and fault.then == "stall":
            raise InvalidInput(f"{text}: catch cannot stall early", code="invalid_option")
        if len(self._all) >= MOST:
            raise InvalidInput(f"there are {MOST} faults already: clear them first", code="too_many")
        self._all.append([text, fault, 0, 0])

    def clear(self) -> None:
        self._all = []

    def list(self) -> List[Dict[str, Any]]:
        return [{"fault": text, "happened": happened} for text, _, _, happened in self._all]

    def due(self, at: str, argument: str, *, early: bool = False) -> Optional[Fault]:
        """Counts for all that match; the first that is due happens."""
        found = None
        for entry in self._all:
            fault = entry[1]
            if fault.at != at or fault.early != early or fault.match not in argument:
                continue
            entry[2] += 1
            if found is None and fault.nth in (0, entry[2]):
                found = entry
        if found is None:
            return None
        found[3] += 1
        return found[1]  # type: ignore[no-any-return]


def server_class(faults: Faults) -> Any:
    """aiosmtpd's server, whose replies the faults take the place of."""
    from aiosmtpd.smtp import SMTP

    class Faulty(SMTP):
        _instead: Optional[Fault] = None
        _greeted = False
        _lines: Optional[List[str]] = None
        _taken = False  # a message, in the command that is carried out
        _early: Optional[Fault] = None  # happens with the first octet of the content
        _answered = False  # the content, before it was here

        def __init__(self, *given: Any, **named: Any) -> None:
            super().__init__(*given, **named)
            for command, phase in _COMMANDS.items():
                self._smtp_methods[command] = self._faulty(phase, self._smtp_methods[command])

        async def push(self, status: Any) -> None:
            if self._lines is not None:
                self._lines.append(status)
                return
            if self._answered:
                self._answered = False
                return
            if not self._greeted:
                self._greeted = True
                self._instead = faults.due("greeting", "")
            fault, self._instead = self._instead, None
            if fault is None:
                # a challenge of AUTH comes as octets
                if isinstance(status, str) and status.startswith("354") and self.envelope is not None:
                    self._early = faults.due("content", " ".join(map(str, self.envelope.rcpt_tos)), early=True)
                await super().push(status)
            else:
                await self._happen(fault, status)

        def data_received(self, data: bytes) -> None:
            fault, self._early = self._early, None
            if fault is not None:
                self._answered = fault.send is not None
                self._happening = asyncio.ensure_future(self._happen(fault))
            super().data_received(data)

        async def _happen(self, fault: Fault, usual: Optional[str] = None) -> None:
            await asyncio.sleep(fault.wait)
            if fault.send is not None:
                self._writer.write(fault.send if isinstance(fault.send, bytes) else fault.send.encode())
                await self._writer.drain()
            elif usual is not None:
                await super().push(usual)
            if fault.then == "stall":
                await asyncio.Event().wait()  # until the client goes
            if fault.then == "drop":
                self._writer.close()

        def _faulty(self, phase: str, usual: Any) -> Any:
            async def method(argument: Optional[str]) -> None:
                self._instead = fault = faults.due(phase, argument or "")
                if fault is None:
                    await usual(argument)
                elif fault.send is not None and not fault.takes_effect:
                    await self.push("")
                elif phase == "hello":
                    # its lines are one reply
                    self._lines = []
                    await usual(argument)
                    lines, self._lines = self._lines, None
                    await self.push("\r\n".join(lines))
                else:
                    await usual(argument)
                self._instead = None
                taken, self._taken = self._taken, False
                if taken and (unasked := faults.due("idle", "")):
                    await self._happen(unasked)

            return method

        def content(self, recipients: List[str]) -> bool:
            """Whether what has come is to be kept. The fault that is due follows as the reply."""
            if self._answered:
                return False
            self._taken = True
            self._instead = faults.due("content", " ".join(recipients))
            return self._instead is None or self._instead.send is None or self._instead.takes_effect

    return Faulty
