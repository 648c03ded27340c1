"""The same prompt says the same as in the WebUI: golden tables, made by its own reader."""

from __future__ import annotations

import json
from typing import Any

import pytest

from diffusion.prompts import parse_prompt, read_script, schedule_prompt
from tests.goldens.loader import FOLDER

GOLDENS: dict[str, dict[str, Any]] = json.loads(
    (FOLDER / "prompts.json").read_text(encoding="utf-8")
)
STEPS = 10


@pytest.mark.parametrize(("kind", "done"), [("scheduled", None), ("second pass", 6)])
@pytest.mark.parametrize("text", GOLDENS["scheduled"])
def test_each_call_has_the_same_text(kind: str, done: int | None, text: str) -> None:
    found = schedule_prompt("prompt", text, STEPS, done)
    expected = GOLDENS[kind][text]
    assert [found.texts[found.at(call)] for call in range(len(expected))] == expected


@pytest.mark.parametrize("text", GOLDENS["weighted"])
def test_each_piece_has_the_same_weight(text: str) -> None:
    expected: list[list[tuple[str, float]]] = [[]]
    for piece, weight in GOLDENS["weighted"][text]:
        if (piece, weight) == ("BREAK", -1):
            expected.append([])
        elif piece:
            expected[-1].append((piece, pytest.approx(weight, rel=1e-12)))
    assert [[tuple(piece) for piece in section] for section in parse_prompt(text)] == expected


@pytest.mark.filterwarnings("ignore:prompt. its last number")
@pytest.mark.parametrize("text", GOLDENS["composed"])
def test_each_part_has_the_same_weight(text: str) -> None:
    found = read_script(text, None, 1)
    parts = [list(part) for part in zip(found.variants[0], found.weights, strict=True)]
    assert parts == GOLDENS["composed"][text]
