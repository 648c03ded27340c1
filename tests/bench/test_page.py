"""The page of results: each goal has its line, measured or not, and the page is the newest."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from bench.entry import Row
from bench.goals import library_lines, network_lines, read_results
from bench.models import GOALS, SD15, SDXL, image_row, unet_row, vae_row
from bench.page import DOCS, RESULTS, bars, goal_page, headline_table, overview, pages
from bench.report import make_report
from gpucore import Device

GEMM = "gemm 8192x320x320 f16"


def write_result(folder: Path, name: str, rows: list[Row], **more: Any) -> None:
    """Write a result file of the card."""
    machine = {"adapter": "NVIDIA H200", "engine": "dawn"}
    (folder / name).write_text(json.dumps({**make_report(Device.null(), rows), **machine, **more}))


def cells(text: str, name: str, engine: str = "dawn") -> list[str]:
    """Return the cells of the row of the goals that has this name and engine."""
    (found,) = [row for row in split(text) if row[:2] == [name, engine]]
    return found[2:]


def split(text: str) -> list[list[str]]:
    return [line.removeprefix("| ").removesuffix(" |").split(" | ") for line in text.splitlines()]


def test_the_pages_in_the_repository_are_those_of_its_results() -> None:
    """Where this fails: run `python -m bench.page`."""
    texts = dict(pages(read_results(RESULTS)))
    assert {path.name for path, text in texts.items() if path.read_text("utf-8") != text} == set()
    assert {path for path in (DOCS / "measurements").iterdir() if path not in texts} == set()


def test_the_overview_shows_headlines_and_what_is_missed(tmp_path: Path) -> None:
    peers = {"PyTorch eager": 0.02, "PyTorch CUDA graph": 0.0101}
    gemm = Row(GEMM, 2e-5, flops=1.7e9, peers={"PyTorch": 1.36e-5})
    write_result(tmp_path, "a.json", [Row(unet_row(SD15, 512), 0.0084, peers=peers), gemm])
    results = read_results(tmp_path)
    table = split(headline_table(results, {unet_row(SD15, 512): 0.0021}))
    (unet,) = [row for row in table if row[0] == unet_row(SD15, 512)]
    assert unet[1:] == ["not measured", "8.4 ms", "20 ms", "10.1 ms", "", "25%"]
    (image,) = [row for row in table if row[0] == image_row(SD15, 512, 20)]
    assert image[1:3] == ["not measured"] * 2
    text = overview(results) + goal_page(results)
    assert "- Matrix products in f16 at the UNet's sizes: 80% of the goal. Loads" in text
    assert "[a](measurements/a.md)" in text


def test_without_results_nothing_is_measured(tmp_path: Path) -> None:
    text = goal_page(read_results(tmp_path))
    networks, library = len(network_lines([])), len(library_lines([]))
    assert networks > len(GOALS)
    first, second = text.split("## Goals of the array library")
    assert first.count("| not measured |") == networks
    assert second.count("| not measured |") == library
    assert "Missed" not in text
    assert bars(network_lines([])) == []


def test_rows_are_held_against_their_goals(tmp_path: Path) -> None:
    peers = {"PyTorch eager": 0.02, "PyTorch CUDA graph": 0.0101}
    rows = [
        Row(unet_row(SD15, 512), 0.0084, peers=peers),
        Row(vae_row(SD15, 512), 0.032),
        Row(GEMM, 2e-5, flops=1.7e9, bytes=1e7, roof=0.25, peers={"PyTorch": 1.6e-5}),
    ]
    write_result(tmp_path, "a.json", rows, model=SD15)
    text = goal_page(read_results(tmp_path))
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
    # The other engine's row was not measured.
    assert cells(text, unet_row(SD15, 512), "wgpu")[2] == "not measured"


def test_the_newest_result_of_the_card_counts(tmp_path: Path) -> None:
    name = unet_row(SD15, 512)
    write_result(tmp_path, "z.json", [Row(name, 0.05)], date="2026-01-02")
    write_result(tmp_path, "a.json", [Row(name, 0.02)], date="2026-02-01")
    write_result(tmp_path, "b.json", [Row(name, 0.01)], date="2026-03-01", adapter="other")
    results = read_results(tmp_path)
    assert cells(goal_page(results), name)[2] == "20 ms"
    assert [result.file for result in results] == ["z.json", "a.json", "b.json"]


def test_what_is_missed_is_told_with_the_gap_and_its_text(tmp_path: Path) -> None:
    rows = [
        Row(unet_row(SD15, 512), 0.015),
        Row(vae_row(SD15, 512), 0.0085),
        Row(GEMM, 2e-5, flops=1.7e9, peers={"PyTorch": 1.36e-5}),
        Row("gemm 4096x4096x4096 f16", 1e-3, flops=3e11),
        Row("nn.gelu 67108864 f32", 1e-4, bytes=1e9, copy_share=0.45),
    ]
    write_result(tmp_path, "a.json", rows)
    networks, library = goal_page(read_results(tmp_path)).split("## Goals of the array library")
    missed = {row[0]: row[1:] for row in split(networks.split("### Missed")[1]) if len(row) == 6}
    unknown = ["not looked into", "not looked into"]
    assert missed[unet_row(SD15, 512)] == ["15 ms", "≤ 10 ms", "50.0% above", *unknown]
    gemm = ["20 µs, 85 TFLOP/s: 68% of peer", "≥ 85% of peer", "20.0% below"]
    assert missed[GEMM][:3] == gemm
    assert "teams" in missed[GEMM][3]
    assert missed["gemm 4096x4096x4096 f16"][2] == "25.0% below"
    assert missed.keys() == {"", "---", unet_row(SD15, 512), GEMM, "gemm 4096x4096x4096 f16"}
    gap = "100 µs, 1e+04 GB/s: 45% of copy rate | ≥ 90% of copy rate | 50.0% below"
    assert f"| nn.gelu 67108864 f32 | {gap} | not looked into |" in library


@pytest.mark.parametrize(("model", "size"), [(SD15, 512), (SDXL, 1024)])
def test_memory_counts_where_an_image_was_made(tmp_path: Path, model: str, size: int) -> None:
    name, facts = "SD 1.5: memory beyond the weights", {"weights_bytes": 2_140_000_000}
    peak = {**facts, "peak_bytes": 2_640_000_000}
    image = [Row(image_row(model, size, 20), 0.2)]
    line = f"- {model} on dawn: weights 2.14 GB, peak 2.64 GB, 0.50 GB beyond the weights"
    for rows, said in (([], peak), (image, facts)):
        write_result(tmp_path, "a.json", rows, model=model, facts=said)
        text = goal_page(read_results(tmp_path))
        assert cells(text, name)[2] == "not measured"
        assert "peak" not in text
    write_result(tmp_path, "a.json", image, model=model, facts=peak)
    text = goal_page(read_results(tmp_path))
    assert line in text.splitlines()
    measured = ["0.50 GB", "≤ 0.6 GB", "", "reached"]
    absent = ["not measured", "≤ 0.6 GB", "", ""]
    assert cells(text, name)[2:] == (measured if model == SD15 else absent)


@pytest.mark.parametrize("model", [SD15, SDXL])
@pytest.mark.parametrize(("error", "state"), [(5e-3, "reached"), (5.1e-3, "missed")])
def test_errors_are_held_against_their_goal(
    tmp_path: Path, model: str, error: float, state: str
) -> None:
    write_result(tmp_path, "a.json", [], model=model, facts={"unet_relative_l2": error})
    text = goal_page(read_results(tmp_path))
    row = cells(text, f"{model}: UNet's relative L2 error against fp32")
    assert row[2:] == [f"{error * 1e3:.2g}e-3", "≤ 5e-3", "", state]
    assert ("| 2.0% above |" in text) == (state == "missed")


def test_a_kernel_may_have_a_goal_under_another_engine(tmp_path: Path) -> None:
    name = "gemm 4096x4096x4096 f32"
    write_result(tmp_path, "a.json", [Row(name, 3e-3, flops=1.374e11)])
    text = goal_page(read_results(tmp_path))
    assert cells(text, name)[2:] == ["3 ms, 45.8 TFLOP/s", "≥ 43 TFLOP/s", "", "reached"]
    assert cells(text, name, "wgpu")[2:] == ["not measured", "≥ 43 TFLOP/s", "", ""]
    write_result(tmp_path, "b.json", [Row(name, 6e-3, flops=1.374e11)], engine="wgpu")
    text = goal_page(read_results(tmp_path))
    assert cells(text, name, "wgpu")[2:] == ["6 ms, 22.9 TFLOP/s", "≥ 43 TFLOP/s", "", "missed"]
    assert f"| {name} (wgpu) | 6 ms, 22.9 TFLOP/s | ≥ 43 TFLOP/s | 46.7% below |" in text


def test_rows_survive_the_file(tmp_path: Path) -> None:
    row = Row(GEMM, 2e-5, peers={"PyTorch": 1e-5})
    write_result(tmp_path, "a.json", [row])
    (result,) = read_results(tmp_path)
    assert asdict(result.rows[GEMM]) == asdict(row)
