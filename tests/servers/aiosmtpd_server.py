"""What start-aiosmtpd runs: aiosmtpd.SMTP over both ports, into Maildirs. python3 aiosmtpd_server.py DIR TLS PORT SMTPS USER..."""

from __future__ import annotations

import asyncio
import mailbox
import pathlib
import ssl
import sys

from aiosmtpd.smtp import SMTP


class Maildirs:
    """Takes mail for the users, each of whom has a Maildir."""

    def __init__(self, folder: pathlib.Path, users: list[str]) -> None:
        self.of = {user: mailbox.Maildir(folder / user / "Maildir", create=True) for user in users}

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.split("@")[0] not in self.of:
            return "550 5.1.1 nobody has this address"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 ok"

    async def handle_DATA(self, server, session, envelope):
        for address in envelope.rcpt_tos:
            self.of[address.split("@")[0]].add(envelope.original_content)
        return "250 2.0.0 taken"


async def serve(folder: str, tls: str, port: int, smtps: int, users: list[str]) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(f"{tls}/server.pem", f"{tls}/server.key")
    handler = Maildirs(pathlib.Path(folder) / "mail", users)
    options = {"enable_SMTPUTF8": True, "decode_data": False}
    loop = asyncio.get_running_loop()
    by_starttls = await loop.create_server(lambda: SMTP(handler, tls_context=context, **options), "127.0.0.1", port)
    implicit = await loop.create_server(lambda: SMTP(handler, **options), "127.0.0.1", smtps, ssl=context)
    async with by_starttls, implicit:
        await asyncio.gather(by_starttls.serve_forever(), implicit.serve_forever())


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5:]))
