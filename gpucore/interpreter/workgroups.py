"""Running workgroups: each invocation is a Python generator that goes from barrier to barrier."""

from __future__ import annotations

import functools
import itertools
import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import CodeType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpucore.errors import ArgumentError
from gpucore.interpreter.errors import BarrierError, SubgroupError
from gpucore.interpreter.memory import (
    Matrix,
    Memory,
    PrivateVariable,
    ResultMemory,
    Turn,
    WorkgroupMemory,
)
from gpucore.interpreter.operations import OPERATIONS, dtype_of_type
from gpucore.interpreter.translation import translate

__all__ = ["run_workgroups"]

Array = NDArray[Any]
SUBGROUP_SIZE = 32


def run_workgroups(source: str, arrays: Sequence[Array], grid: Sequence[int]) -> None:
    """Run a kernel of WGSL over a grid of workgroups, and raise its first fault.

    ``arrays`` hold the storage variables in the order of the source, contiguous and as bytes of any
    dtype; those that the kernel writes are written in place. ``grid`` is the number of workgroups
    along x, y and z. Raises `ArgumentError`, `UnsupportedWgslError`, and a `WorkgroupError` where

    - some invocations of a workgroup come to a barrier and others to the end (`BarrierError`);
    - two invocations write one element of workgroup memory without a barrier in between, or one
      reads what another writes (`RaceError`);
    - an element of workgroup memory is read before it is written (`UninitializedError`); the faults
      of a matrix load count only where the matrix is used;
    - memory is accessed past its end (`OutOfBoundsError`);
    - an element of a ``read_write`` array is written twice, or never (`ResultError`);
    - lanes of a subgroup make different calls of matrix functions (`SubgroupError`).

    Subgroups are 32 consecutive invocations. Only the WGSL of our matrix products is known: u32,
    f32, f16, vectors, structures, functions, ``if``, ``for``, ``while``, arrays in storage and
    workgroup memory, matrices of 16 x 16. Sums of matrices are made in float64: choose operands
    whose sums f32 holds exactly.

    >>> reverse = '''
    ...     @group(0) @binding(0) var<storage, read> x: array<u32>;
    ...     @group(0) @binding(1) var<storage, read_write> y: array<u32>;
    ...     var<workgroup> tile: array<u32, 64>;
    ...     @compute @workgroup_size(64)
    ...     fn main(@builtin(local_invocation_index) i: u32) {
    ...         tile[i] = x[i];
    ...         workgroupBarrier();
    ...         y[i] = tile[63u - i];
    ...     }'''
    >>> x, y = np.arange(64, dtype=np.uint32), np.zeros(64, np.uint32)
    >>> run_workgroups(reverse, [x, y], grid=(1, 1, 1))
    >>> y[:4].tolist()
    [63, 62, 61, 60]
    >>> from gpucore.interpreter import WorkgroupError
    >>> try:
    ...     run_workgroups(reverse.replace("workgroupBarrier();", ""), [x, y], grid=(1, 1, 1))
    ... except WorkgroupError as fault:
    ...     print(fault)
    read before anything is written: tile[63], invocation 0 after 0 barriers
    """
    kernel = _Kernel(source, arrays)
    sizes = (*grid, 1, 1)[:3]
    for z, y, x in itertools.product(*(range(extent) for extent in reversed(sizes))):
        kernel.run_workgroup((x, y, z), sizes)
    for result in kernel.results:
        result.check_complete()


@functools.cache
def _compile(source: str) -> CodeType:
    return compile(translate(source), "wgsl", "exec")


class _Kernel:
    """A translated kernel with its memory."""

    def __init__(self, source: str, arrays: Sequence[Array]) -> None:
        self._turn = Turn()
        self._unbound = list(reversed(arrays))
        self.results: list[ResultMemory] = []
        self._workgroup_memories: list[WorkgroupMemory] = []
        self._private_variables: list[PrivateVariable] = []
        self._calls: dict[int, list[tuple[object, ...]]] = defaultdict(list)
        self._names: dict[str, Any] = {
            **OPERATIONS,
            "Operand": Matrix,
            "Result": Matrix,
            "read": self._bind_read,
            "read_write": self._bind_result,
            "workgroup": self._make_workgroup_memory,
            "private": self._make_private_variable,
            "subgroupMatrixLoad": self._load_matrix,
            "subgroupMatrixStore": self._store_matrix,
            "subgroupMatrixMultiplyAccumulate": self._multiply,
        }
        exec(_compile(source), self._names)
        if self._unbound:
            raise ArgumentError(
                f"run_workgroups: arrays must be one for each storage variable, got {len(arrays)}, "
                f"which is {len(self._unbound)} too many"
            )
        self._size: tuple[int, int, int] = (*self._names["workgroup_size"], 1, 1)[:3]

    def run_workgroup(self, group: tuple[int, int, int], groups: Sequence[int]) -> None:
        """Run all invocations of one workgroup to the end."""
        for memory in self._workgroup_memories:
            memory.start_workgroup()
        for variable in self._private_variables:
            variable.start_workgroup()
        self._calls.clear()
        count = math.prod(self._size)
        invocations = [self._start_invocation(i, group, groups) for i in range(count)]
        self._turn.barriers = 0
        while waiting := sum(self._advance(i, each) for i, each in enumerate(invocations)):
            self._check_subgroups(count)
            if waiting < count:
                raise BarrierError(
                    f"{waiting} invocations come to barrier {self._turn.barriers}, "
                    f"{count - waiting} to the end"
                )
            self._turn.barriers += 1
            for memory in self._workgroup_memories:
                memory.pass_barrier()
        self._check_subgroups(count)

    def _start_invocation(
        self, index: int, group: tuple[int, int, int], groups: Sequence[int]
    ) -> Iterator[None]:
        x, y, _ = self._size
        local = np.array([index % x, index // x % y, index // (x * y)], np.uint32)
        group_id = np.array(group, np.uint32)
        values = {
            "global_invocation_id": group_id * np.array(self._size, np.uint32) + local,
            "local_invocation_id": local,
            "local_invocation_index": index,
            "num_workgroups": np.array(groups, np.uint32),
            "subgroup_id": index // SUBGROUP_SIZE,
            "subgroup_invocation_id": index % SUBGROUP_SIZE,
            "subgroup_size": SUBGROUP_SIZE,
            "workgroup_id": group_id,
        }
        main: Callable[..., Iterator[None]] = self._names["entry"]
        return main(*(values[name] for name in self._names["inputs"]))

    def _advance(self, index: int, invocation: Iterator[None]) -> bool:
        """Run an invocation to the next barrier or the end; tell whether it is a barrier."""
        self._turn.invocation, self._turn.actor = index, f"invocation {index}"
        return next(invocation, self) is None

    def _check_subgroups(self, count: int) -> None:
        """Raise `SubgroupError` where lanes differ in their calls since the last barrier."""
        for index in range(count):
            first = index - index % SUBGROUP_SIZE
            if self._calls[index] != self._calls[first]:
                raise SubgroupError(
                    f"invocations {first} and {index} of a subgroup differ in the matrix "
                    "functions they call"
                )
        self._calls.clear()

    # Variables

    def _bind(self, name: str, element: Callable[[], Any]) -> Array:
        """Take the next array, as elements of the type that the source declares."""
        if not self._unbound:
            raise ArgumentError(
                f"run_workgroups: arrays must be one for each storage variable; {name!r} has none"
            )
        flat = self._unbound.pop().reshape(-1).view(dtype_of_type(element))
        return flat.reshape(-1, *np.shape(element()))

    def _bind_read(self, name: str, element: Callable[[], Any]) -> Memory:
        return Memory(name, self._bind(name, element), self._turn)

    def _bind_result(self, name: str, element: Callable[[], Any]) -> ResultMemory:
        self.results.append(ResultMemory(name, self._bind(name, element), self._turn))
        return self.results[-1]

    def _make_workgroup_memory(
        self, name: str, element: Callable[[], Any], length: int
    ) -> WorkgroupMemory:
        elements = np.zeros((length, *np.shape(element())), dtype_of_type(element))
        self._workgroup_memories.append(WorkgroupMemory(name, elements, self._turn))
        return self._workgroup_memories[-1]

    def _make_private_variable(self, make_zero: Callable[[], object]) -> PrivateVariable:
        self._private_variables.append(PrivateVariable(make_zero, self._turn))
        return self._private_variables[-1]

    # Matrix functions of a subgroup: its first lane does what all lanes call.

    @contextmanager
    def _collective(self, *call: object) -> Iterator[bool]:
        """Act as the subgroup; yield True for the lane that does the work."""
        invocation = self._turn.invocation
        self._calls[invocation].append(call)
        self._turn.actor = f"subgroup {invocation // SUBGROUP_SIZE}"
        yield invocation % SUBGROUP_SIZE == 0
        self._turn.actor = f"invocation {invocation}"

    def _load_matrix(self, memory: Memory, offset: int, stride: int) -> Matrix:
        matrix = Matrix()
        with self._collective("load", memory.name, offset, stride) as is_first:
            if is_first:
                indices = _matrix_indices(memory, offset, stride, 32)
                words = np.array([memory.read(index, matrix) for index in indices])
                matrix.values = words.view(np.float16).reshape(16, 16).astype(np.float64)
        return matrix

    def _store_matrix(
        self, memory: ResultMemory | WorkgroupMemory, offset: int, matrix: Matrix, stride: int
    ) -> None:
        with self._collective("store", memory.name, offset, stride) as is_first:
            if is_first:
                indices = _matrix_indices(memory, offset, stride, 64)
                words = matrix.use().astype(np.float32).view(memory.elements.dtype)
                elements = words.reshape(len(indices), *memory.elements.shape[1:])
                for index, element in zip(indices, elements, strict=True):
                    memory[index] = element

    def _multiply(self, left: Matrix, right: Matrix, sums: Matrix) -> Matrix:
        with self._collective("multiply") as is_first:
            return Matrix(sums.use() + left.use() @ right.use()) if is_first else sums


def _matrix_indices(memory: Memory, offset: int, stride: int, row_bytes: int) -> list[int]:
    """Return the indices of the elements of a matrix of 16 rows, row by row."""
    count = row_bytes // memory.elements[0].nbytes
    return [offset + row * stride + i for row in range(16) for i in range(count)]
