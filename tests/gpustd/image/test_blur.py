"""Blurs against `scipy.ndimage` in float64, on both variants.

A sum of K products in f32, weights rounded, is off by at most (K + 2) 2^-24 sum |w x|; the weights
of a blur sum to 1 on each axis, so that (K_y + K_x + 4) 2^-24 max |x| holds for both.
"""

from __future__ import annotations

import types
from typing import Any

import numpy as np
import pytest
import scipy.ndimage
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gpucore import ArgumentError, Device, ShapeError, u8
from gpustd import image
from gpustd.image.filters import separable
from gpustd.image.filters.stencil import fits_stencil
from gpustd.image.shapes import image_shape
from gpustd.launch.elements import can_compare_f16_pairs
from gpustd.launch.subgroups import row_lanes
from gpustd.launch.variants import force_variant
from tests.draws import draws
from tests.gpustd.image.image_cases import (
    DTYPES,
    EPS,
    MODES,
    VALUES,
    check,
    draw,
    largest,
    per_axis,
    pictures,
    upload,
)

Array = NDArray[Any]

# Across, down, rows of a strip, rows at a time, cells: few, as a software renderer compiles them.
TILE, STRIP, WIDE = (8, 2, 3, 2, 1), (1, 2, 3, 2, 1), (2, 2, 3, 1, 4)
# A strip of one step, under windows of two rows.
ONCE = (1, 2, 3, 4, 4)
PLANS = {"tile": TILE, "strip": STRIP}
CASES = [
    ("tile", np.uint8, (6, 20, 3)),
    ("tile", np.uint8, (2, 9, 8, 1)),
    ("tile", np.uint8, (9, 16, 3)),
    ("tile", np.float32, (2, 9, 4, 1)),
    ("strip", np.uint8, (6, 20, 3)),
    ("strip", np.uint8, (2, 9, 64, 1)),
    ("strip", np.float32, (2, 19, 12, 3)),
]


@pytest.mark.parametrize(("variant", "dtype", "shape"), CASES, ids=str)
def test_gaussian(device: Device, variant: str, dtype: type[Any], shape: tuple[int, ...]) -> None:
    x = draw(shape, dtype)
    sigmas = per_axis(shape, 0.5, 0.9, 0)
    for mode in MODES:
        exact = scipy.ndimage.gaussian_filter(
            x.astype(np.float64), sigmas, mode=mode, cval=3, truncate=2
        )
        with force_variant("separable", variant, PLANS[variant]):
            result = image.gaussian_blur(upload(device, x), (0.5, 0.9), 2, mode, 3).read()
        check(device, "gaussian_blur", result, exact, 12 * EPS * np.abs(x).max(initial=3))


SIGMAS = st.tuples(*[st.sampled_from((0.0, 0.3, 0.9, 2.0, 6.0))] * 2)


def exact_blur(x: Array, sigmas: tuple[float, float], truncate: float = 4.0, **border: Any) -> Any:
    """Return the blur in float64, and the allowed error of f32 (see the top of this file)."""
    each = per_axis(x.shape, *sigmas, 0)
    wide = x.astype(np.float64)
    exact = scipy.ndimage.gaussian_filter(wide, each, truncate=truncate, **border)
    taps = sum(2 * int(truncate * sigma + 0.5) + 1 for sigma in sigmas)
    return exact, (taps + 4) * EPS * largest(x, border.get("cval", 0.0))


@given(
    x=pictures(),
    sigmas=SIGMAS,
    truncate=st.sampled_from((4.0, 1.5)),
    mode=st.sampled_from((*MODES, "grid-mirror", "grid-wrap", "grid-constant")),
    cval=VALUES,
)
@settings(max_examples=draws(25), deadline=None)
def test_gaussian_of_any_picture(
    device: Device,
    x: Array,
    sigmas: tuple[float, float],
    truncate: float,
    mode: str,
    cval: float,
) -> None:
    """Windows may reach beyond the picture several times over."""
    exact, error = exact_blur(x, sigmas, truncate, mode=mode, cval=cval)
    result = image.gaussian_blur(upload(device, x), sigmas, truncate, mode, cval).read()
    check(device, "gaussian_blur", result, exact, error)


@given(
    x=pictures(),
    size=st.integers(1, 6) | st.tuples(st.integers(1, 6), st.integers(1, 6)),
    mode=st.sampled_from(MODES),
    cval=VALUES,
)
@settings(max_examples=draws(20), deadline=None)
def test_box_of_any_picture(device: Device, x: Array, size: Any, mode: str, cval: float) -> None:
    pair = size if isinstance(size, tuple) else (size, size)
    whole = per_axis(x.shape, *pair, 1)
    exact = scipy.ndimage.uniform_filter(x.astype(np.float64), whole, mode=mode, cval=cval)
    result = image.box_blur(upload(device, x), size, mode, cval).read()
    error = (sum(pair) + 4) * EPS * largest(x, cval)
    check(device, "box_blur", result, exact, error)


@given(
    x=pictures(),
    sigmas=SIGMAS,
    amount=st.sampled_from((1.0, 1.5, -0.5)),
    threshold=st.sampled_from((0.0, 0.2, 20.0)),
)
@settings(max_examples=draws(20), deadline=None)
def test_unsharp_mask_of_any_picture(
    device: Device, x: Array, sigmas: tuple[float, float], amount: float, threshold: float
) -> None:
    """Rounding may move a difference across the threshold; such a pixel is left out."""
    exact, error = exact_blur(x, sigmas)
    rest = x - exact
    error = error + EPS * largest(x)
    jumps = (np.abs(np.abs(rest) - threshold) <= error) & (threshold > 0)
    sharp = x + amount * np.where(np.abs(rest) >= threshold, rest, 0)
    result = image.unsharp_mask(upload(device, x), sigmas, amount, threshold).read()
    # The difference times the amount, two roundings of it and one of the result.
    allowed = abs(amount) * error + 3 * EPS * (np.abs(x) + abs(amount * rest))
    result, sharp = np.where(jumps, 0, result).astype(x.dtype), np.where(jumps, 0, sharp)
    check(device, "unsharp_mask", result, sharp, allowed)


@pytest.mark.parametrize("dtype", DTYPES)
def test_tiles_meet(device: Device, dtype: type[Any]) -> None:
    """There are several workgroups down and across, and more than one strip of rows."""
    x = draw((49, 600), dtype)
    exact = scipy.ndimage.uniform_filter(x.astype(np.float64), (2, 5))
    for variant in ("tile", "strip"):
        with force_variant("separable", variant):
            result = image.box_blur(upload(device, x), (2, 5)).read()
        check(device, "box_blur", result, exact, 11 * EPS * np.abs(x).max())


def test_means_of_levels(device: Device) -> None:
    """Sums of integers are exact: ties go up, and every border has its levels."""
    x = draw((7, 16, 3), np.uint8)
    for size, mode in ((2, 2), "nearest"), *(((2, 3), mode) for mode in MODES):
        exact = scipy.ndimage.uniform_filter(x.astype(np.float64), (*size, 1), mode=mode, cval=7)
        for variant, tile in (("tile", WIDE), ("strip", WIDE), ("strip", ONCE)):
            with force_variant("separable", variant, tile):
                result = image.box_blur(upload(device, x), size, mode, 7).read()
            np.testing.assert_array_equal(result, np.floor(exact.round(9) + 0.5))


def test_means_in_f16(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    """Software renderers round a product before they add, so a level may be the next one."""
    if not (can_compare_f16_pairs(device) and row_lanes(device)):
        pytest.skip(f"{device!r} has no f16 or no subgroups of known width")
    monkeypatch.setattr(separable, "_has_exact_f16_means", lambda *_: True)
    x = draw((50, 64, 3), np.uint8)
    for size in ((3, 3), (3, 1), (1, 5)):
        exact = scipy.ndimage.uniform_filter(x.astype(np.float64), (*size, 1), mode="mirror")
        with force_variant("separable", "strip", (1, 2, 4, 4 + size[0] - 1, 4)):
            result = image.box_blur(upload(device, x), size, "mirror").read().astype(int)
        off = abs(result - np.floor(exact.round(9) + 0.5))
        assert off.max() <= 1
        assert (off > 0).mean() < 1e-3


def test_means_in_f16_are_rounded_right(monkeypatch: pytest.MonkeyPatch) -> None:
    """Check every sum of levels less 128 as a GPU rounds it: once, to f16 between 1024 and 2048."""
    monkeypatch.setattr(separable, "can_compare_f16_pairs", lambda _: True)
    gpus = {
        api: types.SimpleNamespace(is_cpu=False, info=types.SimpleNamespace(api=api))
        for api in ("vulkan", "dx12")
    }
    fitting = [n for n in range(1, 40) if separable._has_exact_f16_means(gpus["vulkan"], n)]
    assert fitting == [1, 3, 5, 7, 9, 11, 13, 15]
    assert not separable._has_exact_f16_means(gpus["dx12"], 3)
    for n in fitting:
        sums = np.arange(-128 * n, 127 * n + 1)
        rounded = np.rint(sums * float(np.float16(1 / n)) + 1152)
        np.testing.assert_array_equal(rounded, (2 * sums + n) // (2 * n) + 1152)


@pytest.mark.parametrize(("shape", "size"), [((6, 16, 3), (3, 7)), ((4, 32), (1, 25))], ids=str)
def test_strips_of_wide_windows(
    device: Device,
    monkeypatch: pytest.MonkeyPatch,
    shape: tuple[int, ...],
    size: tuple[int, int],
) -> None:
    """Subgroups of 32 lanes fit these windows; for narrower ones the test forces the variant."""
    if not row_lanes(device):
        pytest.skip(f"{device!r} has no subgroups of known width")
    monkeypatch.setattr(separable, "fits_variant", lambda variant, *_: variant == "strip")
    x = draw(shape, np.uint8)
    exact = scipy.ndimage.uniform_filter(x.astype(np.float64), (*size, 1)[: len(shape)])
    with force_variant("separable", "strip", (1, 2, 3, 1, 4)):
        result = image.box_blur(upload(device, x), size).read()
    np.testing.assert_array_equal(result, np.floor(exact.round(9) + 0.5))


@pytest.mark.parametrize(
    ("dtype", "shape"), [(np.float32, (5, 32, 3)), (np.uint8, (3, 40))], ids=str
)
def test_long_windows_of_the_width(
    device: Device, dtype: type[Any], shape: tuple[int, ...]
) -> None:
    """Lanes take four cells, or two where the row allows no more."""
    if not row_lanes(device):
        pytest.skip(f"{device!r} has no subgroups of known width")
    x = draw(shape, dtype)
    sigmas = per_axis(shape, 0, 1.5, 0)
    for mode in ("mirror", "constant"):
        exact = scipy.ndimage.gaussian_filter(x.astype(np.float64), sigmas, mode=mode, cval=3)
        with force_variant("separable", "strip"):
            result = image.gaussian_blur(upload(device, x), (0, 1.5), mode=mode, cval=3).read()
        check(device, "gaussian_blur", result, exact, 16 * EPS * np.abs(x).max(initial=3))


def test_rows_of_more_workgroups_than_a_grid_has_take_another_way(device: Device) -> None:
    wide = device.buffer(u8, (1, 1, 65535 * 128 + 128, 1))
    shape = image_shape("test", wide)
    with force_variant("separable", "tile"):
        assert separable.usable_variants(wide, shape) == ()
    with force_variant("stencil", "stencil"):
        assert not fits_stencil(wide, shape)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [(6, 1), (9, 4)], ids=str)
def test_tiles_of_any_window(device: Device, size: tuple[int, int], dtype: type[Any]) -> None:
    x = draw((2, 23, 32, 3), dtype)
    exact = scipy.ndimage.uniform_filter(x.astype(np.float64), (1, *size, 1))
    with force_variant("separable", "tile", TILE):
        result = image.box_blur(upload(device, x), size).read()
    check(device, "box_blur", result, exact, 17 * EPS * np.abs(x).max())


@pytest.mark.parametrize("dtype", DTYPES)
def test_long_windows(device: Device, dtype: type[Any]) -> None:
    """Some take two launches; where the width has one tap, one launch."""
    for shape, sigmas in (((2, 20, 24, 1), (2, 1.5)), ((20, 16, 3), (1.6, 0)), ((9, 8, 4), (0, 3))):
        x = draw(shape, dtype)
        each = per_axis(shape, *sigmas, 0)
        exact = scipy.ndimage.gaussian_filter(x.astype(np.float64), each)
        for variant in ("tile", "strip"):
            with force_variant("separable", variant, PLANS[variant]):
                result = image.gaussian_blur(upload(device, x), sigmas).read()
            check(device, "gaussian_blur", result, exact, 90 * EPS * np.abs(x).max())


@pytest.mark.parametrize("dtype", DTYPES)
def test_several_rows_an_invocation(device: Device, dtype: type[Any]) -> None:
    """The axis of the height is filtered as on GPUs."""
    x = draw((21, 12), dtype)
    exact = scipy.ndimage.uniform_filter(x.astype(np.float64), (5, 1))
    with force_variant("separable", "axes"), force_variant("cells", "whole", 4):
        result = image.box_blur(upload(device, x), (5, 1)).read()
    check(device, "box_blur", result, exact, 10 * EPS * np.abs(x).max())


def test_unsharp_mask_by_tiles(device: Device) -> None:
    """Levels of u8 are blurred into f32."""
    x = draw((11, 32, 3), np.uint8)
    wide = x.astype(np.float64)
    exact = 2 * wide - scipy.ndimage.gaussian_filter(wide, (0, 0.3, 0))
    with force_variant("separable", "tile", TILE):
        result = image.unsharp_mask(upload(device, x), (0, 0.3)).read()
    check(device, "unsharp_mask", result, exact, 24 * EPS * 255)


def test_refuses_what_does_not_fit(device: Device) -> None:
    picture = device.buffer(u8, (4, 5))
    with pytest.raises(ArgumentError, match=r"sigma must be .*got -1"):
        image.gaussian_blur(picture, -1)
    with pytest.raises(ArgumentError, match=r"truncate must be .*got -2"):
        image.gaussian_blur(picture, 1, -2)
    with pytest.raises(ArgumentError, match=r"mode .*'symmetric'"):
        image.gaussian_blur(picture, 1, mode="symmetric")
    with pytest.raises(ArgumentError, match=r"size must be .*got 0"):
        image.box_blur(picture, 0)
    with pytest.raises(ArgumentError, match=r"sigma must be .*got \(1, inf\)"):
        image.unsharp_mask(picture, (1, float("inf")))


def test_sizes_are_numbers(device: Device) -> None:
    picture = upload(device, np.arange(20, dtype=np.uint8).reshape(4, 5))
    of_numpy = image.box_blur(picture, np.int64(3))  # type: ignore[arg-type]
    np.testing.assert_array_equal(of_numpy.read(), image.box_blur(picture, 3).read())
    for size in (2.5, "3", None, (1, 2, 3), (3,)):
        for call in (image.box_blur, image.erode):
            with pytest.raises(ArgumentError, match=r"one number or \(rows.* from 1 to 1048576"):
                call(picture, size)  # type: ignore[operator]
    for sigma in ("a", None, (1, 2, 3)):
        with pytest.raises(ArgumentError, match=r"sigma .*(number >= 0|real numbers)"):
            image.gaussian_blur(picture, sigma)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="filter2d: kernel"):
        image.filter2d(picture, "abc")
    for extents in (7, "ab", (1.5, 2)):
        with pytest.raises(ShapeError, match="whole numbers >= 0"):
            image.resize(picture, extents)  # type: ignore[arg-type]
