"""`Kernel`: compiled WGSL that is called like a function; its arguments are checked first."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from functools import partial
from operator import index
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpucore.backends import BindingSpec, Program
from gpucore.backends.work import Work
from gpucore.buffer import Buffer
from gpucore.dtypes import DTYPES
from gpucore.errors import ArgumentError, GpuError, KernelCompileError, LimitError
from gpucore.integers import ceil_div
from gpucore.memory.pool import Storage, storage_size
from gpucore.memory.sharing import resolve_handle
from gpucore.not_copyable import NotCopyable
from gpucore.reload import SourceFile
from gpucore.validation import Constants, validate_source
from gpucore.waiting import wait_async
from gpucore.wgsl import Binding, pack_struct

if TYPE_CHECKING:
    from gpucore.device import Device

__all__ = ["Argument", "Grid", "Kernel", "ReloadingKernel"]

Value = int | float | bool
Argument = Buffer[Any] | Mapping[str, Value]
Grid = int | tuple[int, ...]

_GROUP_LIMIT = "max_compute_workgroups_per_dimension"


class Kernel(NotCopyable):
    """A compute entry point of a WGSL module, made by `Device.compile_kernel`.

    Call it with one argument for each ``@group(0) @binding(n)`` in the order of n: a `Buffer` for
    ``var<storage>``, a mapping of field names to numbers for ``var<uniform>``; and ``grid``, the
    number of workgroups as (x, y, z). The launch is recorded; nothing waits.

    >>> kernel = device.compile_kernel(AFFINE)
    >>> x, y = device.buffer(f32, 1000), device.buffer(f32, 1000)
    >>> kernel(x, y, {"count": 1000, "factor": 2, "shift": 0}, grid=(1000 + 63) // 64)
    """

    _INSTEAD = "hand on its WGSL, and compile it again with device.compile_kernel(source)"

    def __init__(
        self,
        device: Device,
        program: Program,
        bindings: tuple[Binding, ...],
        entry: str,
    ) -> None:
        self.device = device
        self.entry = entry
        self.bindings = bindings
        self._program = program
        self._specs = binding_specs(bindings)
        self._max_groups = device.limits.get(_GROUP_LIMIT, 65535)

    @classmethod
    def compile(
        cls, device: Device, source: str, entry: str, constants: Constants, label: str
    ) -> Kernel:
        """Check ``source`` and start compiling it for a device; ``label`` names it in profiles.

        Raises `KernelCompileError`, `ArgumentError`.
        """
        given: Mapping[str, object] = constants
        if buffers := [name for name, value in given.items() if isinstance(value, Buffer)]:
            raise ArgumentError(
                f"constants {', '.join(buffers)}: values must be numbers, got a Buffer; wait for "
                "its number with float(buffer)"
            )
        values, bindings = validate_source(
            source, entry, constants, device.limits, parses_bodies=device.checks
        )
        program = device.engine.compile(source, entry, values, binding_specs(bindings))
        program.label = label
        return cls(device, program, bindings, entry)

    def wait(self) -> None:
        """Block until it is compiled. Raises `KernelCompileError`."""
        self._program.wait()

    def __await__(self) -> Generator[Any, Any, Kernel]:
        """Wait until it is compiled while other tasks run (asyncio or trio); return the kernel."""
        return self._wait_async().__await__()

    async def _wait_async(self) -> Kernel:
        await wait_async(self._program)
        self._program.wait()
        return self

    def __repr__(self) -> str:
        return f"Kernel({self.signature})"

    @property
    def label(self) -> str:
        """The name under which profiles count its launches."""
        return self._program.label

    @property
    def _name(self) -> str:
        """The name in errors: the entry point, and the label where it is another."""
        return repr(self.entry) if self.label == self.entry else f"{self.entry!r} ({self.label})"

    @property
    def signature(self) -> str:
        """The entry point with its bindings as WGSL declares them."""
        return f"{self.entry}({', '.join(b.declaration.strip() for b in self.bindings)})"

    def __call__(self, *arguments: Argument, grid: Grid, work: Work | None = None) -> None:
        """Record a launch over ``grid`` workgroups; a grid with a zero does nothing.

        Profiles make rates from ``work``. Where it is None, a launch counts no arithmetic, and the
        bytes of each bound buffer once.

        Raises `ArgumentError` with both declarations where an argument does not fit, `LimitError`
        where the grid is too large.
        """
        if len(arguments) != len(self.bindings):
            raise ArgumentError(
                f"kernel {self._name} takes {len(self.bindings)} arguments, got "
                f"{len(arguments)}: give one for each binding, in the order of their numbers: "
                f"{self.signature}"
            )
        sizes = self._grid_sizes(grid)
        buffers: list[tuple[Any, int]] = []
        storages: list[Storage] = []
        moved = 0
        for binding, argument in zip(self.bindings, arguments, strict=True):
            handle, nbytes, storage = self._bind(binding, argument)
            buffers.append((handle, nbytes))
            if storage is not None:
                storages.append(storage)
                moved += nbytes
        self._forbid_aliases(arguments)
        if 0 in sizes:
            return
        if work is None:
            work = Work(0, moved)
        bind = partial(self._bind_group, buffers)
        self.device.stream.launch(self._program, bind, sizes, tuple(storages), work)

    def _bind_group(self, buffers: list[tuple[Any, int]]) -> Any:
        """Return the bind group of these handles, with the bytes bound of each."""
        bound = tuple((resolve_handle(handle), nbytes) for handle, nbytes in buffers)
        return self.device.bind_group(self._specs, bound)

    def _grid_sizes(self, grid: Grid) -> tuple[int, int, int]:
        """Return the workgroups along x, y and z. Raises `ArgumentError`, `LimitError`."""
        try:
            sizes = tuple(map(index, grid)) if isinstance(grid, tuple | list) else (index(grid),)
        except TypeError:
            sizes = ()
        if not 1 <= len(sizes) <= 3 or min(sizes) < 0:
            raise ArgumentError(
                f"kernel {self._name}: grid must be 1 to 3 sizes >= 0, got {grid!r}; it is the "
                "number of workgroups as whole numbers, such as (count + 63) // 64 for "
                "@workgroup_size(64)"
            )
        if max(sizes) > self._max_groups:
            raise LimitError(
                f"kernel {self._name}: grid {grid} has more than {self._max_groups} workgroups "
                "in one dimension; spread it over two (x, y) or use larger workgroups, or let each "
                "invocation do several elements"
            )
        x, y, z = (*sizes, 1, 1)[:3]
        return x, y, z

    def _bind(self, binding: Binding, argument: Argument) -> tuple[Any, int, Storage | None]:
        if binding.address_space == "uniform":
            return self._bind_uniform(binding, argument)
        if not isinstance(argument, Buffer):
            kind = type(argument).__name__
            advice = "upload an array with device.buffer_from_array(array)"
            raise self._mismatch(binding, f"got {kind}, not a Buffer", advice)
        if argument.device is not self.device:
            problem = f"got {argument!r}, which lives on another device"
            advice = f"the kernel's is {self.device!r}: buffer.to(device) copies it there"
            raise self._mismatch(binding, problem, advice)
        if argument.dtype.name != binding.scalar:
            problem = f"got {argument!r} of dtype {argument.dtype.name}"
            raise self._mismatch(binding, problem, _dtype_advice(binding, argument))
        unit = max(binding.stride or 4, 4)
        nbytes = max(ceil_div(argument.nbytes, unit) * unit, unit)
        if binding.stride is None and argument.nbytes < binding.min_size:
            raise self._mismatch(
                binding, f"got {argument!r} of {argument.nbytes} bytes, needs {binding.min_size}"
            )
        nbytes = max(nbytes, binding.min_size)
        if nbytes > storage_size(argument.nbytes):
            raise self._mismatch(
                binding,
                f"got {argument!r} of {argument.nbytes} bytes, needs {nbytes}",
                f"make it a multiple of the {unit} bytes of an element",
            )
        return argument.storage.handle, nbytes, argument.storage

    def _bind_uniform(self, binding: Binding, argument: Argument) -> tuple[Any, int, None]:
        if not isinstance(argument, Mapping):
            fields = ", ".join(f.name for f in binding.fields)
            values = ", ".join(f"{f.name!r}: ..." for f in binding.fields)
            raise self._mismatch(
                binding,
                f"got {argument!r}, not a mapping of its fields {fields}",
                f"give a dict, {{{values}}}",
            )
        numbers: Mapping[str, object] = argument
        if Buffer in map(type, numbers.values()):  # packing would wait for the device unasked
            given = {name: value for name, value in numbers.items() if isinstance(value, Buffer)}
            raise self._mismatch(
                binding,
                f"got {given!r}, where numbers belong",
                "bind a Buffer as var<storage>, or wait for its number with float(buffer)",
            )
        try:
            data = pack_struct(binding, argument)
        except (KeyError, TypeError, ValueError) as error:
            raise self._mismatch(binding, str(error)) from None
        return self.device.constant(data), len(data), None

    def _forbid_aliases(self, arguments: tuple[Argument, ...]) -> None:
        """Raise `ArgumentError` where a buffer is bound for writing and bound a second time.

        WebGPU forbids it in one dispatch.
        """
        seen: dict[Storage, Binding] = {}
        for binding, argument in zip(self.bindings, arguments, strict=True):
            if not isinstance(argument, Buffer):
                continue
            other = seen.setdefault(argument.storage, binding)
            if other is not binding and "read_write" in (other.access, binding.access):
                raise self._mismatch(
                    binding, f"got the same memory as {other.name!r}; write to a buffer of its own"
                )

    def _mismatch(self, binding: Binding, problem: str, advice: str = "") -> ArgumentError:
        return ArgumentError(
            f"kernel {self._name}, argument {binding.name!r}: {problem}; "
            f"WGSL line {binding.line} declares `{binding.declaration.strip()}`"
            + (f": {advice}" if advice else "")
        )


class ReloadingKernel(Kernel):
    """A kernel that looks at its file before each call, and compiles it again if it has changed.

    A text that does not compile is reported once (log ``gpucore.reload``, and `fault`); the last
    kernel that did compile goes on running. Graphs keep the kernel that they captured. A look costs
    microseconds: this is for development.
    """

    def __init__(self, file: SourceFile[Kernel]) -> None:
        self._file = file
        self._replace(file.compile())

    def _replace(self, kernel: Kernel) -> None:
        super().__init__(kernel.device, kernel._program, kernel.bindings, kernel.entry)

    @property
    def path(self) -> Path:
        """The file."""
        return self._file.path

    @property
    def fault(self) -> GpuError | None:
        """The reason why the file's present text is not what runs; None where it is."""
        return self._file.fault

    def __call__(self, *arguments: Argument, grid: Grid, work: Work | None = None) -> None:
        """Launch the file's present text, as `Kernel` does."""
        self.refresh()
        super().__call__(*arguments, grid=grid, work=work)

    def refresh(self) -> bool:
        """Compile the file if its text has changed; return True where a new kernel runs now."""
        kernel = self._file.compile_if_changed()
        if kernel is None:
            return False
        self._replace(kernel)
        return True


def _dtype_advice(binding: Binding, buffer: Buffer[Any]) -> str:
    """Return what to do about a buffer whose dtype is not the binding's."""
    if binding.scalar is None and binding.fields:
        return "structs of several types are var<uniform>, given as a dict; buffers hold one type"
    dtype = DTYPES.get(binding.scalar or "")
    declare = buffer.dtype.wgsl or f"an alias of a word, such as {buffer.dtype.name}x4 = u32"
    if dtype is None:
        return f"or declare {declare}"
    return f"make it {dtype.name} (array.astype(np.{dtype.numpy})), or declare {declare}"


def binding_specs(bindings: tuple[Binding, ...]) -> tuple[BindingSpec, ...]:
    """Return the layout entries of reflected bindings. Raises `KernelCompileError`."""
    specs = []
    numbers: dict[int, str] = {}
    for b in bindings:
        if b.address_space == "handle":
            raise KernelCompileError(
                f"{b.name!r} is {b.type_text}: kernels bind buffers only, var<storage> and "
                "var<uniform>"
            )
        if b.group != 0:
            raise KernelCompileError(
                f"{b.name!r} is in @group({b.group}); kernels use @group(0): declare it there"
            )
        if (other := numbers.setdefault(b.binding, b.name)) != b.name:
            raise KernelCompileError(f"{other!r} and {b.name!r} are both @binding({b.binding})")
        # The engine finds the least size of a runtime-sized array: a matrix load needs more than
        # one element.
        least = b.min_size if b.stride is None else 0
        if b.address_space == "uniform":
            specs.append(BindingSpec(b.binding, "uniform", least))
        elif b.access == "read_write":
            specs.append(BindingSpec(b.binding, "storage", least))
        else:
            specs.append(BindingSpec(b.binding, "read-only-storage", least))
    return tuple(specs)
