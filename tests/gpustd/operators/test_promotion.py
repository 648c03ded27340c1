"""Dtypes of operators are those of NumPy 2, but for dtypes of 64 bits."""

from __future__ import annotations

import itertools
import operator
from typing import Any

import numpy as np
import pytest

from gpucore import ArgumentError, Device, DTypeError, f16, f32, i8, i32, u8
from gpucore.dtypes import DTYPES
from gpustd.arrays.masks import Mask, as_mask

pytestmark = pytest.mark.sampled

NULL = Device.null()
OPERANDS: dict[str, Any] = {
    **{name: NULL.buffer(dtype, 3) for name, dtype in DTYPES.items()},
    "mask": as_mask(NULL.buffer(u8, 3)),
    "int": 1,
    "float": 0.5,
    "complex": 1j,
    "bool": True,
    "np.int8": np.ones(3, np.int8),
    "np.float32": np.ones(3, np.float32),
    "np.bool": np.ones(3, np.bool_),
}
NUMPY: dict[str, Any] = {
    **{name: np.zeros(3, dtype.numpy) for name, dtype in DTYPES.items()},
    "mask": np.zeros(3, np.bool_),
    **{name: OPERANDS[name] for name in OPERANDS if name in ("int", "float", "complex", "bool")},
    **{name: OPERANDS[name] for name in OPERANDS if name.startswith("np.")},
}
# What stands for NumPy's dtypes that buffers do not have.
OTHERS = {
    "bool": "uint8",
    "complex128": "complex64",
    "float64": "float32",
    "int16": "int32",
    "uint16": "uint32",
}
PAIRS = [(a, b) for a, b in itertools.product(OPERANDS, OPERANDS) if {a, b} & {*DTYPES, "mask"}]


def expected_dtype(a: str, b: str) -> str:
    found = np.result_type(NUMPY[a], NUMPY[b])
    name = str(found)
    if name == "int64":
        return "error" if "u32" in (a, b) else "int32"
    return OTHERS.get(name, name)


@pytest.mark.parametrize(("a", "b"), PAIRS)
def test_sums_have_numpys_dtype(a: str, b: str) -> None:
    expected = expected_dtype(a, b)
    if expected == "error":
        with pytest.raises(DTypeError, match="add: operands must have a common dtype of at most"):
            OPERANDS[a] + OPERANDS[b]
        return
    result = OPERANDS[a] + OPERANDS[b]
    assert str(result.dtype.numpy) == expected
    assert isinstance(result, Mask) == (str(np.result_type(NUMPY[a], NUMPY[b])) == "bool")


@pytest.mark.parametrize(("a", "b"), PAIRS)
def test_quotients_are_floats(a: str, b: str) -> None:
    with np.errstate(all="ignore"):
        found = str((NUMPY[a] / NUMPY[b]).dtype)
    result = OPERANDS[a] / OPERANDS[b]
    assert str(result.dtype.numpy) in (OTHERS.get(found, found), "float32")
    assert result.dtype.numpy.kind in "fc"


@pytest.mark.parametrize("op", [operator.add, operator.mul, operator.and_, operator.or_])
def test_truth_values_stay_truth_values(op: Any) -> None:
    mask = OPERANDS["mask"]
    for other in (mask, True, np.ones(3, np.bool_)):
        assert isinstance(op(mask, other), Mask)
        assert isinstance(op(other, mask), Mask)
    assert isinstance(~mask, Mask)
    assert isinstance(mask.reshape(3, 1), Mask)
    assert isinstance(mask.copy(), Mask)
    assert isinstance(mask[1:], Mask)
    assert isinstance(mask.T, Mask)
    assert not isinstance(op(mask, OPERANDS["u8"]), Mask)
    assert not isinstance(mask.astype(u8), Mask)


def test_truth_values_have_no_differences() -> None:
    mask = OPERANDS["mask"]
    with pytest.raises(DTypeError, match="subtract: operands must be numbers, got truth values"):
        operator.sub(mask, mask)
    with pytest.raises(DTypeError, match="negative: x must hold numbers, got truth values"):
        operator.neg(mask)
    assert (mask - 1).dtype is i32
    assert (mask * 0.5).dtype is f32


def test_numbers_that_the_dtype_does_not_hold() -> None:
    x = OPERANDS["u8"]
    with pytest.raises(ArgumentError, match="add: the number must be one that u8 holds, got 256"):
        x + 256
    with pytest.raises(ArgumentError, match="power: whole numbers have powers from 0 on, got -1"):
        x**-1
    assert (OPERANDS["f32"] + 2**40).dtype is f32


def test_arrays_of_64_bits_are_refused() -> None:
    for array in (np.ones(3), np.ones(3, np.int64)):
        with pytest.raises(DTypeError, match=r"no buffer dtype for NumPy .*64: convert"):
            OPERANDS["f32"] + array
        with pytest.raises(DTypeError, match=r"no buffer dtype for NumPy .*64: convert"):
            array * OPERANDS["f32"]
    assert (OPERANDS["f32"] + np.float64(2)).dtype is f32
    assert (OPERANDS["f16"] + np.array(2.0)).dtype is f16


def test_results_in_place_keep_the_dtype() -> None:
    x, n = NULL.buffer(f32, 3), NULL.buffer(i32, 3)
    same = x
    x += n
    x /= 2
    assert x is same
    with pytest.raises(DTypeError, match=r"divide in place: a result of f32 does not fit .*i32"):
        n /= 2
    with pytest.raises(DTypeError, match="add in place: a result of f32 does not fit"):
        n += 0.5
    n += NULL.buffer(i8, 3)
    bytes_ = NULL.buffer(u8, 3)
    with pytest.raises(DTypeError, match="add in place: a result of i32 does not fit"):
        bytes_ += NULL.buffer(i8, 3)


@pytest.mark.parametrize("other", ["a", None, [1, 2], {}, object()])
def test_other_objects_are_no_operands(other: Any) -> None:
    x: Any = NULL.buffer(f32, 2)
    with pytest.raises(TypeError, match=r"unsupported operand type\(s\) for \+"):
        x + other
    with pytest.raises(TypeError, match="not supported between"):
        x < other  # noqa: B015
    assert (x == other) is False
    assert (x != other) is True
