"""`Device`: an opened adapter that makes buffers and kernels."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gpucore import adapters
from gpucore.backends import AdapterInfo, Backend, BindingSpec
from gpucore.buffer import Buffer
from gpucore.dtypes import DType, T, dtype_of, f16, f32, i32, u8, u32
from gpucore.errors import ArgumentError, KernelCompileError, ShapeError
from gpucore.graph import Graph
from gpucore.kernel import Argument, Grid, Kernel
from gpucore.memory import MemoryStats, Pool
from gpucore.profiler import Profile
from gpucore.stream import Stream
from gpucore.wgsl import WgslLayoutError, WgslSyntaxError, parse, reflect
from gpucore.work import Roof

__all__ = ["Device"]

_MOST_CACHED = 8192
_MATRIX_SHAPE = ("f16", "f32", 16, 16, 16)


class Device:
    """One adapter, opened. ``Device.auto()`` takes the best; see `Device.list`.

    The environment variable ``GPUCORE_DEVICE`` overrides `auto` with a name that
    `gpucore.adapters.choose` understands: ``dawn``, ``wgpu-vulkan``, ``gl``, ``cpu`` and so on.
    """

    def __init__(self, backend: Backend) -> None:
        self.engine = backend
        self.stream = Stream(backend)
        self.pool = Pool(backend, self.stream.flush)
        self._constants: dict[bytes, Any] = {}
        self._groups: dict[tuple[Any, ...], Any] = {}

    # Selection ---------------------------------------------------------------------------

    @classmethod
    def auto(cls, *, checks: bool = True) -> Device:
        """The device that ``GPUCORE_DEVICE`` names, else the best present."""
        return cls.open(adapters.preferred(), checks=checks)

    @classmethod
    def named(cls, name: str, *, checks: bool = True) -> Device:
        """Device by name (see `gpucore.adapters.choose`). Raises `DeviceNotFoundError`."""
        return cls.open(adapters.choose(name), checks=checks)

    @classmethod
    def open(cls, info: AdapterInfo, *, checks: bool = True) -> Device:
        """Device of an adapter that `list` showed.

        With ``checks``, a kernel's index beyond a buffer's end or an endless loop does no harm.
        Without, kernels run faster and are trusted: open it so for tested kernels only, as the
        diffusion pipeline does. The environment variable ``GPUCORE_CHECKS`` (1 or 0) overrides it.
        """
        wanted = os.environ.get("GPUCORE_CHECKS", "")
        return cls(adapters.open_backend(info, checks=checks if not wanted else wanted != "0"))

    @classmethod
    def from_backend(cls, backend: Backend) -> Device:
        """Device on a backend object of one's own."""
        return cls(backend)

    @classmethod
    def list(cls) -> list[AdapterInfo]:
        """Adapters present, over all engines, best first."""
        return adapters.all_adapters()

    @classmethod
    def wgpu(cls) -> Device:
        """Best adapter of wgpu-py."""
        return cls.named("wgpu")

    @classmethod
    def dawn(cls) -> Device:
        """Best adapter of Dawn (wgpudawn)."""
        return cls.named("dawn")

    @classmethod
    def vulkan(cls) -> Device:
        """Best Vulkan adapter."""
        return cls.named("vulkan")

    @classmethod
    def metal(cls) -> Device:
        """Best Metal adapter."""
        return cls.named("metal")

    @classmethod
    def dx12(cls) -> Device:
        """Best Direct3D 12 adapter."""
        return cls.named("dx12")

    @classmethod
    def cpu(cls) -> Device:
        """A software renderer on the CPU."""
        return cls.named("cpu")

    @classmethod
    def null(cls) -> Device:
        """A device that records commands and computes nothing."""
        return cls.named("null")

    # Properties --------------------------------------------------------------------------

    @property
    def info(self) -> AdapterInfo:
        """What the engine says of the adapter."""
        return self.engine.info

    @property
    def backend(self) -> str:
        """Engine and API, such as ``dawn-vulkan``."""
        return self.info.backend

    @property
    def name(self) -> str:
        """The card's name."""
        return self.info.name

    @property
    def vendor(self) -> str:
        """The card's vendor."""
        return self.info.vendor

    @property
    def driver(self) -> str:
        """Driver and its version, as the engine tells it."""
        return self.info.driver

    @property
    def compute_units(self) -> int | None:
        """Cores of a CPU adapter; None on GPUs, since WebGPU does not tell."""
        return os.cpu_count() if self.is_cpu else None

    @property
    def memory_size(self) -> int | None:
        """Bytes of the largest device-local heap; None where the engine does not tell."""
        return self.info.memory_size

    @property
    def limits(self) -> Mapping[str, int]:
        """WebGPU limits, raised to what the adapter offers."""
        return self.info.limits

    @property
    def features(self) -> frozenset[str]:
        """Of f16, subgroups, matrix-units, timestamps, subgroup-size-control."""
        return self.info.features

    @property
    def is_cpu(self) -> bool:
        """True for a software renderer, which wants kernels without barriers."""
        return self.info.kind == "cpu"

    @property
    def has_f16(self) -> bool:
        """True where kernels may ``enable f16``."""
        return "f16" in self.features

    @property
    def has_matrix_units(self) -> bool:
        """True where subgroups of 32 multiply 16x16x16 matrices of f16 into f32."""
        shapes = self.info.matrix_shapes
        wide = self.subgroup_size == (32, 32)
        return "matrix-units" in self.features and wide and _MATRIX_SHAPE in shapes

    @property
    def subgroup_size(self) -> tuple[int, int]:
        """Least and greatest subgroup size, (0, 0) if unknown."""
        return self.info.subgroup_size

    @property
    def memory(self) -> MemoryStats:
        """Bytes in use and reserved, and their peaks."""
        return self.pool.stats

    def __repr__(self) -> str:
        return f"Device({self.name}, {self.info.backend})"

    # Buffers -----------------------------------------------------------------------------

    def buffer(self, dtype: type[T], shape: int | tuple[int, ...]) -> Buffer[T]:
        """New buffer; contents undefined. Raises `ShapeError`, `LimitError`, `OutOfMemoryError`."""
        full = (shape,) if isinstance(shape, int) else tuple(shape)
        if any(n < 0 for n in full):
            raise ShapeError(f"buffer of shape {full}: extents must not be negative")
        return Buffer(self, dtype, full, self.pool.allocate(math.prod(full) * dtype.itemsize))

    @overload
    def buffer_from_array(self, array: ArrayLike, dtype: type[T]) -> Buffer[T]: ...
    @overload
    def buffer_from_array(self, array: NDArray[np.float32]) -> Buffer[f32]: ...
    @overload
    def buffer_from_array(self, array: NDArray[np.float16]) -> Buffer[f16]: ...
    @overload
    def buffer_from_array(self, array: NDArray[np.int32]) -> Buffer[i32]: ...
    @overload
    def buffer_from_array(self, array: NDArray[np.uint32]) -> Buffer[u32]: ...
    @overload
    def buffer_from_array(self, array: NDArray[np.uint8]) -> Buffer[u8]: ...
    @overload
    def buffer_from_array(self, array: ArrayLike) -> Buffer[Any]: ...

    def buffer_from_array(self, array: ArrayLike, dtype: type[DType] | None = None) -> Buffer[Any]:
        """Buffer with a copy of ``array``, converted to ``dtype`` if one is given.

        Raises `DTypeError` where the array's own dtype has no marker.
        """
        data = np.asarray(array)
        marker = dtype_of(data.dtype) if dtype is None else dtype
        result: Buffer[Any] = self.buffer(marker, data.shape)
        result.write(data.astype(marker.numpy, copy=False))
        return result

    # Kernels -----------------------------------------------------------------------------

    def compile_kernel(
        self,
        source: str,
        entry: str = "main",
        constants: Mapping[str, int | float | bool] | None = None,
        *,
        wait: bool = True,
        label: str | None = None,
    ) -> Kernel:
        """Compile an entry point of WGSL ``source``; ``constants`` set its overrides.

        With ``wait=False`` compiling goes on in the background, and an error of the engine shows
        at `Kernel.wait` or at the first submission. ``label`` (the entry's name if None) is what
        profiles call the kernel. Raises `KernelCompileError`.
        """
        try:
            reflection = reflect(parse(source))
        except (WgslSyntaxError, WgslLayoutError) as error:
            raise KernelCompileError(
                f"WGSL does not parse: {error.message}", source, error.line, error.column
            ) from None
        point = reflection.entry_points.get(entry)
        if point is None or point.stage != "compute":
            found = ", ".join(n for n, p in reflection.entry_points.items() if p.stage == "compute")
            raise KernelCompileError(f"no compute entry point {entry!r}; there are: {found}")
        values = _known_constants(constants or {}, reflection.overrides)
        used = tuple(b for b in reflection.bindings if b.name in point.resources)
        kernel = Kernel.compiled(self, source, entry, values, used, label or entry)
        if wait:
            kernel.wait()
        return kernel

    def execute_kernel(self, kernel: Kernel, arguments: Sequence[Argument], grid: Grid) -> None:
        """Same as ``kernel(*arguments, grid=grid)``."""
        kernel(*arguments, grid=grid)

    def capture(self) -> Graph:
        """Context in which launches are recorded into a `Graph` instead of the stream."""
        return Graph(self)

    def profile(self, roof: Roof | None = None) -> Profile:
        """Context in which every launch is timed; see `Profile`. `FeatureError` if it cannot be."""
        return Profile(self, roof)

    @contextmanager
    def region(self, name: str) -> Iterator[None]:
        """Launches recorded inside carry ``name`` in profiles, inside a graph for good.

        Regions nest: ``unet`` and inside it ``mid`` make ``unet/mid``.
        """
        stream = self.stream
        outer = stream.region
        stream.region = f"{outer}/{name}" if outer else name
        try:
            yield
        finally:
            stream.region = outer

    def synchronize(self) -> None:
        """Submit what is recorded and wait until the device is done."""
        self.stream.synchronize()

    def trim(self) -> int:
        """Give idle pooled memory back to the device; returns the bytes freed."""
        self.stream.submit()
        self._groups.clear()
        return self.pool.trim()

    def close(self) -> None:
        """Release the device; its buffers can no longer be used."""
        self.synchronize()
        self._groups.clear()
        self._constants.clear()
        self.engine.close()

    # Caches that kernels use -------------------------------------------------------------

    def constant(self, data: bytes) -> Any:
        """Handle of an immutable uniform buffer with these bytes, made once."""
        handle = self._constants.get(data)
        if handle is None:
            if len(self._constants) >= _MOST_CACHED:
                self._constants.clear()
                self._groups.clear()
            padded = data + bytes(-len(data) % 16)
            handle = self.engine.allocate(len(padded))
            self.engine.write(handle, memoryview(padded))
            self._constants[data] = handle
        return handle

    def bind_group(
        self, specs: tuple[BindingSpec, ...], buffers: tuple[tuple[Any, int], ...]
    ) -> Any:
        """Bind group for these buffers, made once."""
        key = (specs, buffers)
        group = self._groups.get(key)
        if group is None:
            if len(self._groups) >= _MOST_CACHED:
                self._groups.clear()
            group = self._groups[key] = self.engine.bind(specs, buffers)
        return group


def _known_constants(
    given: Mapping[str, int | float | bool], declared: Mapping[str, Any]
) -> dict[str, float]:
    unknown = sorted(set(given) - set(declared))
    if unknown:
        raise ArgumentError(
            f"no override {', '.join(unknown)} in the WGSL; there are: {', '.join(declared) or '-'}"
        )
    return {name: float(value) for name, value in given.items()}
