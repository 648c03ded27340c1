"""`ScanKernel`: running folds along an axis, from expressions of WGSL.

Three passes: the fold of each run of 64 elements, a scan of these, and a scan of each run that
starts from what is before it. Elements are combined in their order.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Self

from gpucore import Buffer, DType, ShapeError
from gpucore.integers import ceil_div
from gpustd.arrays.axes import three_extents
from gpustd.arrays.elementwise.conversion import cast
from gpustd.arrays.elementwise.operands import broadcast_strides, number_as
from gpustd.arrays.expressions.folding import FoldTexts, partial_buffer, stored_dtype
from gpustd.arrays.expressions.parameters import COMPUTED
from gpustd.launch.checks import as_int
from gpustd.launch.grid import flat_grid
from gpustd.launch.template import kernel

__all__ = ["ScanKernel"]

_RUN = 64
_WORKGROUP = 64


class _Elements(NamedTuple):
    """Operands seen as (outer, n, inner) of a broadcast shape, with their dtypes."""

    operands: list[Any]
    dtypes: list[type[DType]]
    shape: tuple[int, ...]
    extents: tuple[int, int, int]


class ScanKernel:
    """A function of buffers and numbers that gives the fold of all elements up to each.

    ``inputs`` is a list as in WGSL, ``"x: f32, y: T"``, ``output`` one such parameter. Expressions:
    ``map`` of the inputs (and ``i``, the index along the axis), ``combine`` of ``a`` (what comes
    before) and ``b``, the ``identity`` of that operation, and ``finish`` of ``a``. ``accumulator``
    is the type of ``a`` and ``b``: f32, i32, u32, or a vec2 or vec4 of one; that of the output if
    None.

    The operation must be associative but for rounding; it need not be commutative. Operands
    broadcast as NumPy's. Raises `ArgumentError`, `DTypeError`, `ShapeError`, and
    `KernelCompileError` at the first call.

    >>> decay = gpustd.ScanKernel(  # y[k] = 0.5 y[k - 1] + x[k], as steps (factor, sum)
    ...     "x: f32", "y: f32", map="vec2(0.5, x)", combine="vec2(a.x * b.x, b.x * a.y + b.y)",
    ...     identity="1, 0", finish="a.y", accumulator="vec2<f32>", name="decay",
    ... )
    >>> decay(device.buffer_from_array(np.array([8, 0, 0, 1], np.float32))).read()
    array([8., 4., 2., 2.], dtype=float32)
    """

    def __init__(
        self,
        inputs: str,
        output: str,
        *,
        map: str,  # noqa: A002
        combine: str,
        identity: str,
        finish: str = "a",
        accumulator: str | None = None,
        name: str = "scan kernel",
    ) -> None:
        self.name = name
        others = {"map": map, "identity": identity, "finish": finish}
        self._texts = FoldTexts(name, inputs, output, ("combine", combine), others, accumulator)

    def declare(self, code: str) -> Self:
        """Declare functions of WGSL, which the expressions call; return the kernel."""
        self._texts.declare(code)
        return self

    def __repr__(self) -> str:
        return self._texts.describe("ScanKernel")

    def __call__(
        self, *operands: Any, axis: int | None = None, exclusive: bool = False
    ) -> Buffer[Any]:
        """Return the running fold along an axis, of the flattened array for None.

        ``exclusive`` leaves the element itself out. Raises as the class says.
        """
        given, dtypes, target, device, shape, spec = self._texts.bind(operands)
        result = shape
        extents = (1, -1, 1)
        if axis is not None:
            along = as_int(self.name, "axis", axis)
            if not -len(shape) <= along < len(shape):
                raise ShapeError(f"{self.name}: axis {axis} of {shape}: it has {len(shape)} axes")
            extents = three_extents(shape, along % len(shape), along % len(shape))
        y: Buffer[Any] = device.buffer(stored_dtype(target), shape)
        if axis is None:
            extents, result = (1, y.size, 1), (y.size,)
        if y.size:
            spec["value"] = COMPUTED[stored_dtype(target).name]
            self._scan(_Elements(given, dtypes, shape, extents), y, spec, exclusive=exclusive)
        return cast(y, target).view(result)

    def _scan(self, x: _Elements, y: Buffer[Any], spec: dict[str, Any], *, exclusive: bool) -> None:
        """Record the scan of elements into ``y``."""
        outer, n, inner = x.extents
        chunks = ceil_div(n, _RUN)
        before: Buffer[Any] | None = None
        if chunks > 1:
            totals = partial_buffer(y.device, spec["acc"], (outer, chunks, inner))
            self._launch(x, totals, spec, "totals", chunks)
            before = self._scan_totals(totals, (outer, chunks, inner), spec)
        mode = "exclusive" if exclusive else "inclusive"
        self._launch(x, y, spec, mode, chunks, before)

    def _scan_totals(
        self, totals: Buffer[Any], extents: tuple[int, int, int], spec: dict[str, Any]
    ) -> Buffer[Any]:
        """Return the exclusive scan of what runs come to."""
        y: Buffer[Any] = totals.device.buffer(totals.dtype, totals.shape)
        x = _Elements([totals], [], (), extents)
        self._scan(x, y, spec, exclusive=True)
        return y

    def _launch(
        self,
        x: _Elements,
        y: Buffer[Any],
        spec: dict[str, Any],
        mode: str,
        chunks: int,
        before: Buffer[Any] | None = None,
    ) -> None:
        """Record one pass."""
        outer, n, inner = x.extents
        first = bool(x.dtypes)
        count = outer * chunks * inner
        sizes: dict[str, Any] = {"count": count, "n": n, "inner": inner, "chunks": chunks}
        for axis, extent in enumerate(x.shape):
            sizes[f"extent{axis}"] = extent
        buffers = ""
        for k, each in enumerate(x.operands):
            buffers += "b" if isinstance(each, Buffer) else "n"
            if first and not isinstance(each, Buffer):
                sizes[f"number{k}"] = number_as(self.name, each, x.dtypes[k])
            elif first:
                strides = broadcast_strides(each.shape, x.shape)
                sizes |= {f"stride{k}_{axis}": step for axis, step in enumerate(strides)}
        launch = kernel(
            y.device,
            "arrays/expressions/scan.wgsl",
            **spec,
            kinds=" ".join(dtype.name for dtype in x.dtypes),
            buffers=buffers,
            stored=y.dtype.name,
            rank=len(x.shape),
            run=_RUN,
            mode=mode,
            starts=before is not None,
            first=first,
        )
        launch.wait()
        bound = [each for each in (*x.operands, before, y) if isinstance(each, Buffer)]
        launch(*bound, sizes, grid=flat_grid(count, _WORKGROUP))
