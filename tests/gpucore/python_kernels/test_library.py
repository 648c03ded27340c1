"""Functions of math and NumPy that are written in the language: their error, and their edges."""

from __future__ import annotations

import math

import numpy as np
from scipy import special

from gpucore import Array, Array2, Device, f16, f32, global_id, gpu_kernel, i32, u32, vec2f
from gpustd.forms import grad
from tests.conftest import skip_without_f16

LEAST = np.finfo(np.float32).tiny
INF, NAN = np.inf, np.nan


def points() -> np.ndarray:
    """Return a grid, numbers drawn near zero and far, and the edges of the intervals."""
    random = np.random.default_rng(26)
    parts = [np.arange(-50, 50, 0.125), random.uniform(-45, 45, 9000), random.uniform(-6, 6, 9000)]
    parts += [10.0 ** random.uniform(-30, 30, 2000) * random.choice([-1, 1], 2000)]
    parts += [np.linspace(6, 13, 3000), np.linspace(86, 91, 300), np.linspace(33, 36, 500)]
    return np.concatenate(parts).astype(np.float32)


def units(found: np.ndarray, expected: np.ndarray) -> float:
    """Return the largest error in units of the last place, where f32 has normal numbers."""
    with np.errstate(over="ignore"):
        single = expected.astype(np.float32)
    normal = np.isfinite(single) & (abs(single) >= LEAST)
    assert np.array_equal(np.isinf(found), np.isinf(single))
    assert np.array_equal(np.isnan(found), np.isnan(single))
    assert (abs(found[np.isfinite(single) & ~normal]) <= 2 * LEAST).all()
    off = abs(found[normal] - expected[normal])
    return float((off / np.spacing(abs(single[normal])).astype(np.float64)).max())


@gpu_kernel
def specials(x: Array[f32], out: Array2[f32]) -> None:
    i = global_id.x
    if i < len(x):
        out[0, i] = math.erf(x[i])
        out[1, i] = math.erfc(x[i])
        out[2, i] = math.gamma(x[i])
        out[3, i] = math.lgamma(x[i])
        out[4, i] = math.expm1(x[i])
        out[5, i] = math.cbrt(x[i])
        out[6, i] = np.logaddexp(x[i], 1.5)
        out[7, i] = np.logaddexp2(x[i], -2.0)
        out[8, i] = math.log1p(x[i])


def run_specials(device: Device, x: np.ndarray) -> np.ndarray:
    out = device.buffer_from_array(np.full((9, len(x)), np.nan, np.float32))
    specials(device.buffer_from_array(x), out)
    return out.read()


def test_errors_of_special_functions(device: Device) -> None:
    """The bounds of docs/python-kernels.md."""
    x = points()
    d = x.astype(np.float64)
    found = run_specials(device, x)
    with np.errstate(over="ignore"):
        expm1 = np.expm1(d)
    assert units(found[0], special.erf(d)) <= 4
    assert units(found[1], special.erfc(d)) <= 16
    assert units(found[2], special.gamma(d)) <= 16
    assert units(found[4], expm1) <= 4
    assert units(found[5], np.cbrt(d)) <= 2
    above = d > 0
    assert units(found[8][above], np.log1p(d[above])) <= 8
    assert units(found[3][above], special.gammaln(d[above])) <= 8
    for row, exact in (
        (3, special.gammaln(d)),
        (6, np.logaddexp(d, 1.5)),
        (7, np.logaddexp2(d, -2)),
    ):
        finite = np.isfinite(exact)
        assert np.array_equal(found[row][~finite], exact[~finite])
        size = np.maximum(1, abs(exact[finite]))
        assert (abs(found[row][finite] - exact[finite]) / size).max() < 2e-6, row


def test_edges_of_special_functions(device: Device) -> None:
    x = np.float32([NAN, INF, -INF, 0.0, -0.0, -1.0, -2.0, 1.0, 200.0, -200.5])
    found = run_specials(device, x)
    erf = [NAN, 1, -1, 0, -0.0, math.erf(-1), math.erf(-2), math.erf(1), 1, -1]
    np.testing.assert_allclose(found[0], erf, rtol=1e-6)
    np.testing.assert_array_equal(found[1][[0, 1, 2, 3, 8, 9]], [NAN, 0, 2, 1, 0, 2])
    np.testing.assert_allclose(found[2], [NAN, INF, NAN, INF, -INF, NAN, NAN, 1, INF, 0], rtol=1e-6)
    np.testing.assert_array_equal(found[3][:8], [NAN, INF, INF, INF, INF, INF, INF, 0])
    np.testing.assert_array_equal(found[4][[0, 1, 2, 3, 4, 8]], [NAN, INF, -1, 0, -0.0, INF])
    np.testing.assert_allclose(found[5][:6], [NAN, INF, -INF, 0, -0.0, -1], rtol=1e-6)
    np.testing.assert_array_equal(np.signbit(found[[0, 4, 5], 4]), True)
    np.testing.assert_array_equal(found[6:8, :2], [[NAN, INF]] * 2)
    assert found[6:8, 2].tolist() == [1.5, -2]


@gpu_kernel
def pairs(x: Array[f32], y: Array[f32], out: Array2[f32]) -> None:
    i = global_id.x
    if i < len(x):
        out[0, i] = math.hypot(x[i], y[i])
        out[1, i] = math.remainder(x[i], y[i])
        out[2, i] = math.nextafter(x[i], y[i])
        out[3, i] = np.spacing(x[i])
        out[4, i] = math.ulp(x[i])
        out[5, i] = np.heaviside(x[i], y[i])
        fraction, whole = np.modf(x[i])
        out[6, i] = fraction
        out[7, i] = whole
        part, exponent = math.frexp(x[i])
        out[8, i] = part
        out[9, i] = f32(exponent)
        out[10, i] = math.ldexp(part, exponent)
        kinds = u32(math.isclose(x[i], y[i], rel_tol=0.01)) + 2 * u32(np.isclose(x[i], y[i], 0.1))
        kinds += 4 * u32(np.signbit(x[i])) + 8 * u32(np.less_equal(x[i], y[i]))
        out[11, i] = f32(kinds + 16 * u32(np.isclose(x[i], y[i], equal_nan=True)))
        quotient, rest = divmod(x[i], y[i])
        out[12, i] = quotient
        out[13, i] = rest


def test_functions_of_pairs(device: Device) -> None:
    random = np.random.default_rng(26)
    drawn = (10.0 ** random.uniform(-3, 3, 600) * random.choice([-1, 1], 600)).astype(np.float32)
    edges = np.float32([0.0, -0.0, 1.0, -1.0, 2.0, 3e38, INF, -INF, NAN, 1.5, 2.5, -7.0])
    x = np.concatenate([drawn[:300], *np.broadcast_to(edges[:, None], (12, 12))])
    y = np.concatenate([drawn[300:], *np.broadcast_to(edges, (12, 12))])
    y[:60] = x[:60] * np.linspace(0.85, 1.15, 60, dtype=np.float32)
    out = device.buffer_from_array(np.zeros((14, len(x)), np.float32))
    pairs(device.buffer_from_array(x), device.buffer_from_array(y), out)
    found = out.read()
    with np.errstate(all="ignore"):
        beside = [each.astype(np.float64) for each in (x, y)]
        exact = np.array([_remainder(*each) for each in zip(*beside, strict=True)])
        rows = {2: np.nextafter(x, y), 3: np.spacing(x), 5: np.heaviside(x, y)}
        rows[4] = np.where(np.isinf(x), INF, np.spacing(abs(x)))
        rows |= {6: np.modf(x)[0], 7: np.modf(x)[1], 8: np.frexp(x)[0], 10: x}
        rows |= {9: np.frexp(x)[1].astype(np.float32)}
        length = np.hypot(*beside)
    assert units(found[0], length) <= 4
    # The product of y and the quotient is rounded where fma is: by half a unit of x.
    rough = np.isnan(exact) | (abs(beside[0]) > 1e6 * abs(beside[1]))
    off = abs(found[1] - exact)[~rough]
    assert (np.minimum(off, abs(abs(y[~rough]) - off)) <= 2 * np.spacing(abs(x[~rough]))).all()
    assert np.isnan(found[1][np.isnan(exact)]).all()
    for row, expected in rows.items():
        np.testing.assert_array_equal(found[row], np.float32(expected), err_msg=str(row))
    usual = np.isfinite(x) & np.isfinite(y) & (y != 0) & (abs(beside[0]) < 1e6 * abs(beside[1]))
    (number, divisor), (quotient, rest) = np.array(beside)[:, usual], found[12:, usual]
    together = quotient.astype(np.float64) * divisor + rest
    larger = np.float32(np.maximum(abs(number), abs(divisor)))
    assert (abs(together - number) <= 4 * np.spacing(larger)).all()
    assert (quotient == np.floor(quotient)).all()
    assert ((rest == 0) | (np.signbit(rest) == np.signbit(divisor))).all()
    assert (abs(rest) <= abs(divisor)).all()
    close = [math.isclose(a, b, rel_tol=0.01) for a, b in zip(*beside, strict=True)]
    kinds = np.add(close, 2 * np.isclose(x, y, 0.1)) + 4 * np.signbit(x) + 8 * (x <= y)
    np.testing.assert_array_equal(found[11], kinds + 16 * np.isclose(x, y, equal_nan=True))


def _remainder(x: float, y: float) -> float:
    try:
        return math.remainder(x, y)
    except ValueError:
        return NAN


@gpu_kernel
def wholes(a: Array[i32], b: Array[i32], u: Array[u32], out: Array2[i32]) -> None:
    i = global_id.x
    if i < len(a):
        quotient, rest = divmod(a[i], b[i])
        out[0, i] = quotient
        out[1, i] = rest
        out[2, i] = math.gcd(a[i], b[i])
        out[3, i] = np.lcm(a[i] % 1000, b[i])
        out[4, i] = math.isqrt(abs(a[i]))
        out[5, i] = i32(np.gcd(u[i], 360) + np.bitwise_count(u[i]))
        out[6, i] = math.comb(10, 3) + math.factorial(5) + math.gcd(12, 18)


def test_functions_of_integers(device: Device) -> None:
    random = np.random.default_rng(26)
    a = random.integers(-(2**31) + 1, 2**31, 300).astype(np.int32)
    b = (random.integers(1, 100, 300) * random.choice([-1, 1], 300)).astype(np.int32)
    u = random.integers(0, 2**32, 300).astype(np.uint32)
    a[:4], a[4:7], b[7] = [0, 1, 2**31 - 1, 46341**2 - 1 - 2**32], [3, 4, 46340**2], 1
    out = device.buffer(i32, (7, 300))
    wholes(*(device.buffer_from_array(each) for each in (a, b, u)), out)
    small = np.fmod(a, 1000)
    roots = [math.isqrt(abs(int(each))) for each in a]
    counts = np.gcd(u, 360) + np.bitwise_count(u)
    expected = [a // b, a % b, np.gcd(a, b), np.lcm(small, b), roots, counts, np.full(300, 246)]
    for row, each in enumerate(expected):
        np.testing.assert_array_equal(out.read()[row], each, err_msg=str(row))


@gpu_kernel
def of_vectors(x: Array[vec2f]) -> Array[vec2f]:
    return math.erf(x) + np.hypot(x, vec2f(3, 4))


def test_they_take_vectors_by_component(device: Device) -> None:
    random = np.random.default_rng(26)
    x = random.normal(size=(50, 2)).astype(np.float32)
    expected = special.erf(np.float64(x)) + np.hypot(x, [3.0, 4.0])
    np.testing.assert_allclose(of_vectors(device.buffer_from_array(x)).read(), expected, rtol=1e-6)


@gpu_kernel
def of_halves(x: Array[f16]) -> Array[f16]:
    return math.erf(x)


def test_they_take_halves(device: Device) -> None:
    skip_without_f16(device, "f16")
    x = np.float16([0, 0.1, -0.5, 2, INF])
    expected = np.float16(special.erf(np.float64(x)))
    np.testing.assert_allclose(of_halves(device.buffer_from_array(x)).read(), expected, rtol=1e-3)


@gpu_kernel
def grown(x: Array[f32]) -> Array[f32]:
    return math.erf(x) + math.lgamma(x) + math.expm1(x) + math.hypot(x, 2.0)


def test_they_have_derivatives(device: Device) -> None:
    x = np.float32([0.25, 0.75, 1.25, 3.5, 10])
    d = np.float64(x)
    expected = 2 / math.sqrt(math.pi) * np.exp(-d * d) + special.digamma(d) + np.exp(d)
    found = grad(grown)(device.buffer_from_array(x))["x"].read()
    np.testing.assert_allclose(found, expected + d / np.hypot(d, 2), rtol=1e-5)
