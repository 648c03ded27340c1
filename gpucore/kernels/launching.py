"""The numbers of a launch: its grid, and the values of its uniform."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from gpucore.arguments.grids import Groups
from gpucore.buffer import Buffer
from gpucore.compiler.compiled import ArrayBinding, CompiledKernel, Field
from gpucore.device import Device
from gpucore.dtypes import DTYPES
from gpucore.errors import ArgumentError, ShapeError
from gpucore.integers import ceil_div
from gpucore.kernels.binding import Call
from gpucore.wgsl.values import limits

__all__ = [
    "broadcast_modes",
    "broadcast_shape",
    "covering_groups",
    "element_shape",
    "fits_shape",
    "result_buffer",
    "spread",
    "uniform_values",
    "words_of_invocation",
]

_LEAST_FOR_VECTORS = 1 << 16
_WORDS_FOR_SEVERAL = 1 << 20
_GROUP_LIMIT = "max_compute_workgroups_per_dimension"
_Shape = tuple[int, ...]


def covering_groups(compiled: CompiledKernel, call: Call) -> Groups:
    """Return the workgroups that cover the arrays that `global_id` indexes.

    Raises `ArgumentError` where no array tells the size of an axis.
    """
    known = {each.grid_axis for each in compiled.covered}
    if not known or known != set(range(compiled.axes)):
        raise ArgumentError(
            f"kernel {compiled.name}: no array tells the size of the grid, since none is indexed "
            "with each component of global_id: give the number of workgroups, as in "
            f"{compiled.name}[grid](...)"
        )
    sizes = [1, 1, 1]
    for axis in known:
        extents = [
            call[c.array].shape[c.array_axis] for c in compiled.covered if c.grid_axis == axis
        ]
        sizes[axis] = ceil_div(max(extents), compiled.workgroup[axis])
    x, y, z = sizes
    return x, y, z


def spread(device: Device, groups: Groups) -> Groups | None:
    """Return workgroups along x and y, where x alone has too many; None where it has not."""
    limit = device.limits.get(_GROUP_LIMIT, 65535)
    if groups[1:] != (1, 1) or groups[0] <= limit:
        return None
    rows = ceil_div(groups[0], limit)
    return ceil_div(groups[0], rows), rows, 1


def element_shape(array: ArrayBinding, call: Call) -> _Shape:
    """Return the shape of an array's elements: a vector is one."""
    shape: _Shape = call[array.name].shape
    return shape[:-1] if array.width > 1 else shape


def broadcast_shape(kernel: str, arrays: Sequence[ArrayBinding], call: Call) -> _Shape:
    """Return the shape of an elementwise result. Raises `ShapeError`."""
    shapes = [element_shape(each, call) for each in arrays]
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        given = ", ".join(f"{a.name} {s}" for a, s in zip(arrays, shapes, strict=True))
        raise ShapeError(
            f"kernel {kernel}: the shapes {given} do not broadcast; from the right, sizes must be "
            "equal or 1"
        ) from None


def words_of_invocation(
    device: Device, compiled: CompiledKernel, modes: Sequence[str], count: int
) -> int:
    """Return the vectors of four elements that an invocation computes; 0 for one element.

    Few elements stay single, so that a kernel for small arrays is compiled once. Large arrays on a
    GPU take two or four vectors an invocation, as gpustd's kernels do.
    """
    if not compiled.fits_several or "strided" in modes or count % 4 or count < _LEAST_FOR_VECTORS:
        return 0
    if device.is_cpu or count // 4 < _WORDS_FOR_SEVERAL:
        return 1
    return 4 if len(compiled.arrays) <= 3 else 2


def fits_shape(given: _Shape, shape: _Shape) -> bool:
    """Tell whether an array is broadcast to a shape, and does not make it greater."""
    try:
        return np.broadcast_shapes(given, shape) == shape
    except ValueError:
        return False


def broadcast_modes(arrays: Sequence[ArrayBinding], call: Call, shape: _Shape) -> tuple[str, ...]:
    """Return how each array of an elementwise kernel is read, and that of its result."""
    return (*(_mode(element_shape(each, call), shape) for each in arrays), "same")


def result_buffer(device: Device, result: ArrayBinding, shape: _Shape) -> Buffer[Any]:
    """Return a new buffer for the elements of a result: vectors have an axis of their own."""
    width = (result.width,) if result.width > 1 else ()
    return device.buffer(DTYPES[result.dtype], (*shape, *width))


def _mode(given: _Shape, shape: _Shape) -> str:
    if math.prod(given) == math.prod(shape):
        return "same"
    return "one" if math.prod(given) == 1 else "strided"


def uniform_values(compiled: CompiledKernel, call: Call, shape: _Shape) -> dict[str, Any]:
    """Return the members of the uniform; ``shape`` is that of an elementwise result."""
    return {each.name: _value(compiled, each, call, shape) for each in compiled.fields}


def _value(compiled: CompiledKernel, field: Field, call: Call, shape: _Shape) -> Any:
    match field.kind:
        case "extent":
            return call[field.parameter].shape[field.axis]
        case "count":
            return math.prod(shape)
        case "shape":
            return shape[field.axis]
        case "stride":
            array = next(each for each in compiled.arrays if each.name == field.parameter)
            return _stride(element_shape(array, call), len(shape), field.axis)
        case _:
            return _argument(compiled.name, field, call)


def _argument(kernel: str, field: Field, call: Call) -> Any:
    """Return the value of a parameter, or of a field of a dataclass. Raises `ArgumentError`."""
    name, *path = field.parameter.split(".")
    value = call[name]
    for each in path:
        if not hasattr(value, each):
            raise ArgumentError(
                f"kernel {kernel}: {name} must be a dataclass with the field {each}, got {value!r}"
            )
        value = getattr(value, each)
    if field.type.startswith("mat"):
        return _columns(kernel, field, value)
    if " " in field.type:
        return np.asarray(value).ravel().tolist()
    return _number(kernel, field, value)


def _columns(kernel: str, field: Field, value: Any) -> list[float]:
    """Return the numbers of a matrix column by column, as WGSL has them; NumPy has rows.

    Raises `ArgumentError` for another shape.
    """
    matrix = np.asarray(value)
    shape = int(field.type[5]), int(field.type[3])
    if matrix.shape != shape:
        raise ArgumentError(
            f"kernel {kernel}: {field.parameter} must be a matrix of {shape[0]} rows and "
            f"{shape[1]} columns ({field.type.split()[0]}), got shape {matrix.shape}"
        )
    return [float(each) for each in matrix.T.ravel()]


def _stride(given: _Shape, rank: int, axis: int) -> int:
    """Return the elements from one to the next along an axis of the result; 0 where it repeats."""
    own = axis - (rank - len(given))
    if own < 0 or given[own] == 1:
        return 0
    return math.prod(given[own + 1 :])


def _number(kernel: str, field: Field, value: Any) -> int | float:
    """Return a number for a parameter. Raises `ArgumentError` for anything else."""
    integral = isinstance(value, int | np.integer | np.bool_)
    if field.type == "f32" and (integral or isinstance(value, float | np.floating)):
        return float(value)
    if integral:
        low, high = limits(field.type)
        if not low <= value <= high:
            raise ArgumentError(
                f"kernel {kernel}: {field.parameter} must be from {low} to {high} ({field.type}), "
                f"got {value!r}"
            )
        return int(value)
    wanted = "a number" if field.type == "f32" else f"an integer ({field.type})"
    raise ArgumentError(f"kernel {kernel}: {field.parameter} must be {wanted}, got {value!r}")
