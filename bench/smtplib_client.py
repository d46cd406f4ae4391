#!/usr/bin/env python3
"""Sends copies of one message by Python's smtplib: one thread and one kept connection each."""

import argparse
import smtplib
import ssl
import threading


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--file", required=True)
    parser.add_argument("--port", type=int, default=2525)
    parser.add_argument("--messages", type=int, default=1000)
    parser.add_argument("--connections", type=int, default=1)
    parser.add_argument("--ca", help="TLS from the first octet, with this certificate to trust")
    args = parser.parse_args()
    with open(args.file, "rb") as file:
        content = file.read()
    accepted = []

    def connect():
        if not args.ca:
            return smtplib.SMTP("127.0.0.1", args.port, local_hostname="client.example")
        tls = ssl.create_default_context(cafile=args.ca)
        return smtplib.SMTP_SSL("127.0.0.1", args.port, local_hostname="client.example", context=tls)

    def send(share):
        with connect() as server:
            for _ in range(share):
                server.sendmail("sender@example.com", ["recipient@example.com"], content)
                accepted.append(1)

    shares = [(args.messages + i) // args.connections for i in range(args.connections)]
    threads = [threading.Thread(target=send, args=(share,)) for share in shares]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(f'{{"messages":{len(accepted)}}}')
    return 0 if len(accepted) == args.messages else 1


if __name__ == "__main__":
    raise SystemExit(main())
