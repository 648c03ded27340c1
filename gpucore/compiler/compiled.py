"""What the compiler makes of a function: WGSL, and what a launch must bind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from gpucore.compiler.errors import Place

__all__ = [
    "COTANGENT",
    "ArrayBinding",
    "CompiledKernel",
    "Covered",
    "Field",
    "Neighbourhood",
    "PrintPiece",
    "PrintSite",
    "Signature",
    "Variant",
]

COTANGENT: Final = "cotangent_"
"""The array that a derivative has beside the kernel's own."""


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """The boundary of a stencil, and the arrays that it reads ``whole``, not by offsets.

    ``boundary`` says what stands beyond the ends, as in `numpy.pad`: ``value``, where constant.
    With ``rows``, an invocation computes as many elements below each other.
    """

    boundary: str
    value: int | float = 0
    whole: tuple[str, ...] = ()
    rows: int = 0


@dataclass(frozen=True, slots=True)
class Variant:
    """The parts of a launch that change the kernel's code.

    ``workgroup`` is the size of a workgroup, None for the best. With ``wide``, the workgroups of a
    kernel along x are spread over x and y, since there are too many for one axis. ``modes`` says
    how an elementwise kernel reads each array: ``same`` as the result, ``one`` element for all, or
    ``strided``, broadcast over ``rank`` axes. With ``words``, an invocation of one computes as many
    vectors of four elements: no array is strided, and the elements are a multiple of four.
    ``constants`` are the values of parameters that are known when the kernel is compiled, ``types``
    the scalars that type variables stand for. With ``plain``, integers are divided by WGSL's
    operators, whose faults the sanitizer reports, and not by functions that give the same on every
    engine. ``stencil`` says how a stencil reads its arrays; None for other kernels.
    """

    workgroup: tuple[int, int, int] | None = None
    wide: bool = False
    modes: tuple[str, ...] = ()
    rank: int = 1
    constants: tuple[tuple[str, int | float | bool], ...] = ()
    types: tuple[tuple[str, str], ...] = ()
    plain: bool = False
    stencil: Neighbourhood | None = None
    prints: bool = False
    derivative: str = ""
    words: int = 0


@dataclass(frozen=True, slots=True)
class ArrayBinding:
    """An array of a launch: name of the parameter, dtype, axes (0: any), and if it is written.

    ``width`` is the number of scalars in an element that is a vector: the last axis of the buffer.
    ``structure`` names a structure, of which the elements then are. ``as_bits`` tells that floats
    are bound as u32, since WGSL has no atomic floats.
    """

    name: str
    dtype: str
    rank: int
    written: bool
    width: int = 1
    structure: str = ""
    as_bits: bool = False


@dataclass(frozen=True, slots=True)
class Signature:
    """The ``parameters`` of a kernel in order, those that are ``arrays``, and the ``result``.

    The result is that of the elementwise form; None for other kernels.
    """

    parameters: tuple[str, ...]
    arrays: tuple[ArrayBinding, ...]
    result: ArrayBinding | None = None


@dataclass(frozen=True, slots=True)
class Field:
    """A number of the uniform: ``kind`` tells what it is.

    ``argument`` is a parameter, or with a dot a field of one. ``extent`` is the size of a
    parameter's array along ``axis``, ``count`` the number of elements of the result, ``shape`` its
    extent, ``stride`` the step of a parameter's array along an axis of the result, in elements.
    """

    name: str
    kind: str
    parameter: str = ""
    axis: int = 0
    type: str = "u32"


@dataclass(frozen=True, slots=True)
class Covered:
    """An axis of the grid (0 is x) that goes over an axis of an array."""

    grid_axis: int
    array: str
    array_axis: int


@dataclass(frozen=True, slots=True)
class PrintPiece:
    """A part of a line that a kernel prints: a text, or a value.

    A value has ``count`` numbers of a ``type`` (f32, i32, u32, bool); a vector more than one.
    ``form`` is a format specification of Python.
    """

    text: str = ""
    type: str = ""
    count: int = 0
    form: str = ""


@dataclass(frozen=True, slots=True)
class PrintSite:
    """A print(...) of a kernel: the pieces of its lines."""

    pieces: tuple[PrintPiece, ...]

    @property
    def words(self) -> int:
        """The numbers of a line."""
        return sum(piece.count for piece in self.pieces)


@dataclass(frozen=True)
class CompiledKernel:
    """A kernel in WGSL, and how to launch it.

    ``entry`` is the name of the entry point in the WGSL. ``arrays`` are bound at 0, 1, ...;
    ``fields`` make the uniform that follows them, if there are any. ``covered`` are the arrays over
    whose axes the grid goes; ``axes`` the number of axes of the grid that the kernel reads.
    ``positions`` maps the offset of each token that starts a node of the WGSL's syntax tree to its
    place in Python. ``least`` are axes with the extents
    that a stencil needs at least. ``prints`` are the lines that it prints; where there are some, a
    buffer of u32 for them is bound last. ``fits_several`` tells that a variant with ``words``,
    or ``rows`` of a stencil, does the same, and may be quicker.
    """

    name: str
    entry: str
    wgsl: str
    signature: Signature
    arrays: tuple[ArrayBinding, ...]
    fields: tuple[Field, ...]
    workgroup: tuple[int, int, int]
    covered: tuple[Covered, ...]
    axes: int
    features: frozenset[str] = frozenset()
    least: tuple[tuple[int, int], ...] = ()
    prints: tuple[PrintSite, ...] = ()
    positions: Mapping[int, Place] = field(default_factory=dict)
    fits_several: bool = False

    def place_at(self, line: int, column: int) -> Place | None:
        """Return the place in Python of a line and column of the WGSL, both from 1."""
        lines = self.wgsl.splitlines(keepends=True)
        if not 1 <= line <= len(lines):
            return None
        start = sum(len(each) for each in lines[: line - 1])
        return self.place_of(start + max(column, 1) - 1) or self._first_of(
            start, start + len(lines[line - 1])
        )

    def place_of(self, offset: int) -> Place | None:
        """Return the place in Python of what starts at an offset of the WGSL, or shortly before."""
        line_start = self.wgsl.rfind("\n", 0, max(offset, 0)) + 1
        for each in range(offset, line_start - 1, -1):
            if each in self.positions:
                return self.positions[each]
        return None

    def _first_of(self, start: int, stop: int) -> Place | None:
        return next((self.positions[i] for i in range(start, stop) if i in self.positions), None)
