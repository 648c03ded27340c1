"""Normalisations and prelu against NumPy float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gpucore import ArgumentError, Device, DType, DTypeError, ShapeError, f16, f32, i32
from gpustd import nn
from gpustd.launch.variants import force_variant
from tests.draws import draws
from tests.gpustd.nn.oracle import (
    DTYPES,
    EPS,
    check,
    draw_normal,
    strided_view,
    supported_dtype,
    up,
)

Array = NDArray[Any]

CHANNELS = st.sampled_from([1, 3, 4, 8, 30, 64])
PIXELS = st.lists(st.sampled_from([1, 2, 3, 5, 7, 0]), min_size=1, max_size=3)
DRAWN = st.sampled_from([f32, f32, f16])


def standard(x: Array, axes: tuple[int, ...], eps: float) -> tuple[Array, Array]:
    """Normalised over ``axes``, and its error.

    Statistics of n elements take n roundings and some ten more, relative to what they are made of:
    the result and the mean in units of the deviation.
    """
    mean = x.mean(axis=axes, keepdims=True)
    scale = 1 / np.sqrt(x.var(axis=axes, keepdims=True) + eps)
    result = (x - mean) * scale
    n = np.prod([x.shape[a] for a in axes])
    return result, EPS * (n + 12) * (np.abs(result) + np.abs(x).max() * scale)


@given(pixels=PIXELS, channels=CHANNELS, dtype=DRAWN, weight=st.booleans(), bias=st.booleans())
@settings(max_examples=draws(15), deadline=None)
def test_batch_norm(
    device: Device,
    pixels: list[int],
    channels: int,
    dtype: type[DType],
    weight: bool,
    bias: bool,
) -> None:
    x = draw_normal(0, (*pixels, channels), supported_dtype(device, dtype))
    check_batch_norm(device, strided_view(x), weight, bias)


@DTYPES
@pytest.mark.parametrize("words", [None, 8])
def test_batch_norm_of_many_words(device: Device, dtype: type[DType], words: int | None) -> None:
    with force_variant("nn.channels", "", words):
        check_batch_norm(device, draw_normal(1, (3, 7, 5, 12), dtype), True, True)


def check_batch_norm(device: Device, x: Array, weight: bool, bias: bool) -> None:
    channels = x.shape[-1]
    mean, w, b = (draw_normal(n, (channels,)) for n in (2, 3, 4))
    var = np.square(draw_normal(5, (channels,))) + np.float32(0.1)
    buffers = [up(device, a) for a in (mean, var)]
    extras = [up(device, a) if on else None for a, on in ((w, weight), (b, bias))]
    result = nn.batch_norm(up(device, x), buffers[0], buffers[1], *extras, eps=1e-3).read()
    wide = x.astype(np.float64)
    shown = (wide - mean) / np.sqrt(var.astype(np.float64) + np.float32(1e-3))
    shown = shown * (w if weight else 1)
    expected = shown + (b if bias else 0)
    # A difference, a root of 4 ulp, a quotient of 2.5, a product and a sum.
    check(device, "batch_norm", result, expected, EPS * (9 * np.abs(shown) + np.abs(expected)))


@given(pixels=PIXELS, channels=CHANNELS, dtype=DRAWN, single=st.booleans())
@settings(max_examples=draws(15), deadline=None)
def test_prelu(
    device: Device, pixels: list[int], channels: int, dtype: type[DType], single: bool
) -> None:
    """A NaN stays one."""
    x = strided_view(draw_normal(0, (*pixels, channels), supported_dtype(device, dtype)))
    x[(..., *(slice(1),) * x.ndim)] = np.nan
    w = draw_normal(1, (1 if single else channels,))
    expected = np.where(x > 0, x, x.astype(np.float64) * w)
    result = nn.prelu(up(device, x), up(device, w)).read()
    check(device, "prelu", result, expected, EPS * np.abs(np.nan_to_num(expected)))


@given(pixels=PIXELS, channels=CHANNELS, dtype=DRAWN, weighted=st.booleans())
@settings(max_examples=draws(15), deadline=None)
def test_rms_norm_and_normalize(
    device: Device, pixels: list[int], channels: int, dtype: type[DType], weighted: bool
) -> None:
    """A row of zeros stays one."""
    x = strided_view(draw_normal(0, (*pixels, channels), supported_dtype(device, dtype)))
    x[:1] = 0
    check_rows(device, x, weighted)


@DTYPES
@pytest.mark.parametrize("variant", ["naive", "workgroup", "subgroup"])
def test_variants_of_rows(device: Device, variant: str, dtype: type[DType]) -> None:
    if variant == "subgroup" and "subgroups" not in device.features:
        pytest.skip(f"{device!r} has no subgroups")
    with force_variant("nn.rows", variant):
        check_rows(device, draw_normal(1, (5, 260), dtype), True)
        check_rows(device, draw_normal(1, (3, 2052), dtype), False)


def check_rows(device: Device, x: Array, weighted: bool) -> None:
    """Return the allowed error: a sum of n squares, a root of 4 ulp, a quotient, two products."""
    wide, w = x.astype(np.float64), draw_normal(2, (x.shape[-1],))
    squares = np.square(wide).sum(axis=-1, keepdims=True)
    rounding = EPS * (x.shape[-1] / 2 + 12)
    expected = wide / np.sqrt(squares / x.shape[-1] + 1e-5) * (w if weighted else 1)
    result = nn.rms_norm(up(device, x), up(device, w) if weighted else None, eps=1e-5).read()
    check(device, "rms_norm", result, expected, rounding * np.abs(expected))
    expected = wide / np.maximum(np.sqrt(squares), 1e-12)
    result = nn.normalize(up(device, x)).read()
    check(device, "normalize", result, expected, rounding * np.abs(expected))


@given(
    images=st.sampled_from([1, 2, 3]),
    pixels=st.lists(st.sampled_from([1, 2, 3, 5, 7]), min_size=1, max_size=3),
    groups=st.sampled_from([1, 2, 3]),
    each=st.sampled_from([1, 4, 5]),
    dtype=DRAWN,
    affine=st.tuples(st.booleans(), st.booleans()),
    eps=st.sampled_from([1e-5, 1e-3]),
)
@settings(max_examples=draws(20), deadline=None)
def test_norms_of_gpustd(
    device: Device,
    images: int,
    pixels: list[int],
    groups: int,
    each: int,
    dtype: type[DType],
    affine: tuple[bool, bool],
    eps: float,
) -> None:
    shape = (images, *pixels, groups * each)
    x = strided_view(draw_normal(0, shape, supported_dtype(device, dtype)))
    w, b = draw_normal(1, shape[-1:]), draw_normal(2, shape[-1:])
    extras = [up(device, a) if on else None for a, on in zip((w, b), affine, strict=True)]
    wide = x.astype(np.float64)
    parts = wide.reshape(images, *pixels, groups, each)
    inner = tuple(range(1, x.ndim - 1))
    operand = up(device, x)
    results = {
        "layer_norm": (nn.layer_norm(operand, *extras, eps=eps), wide, (x.ndim - 1,)),
        "instance_norm": (nn.instance_norm(operand, *extras, eps=eps), wide, inner),
        "group_norm": (nn.group_norm(operand, groups, *extras, eps=eps), parts, (*inner, x.ndim)),
    }
    for name, (result, values, axes) in results.items():
        normal, error = standard(values, axes, eps)
        normal = normal.reshape(shape)
        error = np.broadcast_to(error, values.shape).reshape(shape)
        expected = normal * (w if affine[0] else 1) + (b if affine[1] else 0)
        limit = error * (np.abs(w) if affine[0] else 1) + EPS * np.abs(expected)
        check(device, name, result.read(), expected, limit)


def test_empty(device: Device) -> None:
    x = device.buffer(f32, (0, 2, 4))
    for y in (nn.instance_norm(x), nn.layer_norm(x), nn.group_norm(x, 2)):
        assert y.read().shape == x.shape


def test_refuses(device: Device) -> None:
    x, w = device.buffer(f32, (2, 4)), device.buffer(f32, 4)
    with pytest.raises(ShapeError, match="running_var"):
        nn.batch_norm(x, w, device.buffer(f32, 3))
    with pytest.raises(ShapeError, match="instance_norm"):
        nn.instance_norm(x)
    with pytest.raises(ShapeError, match="prelu: weight"):
        nn.prelu(x, device.buffer(f32, 2))
    with pytest.raises(ArgumentError, match="eps"):
        nn.normalize(x, 0.0)
    for groups in (0, 3):
        with pytest.raises(ShapeError, match="group_norm"):
            nn.group_norm(device.buffer(f32, (1, 2, 4)), groups)
    with pytest.raises(ShapeError, match="layer_norm"):
        nn.layer_norm(x, device.buffer(f32, 3))
    for norm in (nn.layer_norm, nn.rms_norm, nn.normalize):
        with pytest.raises(DTypeError, match="buffers must have one float dtype"):
            norm(device.buffer(i32, (2, 4)))
    with pytest.raises(ShapeError, match=r"must be \(\.\.\., C\)"):
        nn.rms_norm(device.buffer(f32, ()))
    if device.has_f16:
        half = up(device, np.ones(4, np.float16))
        with pytest.raises(DTypeError, match="weight must be f32"):
            nn.rms_norm(x, half)
