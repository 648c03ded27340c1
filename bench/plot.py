"""The plot of docs/performance.md, drawn as SVG by hand."""

from __future__ import annotations

import colorsys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

__all__ = ["Bar", "draw_plot"]

_LEFT, _WIDTH, _RIGHT = 320, 420, 60
_STEP, _KEY_STEP, _MARGIN = 20, 18, 12
# Width of a letter at 12 px; few letters are wider.
_LETTER = 7
_OURS, _LINES = "#3b6fb6", "#8a8a8a"
_OUR_HUE = 0.6


@dataclass(frozen=True)
class Bar:
    """Our share of the floor, where 1 is the best possible, and those of peers by name."""

    name: str
    share: float
    peers: Mapping[str, float]


def draw_plot(bars: Sequence[Bar]) -> str:
    """Draw a bar for each row, with a tick for each peer; shares above 1 are drawn at 1."""
    colours = _colours(name for bar in bars for name in bar.peers)
    key, top = _key({"Avila": _OURS, **colours})
    top += 22
    height = top + _STEP * len(bars) + _MARGIN
    parts = [key, _grid(top, height)]
    for index, bar in enumerate(bars):
        parts.append(_bar(bar, top + _STEP * index, colours))
    size = f'width="{_LEFT + _WIDTH + _RIGHT}" height="{height}"'
    style = 'font-family="sans-serif" font-size="12" fill="#808080"'
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}>']
    lines += ["<title>Share of the floor: ours and peers</title>", *parts, "</svg>"]
    return "\n".join(lines) + "\n"


def _colours(peers: Iterable[str]) -> dict[str, str]:
    """Return a colour for each peer, with hues as different from each other as possible."""
    names = list(dict.fromkeys(peers))
    hues = (_OUR_HUE + (i + 1) / (len(names) + 1) for i in range(len(names)))
    rgbs = [colorsys.hls_to_rgb(hue % 1, 0.45, 0.6) for hue in hues]
    hexes = ["#" + "".join(f"{round(255 * part):02x}" for part in rgb) for rgb in rgbs]
    return dict(zip(names, hexes, strict=True))


def _key(colours: Mapping[str, str]) -> tuple[str, int]:
    """Return the key of names and colours in SVG, and the y at which it ends."""
    x, y, parts = _MARGIN, 8, []
    for name, colour in colours.items():
        width = 30 + _LETTER * len(name)
        if x + width > _LEFT + _WIDTH + _RIGHT:
            x, y = _MARGIN, y + _KEY_STEP
        parts.append(f'<rect x="{x}" y="{y}" width="10" height="10" fill="{colour}"/>')
        parts.append(_text(x + 14, y + 9, name))
        x += width
    return "\n".join(parts), y + _KEY_STEP


def _grid(top: int, height: int) -> str:
    parts = []
    for percent in range(0, 101, 25):
        x = _LEFT + _WIDTH * percent // 100
        line = f'x1="{x}" x2="{x}" y1="{top - 6}" y2="{height - 8}"'
        parts.append(f'<line {line} stroke="{_LINES}" stroke-width="0.5"/>')
        parts.append(_text(x, top - 10, f"{percent} %", "middle"))
    return "\n".join(parts)


def _bar(bar: Bar, y: int, colours: Mapping[str, str]) -> str:
    width = _WIDTH * min(bar.share, 1.0)
    parts = [
        _text(_LEFT - 8, y + 12, bar.name, "end"),
        f'<rect x="{_LEFT}" y="{y}" width="{width:.1f}" height="14" fill="{_OURS}"/>',
        _text(_LEFT + _WIDTH + 8, y + 12, f"{bar.share:.0%}"),
    ]
    for name, share in bar.peers.items():
        x = _LEFT + _WIDTH * min(share, 1.0)
        place = f'x="{x - 1.5:.1f}" y="{y - 2}" width="3" height="18"'
        parts.append(f'<rect {place} fill="{colours[name]}"/>')
    return "\n".join(parts)


def _text(x: float, y: int, text: str, anchor: str = "start") -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}">{escape(text)}</text>'
