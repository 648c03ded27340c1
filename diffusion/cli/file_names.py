"""``--output`` with fields: ``{date}/{seed}-{prompt}.png`` becomes the name of each picture.

Texts in a name are made safe for every file system: nothing in a prompt leaves the folder.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections.abc import Mapping
from datetime import datetime
from pathlib import PurePath
from typing import Final

from diffusion.errors import OutputError, quote
from diffusion.settings import Settings

__all__ = ["FIELDS", "Values", "check_pattern", "fill_pattern", "has_fields", "picture_values"]

Values = Mapping[str, str | int | float | datetime]
"""The values of the fields for one picture."""

FIELDS: Final = (
    *("prompt", "negative", "seed", "index", "number", "date", "time", "model", "sampler"),
    *("schedule", "steps", "guidance", "width", "height"),
)
"""``index`` counts the pictures of a run from 1, ``number`` the files of a folder."""

LONGEST_TEXT: Final = 60
"""Characters of a text in a name, where the pattern does not say how many."""

LONGEST_NAME: Final = 240
"""Bytes of a file's name without what is added to make it free: file systems hold 255."""

_FORMATS: Final = {"date": "%Y-%m-%d", "time": "%H-%M-%S", "number": "05d"}
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)
_HINT: Final = f"fields are {', '.join(FIELDS)}; write {{{{ and }}}} for brackets"


def has_fields(text: str) -> bool:
    """Tell whether an ``--output`` has fields, or brackets that must be doubled."""
    return "{" in text or "}" in text


def check_pattern(text: str) -> None:
    """Raise `OutputError` for an unknown field, or one that cannot be written as it says."""
    settings = Settings("a", width=8, height=8, steps=1, guidance=1.0, sampler="a", schedule="a")
    fill_pattern(text, dict(picture_values(settings, "a", 1), number=1))


def picture_values(settings: Settings, model: str, index: int) -> dict[str, str | int | float]:
    """Return the values of a picture's fields, all but ``number``, ``date`` and ``time``.

    ``settings``: complete, ``seed`` being the picture's own. ``index``: its number from 1.
    """
    values = {name: getattr(settings, name) for name in FIELDS if hasattr(settings, name)}
    return values | {"model": model, "index": index}


def fill_pattern(text: str, values: Values) -> PurePath:
    """Return the path that a pattern makes of ``values``. Raises `OutputError`."""
    now = datetime.now().astimezone()
    parts = []
    try:
        for literal, name, layout, conversion in string.Formatter().parse(text):
            parts.append(literal)
            if name is None:
                continue
            if name not in FIELDS or conversion:
                raise OutputError(text, f"there is no field {quote('{' + name + '}')}", _HINT)
            value = now if name in {"date", "time"} else values[name]
            parts.append(_field_text(value, layout or _FORMATS.get(name, "")))
    except ValueError as error:
        raise OutputError(text, f"its brackets are wrong: {error}", _HINT) from None
    path = PurePath("".join(parts))
    return path.with_name(_cut_bytes(path.stem, path.suffix)) if path.name else path


def _field_text(value: str | float | datetime, layout: str) -> str:
    """Return a field's text. A layout is that of Python; for a text it is a number of characters.

    Raises `ValueError`.
    """
    if isinstance(value, str):
        limit = int(layout or LONGEST_TEXT)
        return _safe_text(value, limit)
    if isinstance(value, float) and not layout:
        layout = "g"
    return _safe_text(format(value, layout), LONGEST_NAME)


def _safe_text(text: str, limit: int) -> str:
    """Return at most ``limit`` characters of a text, as a part of a file's name.

    Separators, reserved and invisible characters become ``_``.
    """
    text = unicodedata.normalize("NFC", text[: 8 * limit])
    plain = "".join(
        each if each.isprintable() and each not in '<>:"/\\|?*' else "_" for each in text
    )
    return re.sub(r"[\s_]+", "_", plain)[:limit].strip(" ._") or "_"


def _cut_bytes(stem: str, suffix: str) -> str:
    """Return a file's name of at most `LONGEST_NAME` bytes, which Windows does not reserve."""
    room = LONGEST_NAME - len(suffix.encode(errors="replace"))
    stem = stem.encode(errors="replace")[: max(room, 1)].decode(errors="ignore")
    return f"_{stem}{suffix}" if _RESERVED.match(stem + suffix) else stem + suffix
