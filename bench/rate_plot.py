#!/usr/bin/env python3
"""Draws what `bench/run --rates --json FILE` keeps: messages a second of each client over the time that a reply takes.

    bench/rate_plot.py FILE >docs/rates.svg
"""

import json
import math
import pathlib
import sys

WIDTH, HEIGHT, LEFT, RIGHT, BOTTOM, TOP = 640, 360, 60, 140, 40, 10
COLOURS = ("#06c", "#090", "#c60", "#888", "#a0a", "#c00", "#0aa", "#660", "#555", "#f69")
APART = 13  # names at the right, so that none stands on another


def spread(wanted):
    """The same heights in their order, moved up where they are too near."""
    moved, highest = {}, HEIGHT - BOTTOM + APART
    for name, height in sorted(wanted.items(), key=lambda item: -item[1]):
        highest = min(height, highest - APART)
        moved[name] = highest
    return moved


def main():
    rates = json.loads(pathlib.Path(sys.argv[1]).read_text())
    delays = [int(d) for d in next(iter(rates.values()))]
    most = math.log10(max(max(by_delay.values()) for by_delay in rates.values()))

    def x(delay):
        return LEFT + delays.index(int(delay)) * (WIDTH - LEFT - RIGHT) / (len(delays) - 1)

    def y(rate):
        return HEIGHT - BOTTOM - math.log10(max(rate, 1)) / most * (HEIGHT - BOTTOM - TOP)

    print(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">')
    print(f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>')
    for power in range(int(most) + 1):
        print(f'<path d="M{LEFT} {y(10**power):.1f}H{WIDTH - RIGHT}" stroke="#ccc"/>')
        print(f'<text x="{LEFT - 6}" y="{y(10**power) + 4:.1f}" text-anchor="end">{10**power:,}</text>')
    for delay in delays:
        print(f'<text x="{x(delay):.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{delay} ms</text>')
    names = spread({name: y(list(by_delay.values())[-1]) for name, by_delay in rates.items()})
    for (name, by_delay), colour in zip(rates.items(), COLOURS, strict=False):
        path = "L".join(f"{x(delay):.1f} {y(rate):.1f}" for delay, rate in by_delay.items())
        print(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        print(f'<text x="{WIDTH - RIGHT + 8}" y="{names[name] + 4:.1f}" fill="{colour}">{name}</text>')
    print("</svg>")


if __name__ == "__main__":
    main()
