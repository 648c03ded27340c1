"""`Devices`: several devices used as one, for work that splits along an array's first axis."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from gpucore import adapters
from gpucore.buffer import Buffer
from gpucore.device import Device
from gpucore.dtypes import T
from gpucore.errors import ArgumentError, DeviceNotFoundError, DTypeError, ShapeError
from gpucore.kernel import Kernel

__all__ = ["Devices"]

R = TypeVar("R")


class Devices(Sequence[Device]):
    """Opened devices in order; ``Devices.all()`` opens each of the machine's cards once.

    No engine lets two devices share memory: data moves between them through the host. They compute
    at the same time, since recording and submitting do not wait. A ``with`` block closes them.

    >>> array = np.arange(10, dtype=np.float32).reshape(5, 2)
    >>> with Devices([device, device.reopen()]) as devices:     # Devices.all()
    ...     parts = devices.split_buffer(array)
    ...     kernels = devices.compile_kernel(INCREMENT)
    ...     _ = devices.parallel_execute(lambda kernel, x: kernel(x, grid=1), kernels, parts)
    ...     [part.shape for part in parts], devices.gather(parts).shape
    ([(3, 2), (2, 2)], (5, 2))
    """

    def __init__(self, devices: Sequence[Device]) -> None:
        if not devices:
            raise DeviceNotFoundError("Devices() without a device: give one at least")
        self._devices = tuple(devices)

    @classmethod
    def all(cls, *, checks: bool = True) -> Devices:
        """Open every card of the machine, with the engine and API that see the most of them.

        A card that two engines see is opened once. Software adapters count only where there is no
        card; `by_name` opens them beside one. Raises `DeviceNotFoundError`.
        """
        present = adapters.all_adapters()
        if not present:
            raise DeviceNotFoundError(f"no GPU adapter was found. {adapters.install_hint()}")
        cards = [info for info in present if info.kind != "cpu"] or present
        names = [info.backend for info in cards]
        best = max(dict.fromkeys(names), key=names.count)
        return cls([Device.open(info, checks=checks) for info in cards if info.backend == best])

    @classmethod
    def by_name(cls, *names: str, checks: bool = True) -> Devices:
        """Open devices by name, such as ``dawn-vulkan:0``; see `gpucore.adapters.choose`."""
        return cls([Device.by_name(name, checks=checks) for name in names])

    def __len__(self) -> int:
        return len(self._devices)

    def __iter__(self) -> Iterator[Device]:
        return iter(self._devices)

    @overload
    def __getitem__(self, index: int) -> Device: ...
    @overload
    def __getitem__(self, index: slice) -> Devices: ...

    def __getitem__(self, index: int | slice) -> Device | Devices:
        if isinstance(index, slice):
            return Devices(self._devices[index])
        return self._devices[index]

    def __repr__(self) -> str:
        return f"Devices({', '.join(map(repr, self._devices))})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close every device."""
        with ExitStack() as closing:
            for device in self._devices:
                closing.callback(device.close)

    def synchronize(self) -> None:
        """Submit on every device, then wait for each."""
        self._submit()
        for device in self._devices:
            device.synchronize()

    async def synchronize_async(self) -> None:
        """Await `synchronize` (asyncio or trio)."""
        self._submit()
        for device in self._devices:
            await device.synchronize_async()

    def _submit(self) -> None:
        for device in self._devices:
            device.submit()

    def compile_kernel(
        self,
        source: str,
        entry: str = "main",
        constants: Mapping[str, int | float | bool] | None = None,
    ) -> list[Kernel]:
        """Compile a kernel for each device at the same time; return them in the devices' order."""
        kernels = [d.compile_kernel(source, entry, constants, wait=False) for d in self._devices]
        for kernel in kernels:
            kernel.wait()
        return kernels

    @overload
    def split_buffer(self, array: Buffer[T]) -> list[Buffer[T]]: ...
    @overload
    def split_buffer(self, array: NDArray[Any]) -> list[Buffer[Any]]: ...

    def split_buffer(self, array: Buffer[Any] | NDArray[Any]) -> list[Buffer[Any]]:
        """Cut an array along its first axis into one part for each device, in their order.

        Where the rows do not divide evenly, the first parts have one row more. With fewer rows than
        devices the last parts are empty. A buffer is read first. Raises `ShapeError` for an array
        without dimensions.
        """
        data = array.read() if isinstance(array, Buffer) else np.asarray(array)
        if not data.ndim:
            raise ShapeError(
                "split: the array must have one dimension at least, got none; there is no axis to "
                "cut"
            )
        parts = np.array_split(data, len(self._devices))
        pairs = zip(self._devices, parts, strict=True)
        return [device.buffer_from_array(part) for device, part in pairs]

    def gather(self, parts: Sequence[Buffer[Any]]) -> NDArray[Any]:
        """Read the parts and join them along the first axis into one array.

        Everything is submitted before the first wait. Raises `ArgumentError`, or `ShapeError`
        or `DTypeError` where parts do not fit together.
        """
        result, targets = self._prepare_gather(parts)
        for part, target in zip(parts, targets, strict=True):
            part.read(out=target)
        return result

    async def gather_async(self, parts: Sequence[Buffer[Any]]) -> NDArray[Any]:
        """Await `gather` (asyncio or trio)."""
        result, targets = self._prepare_gather(parts)
        for part, target in zip(parts, targets, strict=True):
            await part.read_async(out=target)
        return result

    def _prepare_gather(
        self, parts: Sequence[Buffer[Any]]
    ) -> tuple[NDArray[Any], list[NDArray[Any]]]:
        """Submit everything; return an array for all parts, and its slice for each part."""
        if not isinstance(parts, Sequence):
            raise ArgumentError(
                f"gather: parts must be a list of buffers, got {type(parts).__name__}; put a "
                "single buffer into a list"
            )
        if not parts:
            raise ShapeError("gather: parts must not be empty, got no part; give one at least")
        first = parts[0]
        for part in parts:
            if not isinstance(part, Buffer):
                raise ArgumentError(
                    f"gather: parts must be buffers, got {type(part).__name__}; upload an array "
                    "with device.buffer_from_array(array)"
                )
            if not part.shape or part.shape[1:] != first.shape[1:]:
                raise ShapeError(
                    f"gather of {first!r} and {part!r}: rows differ in shape; give parts of one "
                    "array"
                )
            if part.dtype is not first.dtype:
                raise DTypeError(
                    f"gather of {first!r} and {part!r}: dtypes differ; cast one of them"
                )
        self._submit()
        result = np.empty((sum(map(len, parts)), *first.shape[1:]), first.dtype.numpy)
        ends = np.cumsum([len(part) for part in parts])
        return result, [result[end - len(p) : end] for p, end in zip(parts, ends, strict=True)]

    def parallel_execute(self, work: Callable[..., R], *split: Sequence[Any]) -> list[R]:
        """Call ``work(*items)`` once for each device and return the results, in their order.

        Each of ``split`` has one item for each device, as `split_buffer` and `compile_kernel`
        return them. The commands of a call are submitted as soon as it returns, and nothing is
        waited for. So the devices run at the same time, unless ``work`` reads or synchronizes.
        Raises `ArgumentError` where a list has another length.
        """
        for items in split:
            if len(items) != len(self._devices):
                raise ArgumentError(
                    f"parallel_execute over {len(self._devices)} devices got a list of "
                    f"{len(items)}: give one item for each device (devices.split_buffer makes them)"
                )
        results = []
        for i, device in enumerate(self._devices):
            results.append(work(*(items[i] for items in split)))
            device.submit()
        return results
