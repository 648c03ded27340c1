"""Prompt styles: texts with names, in a file as AUTOMATIC1111 writes it (``styles.csv``).

The file has the columns ``name``, ``prompt`` and ``negative_prompt``; others are kept. A style
whose prompt has ``{prompt}`` is put around a request's prompt; others are put after it.
"""

from __future__ import annotations

import contextlib
import csv
import difflib
import io
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from diffusion.errors import OutputError, quote
from diffusion.server.errors import ConfigurationError, NotFoundError, RefusedError

__all__ = ["COLUMNS", "Style", "StyleTable"]

LARGEST_FILE: Final = 4 << 20
COLUMNS: Final = ("name", "prompt", "negative_prompt")
_PLACE: Final = "{prompt}"


@dataclass(frozen=True)
class Style:
    """A style: its name, and what it adds to a prompt and a negative prompt."""

    name: str
    prompt: str = ""
    negative: str = ""


class StyleTable:
    """The styles of a file, read anew when it has changed.

    ``must_exist``: a file that is not there is a mistake, else it is made by `save`. Raises
    `ConfigurationError` for a file that cannot be read.
    """

    def __init__(self, file: Path, *, must_exist: bool = True) -> None:
        self._file = file
        self._changed = 0
        self._columns: Sequence[str] = COLUMNS
        self._rows: Sequence[Mapping[str, str]] = ()
        self._lock = threading.Lock()
        if must_exist or file.exists():
            self._refresh()

    @property
    def styles(self) -> Sequence[Style]:
        """The styles as they stand in the file now; the last ones where it cannot be read."""
        with contextlib.suppress(ConfigurationError):  # it is being written, or gone
            self._refresh()
        named = {
            row["name"]: Style(*(row.get(each) or "" for each in COLUMNS)) for row in self._rows
        }
        return list(named.values())

    def save(self, style: Style) -> None:
        """Write a style, in the place of one of the same name.

        Raises `ConfigurationError`, `OutputError`, and `RefusedError` for a file that is too large.
        """
        row = dict(zip(COLUMNS, (style.name, style.prompt, style.negative), strict=True))

        def change(rows: Sequence[Mapping[str, str]]) -> Sequence[Mapping[str, str]]:
            known = next((each for each in rows if each["name"] == style.name), None)
            if known is None:
                return [*rows, row]
            return [{**each, **row} if each is known else each for each in rows]

        self._write(change)

    def delete(self, name: str) -> None:
        """Delete a style. Raises `NotFoundError`, `ConfigurationError`, `OutputError`."""

        def change(rows: Sequence[Mapping[str, str]]) -> Sequence[Mapping[str, str]]:
            if all(row["name"] != name for row in rows):
                raise NotFoundError(f"there is no style {quote(name)}")
            return [row for row in rows if row["name"] != name]

        self._write(change)

    def _write(
        self, change: Callable[[Sequence[Mapping[str, str]]], Sequence[Mapping[str, str]]]
    ) -> None:
        """Write the file anew, in one step."""
        with self._lock:
            if self._file.exists():
                self._refresh()
            text = io.StringIO(newline="")
            writer = csv.DictWriter(text, self._columns, restval="", lineterminator="\n")
            writer.writeheader()
            writer.writerows(change(self._rows))
            content = text.getvalue().encode()
            if len(content) > LARGEST_FILE:
                raise RefusedError(f"the file of styles would have over {LARGEST_FILE} bytes")
            part = self._file.with_name(f".{self._file.name}.part")
            try:
                part.write_bytes(content)
                os.replace(part, self._file)  # noqa: PTH105 - as in `Outputs`
            except OSError as error:
                with contextlib.suppress(OSError):
                    part.unlink(missing_ok=True)
                reason = error.strerror or str(error)
                raise OutputError(self._file, reason, "check its folder") from error
            self._refresh()

    def _refresh(self) -> None:
        try:
            changed = self._file.stat().st_mtime_ns
            if changed == self._changed:
                return
            with self._file.open("rb") as file:
                text = file.read(LARGEST_FILE + 1).decode("utf-8-sig")
            if len(text) > LARGEST_FILE:
                raise ConfigurationError(f"styles: {self._file} has over {LARGEST_FILE} bytes")
            reader = csv.DictReader(io.StringIO(text, newline=""), restkey="", restval="")
            rows = [{key: text for key, text in row.items() if key} for row in reader]
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            reason = getattr(error, "strerror", None) or str(error)
            message = f"styles: {self._file} cannot be read: {reason}; give a CSV file in UTF-8"
            raise ConfigurationError(message) from error
        if rows and "name" not in rows[0]:
            message = (
                f"styles: {self._file} has no column 'name'; write name,prompt,negative_prompt"
            )
            raise ConfigurationError(message)
        self._rows = [row for row in rows if row["name"]]
        self._columns = list(dict.fromkeys([*filter(None, reader.fieldnames or ()), *COLUMNS]))
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
                guess = f"did you mean {' or '.join(map(quote, near))}? " if near else ""
                message = f"Style not found: {quote(name)}; {guess}GET /sdapi/v1/prompt-styles"
                raise RefusedError(f"{message} lists all")
            prompt, negative = _join(prompt, style.prompt), _join(negative, style.negative)
        return prompt, negative


def _join(prompt: str, style: str) -> str:
    """Return a prompt with the text of one style."""
    if _PLACE in style:
        return style.replace(_PLACE, prompt)
    return ", ".join(filter(None, [prompt.strip(), style.strip()]))
