"""Pooling against windows in NumPy float64, on every variant and engine."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gpucore import ArgumentError, Buffer, Device, DType, DTypeError, ShapeError, f16, f32, i32
from gpustd import nn
from gpustd.launch.template import kernel
from gpustd.launch.variants import force_variant
from gpustd.nn.conv import blocks
from gpustd.nn.conv.blocks import Block
from tests.draws import draws
from tests.gpustd.nn.oracle import (
    DTYPES,
    EPS,
    case_name,
    check,
    draw_normal,
    pooling,
    strided_view,
    supported_dtype,
    up,
)

# Cases are sizes, dtypes, tiles and variants.
pytestmark = pytest.mark.sampled

Array = NDArray[Any]
Call = Callable[..., Buffer[Any]]

MAX: dict[int, Call] = {1: nn.max_pool1d, 2: nn.max_pool2d, 3: nn.max_pool3d}
MEAN: dict[int, Call] = {1: nn.avg_pool1d, 2: nn.avg_pool2d, 3: nn.avg_pool3d}
EXTENTS = st.lists(st.sampled_from([1, 2, 3, 5, 7, 8, 11]), min_size=1, max_size=3)
CHANNELS = st.sampled_from([1, 3, 4, 8])
DRAWN = st.sampled_from([f32, f32, f16])


def run_max(device: Device, x: Array, numbers: dict[str, Any]) -> None:
    rank = x.ndim - 2
    result = MAX[rank](up(device, x), numbers["kernel"], *list(numbers.values())[1:]).read()
    windows = pooling(x, -np.inf, **each(rank, numbers))
    # The imaginary part would order what is equal; no pooling's result has one.
    expected = windows.real.max(axis=rank + 1)
    check(device, f"max_pool{rank}d", result, expected, 0.0)


def run_mean(device: Device, x: Array, numbers: dict[str, Any], counted: bool) -> None:
    rank = x.ndim - 2
    result = MEAN[rank](
        up(device, x),
        numbers["kernel"],
        numbers["stride"],
        numbers["padding"],
        numbers["ceil_mode"],
        counted,
    ).read()
    given_numbers = {**numbers, "dilation": 1}
    windows = pooling(x, 0.0, **each(rank, given_numbers))
    inside = pooling(np.ones_like(x), 0.0, **each(rank, given_numbers))
    count = (inside.imag == 0 if counted else inside.real).sum(axis=rank + 1)
    expected = windows.real.sum(axis=rank + 1) / count
    size = np.abs(windows.real).sum(axis=rank + 1) / count
    allowed = EPS * (windows.shape[rank + 1] + 4) * np.nan_to_num(size)
    check(device, f"avg_pool{rank}d", result, expected, allowed)


def each(rank: int, numbers: dict[str, Any]) -> dict[str, Any]:
    """Return a number for every axis, and the kernel as stride where there is none."""
    full = {**numbers, "stride": numbers["stride"] or numbers["kernel"]}
    return {k: v if isinstance(v, bool) else (v,) * rank for k, v in full.items()}


@st.composite
def windows(draw: st.DrawFn) -> dict[str, Any]:
    """Arguments of a pooling in the order of the call."""
    kernel = draw(st.sampled_from([1, 2, 3]))
    return {
        "kernel": kernel,
        "stride": draw(st.sampled_from([None, 1, 2, 3])),
        "padding": draw(st.integers(0, kernel // 2)),
        "dilation": draw(st.sampled_from([1, 2])) if kernel < 3 else 1,
        "ceil_mode": draw(st.booleans()),
    }


def holds_windows(extent: int, numbers: dict[str, Any], dilation: int) -> bool:
    """By PyTorch's rule: rounded up, a window may be larger than the padded axis."""
    stride, padding = numbers["stride"] or numbers["kernel"], numbers["padding"]
    room = extent + 2 * padding - (numbers["kernel"] - 1) * dilation - 1
    count = -(-room // stride) if numbers["ceil_mode"] else room // stride
    # None begins in the padding behind.
    return (count + 1 if count * stride < extent + padding else count) >= 1


@given(
    extents=EXTENTS,
    images=st.sampled_from([1, 2, 0]),
    numbers=windows(),
    channels=CHANNELS,
    dtype=DRAWN,
    counted=st.booleans(),
)
@settings(max_examples=draws(40), deadline=None)
def test_matches_float64(
    device: Device,
    extents: list[int],
    images: int,
    numbers: dict[str, Any],
    channels: int,
    dtype: type[DType],
    counted: bool,
) -> None:
    """A NaN wins; images that hold no window are refused."""
    x = strided_view(
        draw_normal(len(extents), (images, *extents, channels), supported_dtype(device, dtype))
    )
    x[(..., *(slice(1),) * x.ndim)] = np.nan
    for run, extra, dilation in (
        (run_max, (), numbers["dilation"]),
        (run_mean, (counted,), 1),
    ):
        if all(holds_windows(extent, numbers, dilation) for extent in extents):
            run(device, x, numbers, *extra)
        else:
            with pytest.raises(ShapeError, match="must hold a window"):
                run(device, x, numbers, *extra)


@pytest.mark.parametrize(
    ("block", "dtype"),
    [
        (Block(2, 2), f32),
        (Block(1, 3), f32),
        (Block(2, 2, 3), f32),
        (Block(), f16),
        (Block(1, 2, width=8), f16),
        (Block(2, 4, width=8, ahead=True), f16),
        (Block(width=2), f16),
        (Block(2, 1, width=8, lines=4), f16),
        (Block(4, 2, lines=2), f32),
        (Block(3, 1, lines=1), f32),
    ],
    ids=case_name,
)
def test_blocks(device: Device, block: Block, dtype: type[DType]) -> None:
    """GPUs compute a block of results an invocation."""
    numbers = {"kernel": 3, "stride": 1, "padding": 1, "dilation": 1, "ceil_mode": False}
    x = draw_normal(0, (2, 7, 9, 16), dtype)
    x[0, 3, 3, 5], x[1, 0, 0, 0], x[1, 4, 4, 7], x[1, 5, 5, 8] = np.nan, -np.inf, np.inf, -np.nan
    with force_variant("nn.pool", "block", block):
        run_max(device, x, numbers)
        run_mean(device, np.nan_to_num(x, neginf=1), numbers, False)
        strided = {**numbers, "stride": 2, "kernel": 2, "padding": 0, "ceil_mode": True}
        run_max(device, x, {**strided, "dilation": 3})
        run_max(device, x[:, :, :, None], {**numbers, "stride": 2})
        run_mean(device, np.nan_to_num(x, neginf=1), strided, True)


def test_sums_that_tell_of_nan_may_overflow(device: Device) -> None:
    x = np.full((1, 6, 6, 8), 6e4, np.float16)
    x[0, 2, 2, 3], x[0, 3, 3, 4], x[0, 0, 0, 0] = np.nan, -np.inf, -6e4
    numbers = {"kernel": 3, "stride": 1, "padding": 1, "dilation": 1, "ceil_mode": False}
    for block in (Block(4, 2, width=8, lines=2), Block(2, 2, width=2)):
        with force_variant("nn.pool", "block", block):
            run_max(device, x, numbers)


@pytest.mark.parametrize("channels", [1, 4])
def test_sums_that_tell_of_nan_of_f32_may_be_nan(device: Device, channels: int) -> None:
    """Infinities of both signs and sums beyond f32, in what one invocation reads, are no NaN."""
    x = np.full((1, 9, 6, channels), 3e38, np.float32)
    x[0, 1, 1], x[0, 2, 1], x[0, 4:, :3] = np.inf, -np.inf, -np.inf
    x[0, 8, 5, 0] = np.nan
    numbers = {"kernel": 3, "stride": 1, "padding": 1, "dilation": 1, "ceil_mode": False}
    with force_variant("nn.pool", "block", Block(4, 2, lines=1)):
        run_max(device, x, numbers)


def test_sizes_may_be_constants(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "_MANY_WORDS", 1)
    numbers = {"kernel": 3, "stride": 2, "padding": 1, "dilation": 1, "ceil_mode": True}
    x = draw_normal(0, (2, 7, 9, 4))
    x[0, 3, 3, 2], x[1, 0, 0, 0] = np.nan, -np.inf
    with force_variant("nn.pool", "block", Block(2, 1, lines=2)):
        run_max(device, x, numbers)
        run_mean(device, np.nan_to_num(x, neginf=1), numbers, True)


def test_few_sizes_are_constants(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each takes a shader of its own: those that come after the first few share one."""
    monkeypatch.setattr(blocks, "_MANY_WORDS", 1)
    monkeypatch.setattr(blocks, "_MOST_SIZES", 2)
    written: list[str] = []

    def noted(device: Device, name: str, **spec: Any) -> Any:
        written.append(spec["sizes"])
        return kernel(device, name, **spec)

    monkeypatch.setattr(blocks, "kernel", noted)
    numbers = {"kernel": 2, "stride": 1, "padding": 0, "dilation": 1, "ceil_mode": False}
    with force_variant("nn.pool", "block", Block(3, 1, lines=2)):
        for rows in (3, 4, 5, 3, 6):
            run_max(device, draw_normal(0, (1, rows, 5, 4)), numbers)
    assert [bool(sizes) for sizes in written] == [True, True, False, True, False]


@given(
    extents=st.tuples(*[st.sampled_from([1, 2, 5, 7, 9])] * 2),
    size=st.tuples(*[st.integers(1, 12)] * 2),
    channels=CHANNELS,
    dtype=DRAWN,
)
@settings(max_examples=draws(20), deadline=None)
def test_adaptive(
    device: Device,
    extents: tuple[int, int],
    size: tuple[int, int],
    channels: int,
    dtype: type[DType],
) -> None:
    x = strided_view(draw_normal(1, (2, *extents, channels), supported_dtype(device, dtype)))
    wide = x.astype(np.float64)
    mean, most = (np.empty((2, *size, channels)) for _ in range(2))
    for i, j in np.ndindex(size):
        rows, columns = (
            slice(k * n // m, -(-(k + 1) * n // m))
            for k, n, m in zip((i, j), extents, size, strict=True)
        )
        mean[:, i, j] = wide[:, rows, columns].mean(axis=(1, 2))
        most[:, i, j] = wide[:, rows, columns].max(axis=(1, 2))
    # At most all pixels are added up, and the sum divided.
    allowed = EPS * (np.prod(extents) + 4) * np.abs(wide).max()
    result = nn.adaptive_avg_pool2d(up(device, x), size).read()
    check(device, "adaptive_avg_pool2d", result, mean, allowed)
    result = nn.adaptive_max_pool2d(up(device, x), size).read()
    check(device, "adaptive_max_pool2d", result, most, 0.0)


@given(extents=EXTENTS, images=st.sampled_from([1, 2, 0]), channels=CHANNELS, dtype=DRAWN)
@settings(max_examples=draws(15), deadline=None)
def test_global_of_any_extents(
    device: Device, extents: list[int], images: int, channels: int, dtype: type[DType]
) -> None:
    check_global(
        device,
        strided_view(draw_normal(2, (images, *extents, channels), supported_dtype(device, dtype))),
    )


@DTYPES
@pytest.mark.parametrize("variant", [None, "sliced"])
@pytest.mark.parametrize("shape", [(3, 70, 8), (1, 5, 9, 68)], ids=str)
def test_global_of_many_words(
    device: Device, shape: tuple[int, ...], variant: str | None, dtype: type[DType]
) -> None:
    with force_variant("nn.mean", variant) if variant else nullcontext():
        check_global(device, draw_normal(2, shape, dtype))


def check_global(device: Device, x: Array) -> None:
    axes = tuple(range(1, x.ndim - 1))
    wide = x.astype(np.float64)
    result = nn.global_avg_pool(up(device, x)).read()
    pixels = np.prod([x.shape[a] for a in axes])
    allowed = EPS * (pixels / 4 + 20) * np.abs(wide).mean(axis=axes)
    check(device, "global_avg_pool", result, wide.mean(axis=axes), allowed)


def test_nan_wins_everywhere(device: Device) -> None:
    x = np.array([1, np.nan, 3, 4, np.inf, -np.nan, 5, 6], np.float32).reshape(1, 8, 1)
    result = nn.max_pool1d(up(device, x), 2).read().ravel()
    np.testing.assert_array_equal(result, [np.nan, 4, np.nan, 6])
    image = x.reshape(1, 2, 4, 1)
    result = nn.adaptive_max_pool2d(up(device, image), (1, 4)).read().ravel()
    np.testing.assert_array_equal(result, [np.inf, np.nan, 5, 6])


def test_more_groups_than_one_dimension_has(device: Device) -> None:
    x = np.arange(64 * 65535 + 5, dtype=np.float32).reshape(-1, 1, 1)
    np.testing.assert_array_equal(nn.max_pool1d(up(device, x), 1).read(), x)


def test_refuses(device: Device) -> None:
    x = device.buffer(f32, (1, 4, 4, 2))
    with pytest.raises(ShapeError, match=r"max_pool1d: x must be \(N, L, C\)"):
        nn.max_pool1d(x, 2)
    with pytest.raises(ArgumentError, match="at most half"):
        nn.max_pool2d(x, 2, padding=2)
    with pytest.raises(ArgumentError, match="stride"):
        nn.avg_pool2d(x, 2, stride=(1, 1, 1))
    for wrong in (2.0, (2.5, 2), "2", None):
        with pytest.raises(ArgumentError, match="max_pool2d: kernel_size must be a whole"):
            nn.max_pool2d(x, wrong)  # type: ignore[arg-type]
    assert nn.max_pool2d(x, np.int64(2)).shape == (1, 2, 2, 2)  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match="must hold a window of 5"):
        nn.avg_pool2d(x, 5)
    with pytest.raises(ArgumentError, match="output_size"):
        nn.adaptive_avg_pool2d(x, 0)
    with pytest.raises(ShapeError, match="at least one pixel"):
        nn.adaptive_max_pool2d(device.buffer(f32, (1, 0, 4, 2)), 1)
    with pytest.raises(ShapeError, match="with pixels"):
        nn.global_avg_pool(device.buffer(f32, (1, 0, 2)))
    with pytest.raises(DTypeError, match="max_pool2d"):
        nn.max_pool2d(device.buffer(i32, (1, 4, 4, 2)), 2)


@given(old=st.integers(2**16, 2**18), new=st.integers(2**16, 2**18))
@example(old=70000, new=140000)
@example(old=2**16 + 1, new=2**16)
@settings(max_examples=draws(8), deadline=None)
def test_adaptive_pooling_of_many_pixels(device: Device, old: int, new: int) -> None:
    """Places times extents need more than 32 bits."""
    x = up(device, np.arange(old, dtype=np.float32).reshape(1, 1, old, 1))
    last = -(-np.arange(1, new + 1) * old // new) - 1
    result = nn.adaptive_max_pool2d(x, (1, new)).read().ravel()
    np.testing.assert_array_equal(result, last)
    first = np.arange(new) * old // new
    means = nn.adaptive_avg_pool2d(x, (1, new)).read().ravel()
    # Sums of a few whole numbers below 2^18 are exact, quotients within 2.5 units in the last.
    np.testing.assert_allclose(means, (first + last) / 2, rtol=2.5 * 2.0**-23)
