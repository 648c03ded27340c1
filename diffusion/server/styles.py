"""Prompt styles: texts with names, in a file as AUTOMATIC1111 writes it (``styles.csv``).

The file has the columns ``name``, ``prompt`` and ``negative_prompt``. A style whose prompt has
``{prompt}`` is put around a request's prompt; others are put after it.
"""

from __future__ import annotations

import contextlib
import csv
import difflib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from diffusion.errors import quote
from diffusion.server.errors import ConfigurationError, RefusedError

__all__ = ["Style", "StyleTable"]

LARGEST_FILE: Final = 4 << 20
_PLACE: Final = "{prompt}"


@dataclass(frozen=True)
class Style:
    """A style: its name, and what it adds to a prompt and a negative prompt."""

    name: str
    prompt: str = ""
    negative: str = ""


class StyleTable:
    """The styles of a file, read anew when it has changed; none where there is no file.

    Raises `ConfigurationError` for a file that cannot be read.
    """

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._changed = 0
        self._styles: dict[str, Style] = {}
        self._refresh()

    @property
    def styles(self) -> Sequence[Style]:
        """The styles as they stand in the file now; the last ones where it cannot be read."""
        with contextlib.suppress(ConfigurationError):  # it is being written, or gone
            self._refresh()
        return list(self._styles.values())

    def _refresh(self) -> None:
        if self._file is None:
            return
        try:
            changed = self._file.stat().st_mtime_ns
            if changed == self._changed:
                return
            with self._file.open("rb") as file:
                text = file.read(LARGEST_FILE + 1).decode("utf-8-sig")
            if len(text) > LARGEST_FILE:
                raise ConfigurationError(f"styles: {self._file} has over {LARGEST_FILE} bytes")
            rows = list(csv.DictReader(io.StringIO(text, newline="")))
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            message = f"styles: {self._file} cannot be read: {error}; give a CSV file in UTF-8"
            raise ConfigurationError(message) from error
        if rows and "name" not in rows[0]:
            message = (
                f"styles: {self._file} has no column 'name'; write name,prompt,negative_prompt"
            )
            raise ConfigurationError(message)
        found = [
            Style(row["name"], row.get("prompt") or "", row.get("negative_prompt") or "")
            for row in rows
            if row["name"]
        ]
        self._styles = {style.name: style for style in found}
        self._changed = changed

    def apply(self, names: Sequence[str], prompt: str, negative: str) -> tuple[str, str]:
        """Return a prompt and a negative prompt with styles, in their order.

        Raises `RefusedError` for an unknown name.
        """
        known = {style.name: style for style in self.styles}
        for name in names:
            style = known.get(name)
            if style is None:
                near = difflib.get_close_matches(name[:100], known, n=3, cutoff=0.3)
                hint = f"did you mean {' or '.join(map(quote, near))}?" if near else "it has none"
                message = f"Style not found: {quote(name)}; {hint} GET /sdapi/v1/prompt-styles"
                raise RefusedError(f"{message} lists all")
            prompt, negative = _join(prompt, style.prompt), _join(negative, style.negative)
        return prompt, negative


def _join(prompt: str, style: str) -> str:
    """Return a prompt with the text of one style."""
    if _PLACE in style:
        return style.replace(_PLACE, prompt)
    return ", ".join(filter(None, [prompt.strip(), style.strip()]))
