"""The errors of the front end, in one tree, and the search for a place in a source.

::

    WgslError                       message, line, column and source line
    ├── WgslSyntaxError             the text is not WGSL
    ├── WgslLayoutError             a type, size or constant that has no value, or breaks a rule
    │   └── MissingOverrideError    a value that needs an override without a value
    ├── ConstantError               an expression without a value, before its place is known
    └── PackError                   values do not fit the fields of a uniform
"""

from __future__ import annotations

import re

_LINE_BREAK = re.compile("\r\n|[\n\v\f\r\x85\u2028\u2029]")
_MAX_MESSAGE = 400  # characters of a message: it may quote a token of any length
_WINDOW = 100  # characters of a long source line below a message


class WgslError(Exception):
    """Something is wrong with a WGSL source: message, line and column (from 1), source line.

    ``line`` is 0 where the fault has no place in a source, as in a tree built by hand.
    """

    def __init__(self, message: str, line: int = 0, column: int = 0, source_line: str = "") -> None:
        super().__init__(message)
        self.message = (
            message if len(message) <= _MAX_MESSAGE else f"{message[:_MAX_MESSAGE]} [...]"
        )
        self.line = line
        self.column = column
        self.source_line = source_line

    def __str__(self) -> str:
        """Return the message, with its place, source line and a caret where it has a place."""
        if not self.line:
            return self.message
        start = max(0, min(self.column - 1 - _WINDOW // 2, len(self.source_line) - _WINDOW))
        shown = self.source_line[start : start + _WINDOW]
        before = shown[: self.column - 1 - start]
        caret = "".join("\t" if c == "\t" else " " for c in before) + "^"
        place = f"line {self.line}, column {self.column}"
        return f"{place}: {self.message}\n    {shown}\n    {caret}"


class WgslSyntaxError(WgslError):
    """The text is not WGSL."""


class WgslLayoutError(WgslError):
    """A type, size or constant of a well-formed module has no value, or breaks a rule."""


class MissingOverrideError(WgslLayoutError):
    """A value depends on an override that has no default and was not given."""


class ConstantError(WgslError):
    """An expression has no value; becomes a ``WgslLayoutError`` where the place is known."""


class PackError(WgslError, ValueError):
    """Values that do not fit the fields of a uniform; the message names the fields."""


def line_starts(source: str) -> list[int]:
    """Return the offset at which each line of ``source`` starts (with WGSL's line breaks)."""
    return [0, *(match.end() for match in _LINE_BREAK.finditer(source))]


def locate(source: str, offset: int) -> tuple[int, int, str]:
    """Return line and column (both from 1) of ``offset``, and the text of the line."""
    if offset < 0 or not source:
        return 0, 0, ""
    line, start = 1, 0
    for match in _LINE_BREAK.finditer(source):
        if match.end() > offset:
            break
        line, start = line + 1, match.end()
    end = _LINE_BREAK.search(source, start)
    return line, offset - start + 1, source[start : end.start() if end else len(source)]


def syntax_error(message: str, source: str, offset: int) -> WgslSyntaxError:
    """Return a ``WgslSyntaxError`` at ``offset`` of ``source``."""
    return WgslSyntaxError(message, *locate(source, offset))


def layout_error(message: str, source: str, offset: int) -> WgslLayoutError:
    """Return a ``WgslLayoutError`` at ``offset`` of ``source``."""
    return WgslLayoutError(message, *locate(source, offset))
