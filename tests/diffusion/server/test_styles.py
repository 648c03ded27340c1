"""Prompt styles that are saved and deleted over HTTP; `test_extras` tries those of a file."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest

from diffusion.server.styles import StyleTable
from tests.diffusion.server.live_server import Live

STYLES = "/api/v1/styles"


def names(answer: dict[str, list[dict[str, str]]]) -> list[str]:
    return [each["name"] for each in answer["styles"]]


def test_styles_are_saved_and_deleted(live: Live, tmp_path: Path) -> None:
    """The first one makes the file; columns of other programs stay."""
    style = {"name": "big", "prompt": "huge, {prompt}", "negative": 'a "small" one'}
    assert live.get(STYLES).json() == {"styles": []}
    assert live.put(STYLES, style).json() == {"styles": [style]}
    file = tmp_path / "out" / "styles.csv"
    assert StyleTable(file).apply(["big"], "a cat", "") == ("huge, a cat", style["negative"])
    file.write_text("name,prompt,negative_prompt,note\nbig,old,,mine\nphoto,a photo,,\n")
    os.utime(file, ns=(1, 1))
    assert names(live.put(STYLES, style).json()) == ["big", "photo"]
    with file.open(newline="") as opened:
        rows = list(csv.DictReader(opened))
    assert (rows[0]["note"], rows[0]["prompt"]) == ("mine", "huge, {prompt}")
    assert names(live.delete(STYLES, params={"name": "big"}).json()) == ["photo"]
    assert live.delete(STYLES, params={"name": "big"}).status_code == 404


@pytest.mark.parametrize("name", ["", " a", "a\nb", "x" * 201])
def test_a_style_needs_a_name_of_one_line(live: Live, name: str) -> None:
    assert live.put(STYLES, {"name": name}).status_code == 422


def test_a_folder_that_cannot_be_written_is_said(live: Live, tmp_path: Path) -> None:
    (tmp_path / "out" / ".styles.csv.part").mkdir()
    answer = live.put(STYLES, {"name": "big"})
    assert answer.status_code == 500
    assert "check its folder" in answer.json()["detail"]
    assert live.get(STYLES).json() == {"styles": []}
