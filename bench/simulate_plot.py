#!/usr/bin/env python3
"""Draws what `bench_simulate --json` prints: how much of the campaign was accepted by which time.

    bench_simulate --json | bench/simulate_plot.py >docs/simulator.svg
"""

import json
import sys

WIDTH, HEIGHT, LEFT, BOTTOM = 640, 320, 50, 40
COLOURS = ("#888", "#c60", "#06c", "#090", "#a0a", "#c00")


def main():
    runs = [item for line in sys.stdin if line.startswith("{") for item in json.loads(line).items()]
    if not runs:
        sys.exit("simulate_plot.py: no JSON in the input")
    end = max(run["t95_s"] for _, run in runs) * 1.1

    def x(seconds):
        return LEFT + min(seconds / end, 1) * (WIDTH - LEFT - 10)

    def y(share):
        return HEIGHT - BOTTOM - share * (HEIGHT - BOTTOM - 10)

    print(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">')
    print(f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>')
    for percent in (0, 50, 95):
        print(f'<path d="M{LEFT} {y(percent / 100):.1f}H{WIDTH - 10}" stroke="#ccc"/>')
        print(f'<text x="{LEFT - 6}" y="{y(percent / 100) + 4:.1f}" text-anchor="end">{percent} %</text>')
    for seconds in range(0, int(end), 600):
        print(f'<text x="{x(seconds):.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{seconds // 60} min</text>')
    for (name, run), colour in zip(runs, COLOURS):
        points = [(0, 0)] + [(t, 0.05 * (i + 1)) for i, t in enumerate(run["course_s"]) if t <= end]
        path = "L".join(f"{x(t):.1f} {y(share):.1f}" for t, share in points)
        print(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
    for i, ((name, _), colour) in enumerate(zip(runs, COLOURS)):
        print(f'<text x="{WIDTH - 130}" y="{HEIGHT - BOTTOM - 80 + 15 * i}" fill="{colour}">{name}</text>')
    print("</svg>")


if __name__ == "__main__":
    main()
