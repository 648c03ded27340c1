"""Draw the latencies that `tools.batching_load` measured as an SVG.

    python -m tools.batching_curve bench/results/batching/h200-sd15-dawn.json OUT.svg

Across: the load; 1 is as many pictures a second as one at a time gives. Up: seconds from arrival to
picture, of half of the pictures (thin) and of 95 in 100 (thick).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Final

LEFT, TOP, WIDTH, HEIGHT = 46, 34, 420, 220
COLOURS: Final = {"one at a time": "#c0603a", "shared calls": "#3b6fb6"}


def curve(report: dict[str, Any]) -> str:
    """Return the SVG of one report."""
    rows = report["served"]
    loads = [row["load"] for row in rows]
    least, most = min(loads), max(loads)
    top = max(row["p95"] for row in rows) * 1.05

    def place(row: dict[str, Any], name: str) -> str:
        x = LEFT + WIDTH * (row["load"] - least) / (most - least)
        return f"{x:.1f},{TOP + HEIGHT * (1 - row[name] / top):.1f}"

    parts = [f"<title>Seconds to a picture under load, {report['adapter']}</title>"]
    for second in range(int(top) + 1):
        y = TOP + HEIGHT * (1 - second / top)
        line = f'x1="{LEFT}" x2="{LEFT + WIDTH}" y1="{y:.1f}" y2="{y:.1f}"'
        parts.append(f'<line {line} stroke="#8a8a8a" stroke-width="0.5"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{second} s</text>')
    for load in sorted(set(loads)):
        x = LEFT + WIDTH * (load - least) / (most - least)
        under = TOP + HEIGHT + 18
        parts.append(f'<text x="{x:.1f}" y="{under}" text-anchor="middle">{load:g}</text>')
    for number, (way, colour) in enumerate(COLOURS.items()):
        those = [row for row in rows if row["way"] == way]
        for name, thick in (("p50", 1), ("p95", 2.5)):
            points = " ".join(place(row, name) for row in those)
            how = f'fill="none" stroke="{colour}" stroke-width="{thick}"'
            parts.append(f'<polyline points="{points}" {how}/>')
        parts.append(f'<text x="{LEFT + 150 * number}" y="16" fill="{colour}">{way}</text>')
    size = f'width="{LEFT + WIDTH + 24}" height="{TOP + HEIGHT + 28}"'
    style = 'font-family="sans-serif" font-size="12" fill="#808080"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}>'
    return "\n".join([head, *parts, "</svg>"]) + "\n"


def main() -> None:
    """Draw the file that the command line names."""
    source, out = map(Path, sys.argv[1:])
    out.write_text(curve(json.loads(source.read_text(encoding="utf-8"))), encoding="utf-8")


if __name__ == "__main__":
    main()
