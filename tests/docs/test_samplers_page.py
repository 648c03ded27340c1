"""The page of samplers and schedules lists those that there are, with their own facts."""

from __future__ import annotations

import re

from diffusion.samplers import SAMPLERS
from diffusion.schedules import SCHEDULES
from tests.docs.pages import DOCS

PAGE = (DOCS / "samplers.md").read_text(encoding="utf-8")


def rows(heading: str) -> list[list[str]]:
    """Return the cells of the table below a heading, one list for each row."""
    part = re.split(r"^## ", PAGE, flags=re.MULTILINE)
    (text,) = [each for each in part if each.startswith(heading)]
    lines = [line for line in text.splitlines() if line.startswith("| `")]
    return [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in lines]


def test_every_sampler_is_listed_with_its_schedule_and_eta() -> None:
    expected = [
        [each.name, each.label, each.schedule, "" if each.eta is None else f"{each.eta:g}"]
        for each in SAMPLERS
    ]
    assert [row[:4] for row in rows("Samplers")] == expected


def test_every_schedule_is_listed_with_its_options() -> None:
    expected = [[each.name, each.label, ", ".join(each.option_names)] for each in SCHEDULES]
    assert rows("Schedules") == expected
