"""Goals: which form of a convolution counts, and what is said of those that are missed."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from bench.entry import Row, Target
from bench.goals import OTHER_ENGINES, best_form, library_lines, network_lines, read_results
from bench.notes import NOTES, Note, note_of
from bench.page import RESULTS

CONVOLUTIONS = [
    "conv 3x3 2x8x8x1280->1280 f16",
    "conv 3x3 2x8x8x2560->1280 f16",
    "conv 3x3 1x512x512x128->128 f16",
    "upsampling conv 3x3 1x512x512x256->256 f16",
    "winograd by 4 3x3 2x64x64x320->320 f16",
    "winograd by 4 3x3 2x64x64x640->320 f16",
    "winograd by 4 3x3 2x64x64x960->320 f16",
    "winograd by 4 3x3 1x128x128x512->512 f16",
    "winograd by 4 3x3 1x256x256x512->256 f16",
    "winograd by 4 3x3 1x256x256x256->256 f16",
    "winograd by 4 3x3 1x512x512x256->256 f16",
    "winograd by 4 3x3 1x512x512x256->128 f16",
    "winograd by 4 3x3 2x32x32x320->640 f16",
    "winograd by 4 3x3 2x32x32x640->640 f16",
    "winograd by 4 3x3 2x32x32x960->640 f16",
    "winograd by 4 3x3 2x32x32x1280->640 f16",
    "winograd by 4 3x3 2x32x32x1920->640 f16",
    "winograd by 2 3x3 2x16x16x640->1280 f16",
    "winograd by 2 3x3 2x16x16x1280->1280 f16",
    "winograd by 2 3x3 2x16x16x1920->1280 f16",
    "winograd by 2 3x3 2x16x16x2560->1280 f16",
]


def test_only_the_form_of_a_convolution_that_networks_take_is_a_goal() -> None:
    names = [line.name for line in network_lines([])]
    assert [name for name in names if " 3x3 " in name] == CONVOLUTIONS


@pytest.mark.parametrize(
    ("name", "names", "form"),
    [
        ("conv 3x3 2x64x64x320->320 f16", ["winograd by 4"], "winograd by 4"),
        ("conv 3x3 2x64x64x320->320 f16", ["winograd by 2"], None),
        ("winograd by 4 3x3 1x512x512x128->128 f16", ["conv", "winograd by 4"], "conv"),
        ("conv 3x3 1x512x512x256->256 f16", ["upsampling conv", "winograd by 4"], "winograd by 4"),
        ("upsampling conv 3x3 1x512x512x256->256 f16", ["upsampling conv"], "upsampling conv"),
        ("winograd by 2 3x3 2x8x8x2560->1280 f16", ["conv"], "conv"),
        ("gemm 8192x320x320 f16", ["conv"], None),
    ],
)
def test_where_a_form_is_taken(name: str, names: list[str], form: str | None) -> None:
    sizes = name.rpartition(" 3x3 ")[2]
    found = best_form(name, [f"{n} 3x3 {sizes}" for n in names])
    assert found == (form and f"{form} 3x3 {sizes}")


def test_goals_of_the_library_and_of_networks_are_apart() -> None:
    networks, library = network_lines([]), library_lines([])
    keys = [(line.name, line.engine) for line in networks + library]
    assert len(set(keys)) == len(keys)
    assert OTHER_ENGINES.keys() <= {line.name for line in networks}
    kinds = {line.name.split()[0] for line in networks}
    assert kinds >= {"attention", "gemm", "copy", "add", "SDXL:"}
    assert any(line.name.startswith("nn.") for line in library)
    assert not any(line.name.startswith(("nn.", "image.", "fft")) for line in networks)


@pytest.mark.parametrize(
    ("kind", "value", "grade"),
    [("seconds", 1.0, 0.5), ("tflops", 2.0, 0.25), ("of peer", 0.8, 0.625)],
)
def test_a_grade_is_the_share_of_the_goal(kind: Any, value: float, grade: float) -> None:
    row = Row("x", 2.0, flops=1e12, peers={"a": 1.0, "b": 3.0}, target=Target(kind, value))
    assert row.grade == pytest.approx(grade, rel=1e-15)
    assert dataclasses.replace(row, target=None).grade is None


def test_all_missed_goals_of_networks_have_a_note() -> None:
    missed = [line for line in network_lines(read_results(RESULTS)) if line.state == "missed"]
    assert [line.title for line in missed if note_of(line.title) not in NOTES] == []


def test_each_note_is_about_a_goal() -> None:
    titles = [line.title for line in network_lines([]) + library_lines([])]
    assert set(map(note_of, titles)) >= set(NOTES)


def test_the_first_note_that_matches_counts() -> None:
    notes = [Note("gemm 8* f16", "s", "a", "b"), Note("gemm *", "t", "c", "d")]
    assert note_of("gemm 8192x320x320 f16", notes) == notes[0]
    assert note_of("gemm 4096x4096x4096 f32", notes) == notes[1]
    assert note_of("a gemm", notes).tried == note_of("a gemm", notes).limit == "not looked into"
