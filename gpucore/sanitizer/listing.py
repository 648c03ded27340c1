"""What the sanitizer must know of a kernel: its text, and what it binds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from gpucore.interpreter import Program, SourceMap

__all__ = ["CheckedText", "Listing"]


class CheckedText(NamedTuple):
    """The WGSL that is checked for a kernel, and what it was made from.

    ``subgroup_size`` is what the text needs, where that is not the device's.
    """

    wgsl: str
    source_map: SourceMap | None = None
    subgroup_size: int | None = None


@dataclass(slots=True, eq=False)
class Listing:
    """The WGSL of a compiled kernel.

    ``names`` are those of its bindings, ``width`` is the number of invocations of a workgroup.
    ``source`` is None for native code, which cannot be run on the CPU. A kernel that was made from
    another text gives ``checked``, which returns the WGSL to check in place of ``source``, with the
    same bindings, and what it was made from. ``title`` is its name in findings, where this is not
    the label.
    """

    source: str | None
    entry: str
    constants: Mapping[str, float]
    names: tuple[str, ...]
    width: int
    checked: Callable[[], CheckedText] | None = None
    title: str = ""
    _text: CheckedText | None = field(default=None, repr=False)
    _program: Program | None = field(default=None, repr=False)

    @property
    def text(self) -> CheckedText:
        """The WGSL that is checked, made when it is first asked for."""
        if self._text is None:
            assert self.source is not None
            self._text = CheckedText(self.source) if self.checked is None else self.checked()
        return self._text

    @property
    def program(self) -> Program:
        """The kernel for the CPU, compiled when it is first asked for."""
        if self._program is None:
            from gpucore.interpreter import Program

            self._program = Program(self.text.wgsl, self.entry, self.constants)
        return self._program
