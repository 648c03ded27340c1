"""The plot: a bar for each row, all of it within its width, a colour for each peer."""

from __future__ import annotations

import itertools
import xml.etree.ElementTree as ET

import pytest

from bench.page import PLOT
from bench.plot import Bar, draw_plot

SVG = "{http://www.w3.org/2000/svg}"
# A generous width of a letter at 12 px.
LETTER = 7


def edges(text: ET.Element) -> tuple[float, float]:
    """Where a text begins and ends."""
    x, width = float(text.get("x", 0)), LETTER * len(text.text or "")
    start = x - {"start": 0.0, "middle": 0.5, "end": 1.0}[text.get("text-anchor", "")] * width
    return start, start + width


@pytest.mark.parametrize("count", [0, 3])
def test_the_plot_is_an_image_with_a_bar_for_each_row(count: int) -> None:
    drawn = [Bar(f"a < {i}", 0.5 * i, {"PyTorch": 0.5, "other": 2.0}) for i in range(count)]
    root = ET.fromstring(draw_plot(drawn))
    texts = [element.text for element in root.iter(f"{SVG}text")]
    assert [f"a < {i}" for i in range(count)] == [t for t in texts if t and t.startswith("a <")]
    widths = [float(r.get("width", 0)) for r in root.iter(f"{SVG}rect")]
    assert [w for w in widths if w > 10] == [210.0, 420.0][: max(count - 1, 0)]


def test_many_peers_have_colours_of_their_own_and_a_key_in_lines() -> None:
    names = [f"some other peer, of number {number}" for number in range(9)]
    root = ET.fromstring(draw_plot([Bar("row", 0.5, dict.fromkeys(names, 0.25))]))
    key = [r for r in root.iter(f"{SVG}rect") if r.get("width") == "10"]
    assert len({r.get("fill") for r in key}) == len(key) == 1 + len(names)
    lines = sorted({float(r.get("y", 0)) for r in key})
    assert len(lines) == 3
    texts = [t for t in root.iter(f"{SVG}text") if t.text in names]
    assert all(end <= float(root.get("width", 0)) for _, end in map(edges, texts))
    # Entries of a line follow each other, and the bar is below them all.
    for above, below in itertools.pairwise(texts):
        assert above.get("y") != below.get("y") or edges(above)[1] < edges(below)[0]
    (bar,) = [r for r in root.iter(f"{SVG}rect") if r.get("height") == "14"]
    assert float(bar.get("y", 0)) > lines[-1] + 18


def test_the_plot_in_the_repository_is_within_its_size() -> None:
    root = ET.parse(PLOT).getroot()
    width, height = float(root.get("width", 0)), float(root.get("height", 0))
    assert (width, height) <= (800, 1200)
    texts = list(root.iter(f"{SVG}text"))
    assert all(start >= 0 and end <= width for start, end in map(edges, texts))
    assert all(0 <= float(text.get("y", 0)) <= height for text in texts)
