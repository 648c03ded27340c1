"""A loaded kernel, and how it is launched: block, memory, cluster, and when it may start."""

from __future__ import annotations

import ctypes as c
from typing import Any, Final, Self

from gpucore.backends.drivers.driver import LaunchShape

__all__ = ["CudaFunction", "LaunchSettings"]

_CLUSTER: Final = 4  # CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION
_FOLLOWS: Final = 6  # CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION


class _Attribute(c.Structure):
    """CUlaunchAttribute: its number, and a union of 64 bytes."""

    _fields_ = (("id", c.c_int), ("pad", c.c_int), ("value", c.c_uint32 * 16))


class LaunchSettings(c.Structure):
    """CUlaunchConfig of a kernel; each launch sets its grid and its stream."""

    _fields_ = (
        ("grid", c.c_uint32 * 3),
        ("block", c.c_uint32 * 3),
        ("memory", c.c_uint32),
        ("stream", c.c_void_p),
        ("attributes", c.POINTER(_Attribute)),
        ("count", c.c_uint32),
    )
    grid: Any
    memory: int
    stream: int | None
    count: int

    @classmethod
    def of(cls, shape: LaunchShape) -> Self:
        """Return the settings of a kernel."""
        given = [(_CLUSTER, (shape.cluster, 1, 1))] if shape.cluster > 1 else []
        if shape.follows:
            given.append((_FOLLOWS, (1, 0, 0)))
        attributes = (_Attribute * 2)()
        for attribute, (number, values) in zip(attributes, given, strict=False):
            attribute.id, attribute.value[:3] = number, values
        sizes = (c.c_uint32 * 3)(), (c.c_uint32 * 3)(*shape.block)
        return cls(*sizes, shape.memory, None, attributes, len(given))


class CudaFunction:
    """A kernel that was loaded: its address, and how it is launched."""

    __slots__ = ("_address", "_call", "_count", "_count_alone", "_settings")

    def __init__(self, address: int, shape: LaunchShape, call: Any) -> None:
        self._address = address
        self._settings = LaunchSettings.of(shape)
        self._call = call
        self._count = self._settings.count
        self._count_alone = self._count - shape.follows  # the last attribute

    def launch(
        self, grid: tuple[int, int, int], pointers: Any, stream: int, *, follows: bool = True
    ) -> int:
        """Launch it in a stream with an array of its parameters' addresses; return the code.

        Without ``follows`` it begins when all before it is done, whatever its shape says.
        """
        self._settings.count = self._count if follows else self._count_alone
        self._settings.grid[:] = grid
        self._settings.stream = stream
        code: int = self._call(c.byref(self._settings), self._address, pointers, None)
        return code
