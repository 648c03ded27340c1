"""Matrices that the invocations of a subgroup share, as matrix units have them (Dawn's extension).

A matrix is an array (rows, columns, subgroups). Products are summed in f64 and rounded once, so
that a card's own sums may differ from them in the last bits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from gpucore.interpreter.lanes import Lanes
from gpucore.interpreter.memory import Memory
from gpucore.interpreter.places import Cells, Evaluate, Place
from gpucore.interpreter.scope import Context
from gpucore.interpreter.trees import Cell, Row
from gpucore.interpreter.values import Data, dtype_of
from gpucore.wgsl.syntax import Call, Expression, Name
from gpucore.wgsl.types.kinds import Units

__all__ = ["UNITS", "units_call"]

UNITS: Final = (
    "subgroupMatrixLoad",
    "subgroupMatrixStore",
    "subgroupMatrixMultiply",
    "subgroupMatrixMultiplyAccumulate",
)


def units_call(
    context: Context,
    node: Call,
    compile_value: Callable[[Expression], Evaluate],
    place: Place | None,
) -> Evaluate:
    """Compile a call of a function of matrix units; ``place`` is that of its first argument."""
    name = node.function.name
    if name in ("subgroupMatrixMultiply", "subgroupMatrixMultiplyAccumulate"):
        type_ = context.facts.type_of(node)
        operands = [compile_value(argument) for argument in node.arguments]
        return lambda lanes: _multiply([each(lanes) for each in operands], type_)
    if not isinstance(place, Cells) or not isinstance(place.tree, Row):
        raise context.refusal("a matrix outside of an array", node)
    cells, at = place, node.at
    turned = any(isinstance(a, Name) and a.name == "col_major" for a in node.function.arguments)
    values = [compile_value(argument) for argument in node.arguments[1:]]
    if name == "subgroupMatrixLoad":
        loaded = context.facts.type_of(node)
        assert isinstance(loaded, Units)
        units = loaded

        def load(lanes: Lanes) -> Data:
            offset, stride = (_uniform(lanes, each(lanes), at) for each in values)
            return _load(lanes, cells, units, offset, stride, turned, at)

        return load
    stored = context.facts.type_of(node.arguments[2])
    assert isinstance(stored, Units)
    kept = stored

    def store(lanes: Lanes) -> None:
        offset, stride = (_uniform(lanes, values[i](lanes), at) for i in (0, 2))
        _store(lanes, cells, kept, offset, stride, turned, values[1](lanes), at)

    return store


def _uniform(lanes: Lanes, value: Data, at: int) -> Data:
    """Return what each subgroup has; note subgroups whose invocations differ."""
    wide = lanes.spread(value)
    first = lanes.first_of_subgroups(wide)
    wrong = wide != first[lanes.subgroup_of_lane]
    if wrong.any():
        message = "the invocations of a subgroup give {value} and others"
        lanes.report("subgroup", at, wrong, message, value=wide)
    whole = np.bincount(lanes.subgroup_of_lane[lanes.mask], minlength=lanes.subgroup_count)
    members = np.bincount(lanes.subgroup_of_lane, minlength=lanes.subgroup_count)
    partial = ((whole > 0) & (whole < members))[lanes.subgroup_of_lane]
    if partial.any():
        lanes.report("subgroup", at, partial, "only some invocations of a subgroup are here")
    lanes.meet_in_subgroups()
    return first.astype(np.int64)


def _elements(memory: Memory, cells: Cells, units: Units, turned: bool) -> tuple[int, int, int]:
    """Return the runs of a matrix in memory, the elements of a run, and the length of the array."""
    assert isinstance(cells.tree, Row)
    assert isinstance(cells.tree.element, Cell)
    values = memory.numbers[cells.tree.element.leaf].values
    runs, run = (units.columns, units.rows) if turned else (units.rows, units.columns)
    nbytes = run * dtype_of(units).itemsize
    return runs, nbytes // (values.shape[0] * values.itemsize), values.shape[1]


def _places(
    lanes: Lanes, cells: Cells, units: Units, offset: Data, stride: Data, turned: bool, at: int
) -> tuple[Lanes, Data]:
    """Return the lanes as subgroups, and the elements of a matrix, (runs, elements, subgroups)."""
    inner = lanes.as_subgroups()
    runs, per_run, length = _elements(lanes.memories[cells.memory], cells, units, turned)
    element = offset + np.arange(runs)[:, None, None] * stride + np.arange(per_run)[:, None]
    wrong = (element < 0) | (element >= length)
    if wrong.any():
        message = "{variable}[{index}] is outside: {variable} has {count} elements"
        inner.report("bounds", at, wrong, message, variable=cells.name, index=element, count=length)
        element = np.clip(element, 0, length - 1)
    return inner, element


def _load(
    lanes: Lanes, cells: Cells, units: Units, offset: Data, stride: Data, turned: bool, at: int
) -> Data:
    inner, element = _places(lanes, cells, units, offset, stride, turned, at)
    memory: Memory = lanes.memories[cells.memory]
    leaf = _leaf(cells)
    found = memory.load(inner, leaf, element, 0, len(memory.numbers[leaf].values), at)
    # (components, runs, elements, n) to (n, runs, numbers of a run)
    rows = np.ascontiguousarray(np.moveaxis(found, (3, 1, 2, 0), (0, 1, 2, 3)))
    flat = rows.reshape(*rows.shape[:2], -1).view(dtype_of(units))
    return np.moveaxis(flat, (2, 1, 0) if turned else (1, 2, 0), (0, 1, 2))


def _store(
    lanes: Lanes,
    cells: Cells,
    units: Units,
    offset: Data,
    stride: Data,
    turned: bool,
    value: Data,
    at: int,
) -> None:
    inner, element = _places(lanes, cells, units, offset, stride, turned, at)
    memory: Memory = lanes.memories[cells.memory]
    leaf = _leaf(cells)
    numbers = memory.numbers[leaf]
    wide = np.broadcast_to(value, (*value.shape[:2], lanes.subgroup_count))
    runs = np.ascontiguousarray(np.moveaxis(wide, (0, 1, 2), (2, 1, 0) if turned else (1, 2, 0)))
    words = runs.view(numbers.values.dtype).reshape(*runs.shape[:2], -1, len(numbers.values))
    memory.store(inner, leaf, element, 0, np.moveaxis(words, (3, 1, 2, 0), (0, 1, 2, 3)), at)


def _leaf(cells: Cells) -> int:
    assert isinstance(cells.tree, Row)
    assert isinstance(cells.tree.element, Cell)
    return cells.tree.element.leaf


def _multiply(operands: list[Data], type_: object) -> Data:
    """Return left times right, and the sums so far added to it."""
    assert isinstance(type_, Units)
    left, right = (np.moveaxis(each, -1, 0).astype(np.float64) for each in operands[:2])
    product = np.moveaxis(left @ right, 0, -1)
    if len(operands) == 3:
        product = product + operands[2]
    return product.astype(dtype_of(type_))
