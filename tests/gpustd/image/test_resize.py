"""Resizing against float64 sums of our own and against Pillow.

An axis of K taps is off by at most (K + 2) 2^-24 sum |w x| in f32, and sum |w| is at most 1.5 for
the methods here; the second axis carries the error of the first.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from gpucore import ArgumentError, Device, ShapeError, f32, u8
from gpustd import image
from gpustd.image.resampling import fused_axes
from gpustd.image.resampling.resizing import Method
from gpustd.launch.template import kernel
from gpustd.launch.variants import force_variant
from tests.draws import draws
from tests.gpustd.image.image_cases import (
    DTYPES,
    EPS,
    check,
    draw,
    first_axis,
    largest,
    pictures,
    upload,
)

Array = NDArray[Any]
PILLOW = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
SIZES = ((5, 9), (31, 37), (12, 8), (3, 40))


def cubic(x: float, a: float) -> float:
    x = abs(x)
    if x < 1:
        return (a + 2) * x**3 - (a + 3) * x**2 + 1
    return a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a if x < 2 else 0.0


def filter_value(method: str, x: float, antialias: bool) -> float:
    if method == "bilinear":
        return max(1 - abs(x), 0.0)
    if method == "bicubic":
        return cubic(x, -0.5 if antialias else -0.75)
    return float(np.sinc(x) * np.sinc(x / 3)) if abs(x) < 3 else 0.0


def weight_matrix(method: str, source: int, target: int, antialias: bool) -> Array:
    """Return weights (target, source), written independently: whole sums over all source pixels."""
    full = np.zeros((target, source))
    scale = source / target
    for p in range(target):
        if method == "area":
            for q in range(source):
                full[p, q] = max(0.0, min(q + 1, (p + 1) * scale) - max(q, p * scale))
        elif antialias:
            for q in range(source):
                full[p, q] = filter_value(
                    method, (q + 0.5 - (p + 0.5) * scale) / max(scale, 1), True
                )
        else:
            for q in range(-4, source + 4):
                weight = filter_value(method, q - ((p + 0.5) * scale - 0.5), False)
                full[p, min(max(q, 0), source - 1)] += weight
    return full / full.sum(axis=1, keepdims=True)


EXTENTS = st.sampled_from((1, 2, 5, 8, 13, 31, 40, 0))


@given(
    x=pictures(),
    size=st.tuples(EXTENTS, EXTENTS),
    method=st.sampled_from(("bilinear", "bicubic", "lanczos", "area")),
    antialias=st.booleans(),
)
@settings(max_examples=draws(40), deadline=None)
def test_is_the_sum(
    device: Device, x: Array, size: tuple[int, int], method: Method, antialias: bool
) -> None:
    """The height's weights and the width's apply; levels are rounded once, or twice as Pillow."""
    first = first_axis(x)
    source = x.shape[first : first + 2]
    shape = (*x.shape[:first], *size, *x.shape[first + 2 :])
    if not (x.size and np.prod(shape)):
        check_empty(device, x, size, shape, method)
        return
    down, across = (
        weight_matrix(method, n, m, antialias) for n, m in zip(source, size, strict=True)
    )
    most_down, most_across = (float(np.abs(m).sum(axis=1).max()) for m in (down, across))
    taps = sum(int(np.count_nonzero(m, axis=1).max()) + 4 for m in (down, across))
    error = taps * EPS * most_down * most_across * largest(x)
    middle = np.moveaxis(np.moveaxis(x.astype(np.float64), first + 1, -1) @ across.T, -1, first + 1)
    if x.dtype == np.uint8 and antialias and method != "area" and source[1] != size[1]:
        middle = np.clip(middle, 0, 255)
        error += most_down * (0.5 + error) * (source[0] != size[0])
    exact = np.moveaxis(np.moveaxis(middle, first, -1) @ down.T, -1, first)
    result = image.resize(upload(device, x), size, method, antialias).read()
    check(device, "resize", result, exact, error)


def check_empty(
    device: Device, x: Array, size: tuple[int, int], shape: tuple[int, ...], method: Method
) -> None:
    """Check that empty targets are empty, and that empty sources stay so."""
    if np.prod(shape):
        with pytest.raises(ShapeError, match="must have elements"):
            image.resize(upload(device, x), size, method)
    else:
        assert image.resize(upload(device, x), size, method).read().shape == shape


@pytest.mark.parametrize("method", list(PILLOW))
@pytest.mark.parametrize("channels", [1, 3])
def test_u8_is_pillows_within_a_level(device: Device, channels: int, method: Method) -> None:
    """A tie may differ by a level: Pillow's weights are rounded to 22 bits, ours to 24.

    Pillow gets one axis at a time, since version 13 chooses which goes first.
    """
    x = draw((12, 16, channels), np.uint8)
    for size in SIZES:
        each = [
            Image.fromarray(x[..., c])
            .resize((size[1], len(x)), PILLOW[method])
            .resize(size[::-1], PILLOW[method])
            for c in range(channels)
        ]
        expected = np.stack([np.asarray(e) for e in each], axis=-1).astype(int)
        result = image.resize(upload(device, x), size, method).read().astype(int)
        assert np.abs(result - expected).max() <= 1


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", DTYPES)
def test_whole_pixels(device: Device, dtype: type[Any], channels: int) -> None:
    """Run the kernel of GPUs over more than a workgroup, with taps that are no multiple of four."""
    x = draw((2, 11, 13, channels), dtype)
    for method, width in (("bicubic", 36), ("area", 4)):
        across = weight_matrix(method, 13, width, False)
        exact = np.einsum("nhwc,qw->nhqc", x.astype(np.float64), across)
        with force_variant("resize", "pixel_tiles"):
            result = image.resize(upload(device, x), (11, width), method, antialias=False).read()
        check(device, "resize", result, exact, 1.5 * 9 * EPS * np.abs(x).max())


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize(
    ("source", "size"), [((11, 24), (6, 12)), ((9, 16), (5, 40)), ((37, 8), (7, 4))], ids=str
)
def test_u8_by_groups_of_four(
    device: Device, source: tuple[int, int], size: tuple[int, int], channels: int
) -> None:
    """Run the kernels of GPUs, with windows and groups of four that reach beyond the image."""
    x = draw((2, *source, channels), np.uint8)
    for method in ("bicubic", "area"):
        down, across = (
            weight_matrix(method, n, m, False) for n, m in zip(source, size, strict=True)
        )
        exact = np.einsum("ph,nhwc->npwc", down, x.astype(np.float64))
        with force_variant("resize", "resize_u8"):
            high = image.resize(upload(device, x), (size[0], source[1]), method, antialias=False)
            wide = image.resize(upload(device, x), (source[0], size[1]), method, antialias=False)
        check(device, "resize", high.read(), exact, 1.5 * 9 * EPS * 255)
        exact = np.einsum("nhwc,qw->nhqc", x.astype(np.float64), across)
        check(device, "resize", wide.read(), exact, 1.5 * 9 * EPS * 255)
    with force_variant("resize", "resize_u8"):
        grouped = image.resize(upload(device, x), size, "bicubic").read()
    other = image.resize(upload(device, x), size, "bicubic").read()
    # The same sums, between which rounding may differ.
    assert np.abs(grouped.astype(int) - other).max() <= 2


@pytest.fixture
def fused_launches(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record the names of kernels that resize both axes in one launch."""
    names: list[str] = []

    def record_name(device: Device, name: str, **spec: Any) -> Any:
        names.append(name)
        return kernel(device, name, **spec)

    monkeypatch.setattr(fused_axes, "kernel", record_name)
    return names


@pytest.mark.parametrize(
    ("shape", "size"), [((2, 31, 44, 3), (26, 20)), ((9, 40), (21, 131))], ids=str
)
def test_both_axes(
    device: Device,
    fused_launches: list[str],
    shape: tuple[int, ...],
    size: tuple[int, int],
) -> None:
    """One launch, as on GPUs, whichever axis shrinks more: several strips and tiles.

    Windows are short: the kernel unrolls them, which takes long to compile.
    """
    x = draw(shape, np.float32)
    height, width = shape[1:3] if len(shape) == 4 else shape[:2]
    down = weight_matrix("bilinear", height, size[0], True)
    across = weight_matrix("bilinear", width, size[1], True)
    full = x.reshape(*shape, *(1,) * (len(shape) == 2)).astype(np.float64)
    exact = np.einsum("ph,...hwc,qw->...pqc", down, full, across)
    with force_variant("resize", "resize_fused", 32):
        result = image.resize(upload(device, x), size, "bilinear").read()
    assert fused_launches
    taps = sum(int(np.count_nonzero(m, axis=1).max()) + 4 for m in (down, across))
    allowed = taps * EPS * np.abs(x).max()
    check(device, "resize", result, exact.reshape(result.shape), allowed)


def test_one_launch_where_both_axes_shrink(fused_launches: list[str]) -> None:
    """Either axis may shrink more: where a picture is halved, its odd rows decide."""
    gpu = Device.null()
    picture = gpu.buffer(f32, (41, 80))
    for size in ((20, 40), (21, 40), (21, 12), (42, 12), (40, 81)):
        image.resize(picture, size)
    assert len(fused_launches) == 3


@given(x=pictures(), size=st.tuples(EXTENTS, EXTENTS))
@settings(max_examples=draws(15), deadline=None)
def test_nearest_takes_the_pixel_under_the_centre(
    device: Device, x: Array, size: tuple[int, int]
) -> None:
    first = first_axis(x)
    shape = (*x.shape[:first], *size, *x.shape[first + 2 :])
    if not (x.size and np.prod(shape)):
        check_empty(device, x, size, shape, "nearest")
        return
    rows, columns = (
        [(2 * i + 1) * n // (2 * m) for i in range(m)]
        for n, m in zip(x.shape[first:], size, strict=False)
    )
    result = image.resize(upload(device, x), size, "nearest").read()
    np.testing.assert_array_equal(result, x.take(rows, first).take(columns, first + 1))


@given(old=st.integers(1, 300), new=st.integers(1, 600))
@settings(max_examples=draws(60), deadline=None)
def test_nearest_is_pillows(device: Device, old: int, new: int) -> None:
    """They may differ where a centre lies on an edge, which Pillow's float64 decides."""
    x = np.arange(old, dtype=np.float32)[None]
    result = image.resize(upload(device, x), (1, new), "nearest").read()[0]
    centres = [Fraction(2 * i + 1, 2) * old / new for i in range(new)]
    assert result.tolist() == [math.floor(centre) for centre in centres]
    expected = np.asarray(Image.fromarray(x).resize((new, 1), Image.Resampling.NEAREST))[0]
    for centre, ours, pillows in zip(centres, result, expected, strict=True):
        on_an_edge = centre.denominator == 1
        assert ours == pillows or (on_an_edge and pillows == ours - 1)


def test_a_centre_on_an_edge_takes_the_later_pixel(device: Device) -> None:
    """The middle of 2 pixels as 7, where Pillow takes the former, and of 4 as 6."""
    for old, new, expected in ((2, 7, [0, 0, 0, 1, 1, 1, 1]), (4, 6, [0, 1, 1, 2, 3, 3])):
        x = upload(device, np.arange(old, dtype=np.uint8)[None])
        assert image.resize(x, (1, new), "nearest").read()[0].tolist() == expected


def test_ties_go_up(device: Device) -> None:
    x = np.array([[0, 1, 1, 2, 254, 255]], np.uint8)
    result = image.resize(upload(device, x), (1, 3), "area").read()
    np.testing.assert_array_equal(result, [[1, 2, 255]])


def test_the_same_size_is_a_copy(device: Device) -> None:
    x = draw((3, 5), np.uint8)
    picture = upload(device, x)
    result = image.resize(picture, (3, 5), "bicubic")
    assert result.storage is not picture.storage
    np.testing.assert_array_equal(result.read(), x)


def test_refuses_what_does_not_fit(device: Device) -> None:
    picture = device.buffer(u8, (4, 5))
    with pytest.raises(ShapeError, match=r"size must be .*got \(2, -1\)"):
        image.resize(picture, (2, -1))
    with pytest.raises(ArgumentError, match=r"method .*'cubic'"):
        image.resize(picture, (2, 2), "cubic")  # type: ignore[arg-type]
