"""What a mailer does, for Prometheus: names and dashboard are in docs/python.md and docs/grafana.json.

python metrics.py URL [PORT]
"""

import sys
import urllib.request

import postroad
from postroad.prometheus import Collector
from prometheus_client import REGISTRY, start_http_server

with postroad.Mailer(sys.argv[1]) as mail:
    REGISTRY.register(Collector({"shop": mail}))
    server, _ = start_http_server(int(sys.argv[2]) if len(sys.argv) > 2 else 0, addr="127.0.0.1")
    for n in range(10):
        to = "rejected@example.org" if n == 0 else f"customer{n}@example.org"
        mail.send(postroad.Message(from_="shop@example.com", to=to, subject=f"Order {n}", text="Thank you."))
    with urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/metrics") as page:
        for line in page.read().decode().splitlines():
            if line.startswith(("postroad_recipients_total", "postroad_open_connections")):
                print(line)
    server.shutdown()
    server.server_close()
