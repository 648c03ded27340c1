"""Values of options that are typed as text: sizes, seeds, names, and ``--set NAME=VALUE``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Final, TypeVar

from diffusion.checkpoints.single_file import Prediction
from diffusion.errors import SettingsError
from diffusion.settings import random_seed
from diffusion.tasks.sampling_settings import SamplingSettings
from gpustd.matmul.conv import Wrap

__all__ = [
    "MAX_DIGITS",
    "RARE_CHOICES",
    "change_sampling",
    "find_name",
    "find_prediction",
    "find_seamless_axes",
    "is_place",
    "nth_value",
    "parse_seed",
    "parse_sides",
    "parse_size",
    "read_numbers",
]

T = TypeVar("T")

RARE_CHOICES: Final = tuple(field.name for field in fields(SamplingSettings))
"""The names that ``--set`` takes."""
WHOLE_CHOICES: Final = ("order", "noise_seed_delta")
"""Those whose values are whole numbers."""

MAX_DIGITS: Final = 40
"""Characters of a number that are read; Python takes long to convert millions of them."""

_SIZE = re.compile(r"\s*(\d{1,6})\s*[xX×]\s*(\d{1,6})\s*")
_SIDES = re.compile(r"(\d{1,6})?x(\d{1,6})?")
_PREDICTIONS: Final[dict[str, Prediction]] = {
    "epsilon": "epsilon",
    "v": "v_prediction",
    "sample": "sample",
}
_AXES: Final[dict[str, Wrap]] = {"off": "", "x": "x", "y": "y", "xy": "xy"}


def parse_size(text: str, field: str = "size") -> tuple[int, int]:
    """Return width and height from a text such as ``512x768``. Raises `SettingsError`."""
    match = _SIZE.fullmatch(text)
    if not match:
        raise SettingsError(field, text, "must be WIDTHxHEIGHT, such as 512x768")
    return int(match[1]), int(match[2])


def parse_sides(text: str | None) -> tuple[int | None, int | None]:
    """Return width and height from a size; a side that was not given is None, as in ``512x``.

    ``text``: what was typed, if anything. Raises `SettingsError`.
    """
    match = _SIDES.fullmatch(text or "x")
    if not match:
        return parse_size(text or "")
    width, height = (None if side is None else int(side) for side in match.groups())
    return width, height


def parse_seed(seed: int, field: str = "seed") -> int:
    """Return the seed, or a random one for -1. Raises `SettingsError`."""
    if seed < -1:
        raise SettingsError(field, seed, "must be a whole number from 0 on, or -1 for a random one")
    return random_seed() if seed == -1 else seed


def find_name(field: str, text: str, names: Mapping[str, T]) -> T:
    """Return the value that ``names`` has for a text. Raises `SettingsError`."""
    if text not in names:
        raise SettingsError(field, text, f"must be one of {', '.join(names)}")
    return names[text]


def find_prediction(text: str | None) -> Prediction | None:
    """Return what ``--prediction`` names. Raises `SettingsError`."""
    return None if text is None else find_name("prediction", text, _PREDICTIONS)


def find_seamless_axes(text: str) -> Wrap:
    """Return the axes that ``--seamless`` names. Raises `SettingsError`."""
    return find_name("seamless", text, _AXES)


def change_sampling(sampling: SamplingSettings, texts: Iterable[str]) -> SamplingSettings:
    """Return ``sampling`` changed by each ``NAME=VALUE``; ``NAME=`` brings a default back.

    Raises `SettingsError`.
    """
    values: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or name not in RARE_CHOICES:
            hint = f"must be NAME=VALUE, NAME one of {', '.join(RARE_CHOICES)}"
            raise SettingsError("set", text, hint)
        whole = name in WHOLE_CHOICES
        kind, words = (int, "a whole number") if whole else (float, "a number")
        try:
            values[name] = kind(value[:MAX_DIGITS]) if value.strip() else None
        except ValueError:
            raise SettingsError(name, value, f"must be {words}") from None
    return replace(sampling, **values)


def nth_value(
    option: str,
    values: Sequence[T] | None,
    number: int,
    count: int,
    *,
    shares_one: bool = True,
) -> T | None:
    """Return the n-th value of an option; None where none was typed.

    ``shares_one``: one value alone is for all. Raises `SettingsError` for more values than
    ``count``.
    """
    if not values:
        return None
    if len(values) > count:
        raise SettingsError(option, len(values), f"must be given {count} times at most")
    if shares_one and len(values) == 1:
        return values[0]
    return values[number] if number < len(values) else None


def is_place(text: str) -> bool:
    """Tell whether a text names a network's folder or file by path."""
    return text.lower().endswith(".safetensors") or Path(text, "config.json").is_file()


def read_numbers(option: str, text: str) -> tuple[float, ...]:
    """Return the numbers between commas. Raises `SettingsError`."""
    try:
        return tuple(float(each[:MAX_DIGITS]) for each in text.split(","))
    except ValueError:
        raise SettingsError(option, text, "must be numbers between commas") from None
