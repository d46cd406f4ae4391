#!/usr/bin/env python3
"""Sends copies of one message by aiosmtplib: one task and one kept connection each, in one thread."""

import argparse
import asyncio
import ssl

import aiosmtplib


async def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--file", required=True)
    parser.add_argument("--port", type=int, default=2525)
    parser.add_argument("--messages", type=int, default=1000)
    parser.add_argument("--connections", type=int, default=1)
    parser.add_argument("--ca", help="TLS from the first octet, with this certificate to trust")
    args = parser.parse_args()
    with open(args.file, "rb") as file:
        content = file.read()
    tls = {"use_tls": True, "tls_context": ssl.create_default_context(cafile=args.ca)} if args.ca else {}
    accepted = 0

    async def send(share):
        nonlocal accepted
        plain = {} if args.ca else {"start_tls": False}
        server = aiosmtplib.SMTP(hostname="127.0.0.1", port=args.port, local_hostname="client.example", **tls, **plain)
        async with server:
            for _ in range(share):
                await server.sendmail("sender@example.com", ["recipient@example.com"], content)
                accepted += 1

    await asyncio.gather(*(send((args.messages + i) // args.connections) for i in range(args.connections)))
    print(f'{{"messages":{accepted}}}')
    return 0 if accepted == args.messages else 1


if __name__ == "__main__":
    raise SystemExit(asyncio.run(main()))
