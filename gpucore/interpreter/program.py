"""A kernel that the CPU runs, all invocations of many workgroups at once."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from gpucore.interpreter.findings import Findings
from gpucore.interpreter.lanes import Lanes
from gpucore.interpreter.memory import Memory
from gpucore.interpreter.places import Cells, Evaluate, Register
from gpucore.interpreter.scope import Context, MemoryPlan, Run
from gpucore.interpreter.statements import Functions, declare, declare_variable
from gpucore.interpreter.trees import Leaf, leaf_places, tree_of
from gpucore.interpreter.values import Data, constant, dtype_of, zero
from gpucore.wgsl import Binding, parse, reflect
from gpucore.wgsl.layout import fixed_size, runtime_array
from gpucore.wgsl.syntax import Attribute, Call, Module, Name, Struct
from gpucore.wgsl.types import infer_types
from gpucore.wgsl.types.facts import Facts
from gpucore.wgsl.types.kinds import Matrix, Pointer, Structure, Type

__all__ = ["Bound", "Program"]

# Invocations that run at once: many, so that NumPy's calls cost little, and few, so that the
# caches have their values.
_LANES: Final = 1 << 14
_MOST_PRIVATE: Final = 1 << 26


@dataclass(slots=True)
class Bound:
    """The bytes of a buffer, changed in place, and which of them were written (None: all)."""

    data: NDArray[np.uint8]
    written: NDArray[np.bool_] | None = None


class Program:
    """An entry point of WGSL, compiled for the CPU.

    ``constants`` are the values of overrides, by name or number. ``source`` is the text. Raises
    errors of `WgslError`, and `UnsupportedWgslError`.
    """

    def __init__(self, source: str, entry: str, constants: Mapping[str, float]) -> None:
        self.source = source
        module = parse(source)
        reflection = reflect(module)
        point = reflection.entry_points[entry]
        self.bindings: tuple[Binding, ...] = tuple(
            each for each in reflection.bindings if each.name in point.resources
        )
        self.workgroup_size = point.workgroup_size(constants)
        facts = infer_types(module, entry, constants)
        self._context = context = Context(facts, source)
        self._start: list[Run] = []
        self._places: dict[str, int] = {}
        for variable, symbol in facts.variables:
            if variable.kind == "var":
                self._declare(variable, symbol)
        functions = Functions(context)
        main = next(f for f in facts.functions if f.name == entry)
        self._main = functions.compile(entry)
        self._inputs = [
            _input(parameter.attributes, facts.declared[id(parameter)].type, module)
            for parameter in main.parameters
        ]
        self._runs_one_group = _waits_for_others(facts)

    def _declare(self, variable: Any, symbol: Any) -> None:
        context, space = self._context, symbol.kind.partition(" ")[0]
        if space == "private":
            place = declare_variable(context, symbol, "private")
            context.module_names[symbol] = place
            value = context.facts.value_of(variable.value) if variable.value else None
            self._start.append(_initialise(place, symbol.type, value))
            return
        tree, leaves = tree_of(symbol.type)
        access = symbol.kind.partition(" ")[2]
        number = context.new_memory(MemoryPlan(symbol.name, space, access, tree, leaves))
        context.module_names[symbol] = Cells(symbol.name, number, tree, symbol.type)
        self._places[symbol.name] = number

    def run(
        self,
        buffers: Mapping[str, Bound],
        grid: tuple[int, int, int],
        findings: Findings,
        subgroup_size: int = 32,
    ) -> None:
        """Run the kernel over a grid of workgroups; ``buffers`` has those of the bindings by name.

        Raises `EndlessLoopError`.
        """
        storages = self._bind(buffers)
        groups, width = math.prod(grid), math.prod(self.workgroup_size)
        at_once = 1 if self._runs_one_group else max(1, self._lanes() // width)
        with np.errstate(all="ignore"):
            for first in range(0, groups, at_once):
                count = min(at_once, groups - first)
                lanes = Lanes(findings, first, count, self.workgroup_size, grid, subgroup_size)
                self._run_batch(lanes, storages)
        for each in self.bindings:
            self._write_back(each, storages[self._places[each.name]], buffers[each.name])

    def _lanes(self) -> int:
        """Return how many invocations run at once, fewer where each has much memory."""
        private = sum(
            math.prod(leaf.extents) * leaf.components
            for plan in self._context.memories
            if plan.space == "private"
            for leaf in plan.leaves
        )
        return min(_LANES, _MOST_PRIVATE // max(private, 1))

    def _run_batch(self, lanes: Lanes, storages: Mapping[int, Memory]) -> None:
        context = self._context
        lanes.slots = [None] * context.slots
        lanes.scopes = [0] * context.slots
        for number, plan in enumerate(context.memories):
            memory = storages.get(number)
            if memory is None:
                owners = lanes.group_count if plan.space == "workgroup" else lanes.count
                memory = Memory(plan.name, plan.space, plan.leaves, owners)
                memory.allocate()
            lanes.memories.append(memory)
        for each in self._start:
            each(lanes)
        for slot, value in zip(self._main.parameters, self._inputs, strict=True):
            declare(lanes, slot, value(lanes))
        declare(lanes, self._main.result, None)
        self._main.run(lanes)

    # Buffers

    def _bind(self, buffers: Mapping[str, Bound]) -> dict[int, Memory]:
        """Return the memories of the bindings, with the contents of the buffers."""
        found: dict[int, Memory] = {}
        for binding in self.bindings:
            number = self._places[binding.name]
            plan = self._context.memories[number]
            bound = buffers[binding.name]
            memory = Memory(binding.name, plan.space, plan.leaves, 1)
            memory.runtime_count = _runtime_count(binding, bound.data.size)
            tracked = plan.access == "read_write"
            for leaf, view in zip(plan.leaves, _views(binding, plan, bound), strict=True):
                numbers = memory.add(leaf, _pack(view.array, leaf), is_tracked=tracked)
                if bound.written is not None:
                    whole = view.of_bytes(bound.written).all(-1)
                    numbers.written = _pack(whole, leaf).reshape(-1)
            found[number] = memory
        return found

    def _write_back(self, binding: Binding, memory: Memory, bound: Bound) -> None:
        if self._context.memories[self._places[binding.name]].access != "read_write":
            return
        views = _views(binding, self._context.memories[self._places[binding.name]], bound)
        for numbers, view in zip(memory.numbers, views, strict=True):
            view.array[...] = _unpack(numbers.values, view)
            if numbers.written is not None and bound.written is not None:
                written = _unpack(numbers.written.reshape(numbers.values.shape), view)
                view.of_bytes(bound.written)[written] = True


@dataclass(frozen=True, slots=True)
class _View:
    """Where the numbers of a leaf lie in the bytes of a buffer: (arrays, columns, rows)."""

    data: Data
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def array(self) -> Data:
        """The numbers."""
        return np.ndarray(self.shape, self.dtype, self.data, self.offset, self.strides)

    def of_bytes(self, mask: Data) -> Data:
        """Return a mask of all bytes as that of the bytes of each number, the last axis."""
        shape, strides = (*self.shape, self.dtype.itemsize), (*self.strides, 1)
        return np.ndarray(shape, np.bool_, mask, self.offset, strides)


def _views(binding: Binding, plan: MemoryPlan, bound: Bound) -> list[_View]:
    assert binding.layout is not None
    count = _runtime_count(binding, bound.data.size)
    found = []
    places = leaf_places(plan.tree, binding.layout)
    for leaf, (offset, steps) in zip(plan.leaves, places, strict=True):
        dtype = dtype_of(leaf.type)
        extents = tuple(count if extent < 0 else extent for extent in leaf.extents)
        columns, rows, step = 1, leaf.components, 0
        if isinstance(leaf.type, Matrix):
            columns, rows = leaf.type.columns, leaf.type.rows
            step = dtype.itemsize * (2 if rows == 2 else 4)
        shape, strides = (*extents, columns, rows), (*steps, step, dtype.itemsize)
        found.append(_View(bound.data, offset, shape, strides, dtype))
    return found


def _pack(numbers: Any, leaf: Leaf) -> Data:
    """Return the numbers of a leaf, (arrays, columns, rows), as (components, elements, 1)."""
    return np.ascontiguousarray(numbers.reshape(-1, leaf.components).T)[..., None]


def _unpack(values: Data, view: _View) -> Data:
    """Return what `_pack` was given."""
    return values[..., 0].T.reshape(view.shape)


def _runtime_count(binding: Binding, nbytes: int) -> int:
    """Return the length of the array without a size that a buffer ends in, or 0."""
    assert binding.layout is not None
    array = runtime_array(binding.layout)
    if array is None:
        return 0
    return (nbytes - fixed_size(binding.layout)) // array.stride


def _initialise(place: Register | Cells, type_: Type, value: Any) -> Run:
    first = zero(type_) if value is None else constant(value, type_)
    if isinstance(place, Register):
        slot = place.slot
        return lambda lanes: declare(lanes, slot, first)
    cells = place
    return lambda lanes: cells.store(lanes, first, 0)


_WAITING: Final = ("atomicLoad", "atomicOr", "atomicCompareExchangeWeak")


def _waits_for_others(facts: Facts) -> bool:
    """Tell whether workgroups may wait for what others write, so that they must run in turn."""
    return any(
        isinstance(node, Call)
        and node.function.name in _WAITING
        and isinstance(pointer := facts.type_of(node.arguments[0]), Pointer)
        and pointer.space == "storage"
        for node in facts.nodes
    )


def _input(attributes: Sequence[Attribute], type_: Type, module: Module) -> Evaluate:
    """Return a parameter of the entry point: a built-in value, or a structure of them."""
    for attribute in attributes:
        if attribute.name == "builtin" and isinstance(attribute.arguments[0], Name):
            name = attribute.arguments[0].name
            return lambda lanes: lanes.built_in(name)
    assert isinstance(type_, Structure)
    declared = next(
        d for d in module.declarations if isinstance(d, Struct) and d.name == type_.name
    )
    parts = [
        _input(member.attributes, kind, module)
        for member, (_, kind) in zip(declared.members, type_.members, strict=True)
    ]
    return lambda lanes: tuple(part(lanes) for part in parts)
