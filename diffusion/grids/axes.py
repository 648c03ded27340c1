"""The axes of a grid, and the forms in which people write their values."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from diffusion.errors import SettingsError

__all__ = ["LABELS", "Axis", "AxisValue", "expand_numbers", "expand_range", "split_values"]

MOST_VALUES: Final = 1000
"""Values of one axis."""

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


def split_values(text: str) -> list[str]:
    """Return the texts between commas; one in quotes may hold commas.

    Raises `SettingsError` for too many.
    """
    try:
        rows = list(csv.reader([text.replace("\n", " ")], skipinitialspace=True))
    except csv.Error as error:
        raise SettingsError("grid", text, "its values must be texts between commas") from error
    return _require_few([each.strip() for row in rows for each in row if each.strip()])


def expand_numbers(texts: Iterable[str], is_float: bool) -> list[str]:
    """Return numbers as texts, where a text may be a range. Raises `SettingsError`."""
    found: list[str] = []
    for text in texts:
        found += expand_range(text, is_float)
        _require_few(found)
    return found


def _require_few(texts: list[str]) -> list[str]:
    if len(texts) > MOST_VALUES:
        raise SettingsError("grid", ", ".join(texts[:3]), f"it has over {MOST_VALUES} values")
    return texts


def expand_range(text: str, is_float: bool) -> Iterator[str]:
    """Yield the numbers of ``1-5``, ``1-9(+2)`` or ``0.2-1[5]``, as the WebUI reads them.

    Any other text is yielded as it is. Raises `SettingsError`.
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
