"""BF16 and the 8-bit floats: every code by its definition, rounding against all neighbours."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from diffusion.checkpoints import open_safetensors
from diffusion.checkpoints.safetensors import write_safetensors
from diffusion.checkpoints.safetensors.element_types import NAMES, STORED, decode, encode
from diffusion.errors import SettingsError
from tests.diffusion.checkpoints.safetensors.hostile_files import one_tensor, safetensors_bytes

FORMATS = {"F8_E4M3": (4, 3, 7), "F8_E5M2": (5, 2, 15), "BF16": (8, 7, 127)}


def value_of(code: int, dtype: str) -> float:
    """Return the number that a code stands for, from sign, exponent and mantissa."""
    exponent_bits, mantissa_bits, bias = FORMATS[dtype]
    sign = -1.0 if code >> (exponent_bits + mantissa_bits) else 1.0
    exponent = (code >> mantissa_bits) & ((1 << exponent_bits) - 1)
    mantissa = code & ((1 << mantissa_bits) - 1)
    if exponent == (1 << exponent_bits) - 1:
        if dtype == "F8_E4M3":
            if mantissa == 7:
                return math.nan
        else:
            return math.nan if mantissa else sign * math.inf
    fraction = mantissa / (1 << mantissa_bits) + (exponent > 0)
    return sign * fraction * 2.0 ** (max(exponent, 1) - bias)


def codes_of(dtype: str) -> np.ndarray[tuple[int], np.dtype[np.uint16]]:
    return np.arange(1 << (1 + sum(FORMATS[dtype][:2]))).astype(STORED[dtype])


@pytest.mark.parametrize("dtype", FORMATS)
def test_every_code_is_read_exactly(dtype: str) -> None:
    found = decode(dtype, codes_of(dtype))
    expected = np.array([value_of(int(code), dtype) for code in codes_of(dtype)])
    with np.errstate(invalid="ignore"):  # signalling NaNs among the codes
        assert np.array_equal(found.astype(np.float64), expected, equal_nan=True)
    assert np.array_equal(np.signbit(found)[expected == 0], [False, True])


@pytest.mark.parametrize("dtype", FORMATS)
def test_every_value_is_written_back(dtype: str) -> None:
    codes = codes_of(dtype)
    values = decode(dtype, codes)
    found = encode(dtype, values)
    assert found.dtype == STORED[dtype]
    numbers = ~np.isnan(values)
    assert np.array_equal(found[numbers], codes[numbers])
    assert np.isnan(decode(dtype, found)[~numbers]).all()


def nearest(value: float, dtype: str) -> int:
    """Return the code of the nearest value, ties to even, for positive numbers within range."""
    finite = [code for code in codes_of(dtype).tolist() if 0 <= value_of(code, dtype) < math.inf]
    finite = [code for code in finite if math.copysign(1, value_of(code, dtype)) > 0]
    return min(
        finite, key=lambda code: (abs(Fraction(value_of(code, dtype)) - Fraction(value)), code & 1)
    )


@pytest.mark.parametrize("dtype", ["F8_E4M3", "F8_E5M2"])
def test_rounding(dtype: str) -> None:
    codes = codes_of(dtype)
    steps = np.array(sorted({abs(value_of(int(c), dtype)) for c in codes[:120]}))
    middles = (steps[1:] + steps[:-1]) / 2
    around = [middles, np.nextafter(middles, 0), np.nextafter(middles, np.inf)]
    drawn = np.random.default_rng(1).uniform(0, steps[-1], 100)
    values = np.concatenate([*around, drawn])
    expected = [nearest(float(value), dtype) for value in values]
    assert encode(dtype, values).tolist() == expected
    assert encode(dtype, -values).tolist() == [code + 128 for code in expected]


def test_rounding_of_bf16() -> None:
    values = np.random.default_rng(2).normal(size=1000).astype(np.float32)
    lower = values.view(np.uint32) & np.uint32(0xFFFF0000)
    middles = (lower | np.uint32(0x8000)).view(np.float32)
    for wide in (values, middles):
        found = decode("BF16", encode("BF16", wide)).astype(np.float64)
        below = lower.view(np.float32).astype(np.float64)
        above = (lower + np.uint32(0x10000)).view(np.float32).astype(np.float64)
        gaps = np.abs(np.stack([below, above]) - wide.astype(np.float64))
        even = (lower >> np.uint32(16)) & np.uint32(1) == 0
        takes_below = (gaps[0] < gaps[1]) | ((gaps[0] == gaps[1]) & even)
        assert np.array_equal(found, np.where(takes_below, below, above))


@pytest.mark.parametrize(
    ("dtype", "value", "code"),
    [
        ("F8_E4M3", 448.0, 126),
        ("F8_E4M3", 464.0, 126),
        ("F8_E4M3", 464.1, 127),
        ("F8_E4M3", math.inf, 127),
        ("F8_E5M2", 57344.0, 123),
        ("F8_E5M2", 61439.0, 123),
        ("F8_E5M2", 61440.0, 124),
        ("F8_E5M2", -math.inf, 252),
        ("BF16", 3.4028235e38, 0x7F80),
        ("BF16", math.inf, 0x7F80),
        ("F8_E4M3", math.nan, 127),
        ("BF16", math.nan, 0x7FC0),
    ],
)
def test_the_ends_of_the_range(dtype: str, value: float, code: int) -> None:
    assert encode(dtype, np.array([value])).tolist() == [code]


def test_whole_numbers_stay_what_they_are() -> None:
    numbers = np.arange(3, dtype=np.int64)
    assert encode("I64", numbers) is numbers
    for wrong in ("F16", "I32"):
        with pytest.raises(SettingsError, match="give the type of the tensor, int64"):
            encode(wrong, numbers)
    assert encode("F16", np.array([1e9])).tolist() == [math.inf]
    assert encode("BOOL", np.array([True, False])).tolist() == [1, 0]
    assert NAMES[np.dtype(np.bool_)] == "BOOL"


@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("shape", [(), (0,), (2, 3, 1)])
def test_files_of_narrow_types(dtype: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    values = np.full(shape, -1.5, np.float32)
    path = tmp_path / "narrow.safetensors"
    write_safetensors(path, {"a": (dtype, shape)}, {"a": values}.__getitem__)
    file = open_safetensors(path)
    assert file.entry("a").dtype == dtype
    assert file.entry("a").nbytes == values.size * STORED[dtype].itemsize
    found = file.read("a")
    assert found.dtype == (np.float32 if dtype == "BF16" else np.float16)
    assert found.shape == shape
    assert (found == values).all()


def test_the_scale_of_f8_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "f8.safetensors"
    path.write_bytes(safetensors_bytes(one_tensor(dtype="F8_E4M3", shape=[4]), b"\x38\xb8\x01\x7e"))
    assert open_safetensors(path).read("a").tolist() == [1.0, -1.0, 2.0**-9, 448.0]
