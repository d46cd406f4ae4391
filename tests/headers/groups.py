#!/usr/bin/env python3
"""Says with what each header may be compiled so that it is still compiled as if alone: a header that it includes anyhow,
parsed once for all that do.

    tests/headers/groups.py INCLUDE_DIR HEADER...   prints lines of `HUB HEADER...`; HUB is `none` for those without one

A hub and all that it includes are included by the header, too: nothing is there that would not be there without the hub.
That a header does not need what comes before it where the hub does include it, is seen where that one is compiled alone.
"""

import functools
import pathlib
import re
import sys

INCLUDE = pathlib.Path(sys.argv[1])
# What many headers have in common; what spares most comes first.
HUBS = ("engine/carriers", "transport/mx_lookup", "net/asio", "engine/ledger", "message/server_text", "smtp/session",
        "message/content", "net/executor", "tls/detail/material", "message/address", "core/clock", "core/error")


@functools.cache
def included(file):
    text = (INCLUDE / file).read_text(encoding="utf-8")
    return re.findall(r"^ *# *include <(postroad/[^>]+)>", text, re.M)


@functools.cache
def closure(header):
    found, rest = set(), [header]
    while rest:
        new = set(included(rest.pop())) - found
        found |= new
        rest += new
    return found


def main():
    hubs = [f"postroad/{name}.hpp" for name in HUBS]
    groups = {hub: [] for hub in [*hubs, "none"]}
    for header in sys.argv[2:]:
        hub = next((hub for hub in hubs if hub in closure(header) - {header}), "none")
        groups[hub].append(header)
    for hub, headers in groups.items():
        if headers:
            print(hub, *headers)


if __name__ == "__main__":
    main()
