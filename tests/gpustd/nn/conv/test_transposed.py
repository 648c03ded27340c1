"""Transposed convolution against its definition in NumPy float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpucore import ArgumentError, Buffer, Device, DType, ShapeError, f16, f32
from gpustd import nn
from tests.draws import draws
from tests.gpustd.matmul.small_tiles import on_variant
from tests.gpustd.nn.oracle import (
    EPS,
    case_name,
    check,
    draw_normal,
    scatter_windows,
    strided_view,
    up,
)

CALLS: dict[int, Callable[..., Buffer[Any]]] = {
    1: nn.conv_transpose1d,
    2: nn.conv_transpose2d,
    3: nn.conv_transpose3d,
}
KERNELS = {1: (4,), 2: (3, 2), 3: (2, 3, 2)}
WIDTHS = ((1, 8, 12), (1, 5, 3), (2, 8, 16), (8, 8, 8), (4, 4, 8))

Numbers = tuple[tuple[int, ...], ...]


def run(
    device: Device,
    shape: tuple[int, ...],
    kernel: tuple[int, ...],
    widths: tuple[int, int, int],
    numbers: Numbers,
    dtype: type[DType] = f32,
) -> None:
    """``numbers`` are stride, padding, output padding and dilation."""
    rank, (groups, inputs, outputs) = len(shape) - 1, widths
    x = strided_view(draw_normal(0, (*shape, inputs), dtype))
    w = strided_view(draw_normal(1, (*kernel, inputs // groups, outputs), dtype))
    b = draw_normal(2, (outputs,))
    stride, padding, more, dilation = numbers
    operands = up(device, x), up(device, w), up(device, b)
    result = CALLS[rank](*operands, stride, padding, more, groups, dilation).read()
    named: dict[str, Any] = {"stride": stride, "padding": padding, "more": more}
    named |= {"dilation": dilation, "groups": groups}
    wide = x.astype(np.float64), w.astype(np.float64)
    expected = scatter_windows(*wide, **named) + b
    size = scatter_windows(np.abs(wide[0]), np.abs(wide[1]), **named) + np.abs(b)
    # A product and a sum for each term, in any order, and the bias.
    allowed = EPS * (np.prod(w.shape[:-1]) + 2) * size
    check(device, f"conv_transpose{rank}d", result, expected, allowed)


@st.composite
def windows(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[int, ...], Numbers]:
    """Extents, a kernel, and stride, padding, output padding and dilation of each axis."""
    rank = draw(st.integers(1, 3))
    extents = draw(st.tuples(*[st.sampled_from([1, 2, 3, 5, 6])] * rank))
    kernel = draw(st.sampled_from([KERNELS[rank], (1,) * rank]))
    each = [draw(st.tuples(*[st.integers(*ends)] * rank)) for ends in ((1, 3), (0, 2), (1, 2))]
    more = tuple(draw(st.integers(0, max(s, d) - 1)) for s, d in zip(each[0], each[2], strict=True))
    return extents, kernel, (each[0], each[1], more, each[2])


@given(drawn_windows=windows(), images=st.sampled_from([1, 2]), widths=st.sampled_from(WIDTHS))
@settings(max_examples=draws(30), deadline=None)
def test_matches_its_definition(
    device: Device, drawn_windows: Any, images: int, widths: tuple[int, int, int]
) -> None:
    """Padding that takes all of it away is refused."""
    extents, kernel, numbers = drawn_windows
    sizes = zip(extents, kernel, *numbers, strict=True)
    made = [(n - 1) * s + (k - 1) * d + 1 + m - 2 * p for n, k, s, p, m, d in sizes]
    if min(made) > 0:
        run(device, (images, *extents), kernel, widths, numbers)
    else:
        with pytest.raises(ShapeError, match="at least one result"):
            run(device, (images, *extents), kernel, widths, numbers)


# In f16 not the widest product, which software renderers take ten seconds to compile.
@pytest.mark.parametrize(
    ("widths", "dtype"),
    [*((w, f32) for w in WIDTHS), *((w, f16) for w in WIDTHS[1:])],
    ids=case_name,
)
def test_numbers_of_their_own_for_each_axis(
    device: Device, widths: tuple[int, int, int], dtype: type[DType]
) -> None:
    run(device, (2, 3, 4), (4, 3), widths, ((2, 3), (1, 0), (1, 2), (1, 2)), dtype)


@pytest.mark.parametrize(
    ("kernel", "padding"), [((4, 4), (1, 1)), ((6, 4), (1, 1)), ((6, 8), (3, 3))], ids=str
)
def test_doubling(device: Device, kernel: tuple[int, ...], padding: tuple[int, ...]) -> None:
    """One product for the four parities of the results."""
    run(device, (2, 3, 5), kernel, (1, 5, 3), ((2, 2), padding, (0, 0), (1, 1)))


@pytest.mark.parametrize("variant", ["tiled", "matrix"])
def test_doubling_on_variants(
    device: Device, variant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with on_variant(device, variant, monkeypatch):
        numbers = ((2, 2), (1, 1), (0, 0), (1, 1))
        run(device, (2, 3, 5), (4, 4), (1, 8, 16), numbers, f16 if variant == "matrix" else f32)


def test_results_that_no_tap_meets_are_the_bias(device: Device) -> None:
    x, w = up(device, draw_normal(0, (1, 3, 4))), up(device, draw_normal(1, (2, 4, 4)))
    y = nn.conv_transpose1d(x, w, up(device, draw_normal(2, (4,))), stride=4).read()
    np.testing.assert_array_equal(y[0, 2::4], np.broadcast_to(draw_normal(2, (4,)), (2, 4)))


def test_undoes_the_extents_of_a_convolution(device: Device) -> None:
    x, w = device.buffer(f32, (2, 11, 4)), device.buffer(f32, (3, 4, 6))
    back = device.buffer(f32, (3, 6, 4))
    y = nn.conv1d(x, w, stride=2, padding=1)
    assert nn.conv_transpose1d(y, back, stride=2, padding=1).shape == x.shape


def test_empty(device: Device) -> None:
    x, w = device.buffer(f32, (0, 5, 4)), device.buffer(f32, (3, 4, 6))
    assert nn.conv_transpose1d(x, w, stride=2).read().shape == (0, 11, 6)


def test_refuses(device: Device) -> None:
    x, w = device.buffer(f32, (1, 5, 4)), device.buffer(f32, (3, 4, 6))
    with pytest.raises(ArgumentError, match=r"output_padding must be less than .* got 2"):
        nn.conv_transpose1d(x, w, stride=2, output_padding=2)
    with pytest.raises(ShapeError, match="at least one result"):
        nn.conv_transpose1d(x, w, padding=4)
    with pytest.raises(ShapeError, match="weight must be"):
        nn.conv_transpose1d(x, device.buffer(f32, (3, 5, 6)))
    with pytest.raises(ShapeError, match="bias"):
        nn.conv_transpose1d(x, w, device.buffer(f32, 4))
