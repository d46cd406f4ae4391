"""A mail server of a few lines, in threads, without TLS; LMTP to who says LHLO. It shares no code with the library."""

from __future__ import annotations

import contextlib
import socket
import threading
from dataclasses import dataclass, field


@dataclass
class Received:
    sender: str
    recipients: list[str]
    content: bytes
    parameters: str


@dataclass
class Server:
    """A server and what it saw.

    `replies` maps the start of a command, or "greeting" or "content", to the reply in place of the usual one; "drop"
    closes the connection. At `stall`, named the same way, it sets `stalled` and waits for `resume`. With `path` it
    listens on a Unix-domain socket.
    """

    replies: dict[str, str] = field(default_factory=dict)
    stall: str = ""
    path: str = ""
    extensions: tuple[str, ...] = ("PIPELINING", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES")
    messages: list[Received] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    stalled: threading.Event = field(default_factory=threading.Event)
    resume: threading.Event = field(default_factory=threading.Event)
    disconnected: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        if self.path:
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(self.path)
            self.listener.listen()
            self.port, self.url = 0, f"lmtp+unix://{self.path}"
        else:
            self.listener = socket.create_server(("127.0.0.1", 0))
            self.port = self.listener.getsockname()[1]
            self.url = f"smtp+insecure://127.0.0.1:{self.port}"
        self.sockets: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self.resume.set()
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for s in self.sockets:
            with contextlib.suppress(OSError):
                s.shutdown(socket.SHUT_RDWR)
            s.close()

    def _accept(self) -> None:
        # RuntimeError: Python ends, and 3.12 starts no thread then
        with contextlib.suppress(OSError, RuntimeError):
            while True:
                connection, _ = self.listener.accept()
                self.sockets.append(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError), connection, connection.makefile("rb") as lines:
            self._talk(connection, lines)
        self.disconnected.set()

    def _reply(self, connection: socket.socket, what: str, usual: str, taken: Received | None = None) -> bool:
        if self.stall and what.startswith(self.stall):
            self.stalled.set()
            self.resume.wait()
        text = next((r for start, r in self.replies.items() if what.lower().startswith(start.lower())), usual)
        if text == "drop":
            raise ConnectionAbortedError
        good = text.startswith(("2", "3"))
        # before whoever reads the reply looks for it
        if good and taken and not any(m is taken for m in self.messages):
            self.messages.append(taken)
        connection.sendall(text.encode("latin-1") + b"\r\n")
        return good

    def _talk(self, connection, lines) -> None:
        self._reply(connection, "greeting", "220 test ESMTP")
        mail = Received("", [], b"", "")
        lmtp = begun = False
        while line := lines.readline():
            command = line.decode().rstrip("\r\n")
            self.commands.append(command)
            verb = command.split(" ")[0].upper()
            argument = command.partition("<")[2]
            if verb in ("EHLO", "LHLO"):
                lmtp = verb == "LHLO"
                self._reply(
                    connection,
                    command,
                    "\r\n".join(["250-test"] + ["250-" + e for e in self.extensions] + ["250 HELP"]),
                )
            elif verb == "MAIL":
                mail = Received(argument.rpartition(">")[0], [], b"", argument.rpartition(">")[2].strip())
                begun = self._reply(connection, command, "250 2.1.0 ok")
            elif verb == "RCPT":
                usual = self._usual_rcpt(argument) if begun else "503 5.5.1 MAIL first"
                if self._reply(connection, command, usual):
                    mail.recipients.append(argument.rpartition(">")[0])
            elif verb == "DATA":
                if self._reply(connection, command, "354 go on" if mail.recipients else "503 5.5.1 no recipients"):
                    if (content := self._content(lines)) is None:
                        return
                    mail.content = content
                    self._take(connection, mail, len(mail.recipients) if lmtp else 1)
            elif verb == "BDAT":
                mail.content += lines.read(int(command.split(" ")[1]))
                if command.endswith(" LAST"):
                    self._take(connection, mail, len(mail.recipients) if lmtp else 1)
                else:
                    self._reply(connection, "chunk", "250 2.0.0 ok")
            elif verb == "QUIT":
                self._reply(connection, command, "221 2.0.0 bye")
                return
            else:
                self._reply(connection, command, "250 2.0.0 ok")

    def _take(self, connection, mail: Received, replies: int) -> None:
        for i in range(replies):
            self._reply(connection, f"content{i or ''}", "250 2.0.0 queued", mail)

    @staticmethod
    def _usual_rcpt(argument: str) -> str:
        if argument.startswith("rejected"):
            return "550 5.1.1 no such user"
        if argument.startswith("deferred"):
            return "451 4.7.1 later"
        return "250 2.1.5 ok"

    @staticmethod
    def _content(lines) -> bytes | None:
        content = b""
        while line := lines.readline():
            if line == b".\r\n":
                return content
            content += line[1:] if line.startswith(b".") else line
        return None
