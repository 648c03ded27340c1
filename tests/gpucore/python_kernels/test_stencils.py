"""Stencils in Python, against NumPy's pad in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gpucore import (
    ArgumentError,
    Array,
    Array2,
    Array3,
    Const,
    Device,
    PythonKernelError,
    ShapeError,
    f32,
    gpu_function,
    gpu_kernel,
    i32,
    local_index,
    static_range,
    stencil,
)
from gpucore.kernels import stencils

RNG = np.random.default_rng(26)
BOUNDARIES = ("constant", "edge", "reflect", "symmetric", "wrap")


def padded(x: np.ndarray, boundary: str, by: int, value: float) -> np.ndarray:
    options: dict[str, Any] = {"constant_values": value} if boundary == "constant" else {}
    found: np.ndarray = np.pad(x.astype(np.float64), by, mode=boundary, **options)  # type: ignore[call-overload]
    return found


def made(boundary: str, function: Any) -> Any:
    value = 2.5 if boundary == "constant" else 0
    return stencil(boundary=boundary, value=value)(function)


def uneven(x: Array2[f32], y: Array2[f32], s: f32) -> f32:
    """Return a sum with a weight of its own for each neighbour."""
    if y[0, 0] > 0.5:
        return s * x[0, 0]
    return x[-1, 0] + 2 * x[1, 0] + 3 * x[0, -2] + 4 * x[0, 3] + y[-1, 1]


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("shape", [(0, 3), (4, 5), (37, 70), (257, 4)])
def test_images(device: Device, boundary: str, shape: tuple[int, int]) -> None:
    x, y = (RNG.random(shape, np.float32) for _ in range(2))
    found = made(boundary, uneven)(*(device.buffer_from_array(a) for a in (x, y)), 0.5).read()
    assert found.shape == shape
    if not x.size:
        return

    def at(a: np.ndarray, i: int, j: int) -> np.ndarray:
        wide = padded(a, boundary, 3, 2.5)
        return wide[3 + i : 3 + i + shape[0], 3 + j : 3 + j + shape[1]]

    total = at(x, -1, 0) + 2 * at(x, 1, 0) + 3 * at(x, 0, -2) + 4 * at(x, 0, 3) + at(y, -1, 1)
    np.testing.assert_allclose(found, np.where(y > 0.5, 0.5 * x, total), rtol=1e-6)


def mean_of(x: Array[f32], radius: Const[int]) -> f32:
    """Return the mean of the neighbours."""
    total = 0.0
    for k in static_range(-radius, radius + 1):
        total += x[k]
    return total / f32(2 * radius + 1)


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("size", [5, 6, 1000, 70000])
def test_rows_with_a_radius(device: Device, boundary: str, size: int) -> None:
    x = RNG.random(size, np.float32)
    found = made(boundary, mean_of)(device.buffer_from_array(x), radius=4).read()
    wide = padded(x, boundary, 4, 2.5)
    wanted = sum(wide[k : k + size] for k in range(9)) / 9
    np.testing.assert_allclose(found, wanted, rtol=2e-6)


def far_up(x: Array2[f32], y: Array2[f32], s: f32) -> f32:
    """Read rows above alone, and a column of each side."""
    return x[-3, 0] * s + max(y[0, -1], x[0, 2]) - x[-1, -1]


def line(x: Array[f32], y: Array[f32], s: f32) -> f32:
    """Return a sum with a weight of its own for each neighbour."""
    return x[-2] * s + y[0] * x[1] - 3 * y[3]


def volume(x: Array3[f32], y: Array3[f32], s: f32) -> f32:
    """Return a sum with a weight of its own for each neighbour."""
    if x[0, 0, 0] > y[-1, 0, 1]:
        return s
    return x[1, -1, 0] + 2 * y[0, 2, -2] + 3 * x[-1, 0, 0] + s * y[0, -1, 1]


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize(
    ("function", "shape"),
    [
        (uneven, (5, 4)),
        (uneven, (37, 70)),
        (uneven, (64, 131)),
        (far_up, (4, 5)),
        (far_up, (19, 200)),
        (line, (5,)),
        (line, (3000,)),
        (volume, (3, 4, 5)),
        (volume, (9, 21, 70)),
    ],
)
def test_several_rows_an_invocation_give_the_same_bits(
    device: Device,
    monkeypatch: pytest.MonkeyPatch,
    boundary: str,
    function: Any,
    shape: tuple[int, ...],
) -> None:
    # Products of these are exact: NVRTC fuses some with a sum in one form and not in the other.
    levels = (RNG.integers(-512, 512, shape) for _ in range(2))
    x, y = (device.buffer_from_array((each / 512).astype(np.float32)) for each in levels)
    form = made(boundary, function)
    assert form.compile().fits_several
    expected = form(x, y, 0.5).read()
    monkeypatch.setattr(stencils, "_LEAST_FOR_ROWS", 1)
    found = form(x, y, 0.5).read()
    assert found.tobytes() == expected.tobytes()


@stencil(boundary="edge", workgroup_size=(8, 2))
def nearest(x: Array2[f32], far: i32) -> f32:
    """Read at an offset that the launch gives."""
    return x[0, far]


@stencil(boundary="wrap")
def where_it_is(x: Array2[f32]) -> f32:
    """Know the place of its element."""
    return x[0, 1] + f32(local_index)


@pytest.mark.parametrize("form", [nearest, where_it_is])
def test_what_an_offset_does_not_tell_keeps_one_element_an_invocation(form: Any) -> None:
    assert not form.compile().fits_several


@stencil()
def seven(x: Array3[f32]) -> f32:
    """Return the Laplacian."""
    beside = x[-1, 0, 0] + x[1, 0, 0] + x[0, -1, 0] + x[0, 1, 0] + x[0, 0, -1] + x[0, 0, 1]
    return beside - 6 * x[0, 0, 0]


def test_volumes(device: Device) -> None:
    x = RNG.random((5, 9, 33), np.float32)
    wide = padded(x, "edge", 1, 0)
    inner = slice(1, -1)
    wanted = -6 * wide[inner, inner, inner]
    for axis in range(3):
        wanted += sum(np.roll(wide, k, axis)[inner, inner, inner] for k in (-1, 1))
    np.testing.assert_allclose(seven(device.buffer_from_array(x)).read(), wanted, atol=3e-6)


@gpu_function
def weighted(x: Array2[f32], weights: Array[f32], row: i32) -> f32:
    """Return the weighted sum of a row of neighbours."""
    total = 0.0
    for k in range(3):
        total += weights[k] * x[row, k - 1]
    return f32(total)


@stencil(boundary="constant", value=1, whole=("weights",))
def correlate(x: Array2[f32], weights: Array[f32]) -> f32:
    """Return a correlation with three weights, above and below."""
    return weighted(x, weights, i32(-1)) + weighted(x, weights, i32(1))


def test_whole_arrays_and_offsets_of_a_loop(device: Device) -> None:
    x, weights = RNG.random((8, 40), np.float32), np.array([0.5, 2, -1], np.float32)
    found = correlate(device.buffer_from_array(x), device.buffer_from_array(weights)).read()
    wide = padded(x, "constant", 1, 1.0)
    rows = np.sum([float(w) * wide[:, k : k + 40] for k, w in enumerate(weights)], axis=0)
    np.testing.assert_allclose(found, rows[:-2] + rows[2:], rtol=1e-5, atol=1e-6)


@gpu_kernel
def scale_(x_: Array[f32]) -> Array[f32]:
    """Double; the names end as those of WGSL may not go on."""
    return 2 * x_


@gpu_kernel
def fill_(x_: Array[f32]) -> None:
    """Write an extent."""
    for i in range(len(x_)):
        x_[i] = f32(len(x_))


def test_names_that_end_with_a_line(device: Device) -> None:
    x = device.buffer_from_array(np.ones(3, np.float32))
    fill_[1](x)
    np.testing.assert_array_equal(scale_(x).read(), [6, 6, 6])


def loops(x: Array[f32], n: i32) -> f32:
    """Take an offset that is not known."""
    return x[n]


def writes(x: Array[f32]) -> f32:
    """Write to a neighbour."""
    x[0] = 1.0
    return x[1]


def no_result(x: Array[f32]) -> None:
    """Return nothing."""


def other_axes(x: Array2[f32], y: Array[f32]) -> f32:
    """Have arrays of two kinds."""
    return x[0, 0] + y[0]


def unsigned_offset(x: Array[f32]) -> f32:
    """Take an offset without a sign."""
    return x[len(x)]


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (writes, "a stencil reads x only"),
        (no_result, "must return one element of the result, as in -> f32"),
        (other_axes, "y must have 2 axes as those before it, got 1"),
        (unsigned_offset, "an offset must be i32, got u32"),
    ],
)
def test_wrong_stencils(function: Any, message: str) -> None:
    with pytest.raises(PythonKernelError, match=message):
        stencil()(function).compile()


def test_wrong_use() -> None:
    device = Device.null()
    x, y = device.buffer(f32, (4, 5)), device.buffer(f32, (5, 4))
    with pytest.raises(PythonKernelError, match="must be known before the launch with the bound"):
        stencil(boundary="reflect")(loops).compile()
    with pytest.raises(ShapeError, match=r"y must have the shape \(4, 5\) of x, got \(5, 4\)"):
        stencil()(uneven)(x, y, 1.0)
    with pytest.raises(ShapeError, match="axis 0 must have at least 5 elements"):
        stencil(boundary="reflect")(mean_of)(device.buffer(f32, 4), 4)
    with pytest.raises(PythonKernelError, match="whole names z, but the arrays of uneven are: x, "):
        stencil(whole=("z",))(uneven).compile()
    with pytest.raises(PythonKernelError, match="no array that is read by offsets"):
        stencil(whole=("x",))(loops)(device.buffer(f32, 4), 1)
    with pytest.raises(ArgumentError, match="its grid follows from its arrays"):
        stencil()(mean_of)[4](device.buffer(f32, 9), 1)
    with pytest.raises(ArgumentError, match="boundary must be one of constant, edge"):
        stencil(boundary="nearest")
    with pytest.raises(ArgumentError, match="value is for the boundary constant alone"):
        stencil(value=1)
    with pytest.raises(ArgumentError, match="whole must be names in a tuple"):
        stencil(whole="x")
