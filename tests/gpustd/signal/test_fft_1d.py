"""Fourier transforms over one axis against SciPy in float64, on both variants and every engine."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import scipy.fft
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gpucore import ArgumentError, Device, DTypeError, ShapeError, c64, f16, f32
from gpustd import signal
from gpustd.launch.variants import force_variant
from gpustd.signal.fourier import passes, plan, twiddle
from gpustd.signal.fourier.plan import pairs_mirror_images
from gpustd.signal.fourier.workgroups import Tile
from tests.draws import draws
from tests.gpustd.compare import compare
from tests.gpustd.poison import poison_pool
from tests.gpustd.signal.tolerance import check_norms, error_along, transform_error

# Cases are sizes, dtypes, tiles and variants.
pytestmark = pytest.mark.sampled

Array = NDArray[Any]

OF_REAL = ("fft", "ifft", "rfft", "ihfft")
OF_COMPLEX = ("fft", "ifft", "irfft", "hfft")


def numbers(shape: tuple[int, ...], *, complex_: bool, seed: int = 0) -> Array:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape).astype(np.float32)
    return (x + 1j * rng.standard_normal(shape)).astype(np.complex64) if complex_ else x


def check(
    device: Device, name: str, x: Array, n: int | None = None, axis: int = -1, norm: Any = None
) -> None:
    """Compare one function with SciPy's."""
    exact = x.astype(np.complex128 if np.iscomplexobj(x) else np.float64)
    expected = getattr(scipy.fft, name)(exact, n, axis, norm)
    operand = device.buffer_from_array(x)
    poison_pool(device, expected.size * (8 if np.iscomplexobj(expected) else 4), x.size * 8)
    result = getattr(signal, name)(operand, n, axis, norm)
    assert result.dtype is (c64 if np.iscomplexobj(expected) else f32)
    inverse = name in ("irfft", "hfft")
    length = expected.shape[axis] if inverse or n is None else n
    if name in ("rfft", "ihfft") and n is None:
        length = x.shape[axis]
    error = transform_error(max(length, 1))
    compare(device, f"signal.{name}", result.read(), expected, error_along(expected, axis, error))
    check_norms(result.read(), expected, axis, error)


@pytest.mark.parametrize(
    ("shape", "n"),
    [((3, 12), None), ((3, 12), 15), ((2, 12, 3), 9)],
    ids=["whole", "filled", "cut"],
)
def test_every_kind(device: Device, shape: tuple[int, ...], n: int | None) -> None:
    for name in OF_REAL:
        check(device, name, numbers(shape, complex_=False), n, 1)
    for name in OF_COMPLEX:
        check(device, name, numbers(shape, complex_=True), n, 1, "ortho")


@pytest.mark.parametrize("name", ["rfft", "irfft"])
def test_a_large_prime_times_two(device: Device, name: str) -> None:
    """Pairs go through Bluestein's rule."""
    check(device, name, numbers((2, 34, 3), complex_=name == "irfft"), 34, 1)


# Pairs, an odd length, and both by Bluestein's rule, whose sequence is longer than the spectrum.
@pytest.mark.parametrize("n", [96, 81, 194, 97])
def test_half_spectra_on_gpus(device: Device, n: int) -> None:
    """A whole one is read without a test of each number; zeros follow a short one."""
    with force_variant("fft", "workgroup"):
        for extent in (n // 2 + 1, n // 2 - 3, n // 2 + 4):
            check(device, "irfft", numbers((2, extent), complex_=True), n)


# One number, a butterfly of each radix, several of them, primes, a large prime's multiple.
LENGTHS = [1, 2, 3, 4, 5, 7, 8, 11, 13, 77, 1024, 97]


@pytest.mark.parametrize("n", LENGTHS)
def test_every_length(device: Device, n: int) -> None:
    check(device, "fft", numbers((2, n), complex_=True))


@pytest.mark.parametrize("n", [6, 9, 10, 12, 14, 15, 16])
def test_long_butterflies(device: Device, n: int) -> None:
    """Only GPUs take these butterflies."""
    with force_variant("fft", "workgroup"):
        check(device, "fft", numbers((2, n, 2), complex_=True), axis=1)


# Rows of an odd radix, rows whose lanes do not divide the work, three stages with padding; columns,
# with padding; two passes, the first of which turns columns into rows, of 13 in 2 lanes, too;
# Bluestein's rule; spectra of real numbers from rows and from mirrored columns, two of which are
# alone; real numbers from half a spectrum. Each with the bytes of workgroup memory, and in how many
# parts it exchanges numbers.
TILES = [
    ("fft", (3, 33), 2000, 1),
    ("fft", (3, 33), 2000, 2),
    ("fft", (3, 52), 2000, 4),
    ("ifft", (1, 288), 2000, 4),
    ("fft", (2, 35, 3), 2500, 1),
    ("fft", (2, 32, 5), 800, 4),
    ("fft", (1, 768), 1000, 1),
    ("fft", (1, 520), 1000, 2),
    ("fft", (1, 768), 1000, 4),
    ("ifft", (2, 17), 1000, 4),
    ("rfft", (1, 70), 200, 2),
    ("rfft", (3, 70), 2000, 2),
    ("rfft", (2, 800), 1690, 1),
    ("rfft", (2, 800), 1690, 4),
    ("irfft", (3, 49), 1000, 4),
]


@pytest.mark.parametrize(("name", "shape", "memory", "parts"), TILES, ids=str)
def test_workgroups(
    device: Device,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    shape: tuple[int, ...],
    memory: int,
    parts: int,
) -> None:
    """The plan prefers the most parts, since no memory holds many of these lanes.

    A card takes the fewest parts where each workgroup has a multiprocessor of its own: here is only
    one workgroup.
    """
    monkeypatch.setattr(passes, "_WORKGROUPS", 1)
    taken = set()

    def tile_of(self: Any, *arguments: Any) -> Tile:
        tile = planned(self, *arguments)
        tile = replace(tile, parts=min(tile.parts, parts))
        taken.add(tile.parts)
        return tile

    planned = passes.Pass._tile
    monkeypatch.setattr(passes.Pass, "_tile", tile_of)
    with force_variant("fft", "workgroup", memory):
        check(device, name, numbers(shape, complex_=name not in OF_REAL[2:]), axis=1)
    assert max(taken) == parts


# Butterflies that only long lengths take; spectra of real numbers whose mirror images one lane
# holds: in two butterflies, of an odd radix, and in four. Some ask for roots ahead of exchanges.
CHOSEN = [
    ("fft", (2, 864), Tile((32, 27), 32, 32, 2, 2), False),
    ("ifft", (3, 75), Tile((25, 3), 3, 27, 2, 1), True),
    ("rfft", (3, 72), Tile((6, 6), 3, 12, 2, 4), True),
    ("rfft", (3, 100), Tile((10, 5), 5, 10, 2, 1), False),
    ("ihfft", (3, 128), Tile((8, 8), 4, 16, 2, 2), True),
]


@pytest.mark.parametrize(("name", "shape", "tile", "few"), CHOSEN, ids=str)
def test_chosen_tiles(
    device: Device,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    shape: tuple[int, int],
    tile: Tile,
    few: bool,
) -> None:
    real = name in OF_REAL[2:]
    monkeypatch.setattr(plan, "_MIN_PAIRED", 1)
    assert pairs_mirror_images(shape[1] // 2, tile) or not real
    monkeypatch.setattr(passes.Pass, "_tile", lambda *arguments: tile)
    monkeypatch.setattr(passes.Pass, "_has_few_workgroups", lambda *arguments: few)
    with force_variant("fft", "workgroup", 16000):
        check(device, name, numbers(shape, complex_=not real))


# In a lane's registers: more rows than a workgroup has, spectra of pairs, an odd number of them,
# and pairs from half a spectrum; rows that are cut or filled up.
SHORT = [
    ("fft", (70, 10), None),
    ("rfft", (65, 14), None),
    ("irfft", (3, 9), None),
    ("ihfft", (3, 9), 16),
    ("fft", (2, 7), 5),
]


@pytest.mark.parametrize(("name", "shape", "n"), SHORT, ids=str)
def test_rows_of_a_lane(device: Device, name: str, shape: tuple[int, int], n: int | None) -> None:
    with force_variant("fft", "workgroup"):
        check(device, name, numbers(shape, complex_=name not in OF_REAL[2:]), n)


def test_first_roots_as_products(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond 2^20 butterflies a pass multiplies the roots of two tables."""
    monkeypatch.setattr(twiddle, "_MAX_FAR", 1)
    with force_variant("fft", "workgroup", 2000):
        # Three passes of 36: column 1295 of the last is turned by up to 5 times 1295 parts.
        check(device, "fft", numbers((1, 36**3), complex_=True))


@pytest.mark.parametrize("variant", ["column", "workgroup"])
def test_a_row_alone_has_the_same_bits(device: Device, variant: str) -> None:
    """Several of many rows share a workgroup, but sums run in the same order."""
    x = numbers((5, 768), complex_=True)
    with force_variant("fft", variant, 1000):
        together, alone = (signal.fft(device.buffer_from_array(v)).read() for v in (x, x[3:4]))
    np.testing.assert_array_equal(together[3:4], alone)


def test_roots_from_two_tables(device: Device) -> None:
    """Beyond 2^14 roots are products."""
    check(device, "fft", numbers((32768,), complex_=True))


@settings(max_examples=draws(40), deadline=None)
@given(
    shape=st.lists(st.sampled_from([0, 1, 2, 3, 11, 12]), min_size=1, max_size=3),
    where=st.integers(-3, 2),
    n=st.sampled_from([None, 1, 2, 4, 7, 12, 15, 34]),
    name=st.sampled_from(OF_REAL + OF_COMPLEX),
    norm=st.sampled_from([None, "backward", "ortho", "forward"]),
    seed=st.integers(0, 9),
)
def test_shapes_axes_and_norms(
    device: Device, shape: list[int], where: int, n: int | None, name: str, norm: Any, seed: int
) -> None:
    """Operands are views, axes are counted from either end, and others may be empty."""
    axis = where % len(shape) - (len(shape) if where < 0 else 0)
    shape[axis] = max(shape[axis], 2 if name in ("irfft", "hfft") else 1)
    x = numbers(
        tuple(shape[::-1]), complex_=name in ("irfft", "hfft") or seed % 2 == 1, seed=seed
    ).T
    check(device, name, x.real if name in ("rfft", "ihfft") else x, n, axis, norm)


def test_an_impulse_gives_roots_of_unity(device: Device) -> None:
    """Each root is within one rounding of a table and the roundings of three products."""
    x = np.zeros((1, 1001), np.complex64)
    x[0, 1] = 1
    expected = np.exp(-2j * np.pi * np.arange(1001) / 1001)[None]
    result = signal.fft(device.buffer_from_array(x)).read()
    compare(device, "signal.fft", result, expected, 12 * 2.0**-24)


def test_not_a_number_and_infinity_reach_the_whole_row(device: Device) -> None:
    x = numbers((2, 12), complex_=True)
    x[1, 5] = np.nan
    result = signal.fft(device.buffer_from_array(x)).read()
    assert np.isfinite(result[0]).all()
    assert np.isnan(result[1]).all()


def test_the_inverse_ends_ignored_are_ignored(device: Device) -> None:
    """Imaginary parts of the first and the last number of half a spectrum do not count."""
    x = numbers((1, 13), complex_=True)
    for changed in (0, 12):
        y = x.copy()
        y[0, changed] += 5j
        results = [signal.irfft(device.buffer_from_array(v)).read() for v in (x, y)]
        np.testing.assert_array_equal(*results)


def test_wrong_arguments(device: Device) -> None:
    x = device.buffer(f32, (2, 4))
    with pytest.raises(ShapeError, match="axis 2"):
        signal.fft(x, axis=2)
    with pytest.raises(ShapeError, match="must be >= 1"):
        signal.fft(x, n=0)
    with pytest.raises(ShapeError, match="must be >= 1"):
        signal.irfft(device.buffer(c64, (2, 1)))
    with pytest.raises(ShapeError):
        signal.fft(device.buffer(f32, ()))
    with pytest.raises(ArgumentError, match=r"norm .*'unit'"):
        signal.ifft(x, norm="unit")
    with pytest.raises(DTypeError, match="cast"):
        signal.fft(device.buffer(f16, 4))  # type: ignore[arg-type]
    with pytest.raises(DTypeError, match="rfft"):
        signal.rfft(device.buffer(c64, 4))  # type: ignore[arg-type]
    with pytest.raises(DTypeError, match="irfft"):
        signal.irfft(x)  # type: ignore[arg-type]


def test_captured_and_replayed(device: Device) -> None:
    """Once its tables are made, a transform can be part of a graph."""
    x = device.buffer_from_array(numbers((2, 12), complex_=True))
    signal.fft(x)
    with device.capture() as graph:
        y = signal.fft(x)
    other = numbers((2, 12), complex_=True, seed=3)
    x.write(other)
    graph.replay()
    np.testing.assert_allclose(y.read(), np.fft.fft(other), atol=1e-5)
