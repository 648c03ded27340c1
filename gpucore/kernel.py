"""`Kernel`: compiled WGSL that is called like a function; its arguments are checked first."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gpucore.arguments.grids import (
    Grid,
    Groups,
    groups_of_elements,
    groups_of_grid,
    require_groups,
)
from gpucore.arguments.structs import (
    element_layout,
    layout_text,
    nested_structs,
    record_text,
    struct_dtype,
    struct_fault,
)
from gpucore.arguments.validation import Constants, Interface, validate_source
from gpucore.backends import BindingSpec, NativeCode, Program
from gpucore.backends.work import Work
from gpucore.buffer import Buffer
from gpucore.dtypes import DTYPES, DType
from gpucore.errors import ArgumentError, FeatureError, GpuError
from gpucore.integers import ceil_div
from gpucore.memory.pool import Storage, storage_size
from gpucore.memory.sharing import resolve_handle
from gpucore.not_copyable import NotCopyable
from gpucore.reload import SourceFile
from gpucore.sanitizer import Listing
from gpucore.tiled import Tiled, binding_specs, tiled_specs
from gpucore.waiting import wait_async
from gpucore.wgsl import Binding, pack_struct
from gpucore.wgsl.layout import Record

if TYPE_CHECKING:
    from gpucore.device import Device

__all__ = ["Argument", "Grid", "Kernel", "ReloadingKernel"]

Number = int | float | bool
Values = Number | Sequence[Any] | NDArray[Any] | np.void
Argument = Buffer[Any] | Tiled[Buffer[Any]] | Mapping[str, Any] | Values

_GROUP_LIMIT = "max_compute_workgroups_per_dimension"
_NUMBERS = frozenset({bool, int, float})


class Kernel(NotCopyable):
    """A compute entry point of a WGSL module, made by `Device.compile_kernel`.

    Call it with one argument for each ``@group(0) @binding(n)`` in the order of n, or by name: a
    `Buffer` for ``var<storage>``, a mapping of field names to numbers for ``var<uniform>`` (a
    number where it has one field). ``grid`` is the number of workgroups as (x, y, z);
    ``elements`` instead is that of invocations. The launch is recorded; nothing waits.

    >>> kernel = device.compile_kernel(AFFINE)
    >>> x, y = device.buffer(f32, 1000), device.buffer(f32, 1000)
    >>> kernel(x, y, {"count": 1000, "factor": 2, "shift": 0}, grid=(1000 + 63) // 64)
    >>> kernel(x, y, p={"count": 1000, "factor": 2, "shift": 0}, elements=1000)
    """

    _INSTEAD = "hand on its WGSL, and compile it again with device.compile_kernel(source)"

    def __init__(
        self,
        device: Device,
        program: Program,
        interface: Interface,
        entry: str,
        *,
        is_native: bool = False,
    ) -> None:
        self.device = device
        self.entry = entry
        self.bindings = bindings = interface.bindings
        self.workgroup_size = interface.workgroup_size
        self._interface = interface
        self._program = program
        self._is_native = is_native
        self._fitting: set[tuple[int, type[DType]]] = set()
        self._specs = binding_specs(bindings)
        self._max_groups = device.limits.get(_GROUP_LIMIT, 65535)

    @classmethod
    def compile(
        cls,
        device: Device,
        source: str,
        entry: str,
        constants: Constants,
        label: str,
        native: NativeCode | None = None,
    ) -> Kernel:
        """Check ``source`` and start compiling it for a device; ``label`` names it in profiles.

        Where there is ``native`` code, ``source`` only declares its bindings. Raises
        `KernelCompileError`, `ArgumentError`, `FeatureError`.
        """
        if native is not None and "cuda-kernels" not in device.features:
            raise FeatureError(f"{label}: native code needs cuda-kernels, {device!r} has none")
        given: Mapping[str, object] = constants
        if buffers := [name for name, value in given.items() if isinstance(value, Buffer)]:
            raise ArgumentError(
                f"constants {', '.join(buffers)}: values must be numbers, got a Buffer; wait for "
                "its number with float(buffer)"
            )
        interface = validate_source(
            source,
            entry,
            constants,
            device.limits,
            api=device.info.api,
            parses_bodies=device.checks,
        )
        specs = binding_specs(interface.bindings)
        with device.lock:
            if native is None:
                program = device.engine.compile(source, entry, interface.constants, specs)
            else:
                program = device.engine.compile_native(native)
        program.label = label
        names = tuple(binding.name for binding in interface.bindings)
        given_source = source if native is None else None
        width = math.prod(interface.workgroup_size)
        program.listing = Listing(given_source, entry, interface.constants, names, width)
        return cls(device, program, interface, entry, is_native=native is not None)

    def wait(self) -> None:
        """Block until it is compiled. Raises `KernelCompileError`."""
        self._program.wait()

    def __await__(self) -> Generator[Any, Any, Kernel]:
        """Wait until it is compiled while other tasks run (asyncio or trio); return the kernel."""
        return self._wait_async().__await__()

    async def _wait_async(self) -> Kernel:
        await wait_async(self._program, self.device.lock)
        self._program.wait()
        return self

    def __repr__(self) -> str:
        return f"Kernel({self.signature})"

    @property
    def label(self) -> str:
        """The name under which profiles count its launches."""
        return self._program.label

    @property
    def listing(self) -> Listing:
        """Its WGSL for the sanitizer; ``checked`` may say what it was made from."""
        found: Listing = self._program.listing
        return found

    @property
    def _name(self) -> str:
        """The name in errors: the entry point, and the label where it is another."""
        return repr(self.entry) if self.label == self.entry else f"{self.entry!r} ({self.label})"

    @property
    def signature(self) -> str:
        """The entry point with its bindings as WGSL declares them."""
        return f"{self.entry}({', '.join(b.declaration.strip() for b in self.bindings)})"

    def struct_dtype(self, name: str) -> np.dtype[np.void]:
        """Return the NumPy dtype of a struct that a binding holds: offsets, itemsize, padding.

        >>> device.compile_kernel(AFFINE).struct_dtype("Sizes").names
        ('count', 'factor', 'shift')

        The columns of a matrix with 3 rows, and 3-vectors in an array, have 4 numbers. Raises
        `ArgumentError` for a struct that is not there.
        """
        found = {record.name: record for b in self.bindings for record in nested_structs(b.layout)}
        if name not in found:
            raise ArgumentError(
                f"kernel {self._name} binds no struct {name!r}; there are: "
                f"{', '.join(found) or 'none'}"
            )
        return struct_dtype(found[name])

    def __call__(
        self,
        *arguments: Argument,
        grid: Grid | None = None,
        elements: Grid | None = None,
        work: Work | None = None,
        ahead: bool = False,
        **named: Argument,
    ) -> None:
        """Record a launch over ``grid`` workgroups, or over as many as ``elements`` need.

        A grid with a zero does nothing. ``named`` arguments have the names of bindings. Profiles
        make rates from ``work``. Where it is None, a launch counts no arithmetic, and the bytes of
        each bound buffer once. ``ahead``: it writes one new buffer from what never changes, so that
        a graph may run it earlier, beside the launches before it (on CUDA and HIP).

        Raises `ArgumentError` with both declarations where an argument does not fit, `LimitError`
        where the grid is too large.
        """
        arguments = self._in_order(arguments, named)
        if len(arguments) != len(self.bindings):
            raise ArgumentError(
                f"kernel {self._name} takes {len(self.bindings)} arguments, got "
                f"{len(arguments)}: give one for each binding, in the order of their numbers: "
                f"{self.signature}"
            )
        sizes = self._groups(grid, elements)
        specs = self._specs
        if Tiled in map(type, arguments):
            specs = tiled_specs(specs, arguments, is_native=self._is_native)
            arguments = tuple(a.buffer if isinstance(a, Tiled) else a for a in arguments)
        buffers: list[tuple[Any, int]] = []
        storages: list[Storage] = []
        moved = 0
        with self.device.lock:
            for binding, argument in zip(self.bindings, arguments, strict=True):
                handle, nbytes, storage = self._bind(binding, argument)
                buffers.append((handle, nbytes))
                if storage is not None:
                    storages.append(storage)
                    moved += nbytes
            if len(set(storages)) < len(storages):
                self._forbid_aliases(arguments)
            if 0 in sizes:
                return
            if work is None:
                work = Work(0, moved)
            bind = partial(self._bind_group, specs, buffers)
            self.device.stream.launch(self._program, bind, sizes, tuple(storages), work, ahead)

    def _in_order(
        self, arguments: tuple[Argument, ...], named: Mapping[str, Argument]
    ) -> tuple[Argument, ...]:
        """Return all arguments in the order of the bindings. Raises `ArgumentError`."""
        if not named:
            return arguments
        names = [binding.name for binding in self.bindings]
        if unknown := [name for name in named if name not in names]:
            raise ArgumentError(
                f"kernel {self._name} has no argument {', '.join(unknown)}; there are: "
                f"{', '.join(names) or 'none'}"
            )
        if twice := [name for name in names[: len(arguments)] if name in named]:
            raise ArgumentError(
                f"kernel {self._name}: {', '.join(twice)} must be given once, got both by place "
                "and by name"
            )
        if missing := [name for name in names[len(arguments) :] if name not in named]:
            raise ArgumentError(
                f"kernel {self._name}: {', '.join(missing)} is missing; give one argument for each "
                f"binding: {self.signature}"
            )
        return (*arguments, *(named[name] for name in names[len(arguments) :]))

    def _groups(self, grid: Grid | None, elements: Grid | None) -> Groups:
        """Return the workgroups along x, y and z. Raises `ArgumentError`, `LimitError`."""
        if elements is None:
            sizes = groups_of_grid(self._name, grid)
        elif grid is None:
            sizes = groups_of_elements(self._name, elements, self.workgroup_size)
        else:
            raise ArgumentError(
                f"kernel {self._name} takes grid (workgroups) or elements (invocations), got grid "
                f"{grid!r} and elements {elements!r}; give one"
            )
        if max(sizes) > self._max_groups:
            given = f"grid {grid}" if elements is None else f"grid {sizes} of {elements} elements"
            require_groups(self._name, sizes, self._max_groups, given)
        return sizes

    def _bind_group(
        self, specs: tuple[BindingSpec, ...], buffers: list[tuple[Any, int]]
    ) -> tuple[Any, tuple[tuple[Any, int], ...]]:
        """Return the bind group of these handles, and the handles with the bytes bound of each."""
        bound = tuple((resolve_handle(handle), nbytes) for handle, nbytes in buffers)
        return self.device.bindings.group(specs, bound), bound

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
            if (binding.binding, argument.dtype) not in self._fitting:
                self._require_element(binding, argument)
                self._fitting.add((binding.binding, argument.dtype))
            if _is_sized(binding):
                return self._bind_whole(binding, argument)
        nbytes, unit = argument.nbytes, max(binding.stride or 4, 4)
        if nbytes % unit or nbytes < binding.min_size or not nbytes:
            nbytes = self._padded_bytes(binding, argument, unit)
        storage = argument.storage
        return storage.handle, nbytes, storage

    def _padded_bytes(self, binding: Binding, argument: Buffer[Any], unit: int) -> int:
        """Return the bytes to bind of a buffer that ends inside a unit. Raises `ArgumentError`."""
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
        return nbytes

    def _require_element(self, binding: Binding, buffer: Buffer[Any]) -> None:
        """Raise `ArgumentError` unless a buffer's elements are the binding's structs."""
        record, kind = element_layout(binding.layout), buffer.dtype.numpy
        if not kind.names or record is None:
            problem = f"got {buffer!r} of dtype {buffer.dtype.name}"
            raise self._mismatch(binding, problem, _dtype_advice(binding, buffer))
        if (fault := struct_fault(record, kind)) is not None:
            raise self._mismatch(
                binding,
                f"got structs of another layout: {fault}; WGSL's is {layout_text(record)}, "
                f"NumPy's {record_text(kind)}",
                f"make the array with dtype=kernel.struct_dtype({record.name!r})",
            )

    def _bind_whole(self, binding: Binding, buffer: Buffer[Any]) -> tuple[Any, int, Storage | None]:
        """Bind a buffer of one struct that ends in a runtime-sized array."""
        if buffer.size != 1:
            raise self._mismatch(
                binding,
                f"got {buffer!r}; a struct with an array of any size at its end is one element",
                "give a buffer of shape ()",
            )
        return buffer.storage.handle, ceil_div(buffer.nbytes, 4) * 4, buffer.storage

    def _bind_uniform(self, binding: Binding, argument: Argument) -> tuple[Any, int, None]:
        if isinstance(argument, (np.void, np.ndarray)) and argument.dtype.names:
            return self._bind_uniform_struct(binding, np.asarray(argument))
        if not isinstance(argument, (dict, Mapping, Buffer)) and len(binding.fields) == 1:
            argument = {binding.fields[0].name: argument}
        if not isinstance(argument, (dict, Mapping)):
            fields = ", ".join(f.name for f in binding.fields)
            values = ", ".join(f"{f.name!r}: ..." for f in binding.fields)
            raise self._mismatch(
                binding,
                f"got {argument!r}, not a mapping of its fields {fields}",
                f"give a dict, {{{values}}}",
            )
        plain = _NUMBERS.issuperset(map(type, argument.values()))
        if not plain and (given := dict(_buffers(argument))):  # packing would wait for the device
            raise self._mismatch(
                binding,
                f"got {given!r}, where numbers belong",
                "bind a Buffer as var<storage>, or wait for its number with float(buffer)",
            )
        try:
            data = pack_struct(binding, argument)
        except (KeyError, TypeError, ValueError) as error:
            raise self._mismatch(binding, str(error)) from None
        return self.device.bindings.constant(data), len(data), None

    def _bind_uniform_struct(self, binding: Binding, array: NDArray[Any]) -> tuple[Any, int, None]:
        """Bind structs of NumPy: as many as the uniform holds, most often one."""
        record = element_layout(binding.layout)
        fault = "it holds no struct" if record is None else struct_fault(record, array.dtype)
        if record is None or fault is not None or array.nbytes != binding.size:
            wanted = "" if record is None else f"; WGSL's is {layout_text(record)}"
            raise self._mismatch(
                binding,
                f"got {array.size} structs {record_text(array.dtype)}: "
                f"{fault or f'it must have {binding.size} bytes, got {array.nbytes}'}{wanted}",
                f"make it with dtype=kernel.struct_dtype({record.name!r})" if record else "",
            )
        data = array.tobytes()
        return self.device.bindings.constant(data), len(data), None

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
        super().__init__(kernel.device, kernel._program, kernel._interface, kernel.entry)

    @property
    def path(self) -> Path:
        """The file."""
        return self._file.path

    @property
    def fault(self) -> GpuError | None:
        """The reason why the file's present text is not what runs; None where it is."""
        return self._file.fault

    def _in_order(
        self, arguments: tuple[Argument, ...], named: Mapping[str, Argument]
    ) -> tuple[Argument, ...]:
        with self.device.lock:
            self.refresh()
        return super()._in_order(arguments, named)

    def refresh(self) -> bool:
        """Compile the file if its text has changed; return True where a new kernel runs now."""
        kernel = self._file.compile_if_changed()
        if kernel is None:
            return False
        self._replace(kernel)
        return True


def _is_sized(binding: Binding) -> bool:
    """Tell whether it is a struct that ends in a runtime-sized array."""
    return isinstance(binding.layout, Record) and binding.stride is not None


def _buffers(values: Mapping[str, Any]) -> Iterator[tuple[str, Buffer[Any]]]:
    """Yield the buffers among the values of a uniform, with their names."""
    for name, value in values.items():
        if isinstance(value, Buffer):
            yield name, value
        elif isinstance(value, Mapping):
            yield from ((f"{name}.{inner}", one) for inner, one in _buffers(value))


def _dtype_advice(binding: Binding, buffer: Buffer[Any]) -> str:
    """Return what to do about a buffer whose dtype is not the binding's."""
    record = element_layout(binding.layout)
    if binding.scalar is None and record is not None:
        return (
            f"upload a structured array, np.zeros(count, kernel.struct_dtype({record.name!r})): "
            f"{layout_text(record)}"
        )
    dtype = DTYPES.get(binding.scalar or "")
    declare = buffer.dtype.wgsl or f"an alias of a word, such as {buffer.dtype.name}x4 = u32"
    if dtype is None:
        return f"or declare {declare}"
    return f"make it {dtype.name} (array.astype(np.{dtype.numpy})), or declare {declare}"
