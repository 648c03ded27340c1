"""The generator against NumPy: Philox in integers, the distributions in the same fixed point."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats
from scipy.special import ndtri

from gpucore import ArgumentError, Device, DTypeError, ShapeError, f32, i8, i32, u8, u32
from gpustd.random import Generator
from gpustd.random.normal_quantiles import normal_table
from tests.draws import draws
from tests.gpustd.arrays.operators import draw as drawn
from tests.gpustd.compare import compare
from tests.gpustd.poison import poison_pool
from tools.normal_table import entry as normal_entry

Words = NDArray[np.uint64]
SEED = 0x0123456789ABCDEF
MASK = np.uint64(0xFFFFFFFF)
LOG = (
    3880715, 27652985, 92325738, 196742391, 312350848, 415261089, 509487427, 618503402, 774429133,
    1032715517, 1549081885, 3098164009,
)  # fmt: skip


def high(a: Any, b: Any) -> Any:
    return (a * b) >> np.uint64(32)


def philox(counter: tuple[Any, Any, Any, Any], key: tuple[int, int]) -> tuple[Any, Any, Any, Any]:
    c0, c1, c2, c3 = (np.asarray(c, np.uint64) for c in counter)
    k0, k1 = (np.uint64(k) for k in key)
    for _ in range(10):
        p, q = np.uint64(0xD2511F53) * c0, np.uint64(0xCD9E8D57) * c2
        c0, c1, c2, c3 = (
            (q >> np.uint64(32)) ^ c1 ^ k0,
            q & MASK,
            (p >> np.uint64(32)) ^ c3 ^ k1,
            p & MASK,
        )
        k0, k1 = (k0 + np.uint64(0x9E3779B9)) & MASK, (k1 + np.uint64(0xBB67AE85)) & MASK
    return c0, c1, c2, c3


def words(count: int, draw: int = 0, stream: int = 0, seed: int = SEED, attempt: int = 0) -> Words:
    """Return words (blocks, 4) that hold ``count``."""
    block = np.arange(-(-count // 4))
    found = philox((block, attempt, draw, stream), (seed & 0xFFFFFFFF, seed >> 32))
    return np.stack(np.broadcast_arrays(*found), axis=-1)


def horner(coefficients: tuple[int, ...], x: Words) -> Words:
    p = np.full_like(x, coefficients[0])
    for c in coefficients[1:]:
        p = np.uint64(c) - high(p, x)
    return p


def leading_zeros(x: Words) -> Words:
    return np.uint64(32) - np.where(x > 0, np.frexp(x.astype(np.float64))[1], 0).astype(np.uint64)


def scaled_log(w: Words) -> tuple[Words, Words, Words]:
    n = (w + np.uint64(1)) & MASK
    zeros = leading_zeros(n)
    f = ((n << (zeros & np.uint64(31))) << np.uint64(1)) & MASK
    log = high(horner(LOG, f), f)
    near = (np.uint64(1 << 31) - log) >> np.uint64(1)
    far = ((zeros + np.uint64(1)) << np.uint64(26)) - (log >> np.uint64(5))
    small = zeros == 0
    d = np.where(n == 0, np.uint64(0), np.where(small, near, far))
    shift = leading_zeros(d) & np.uint64(31)
    return (d << shift) & MASK, shift, np.where(small, np.uint64(30), np.uint64(26))


def real(m: Words, place: Any) -> NDArray[np.float64]:
    drop = np.uint64(8) - np.minimum(leading_zeros(m), np.uint64(8))
    half = (np.uint64(1) << drop) >> np.uint64(1)
    kept = ((m + half) >> drop).astype(np.float64)
    return np.ldexp(kept, (drop.astype(np.int64) - np.asarray(place, np.int64)).astype(np.int32))


def tail_probability(w: Words) -> Words:
    """Return how much of the distribution lies beyond the number of a word, in 2^-33."""
    return ((w << np.uint64(1)) & MASK) | np.uint64(1)


def normals(w: Words) -> NDArray[np.float64]:
    """Return a normal number for each word, as `shaders/random/normal.wgsl` computes it."""
    n = tail_probability(w)
    zeros = leading_zeros(n)
    m = (n << zeros) & MASK
    value, slope, both, scale = np.moveaxis(
        normal_table().astype(np.uint64)[(zeros << 4) + (m >> 27 & 15)], -1, 0
    )
    t, rest = m >> 11 & 0xFFFF, m & 0x7FF
    second = (both & 0xFFFF) - ((both >> 16) * t >> 18)
    slope = slope - (second * t >> 11)
    up = slope >> 15
    fall = up * t + ((slope & 0x7FFF) * t >> 15) + (up * rest >> 11)
    assert np.all(fall <= np.minimum(value, MASK))
    size = ((value - fall) >> 8) * scale.astype(np.uint32).view(np.float32).astype(np.float64)
    return np.where(w >> 31 == 1, -size, size)


def exponentials(w: Words) -> NDArray[np.float64]:
    m, shift, base = scaled_log(w)
    return real(high(m, np.uint64(2977044472)), shift + base)


def run(device: Device, call: str, *arguments: Any, stream: int = 0, draws: int = 0) -> Any:
    rng = Generator(device, SEED, stream=stream)
    rng.draws = draws
    poison_pool(device, 4000, 1000)
    return getattr(rng, call)(*arguments).read()


def test_the_reference_is_philox() -> None:
    """Known answers come from Random123, the authors' own code."""
    assert [int(w) for w in philox((0, 0, 0, 0), (0, 0))] == [
        0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8,
    ]  # fmt: skip
    ones = 0xFFFFFFFF
    assert [int(w) for w in philox((ones,) * 4, (ones, ones))] == [
        0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD,
    ]  # fmt: skip


def test_normal_bits(device: Device) -> None:
    expected = normals(words(20000)).reshape(-1)
    np.testing.assert_array_equal(run(device, "standard_normal", (100, 200)).ravel(), expected)


EDGES = np.array(
    [0, 1, 2, 3, 2**31 - 2, 2**31 - 1, 2**31, 2**32 - 3, 2**32 - 2, 2**32 - 1], np.uint64
)


def test_fixed_point_is_the_exponential() -> None:
    """The logarithm errs by 2^-29, and its rest by as much of it."""
    first = np.concatenate([EDGES, np.random.default_rng(0).integers(0, 2**32, 100000, np.uint64)])
    logs = exponentials(first)
    expected = -np.log((first.astype(np.float64) + 1) * 2.0**-32)
    assert np.all(
        np.abs(logs - expected) <= 2.0**-24 * expected + 2.0**-25 * (expected > 0.7) + 2.0**-28
    )


def test_fixed_point_is_the_inverse_of_the_distribution() -> None:
    """Rounding takes 2^-24 of the number, cubics 2^-26, products in 16 bits less than 2^-25 of it.

    The points lie near every cubic's ends, and near 0 and the last of the tail.
    """
    rng = np.random.default_rng(0)
    ends = np.arange(16, 33, dtype=np.uint64) << np.arange(27, dtype=np.uint64)[:, None]
    near = ends.reshape(-1, 1) + np.arange(-3, 4, dtype=np.int64).astype(np.uint64)
    w = np.concatenate([EDGES, np.arange(64), near.reshape(-1), rng.integers(0, 2**32, 200000)])
    w = w.astype(np.uint64) & MASK
    exact = -ndtri(tail_probability(w) * 2.0**-33)
    result = normals(w)
    assert np.all(np.abs(np.abs(result) - exact) <= 2.0**-23 * exact + 2.0**-25)
    assert np.abs(np.abs(result) - exact)[exact < 1].max() <= 1.5 * 2.0**-24
    assert np.array_equal(np.signbit(result), w >> 31 == 1)
    assert np.abs(result).max() < 6.34


def test_the_table_is_the_tools() -> None:
    """The last places of SciPy's results may differ."""
    rows = np.array([normal_entry(octave, part) for octave in range(32) for part in range(16)])
    table = normal_table().astype(np.int64)
    np.testing.assert_array_equal(rows[:, 3], table[:, 3])
    assert np.abs(rows[:, :2] - table[:, :2]).max() <= 2
    for shift in (0, 16):
        assert np.abs((rows[:, 2] >> shift & 0xFFFF) - (table[:, 2] >> shift & 0xFFFF)).max() <= 1


def test_the_tail_on_the_device(device: Device) -> None:
    """Words with many leading zeros are rare: 19 of them in half a million."""
    w = words(500000)
    expected = normals(w).reshape(-1)
    assert np.abs(expected).max() > 4.5
    np.testing.assert_array_equal(run(device, "standard_normal", 500000), expected)


def test_distributions(device: Device) -> None:
    """Run the test of Kolmogorov and Smirnov; the seeds are fixed, so the outcome is too."""
    assert stats.kstest(run(device, "random", 50000), "uniform").pvalue > 1e-3
    assert stats.kstest(run(device, "standard_normal", 50000), "norm").pvalue > 1e-3
    assert stats.kstest(run(device, "standard_exponential", 50000), "expon").pvalue > 1e-3


def test_moments_and_tails_of_normal_numbers(device: Device) -> None:
    """Each is within 4 standard deviations of its value for a million independent numbers."""
    count = 2**20
    x = run(device, "standard_normal", count).astype(np.float64)
    for power, (moment, variance) in {1: (0, 1), 2: (1, 2), 3: (0, 15), 4: (3, 96)}.items():
        assert abs((x**power).mean() - moment) <= 4 * math.sqrt(variance / count)
    for bound in (0.0, 0.5, 1.0, 2.0, 3.0, 4.0):
        for side in (x, -x):
            share = stats.norm.sf(bound)
            allowed = 4 * math.sqrt(share * (1 - share) / count)
            assert abs((side > bound).mean() - share) <= allowed
    assert abs(np.corrcoef(x[:-1], x[1:])[0, 1]) <= 4 / math.sqrt(count)


def integers(low: int, high_: int, count: int, seed: int = SEED) -> NDArray[np.int64]:
    size = np.uint64(high_ - low)
    threshold = np.uint64((2**32 - int(size)) % int(size))
    w = words(count, seed=seed)
    for attempt in range(1, 50):
        rejected = (w * size & MASK) < threshold
        if not rejected.any():
            break
        w = np.where(rejected, words(count, seed=seed, attempt=attempt), w)
    return (np.int64(low) + high(w, size).astype(np.int64)).reshape(-1)[:count]


def test_integers_of_other_dtypes(device: Device) -> None:
    for dtype, bounds in ((u8, (0, 256)), (i8, (-128, 100)), (u32, (0, 2**32 - 5))):
        result = run(device, "integers", *bounds, 999, dtype)
        assert result.dtype == dtype.numpy
        np.testing.assert_array_equal(result, integers(*bounds, 999))
    whole = run(device, "integers", 0, 2**32, 999, u32)
    np.testing.assert_array_equal(whole, words(999).reshape(-1)[:999])


SEEDS = st.integers(0, 2**64 - 1)
WORDS = st.integers(0, 2**32 - 1)
SIZE = st.sampled_from([None, 0, 1, 4, 1003, (3, 0), (2, 3, 7), (1, 1)])


def shape_of(size: Any) -> tuple[int, ...]:
    return () if size is None else (size,) if isinstance(size, int) else tuple(size)


@settings(max_examples=draws(20), deadline=None)
@given(SEEDS, WORDS, st.integers(0, 2**32 - 40), SIZE)
def test_drawn_distributions(device: Device, seed: int, stream: int, draw: int, size: Any) -> None:
    """Compare the bits of every plain distribution, whatever the seed, the stream and the draw."""
    shape = shape_of(size)
    count = math.prod(shape)
    plain = {
        "random": lambda w: (w >> np.uint64(8)) * 2.0**-24,
        "standard_normal": normals,
        "standard_exponential": exponentials,
    }
    rng = Generator(device, seed, stream=stream)
    rng.draws = draw
    for k, (name, made) in enumerate(plain.items()):
        poison_pool(device, 4 * count)
        result = getattr(rng, name)(size).read()
        w = words(count, draw + k, stream, seed)
        expected = made(w).reshape(-1)[:count].reshape(shape)
        compare(device, f"random.Generator.{name}", result, expected, 0)
    assert rng.draws == draw + 3


@settings(max_examples=draws(20), deadline=None)
@given(SEEDS, SIZE, st.floats(-1e6, 1e6, width=32), st.floats(0, 1e6, width=32))
def test_drawn_scales(device: Device, seed: int, size: Any, shift: float, scale: float) -> None:
    """A product and a sum are each rounded to half a unit at most; so are the width and numbers."""
    shift, scale = (x if abs(x) > 1e-30 else 0.0 for x in (shift, scale))
    calls = {
        "uniform": ("random", (shift, shift + scale), shift, (shift + scale) - shift),
        "normal": ("standard_normal", (shift, scale), shift, scale),
        "exponential": ("standard_exponential", (scale,), 0.0, scale),
    }
    for name, (plain, arguments, low, width) in calls.items():
        exact = getattr(Generator(device, seed), plain)(size).read().astype(np.float64)
        poison_pool(device, exact.size * 4)
        result = getattr(Generator(device, seed), name)(*arguments, size).read()
        expected = low + width * exact
        allowed = 2.0**-23 * (abs(low) + np.abs(width * exact)) + 2.0**-24 * width + 1e-37
        unit = abs(low) + width
        compare(device, f"random.Generator.{name}", result, expected, allowed, unit)


@settings(max_examples=draws(25), deadline=None)
@given(
    SEEDS,
    st.sampled_from([i8, i32, u8, u32]),
    st.sampled_from([0, 1, 4, 999]),
    st.booleans(),
    st.data(),
)
def test_drawn_integers(
    device: Device, seed: int, dtype: Any, count: int, endpoint: bool, data: st.DataObject
) -> None:
    """Any bounds that the dtype holds are allowed; choice takes them too."""
    info = np.iinfo(dtype.numpy)
    low = data.draw(st.integers(int(info.min), int(info.max) - 1))
    last = data.draw(st.integers(low, int(info.max)))
    poison_pool(device, 4 * count)
    high = last if endpoint else last + 1
    result = Generator(device, seed).integers(low, high, count, dtype, endpoint).read()
    assert result.dtype == dtype.numpy
    if last - low == 2**32 - 1:
        return
    np.testing.assert_array_equal(result, integers(low, last + 1, count, seed))
    n = data.draw(st.integers(1, 300))
    chosen = Generator(device, seed).choice(n, count).read()
    np.testing.assert_array_equal(chosen, integers(0, n, count, seed))


@settings(max_examples=draws(20), deadline=None)
@given(SEEDS, st.sampled_from([0, 1, 2, 5, 64, 301]), st.sampled_from([(), (0,), (1,), (3, 2)]),
       st.sampled_from(["f32", "i8", "u8", "c64"]), st.data())  # fmt: skip
def test_drawn_permutations(
    device: Device,
    seed: int,
    n: int,
    rest: tuple[int, ...],
    dtype: str,
    data: st.DataObject,
) -> None:
    """Permute numbers and rows; a choice without replacement is a permutation's beginning."""
    order = np.argsort(words(n, seed=seed).reshape(-1)[:n], kind="stable")
    np.testing.assert_array_equal(Generator(device, seed).permutation(n).read(), order)
    x = drawn(dtype, (n, *rest))
    rows = Generator(device, seed).permutation(device.buffer_from_array(x)).read()
    np.testing.assert_array_equal(rows, x[order], strict=True)
    if n:
        count = data.draw(st.integers(0, n))
        few = Generator(device, seed).choice(n, count, replace=False).read()
        np.testing.assert_array_equal(few, order[:count])


def test_threads_never_get_the_same_draw() -> None:
    rng = Generator(Device.null())
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            numbers = list(pool.map(lambda _: rng._next_draw(), range(20000)))
    finally:
        sys.setswitchinterval(before)
    assert sorted(numbers) == list(range(20000))
    assert rng.draws == 20000


def test_draws_and_streams_are_independent(device: Device) -> None:
    rng = Generator(device, 1)
    first, second = rng.random(1000).read(), rng.random(1000).read()
    other = rng.jumped().random(1000).read()
    assert rng.draws == 2
    for a, b in ((first, second), (first, other), (second, other)):
        assert abs(np.corrcoef(a, b)[0, 1]) < 0.1
    again = Generator(device, 1)
    np.testing.assert_array_equal(again.random(10).read(), first[:10])


def test_refuses(device: Device) -> None:
    with pytest.raises(ArgumentError, match=r"seed must be .*got seed -1"):
        Generator(device, -1)
    rng = Generator(device)
    with pytest.raises(DTypeError, match=r"integers: dtype must .*f32"):
        rng.integers(0, 3, dtype=f32)
    for bounds in ((3, 3), (0, 2**31 + 1)):
        with pytest.raises(ArgumentError, match="bounds must be low < high"):
            rng.integers(*bounds, dtype=i32)
    with pytest.raises(ArgumentError, match=r"at most n 3 without replace, got 5"):
        rng.choice(3, 5, replace=False)


def test_numbers_of_the_wrong_kind_are_refused(device: Device) -> None:
    """A call that is refused takes no draw."""
    rng = Generator(device, 3)
    for seed in (1.5, "a", None):
        with pytest.raises(ArgumentError, match=r"Generator: seed .*whole number"):
            Generator(device, seed)  # type: ignore[arg-type]
    for wrong in (2.5, "a"):
        with pytest.raises(ArgumentError, match="whole number"):
            rng.integers(0, wrong)  # type: ignore[arg-type]
        with pytest.raises(ArgumentError, match="whole number"):
            rng.permutation(wrong)  # type: ignore[arg-type]
        with pytest.raises(ShapeError, match="shape must be whole numbers"):
            rng.choice(5, wrong, replace=False)  # type: ignore[arg-type]
    for n, size in ((0, 2), (5, -1)):
        with pytest.raises(ArgumentError, match="n must be >= 1 and size >= 0"):
            rng.choice(n, size)
    for call in (rng.exponential, lambda scale: rng.normal(0, scale)):
        for scale in (-1.0, float("nan")):
            with pytest.raises(ArgumentError, match="must be a number >= 0"):
                call(scale)
    with pytest.raises(ArgumentError, match=r"uniform: .*range of f32"):
        rng.uniform(-3e38, 3e38)
    calls: tuple[tuple[str, Callable[[Any], Any]], ...] = (
        ("normal: loc", rng.normal),
        ("normal: scale", lambda scale: rng.normal(0, scale)),
        ("exponential: scale", rng.exponential),
        ("uniform: low", rng.uniform),
        ("uniform: high", lambda high: rng.uniform(0, high)),
        ("jumped: streams", rng.jumped),
    )
    for name, call in calls:
        for junk in ("a", None, 1j, [1], 10**400):
            if (name, junk) != ("jumped: streams", 10**400):
                with pytest.raises(ArgumentError, match=f"^{name} .*(one|beyond|within)"):
                    call(junk)
    assert rng.draws == 0


def test_sizes_as_in_numpy(device: Device) -> None:
    """Draw one number without a size, any shape with one, and the bound with ``endpoint``."""
    draws = ("random", "uniform", "standard_normal", "normal", "standard_exponential")
    for name in draws:
        assert getattr(Generator(device, 5), name)().shape == ()
    rng = Generator(device, 5)
    assert rng.integers(9).shape == rng.choice(9).shape == ()
    assert rng.integers(9, size=(2, 0)).shape == (2, 0)
    found = rng.integers(3, 4, 100, endpoint=True).read()
    assert set(found.tolist()) == {3, 4}
    assert rng.integers(255, size=9, dtype=u8, endpoint=True).dtype is u8
    chosen = rng.choice(6, (2, 3), replace=False).read()
    np.testing.assert_array_equal(np.sort(chosen, axis=None), np.arange(6))


def test_permutation_takes_numpy_numbers_and_gives_new_buffers(device: Device) -> None:
    first, second = (Generator(device, 4).permutation(n) for n in (np.int64(9), 9))
    np.testing.assert_array_equal(first.read(), second.read())
    nothing = device.buffer(f32, (3, 0))
    assert Generator(device).permutation(nothing) is not nothing
    whole = Generator(device, 5).uniform(0, 2**24 + 1, 8).read()
    assert np.all((whole >= 0) & (whole <= 2**24))
