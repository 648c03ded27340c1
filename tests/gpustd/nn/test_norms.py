"""Normalisations and prelu against NumPy float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gpucore import ArgumentError, Device, DType, DTypeError, ShapeError, f32
from gpustd import nn
from gpustd.rungs import forced_rung
from tests.gpustd.nn.oracle import DTYPES, EPS, check, drawn, up

Array = NDArray[Any]

CHANNELS = st.sampled_from([1, 3, 4, 8, 30, 64])
PIXELS = st.sampled_from([(1,), (7,), (2, 5), (3, 1, 4)])


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


@given(pixels=PIXELS, channels=CHANNELS, weight=st.booleans(), bias=st.booleans())
@settings(max_examples=10, deadline=None)
def test_batch_norm(
    device: Device, pixels: tuple[int, ...], channels: int, weight: bool, bias: bool
) -> None:
    check_batch_norm(device, drawn(0, (*pixels, channels)), weight, bias)


@DTYPES
@pytest.mark.parametrize("words", [None, 8])
def test_batch_norm_of_many_words(device: Device, dtype: type[DType], words: int | None) -> None:
    with forced_rung("nn.channels", "", words):
        check_batch_norm(device, drawn(1, (3, 7, 5, 12), dtype), True, True)


def check_batch_norm(device: Device, x: Array, weight: bool, bias: bool) -> None:
    channels = x.shape[-1]
    mean, w, b = (drawn(n, (channels,)) for n in (2, 3, 4))
    var = np.square(drawn(5, (channels,))) + np.float32(0.1)
    buffers = [up(device, a) for a in (mean, var)]
    extras = [up(device, a) if on else None for a, on in ((w, weight), (b, bias))]
    result = nn.batch_norm(up(device, x), buffers[0], buffers[1], *extras, eps=1e-3).read()
    wide = x.astype(np.float64)
    shown = (wide - mean) / np.sqrt(var.astype(np.float64) + np.float32(1e-3))
    shown = shown * (w if weight else 1)
    expected = shown + (b if bias else 0)
    # A difference, a root of 4 ulp, a quotient of 2.5, a product and a sum.
    check(device, "batch_norm", result, expected, EPS * (9 * np.abs(shown) + np.abs(expected)))


@DTYPES
@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize("channels", [1, 5, 8])
def test_prelu(device: Device, channels: int, single: bool, dtype: type[DType]) -> None:
    x = drawn(0, (3, 4, channels), dtype)
    x[0, 0, 0] = np.nan
    w = drawn(1, (1 if single else channels,))
    expected = np.where(x > 0, x, x.astype(np.float64) * w)
    result = nn.prelu(up(device, x), up(device, w)).read()
    check(device, "prelu", result, expected, EPS * np.abs(np.nan_to_num(expected)))


@given(rows=st.sampled_from([1, 5, 67]), channels=CHANNELS, weighted=st.booleans())
@settings(max_examples=8, deadline=None)
def test_rms_norm_and_normalize(device: Device, rows: int, channels: int, weighted: bool) -> None:
    check_rows(device, drawn(0, (rows, channels)), weighted)


@DTYPES
@pytest.mark.parametrize("rung", ["naive", "workgroup", "subgroup"])
def test_rungs_of_rows(device: Device, rung: str, dtype: type[DType]) -> None:
    if rung == "subgroup" and "subgroups" not in device.features:
        pytest.skip(f"{device!r} has no subgroups")
    with forced_rung("nn.rows", rung):
        check_rows(device, drawn(1, (5, 260), dtype), True)
        check_rows(device, drawn(1, (3, 2052), dtype), False)


def check_rows(device: Device, x: Array, weighted: bool) -> None:
    """A sum of n squares, a root of 4 ulp, a quotient and two products."""
    wide, w = x.astype(np.float64), drawn(2, (x.shape[-1],))
    squares = np.square(wide).sum(axis=-1, keepdims=True)
    rounding = EPS * (x.shape[-1] / 2 + 12)
    expected = wide / np.sqrt(squares / x.shape[-1] + 1e-5) * (w if weighted else 1)
    result = nn.rms_norm(up(device, x), up(device, w) if weighted else None, eps=1e-5).read()
    check(device, "rms_norm", result, expected, rounding * np.abs(expected))
    expected = wide / np.maximum(np.sqrt(squares), 1e-12)
    result = nn.normalize(up(device, x)).read()
    check(device, "normalize", result, expected, rounding * np.abs(expected))


@DTYPES
@pytest.mark.parametrize("affine", [False, True])
def test_norms_of_gpustd(device: Device, affine: bool, dtype: type[DType]) -> None:
    x = drawn(0, (2, 3, 5, 8), dtype)
    w, b = drawn(1, (8,)), drawn(2, (8,))
    extras = [up(device, a) if affine else None for a in (w, b)]
    factor, added = (w, b) if affine else (np.ones(8), np.zeros(8))
    wide, results = x.astype(np.float64), {}
    results["layer_norm"] = nn.layer_norm(up(device, x), *extras), standard(wide, (3,), 1e-5)
    results["instance_norm"] = (
        nn.instance_norm(up(device, x), *extras),
        standard(wide, (1, 2), 1e-5),
    )
    grouped, error = standard(wide.reshape(2, 3, 5, 2, 4), (1, 2, 4), 1e-5)
    full = np.broadcast_to(error, grouped.shape).reshape(x.shape)
    results["group_norm"] = (
        nn.group_norm(up(device, x), 2, *extras),
        (grouped.reshape(x.shape), full),
    )
    for name, (result, (normal, allowed)) in results.items():
        expected = normal * factor + added
        limit = allowed * np.abs(factor) + EPS * np.abs(expected)
        check(device, name, result.read(), expected, limit)


def test_empty(device: Device) -> None:
    x, w = device.buffer(f32, (0, 2, 4)), device.buffer(f32, 4)
    for y in (nn.batch_norm(x, w, w), nn.prelu(x, w), nn.rms_norm(x), nn.instance_norm(x)):
        assert y.shape == x.shape


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
    with pytest.raises(ShapeError, match="channels last"):
        nn.rms_norm(device.buffer(f32, ()))
    if device.has_f16:
        half = up(device, np.ones(4, np.float16))
        with pytest.raises(DTypeError, match="weight must be f32"):
            nn.rms_norm(x, half)
