"""The plot of docs/performance.md, drawn as SVG by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

__all__ = ["Bar", "plot"]

_LEFT, _WIDTH, _RIGHT = 320, 420, 60
_STEP, _TOP = 22, 46
_OURS, _LINES = "#3b6fb6", "#8a8a8a"
_PEERS = ("#c8553d", "#588157", "#b08900", "#7d5ba6")


@dataclass(frozen=True)
class Bar:
    """Our share of the floor, 1 being the best possible, and those of peers by name."""

    name: str
    share: float
    peers: Mapping[str, float]


def plot(bars: Sequence[Bar]) -> str:
    """A bar for each row, with a tick for each peer. Shares above 1 are drawn at 1."""
    names = list(dict.fromkeys(name for bar in bars for name in bar.peers))
    colours = {name: _PEERS[i % len(_PEERS)] for i, name in enumerate(names)}
    height = _TOP + _STEP * len(bars) + 12
    parts = [_key(colours), _grid(height)]
    for index, bar in enumerate(bars):
        parts.append(_bar(bar, _TOP + _STEP * index, colours))
    size = f'width="{_LEFT + _WIDTH + _RIGHT}" height="{height}"'
    style = 'font-family="sans-serif" font-size="12" fill="#808080"'
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}>']
    lines += ["<title>Share of the floor: ours and peers</title>", *parts, "</svg>"]
    return "\n".join(lines) + "\n"


def _key(colours: Mapping[str, str]) -> str:
    x, parts = 12, []
    for name, colour in {"Avila": _OURS, **colours}.items():
        parts.append(f'<rect x="{x}" y="8" width="10" height="10" fill="{colour}"/>')
        parts.append(_text(x + 14, 17, name))
        x += 30 + 7 * len(name)
    return "\n".join(parts)


def _grid(height: int) -> str:
    parts = []
    for percent in range(0, 101, 25):
        x = _LEFT + _WIDTH * percent // 100
        line = f'x1="{x}" x2="{x}" y1="{_TOP - 6}" y2="{height - 8}"'
        parts.append(f'<line {line} stroke="{_LINES}" stroke-width="0.5"/>')
        parts.append(_text(x, _TOP - 10, f"{percent} %", "middle"))
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
