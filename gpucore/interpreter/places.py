"""What can be read and assigned: variables, and their members, elements and components.

A `Register` is a variable that holds no arrays, kept as one value. `Cells` are a place in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from gpucore.interpreter.lanes import Lanes
from gpucore.interpreter.memory import Memory
from gpucore.interpreter.trees import Cell, Group, Row, Tree
from gpucore.interpreter.values import Data, Value, merge, spread
from gpucore.wgsl.types.kinds import Array, Matrix, Structure, Type, Units, Vector

__all__ = ["Cells", "Evaluate", "Place", "Register", "at_start", "clip_index", "pick"]

Evaluate = Callable[[Lanes], Value]


def clip_index(
    lanes: Lanes, index: Data, count: int, name: str, at: int
) -> tuple[Data, Data | None]:
    """Return an index inside of ``count`` elements, and where it was outside (None: nowhere)."""
    index = index.astype(np.int64)
    wrong = (index < 0) | (index >= count)
    if not wrong.any():
        return index, None
    lanes.report(
        "bounds",
        at,
        wrong,
        "{variable}[{index}] is outside: {variable} has {count} elements",
        variable=name,
        index=index,
        count=count,
    )
    return np.clip(index, 0, count - 1), wrong


def pick(value: Value, index: Data) -> Value:
    """Return the element of a composite value at an index that is inside of it."""
    if isinstance(value, tuple):
        return tuple(pick(part, index) for part in value)
    if index.shape == (1,):
        return value[index[0]]
    if value.shape[-1] == 1:
        return np.moveaxis(value[..., 0][index], 0, -1)
    return np.moveaxis(value[index, ..., np.arange(len(index))], 0, -1)


def _put(value: Data, index: Data, part: Data, mask: Data) -> None:
    """Write one element of a composite value where the mask is true."""
    if index.shape == (1,):
        np.copyto(value[index[0]], part, where=mask)
        return
    lanes = np.flatnonzero(mask)
    value[index[lanes], ..., lanes] = np.moveaxis(spread(part, len(mask)), -1, 0)[lanes]


@dataclass(frozen=True, slots=True)
class Register:
    """A variable without arrays, or a member, column or component of it.

    ``path`` has the numbers of members. ``selectors`` are of columns and components: each returns
    an index inside of the value, and where it was outside.
    """

    name: str
    slot: int
    type: Type
    path: tuple[int, ...] = ()
    selectors: tuple[Callable[[Lanes], tuple[Data, Data | None]], ...] = ()

    def member(self, name: str, type_: Type, at: int) -> Register:
        """Return the place of a member, or of a component."""
        if isinstance(self.type, Structure):
            number = [member for member, _ in self.type.members].index(name)
            return replace(self, path=(*self.path, number), type=type_)
        place = np.array([_component(name)])
        return replace(self, selectors=(*self.selectors, lambda lanes: (place, None)), type=type_)

    def element(self, index: Evaluate, type_: Type, at: int) -> Register:
        """Return the place of a column or component."""
        count = _extent(self.type)

        def select(lanes: Lanes) -> tuple[Data, Data | None]:
            return clip_index(lanes, index(lanes), count, self.name, at)

        return replace(self, selectors=(*self.selectors, select), type=type_)

    def load(self, lanes: Lanes) -> Value:
        """Return the value."""
        value = lanes.slots[self.slot]
        for number in self.path:
            value = value[number]
        for select in self.selectors:
            value = pick(value, select(lanes)[0])
        return value

    def store(self, lanes: Lanes, value: Value) -> None:
        """Assign for the active invocations."""
        old = lanes.slots[self.slot]
        is_whole = lanes.active == lanes.scopes[self.slot]
        lanes.slots[self.slot] = self._replace(lanes, old, value, self.path, is_whole)

    def _replace(
        self, lanes: Lanes, old: Value, new: Value, path: Sequence[int], is_whole: bool
    ) -> Value:
        if path:
            part = self._replace(lanes, old[path[0]], new, path[1:], is_whole)
            return (*old[: path[0]], part, *old[path[0] + 1 :])
        if not self.selectors:
            if isinstance(self.type, Units):
                return new if is_whole else merge(lanes.subgroup_mask(), new, old)
            return new if is_whole else merge(lanes.mask, new, old)
        value = np.array(lanes.spread(old))
        mask, inner = lanes.mask, value
        *outer, last = self.selectors
        for select in outer:
            index, _ = select(lanes)
            if index.shape != (1,):
                return self._replace_in_column(lanes, value, new)
            inner = inner[index[0]]
        index, wrong = last(lanes)
        _put(inner, index, new, mask if wrong is None else mask & ~wrong)
        return value

    def _replace_in_column(self, lanes: Lanes, value: Data, new: Data) -> Data:
        """Return a matrix with one number changed, whose column differs between invocations."""
        column, row = (select(lanes) for select in self.selectors)
        mask = lanes.mask
        for _, wrong in (column, row):
            mask = mask if wrong is None else mask & ~wrong
        active = np.flatnonzero(mask)
        c, r = lanes.spread(column[0])[active], lanes.spread(row[0])[active]
        value[c, r, active] = lanes.spread(new)[active]
        return value


Linear = Callable[[Lanes], tuple[Data, Data | None]]
_ZERO = np.zeros(1, np.int64)


def at_start(lanes: Lanes) -> tuple[Data, Data | None]:
    """Return the element of what is in no array."""
    return _ZERO, None


@dataclass(frozen=True, slots=True)
class Cells:
    """A place in memory number ``memory`` of the lanes.

    ``linear`` returns the number of the element, counted over all arrays that it is in, and where
    an index was outside. ``first`` is the first of its components: a number, or an evaluation.
    """

    name: str
    memory: int
    tree: Tree
    type: Type
    linear: Linear = at_start
    first: int | Evaluate = 0
    rows: int = 1

    def member(self, name: str, type_: Type, at: int) -> Cells:
        """Return the place of a member, or of a component."""
        if isinstance(self.tree, Group):
            label = f"{self.name}.{name}"
            return replace(self, name=label, tree=self.tree.members[name], type=type_)
        assert isinstance(self.first, int) or callable(self.first)
        return self._component(np.array([_component(name)]), 1, type_)

    def element(self, index: Evaluate, type_: Type, at: int) -> Cells:
        """Return the place of an element, column or component."""
        if not isinstance(self.tree, Row):
            return self._indexed_component(index, type_, at)
        row, outer, memory, name = self.tree, self.linear, self.memory, self.name

        def linear(lanes: Lanes) -> tuple[Data, Data | None]:
            before, wrong = outer(lanes)
            count = lanes.memories[memory].runtime_count if row.count is None else row.count
            inside, outside = clip_index(lanes, index(lanes), count, name, at)
            if wrong is not None:
                outside = wrong if outside is None else wrong | outside
            return before * count + inside, outside

        return replace(self, tree=row.element, linear=linear, type=type_)

    def _indexed_component(self, index: Evaluate, type_: Type, at: int) -> Cells:
        count, step = _extent(self.type), 1
        if isinstance(self.type, Matrix):
            step = self.type.rows
        outer, name = self.first, self.name

        def first(lanes: Lanes) -> Data | int:
            before = outer if isinstance(outer, int) else outer(lanes)
            inside, _ = clip_index(lanes, index(lanes), count, name, at)
            found: Data = before + inside * step
            return int(found[0]) if found.shape == (1,) else found

        return replace(self, first=first, type=type_)

    def _component(self, place: Data, step: int, type_: Type) -> Cells:
        outer, number = self.first, int(place[0])
        if isinstance(outer, int):
            return replace(self, first=outer + number * step, type=type_)
        return replace(self, first=lambda lanes: outer(lanes) + number * step, type=type_)

    def load(self, lanes: Lanes, at: int) -> Value:
        """Return the value."""
        element, wrong = self.linear(lanes)
        memory: Memory = lanes.memories[self.memory]
        mask = lanes.mask
        if wrong is not None:  # what is read instead is nobody's choice, and no second defect
            lanes.set_mask(mask & ~wrong)
        if isinstance(self.tree, Cell):
            first = self.first if isinstance(self.first, int) else self.first(lanes)
            value = _load_cell(lanes, memory, self.tree.leaf, element, first, self.type, at)
        else:
            value = _load_tree(lanes, memory, self.tree, element, at)
        if wrong is not None:
            lanes.set_mask(mask)
        return value

    def store(self, lanes: Lanes, value: Value, at: int) -> None:
        """Assign for the active invocations whose indices are inside."""
        element, wrong = self.linear(lanes)
        memory: Memory = lanes.memories[self.memory]
        mask = lanes.mask
        if wrong is not None:
            lanes.set_mask(mask & ~wrong)
        if isinstance(self.tree, Cell):
            first = self.first if isinstance(self.first, int) else self.first(lanes)
            _store_cell(lanes, memory, self.tree.leaf, element, first, value, self.type, at)
        else:
            _store_tree(lanes, memory, self.tree, element, value, at)
        if wrong is not None:
            lanes.set_mask(mask)


Place = Register | Cells


def _component(name: str) -> int:
    return "xyzwrgba".index(name) % 4


def _extent(type_: Type) -> int:
    """Return how many elements a vector, or columns a matrix, has."""
    match type_:
        case Vector(count=count):
            return count
        case Matrix(columns=columns):
            return columns
        case Array(count=int(count)):
            return count
        case _:
            raise TypeError(f"{type_} has no elements")


def _shape(type_: Type) -> tuple[int, ...]:
    """Return the axes of a value before that of the invocations."""
    match type_:
        case Vector(count=count):
            return (count,)
        case Matrix(columns=columns, rows=rows):
            return (columns, rows)
        case _:
            return ()


def _load_cell(
    lanes: Lanes, memory: Memory, leaf: int, element: Data, first: Data | int, type_: Type, at: int
) -> Data:
    shape = _shape(type_)
    count = int(np.prod(shape, dtype=int))
    found = memory.load(lanes, leaf, element, first, count, at)
    # (components, arrays, n) to (arrays, components, n)
    parts = found.reshape(*shape, *found.shape[1:])
    return np.moveaxis(parts, range(len(shape)), range(-1 - len(shape), -1))


def _store_cell(
    lanes: Lanes,
    memory: Memory,
    leaf: int,
    element: Data,
    first: Data | int,
    value: Data,
    type_: Type,
    at: int,
) -> None:
    shape = _shape(type_)
    parts = np.moveaxis(value, range(-1 - len(shape), -1), range(len(shape)))
    memory.store(lanes, leaf, element, first, parts.reshape(-1, *parts.shape[len(shape) :]), at)


def _steps(element: Data, count: int) -> Data:
    """Return the numbers of the elements of an array in each element."""
    return element[..., None, :] * count + np.arange(count)[:, None]


def _load_tree(lanes: Lanes, memory: Memory, tree: Tree, element: Data, at: int) -> Value:
    match tree:
        case Cell(leaf=leaf, type=type_):
            return _load_cell(lanes, memory, leaf, element, 0, type_, at)
        case Row(element=inner, count=count):
            return _load_tree(lanes, memory, inner, _steps(element, count or 1), at)
        case Group(members=members):
            return tuple(_load_tree(lanes, memory, m, element, at) for m in members.values())


def _store_tree(
    lanes: Lanes, memory: Memory, tree: Tree, element: Data, value: Value, at: int
) -> None:
    match tree:
        case Cell(leaf=leaf, type=type_):
            _store_cell(lanes, memory, leaf, element, 0, value, type_, at)
        case Row(element=inner, count=count):
            _store_tree(lanes, memory, inner, _steps(element, count or 1), value, at)
        case Group(members=members):
            for part, member in zip(value, members.values(), strict=True):
                _store_tree(lanes, memory, member, element, part, at)
