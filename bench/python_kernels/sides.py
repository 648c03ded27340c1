"""Who computes the programs: we, Numba CUDA and CuPy, behind one interface."""

from __future__ import annotations

import importlib
import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.python_kernels.cuda_source import SOURCE
from bench.python_kernels.programs import Arrays, Program
from gpucore import Device

__all__ = ["CupySide", "NumbaSide", "OurSide", "Side", "find_peers"]

Call = Callable[[], object]


class Side(ABC):
    """One who computes programs: it holds the arrays of one program at a time."""

    name: str

    @abstractmethod
    def prepare(self, program: Program, arrays: Arrays) -> None:
        """Upload copies of the arrays, and launch the program once."""

    @abstractmethod
    def result(self) -> NDArray[Any]:
        """Return what the launches so far have written."""

    @abstractmethod
    def row(self, count: int) -> Call:
        """Return a call that makes ``count`` launches and waits for them."""

    @abstractmethod
    def free(self) -> None:
        """Free the arrays."""


class OurSide(Side):
    """Kernels in Python of gpucore; a row is a graph."""

    name = "Avila"

    def __init__(self, device: Device) -> None:
        self._device = device
        self._graphs: list[Any] = []
        self._launch: Call = lambda: None
        self._made: Any = None

    def prepare(self, program: Program, arrays: Arrays) -> None:
        """Upload the arrays, and launch once."""
        buffers = {n: self._device.buffer_from_array(a) for n, a in arrays.items()}
        self._launch = lambda: program.ours(*buffers.values(), *program.numbers)
        made = self._launch()
        self._made = buffers[program.result] if made is None else made

    def result(self) -> NDArray[Any]:
        """Return what was written."""
        read: NDArray[Any] = self._made.read()
        return read

    def row(self, count: int) -> Call:
        """Return a replay of a graph of launches."""
        with self._device.capture() as graph:
            for _ in range(count):
                self._launch()
        self._graphs.append(graph)

        def run() -> None:
            graph.replay()
            self._device.synchronize()

        return run

    def free(self) -> None:
        """Free graphs and buffers."""
        for graph in self._graphs:
            graph.release()
        self._graphs, self._launch, self._made = [], lambda: None, None
        self._device.trim()


class NumbaSide(Side):
    """Numba CUDA; a row is made of launches, which queue up."""

    name = "Numba"

    def __init__(self) -> None:
        self._cuda = importlib.import_module("numba.cuda")
        self._kernels = importlib.import_module("bench.python_kernels.numba_kernels").KERNELS
        self._launch: Call = lambda: None
        self._made: Any = None

    def prepare(self, program: Program, arrays: Arrays) -> None:
        """Upload the arrays, compile, and launch once."""
        grid = program.grid(arrays)
        held = {name: self._cuda.to_device(each) for name, each in arrays.items()}
        launch = self._kernels[program.name][grid.groups, grid.block]
        self._made = held[program.result]
        self._launch = lambda: launch(*held.values(), *_numbers(program))
        self._launch()
        self._cuda.synchronize()

    def result(self) -> NDArray[Any]:
        """Return what was written."""
        read: NDArray[Any] = self._made.copy_to_host()
        return read

    def row(self, count: int) -> Call:
        """Return a loop of launches."""

        def run() -> None:
            for _ in range(count):
                self._launch()
            self._cuda.synchronize()

        return run

    def free(self) -> None:
        """Let go of the arrays: Numba frees them before memory is short."""
        self._launch, self._made = lambda: None, None


class CupySide(Side):
    """CuPy's raw kernels in CUDA C++; a row is a graph."""

    name = "CuPy"

    def __init__(self) -> None:
        self._cupy = importlib.import_module("cupy")
        self._stream = self._cupy.cuda.Stream(non_blocking=True)
        self._module = self._cupy.RawModule(code=SOURCE)
        self._launch: Call = lambda: None
        self._made: Any = None

    def prepare(self, program: Program, arrays: Arrays) -> None:
        """Upload the arrays, compile, and launch once."""
        grid = program.grid(arrays)
        with self._stream:
            held = {name: self._cupy.asarray(each) for name, each in arrays.items()}
            kernel = self._module.get_function(program.name)
            given = (*held.values(), *_extents(program.name, arrays), *_numbers(program))
            self._made = held[program.result]
            self._launch = lambda: kernel(grid.groups, grid.block, given)
            self._launch()
        self._stream.synchronize()

    def result(self) -> NDArray[Any]:
        """Return what was written."""
        with self._stream:
            read: NDArray[Any] = self._cupy.asnumpy(self._made)
        return read

    def row(self, count: int) -> Call:
        """Return a replay of a graph of launches."""
        with self._stream:
            self._stream.begin_capture()
            for _ in range(count):
                self._launch()
            graph = self._stream.end_capture()

        def run() -> None:
            graph.launch(self._stream)
            self._stream.synchronize()

        return run

    def free(self) -> None:
        """Free the arrays."""
        self._launch, self._made = lambda: None, None
        self._cupy.get_default_memory_pool().free_all_blocks()


def _numbers(program: Program) -> tuple[Any, ...]:
    """Return the numbers in 32 bits, as CUDA takes them."""
    return tuple(
        np.int32(each) if isinstance(each, int) else np.float32(each) for each in program.numbers
    )


def _extents(name: str, arrays: Arrays) -> Sequence[Any]:
    """Return the extents that a kernel in C++ takes, which knows no shapes."""
    if name == "matmul":
        return tuple(map(np.int32, (*arrays["a"].shape, arrays["b"].shape[1])))
    if name == "accelerations":
        return (np.int32(len(arrays["bodies"])),)
    if name == "sparse_product":
        return (np.int32(len(arrays["y"])),)
    return tuple(map(np.int32, next(iter(arrays.values())).shape))


def find_peers(device: Device) -> tuple[list[Side], dict[str, str]]:
    """Return the peers on the device's card, and why others are missing, by name."""
    found: list[Side] = []
    missing: dict[str, str] = {}
    for name, module, make in (("Numba", "numba", NumbaSide), ("CuPy", "cupy", CupySide)):
        reason = _missing(module, device)
        if reason:
            missing[name] = reason
        else:
            found.append(make())
    return found, missing


def _missing(module: str, device: Device) -> str:
    """Return why a peer cannot take part; empty where it can."""
    if importlib.util.find_spec(module) is None:
        return "not installed"
    if device.is_cpu:
        return "has no card here"
    if module == "numba":
        cuda = importlib.import_module("numba.cuda")
        names = [cuda.get_current_device().name] if cuda.is_available() else []
    else:
        cupy = importlib.import_module("cupy")
        names = [cupy.cuda.runtime.getDeviceProperties(0)["name"]] if cupy.is_available() else []
    texts = [each.decode() if isinstance(each, bytes) else str(each) for each in names]
    if not texts:
        return "finds no card"
    return "" if device.name in texts else f"drives {texts[0]}, not {device.name}"
