"""conv1d to conv3d against NumPy float64, on every kernel that may run them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gpucore import (
    ArgumentError,
    Buffer,
    Device,
    DType,
    DTypeError,
    Kernel,
    ShapeError,
    f16,
    f32,
)
from gpustd import nn
from gpustd.launch import template
from gpustd.launch.variants import force_variant
from gpustd.nn.conv import grouped, winograd_slices
from gpustd.nn.conv.blocks import Block
from gpustd.nn.conv.grouped import GroupTile
from tests.draws import draws
from tests.gpustd.emulated_units import emulated, need_matrix_units
from tests.gpustd.matmul.small_tiles import on_variant
from tests.gpustd.nn.oracle import (
    DTYPES,
    EPS,
    case_name,
    check,
    convolution,
    draw_normal,
    strided_view,
    up,
)
from tests.gpustd.null_validator import assert_accepted
from tests.gpustd.reference.winograd import transforms

# Cases are sizes, dtypes, tiles and variants.
pytestmark = pytest.mark.sampled

Array = NDArray[Any]

CALLS: dict[int, Callable[..., Buffer[Any]]] = {1: nn.conv1d, 2: nn.conv2d, 3: nn.conv3d}
EXTENTS = {1: (11,), 2: (9, 7), 3: (4, 5, 6)}
KERNELS = {1: (3,), 2: (3, 2), 3: (2, 3, 2)}
# groups, input and output channels: dense, by groups, depthwise, with a multiplier
WIDTHS = ((1, 8, 12), (1, 5, 3), (2, 8, 16), (3, 6, 3), (8, 8, 8), (3, 3, 3), (4, 4, 8))


def run(
    device: Device,
    shape: tuple[int, ...],
    kernel: tuple[int, ...],
    widths: tuple[int, int, int],
    dtype: type[DType] = f32,
    numbers: tuple[Any, Any, Any] = (1, 0, 1),
    bias: bool = True,
    spoilt: bool = False,
) -> None:
    """One convolution of random operands with stride, padding and dilation, checked.

    ``spoilt``: an infinity and a NaN are among the pixels.
    """
    rank, (groups, inputs, outputs) = len(shape) - 1, widths
    stride, padding, dilation = numbers
    x = draw_normal(0, (*shape, inputs), dtype)
    if spoilt:
        x.reshape(-1)[[inputs + 1, -3]] = np.inf, np.nan
    x, w = (
        strided_view(x),
        strided_view(draw_normal(1, (*kernel, inputs // groups, outputs), dtype)),
    )
    b = draw_normal(2, (outputs,)) if bias else np.zeros(outputs, np.float32)
    operands = up(device, x), up(device, w), up(device, b) if bias else None
    result = CALLS[rank](*operands, stride, padding, dilation, groups).read()
    steps = [n if isinstance(n, tuple) else (n,) * rank for n in (stride, dilation)]
    pads = _pads(padding, kernel, steps[1])
    wide = x.astype(np.float64), w.astype(np.float64)
    named: dict[str, Any] = {"stride": steps[0], "padding": pads, "dilation": steps[1]}
    expected = convolution(*wide, **named, groups=groups) + b
    size = convolution(np.abs(wide[0]), np.abs(wide[1]), **named, groups=groups) + np.abs(b)
    # A product and a sum for each term, in any order, and the bias.
    terms = np.prod(w.shape[:-1])
    check(device, f"conv{rank}d", result, expected, EPS * (terms + 2) * np.nan_to_num(size))


def _pads(
    padding: Any, kernel: tuple[int, ...], dilation: tuple[int, ...]
) -> list[tuple[int, int]]:
    if padding == "same":
        totals = [(k - 1) * d for k, d in zip(kernel, dilation, strict=True)]
        return [(n // 2, n - n // 2) for n in totals]
    if padding == "valid":
        padding = 0
    numbers = padding if isinstance(padding, tuple) else (padding,) * len(kernel)
    return [(n, n) for n in numbers]


@st.composite
def windows(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[int, ...], tuple[Any, Any, Any]]:
    """Extents, a kernel, and stride, padding and dilation, for all axes or for each."""
    rank = draw(st.integers(1, 3))
    extents = draw(st.tuples(*[st.sampled_from([1, 2, 3, 5, 7, 8])] * rank))
    kernel = draw(st.sampled_from([KERNELS[rank], (1,) * rank]))
    for_each = draw(st.booleans())

    def number(least: int, most: int) -> Any:
        one = st.integers(least, most)
        return draw(st.tuples(*[one] * rank) if for_each else one)

    padding = draw(st.sampled_from(["same", "valid"])) if draw(st.booleans()) else number(0, 2)
    stride = (1,) * rank if padding == "same" else number(1, 3)
    return extents, kernel, (stride, padding, number(1, 2))


@given(
    drawn_windows=windows(),
    images=st.sampled_from([1, 2]),
    widths=st.sampled_from(WIDTHS),
    bias=st.booleans(),
)
@settings(max_examples=draws(40), deadline=None)
def test_matches_float64(
    device: Device, drawn_windows: Any, images: int, widths: tuple[int, int, int], bias: bool
) -> None:
    """Images that hold no window are refused."""
    extents, kernel, (stride, padding, dilation) = drawn_windows
    shape = (images, *extents)
    steps = dilation if isinstance(dilation, tuple) else (dilation,) * len(kernel)
    pads = _pads(padding, kernel, steps)
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, steps, strict=True)]
    if all(n + sum(p) >= s for n, p, s in zip(extents, pads, spans, strict=True)):
        run(device, shape, kernel, widths, f32, (stride, padding, dilation), bias)
    else:
        with pytest.raises(ShapeError, match="at least one window"):
            run(device, shape, kernel, widths, f32, (stride, padding, dilation), bias)


# In f16 not the widest product, which software renderers take ten seconds to compile.
@pytest.mark.parametrize(
    ("widths", "dtype"),
    [*((w, f32) for w in WIDTHS), *((w, f16) for w in WIDTHS[1:])],
    ids=case_name,
)
def test_numbers_of_their_own_for_each_axis(
    device: Device, widths: tuple[int, int, int], dtype: type[DType]
) -> None:
    run(device, (2, 9, 7), (2, 3), widths, dtype, ((2, 1), (1, 3), (1, 2)))
    run(device, (1, 1, 1), (1, 1), widths, dtype)
    run(device, (3, 2, 2), (1, 1), widths, dtype, (2, 0, 1), bias=False)


@pytest.mark.parametrize("variant", ["tiled", "narrow", "matrix", "lanes", "cpu", "naive"])
def test_products_over_three_axes(
    device: Device, variant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The addressing of ``voxels`` under every variant of the product."""
    dtype = f16 if variant == "matrix" else f32
    if variant == "lanes" and (not device.is_cpu or "subgroups" not in device.features):
        pytest.skip("for software renderers with subgroups")
    outputs = 4 if variant == "narrow" else 16
    numbers = ((1, 2, 1), (1, 0, 2), (1, 1, 2))
    with ExitStack() as stack:
        stack.enter_context(on_variant(device, variant, monkeypatch))
        stack.enter_context(force_variant("nn.conv", "voxels"))
        run(device, (2, 3, 5, 6), (2, 2, 3), (1, 8, outputs), dtype, numbers)


def run_in_blocks(
    device: Device, shape: tuple[int, ...], outputs: int, block: int, dtype: type[DType]
) -> Array:
    """Check and return a 3 x 3 x 3 convolution of padding "same" in blocks of results."""
    channels = shape[-1]
    x, w = draw_normal(0, shape, dtype), draw_normal(1, (3, 3, 3, channels, outputs), dtype)
    b = draw_normal(2, (outputs,))
    operands = up(device, x), up(device, w), up(device, b)
    with force_variant("nn.winograd", "blocks", block):
        result = nn.conv3d(*operands, padding="same").read()
    wide = x.astype(np.float64), w.astype(np.float64)
    named: dict[str, Any] = {"stride": (1,) * 3, "dilation": (1,) * 3, "padding": [(1, 1)] * 3}
    expected = convolution(*wide, **named, groups=1) + b
    size = convolution(np.abs(wide[0]), np.abs(wide[1]), **named, groups=1) + np.abs(b)
    # The direct form's, and of what is rounded once more seven times the root mean square: see
    # tests.gpustd.reference.winograd, whose channels are here those of three slices.
    to, of, by = (m**2 for m in transforms(block))
    along = np.max(to @ (of.sum(axis=1) * by.sum(axis=1)))
    rounded = 2.0**-11 if dtype is f16 else EPS
    more = 7 * rounded * along * np.sqrt(9 * channels) * np.std(wide[0]) * np.std(wide[1])
    check(device, "conv3d", result, expected, EPS * (27 * channels + 2) * size + more)
    return np.asarray(result)


@pytest.mark.parametrize(
    ("variant", "block", "shape"),
    [
        ("tiled", 4, (2, 3, 5, 6, 8)),
        ("matrix", 2, (2, 3, 5, 6, 8)),
        # Rows that fill tiles.
        ("matrix", 4, (1, 4, 16, 8, 8)),
        ("lanes", 2, (1, 3, 4, 5, 4)),
        ("cpu", 4, (1, 3, 4, 5, 4)),
        ("naive", 2, (1, 3, 4, 5, 4)),
    ],
    ids=str,
)
def test_planes_in_blocks(
    device: Device,
    variant: str,
    block: int,
    shape: tuple[int, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if variant == "lanes" and (not device.is_cpu or "subgroups" not in device.features):
        pytest.skip("for software renderers with subgroups")
    with on_variant(device, variant, monkeypatch):
        run_in_blocks(device, shape, 64, block, f16 if variant == "matrix" else f32)


def test_large_volumes_are_done_image_by_image(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run_in_blocks(device, (3, 2, 5, 6, 4), 8, 4, f32)
    monkeypatch.setattr(winograd_slices, "_MOST_BYTES", 1)
    np.testing.assert_array_equal(run_in_blocks(device, (3, 2, 5, 6, 4), 8, 4, f32), whole)


def test_blocks_are_for_windows_of_stride_1_and_padding_1(device: Device) -> None:
    with force_variant("nn.winograd", "blocks", 2):
        run(device, (1, 4, 5, 6), (3, 3, 3), (1, 4, 4), f32, (1, 0, 1))
        run(device, (1, 4, 5, 6), (3, 3, 3), (1, 4, 4), f32, (1, 2, 2))
        run(device, (1, 4, 5, 6), (3, 3, 3), (1, 4, 4), f32, (2, 1, 1))
        run(device, (1, 4, 5, 6), (2, 3, 3), (1, 4, 4), f32, (1, 1, 1))


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_unfolding(device: Device, rank: int) -> None:
    """GPUs take this form where the window has more taps than a mask has bits."""
    with force_variant("nn.conv", "unfold"):
        run(device, (2, *EXTENTS[rank]), (2,) * rank, (1, 3, 4), numbers=(2, 1, 2))


@pytest.mark.parametrize(
    "block",
    [
        Block(),
        Block(2, 2),
        Block(3, 2, 4),
        Block(1, 4),
        Block(2, 2, width=2, ahead=True),
        Block(2, 3, lines=2),
    ],
    ids=str,
)
def test_blocks_of_depthwise(device: Device, block: Block) -> None:
    """GPUs compute a block of results an invocation."""
    with force_variant("nn.depthwise", "block", block):
        run(device, (1, 9, 7), (3, 2), (3, 3, 3), f32, (2, 2, 1), bias=False)
        run(device, (1, 3, 9, 7), (2, 2, 1), (4, 4, 4), f32, (1, 2, 2))


@DTYPES
def test_block_of_depthwise_in_each_dtype(device: Device, dtype: type[DType]) -> None:
    with force_variant("nn.depthwise", "block", Block(2, 1)):
        run(device, (2, 9, 7), (3, 3), (12, 12, 12), dtype, (1, 1, 1))
    # As many taps as stay in registers as they are in memory.
    with force_variant("nn.depthwise", "block", Block(1, 2, width=2)):
        run(device, (1, 5, 6), (7, 5), (4, 4, 4), dtype, (1, 3, 1))


def stale_kernel(device: Device, name: str, **spec: template.Value) -> Kernel:
    """Emulated, where workgroup memory begins with what another workgroup left.

    The sanitizer, whose memory begins with nothing, checks the text without that.
    """
    source = template.render(name, spec)
    body = source.index("{\n", source.index("fn main(")) + 2
    stale = "    atomicStore(&unbounded, 1000u);\n    workgroupBarrier();\n"
    return emulated(device, source[:body] + stale + source[body:], source, name)


@pytest.mark.parametrize(
    ("group", "tile", "kernel", "numbers"),
    [
        (8, GroupTile(2, 3), (2, 1), (1, (1, 1), 1)),
        (2, GroupTile(1), (1, 2), ((2, 1), (0, 1), (1, 2))),
    ],
    ids=str,
)
def test_groups_on_matrix_units(
    device: Device,
    group: int,
    tile: GroupTile,
    kernel: tuple[int, ...],
    numbers: tuple[Any, Any, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    need_matrix_units(device)
    if not device.has_matrix_units:
        monkeypatch.setattr(grouped, "kernel", stale_kernel)
    with force_variant("nn.grouped", "matrix", tile):
        for spoilt in (False, True):
            widths = (32 // group, 32, 32)
            run(device, (2, 7, 19), kernel, widths, f16, numbers, group != 2, spoilt)


NULL_CHECK = """
from gpustd.launch.template import render
spec = dict(matrix=True, bias=True, kernel_y=3, kernel_x=3, dilation_y=1, dilation_x=1)
spec |= dict(stride_y=1, stride_x=1, words=512)
for group in (2, 4, 8, 16):
    for rows, held in ((4, 4), (4, 3), (1, 1)):
        tile = dict(group=group, rows=rows, held=held)
        sources.append(render("nn/grouped_matrix.wgsl", {**spec, **tile}))
"""


def test_dawn_accepts_groups_on_matrix_units() -> None:
    assert_accepted(NULL_CHECK)


@pytest.mark.parametrize("groups", [1, 2, 8])
def test_result_does_not_depend_on_the_batch(device: Device, groups: int) -> None:
    x, w = draw_normal(0, (3, 4, 5, 6, 8)), draw_normal(1, (2, 2, 2, 8 // groups, 8))
    weights = up(device, w)
    together = nn.conv3d(up(device, x), weights, groups=groups).read()
    for image in range(3):
        alone = nn.conv3d(up(device, x[image : image + 1]), weights, groups=groups).read()
        np.testing.assert_array_equal(together[image : image + 1], alone)


def test_empty(device: Device) -> None:
    x, w = device.buffer(f32, (0, 5, 4)), device.buffer(f32, (3, 4, 6))
    assert nn.conv1d(x, w).read().shape == (0, 3, 6)


def test_refuses(device: Device) -> None:
    x, w = device.buffer(f32, (1, 5, 5, 4)), device.buffer(f32, (3, 3, 4, 6))
    with pytest.raises(ShapeError, match=r"must be \(N, L, C\)"):
        nn.conv1d(x, w)
    with pytest.raises(ShapeError, match=r"must be \(kh, kw, C / groups, Cout\)"):
        nn.conv2d(x, device.buffer(f32, (3, 4, 6)))
    with pytest.raises(ShapeError, match="in 2 groups"):
        nn.conv2d(x, w, groups=2)
    with pytest.raises(ShapeError, match="at least one window"):
        nn.conv2d(x, device.buffer(f32, (6, 1, 4, 6)))
    with pytest.raises(ArgumentError, match="'same' with stride 1"):
        nn.conv2d(x, w, stride=2, padding="same")
    with pytest.raises(ArgumentError, match="dilation"):
        nn.conv2d(x, w, dilation=0)
    with pytest.raises(ShapeError, match="bias"):
        nn.conv2d(x, w, device.buffer(f32, 4))
    if device.has_f16:
        half = up(device, np.zeros((3, 3, 4, 6), np.float16))
        with pytest.raises(DTypeError, match="conv2d"):
            nn.conv2d(x, half)
        with pytest.raises(DTypeError, match="bias must be f32"):
            nn.conv2d(x, w, up(device, np.zeros(6, np.float16)))
