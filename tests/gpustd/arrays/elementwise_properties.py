"""Elementwise operators against NumPy: drawn shapes, dtypes, layouts, numbers and specials."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gpucore import ArgumentError, Device, DTypeError, ShapeError
from gpucore.dtypes import DTYPES
from gpustd import arrays
from tests.draws import draws
from tests.gpustd.arrays.operators import held_by, laid_out, mixture, on_device
from tests.gpustd.arrays.rules import FLAGS, RULES, without_doubt
from tests.gpustd.compare import compare

__all__ = ["properties_of"]

Array = NDArray[Any]
Property = Callable[..., None]

EXTENTS = st.sampled_from([0, 1, 2, 3, 4, 5, 8, 13, 127])
SHAPE = st.lists(EXTENTS, max_size=4).map(tuple).filter(lambda s: np.prod(s) < 20000)
SEED = st.integers(0, 10**6)
FLOATS = st.lists(st.floats(width=32, allow_subnormal=False), max_size=6)


def check(device: Device, op: str, operands: list[Any], dtype: str) -> None:
    """Numbers stand for themselves; what NumPy is given has the dtype of the buffers."""
    result = on_device(device, getattr(arrays, op), *operands)
    kind = DTYPES[dtype].numpy
    given = [x if isinstance(x, np.ndarray) else np.asarray(x, kind) for x in operands]
    found, expected, allowed, unit = without_doubt(op, result, given, dtype)
    if op in FLAGS:
        kind = np.uint8
    elif dtype == "c64" and op in ("real", "imag", "absolute"):
        kind = np.float32
    assert result.dtype == kind, op
    compare(device, f"arrays.{op}", found, expected, allowed, unit)


def drawn(dtype: str, op: str, count: int, shape: Any, seed: int, extras: list[float]) -> list[Any]:
    """Operands of one shape, equal here and there; the second of shifts is no negative number."""
    made = [mixture(dtype, shape, seed + k, extras) for k in range(count)]
    same = np.random.default_rng(seed).random(shape) < 0.2
    made[1:] = [np.where(same, made[0], x) for x in made[1:]]
    if "shift" in op:
        made[1] = (np.abs(made[1].astype(np.int64)) % 41).astype(made[1].dtype)
    return made


def check_equal_shapes(device: Device, ops: Sequence[str], data: st.DataObject) -> None:
    """All of ``ops`` in all dtypes that they take, NumPy's arrays in a drawn memory layout."""
    shape, seed, extras = data.draw(SHAPE), data.draw(SEED), data.draw(FLOATS)
    layout = data.draw(st.sampled_from(["plain", "steps", "turned", "back"]))
    for op in ops:
        rule = RULES[op]
        for dtype in sorted({held_by(device, taken) for taken in rule.takes}):
            if (op, dtype) != ("where", "c64"):
                operands = drawn(dtype, op, rule.operands, shape, seed, extras)
                check(device, op, [laid_out(x, layout) for x in operands], dtype)


def broadcast(shape: tuple[int, ...]) -> st.SearchStrategy[tuple[int, ...]]:
    """Shapes that broadcast to ``shape``."""
    axes = st.tuples(*[st.sampled_from([n, 1]) for n in shape])
    return st.tuples(axes, st.integers(0, len(shape))).map(lambda drawn: drawn[0][drawn[1] :])


def check_broadcasting(device: Device, ops: Sequence[str], data: st.DataObject) -> None:
    """All of ``ops`` that have several operands, of drawn dtypes.

    Each operand has its own axes, or is a number; a condition has a dtype of its own.
    """
    shape, seed, extras = data.draw(SHAPE), data.draw(SEED), data.draw(FLOATS)
    for op in ops:
        rule = RULES[op]
        if rule.operands > 1:
            dtype = held_by(device, data.draw(st.sampled_from(rule.takes)))
            whole = drawn(dtype, op, rule.operands, shape, seed, extras)
            check(device, op, spread(device, op, dtype, whole, data), dtype)


def spread(device: Device, op: str, dtype: str, whole: list[Any], data: st.DataObject) -> list[Any]:
    """Parts of whole operands that broadcast to their shape, and numbers among them."""
    shape = whole[0].shape
    operands: list[Any] = []
    always = data.draw(st.integers(0, len(whole) - 1))
    for k, x in enumerate(whole):
        kind = "array" if k == always or (op in ("clip", "where") and not k) else None
        kind = kind or data.draw(st.sampled_from(["array", "number"]))
        if kind == "number":
            operands.append(x.ravel()[0].item() if x.size and np.isfinite(x.ravel()[0]) else 1)
            continue
        cut = data.draw(broadcast(shape))
        extent = tuple(slice(0, n) for n in cut)
        operands.append(
            np.ascontiguousarray(x[(0,) * (len(shape) - len(cut))][extent])
            if x.size
            else np.zeros(cut, x.dtype)
        )
    if op == "where":
        condition = held_by(device, data.draw(st.sampled_from(["u8", "f32", "i32", "f16"])))
        operands[0] = mixture(condition, operands[0].shape, len(shape))
        if not isinstance(operands[1], np.ndarray) and not isinstance(operands[2], np.ndarray):
            operands[1] = whole[1]
    return operands


def check_refusals(device: Device, ops: Sequence[str], data: st.DataObject) -> None:
    """Check that unsupported dtypes, two dtypes, shapes and numbers beyond the dtype raise."""
    op = data.draw(st.sampled_from(ops))
    rule, call = RULES[op], getattr(arrays, op)
    taken = DTYPES[held_by(device, data.draw(st.sampled_from(rule.takes)))]
    x = device.buffer(taken, (2, 3))
    operands: list[Any] = [x] * rule.operands
    if op == "where":
        operands[0] = device.buffer(DTYPES["u8"], (2, 3))
    others = [d for d in DTYPES if d not in rule.takes and d != "f16"]
    if others:
        other = device.buffer(DTYPES[data.draw(st.sampled_from(others))], (2, 3))
        with pytest.raises(DTypeError, match=f"^{op}: the dtype must be one of"):
            call(*operands[:1], *[other] * 2) if op == "where" else call(*[other] * rule.operands)
    if rule.operands == 1:
        return
    with pytest.raises(ShapeError, match=f"^{op}: extents must be equal or 1"):
        call(*operands[:-1], device.buffer(taken, (2, 2)))
    two = next(DTYPES[d] for d in ("i32", "f32", "u8") if DTYPES[d] is not taken)
    with pytest.raises(DTypeError, match=f"^{op}: buffers must have one dtype"):
        call(*operands[:-1], device.buffer(two, (2, 3)))
    number = data.draw(st.sampled_from([2**40 + 1, 1j, 10.0**39]))
    if taken.name != "c64" or not isinstance(number, complex):
        with pytest.raises((ArgumentError, DTypeError), match=f"^{op}: "):
            call(*operands[:-1], number)


def properties_of(ops: Sequence[str]) -> tuple[Property, Property, Property]:
    """Return the tests of a module's operators: equal shapes, broadcasting, errors."""

    @settings(max_examples=draws(4), deadline=None)
    @given(st.data())
    def test_equal_shapes(device: Device, data: st.DataObject) -> None:
        check_equal_shapes(device, ops, data)

    @settings(max_examples=draws(6), deadline=None)
    @given(st.data())
    def test_broadcasting(device: Device, data: st.DataObject) -> None:
        check_broadcasting(device, ops, data)

    @settings(max_examples=draws(20), deadline=None)
    @given(st.data())
    def test_refusals(device: Device, data: st.DataObject) -> None:
        check_refusals(device, ops, data)

    return test_equal_shapes, test_broadcasting, test_refusals
