"""Runs kernels of the matrix products on the CPU, thread by thread, and finds their faults.

Where compilers have nothing to run a kernel on (matrix units, or barriers that threads meet in two
loops), this does: each invocation is a Python generator that goes from barrier to barrier. It
raises `WorkgroupError` where

- some threads come to a barrier and others to the end;
- in a workgroup's memory, two threads write to one place, or one reads what another writes, with no
  barrier between, or a place is read that none wrote to (WGSL says zero; no product means it);
- of a matrix operand this holds and it is used: it may be read early, from a place that changes, as
  long as nobody multiplies by it;
- lanes of a subgroup make different calls of matrix built-ins;
- memory is accessed past its end, or a result is written twice, or never.

Subgroups are 32 consecutive threads; a collective access is the subgroup's, not one of its lanes'.
Sums of matrices are made in float64: operands should be such that f32 holds them.
"""

from __future__ import annotations

import functools
import itertools
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import CodeType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.gpustd.wgsl_to_python import OPERATIONS, translate

__all__ = ["WorkgroupError", "interpret"]

Array = NDArray[Any]
LANES = 32


class WorkgroupError(Exception):
    """The kernel does what it must not, or what need not come out the same everywhere."""


def interpret(source: str, arrays: Sequence[Array], grid: Sequence[int]) -> None:
    """Run rendered WGSL over a grid of workgroups.

    ``arrays`` are the storage variables in the order of the source: those that it writes are
    written in place. Raises `WorkgroupError`, and `UntranslatedError` on WGSL that is not known.
    """
    kernel = _Kernel(source, arrays)
    for z, y, x in itertools.product(*(range(extent) for extent in reversed(grid))):
        kernel.run(np.array([x, y, z], np.uint32))
    for result in kernel.results:
        result.check_written()


@functools.cache
def _compiled(source: str) -> CodeType:
    return compile(translate(source), "wgsl", "exec")


@dataclass(eq=False)
class Matrix:
    """A 16 x 16 matrix of a subgroup; ``trouble`` tells why nobody may use it."""

    values: Array = field(default_factory=lambda: np.zeros((16, 16)))
    trouble: str = ""
    used: bool = False

    def use(self) -> Array:
        if self.trouble:
            raise WorkgroupError(f"an operand is used: {self.trouble}")
        self.used = True
        return self.values


@dataclass
class _Turn:
    """Who runs, and how many barriers came before."""

    thread: int = 0
    who: str = ""
    phase: int = 0


class _Memory:
    """An array of vectors; every access says by whose turn it is."""

    def __init__(self, name: str, rows: Array, turn: _Turn) -> None:
        self.name, self.rows, self.turn = name, rows, turn

    def place(self, index: int) -> str:
        return f"{self.name}[{index}], {self.turn.who} after {self.turn.phase} barriers"

    def check_inside(self, index: int) -> None:
        if not 0 <= index < len(self.rows):
            raise WorkgroupError(f"past the end, {len(self.rows)}: {self.place(index)}")

    def __getitem__(self, index: int) -> Array:
        return self.read(index).copy()

    def read(self, index: int, operand: Matrix | None = None) -> Array:
        """Return a vector; ``operand`` is the matrix that it becomes a part of."""
        self.check_inside(index)
        row: Array = self.rows[index]
        return row


class _Result(_Memory):
    """A storage buffer whose every row is to be written once."""

    def __init__(self, name: str, rows: Array, turn: _Turn) -> None:
        super().__init__(name, rows, turn)
        self.written = np.zeros(len(rows), bool)

    def __setitem__(self, index: int, value: Array) -> None:
        self.check_inside(index)
        if self.written[index]:
            raise WorkgroupError(f"written twice: {self.place(index)}")
        self.written[index] = True
        self.rows[index] = value

    def check_written(self) -> None:
        if not self.written.all():
            raise WorkgroupError(f"never written: {self.name}[{int(self.written.argmin())}]")


class _Shared(_Memory):
    """Workgroup memory, which knows who read and wrote since the last barrier."""

    def start(self) -> None:
        self.filled: set[int] = set()
        self.pass_barrier()

    def pass_barrier(self) -> None:
        self.writer: dict[int, str] = {}
        self.readers: dict[int, list[tuple[str, Matrix | None]]] = defaultdict(list)

    def read(self, index: int, operand: Matrix | None = None) -> Array:
        self.check_inside(index)
        trouble = ""
        if index not in self.filled:
            trouble = f"read before anything is written: {self.place(index)}"
        elif self.writer.get(index, self.turn.who) != self.turn.who:
            trouble = f"read while {self.writer[index]} writes: {self.place(index)}"
        if trouble and operand is None:
            raise WorkgroupError(trouble)
        if operand is not None:
            operand.trouble = operand.trouble or trouble
        self.readers[index].append((self.turn.who, operand))
        row: Array = self.rows[index]
        return row

    def __setitem__(self, index: int, value: Array) -> None:
        self.check_inside(index)
        if self.writer.setdefault(index, self.turn.who) != self.turn.who:
            raise WorkgroupError(f"written while {self.writer[index]} does: {self.place(index)}")
        for who, operand in self.readers.get(index, ()):
            if who == self.turn.who:
                continue
            trouble = f"written while {who} reads: {self.place(index)}"
            if operand is None or operand.used:
                raise WorkgroupError(trouble)
            operand.trouble = trouble
        self.filled.add(index)
        self.rows[index] = value


class _Private:
    """A variable of which each thread has its own."""

    def __init__(self, kind: Callable[[], object], turn: _Turn) -> None:
        self.kind, self.turn = kind, turn
        self.values: dict[int, object] = {}

    @property
    def value(self) -> object:
        """Of the thread whose turn it is."""
        return self.values.get(self.turn.thread, self.kind())

    @value.setter
    def value(self, value: object) -> None:
        self.values[self.turn.thread] = value


class _Kernel:
    """A kernel with its memory."""

    def __init__(self, source: str, arrays: Sequence[Array]) -> None:
        self.turn = _Turn()
        self.arrays = iter(arrays)
        self.results: list[_Result] = []
        self.shared: list[_Shared] = []
        self.own: list[_Private] = []
        self.names: dict[str, Any] = {
            **OPERATIONS,
            "Operand": Matrix,
            "Result": Matrix,
            "read": self._read,
            "read_write": self._read_write,
            "workgroup": self._allocate,
            "private": self._privately,
            "subgroupMatrixLoad": self._load,
            "subgroupMatrixStore": self._store,
            "subgroupMatrixMultiplyAccumulate": self._multiply,
        }
        exec(_compiled(source), self.names)
        self.threads: int = self.names["threads"]

    def run(self, group: Array) -> None:
        """All threads of one workgroup, to the end."""
        for memory in self.shared:
            memory.start()
        for variable in self.own:
            variable.values.clear()
        self.calls: dict[int, list[tuple[object, ...]]] = defaultdict(list)
        threads = [self._thread(index, group) for index in range(self.threads)]
        self.turn.phase = 0
        while waiting := sum(self._advance(i, thread) for i, thread in enumerate(threads)):
            self._check_subgroups()
            if waiting < len(threads):
                raise WorkgroupError(
                    f"{waiting} threads come to barrier {self.turn.phase}, "
                    f"{len(threads) - waiting} to the end"
                )
            self.turn.phase += 1
            for memory in self.shared:
                memory.pass_barrier()
        self._check_subgroups()

    def _thread(self, index: int, group: Array) -> Iterator[None]:
        values = {
            "workgroup_id": group,
            "local_invocation_index": index,
            "subgroup_id": index // LANES,
            "subgroup_invocation_id": index % LANES,
        }
        main: Callable[..., Iterator[None]] = self.names["entry"]
        return main(*(values[name] for name in self.names["inputs"]))

    def _advance(self, index: int, thread: Iterator[None]) -> bool:
        """Tell whether a thread comes to another barrier."""
        self.turn.thread, self.turn.who = index, f"thread {index}"
        return next(thread, self) is None

    def _check_subgroups(self) -> None:
        """All lanes have made the first one's calls since the last barrier."""
        for index in range(self.threads):
            first = index - index % LANES
            if self.calls[index] != self.calls[first]:
                raise WorkgroupError(f"threads {first} and {index} differ in matrices they handle")
        self.calls.clear()

    def _rows(self, kind: Callable[[], Array]) -> Array:
        """Return the next array with the type that the source declares."""
        return next(self.arrays).reshape(-1).view(kind().dtype).reshape(-1, len(kind()))

    def _read(self, name: str, kind: Callable[[], Array]) -> _Memory:
        return _Memory(name, self._rows(kind), self.turn)

    def _read_write(self, name: str, kind: Callable[[], Array]) -> _Result:
        self.results.append(_Result(name, self._rows(kind), self.turn))
        return self.results[-1]

    def _allocate(self, name: str, kind: Callable[[], Array], length: int) -> _Shared:
        rows = np.zeros((length, len(kind())), kind().dtype)
        self.shared.append(_Shared(name, rows, self.turn))
        return self.shared[-1]

    def _privately(self, kind: Callable[[], object]) -> _Private:
        self.own.append(_Private(kind, self.turn))
        return self.own[-1]

    # Built-ins of a subgroup: the first lane does what all ask for.

    @contextmanager
    def _together(self, *call: object) -> Iterator[bool]:
        """Tell whether this lane does the work of a call for the whole subgroup."""
        thread = self.turn.thread
        self.calls[thread].append(call)
        self.turn.who = f"subgroup {thread // LANES}"
        yield thread % LANES == 0
        self.turn.who = f"thread {thread}"

    def _load(self, memory: _Memory, offset: int, stride: int) -> Matrix:
        matrix = Matrix()
        with self._together("load", memory.name, offset, stride) as first:
            if first:
                places = _places(memory, offset, stride, 32)
                words = np.array([memory.read(place, matrix) for place in places])
                matrix.values = words.view(np.float16).reshape(16, 16).astype(np.float64)
        return matrix

    def _store(self, memory: _Result | _Shared, offset: int, matrix: Matrix, stride: int) -> None:
        with self._together("store", memory.name, offset, stride) as first:
            if first:
                places = _places(memory, offset, stride, 64)
                words = matrix.use().astype(np.float32).view(memory.rows.dtype)
                for place, row in zip(places, words.reshape(len(places), -1), strict=True):
                    memory[place] = row

    def _multiply(self, left: Matrix, right: Matrix, onto: Matrix) -> Matrix:
        with self._together("multiply") as first:
            return Matrix(onto.use() + left.use() @ right.use()) if first else onto


def _places(memory: _Memory, offset: int, stride: int, nbytes: int) -> list[int]:
    """Where the vectors of 16 rows of ``nbytes`` lie, row by row."""
    across = range(nbytes // memory.rows[0].nbytes)
    return [offset + row * stride + i for row in range(16) for i in across]
