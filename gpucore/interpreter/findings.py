"""What the interpreter finds wrong in a kernel, with its place in the source."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from gpucore.wgsl.errors import line_starts

__all__ = ["ADVICE", "KINDS", "Finding", "Findings", "SourceLine", "SourceMap"]

ADVICE: Final[Mapping[str, str]] = {
    "bounds": "compare the index with the length first",
    "race": "put a barrier between the two accesses, use atomics, or let one invocation write",
    "uninitialized": "write it before it is read",
    "barrier": "move the barrier out of the `if` or loop, and return after it",
    "overflow": "compute in u32, which wraps, and convert; or keep the numbers small",
    "conversion": "clamp the number to the integer's range first",
    "shift": "keep the count below the bits of the number",
    "division": "test the divisor first",
    "nan": "test the argument first",
    "subgroup": "let all invocations of the subgroup make the same call",
}
"""What to do about each kind of finding."""

KINDS: Final = tuple(ADVICE)


@dataclass(frozen=True, slots=True)
class SourceLine:
    """A place in the text that WGSL was made from; ``line`` and ``column`` count from 1.

    ``text`` is that line, shown in messages.
    """

    file: str
    line: int
    column: int = 1
    text: str = ""


SourceMap = Callable[[int], SourceLine | None]
"""From an offset in a kernel's WGSL to the place that it was made from, where there is one."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A defect of a kernel at one line.

    ``kind`` is one of `KINDS`. ``line`` is that of the WGSL, and ``text`` its text; ``source`` is
    what it was made from, where a source map says so. ``invocation`` and ``workgroup`` are
    the first that showed it, as (x, y, z). ``variable`` and ``index`` are those of an access, where
    it is one. ``other_line`` is the line of the other access of a race. ``count`` is how often it
    was found.
    """

    kind: str
    kernel: str
    message: str
    line: int
    text: str
    invocation: tuple[int, int, int] = (0, 0, 0)
    workgroup: tuple[int, int, int] = (0, 0, 0)
    variable: str = ""
    index: int | None = None
    other_line: int | None = None
    source: SourceLine | None = None
    count: int = 1

    def __str__(self) -> str:
        shown = self.text if self.source is None else self.source.text or self.text
        return (
            f"{self.kind} in kernel '{self.kernel}', {self.place}: {self.message}\n"
            f"    {shown.strip()}\n"
            f"    first in invocation {self.invocation} of workgroup {self.workgroup}, "
            f"{self.count} in all; {ADVICE[self.kind]}"
        )

    @property
    def place(self) -> str:
        """The file, line and column of the source, or the line of the WGSL."""
        if self.source is None:
            return f"line {self.line}"
        return f"{self.source.file}:{self.source.line}:{self.source.column}"


@dataclass(slots=True)
class Findings:
    """Collects the findings of one kernel, one for each kind, line and variable."""

    kernel: str
    source: str
    source_map: SourceMap | None = None
    found: dict[tuple[str, int, str], Finding] = field(default_factory=dict)
    _starts: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._starts = line_starts(self.source)

    def line_of(self, at: int) -> int:
        """Return the line, from 1, of an offset in the source."""
        return bisect_right(self._starts, at)

    def origin_of(self, at: int) -> SourceLine | None:
        """Return the place that the WGSL at an offset was made from; None where it is not known."""
        return None if self.source_map is None else self.source_map(at)

    def shown_line(self, at: int) -> int:
        """Return the line of an offset, in the text that the WGSL was made from if there is one."""
        origin = self.origin_of(at)
        return self.line_of(at) if origin is None else origin.line

    def place_of(self, at: int) -> str:
        """Return how messages call the place of an offset: a line, or a place in Python."""
        origin = self.origin_of(at)
        if origin is None:
            return f"line {self.line_of(at)}"
        return f"{origin.file}:{origin.line}:{origin.column}"

    def barrier_name(self, name: str) -> str:
        """Return how messages call a barrier of WGSL: Python has one for all memory."""
        return name if self.source_map is None else "barrier()"

    def add(self, finding: Finding, at: int) -> None:
        """Note a finding at an offset of the source, unless its line allows it.

        A comment ``// sanitize: allow KIND`` at the end of a line allows what is found there, in
        Python ``# sanitize: allow KIND``.
        """
        line = self.line_of(at)
        key = (finding.kind, line, finding.variable)
        known = self.found.get(key)
        if known is not None:
            self.found[key] = replace(known, count=known.count + finding.count)
            return
        end = self._starts[line] if line < len(self._starts) else len(self.source)
        text = self.source[self._starts[line - 1] : end].rstrip()
        source = self.origin_of(at)
        if _allows(text if source is None else source.text, finding.kind):
            return
        self.found[key] = replace(finding, line=line, text=text, source=source)


def _allows(text: str, kind: str) -> bool:
    """Tell whether a line ends in a comment that allows a kind of finding."""
    _, mark, allowed = text.partition(" sanitize: allow ")
    return bool(mark) and kind in allowed.replace(",", " ").split()
