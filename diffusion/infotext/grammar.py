r"""Writing and reading infotext: the text in a picture's file that says how it was made.

It has three parts. The lines of the prompt come first. Then come the lines of the negative prompt,
of which the first opens with ``Negative prompt:``. The last line has ``Key: value`` pairs, joined
by ``, ``. A value that holds ``,`` ``:`` or a newline stands in JSON quotes. A last line with fewer
than three pairs belongs to the prompt. (This is A1111's form.)

Two things are lost. A line of a prompt that itself opens with ``Negative prompt:`` reads back as
the negative prompt. Line ends become ``\n``, and NUL, which PNG forbids, is removed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from diffusion.errors import SettingsError

__all__ = ["FEWEST_SETTINGS", "LARGEST_TEXT", "Infotext", "parse_infotext", "write_infotext"]

FIELDS: Final = (
    "Steps",
    "Sampler",
    "Schedule type",
    "CFG scale",
    "Seed",
    "Size",
    "Model hash",
    "Model",
    "VAE hash",
    "VAE",
    "Variation seed",
    "Variation seed strength",
    "Seed resize from",
    "Denoising strength",
    "Clip skip",
    "RNG",
    "Refiner",
    "Refiner switch at",
)
"""The order of known settings. Others follow in the given order, and ``Version`` is last."""

NEGATIVE: Final = "Negative prompt:"
FEWEST_SETTINGS: Final = 3
LARGEST_TEXT: Final = 1 << 20
"""Characters of an infotext: Pillow's own limit for one chunk of text."""

_NAME = re.compile(r"\w[\w /-]*[\w/-]")
_QUOTED = re.compile(r'[,:\n]|^["\s]|\s$')
_SIZE = re.compile(r"(\d{1,6})x(\d{1,6})")


@dataclass(frozen=True)
class Infotext:
    """The parts of an infotext. ``settings``: values as text, in their order."""

    prompt: str
    negative: str
    settings: Mapping[str, str]

    @property
    def size(self) -> tuple[int, int] | None:
        """Width and height from ``Size``; None where it is missing or malformed."""
        match = _SIZE.fullmatch(self.settings.get("Size", ""))
        return (int(match[1]), int(match[2])) if match else None


def write_infotext(prompt: str, negative: str, settings: Mapping[str, str | int | float]) -> str:
    """Return the infotext. Raises `SettingsError` for less than three settings or a bad key."""
    if len(settings) < FEWEST_SETTINGS:
        raise SettingsError("settings", dict(settings), "readers need three or more")
    for name in settings:
        if not _NAME.fullmatch(name):
            raise SettingsError("settings", name, "a key has letters, digits, blanks, - and /")
    places = {name: i for i, name in enumerate(FIELDS)} | {"Version": len(FIELDS) + 1}
    ordered = sorted(settings, key=lambda name: places.get(name, len(FIELDS)))
    pairs = ", ".join(f"{name}: {_format_value(settings[name])}" for name in ordered)
    negative_lines = f"{NEGATIVE} {_normalise(negative)}" if negative else ""
    parts = [_normalise(prompt), negative_lines, pairs]
    return "\n".join(filter(None, parts))


def _normalise(text: str) -> str:
    r"""Return ``text`` with line ends as ``\n``, and without NUL."""
    return text.replace("\0", "").replace("\r\n", "\n").replace("\r", "\n")


def _format_value(value: str | float) -> str:
    """Return a setting's value as text: whole floats without a point, quotes where needed."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        value = int(value)
    text = _normalise(str(value))
    return json.dumps(text, ensure_ascii=False) if _QUOTED.search(text) else text


def parse_infotext(text: str) -> Infotext:
    """Read an infotext of any tool; without a last line of settings, all of it is prompt.

    Raises `SettingsError` for more than a million characters.
    """
    if len(text) > LARGEST_TEXT:
        raise SettingsError("infotext", f"{len(text)} characters", f"at most {LARGEST_TEXT}")
    lines = _normalise(text).rstrip("\n").split("\n")
    settings = dict(_pairs(lines[-1]))
    if len(settings) < FEWEST_SETTINGS:
        settings = {}
    else:
        lines.pop()
    cut = next((i for i, line in enumerate(lines) if line.startswith(NEGATIVE)), len(lines))
    negative = lines[cut:]
    if negative:
        negative[0] = negative[0].removeprefix(NEGATIVE).removeprefix(" ")
    return Infotext("\n".join(lines[:cut]), "\n".join(negative), settings)


def _pairs(line: str) -> Iterator[tuple[str, str]]:
    """Yield the ``Key: value`` pairs of a line, read once; malformed pairs are left out."""
    place, colon, quotes = 0, -1, True
    while place < len(line):
        comma = line.find(",", place)
        if colon < place:
            colon = line.find(":", place)
        if colon < 0:
            return
        if 0 <= comma < colon:
            place = comma + 1
            continue
        name, place = line[place:colon].strip(), colon + 1
        place += len(line[place : place + 1]) - len(line[place : place + 1].lstrip())
        value = None
        if quotes and line.startswith('"', place):
            value, place = _read_quoted(line, place)
            quotes = value is not None
        end = line.find(",", place)
        end = len(line) if end < 0 else end
        rest, place = line[place:end], end + 1
        if _NAME.fullmatch(name):
            yield name, rest.strip() if value is None else value


def _read_quoted(line: str, place: int) -> tuple[str | None, int]:
    """Return the JSON text at ``place`` and its end; None where the closing quote is missing."""
    try:
        value, end = json.JSONDecoder().raw_decode(line, place)
    except json.JSONDecodeError:
        return None, place
    return str(value), end
