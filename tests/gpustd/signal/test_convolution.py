"""Convolution and correlation against SciPy in float64, on every engine."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gpucore import ArgumentError, Device, DTypeError, ShapeError, f16, f32
from gpustd import signal
from gpustd.launch.variants import force_variant
from gpustd.signal import convolution, direct_convolution
from tests.draws import draws
from tests.gpustd.compare import compare
from tests.gpustd.poison import poison_pool
from tests.gpustd.signal.tolerance import U, transform_error

Array = NDArray[Any]

MODES = ("full", "same", "valid")


def numbers(shape: tuple[int, ...], *, complex_: bool = False, seed: int = 0) -> Array:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape).astype(np.float32)
    return (x + 1j * rng.standard_normal(shape)).astype(np.complex64) if complex_ else x


def exact(x: Array) -> Array:
    return x.astype(np.complex128 if np.iscomplexobj(x) else np.float64)


def allowed_direct(a: Array, b: Array) -> float:
    """Return the rounding of n products and n - 1 sums, twice for complex numbers.

    That is gamma_(2 n) times the sum of the terms' sizes, which Cauchy and Schwarz bound.
    """
    return 2 * min(a.size, b.size) * U * float(np.linalg.norm(a) * np.linalg.norm(b))


def allowed_transforms(a: Array, b: Array, length: int) -> float:
    """Return the error of each number of a convolution along one axis, or over all.

    By Cauchy and Schwarz, errors of both spectra and of their product (sqrt(5) U) are at most such
    shares of both operands' norms. The way back adds its share of the result's norm, which is no
    larger than those times the root of the shorter one's length.
    """
    flat = a.ndim != 3
    norms = [np.linalg.norm(x) if flat else np.linalg.norm(x, axis=1).max() for x in (a, b)]
    taps = min(a.size, b.size) if flat else min(a.shape[1], b.shape[1])
    error = (2 + taps**0.5) * transform_error(length) + math.sqrt(5) * U
    return float(error * norms[0] * norms[1])


KINDS = st.sampled_from([(False, False), (True, False), (False, True), (True, True)])


@settings(max_examples=draws(40), deadline=None)
@given(
    first=st.lists(st.sampled_from([1, 2, 5, 11]), min_size=1, max_size=3),
    second=st.lists(st.sampled_from([1, 3, 4]), min_size=3, max_size=3),
    name=st.sampled_from(["convolve", "correlate"]),
    mode=st.sampled_from(MODES),
    method=st.sampled_from(["direct", "auto", "fft"]),
    kinds=KINDS,
    swapped=st.booleans(),
)
def test_over_all_axes(
    device: Device,
    first: list[int],
    second: list[int],
    name: str,
    mode: str,
    method: str,
    kinds: tuple[bool, bool],
    swapped: bool,
) -> None:
    """Operands are views; where neither holds the other, "valid" is refused."""
    a = numbers(tuple(first[::-1]), complex_=kinds[0]).T
    b = numbers(tuple(second[: len(first)]), complex_=kinds[1], seed=1)
    if swapped:
        a, b = b, a
    operands = device.buffer_from_array(a), device.buffer_from_array(b)
    try:
        expected = getattr(scipy.signal, name)(exact(a), exact(b), mode, "direct")
    except ValueError:
        with pytest.raises(ShapeError, match="must hold the other"):
            getattr(signal, name)(*operands, mode, method)
        return
    poison_pool(device, expected.size * 4, expected.size * 8)
    result = getattr(signal, name)(*operands, mode, method).read()
    allowed = allowed_direct(a, b)
    if method != "direct":
        allowed = max(allowed, allowed_transforms(a, b, whole_length(a, b)))
    compare(device, f"signal.{name}", result, expected, allowed)


def whole_length(a: Array, b: Array) -> int:
    """Return the least power of two that holds the results of the full convolution."""
    size = math.prod(2 * (m + n) for m, n in zip(a.shape, b.shape, strict=True))
    return 1 << size.bit_length()


@settings(max_examples=draws(30), deadline=None)
@given(
    extents=st.lists(
        st.tuples(st.sampled_from([1, 2, 5, 18, 40]), st.sampled_from([1, 3, 7])),
        min_size=1,
        max_size=3,
    ),
    long=st.sampled_from([None, None, 2500]),
    data=st.data(),
    name=st.sampled_from(["fftconvolve", "oaconvolve"]),
    mode=st.sampled_from(MODES),
    kinds=KINDS,
    swapped=st.booleans(),
)
def test_over_some_axes(
    device: Device,
    extents: list[tuple[int, int]],
    long: int | None,
    data: st.DataObject,
    name: str,
    mode: str,
    kinds: tuple[bool, bool],
    swapped: bool,
) -> None:
    """Other extents are the same or 1 and repeated; arguments that SciPy refuses are refused.

    A long operand is convolved by blocks, where that is the only convolved axis.
    """
    rank = len(extents)
    one = st.integers(-rank, rank - 1)
    axes = data.draw(st.none() | one | st.lists(one, min_size=1, max_size=rank))
    moving = {
        a % rank
        for a in (range(rank) if axes is None else [axes] if isinstance(axes, int) else axes)
    }
    shapes = [
        (m, n) if axis in moving else data.draw(st.sampled_from([(n, n), (1, n), (n, 1), (m, n)]))
        for axis, (m, n) in enumerate(extents)
    ]
    if long and len(moving) == 1:
        shapes[moving.pop()] = (long, 9)
    a, b = (
        numbers(shape, complex_=kind, seed=k)
        for k, (shape, kind) in enumerate(zip(zip(*shapes, strict=True), kinds, strict=True))
    )
    if swapped:
        a, b = b, a
    operands = device.buffer_from_array(a), device.buffer_from_array(b)
    try:
        expected = getattr(scipy.signal, name)(exact(a), exact(b), mode, axes)
    except ValueError:
        with pytest.raises((ShapeError, ArgumentError), match=name):
            getattr(signal, name)(*operands, mode, axes)
        return
    poison_pool(device, expected.size * 4, expected.size * 8)
    result = getattr(signal, name)(*operands, mode, axes).read()
    # Norms of all of an operand bound those of what is convolved.
    allowed = allowed_transforms(a.ravel(), b.ravel(), whole_length(a, b))
    compare(device, f"signal.{name}", result, expected, allowed)


def test_automatic_method(device: Device) -> None:
    """Two long operands go through transforms; a short one takes the definition."""
    for n in (64, 65):
        a, b = numbers((960,)), numbers((n,), seed=1)
        result = signal.convolve(device.buffer_from_array(a), device.buffer_from_array(b))
        expected = np.convolve(exact(a), exact(b))
        allowed = max(allowed_transforms(a, b, 1024), allowed_direct(a, b))
        compare(device, "signal.convolve", result.read(), expected, allowed)


@pytest.mark.parametrize("words", [1, 2])
def test_rows_by_definition(device: Device, monkeypatch: pytest.MonkeyPatch, words: int) -> None:
    """Run the kernel of GPUs: words of four results, whole and cut ones, and any place of taps."""
    monkeypatch.setattr(direct_convolution, "_MANY_WORDS", 1 if words == 2 else 2**20)
    for shape, taps in (((1203,), 21), ((3, 400), 30), ((9,), 5), ((1203,), 1)):
        a, b = numbers(shape), numbers((1,) * (len(shape) - 1) + (taps,), seed=1)
        operands = device.buffer_from_array(a), device.buffer_from_array(b)
        for mode in MODES:
            expected = scipy.signal.convolve(exact(a), exact(b), mode, "direct")
            poison_pool(device, expected.size * 4)
            with force_variant("convolve", "direct_rows"):
                result = signal.convolve(*operands, mode, "direct").read()
            compare(device, "signal.convolve", result, expected, allowed_direct(a, b))


@pytest.mark.parametrize("mode", MODES)
def test_two_blocks_as_one_complex_row(
    device: Device, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    """Run the kernel of GPUs, which transforms forth and back in one workgroup.

    Of an odd number of blocks one is alone.
    """
    monkeypatch.setattr(convolution, "_MIN_BLOCK", 64)
    for shape, taps, axis in (((2, 400), 17, 1), ((350, 1), 9, 0)):
        a = numbers(shape)
        b = numbers((taps,), seed=1).reshape([taps if k == axis else 1 for k in (0, 1)])
        expected = scipy.signal.oaconvolve(exact(a), exact(b), mode, axes=axis)
        operands = device.buffer_from_array(a), device.buffer_from_array(b)
        poison_pool(device, expected.size * 4)
        with force_variant("fft", "workgroup", 16384):
            result = signal.oaconvolve(*operands, mode, axes=axis).read()
        compare(device, "signal.oaconvolve", result, expected, allowed_transforms(a, b, 512))


def test_blocks_longer_than_the_result(device: Device) -> None:
    """The middle of a long operand along a short one is shorter than a block."""
    a, b = numbers((9,)), numbers((2500,), seed=1)
    expected = scipy.signal.oaconvolve(exact(a), exact(b), "same")
    operands = device.buffer_from_array(a), device.buffer_from_array(b)
    poison_pool(device, 36)
    poison_pool(device, 4096)
    with force_variant("fft", "workgroup", 16384):
        result = signal.oaconvolve(*operands, "same").read()
    compare(device, "signal.oaconvolve", result, expected, allowed_transforms(a, b, 4096))


@pytest.mark.parametrize("shapes", [((1, 9), (3, 2500)), ((1, 2500), (3, 9))], ids=str)
def test_the_middle_is_of_the_first_along_all_axes(
    device: Device, shapes: tuple[tuple[int, int], tuple[int, int]]
) -> None:
    a, b = (numbers(shape, seed=i) for i, shape in enumerate(shapes))
    expected = scipy.signal.oaconvolve(exact(a), exact(b), "same")
    operands = device.buffer_from_array(a), device.buffer_from_array(b)
    result = signal.oaconvolve(*operands, "same").read()
    compare(device, "signal.oaconvolve", result, expected, allowed_transforms(a, b, 4096))


@pytest.mark.parametrize("shapes", [((1, 8), (100, 16)), ((1, 4), (3, 8))], ids=str)
def test_the_middle_row_by_definition(
    device: Device, shapes: tuple[tuple[int, int], tuple[int, int]]
) -> None:
    a, b = (numbers(shape, seed=i) for i, shape in enumerate(shapes))
    expected = scipy.signal.convolve(exact(a), exact(b), "same", "direct")
    operands = device.buffer_from_array(a), device.buffer_from_array(b)
    with force_variant("convolve", "direct_rows"):
        result = signal.convolve(*operands, "same", "direct").read()
    compare(device, "signal.convolve", result, expected, allowed_direct(a, b))


def test_integers_are_exact_by_definition(device: Device) -> None:
    x = np.random.default_rng(0).integers(-9, 9, (3, 40)).astype(np.float32)
    h = np.random.default_rng(1).integers(-9, 9, (2, 5)).astype(np.float32)
    result = signal.convolve(device.buffer_from_array(x), device.buffer_from_array(h)).read()
    np.testing.assert_array_equal(result, scipy.signal.convolve(x, h, method="direct"))


def test_nothing_gives_nothing(device: Device) -> None:
    x, h = device.buffer(f32, 0), device.buffer(f32, 3)
    for function in (signal.convolve, signal.fftconvolve, signal.oaconvolve):
        assert function(x, h).shape == (0,)


def test_wrong_arguments(device: Device) -> None:
    x, h = device.buffer(f32, (4, 2)), device.buffer(f32, (2, 4))
    with pytest.raises(ShapeError, match="must hold the other"):
        signal.convolve(x, h, "valid")
    with pytest.raises(ShapeError, match="same number of axes"):
        signal.correlate(x, device.buffer(f32, 4))
    with pytest.raises(ShapeError, match="must agree or be 1"):
        signal.fftconvolve(x, device.buffer(f32, (2, 3)), axes=0)
    with pytest.raises(ShapeError, match="axes must differ"):
        signal.fftconvolve(x, x, axes=(0, -2))
    with pytest.raises(ArgumentError, match="must name one at least"):
        signal.oaconvolve(x, x, axes=())
    with pytest.raises(ArgumentError, match=r"mode must be .*'half'"):
        signal.convolve(x, h, "half")
    with pytest.raises(ArgumentError, match=r"method must be .*'fast'"):
        signal.convolve(x, h, method="fast")
    with pytest.raises(DTypeError, match="cast"):
        signal.convolve(device.buffer(f16, 4), device.buffer(f16, 4))
