"""The memory of interpreted kernels; each kind finds the faults of accesses to it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpucore.interpreter.errors import (
    Access,
    OutOfBoundsError,
    RaceError,
    ResultError,
    UninitializedError,
    WorkgroupError,
)
from gpucore.interpreter.operations import as_scalar

__all__ = ["Matrix", "Memory", "PrivateVariable", "ResultMemory", "Turn", "WorkgroupMemory"]

Array = NDArray[Any]


@dataclass
class Turn:
    """The invocation whose turn it is, the actor in its name, and the barriers passed so far.

    The actor is the invocation, or its subgroup in a collective call.
    """

    invocation: int = 0
    actor: str = ""
    barriers: int = 0


@dataclass(eq=False)
class Matrix:
    """A 16 x 16 matrix of a subgroup; ``fault`` is raised where it is used."""

    values: Array = field(default_factory=lambda: np.zeros((16, 16)))
    fault: WorkgroupError | None = None
    is_used: bool = False

    def use(self) -> Array:
        """Return the values. Raises the `WorkgroupError` of the load, if it had one."""
        if self.fault is not None:
            raise type(self.fault)(f"an operand is used: {self.fault.message}", self.fault.access)
        self.is_used = True
        return self.values


class Memory:
    """A read-only storage array of ``elements``: scalars, or vectors as rows."""

    def __init__(self, name: str, elements: Array, turn: Turn) -> None:
        self.name, self.elements, self.turn = name, elements, turn

    def access(self, index: int) -> Access:
        """Describe an access of this turn."""
        return Access(self.name, index, self.turn.actor, self.turn.barriers)

    def check_index(self, index: int) -> None:
        """Raise `OutOfBoundsError` for an index past the end."""
        if not 0 <= index < len(self.elements):
            message = f"past the end of {len(self.elements)} elements"
            raise OutOfBoundsError(message, self.access(index))

    def __getitem__(self, index: int) -> Any:
        element = self.read(index)
        return element.copy() if isinstance(element, np.ndarray) else as_scalar(element)

    def read(self, index: int, operand: Matrix | None = None) -> Any:
        """Return an element; ``operand`` is the matrix that it becomes a part of, if any."""
        self.check_index(index)
        return self.elements[index]


class ResultMemory(Memory):
    """A ``read_write`` storage array, each element of which must be written once."""

    def __init__(self, name: str, elements: Array, turn: Turn) -> None:
        super().__init__(name, elements, turn)
        self._is_written = np.zeros(len(elements), bool)

    def __setitem__(self, index: int, value: Any) -> None:
        self.check_index(index)
        if self._is_written[index]:
            raise ResultError("written twice", self.access(index))
        self._is_written[index] = True
        self.elements[index] = value

    def check_complete(self) -> None:
        """Raise `ResultError` where an element was never written."""
        if not self._is_written.all():
            raise ResultError(f"never written: {self.name}[{int(self._is_written.argmin())}]")


class WorkgroupMemory(Memory):
    """An array of workgroup memory, which knows who read and wrote since the last barrier."""

    def start_workgroup(self) -> None:
        """Forget all accesses and contents."""
        self._filled: set[int] = set()
        self.pass_barrier()

    def pass_barrier(self) -> None:
        """Forget the accesses before a barrier."""
        self._writers: dict[int, str] = {}
        self._readers: dict[int, list[tuple[str, Matrix | None]]] = defaultdict(list)

    def read(self, index: int, operand: Matrix | None = None) -> Any:
        """Return an element; the fault of a read into ``operand`` waits until it is used."""
        self.check_index(index)
        actor = self.turn.actor
        fault: WorkgroupError | None = None
        if index not in self._filled:
            fault = UninitializedError("read before anything is written", self.access(index))
        elif self._writers.get(index, actor) != actor:
            fault = RaceError(f"read while {self._writers[index]} writes", self.access(index))
        if fault is not None and operand is None:
            raise fault
        if operand is not None:
            operand.fault = operand.fault or fault
        self._readers[index].append((actor, operand))
        return self.elements[index]

    def __setitem__(self, index: int, value: Any) -> None:
        self.check_index(index)
        actor = self.turn.actor
        if self._writers.setdefault(index, actor) != actor:
            raise RaceError(f"written while {self._writers[index]} writes", self.access(index))
        for reader, operand in self._readers.get(index, ()):
            if reader == actor:
                continue
            fault = RaceError(f"written while {reader} reads", self.access(index))
            if operand is None or operand.is_used:
                raise fault
            operand.fault = fault
        self._filled.add(index)
        self.elements[index] = value


class PrivateVariable:
    """A variable of which each invocation has its own; ``make_zero()`` is its first value."""

    def __init__(self, make_zero: Callable[[], object], turn: Turn) -> None:
        self._make_zero, self._turn = make_zero, turn
        self._values: dict[int, object] = {}

    def start_workgroup(self) -> None:
        """Forget all values."""
        self._values.clear()

    @property
    def value(self) -> object:
        """The value of the invocation whose turn it is."""
        return self._values.get(self._turn.invocation, self._make_zero())

    @value.setter
    def value(self, value: object) -> None:
        self._values[self._turn.invocation] = value
