"""The axes of a grid: ``steps=8,12,20``, and what each of its values changes."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from diffusion.cli.requests import CommandLine
from diffusion.errors import SettingsError

__all__ = ["LABELS", "Axis", "AxisValue", "parse_axis"]

MOST_VALUES: Final = 1000
"""Values of one axis."""

REPLACE: Final = {"replace", "prompt-sr", "prompt-s/r", "sr"}
"""Names of the axis that replaces words of the prompt."""

LABELS: Final = {
    "clip-skip": "Clip skip",
    "eta": "Eta",
    "guidance": "CFG Scale",
    "hires-steps": "Hires steps",
    "hires-upscaler": "Hires upscaler",
    "model": "Checkpoint name",
    "refiner": "Refiner checkpoint",
    "refiner-switch": "Refiner switch at",
    "replace": "Prompt S/R",
    "rng": "RNG source",
    "sampler": "Sampler",
    "schedule": "Schedule type",
    "seed": "Seed",
    "size": "Size",
    "steps": "Steps",
    "strength": "Denoising",
    "vae": "VAE",
    "variation": "Var. strength",
    "variation-seed": "Var. seed",
}
"""The WebUI's names of axes."""

_NUMBER = r"([+-]?\d+(?:\.\d+)?)"
_RANGE = re.compile(rf"{_NUMBER}\s*-\s*{_NUMBER}(?:\s*\(\s*{_NUMBER}\s*\)|\s*\[\s*(\d+)\s*\])?")
_FEWEST_TEXTS: Final = 2


@dataclass(frozen=True)
class AxisValue:
    """One value of an axis: its label, and the parameters or the words of the prompt it changes."""

    label: str
    changes: dict[str, Any] = field(default_factory=dict)
    words: tuple[str, str] | None = None


@dataclass(frozen=True)
class Axis:
    """An axis of a grid. ``text``: its values as they were typed."""

    label: str
    text: str
    values: Sequence[AxisValue]


def parse_axis(line: CommandLine, text: str) -> Axis:
    """Return the axis that ``--grid`` names. Raises `SettingsError`."""
    name, equals, values = text.partition("=")
    name = name.strip().lower().lstrip("-").replace("_", "-").replace(" ", "-")
    texts = _split(values)
    if not equals or not name or not texts:
        raise SettingsError("grid", text, "must be AXIS=VALUES, such as steps=8,12,20")
    if name in REPLACE:
        if len(texts) < _FEWEST_TEXTS:
            raise SettingsError("grid", text, "replace needs two texts or more: replace=cat,dog")
        found = [AxisValue(each, words=(texts[0], each)) for each in texts]
        return Axis(LABELS["replace"], values, found)
    probe = line.parse("grid", [f"--{name}=1"])
    kinds = {type(each) for each in probe.values()}
    if kinds <= {int, float}:
        texts = [each for text in texts for each in _expand_range(text, float in kinds)]
    if len(texts) > MOST_VALUES:
        raise SettingsError("grid", text, f"it has over {MOST_VALUES} values")
    found = [AxisValue(each, line.parse("grid", [f"--{name}={each}"])) for each in texts]
    return Axis(LABELS.get(name, name.replace("-", " ").capitalize()), values, found)


def _split(text: str) -> list[str]:
    """Return the texts between commas; one in quotes may hold commas."""
    rows = list(csv.reader([text.replace("\n", " ")], skipinitialspace=True))
    return [each.strip() for row in rows for each in row if each.strip()]


def _expand_range(text: str, is_float: bool) -> Iterator[str]:
    """Yield the numbers of ``1-5``, ``1-9(+2)`` or ``0.2-1[5]``, as the WebUI reads them.

    Any other text is yielded as it is.
    """
    match = _RANGE.fullmatch(text.strip())
    if not match:
        yield text
        return
    first, last = float(match[1]), float(match[2])
    if match[4]:
        count = min(int(match[4][:6]), MOST_VALUES + 1)
        numbers = [first + (last - first) * i / max(count - 1, 1) for i in range(count)]
    else:
        step = float(match[3]) if match[3] else 1.0 if last >= first else -1.0
        if step * (last - first) < 0 or step == 0:
            raise SettingsError("grid", text, "its step leads away from its end")
        count = min(int((last - first) / step + 1e-9) + 1, MOST_VALUES + 1)
        numbers = [first + step * i for i in range(count)]
    for number in numbers:
        yield f"{round(number, 6):g}" if is_float else str(round(number))
