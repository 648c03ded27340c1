"""The page of results: each goal has its line, measured or not, and the page is the newest."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from bench.entry import Row
from bench.models import GOALS, SD15, unet_row, vae_row
from bench.page import PAGE, PLOT, RESULTS, bars, goal_lines, page, read_results
from bench.plot import Bar, plot
from bench.report import report
from gpucore import Device

GEMM = "gemm 8192x320x320 f16"


def written(folder: Path, name: str, rows: list[Row], **more: Any) -> None:
    """A result file of the card."""
    machine = {"adapter": "NVIDIA H200", "engine": "dawn"}
    (folder / name).write_text(json.dumps({**report(Device.null(), rows), **machine, **more}))


def cells(text: str, name: str, engine: str = "dawn") -> list[str]:
    """The cells of the row of the goals that has this name and engine."""
    rows = [line.removeprefix("| ").removesuffix(" |").split(" | ") for line in text.splitlines()]
    (found,) = [row for row in rows if row[:2] == [name, engine]]
    return found[2:]


def test_the_page_in_the_repository_is_that_of_its_results() -> None:
    """Where this fails: run `python -m bench.page`."""
    results = read_results(RESULTS)
    assert PAGE.read_text(encoding="utf-8") == page(results)
    assert PLOT.read_text(encoding="utf-8") == plot(bars(goal_lines(results)))


def test_without_results_nothing_is_measured(tmp_path: Path) -> None:
    text = page(read_results(tmp_path))
    count = len(goal_lines([]))
    assert count > len(GOALS)
    assert text.count("| not measured |") == count
    assert bars(goal_lines([])) == []


def test_rows_are_held_against_their_goals(tmp_path: Path) -> None:
    peers = {"PyTorch eager": 0.02, "PyTorch CUDA graph": 0.0101}
    rows = [
        Row(unet_row(SD15, 512), 0.0084, peers=peers),
        Row(vae_row(SD15, 512), 0.032),
        Row(GEMM, 2e-5, flops=1.7e9, bytes=1e7, roof=0.25, peers={"PyTorch": 1.6e-5}),
    ]
    facts = {"weights_bytes": 2_140_000_000, "peak_bytes": 2_640_000_000}
    written(tmp_path, "a.json", rows, model=SD15, facts=facts)
    text = page(read_results(tmp_path))
    assert cells(text, unet_row(SD15, 512)) == [
        "2.1 ms",
        "PyTorch eager 20 ms, PyTorch CUDA graph 10.1 ms",
        "8.4 ms",
        "≤ 10 ms",
        "25%",
        "reached",
    ]
    assert cells(text, vae_row(SD15, 512))[2:] == ["32 ms", "≤ 8.5 ms", "10%", "missed"]
    gemm = ["5 µs", "PyTorch 16 µs", "20 µs, 85 TFLOP/s", "≥ 85% of peer", "25%", "missed"]
    assert cells(text, GEMM) == gemm
    assert "0.50 GB beyond the weights (target: ≤ 0.6 GB, reached)" in text
    # The other engine's row was not measured.
    assert cells(text, unet_row(SD15, 512), "wgpu")[2] == "not measured"


def test_the_newest_result_of_the_card_counts(tmp_path: Path) -> None:
    name = unet_row(SD15, 512)
    written(tmp_path, "z.json", [Row(name, 0.05)], date="2026-01-02")
    written(tmp_path, "a.json", [Row(name, 0.02)], date="2026-02-01")
    written(tmp_path, "b.json", [Row(name, 0.01)], date="2026-03-01", adapter="other")
    results = read_results(tmp_path)
    assert cells(page(results), name)[2] == "20 ms"
    assert [result.file for result in results] == ["z.json", "a.json", "b.json"]


@pytest.mark.parametrize("count", [0, 3])
def test_the_plot_is_an_image_with_a_bar_for_each_row(count: int) -> None:
    drawn = [Bar(f"a < {i}", 0.5 * i, {"PyTorch": 0.5, "other": 2.0}) for i in range(count)]
    root = ET.fromstring(plot(drawn))
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert [f"a < {i}" for i in range(count)] == [t for t in texts if t and t.startswith("a <")]
    widths = [float(r.get("width", 0)) for r in root.iter("{http://www.w3.org/2000/svg}rect")]
    assert [w for w in widths if w > 10] == [210.0, 420.0][: max(count - 1, 0)]


def test_rows_survive_the_file(tmp_path: Path) -> None:
    row = Row(GEMM, 2e-5, peers={"PyTorch": 1e-5})
    written(tmp_path, "a.json", [row])
    (result,) = read_results(tmp_path)
    assert asdict(result.rows[GEMM]) == asdict(row)
