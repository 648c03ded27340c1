"""Memory of a card and of the host, and what is bound of it at a launch."""

from __future__ import annotations

import ctypes as c
from collections.abc import Sequence
from typing import Any

from gpucore.backends.drivers.driver import Driver
from gpucore.backends.interface import BindingSpec
from gpucore.errors import GpuError
from gpucore.wgsl.c_family import MAX_BY_VALUE

__all__ = ["CardBuffer", "Group", "PinnedMemory", "is_by_value"]


class CardBuffer:
    """Memory of a card: its address and size.

    ``host`` is a copy of what was written to a buffer that is small enough for a uniform.
    ``written`` and ``read`` are the marks of what used it last, by lane: see `Lanes`.
    """

    __slots__ = ("address", "host", "nbytes", "read", "written")

    def __init__(self, address: int, nbytes: int) -> None:
        self.address = address
        self.nbytes = nbytes
        self.host: bytes | None = None
        self.written: Any = None
        self.read: dict[Any, Any] = {}


class PinnedMemory:
    """Memory of the host that a card copies to, and from, by itself.

    ``written`` and ``read`` are marks as those of a `CardBuffer`.
    """

    __slots__ = ("_driver", "address", "nbytes", "read", "written")

    def __init__(self, driver: Driver, nbytes: int) -> None:
        self._driver = driver
        self.nbytes = nbytes
        self.written: Any = None
        self.read: dict[Any, Any] = {}
        pointer = c.c_void_p()
        driver("allocate_host", c.byref(pointer), nbytes)
        self.address = pointer.value or 0

    def view(self, nbytes: int) -> memoryview:
        """Return the first bytes, valid until `destroy`."""
        return memoryview((c.c_char * nbytes).from_address(self.address)).cast("B")

    def destroy(self) -> None:
        """Give the memory back; a lost card has taken it already."""
        self._driver.code("free_host", self.address)


def is_by_value(spec: BindingSpec) -> bool:
    """Tell whether a binding is a parameter of the launch, as the printed kernel takes it."""
    return spec.access == "uniform" and spec.min_size <= MAX_BY_VALUE


class Group:
    """The parameters of a launch: tensor maps, bytes of small uniforms, addresses and sizes.

    ``reads`` and ``writes`` are the memory of the card that it uses.
    """

    __slots__ = ("_kept", "pointers", "reads", "writes")

    def __init__(
        self,
        driver: Driver,
        specs: Sequence[BindingSpec],
        buffers: Sequence[tuple[CardBuffer, int]],
    ) -> None:
        self._kept: list[Any] = []
        self.reads: list[CardBuffer] = []
        self.writes: list[CardBuffer] = []
        for spec, (handle, nbytes) in zip(specs, buffers, strict=True):
            if not is_by_value(spec):
                (self.writes if spec.access == "storage" else self.reads).append(handle)
            if spec.tiles is not None:
                self._kept.append(driver.tile_map(handle.address, spec.tiles))
            elif not is_by_value(spec):
                self._kept += (c.c_uint64(handle.address), c.c_uint64(nbytes))
            elif handle.host is None:
                raise GpuError(f"binding {spec.binding}: a uniform must be written before its use")
            else:
                self._kept.append(c.create_string_buffer(handle.host, len(handle.host)))
        self.pointers = (c.c_void_p * len(self._kept))(*map(c.addressof, self._kept))
