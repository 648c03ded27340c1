"""Warps against `scipy.ndimage` in float64.

A point is computed in f32 from products: it is off by d = 4 x 2^-24 of the sum of their sizes. A
linear interpolation changes by at most the range of the values for each pixel of both axes. A cubic
one changes by 2 x 9 max |x|, since the filter's coefficients are at most 3 max |x| an axis and the
slopes of B-splines sum to less than 2. Where a value jumps (the nearest pixel, the edge of the mode
constant), points within d of the jump are left out.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import scipy.ndimage
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gpucore import ArgumentError, Device, ShapeError, u8
from gpustd import image
from gpustd.launch.variants import force_variant
from tests.draws import draws
from tests.gpustd.image.image_cases import EPS, check, draw, first_axis, largest, pictures, upload

Array = NDArray[Any]
MODES = ("constant", "grid-constant", "nearest", "reflect", "mirror", "grid-wrap")
MATRIX = np.array([[0.83171, 0.31193, -1.37131], [-0.42067, 1.21039, 2.29177]])


def points(matrix: Array, shape: tuple[int, int]) -> tuple[Array, Array]:
    """Return the place of each pixel in the source, (2, height, width), and the error of f32."""
    where = np.stack([*np.indices(shape), np.ones(shape)]).astype(np.float64)
    full = np.vstack([matrix, [0, 0, 1]]) if len(matrix) == 2 else matrix
    there = np.einsum("ij,jhw->ihw", full, where)
    sizes = np.einsum("ij,jhw->ihw", abs(full), where)
    place = there[:2] / there[2]
    error = 4 * EPS * (sizes[:2] / abs(there[2]) + abs(place) * (1 + sizes[2] / abs(there[2])))
    return place, error


def sample(x: Array, place: Array, order: int, mode: str, cval: float) -> Array:
    """Return the values at the points, of each image and channel."""
    full = x.reshape((1,) * (x.ndim < 4) + x.shape + (1,) * (x.ndim == 2)).astype(np.float64)
    if order == 3 and mode == "reflect":
        # SciPy begins this spline with a sum cut short, which is off by 1e-3 where rows are short:
        # here, it runs over periods of two images each, and 32 pixels before and behind.
        extents = full.shape[1:3]
        widths = [(0, 0), *((32, n + 32) for n in extents), (0, 0)]
        full, mode = np.pad(full, widths, "symmetric"), "mirror"
        place = place % (2 * np.array(extents)[:, None, None]) + 32
    planes = [
        [
            scipy.ndimage.map_coordinates(full[n, ..., c], place, order=order, mode=mode, cval=cval)
            for c in range(full.shape[-1])
        ]
        for n in range(len(full))
    ]
    result = np.moveaxis(np.array(planes), 1, -1)
    return result.reshape(
        *x.shape[: max(x.ndim - 3, 0)], *place.shape[1:], *x.shape[2 + (x.ndim == 4) :]
    )


def check_away_from_jumps(
    device: Device,
    name: str,
    result: Array,
    x: Array,
    points: tuple[Array, Array],
    how: tuple[int, str, float],
) -> None:
    """Compare, but for points at a jump. ``how`` is the order, the mode and the constant."""
    place, error = points
    order, mode, cval = how
    exact = sample(x, place, order, mode, cval)
    first = first_axis(x)
    most = largest(x, cval)
    d = float(error.max())
    allowed = {
        0: 0.0,
        1: 2 * d * 2 * most + 12 * EPS * most,
        # 62 taps, 20 roundings of the interpolation; scipy's and our margin of twelve pixels.
        3: 2 * d * 18 * most + 9 * most * (82 * EPS + 2 * 0.268**12),
    }[order]
    extents = np.array(x.shape[first : first + 2])[:, None, None]
    jumps = np.zeros(place.shape[1:], bool)
    if order == 0:
        jumps |= (abs(place + 0.5 - np.rint(place + 0.5)) <= d).any(0)
    if mode == "constant":
        jumps |= (abs(place) <= d).any(0) | (abs(place - extents + 1) <= d).any(0)
    assert jumps.sum() <= 1 + 0.05 * jumps.size
    shape = (1,) * first + jumps.shape + (1,) * (x.ndim - first - 2)
    jumps = np.broadcast_to(jumps.reshape(shape), exact.shape)
    shown = np.where(jumps, 0, result).astype(result.dtype)
    check(device, name, shown, np.where(jumps, 0, exact), allowed)


@st.composite
def matrices(pick: st.DrawFn, *, tilted: bool) -> Array:
    """Draw a matrix (2, 3), or (3, 3) whose third coordinate stays away from 0 over the result.

    Numbers are random, so that no row of points meets a jump. Matrices turn, shear, mirror, shrink
    and enlarge, and lead out of the picture.
    """
    rng = np.random.default_rng(pick(st.integers(0, 2**16)))
    scale = pick(st.sampled_from((0.1, 1.0, 3.0)))
    matrix = np.concatenate([rng.normal(0, scale, (2, 2)), rng.normal(3, 5, (2, 1))], axis=1)
    third = [[*rng.uniform(-0.02, 0.02, 2), rng.uniform(0.9, 1.1)]]
    return np.concatenate([matrix, third]) if tilted else matrix


HOW = st.tuples(
    st.sampled_from((0, 1, 3)), st.sampled_from(MODES), st.sampled_from((0.0, 3.0, -2.5, 300.0))
)
OUTPUT = st.tuples(*[st.sampled_from((1, 5, 8, 13, 16, 0))] * 2)


@given(data=st.data(), x=pictures(), output=OUTPUT, tilted=st.booleans(), how=HOW)
@settings(max_examples=draws(50), deadline=None)
def test_any_picture(
    device: Device,
    data: st.DataObject,
    x: Array,
    output: tuple[int, int],
    tilted: bool,
    how: tuple[int, str, float],
) -> None:
    name = "perspective_transform" if tilted else "affine_transform"
    matrix = data.draw(matrices(tilted=tilted))
    options = dict(zip(("output_shape", "order", "mode", "cval"), (output, *how), strict=True))
    picture = upload(device, x)
    first = first_axis(x)
    shape = (*x.shape[:first], *output, *x.shape[first + 2 :])
    if np.prod(shape) and not x.size:
        with pytest.raises(ShapeError, match="must have elements"):
            getattr(image, name)(picture, matrix, **options)
        return
    result = getattr(image, name)(picture, matrix, **options).read()
    if result.size:
        check_away_from_jumps(device, name, result, x, points(matrix, output), how)
    assert result.shape == shape


@pytest.mark.parametrize(
    ("order", "channels"), [*itertools.product((0, 1), (1, 2, 3, 4)), (3, 3)], ids=str
)
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_whole_pixels(device: Device, dtype: type[Any], order: int, channels: int) -> None:
    """Run the kernel of GPUs in more than one workgroup across and down."""
    x = draw((2, 9, 15, channels), dtype)
    found = points(MATRIX, (11, 36))
    for mode in ("constant", "reflect"):
        with force_variant("warp", "pixel_tiles"):
            result = image.affine_transform(
                upload(device, x), MATRIX, output_shape=(11, 36), order=order, mode=mode, cval=3
            ).read()
        check_away_from_jumps(device, "affine_transform", result, x, found, (order, mode, 3))


def test_affine_is_scipys(device: Device) -> None:
    """Pass matrix and offset apart, with the shape of the image by default."""
    x = draw((9, 12), np.float32)
    exact = scipy.ndimage.affine_transform(
        x.astype(np.float64), MATRIX[:, :2], MATRIX[:, 2], mode="mirror"
    )
    largest = float(np.abs(x).max())
    result = image.affine_transform(
        upload(device, x), MATRIX[:, :2], MATRIX[:, 2].tolist(), mode="mirror"
    ).read()
    check(device, "affine_transform", result, exact, (2 * 4 * 25 * 18 + 9 * 82) * EPS * largest)


@given(
    x=pictures(),
    angle=st.integers(-4000, 4000).map(lambda n: n / 10),
    reshape=st.booleans(),
    order=st.sampled_from((1, 3)),
    mode=st.sampled_from(MODES[1:]),
)
@settings(max_examples=draws(20), deadline=None)
def test_rotate(
    device: Device, x: Array, angle: float, reshape: bool, order: int, mode: str
) -> None:
    """Use modes without a jump, whose splines SciPy has exactly; up to 23 pixels across."""
    if not x.size:
        return
    if order == 3 and mode == "reflect":
        mode = "mirror"
    first = first_axis(x)
    exact = scipy.ndimage.rotate(
        x.astype(np.float64), angle, (first + 1, first), reshape, order=order, mode=mode, cval=3
    )
    result = image.rotate(upload(device, x), angle, reshape, order, mode, 3).read()
    allowed = (2 * 4 * 40 * 18 + 9 * 82) * EPS * largest(x, 3) + 18 * largest(x, 3) * 0.268**12
    check(device, "rotate", result, exact, allowed)


@pytest.mark.parametrize("order", [0, 1, 3])
def test_quarter_turns_keep_every_pixel(device: Device, order: int) -> None:
    x = draw((6, 9, 3), np.uint8)
    for quarters in range(-1, 4):
        result = image.rotate(upload(device, x), 90 * quarters, order=order).read()
        np.testing.assert_array_equal(result, np.rot90(x, quarters))


def test_opencvs_matrix(device: Device) -> None:
    """Shift by 2 along x and 1 along y, as OpenCV writes it, converted as the docstring says."""
    x = draw((5, 6), np.uint8)
    exchange = np.array([[0, 1, 0], [1, 0, 0], [0, 0, 1]])
    forward = np.array([[1, 0, 2], [0, 1, 1], [0, 0, 1]])
    matrix = exchange @ np.linalg.inv(forward) @ exchange
    result = image.perspective_transform(upload(device, x), matrix).read()
    np.testing.assert_array_equal(result, np.pad(x, ((1, 0), (2, 0)))[:5, :6])


def test_diagonal_for_a_matrix(device: Device) -> None:
    picture = upload(device, np.arange(20, dtype=np.uint8).reshape(4, 5))
    short, full = (image.affine_transform(picture, m, 0.5) for m in ([2, 0.5], np.diag([2, 0.5])))
    np.testing.assert_array_equal(short.read(), full.read())


def test_nothing_and_refusals(device: Device) -> None:
    picture = device.buffer(u8, (4, 5))
    assert image.rotate(picture, 45).shape == (6, 6)
    with pytest.raises(ArgumentError, match="affine_transform: matrix must be"):
        image.affine_transform(picture, [1, 2, 3])
    with pytest.raises(ArgumentError, match="offset"):
        image.affine_transform(picture, np.eye(2), offset=(1, 2, 3))
    with pytest.raises(ArgumentError, match=r"order .*2"):
        image.affine_transform(picture, np.eye(2), order=2)
    with pytest.raises(ArgumentError, match=r"mode .*'wrap'"):
        image.rotate(picture, 45, mode="wrap")
    with pytest.raises(ArgumentError, match=r"angle must be .*got nan"):
        image.rotate(picture, float("nan"))
    with pytest.raises(ArgumentError, match=r"must be \(3, 3\)"):
        image.perspective_transform(picture, MATRIX)
