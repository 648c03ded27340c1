"""`Device`: an opened adapter that makes buffers and kernels."""

from __future__ import annotations

import math
import os
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gpucore import adapters, interchange
from gpucore.backends import AdapterInfo, Backend, BindingSpec, StagingStats
from gpucore.buffer import Buffer, extents
from gpucore.display import device_html
from gpucore.dtypes import DTYPES, DType, T, dtype_of, f16, f32, i32, is_marker, u8, u32
from gpucore.environment import is_on
from gpucore.errors import DeviceLostError, DeviceNotFoundError, DTypeError, ShapeError
from gpucore.interchange import DLPackProducer
from gpucore.kernel import Argument, Grid, Kernel
from gpucore.memory.pool import MemoryStats, Pool, memory_limit
from gpucore.not_copyable import NotCopyable
from gpucore.per_device import PerDevice
from gpucore.recording.event import Event
from gpucore.recording.graph import Graph
from gpucore.recording.profile import Profile
from gpucore.recording.stream import Stream
from gpucore.recording.work import Roof
from gpucore.reload import kernel_of
from gpucore.validation import validate_source
from gpucore.waiting import wait_async

__all__ = ["Device"]

_MOST_CACHED = 8192
_MATRIX_SHAPE = ("f16", "f32", 16, 16, 16)


class Device(NotCopyable):
    """One adapter, opened. ``Device.auto()`` takes the best; see `Device.list`.

    The environment variable ``GPUCORE_DEVICE`` overrides `auto` with a name that
    `gpucore.adapters.choose` understands: ``dawn``, ``wgpu-vulkan``, ``gl``, ``cpu`` and so on.
    ``GPUCORE_MEMORY_LIMIT`` (such as 2GiB) is the most memory that its buffers may take.

    A device is for one thread at a time: used by two at once, launches may be lost or run twice.
    Threads may have devices of their own, but on OpenGL. A process that has opened one must not
    fork (`multiprocessing` may spawn).
    Launches and copies are recorded; reading, `synchronize` and `submit` hand them over. Recording
    does not touch the device, so that `DeviceLostError` shows there.

    >>> device = Device.null()              # or Device.auto(), which computes
    >>> x = device.buffer_from_array(np.arange(4, dtype=np.float32))
    >>> print(x.read(), device.memory.buffers)
    [0. 1. 2. 3.] 1
    >>> device.close()

    Attributes:
        engine: the backend. stream: what is recorded into now. pool: its memory. checks: as opened.
        kept: what modules keep for it, see `PerDevice`.
    """

    _INSTEAD = "hand on device.info, and open it there with Device.open(info)"

    def __init__(self, backend: Backend, *, checks: bool = True) -> None:
        self.engine = backend
        self.checks = checks
        self.stream = Stream(backend)
        self.pool = Pool(backend, self.stream.flush_all, memory_limit())
        self.kept: dict[PerDevice[Any], Any] = {}
        self._main = self.stream
        self._streams = [weakref.ref(self.stream)]
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

        With ``checks``, a kernel's index beyond a buffer's end or an endless loop does no harm, and
        workgroup memory is zero when a workgroup starts, as WGSL promises.
        Without, kernels run faster and are trusted: open it so for tested kernels only, as the
        diffusion pipeline does. The environment variable ``GPUCORE_CHECKS`` (1 or 0) overrides it.
        """
        checked = is_on("GPUCORE_CHECKS", checks)
        return cls(adapters.open_backend(info, checks=checked), checks=checked)

    def reopen(self) -> Device:
        """A new device of the same adapter: what to go on with after `DeviceLostError`.

        Buffers, kernels and graphs belong to the old device and are to be made again. Raises
        `DeviceNotFoundError` where the adapter is gone, too.
        """
        try:
            backend = adapters.open_backend(self.info, checks=self.checks)
        except (IndexError, RuntimeError) as error:
            raise DeviceNotFoundError(
                f"{self.name} ({self.backend}) does not open again: {error}; Device.list() shows "
                "what is present"
            ) from None
        return Device(backend, checks=self.checks)

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

    @property
    def staging(self) -> StagingStats:
        """Staging memory that reads go through, and how often it was used again."""
        return self.engine.staging

    def __repr__(self) -> str:
        return f"Device({self.name}, {self.info.backend})"

    def _repr_html_(self) -> str:
        return device_html(self)

    # Buffers -----------------------------------------------------------------------------

    def buffer(self, dtype: type[T], shape: int | tuple[int, ...]) -> Buffer[T]:
        """New buffer; contents undefined.

        Raises `ShapeError`, `DTypeError`, `LimitError`, `OutOfMemoryError`.
        """
        full = extents(shape)
        if full and min(full) < 0:
            raise ShapeError(f"buffer of shape {full}: extents must not be negative")
        if not is_marker(dtype):
            names = ", ".join(DTYPES)
            raise DTypeError(
                f"buffer of dtype {dtype!r}: give a marker of gpucore's, one of {names} "
                "(from gpucore import f32)"
            )
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

        ``array`` may be whatever NumPy takes, and a DLPack producer on the CPU. Raises `DTypeError`
        where the array's own dtype has no marker.
        """
        is_plain = hasattr(array, "__array__") or not hasattr(array, "__dlpack__")
        data = np.asarray(array) if is_plain else interchange.as_array(array)
        result: Buffer[Any]
        result = self.buffer(dtype_of(data.dtype) if dtype is None else dtype, data.shape)
        result.write(data.astype(result.dtype.numpy, copy=False))
        return result

    def from_dlpack(self, producer: DLPackProducer) -> Buffer[Any]:
        """Buffer with a copy of another library's array, taken through DLPack.

        The producer's data must be on the CPU, as a PyTorch tensor's after ``.detach().cpu()``;
        the way back is ``torch.from_dlpack(buffer)``. Raises `ArgumentError`, `DTypeError`.
        """
        return self.buffer_from_array(interchange.as_array(producer))

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
        at the latest at `Kernel.wait` or at the first submission, of which nothing runs then.
        ``label`` (the entry's name if None) is what profiles call the kernel. Raises
        `KernelCompileError`, `ArgumentError`.
        """
        values, used = validate_source(
            source, entry, constants or {}, self.limits, whole=self.checks
        )
        kernel = Kernel.compiled(self, source, entry, values, used, label or entry)
        if wait:
            kernel.wait()
        return kernel

    def compile_file(
        self,
        path: str | Path,
        entry: str = "main",
        constants: Mapping[str, int | float | bool] | None = None,
        *,
        label: str | None = None,
        reload: bool | None = None,
    ) -> Kernel:
        """`compile_kernel` of a ``.wgsl`` file; errors name it.

        With ``reload``, or where it is None and the environment has ``GPUCORE_HOT_RELOAD=1``, each
        call of the kernel compiles the file again if it has changed: see
        `gpucore.reload.ReloadingKernel`. Raises `ArgumentError` where the file cannot be read.
        """

        def build(source: str) -> Kernel:
            return self.compile_kernel(source, entry, constants, label=label or Path(path).stem)

        return kernel_of(Path(path), build, reload=reload)

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

    # Order and waiting -------------------------------------------------------------------

    def new_stream(self, name: str = "") -> Stream:
        """Another list of commands, recorded beside the main one; see `Stream` for its order.

        Enter it (``with stream:``) to record into it; `stream` is the one recorded into now.
        """
        self._streams = [ref for ref in self._streams if ref() is not None]
        other = self._main.sibling(self, name or f"stream {len(self._streams)}")
        self._streams.append(weakref.ref(other))
        return other

    @property
    def streams(self) -> tuple[Stream, ...]:
        """The streams that somebody holds or that hold commands, the main one first."""
        return tuple(stream for ref in self._streams if (stream := ref()) is not None)

    def new_event(self, *, timing: bool = False) -> Event:
        """An event to record in a stream; `FeatureError` if it is to have a time and cannot."""
        return Event(self, timing=timing)

    def submit(self) -> None:
        """Hand to the device what every stream has recorded; does not wait."""
        self.stream.submit_all()

    def synchronize(self) -> None:
        """Submit what is recorded, on every stream, and wait until the device is done."""
        self.submit()
        self.engine.synchronize()

    async def synchronize_async(self) -> None:
        """`synchronize`, awaited (asyncio or trio); other tasks run meanwhile."""
        self.submit()
        fence = self.engine.fence()
        await wait_async(fence)
        fence.wait()

    def trim(self) -> int:
        """Give idle memory back to the device; returns the bytes of buffers freed.

        Idle staging memory goes back, too.
        """
        self.submit()
        self._groups.clear()
        self.engine.trim()
        return self.pool.trim()

    def close(self) -> None:
        """Release the device; its buffers, kernels and graphs raise `DeviceLostError` from here on.

        A lost device may be closed as well. What is under way is waited for; where that fails, as
        with a kernel that does not compile, the error is raised once the device is closed.
        """
        try:
            with suppress(DeviceLostError):
                self.synchronize()
        finally:
            self.kept.clear()
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
