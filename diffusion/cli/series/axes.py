"""The axes of ``--grid``: ``steps=8,12,20``, and what each of its values changes."""

from __future__ import annotations

from typing import Final

from diffusion.cli.requests import CommandLine
from diffusion.errors import SettingsError
from diffusion.grids import LABELS, Axis, AxisValue, expand_numbers, split_values

__all__ = ["parse_axis"]

REPLACE: Final = {"replace", "prompt-sr", "prompt-s/r", "sr"}
"""Names of the axis that replaces words of the prompt."""

_FEWEST_TEXTS: Final = 2


def parse_axis(line: CommandLine, text: str) -> Axis:
    """Return the axis that ``--grid`` names. Raises `SettingsError`."""
    name, equals, values = text.partition("=")
    name = name.strip().lower().lstrip("-").replace("_", "-").replace(" ", "-")
    texts = split_values(values)
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
        texts = expand_numbers(texts, float in kinds)
    found = [AxisValue(each, line.parse("grid", [f"--{name}={each}"])) for each in texts]
    return Axis(LABELS.get(name, name.replace("-", " ").capitalize()), values, found)
