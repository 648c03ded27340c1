"""A loaded kernel, and how it is launched: block, memory, cluster, and when it may start."""

from __future__ import annotations

import ctypes as c
from typing import Any, Final, NamedTuple, Self

__all__ = ["Function", "LaunchSettings"]

_CLUSTER: Final = 4  # CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION
_FOLLOWS: Final = 6  # CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION


class _Attribute(c.Structure):
    """CUlaunchAttribute: its number, and a union of 64 bytes."""

    _fields_ = (("id", c.c_int), ("pad", c.c_int), ("value", c.c_uint32 * 16))


class LaunchSettings(c.Structure):
    """CUlaunchConfig of a kernel; each launch sets its grid."""

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

    @classmethod
    def of(
        cls,
        stream: c.c_void_p,
        block: tuple[int, int, int],
        memory: int,
        *,
        cluster: int = 1,
        follows: bool = False,
    ) -> Self:
        """Return the settings of a kernel.

        ``follows``: it may start before the launch ahead of it is done, and waits by itself.
        """
        given = [(_CLUSTER, (cluster, 1, 1))] if cluster > 1 else []
        if follows:
            given.append((_FOLLOWS, (1, 0, 0)))
        attributes = (_Attribute * 2)()
        for attribute, (number, values) in zip(attributes, given, strict=False):
            attribute.id, attribute.value[:3] = number, values
        sizes = (c.c_uint32 * 3)(), (c.c_uint32 * 3)(*block)
        return cls(*sizes, memory, stream.value, attributes, len(given))


class Function(NamedTuple):
    """A kernel that was loaded: its address, and how it is launched."""

    address: int
    settings: LaunchSettings
