"""Lines that kernels in Python print: whether they are shown, and how the device's words are read.

``AVILA_KERNEL_PRINT=1`` or `show_prints` shows them. Otherwise a kernel has no code for them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from gpucore.buffer import Buffer
from gpucore.compiler import CompiledKernel
from gpucore.compiler.compiled import PrintPiece, PrintSite
from gpucore.device import Device
from gpucore.dtypes import u32
from gpucore.environment import is_on
from gpucore.errors import ArgumentError

__all__ = ["PRINT_VARIABLE", "are_prints_shown", "line_buffer", "show_lines", "show_prints"]

PRINT_VARIABLE: Final = "AVILA_KERNEL_PRINT"
_DEFAULT_NBYTES: Final = 2**20
_DTYPES: Final = {"f32": np.float32, "i32": np.int32, "u32": np.uint32}
_HEAD: Final = 4  # words before the numbers of a line


class _Switch:
    """The size of the buffer where lines are shown by `show_prints`; None outside of it."""

    nbytes: int | None = None


@contextmanager
def show_prints(nbytes: int = _DEFAULT_NBYTES) -> Iterator[None]:
    """Show what kernels in Python print in the ``with`` block; their calls wait for the device.

    Each launch has room for ``nbytes`` of lines: 16 bytes for a line, and 4 for each number. Raises
    `ArgumentError`.

    >>> from gpucore import Array, Device, f32, global_id, gpu_kernel, show_prints
    >>> @gpu_kernel
    ... def halve(x: Array[f32]):
    ...     i = global_id.x
    ...     if i < len(x):
    ...         print("before:", x[i])
    ...         x[i] = x[i] / 2
    >>> with show_prints():
    ...     halve(Device.null().buffer(f32, 2))  # a real device prints two lines
    ...     "print_line(" in halve.source()
    True
    >>> "print_line(" in halve.source()
    False
    """
    if nbytes < 64:
        raise ArgumentError(f"nbytes must be at least 64, got {nbytes!r}")
    before, _Switch.nbytes = _Switch.nbytes, nbytes
    try:
        yield
    finally:
        _Switch.nbytes = before


def are_prints_shown() -> bool:
    """Tell whether kernels print."""
    return _Switch.nbytes is not None or is_on(PRINT_VARIABLE, default=False)


def line_buffer(device: Device) -> Buffer[u32]:
    """Return a buffer for the lines of one launch."""
    words = (_Switch.nbytes or _DEFAULT_NBYTES) // 4
    return device.buffer_from_array(np.zeros(words, np.uint32), u32)


def show_lines(compiled: CompiledKernel, words: NDArray[np.uint32]) -> None:
    """Print the lines of a launch in the order of the invocations, and how many had no room."""
    found = list(_records(compiled, words))
    found.sort(key=lambda each: each[0][::-1])
    for ids, text in found:
        shown = ", ".join(str(each) for each in ids[: max(compiled.axes, 1)])
        sys.stdout.write(f"[{compiled.name} {shown}] {text}\n")
    if lost := int(words[1]) - len(found):
        sys.stdout.write(
            f"[{compiled.name}] {lost} lines more had no room in {words.nbytes} bytes: print "
            "under a condition, or give more, as show_prints(nbytes=...)\n"
        )


def _records(
    compiled: CompiledKernel, words: NDArray[np.uint32]
) -> Iterator[tuple[tuple[int, int, int], str]]:
    """Yield the global ids and the text of each line."""
    at = 2
    while at + _HEAD <= len(words) and words[at]:
        site = compiled.prints[int(words[at]) - 1]
        x, y, z = (int(each) for each in words[at + 1 : at + _HEAD])
        at += _HEAD
        yield (x, y, z), _text(site, words[at : at + site.words])
        at += site.words


def _text(site: PrintSite, words: NDArray[np.uint32]) -> str:
    parts: list[str] = []
    at = 0
    for piece in site.pieces:
        parts.append(piece.text or _value(piece, words[at : at + piece.count]))
        at += piece.count
    return "".join(parts)


def _value(piece: PrintPiece, words: NDArray[np.uint32]) -> str:
    """Return a number, or a vector in brackets."""
    numbers: NDArray[Any] = words != 0 if piece.type == "bool" else words.view(_DTYPES[piece.type])
    if piece.form:
        shown = [format(each.item(), piece.form) for each in numbers]
    else:
        shown = [str(each) for each in numbers]
    return shown[0] if piece.count == 1 else f"({', '.join(shown)})"
