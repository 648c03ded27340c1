"""The errors of the compiler of kernels in Python; each names file, line and column.

::

    KernelCompileError
    └── PythonKernelError        a Python function that cannot become a kernel
        ├── KernelSyntaxError    something that the language of kernels does not have
        ├── KernelNameError      a name that is unknown, or has no value yet
        └── KernelTypeError      the types of values do not fit together
"""

from __future__ import annotations

from typing import NamedTuple

from gpucore.errors import KernelCompileError

__all__ = [
    "KernelNameError",
    "KernelSyntaxError",
    "KernelTypeError",
    "Place",
    "PythonKernelError",
]


class Place(NamedTuple):
    """A place in a Python file: line and column count from 1; ``text`` is the line."""

    file: str
    line: int
    column: int
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class PythonKernelError(KernelCompileError):
    """A Python function cannot become a kernel; the message shows the place in its file.

    Attributes:
        place: file, line, column and text of the line. message: what is wrong, without the place.
    """

    def __init__(self, message: str, place: Place) -> None:
        self.place = place
        super().__init__(message, line=place.line, column=place.column)

    def _with_place(self, message: str) -> str:
        place = self.place
        number = f"{place.line:5d} | "
        before = place.text[: place.column - 1]
        caret = "".join("\t" if c == "\t" else " " for c in before) + "^"
        return f"{place}: {message}\n{number}{place.text}\n{' ' * len(number)}{caret}"


class KernelSyntaxError(PythonKernelError):
    """The language of kernels does not have this, or not here."""


class KernelNameError(PythonKernelError):
    """A name is unknown, or may have no value yet."""


class KernelTypeError(PythonKernelError):
    """The types of values do not fit together."""
