"""`ReductionKernel`: folds over axes, from expressions of WGSL.

A run of the axes gives one number, then runs of these do, until one is left. Where the last axis is
reduced, the lanes of a workgroup read a run side by side and meet in a tree; else one invocation
folds a run in order. The variant and the lengths of runs follow from the axes alone, so that a
result has the same bits in any batch, and on any device that rounds alike.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from gpucore import ArgumentError, Buffer, DType, ShapeError, f32, i8, i32, u8, u32
from gpucore.dtypes import DTYPES
from gpucore.integers import ceil_div
from gpustd.arrays.axes import Axes
from gpustd.arrays.elementwise.conversion import cast
from gpustd.arrays.elementwise.operands import (
    broadcast_shape,
    broadcast_strides,
    number_as,
)
from gpustd.arrays.expressions.parameters import (
    COMPUTED,
    as_operands,
    bind_types,
    dtype_of_parameter,
    parse_parameters,
    require_text,
    type_aliases,
)
from gpustd.launch.checks import as_int
from gpustd.launch.grid import flat_grid
from gpustd.launch.template import kernel

__all__ = ["ReductionKernel", "accumulator_type", "partial_buffer", "stored_dtype"]

_LANES = 128
_WORKGROUP = 64
# Elements of a run: of a workgroup's lanes together, and of one invocation.
_ROW_RUN = 4096
_COLUMN_RUN = 256
_SHORT_ROW = 128

_ACCUMULATORS = {
    f"{prefix}{scalar}{suffix}": (scalar, width)
    for scalar in ("f32", "i32", "u32")
    for prefix, suffix, width in (("", "", 1), ("vec2<", ">", 2), ("vec4<", ">", 4))
}


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
        self._inputs = parse_parameters(name, inputs)
        outputs = parse_parameters(name, output)
        if len(outputs) != 1 or not self._inputs:
            raise ArgumentError(f"{name}: there must be inputs and one output, got {output!r}")
        self._output = outputs[0]
        self._accumulator = accumulator
        accumulator_type(name, accumulator, f32)
        self._texts = {
            "map": require_text(name, "map", map),
            "reduce": require_text(name, "reduce", reduce),
            "identity": require_text(name, "identity", identity),
            "finish": require_text(name, "finish", finish),
        }

    def __repr__(self) -> str:
        inputs = ", ".join(each.name for each in self._inputs)
        return f"ReductionKernel({self.name}: {inputs})"

    def __call__(self, *operands: Any, axis: Axes = None, keepdims: bool = False) -> Buffer[Any]:
        """Return the fold over an axis, several, or all for None. Raises as the class says."""
        given = as_operands(self.name, self._inputs, operands)
        types = bind_types(self.name, self._inputs, given)
        device = next(each.device for each in given if isinstance(each, Buffer))
        dtypes = [dtype_of_parameter(self.name, each, types, device) for each in self._inputs]
        target = dtype_of_parameter(self.name, self._output, types, device)
        shape = broadcast_shape(self.name, [e.shape for e in given if isinstance(e, Buffer)])
        axes = _axes_within(self.name, axis, shape)
        plan = _FoldPlan.of(shape, axes)
        spec = {
            **self._texts,
            "acc": accumulator_type(self.name, self._accumulator, target),
            "aliases": type_aliases(types),
            "label": self.name,
        }
        found = self._fold(given, dtypes, target, plan, spec)
        kept = (1 if a in axes else n for a, n in enumerate(shape) if keepdims or a not in axes)
        return found.view(tuple(kept))

    def _fold(
        self,
        given: list[Any],
        dtypes: list[type[DType]],
        target: type[DType],
        plan: _FoldPlan,
        spec: dict[str, Any],
    ) -> Buffer[Any]:
        """Record the passes; the last one finishes."""
        device = next(each.device for each in given if isinstance(each, Buffer))
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
                names=" ".join(each.name for each in self._inputs),
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


def accumulator_type(op: str, given: str | None, target: type[DType]) -> str:
    """Return the WGSL type that a fold or scan combines in. Raises `ArgumentError`."""
    if given is None:
        return COMPUTED[target.name]
    found = given.replace(" ", "").replace("vec2f", "vec2<f32>").replace("vec4f", "vec4<f32>")
    if found not in _ACCUMULATORS:
        listed = ", ".join(_ACCUMULATORS)
        raise ArgumentError(f"{op}: accumulator must be one of {listed}, got {given!r}")
    return found


def partial_buffer(device: Any, acc: str, shape: tuple[int, ...]) -> Buffer[Any]:
    """Return a buffer for numbers of an accumulator's type, with its parts as the last axis."""
    scalar, width = _ACCUMULATORS[acc]
    made: Buffer[Any] = device.buffer(DTYPES[scalar], (*shape, width))
    return made


def stored_dtype(target: type[DType]) -> type[DType]:
    """Return the dtype that a kernel writes element by element: no bytes."""
    others: dict[type[DType], type[DType]] = {i8: i32, u8: u32}
    return others.get(target, target)
