"""HIP on a processor: a driver's library over host memory, and a hiprtc that calls g++.

What `ctypes.CDLL` returns has functions; these objects have the same by name. Kernels really run,
invocation by invocation (see ``host_hip.h``). Everything is done at once, unless ``busy`` is set:
then events are not reached.
"""

from __future__ import annotations

import ctypes as c
import itertools
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from gpucore.backends.drivers.backend import CardBackend
from gpucore.backends.drivers.compiler import Toolchain
from gpucore.backends.drivers.driver import Entry
from gpucore.backends.hip.cards import describe, target_of
from gpucore.backends.hip.compiler import HipCompiler
from gpucore.backends.hip.driver import HipDriver
from tests.gpucore.backends.arguments import check_arguments

__all__ = ["COMPILER", "HostCompiler", "HostDriver", "HostLaunch", "host_backend"]

COMPILER = shutil.which("g++")
NOT_READY, ILLEGAL_ADDRESS = 600, 700
HEADER = Path(__file__).with_name("host_hip.h")
TOGETHER = re.compile(r"__syncthreads|Barrier|subgroup|quad|UniformLoad")
"""What makes an invocation wait for others, in the kernel behind the prelude."""

LAUNCHER = """
extern "C" void w_run(void** given, const unsigned* grid, const unsigned* block) {
    run_grid(w_kernel, given, grid, block);
}
extern "C" unsigned w_sizes(unsigned* found) { return list_sizes(w_kernel, found); }
"""


class HostLaunch(NamedTuple):
    """A launch: its kernel's library, its sizes, and the bytes of each parameter."""

    library: Any
    grid: tuple[int, ...]
    block: tuple[int, ...]
    memory: int
    parameters: tuple[bytes, ...]


class HostDriver:
    """libamdhip64 with one card; ``calls`` has the names of the calls.

    A function that is in ``failing`` returns that code.
    """

    def __init__(self, architecture: str = "gfx90a") -> None:
        self.architecture = architecture
        self.calls: list[str] = []
        self.launches: list[HostLaunch] = []
        self.memory: dict[int, Any] = {}
        self.graphs: dict[int, list[Any]] = {}
        self.failing: dict[str, int] = {}
        self.busy = False
        self._numbers = itertools.count(1)
        self._captured: list[Any] | None = None
        self._modules: dict[int, Any] = {}
        for role, entry in HipDriver.entries.items():
            setattr(self, entry.name, self._function(role, entry))

        def words(code: int) -> bytes:
            return b"error of the host"

        self.hipGetErrorString = words

    def _function(self, role: str, entry: Entry) -> Any:
        name = entry.name
        work = getattr(self, f"_{role}", None)

        def call(*arguments: Any) -> int:
            check_arguments(name, entry.types, arguments)
            self.calls.append(name)
            if name in self.failing:
                return self.failing[name]
            return (work(*arguments) or 0) if work is not None else 0

        return call

    def _new(self, target: Any) -> int:
        number = next(self._numbers)
        target._obj.value = number
        return number

    def _version(self, version: Any) -> None:
        version._obj.value = 6_01_40091

    def _count_cards(self, count: Any) -> None:
        count._obj.value = 1

    def _card_name(self, name: Any, size: int, index: int) -> None:
        name.value = b"Host"

    def _card_memory(self, memory: Any, index: int) -> None:
        memory._obj.value = 1 << 33

    def _card_properties(self, properties: Any, index: int) -> None:
        text = f"Host\0\0{self.architecture}:sramecc+:xnack-\0".encode()
        properties[1000 : 1000 + len(text)] = text

    def _create_stream(self, stream: Any, flags: int) -> None:
        self._new(stream)

    def _create_event(self, event: Any, flags: int) -> None:
        self._new(event)

    def _query_event(self, event: int) -> int:
        return NOT_READY if self.busy else 0

    def _elapsed_time(self, found: Any, begin: int, end: int) -> None:
        found._obj.value = (end - begin) * 0.5

    def _allocate(self, address: Any, nbytes: int, stream: Any) -> None:
        memory = c.create_string_buffer(nbytes + 256)
        start = -(-c.addressof(memory) // 256) * 256
        address._obj.value = start
        self.memory[start] = memory

    def _free(self, address: int, stream: Any) -> None:
        del self.memory[address]

    def _allocate_host(self, pointer: Any, nbytes: int, flags: int) -> None:
        self._allocate(pointer, nbytes, None)

    def _free_host(self, address: int) -> None:
        del self.memory[address]

    def _do(self, command: Any) -> None:
        if self._captured is not None:
            self._captured.append(command)
        elif isinstance(command, HostLaunch):
            self.launches.append(command)
            self._run(command)
        else:
            c.memmove(*command)

    def _copy(self, target: int, source: int, nbytes: int, stream: Any) -> None:
        self._do((target, source, nbytes))

    _copy_in = _copy_out = _copy

    def _load_module(self, module: Any, code: bytes) -> None:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "kernel.so"
            file.write_bytes(code)
            self._modules[self._new(module)] = c.CDLL(str(file))

    def _find_function(self, function: Any, module: Any, name: bytes) -> None:
        self._modules[self._new(function)] = self._modules[module.value]

    def _launch(self, function: int, *given: Any) -> int:
        *sizes, memory, _stream, pointers, _extra = given
        library = self._modules[function]
        lengths = (c.c_uint * 64)()
        count = library.w_sizes(lengths)
        if count != len(pointers):
            return 1  # hipErrorInvalidValue
        bytes_of = [c.string_at(pointers[i], lengths[i]) for i in range(count)]
        self._do(HostLaunch(library, tuple(sizes[:3]), tuple(sizes[3:]), memory, tuple(bytes_of)))
        return 0

    def _run(self, launch: HostLaunch) -> None:
        kept = [c.create_string_buffer(each, len(each)) for each in launch.parameters]
        pointers = (c.c_void_p * len(kept))(*map(c.addressof, kept))
        launch.library.w_run(pointers, (c.c_uint * 3)(*launch.grid), (c.c_uint * 3)(*launch.block))

    def _begin_capture(self, stream: Any, mode: int) -> None:
        self._captured = []

    def _end_capture(self, stream: Any, graph: Any) -> int:
        commands, self._captured = self._captured or [], None
        self.graphs[self._new(graph)] = commands
        return 0

    def _instantiate_graph(self, plan: Any, graph: Any, *others: Any) -> None:
        self.graphs[self._new(plan)] = self.graphs[graph.value]

    def _launch_graph(self, plan: int, stream: Any) -> None:
        for command in self.graphs[plan]:
            self._do(command)


class HostCompiler:
    """hiprtc; g++ compiles, and the machine code is a library of the host.

    ``texts`` has what was compiled; ``log`` is what it answers in place of code, if it is not "".
    """

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.log = b""
        self._made: dict[int, bytes] = {}
        for name in ("Version", "CreateProgram", "DestroyProgram", "CompileProgram"):
            setattr(self, f"hiprtc{name}", self._function(name))
        for name in ("ProgramLogSize", "ProgramLog", "CodeSize", "Code"):
            setattr(self, f"hiprtcGet{name}", self._function(name))

    def _function(self, name: str) -> Any:
        work = getattr(self, f"_{name}", None)

        def call(*arguments: Any) -> int:
            return (work(*arguments) or 0) if work is not None else 0

        return call

    def _Version(self, major: Any, minor: Any) -> None:  # noqa: N802
        major._obj.value, minor._obj.value = 9, 0

    def _CreateProgram(self, program: Any, text: bytes, *others: Any) -> None:  # noqa: N802
        self.texts.append(text.decode())
        program._obj.value = len(self.texts)

    def _CompileProgram(self, program: Any, count: int, options: Any) -> int:  # noqa: N802
        if self.log:
            return 6
        architecture = options[0].decode().partition("=")[2]
        text = self.texts[program.value - 1]
        lanes = target_of(architecture).lanes
        self._made[program.value] = build(text, lanes)
        return 0

    def _ProgramLogSize(self, program: Any, size: Any) -> None:  # noqa: N802
        size._obj.value = len(self.log)

    def _ProgramLog(self, program: Any, data: Any) -> None:  # noqa: N802
        data.value = self.log

    def _CodeSize(self, program: Any, size: Any) -> None:  # noqa: N802
        size._obj.value = len(self._made[program.value])

    def _Code(self, program: Any, data: Any) -> None:  # noqa: N802
        data[:] = self._made[program.value]


def build(text: str, lanes: int) -> bytes:
    """Return a library of the host with a printed kernel."""
    assert COMPILER is not None
    kernel = text[text.rindex("struct w_module {") :] if "struct w_module {" in text else text
    alone = [] if TOGETHER.search(kernel) else ["-DALONE"]
    with tempfile.TemporaryDirectory() as folder:
        source, library = Path(folder) / "kernel.cpp", Path(folder) / "kernel.so"
        source.write_text(f'#include "{HEADER}"\n{text}{LAUNCHER}', encoding="utf-8")
        options = ["-std=c++20", "-O1", "-w", "-shared", "-fPIC", "-fno-strict-aliasing"]
        options += ["-U_FORTIFY_SOURCE", f"-DWAVE={lanes}u", *alone]
        command = [COMPILER, *options, "-o", str(library), str(source)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[:3000]
        return library.read_bytes()


def host_backend(
    library: HostDriver, compiler: HostCompiler | None = None, *, checks: bool = True
) -> CardBackend:
    """Return a backend on the host's HIP."""
    driver = HipDriver(library)
    architecture = driver.architecture(0)
    hiprtc = HipCompiler(compiler or HostCompiler(), None)
    toolchain = Toolchain(hiprtc, architecture, target_of(architecture))
    return CardBackend(describe(driver, 0), driver, toolchain, checks=checks)
