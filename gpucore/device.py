"""`Device`: an opened adapter that makes buffers and kernels."""

from __future__ import annotations

import math
import os
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import RLock, get_ident
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gpucore import adapters, interchange
from gpucore.backends import AdapterInfo, Backend, NativeCode, Pending, PendingRead, StagingStats
from gpucore.backends.work import Roof
from gpucore.buffer import Buffer, extents
from gpucore.display import device_html
from gpucore.dtypes import DType, T, dtype_of, f16, f32, i32, marker_of, u8, u32
from gpucore.environment import is_on
from gpucore.errors import DeviceLostError, DeviceNotFoundError, ShapeError
from gpucore.interchange import DLPackProducer
from gpucore.kernel import Argument, Grid, Kernel, ReloadingKernel
from gpucore.memory.borrowing import borrow, own_copy
from gpucore.memory.pool import MemoryStats, Pool, memory_limit
from gpucore.not_copyable import NotCopyable
from gpucore.processes import kept_if_ended, watch
from gpucore.recording.bindings import Bindings
from gpucore.recording.event import Event
from gpucore.recording.graph import Graph
from gpucore.recording.profile import Profile
from gpucore.recording.stream import Stream
from gpucore.reload import SourceFile, is_reload_on
from gpucore.waiting import Lock, start_async, under_lock, wait_async, wait_in_turns

__all__ = ["Device"]

_MATRIX_SHAPE = ("f16", "f32", 16, 16, 16)


class Device(NotCopyable):
    """One adapter, opened: ``Device.auto()`` opens the best, `Device.list` shows all.

    The environment variable ``GPUCORE_DEVICE`` overrides `auto` with a name that
    `gpucore.adapters.choose` understands: ``dawn``, ``wgpu-vulkan``, ``gl``, ``cpu`` and so on.
    ``GPUCORE_MEMORY_LIMIT`` (such as 2GiB) is the most memory that its buffers may take.

    Several threads may use a device and all that is made from it. Each call takes its `lock`, which
    is re-entrant; ``with device.lock:`` makes several calls one unit. A capture has it from begin
    to end; a wait for the device does not. Streams and regions are each thread's own. On OpenGL,
    one thread opens all devices. In a child of ``os.fork()`` each call raises `GpuError`: spawn it.

    Launches and copies are recorded; reading, `synchronize` and `submit` submit them. Recording
    does not touch the device, so a lost device raises `DeviceLostError` only there.

    >>> device = Device.null()              # or Device.auto(), which computes
    >>> x = device.buffer_from_array(np.arange(4, dtype=np.float32))
    >>> print(x.read(), device.memory.buffers)
    [0. 1. 2. 3.] 1
    >>> device.close()

    Attributes:
        engine: the backend. pool: its memory. checks: as opened. lock: of all its calls.
        bindings: what its kernels use again. kept_values: those of modules, see `PerDevice`.
    """

    _INSTEAD = "hand on device.info, and open it there with Device.open(info)"

    def __init__(self, backend: Backend, *, checks: bool = True) -> None:
        self.engine = backend
        self.checks = checks
        self.lock: Lock = RLock()
        self.kept_values: dict[object, Any] = {}
        self._main = Stream(backend, self.lock)
        self._entered: dict[int, Stream] = {}  # by each thread that is in another than the main one
        self._streams = [weakref.ref(self._main)]
        self.pool = Pool(backend, self._main.flush_all, memory_limit())
        self.bindings = Bindings(backend)
        if backend.info.kind != "null":
            watch(self)

    # Selection ---------------------------------------------------------------------------

    @classmethod
    def auto(cls, *, checks: bool = True) -> Device:
        """Open the device that ``GPUCORE_DEVICE`` names, else the best one present."""
        return cls.open(adapters.preferred_adapter(), checks=checks)

    @classmethod
    def by_name(cls, name: str, *, checks: bool = True) -> Device:
        """Open a device by name (see `gpucore.adapters.choose`). Raises `DeviceNotFoundError`."""
        return cls.open(adapters.choose(name), checks=checks)

    @classmethod
    def open(cls, info: AdapterInfo, *, checks: bool = True) -> Device:
        """Open an adapter that `list` showed.

        With ``checks``, an index beyond a buffer's end does no harm, and workgroup memory is zero
        when a workgroup starts, as WGSL promises. Nothing ends an endless loop. Without, kernels
        run faster and are trusted: for tested kernels only, as those of the diffusion pipeline.
        The environment variable ``GPUCORE_CHECKS`` (1 or 0) overrides ``checks``.
        """
        checks = is_on("GPUCORE_CHECKS", checks)
        return cls(adapters.open_backend(info, checks=checks), checks=checks)

    def reopen(self) -> Device:
        """Open the same adapter again, as after `DeviceLostError`.

        Buffers, kernels and graphs belong to the old device and must be made again. Raises
        `DeviceNotFoundError` where the adapter is gone, too.
        """
        try:
            backend = adapters.open_backend(self.info, checks=self.checks)
        except (IndexError, RuntimeError) as error:
            what = f"{self.name} ({self.backend}) does not open again: {error}"
            raise DeviceNotFoundError(f"{what}; Device.list() shows what is present") from None
        return Device(backend, checks=self.checks)

    @classmethod
    def from_backend(cls, backend: Backend) -> Device:
        """Return a device on a backend of your own."""
        return cls(backend)

    @classmethod
    def list(cls) -> list[AdapterInfo]:
        """Return the adapters present, over all engines, the best first."""
        return adapters.all_adapters()

    @classmethod
    def wgpu(cls) -> Device:
        """Open the best adapter of wgpu-py."""
        return cls.by_name("wgpu")

    @classmethod
    def dawn(cls) -> Device:
        """Open the best adapter of Dawn (wgpudawn)."""
        return cls.by_name("dawn")

    @classmethod
    def cuda(cls) -> Device:
        """Open the first CUDA card; `avila-diffusion[cuda]` installs what that needs."""
        return cls.by_name("cuda")

    @classmethod
    def hip(cls) -> Device:
        """Open the first AMD card through HIP; ROCm installs what that needs."""
        return cls.by_name("hip")

    @classmethod
    def vulkan(cls) -> Device:
        """Open the best Vulkan adapter."""
        return cls.by_name("vulkan")

    @classmethod
    def metal(cls) -> Device:
        """Open the best Metal adapter."""
        return cls.by_name("metal")

    @classmethod
    def dx12(cls) -> Device:
        """Open the best Direct3D 12 adapter."""
        return cls.by_name("dx12")

    @classmethod
    def cpu(cls) -> Device:
        """Open a software renderer on the CPU."""
        return cls.by_name("cpu")

    @classmethod
    def null(cls) -> Device:
        """Open a device that records commands and computes nothing."""
        return cls.by_name("null")

    # Properties --------------------------------------------------------------------------

    @property
    def info(self) -> AdapterInfo:
        """The adapter as its engine describes it."""
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
        """Driver and version, as the engine reports them."""
        return self.info.driver

    @property
    def compute_units(self) -> int | None:
        """Cores of a CPU adapter; None on GPUs, since WebGPU does not report it."""
        return os.cpu_count() if self.is_cpu else None

    @property
    def memory_size(self) -> int | None:
        """Bytes of the largest device-local heap; None where the engine does not report it."""
        return self.info.memory_size

    @property
    def limits(self) -> Mapping[str, int]:
        """WebGPU's limits, raised to those of the adapter."""
        return self.info.limits

    @property
    def features(self) -> frozenset[str]:
        """Some of f16, subgroups, matrix-units, timestamps, and others: see `AdapterInfo`."""
        return self.info.features

    @property
    def is_cpu(self) -> bool:
        """True for a software renderer, which runs kernels without barriers best."""
        return self.info.kind == "cpu"

    @property
    def has_f16(self) -> bool:
        """True where kernels may ``enable f16``."""
        return "f16" in self.features

    @property
    def has_matrix_units(self) -> bool:
        """True where subgroups of 32 multiply 16x16x16 matrices of f16 into f32."""
        fits = self.subgroup_size == (32, 32) and _MATRIX_SHAPE in self.info.matrix_shapes
        return "matrix-units" in self.features and fits

    @property
    def subgroup_size(self) -> tuple[int, int]:
        """Least and greatest subgroup size; (0, 0) if unknown."""
        return self.info.subgroup_size

    @property
    @under_lock
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

    @overload
    def buffer(self, dtype: type[T], shape: int | tuple[int, ...]) -> Buffer[T]: ...
    @overload
    def buffer(self, dtype: np.dtype[np.void], shape: int | tuple[int, ...]) -> Buffer[Any]: ...

    def buffer(
        self, dtype: type[DType] | np.dtype[np.void], shape: int | tuple[int, ...]
    ) -> Buffer[Any]:
        """Return a new buffer; its contents are undefined.

        ``dtype`` is a marker, or a structured dtype of NumPy (`Kernel.struct_dtype`). Raises
        `ShapeError`, `DTypeError`, `LimitError`, `OutOfMemoryError`.
        """
        sizes = extents(shape)
        if min(sizes, default=0) < 0:
            raise ShapeError(
                f"buffer: shape must not be negative, got {sizes}; give the size of each axis"
            )
        kind = marker_of(dtype)
        with self.lock:
            return Buffer(self, kind, sizes, self.pool.allocate(math.prod(sizes) * kind.itemsize))

    @overload
    def buffer_from_array(self, array: ArrayLike, dtype: type[T]) -> Buffer[T]: ...
    @overload  # before the others, since of NDArray[Any] a checker takes the first one
    def buffer_from_array(self, array: NDArray[np.void]) -> Buffer[Any]: ...
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
        """Return a buffer with a copy of ``array``, converted to ``dtype`` if one is given.

        ``array`` is what NumPy takes, or a DLPack producer on the CPU. Raises `DTypeError`.
        """
        data = interchange.host_array(array)
        result: Buffer[Any] = self.buffer(dtype or dtype_of(data.dtype), data.shape)
        result.write(data.astype(result.dtype.numpy, copy=False))
        return result

    def from_dlpack(self, producer: DLPackProducer, *, copy: bool | None = None) -> Buffer[Any]:
        """Return a buffer of another library's array, taken through DLPack.

        Data on the CPU is copied, an array on the same card is not with CUDA; for that and ``copy``
        see `gpucore.memory.borrowing`. Raises `ArgumentError`, `DTypeError`.
        """
        loan = borrow(self.pool, self.engine.sharing, producer, copy)
        if loan is None:
            return self.buffer_from_array(interchange.as_array(producer))
        shared: Buffer[Any] = Buffer(self, dtype_of(loan.dtype), loan.shape, loan.storage)
        return own_copy(shared) if loan.is_copied else shared

    # Kernels -----------------------------------------------------------------------------

    def compile_kernel(
        self,
        source: str,
        entry: str = "main",
        constants: Mapping[str, int | float | bool] | None = None,
        *,
        wait: bool = True,
        label: str | None = None,
        native: NativeCode | None = None,
    ) -> Kernel:
        """Compile an entry point of WGSL ``source``; ``constants`` set its overrides.

        With ``wait=False`` it compiles in the background. `Kernel.wait`, or at the latest the first
        submission, then raises the engine's errors, and nothing of that submission runs. Profiles
        call the kernel by its ``label`` (None: the entry's name). With ``native`` code for this
        engine, ``source`` declares bindings alone. Raises `KernelCompileError`, `ArgumentError`,
        `FeatureError`.
        """
        kernel = Kernel.compile(self, source, entry, constants or {}, label or entry, native)
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
        """Compile a ``.wgsl`` file as `compile_kernel` does; errors name the file.

        With ``reload``, or where it is None and the environment has ``GPUCORE_HOT_RELOAD=1``, each
        call of the kernel compiles the file again if it has changed: see
        `gpucore.kernel.ReloadingKernel`. Raises `ArgumentError` where the file cannot be read.
        """

        def build(source: str) -> Kernel:
            return self.compile_kernel(source, entry, constants, label=label or Path(path).stem)

        file = SourceFile(Path(path), build)
        return ReloadingKernel(file) if is_reload_on(reload) else file.compile()

    def execute_kernel(self, kernel: Kernel, arguments: Sequence[Argument], grid: Grid) -> None:
        """Call ``kernel(*arguments, grid=grid)``."""
        kernel(*arguments, grid=grid)

    def capture(self) -> Graph:
        """Return a context in which launches are recorded into a `Graph` instead of the stream."""
        return Graph(self)

    def profile(self, roof: Roof | None = None) -> Profile:
        """Return a context in which every launch is timed; see `Profile`.

        Raises `FeatureError` where the device has no timestamps.
        """
        return Profile(self, roof)

    @contextmanager
    def region(self, name: str) -> Iterator[None]:
        """Give launches recorded inside the region ``name`` in profiles; those of a graph keep it.

        Regions nest: ``mid`` inside ``unet`` makes ``unet/mid``.
        """
        main = self._main  # a thread's region is that of all streams
        outer = main.region
        main.region = f"{outer}/{name}" if outer else name
        try:
            yield
        finally:
            main.region = outer

    # Order and waiting -------------------------------------------------------------------

    @property
    def stream(self) -> Stream:
        """The stream that this thread records into."""
        return self._entered.get(get_ident(), self._main) if self._entered else self._main

    @stream.setter
    def stream(self, stream: Stream) -> None:
        if stream is self._main:
            self._entered.pop(get_ident(), None)
        else:
            self._entered[get_ident()] = stream

    @under_lock
    def new_stream(self, name: str = "") -> Stream:
        """Return another list of commands, recorded beside the main one; see `Stream`.

        Enter it (``with stream:``) to record into it; `stream` is the one recorded into now.
        """
        self._streams = [ref for ref in self._streams if ref() is not None]
        other = self._main.new_sibling(self, name or f"stream {len(self._streams)}")
        self._streams.append(weakref.ref(other))
        return other

    @property
    def streams(self) -> tuple[Stream, ...]:
        """The streams that somebody refers to or that have commands, the main one first."""
        return tuple(stream for ref in self._streams if (stream := ref()) is not None)

    def new_event(self, *, timing: bool = False) -> Event:
        """Return an event to record in a stream.

        Raises `FeatureError` for ``timing`` where the device has no timestamps.
        """
        return Event(self, timing=timing)

    def submit(self) -> None:
        """Submit what every stream has recorded; do not wait."""
        self.stream.submit_all()

    def synchronize(self) -> None:
        """Submit what is recorded, on every stream, and wait until the device is done."""
        with self.lock:
            self.submit()
            fence = self.engine.fence()
        self.wait_for(fence)

    async def synchronize_async(self) -> None:
        """Await `synchronize` (asyncio or trio); other tasks run meanwhile."""

        def start() -> Pending | None:
            if not self.engine.is_ready:
                return None
            self.submit()
            return self.engine.fence()

        with kept_if_ended(self):
            fence = await start_async(start, self.lock)
            await wait_async(fence, self.lock)
        self.wait_for(fence)

    def wait_for(self, pending: Pending | PendingRead) -> None:
        """Block until work is done, while other threads use the device; Ctrl-C ends the wait.

        Raises `DeviceLostError` where it never will be done.
        """
        with kept_if_ended(self):
            wait_in_turns(pending, self.lock, self.engine.encode_ahead)
        with self.lock:
            pending.wait()

    @under_lock
    def trim(self) -> int:
        """Give idle memory back to the device, staging memory too; return the buffers' bytes."""
        self.submit()
        self.bindings.clear_groups()
        self.engine.trim()
        return self.pool.trim()

    def close(self) -> None:
        """Release the device; its buffers, kernels and graphs raise `DeviceLostError` from here on.

        A lost device may be closed, too. Work under way is waited for. If that fails, as with a
        kernel that does not compile, the error is raised once the device is closed. Where Ctrl-C
        ends the wait, the device stays open.
        """
        try:
            with suppress(DeviceLostError):
                self.synchronize()
        except Exception:
            self._close_now()
            raise
        self._close_now()

    @under_lock
    def _close_now(self) -> None:
        self.kept_values.clear()
        self.bindings.clear()
        self.engine.close()
