"""`ReductionKernel`: folds over axes, from expressions of WGSL.

A run of the axes gives one number, then runs of these do, until one is left. Where the last axis is
reduced, the lanes of a workgroup read a run side by side and meet in a tree; else one invocation
folds a run in order. The variant and the lengths of runs follow from the axes alone, so that a
result has the same bits in any batch, and on any device that rounds alike.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Self

from gpucore import Buffer, Device, DType, ShapeError
from gpucore.integers import ceil_div
from gpustd.arrays.axes import Axes
from gpustd.arrays.elementwise.conversion import cast
from gpustd.arrays.elementwise.operands import broadcast_strides, number_as
from gpustd.arrays.expressions.folding import FoldTexts, partial_buffer, stored_dtype
from gpustd.arrays.expressions.parameters import COMPUTED
from gpustd.launch.checks import as_int
from gpustd.launch.grid import flat_grid
from gpustd.launch.template import kernel

__all__ = ["ReductionKernel"]

_LANES = 128
_WORKGROUP = 64
# Elements of a run: of a workgroup's lanes together, and of one invocation.
_ROW_RUN = 4096
_COLUMN_RUN = 256
_SHORT_ROW = 128


class ReductionKernel:
    """A function of buffers and numbers that folds axes by an operation of the caller's.

    ``inputs`` is a list as in WGSL, ``"x: f32, y: T"``, ``output`` one such parameter. Expressions:
    ``map`` of the inputs (and ``i``, the index along the reduced axes), ``reduce`` of ``a`` and
    ``b``, the ``identity`` of that operation, and ``finish`` of ``a`` and of the count ``n``.
    ``accumulator`` is the type of ``a`` and ``b``: f32, i32, u32, or a vec2 or vec4 of one; that of
    the output if None.

    The operation must be associative and commutative but for rounding. Operands broadcast as
    NumPy's. f16 is computed as f32, i8 as i32, u8 as u32, c64 as ``vec2<f32>``. ``name`` stands in
    errors and profiles. Raises `ArgumentError`, `DTypeError`, `ShapeError`, and
    `KernelCompileError` at the first call.

    >>> norm = gpustd.ReductionKernel(
    ...     "x: T", "y: T", map="x * x", reduce="a + b", identity="0", finish="sqrt(a)", name="norm"
    ... )
    >>> x = device.buffer_from_array(np.array([[3, 4], [6, 8]], np.float32))
    >>> norm(x, axis=1).read()
    array([ 5., 10.], dtype=float32)
    """

    def __init__(
        self,
        inputs: str,
        output: str,
        *,
        map: str,  # noqa: A002
        reduce: str,
        identity: str,
        finish: str = "a",
        accumulator: str | None = None,
        name: str = "reduction kernel",
    ) -> None:
        self.name = name
        others = {"map": map, "identity": identity, "finish": finish}
        self._texts = FoldTexts(name, inputs, output, ("reduce", reduce), others, accumulator)

    def declare(self, code: str) -> Self:
        """Declare functions of WGSL, which the expressions call; return the kernel."""
        self._texts.declare(code)
        return self

    def __repr__(self) -> str:
        return self._texts.describe("ReductionKernel")

    def __call__(self, *operands: Any, axis: Axes = None, keepdims: bool = False) -> Buffer[Any]:
        """Return the fold over an axis, several, or all for None. Raises as the class says."""
        given, dtypes, target, device, shape, spec = self._texts.bind(operands)
        axes = _axes_within(self.name, axis, shape)
        plan = _FoldPlan.of(shape, axes)
        found = self._fold(device, given, dtypes, target, plan, spec)
        kept = (1 if a in axes else n for a, n in enumerate(shape) if keepdims or a not in axes)
        return found.view(tuple(kept))

    def _fold(
        self,
        device: Device,
        given: list[Any],
        dtypes: list[type[DType]],
        target: type[DType],
        plan: _FoldPlan,
        spec: dict[str, Any],
    ) -> Buffer[Any]:
        """Record the passes; the last one finishes."""
        stored = stored_dtype(target)
        count, n, first = plan.results, plan.n, True
        operands, kinds = given, dtypes
        while True:
            rows = plan.rows and n >= _SHORT_ROW
            run = _ROW_RUN if rows else _COLUMN_RUN
            chunks = max(1, ceil_div(n, run))
            last = chunks == 1
            y = (
                device.buffer(stored, count)
                if last
                else partial_buffer(device, spec["acc"], (count, chunks))
            )
            if not y.size:
                return cast(y, target)
            strides = plan.strides_of(operands) if first else []
            sizes: dict[str, Any] = {"count": count * chunks, "n": n, "whole": plan.n}
            sizes |= {"run": run, "chunks": chunks}
            sizes |= plan.sizes(strides) if first else {}
            for k, each in enumerate(operands if first else []):
                if not isinstance(each, Buffer):
                    sizes[f"number{k}"] = number_as(self.name, each, kinds[k])
            launch = kernel(
                device,
                "arrays/expressions/reduction.wgsl",
                **spec,
                kinds=" ".join(dtype.name for dtype in kinds),
                buffers="".join("b" if isinstance(each, Buffer) else "n" for each in given),
                stored=stored.name,
                value=COMPUTED[stored.name],
                kept=len(plan.kept),
                reduced=len(plan.reduced),
                rows=rows,
                lanes=_LANES if rows else _WORKGROUP,
                first=first,
                last=last,
            )
            launch.wait()
            bound = [each for each in operands if isinstance(each, Buffer)]
            grid = flat_grid(count * chunks, 1 if rows else _WORKGROUP)
            launch(*bound, y, sizes, grid=grid)
            if last:
                return cast(y, target)
            operands, n, first = [y], chunks, False


@dataclass(frozen=True)
class _FoldPlan:
    """Axes that stay and axes that are reduced, of a broadcast shape."""

    shape: tuple[int, ...]
    kept: list[int]
    reduced: list[int]
    rows: bool

    @classmethod
    def of(cls, shape: tuple[int, ...], axes: tuple[int, ...]) -> _FoldPlan:
        """Return the plan; ``rows`` where the last axis of more than one element is reduced."""
        long = [a for a, n in enumerate(shape) if n > 1]
        kept = [a for a in range(len(shape)) if a not in axes]
        return cls(shape, kept, list(axes), bool(long) and long[-1] in axes)

    @property
    def results(self) -> int:
        """The number of results."""
        return math.prod(self.shape[a] for a in self.kept)

    @property
    def n(self) -> int:
        """The number of elements of each result."""
        return math.prod(self.shape[a] for a in self.reduced)

    def strides_of(self, operands: list[Any]) -> list[list[int]]:
        """Return each operand's strides along the axes of the shape; [] of a number."""
        return [
            broadcast_strides(each.shape, self.shape) if isinstance(each, Buffer) else []
            for each in operands
        ]

    def sizes(self, strides: list[list[int]]) -> dict[str, int]:
        """Return the uniform's fields for the axes and the operands' strides along them."""
        sizes: dict[str, int] = {}
        for group, axes in (("kept", self.kept), ("reduced", self.reduced)):
            sizes |= {f"{group}{i}": self.shape[a] for i, a in enumerate(axes)}
            for k, each in enumerate(strides):
                if each:
                    sizes |= {f"{group}{i}_{k}": each[a] for i, a in enumerate(axes)}
        return sizes


def _axes_within(op: str, axis: Axes, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the axes in rising order, all for None. Raises `ShapeError`, `ArgumentError`."""
    if axis is None:
        return tuple(range(len(shape)))
    rank = len(shape)
    named = [as_int(op, "axis", a) for a in (axis if isinstance(axis, (list, tuple)) else [axis])]
    if any(not -rank <= a < rank for a in named):
        raise ShapeError(f"{op}: axis {axis} of {shape}: it has {rank} axes")
    found = sorted({a % rank for a in named})
    if len(found) != len(named):
        raise ShapeError(f"{op}: axes must differ, got {tuple(named)} for {shape}")
    return tuple(found)
