"""`stencil`: each element of the result from the neighbours of an element, in Python.

Indices of the arrays are offsets, as in Numba's stencils: ``x[-1, 0]`` is the element above. What
stands beyond the ends has the names of `numpy.pad`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

from gpucore.arguments.grids import Grid, Groups
from gpucore.compiler import CompiledKernel, Variant
from gpucore.compiler.compiled import ArrayBinding, Neighbourhood
from gpucore.device import Device
from gpucore.errors import ArgumentError, ShapeError
from gpucore.integers import ceil_div
from gpucore.kernels.launching import covering_groups, element_shape, result_buffer, spread
from gpucore.kernels.python_kernel import GpuKernel

__all__ = ["GpuStencil", "stencil"]

_ROWS: Final = 4
_LEAST_FOR_ROWS: Final = 1 << 16
_BOUNDARIES: Final = ("constant", "edge", "reflect", "symmetric", "wrap")


class GpuStencil(GpuKernel[Any, Any]):
    """A stencil made of a Python function by `stencil`; a call returns a new buffer."""

    def __init__(
        self, function: Callable[..., object], form: Neighbourhood, workgroup_size: Grid | None
    ) -> None:
        super().__init__(function, workgroup_size)
        self._form = form

    def __repr__(self) -> str:
        return f"GpuStencil({self.__name__}, {self._form.boundary})"

    def _default_variant(self) -> Variant:
        return replace(super()._default_variant(), stencil=self._form)

    def _launch_form(
        self, device: Device, grid: Grid | None, variant: Variant, call: dict[str, Any]
    ) -> Any:
        """Allocate the result and record a launch over its elements."""
        self._require_no_grid(grid)
        compiled = self.compile(variant)
        signature = compiled.signature
        assert signature.result is not None
        near = [each for each in signature.arrays if each.name not in self._form.whole]
        shape = self._shape(compiled, near, call)
        made = result_buffer(device, signature.result, shape)
        if made.size:
            given = {**call, signature.result.name: made}
            rows = 1
            if compiled.fits_several and made.size >= _LEAST_FOR_ROWS:
                rows = _ROWS
                variant = replace(variant, stencil=replace(self._form, rows=rows))
                compiled = self.compile(variant)
            groups = _groups_of_rows(covering_groups(compiled, given), len(shape), rows)
            if (wide := spread(device, groups)) is not None:
                variant, groups = replace(variant, wide=True), wide
            self._record(device, variant, given, groups, shape)
        return made

    def _shape(
        self, compiled: CompiledKernel, near: Sequence[ArrayBinding], call: dict[str, Any]
    ) -> tuple[int, ...]:
        """Return the shape of all arrays that are read by offsets. Raises `ShapeError`."""
        shape = element_shape(near[0], call)
        for each in near[1:]:
            if element_shape(each, call) != shape:
                raise ShapeError(
                    f"stencil {self.__name__}: {each.name} must have the shape {shape} of "
                    f"{near[0].name}, got {element_shape(each, call)}"
                )
        least = dict(compiled.least)
        for axis, extent in enumerate(shape):
            if math.prod(shape) and extent < least.get(axis, 1):
                raise ShapeError(
                    f"stencil {self.__name__}: axis {axis} must have at least {least[axis]} "
                    f"elements for its offsets with the boundary {self._form.boundary}, got "
                    f"{shape}; take edge or constant"
                )
        return shape


def _groups_of_rows(groups: Groups, rank: int, rows: int) -> Groups:
    """Return the workgroups that are left where an invocation computes several rows."""
    x, y, z = groups
    return (x, ceil_div(y, rows), z) if rank > 1 else (ceil_div(x, rows), y, z)


def stencil(
    *,
    boundary: str = "edge",
    value: float = 0,
    whole: Sequence[str] = (),
    workgroup_size: Grid | None = None,
) -> Callable[[Callable[..., object]], GpuStencil]:
    """Make a stencil of a function that returns an element, of arrays of 1 to 3 axes.

    ``x[0, -1]`` is the element to the left of the own one. ``boundary`` says what stands beyond the
    ends, as in `numpy.pad`: edge, wrap, reflect, symmetric, or constant with its ``value``. Arrays
    named in ``whole`` are indexed as in other kernels. Raises `ArgumentError`; a call raises
    `PythonKernelError`, and `ShapeError` for arrays of several shapes.

    >>> import numpy as np
    >>> from gpucore import Array, Device, f32, stencil
    >>> @stencil(boundary="wrap")
    ... def slope(x: Array[f32]) -> f32:
    ...     return (x[1] - x[-1]) / 2
    >>> slope(Device.null().buffer(f32, 5)).shape
    (5,)
    """
    if boundary not in _BOUNDARIES:
        raise ArgumentError(f"boundary must be one of {', '.join(_BOUNDARIES)}, got {boundary!r}")
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ArgumentError(f"value must be a number, got {value!r}")
    if boundary != "constant" and value != 0:
        raise ArgumentError(
            f"value is for the boundary constant alone, got {value!r}: leave it out"
        )
    if isinstance(whole, str):
        raise ArgumentError(f"whole must be names in a tuple, got {whole!r}: write ({whole!r},)")
    form = Neighbourhood(boundary, value, tuple(whole))
    return lambda function: GpuStencil(function, form, workgroup_size)
