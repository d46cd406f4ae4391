#!/usr/bin/env python3
"""Stands between a client and a server of SMTP: adds a delay, speaks TLS to the client, counts round trips.

  relay.py --to PORT [--delay-ms N] [--certificate FILE --key FILE]

Prints "listening PORT" on stderr once it is ready. SIGUSR1 prints {"round_trips": N} and starts again from zero.

A round trip here is a link in the longest chain of "sent because of that reply" of a connection: input counts one more
than the latest reply that was handed to the client before it, a reply as much as the latest input before it. With a
delay longer than what the server needs, this is how often the client waited.
"""

import argparse
import asyncio
import json
import signal
import ssl
import sys


class Relay:
    def __init__(self, port, delay):
        self.port = port
        self.delay = delay
        self.trips = 0

    async def serve(self, client_in, client_out):
        clock = asyncio.get_running_loop().time
        server_in, server_out = await asyncio.open_connection("127.0.0.1", self.port)
        seen = sent = 0
        waiting = asyncio.Queue()

        async def to_server():
            nonlocal sent
            while data := await client_in.read(1 << 16):
                sent = seen + 1
                server_out.write(data)
                await server_out.drain()
            server_out.close()

        async def from_server():
            while data := await server_in.read(1 << 16):
                waiting.put_nowait((clock() + self.delay, sent, data))
            waiting.put_nowait((clock() + self.delay, sent, b""))

        async def to_client():
            nonlocal seen
            while True:
                due, number, data = await waiting.get()
                if due > clock():
                    await asyncio.sleep(due - clock())
                if not data:
                    break
                self.trips += number - seen
                seen = number
                client_out.write(data)
                await client_out.drain()
            client_out.close()

        try:
            await asyncio.gather(to_server(), from_server(), to_client())
        except (ConnectionError, ssl.SSLError):
            server_out.close()
            client_out.close()

    def report(self):
        print(json.dumps({"round_trips": self.trips}), flush=True)
        self.trips = 0


async def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--to", type=int, required=True)
    parser.add_argument("--delay-ms", type=float, default=0)
    parser.add_argument("--certificate")
    parser.add_argument("--key")
    options = parser.parse_args()
    tls = None
    if options.certificate:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(options.certificate, options.key)
    relay = Relay(options.to, options.delay_ms / 1000)
    server = await asyncio.start_server(relay.serve, "127.0.0.1", 0, ssl=tls, backlog=1000)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, relay.report)
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    print("listening", server.sockets[0].getsockname()[1], file=sys.stderr, flush=True)
    await stop.wait()


if __name__ == "__main__":
    asyncio.run(main())
