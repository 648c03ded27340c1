"""Linear filters against SciPy in float64, in one block and in many, on every engine."""

from __future__ import annotations

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
from tests.draws import draws
from tests.gpustd.compare import compare
from tests.gpustd.poison import poison_pool
from tests.gpustd.signal.tolerance import U

Array = NDArray[Any]

# Samples of a block: all in one, ragged blocks, and more of them than a run takes (64).
BLOCKS = [None, 7, 2]


def round_coefficients(x: Any) -> Array:
    """Return coefficients as the device has them, in float64."""
    return np.asarray(x, np.float32).astype(np.float64)


BUTTER = tuple(round_coefficients(c) for c in scipy.signal.butter(3, 0.3))
SECTIONS = round_coefficients(scipy.signal.ellip(5, 1, 40, 0.2, output="sos"))


def numbers(shape: tuple[int, ...], *, complex_: bool = False, seed: int = 0) -> Array:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape).astype(np.float32)
    return (x + 1j * rng.standard_normal(shape)).astype(np.complex64) if complex_ else x


def exact(x: Array) -> Array:
    return x.astype(np.complex128 if np.iscomplexobj(x) else np.float64)


def filter_rows(b: Array, a: Array) -> Array:
    """Return a filter as rows of b and a of one length."""
    order = max(len(a), len(b)) - 1
    pad = [np.pad(c / a[0], (0, order + 1 - len(c))) for c in (b, a)]
    return np.concatenate(pad)[None]


def allowed(sections: Array, x: Array, block: int | None, states: Array | None = None) -> float:
    """Return the error of a cascade in f32 on signals along the last axis.

    The rows of ``sections`` are b and a. A sample rounds a section's result twice and each state
    four times, on numbers no larger than the sums of their terms. A block's start rounds each state
    as often as there are states, and once more. A rounding shows in the result as the response to
    it, through the later sections. Roundings of random signals are independent, with a deviation of
    U / sqrt(3) each, so that squares add up; six deviations are allowed.
    """
    taps = sections.shape[1] // 2
    count = (taps - 1) * len(sections)
    given = 0.0 if states is None else float(np.abs(states).max(initial=0))
    flow, largest, squares = exact(x), float(np.abs(x).max(initial=0)), 0.0
    for k, row in enumerate(sections):
        b, a = np.abs(row[:taps]), np.abs(row[taps:])
        responses = [state_response(row, unit) for unit in np.eye(taps - 1)]
        growth = max(1.0, sum(float(np.abs(r).max()) for r in responses))
        flow = scipy.signal.lfilter(row[:taps], row[taps:], flow) if flow.size else flow
        passed = float(np.abs(flow).max(initial=0)) + given * growth
        terms = b * largest + a * passed
        tails = np.append(np.cumsum(terms[:0:-1])[::-1], 0.0)
        later = sections[k + 1 :]
        gains = np.array([square_sum(r, later) for r in responses])
        around = square_sum(np.eye(1, RESPONSE)[0], later) + float(a[1:] ** 2 @ gains)
        starts = (
            (count + 1)
            * (tails[:-1].max(initial=given) * growth) ** 2
            / (block or x.shape[-1] or 1)
        )
        squares += 2 * (b[0] * largest + tails[0]) ** 2 * around
        squares += float((4 * (terms[1:] + tails[1:]) ** 2 + starts) @ gains)
        largest = passed
    return 6 * U * float(np.sqrt(squares / 3))


RESPONSE = 1500


def state_response(row: Array, states: Array) -> Array:
    """Return the output of a section from its states alone."""
    taps = len(row) // 2
    response, _ = scipy.signal.lfilter(row[:taps], row[taps:], np.zeros(RESPONSE), zi=states)
    return np.asarray(response)


def square_sum(response: Array, later: Array) -> float:
    """Return the sum of squares of a response after it went through the later sections."""
    for row in later:
        taps = len(row) // 2
        response = scipy.signal.lfilter(row[:taps], row[taps:], response)
    return float((response**2).sum())


@st.composite
def coefficients(draw: st.DrawFn) -> tuple[Array, Array]:
    """Draw b and a: a filter of three poles, or one pole at most, divided by a0 = 2."""
    if draw(st.booleans()):
        return BUTTER[0], BUTTER[1]
    numerator, poles = (
        draw(st.sampled_from([1, 2, 4])),
        draw(st.lists(st.floats(-0.9, 0.9), max_size=1)),
    )
    b = round_coefficients(np.random.default_rng(numerator).standard_normal(numerator))
    return b, round_coefficients(2 * np.poly(poles)) if poles else np.array([2.0])


@st.composite
def signals(draw: st.DrawFn, lengths: tuple[int, ...]) -> tuple[Array, int]:
    """Draw a signal of any rank, real or complex, a view, and its axis counted from either end."""
    outer = draw(st.lists(st.sampled_from([1, 2, 3]), max_size=1))
    inner = draw(st.lists(st.sampled_from([1, 3]), max_size=1))
    shape = (*outer, draw(st.sampled_from(lengths)), *inner)
    x = numbers(shape[::-1], complex_=draw(st.booleans())).T
    return x, draw(st.sampled_from([len(outer), len(outer) - len(shape)]))


@settings(max_examples=draws(25), deadline=None)
@given(
    drawn=signals((1, 2, 7, 60, 260, 0)),
    pair=st.none() | coefficients(),
    begun=st.booleans(),
    block=st.sampled_from(BLOCKS),
)
def test_as_scipy(
    device: Device,
    drawn: tuple[Array, int],
    pair: tuple[Array, Array] | None,
    begun: bool,
    block: int | None,
) -> None:
    """Filter with lfilter by b and a, with sosfilt without; given states come back at the end."""
    x, axis = drawn
    name = "sosfilt" if pair is None else "lfilter"
    arguments = (SECTIONS,) if pair is None else pair
    sections = SECTIONS if pair is None else filter_rows(*pair)
    order = 2 if pair is None else sections.shape[1] // 2 - 1
    shape = list(x.shape)
    shape[axis] = order
    zi: Array | None = None
    if begun and x.size:
        lead = (len(SECTIONS),) if pair is None else ()
        zi = numbers((*lead, *shape), complex_=np.iscomplexobj(x), seed=1)
    limit = allowed(sections, np.moveaxis(x, axis, -1), block, zi)
    operand = device.buffer_from_array(x)
    poison_pool(device, x.nbytes)
    with force_variant("filter", "filter", block):
        if zi is None:
            result = getattr(signal, name)(*arguments, operand, axis).read()
            reference = (
                getattr(scipy.signal, name)(*arguments, exact(x), axis) if x.size else exact(x)
            )
        else:
            states = device.buffer_from_array(zi)
            filtered = getattr(signal, name)(*arguments, operand, axis, zi=states)
            result, ends = (b.read() for b in filtered)
            reference, last = getattr(scipy.signal, name)(*arguments, exact(x), axis, zi=exact(zi))
            compare(device, f"signal.{name}", ends, last, limit)
    compare(device, f"signal.{name}", result, reference, limit)


@pytest.mark.parametrize("taps", [1, 5, 100])
def test_finite_responses_are_convolutions(device: Device, taps: int) -> None:
    x = numbers((2, 2100, 2))
    h = round_coefficients(np.random.default_rng(5).standard_normal(taps))
    expected = scipy.signal.lfilter(h, [1.0], exact(x), 1)
    result = signal.lfilter(h, 1.0, device.buffer_from_array(x), 1).read()
    # Short ones by the definition (2 roundings a term), long ones by transforms of 1024, whose
    # error is a share of the norms of a block and of the taps.
    norms = np.linalg.norm(h) * np.linalg.norm(x[0, :1024, 0]) * 2
    limit = (2 * taps * U if taps <= 64 else 3 * 22 * U * taps**0.5) * norms
    compare(device, "signal.lfilter", result, expected, limit)


@settings(max_examples=draws(20), deadline=None)
@given(
    drawn=signals((1, 11, 13, 21, 60, 120)),
    # SciPy has no state of rest for a factor alone.
    pair=st.none() | coefficients().filter(lambda pair: max(map(len, pair)) > 1),
    padtype=st.sampled_from(["odd", "even", "constant", None]),
    padlen=st.sampled_from([None, 0, 1, 12, 20]),
)
def test_both_ways(
    device: Device,
    drawn: tuple[Array, int],
    pair: tuple[Array, Array] | None,
    padtype: str | None,
    padlen: int | None,
) -> None:
    """A signal too short for padlen is refused."""
    x, axis = drawn
    name = "sosfiltfilt" if pair is None else "filtfilt"
    arguments = (SECTIONS,) if pair is None else pair
    sections = SECTIONS if pair is None else filter_rows(*pair)
    operand = device.buffer_from_array(x)
    try:
        expected = getattr(scipy.signal, name)(*arguments, exact(x), axis, padtype, padlen)
    except ValueError:
        with pytest.raises(ShapeError, match="padlen"):
            getattr(signal, name)(*arguments, operand, axis, padtype, padlen)
        return
    result = getattr(signal, name)(*arguments, operand, axis, padtype, padlen).read()
    # The second way passes the first one's error on, by its response's absolute sum, and adds its
    # own; the padded signal is at most three times as large.
    impulse = np.eye(1, 2000)[0]
    response = (
        scipy.signal.sosfilt(SECTIONS, impulse)
        if pair is None
        else scipy.signal.lfilter(*pair, impulse)
    )
    gain = 1 + float(np.abs(response).sum())
    limit = 3 * (1 + gain) * allowed(sections, np.moveaxis(x, axis, -1), None)
    compare(device, f"signal.{name}", result, expected, limit)


@pytest.mark.parametrize("complex_", [False, True], ids=["real", "complex"])
def test_tiles(device: Device, complex_: bool) -> None:
    """Run the variant of GPUs: neighbours and states go through workgroup memory."""
    x = numbers((2, 4500), complex_=complex_)
    b, a = BUTTER
    zi = numbers((2, 3), complex_=complex_, seed=1)
    limit = allowed(filter_rows(b, a), x, 32, zi)
    states = device.buffer_from_array(zi)
    operand = device.buffer_from_array(x)
    with force_variant("filter", "filter_tiles", 32):
        y, zf = signal.lfilter(b, a, operand, zi=states)
        reference, want_states = scipy.signal.lfilter(b, a, exact(x), zi=exact(zi))
        compare(device, "signal.lfilter", y.read(), reference, limit)
        compare(device, "signal.lfilter", zf.read(), want_states, limit)


def test_tiles_both_ways(device: Device) -> None:
    x = numbers((2, 4500))
    b, a = BUTTER
    with force_variant("filter", "filter_tiles", 32):
        drawn = signal.filtfilt(b, a, device.buffer_from_array(x)).read()
    gain = 1 + float(np.abs(scipy.signal.lfilter(b, a, np.eye(1, 2000)[0])).sum())
    limit = 3 * (1 + gain) * allowed(filter_rows(b, a), x, 32)
    compare(device, "signal.filtfilt", drawn, scipy.signal.filtfilt(b, a, exact(x)), limit)


def test_tiles_of_many_states(device: Device) -> None:
    """Their blocks are longer, and states are added up in runs of blocks of their own."""
    x = numbers((2, 4500))
    with force_variant("filter", "filter_tiles", 64):
        result = signal.sosfilt(SECTIONS, device.buffer_from_array(x)).read()
    reference = scipy.signal.sosfilt(SECTIONS, exact(x))
    compare(device, "signal.sosfilt", result, reference, allowed(SECTIONS, x, 64))


def test_growing_filters_do_not_overflow_before_they_grow(device: Device) -> None:
    """A step over the blocks of a workgroup, 1.05^1984, is beyond f32; the results are not."""
    x = np.zeros(2016, np.float32)
    x[2000] = 1.0
    with force_variant("filter", "filter_tiles", 32):
        result = signal.lfilter([1.0], [1.0, -1.05], device.buffer_from_array(x)).read()
    expected = scipy.signal.lfilter([1.0], [1.0, -1.05], x.astype(np.float64))
    compare(device, "signal.lfilter", result, expected, 200 * U * float(expected.max()))


@pytest.mark.parametrize("pole", [1.01, 1.2, 2.0, 10.0])
def test_a_late_start_of_what_grows(device: Device, pole: float) -> None:
    """Steps over zeros, whose powers f32 does not hold, leave the results alone."""
    late = min(100, int(80 / np.log(pole)))
    for length in (1000, 40000):
        x = np.zeros((2, length), np.float32)
        x[1, -late] = 1e-3
        for b, a in (([1.0], [1.0, -pole]), ([1.0, 0.5], [1.0, -pole, pole**2 / 2])):
            result = signal.lfilter(b, round_coefficients(a), device.buffer_from_array(x)).read()
            expected = scipy.signal.lfilter(b, round_coefficients(a), x.astype(np.float64))
            limit = 4 * late * U * float(np.abs(expected).max())
            compare(device, "signal.lfilter", result, expected, limit)


def test_a_late_start_of_many_sums(device: Device) -> None:
    """A fivefold pole at 1 makes steps' matrices beyond f32; integers below 2^24 stay exact."""
    x = np.zeros((2, 40000), np.float32)
    x[1, -50:] = np.random.default_rng(0).integers(-3, 4, 50)
    a = np.poly(np.ones(5))
    result = signal.lfilter([1.0], a, device.buffer_from_array(x)).read()
    np.testing.assert_array_equal(result, scipy.signal.lfilter([1.0], a, x.astype(np.float64)))


def test_a_running_sum_stays_exact(device: Device) -> None:
    """With a pole at 1, integers below 2^24 add up without rounding, over thousands of blocks."""
    x = np.random.default_rng(0).integers(-9, 9, 2**15).astype(np.float32)
    with force_variant("filter", "filter", 4):
        result = signal.lfilter([1.0], [1.0, -1.0], device.buffer_from_array(x)).read()
    np.testing.assert_array_equal(result, np.cumsum(x))


def test_wrong_arguments(device: Device) -> None:
    x = device.buffer(f32, (2, 8))
    with pytest.raises(ArgumentError, match=r"a\[0\]"):
        signal.lfilter([1.0], [0.0, 1.0], x)
    with pytest.raises(ArgumentError, match="sosfilt"):
        signal.lfilter([1.0], np.ones(40), x)
    with pytest.raises(ShapeError, match="one axis"):
        signal.lfilter(np.ones((2, 2)), [1.0], x)
    with pytest.raises(ShapeError, match="zi"):
        signal.lfilter([1.0], [1.0, 0.5], x, zi=device.buffer(f32, (2, 2)))
    with pytest.raises(ShapeError, match="sections, 6"):
        signal.sosfilt(np.ones((2, 5)), x)
    with pytest.raises(ArgumentError, match="a0"):
        signal.sosfilt(np.full((1, 6), 2.0), x)
    with pytest.raises(ArgumentError, match="at most 16 sections, got 17"):
        signal.sosfilt(np.ones((17, 6)), x)
    with pytest.raises(ShapeError, match="padlen"):
        signal.filtfilt(*BUTTER, x)
    with pytest.raises(ArgumentError, match="padtype"):
        signal.sosfiltfilt(SECTIONS, x, padtype="wrap")
    with pytest.raises(ArgumentError, match="pole at 1"):
        signal.filtfilt([1.0], [1.0, -1.0], x, padlen=0)
    with pytest.raises(DTypeError, match="cast"):
        signal.lfilter([1.0], [1.0], device.buffer(f16, 8))


@pytest.mark.parametrize("padtype", ["odd", "even", "constant", None])
@pytest.mark.parametrize("dtype", [np.float32, np.complex64])
def test_long_taps_both_ways(device: Device, padtype: str | None, dtype: type) -> None:
    """A filter with more taps than a cascade has states is two convolutions over all taps.

    The transforms in them err by less than 2^-20 of the signal's size here.
    """
    taps = signal.firwin(101, 0.3)
    for shape, axis in (((331,), -1), ((3, 400), 1), ((400, 3), 0)):
        x = np.random.default_rng(5).standard_normal(shape).astype(dtype)
        buffer = device.buffer_from_array(x)
        result = signal.filtfilt(taps, [1], buffer, axis, padtype).read()
        wide = x.astype(np.complex128 if dtype is np.complex64 else np.float64)
        expected = scipy.signal.filtfilt(taps, [1], wide, axis, padtype)
        compare(device, "signal.filtfilt", result, expected, 2.0**-20 * np.abs(x).max())


def test_orders_and_coefficients_are_refused(device: Device) -> None:
    x = device.buffer(f32, 200)
    with pytest.raises(
        ArgumentError, match="filtfilt: the order must be at most 32, got 40; use sections"
    ):
        signal.filtfilt([1], np.ones(41), x)
    with pytest.raises(ArgumentError, match=r"lfilter: the order .*got 40; leave zi out"):
        signal.lfilter(np.ones(41), [1], x, zi=device.buffer(f32, 40))
    for b in ("a", [1j], [[1], [2, 3]]):
        with pytest.raises(ArgumentError, match=r"lfilter: coefficients .*real numbers"):
            signal.lfilter(b, [1], x)  # type: ignore[call-overload]
