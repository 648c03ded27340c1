"""How many workgroups of a kernel run on a multiprocessor at once, from its machine code.

Numbers of a multiprocessor are those of the CUDA C++ Programming Guide, Compute Capabilities.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

from gpucore.integers import ceil_div
from gpucore.wgsl.c_family import PrintedKernel

__all__ = ["Occupancy", "Usage", "occupy", "read_usage"]

_REGISTERS: Final = 65536
_PARTS: Final = 4
"""A multiprocessor has four schedulers, each with a quarter of the registers."""

_RESERVED: Final = 1024
"""Bytes of each workgroup's memory that the system takes; a cubin that has memory counts them."""

_THREADS_AND_KIB: Final = {
    "75": (1024, 64),
    "80": (2048, 164),
    "86": (1536, 100),
    "87": (1536, 164),
    "89": (1536, 100),
    "90": (2048, 228),
    "100": (2048, 228),
    "120": (1536, 100),
}
"""Threads and KiB of workgroup memory of a multiprocessor, by compute capability."""

_FRAME_SIZE, _REGISTER_COUNT = 0x11, 0x2F
_NUMBER: Final = 4
"""The format of an attribute that has a size and as many bytes."""


class Usage(NamedTuple):
    """Count the registers and stack bytes of a thread, and the memory bytes of a workgroup.

    A kernel that spills registers has a stack.
    """

    registers: int
    stack: int
    memory: int


class Occupancy(NamedTuple):
    """Count the workgroups that run on a multiprocessor at once, and their registers."""

    usage: Usage
    workgroups: int
    registers: int


def read_usage(code: bytes) -> Usage | None:
    """Return what the one kernel of a cubin takes; None where the code is no such file."""
    attributes: dict[int, int] = {}
    memory = 0
    try:
        for name, data, size in _sections(code):
            if name == b".nv.info":
                attributes = dict(_attributes(data))
            elif name.startswith(b".nv.shared.w_"):
                memory = size
        return Usage(attributes[_REGISTER_COUNT], attributes[_FRAME_SIZE], memory)
    except (KeyError, IndexError, struct.error):
        return None


def occupy(code: bytes, kernel: PrintedKernel, architecture: str) -> Occupancy | None:
    """Return how a kernel occupies a multiprocessor; None for a code or an architecture unknown."""
    usage = read_usage(code)
    known = _THREADS_AND_KIB.get(architecture.removeprefix("sm_").rstrip("af"))
    if usage is None or known is None:
        return None
    most, kib = known
    warps = ceil_div(kernel.threads, 32)
    of_warp = ceil_div(usage.registers * 32, 256) * 256
    by_registers = _PARTS * (_REGISTERS // _PARTS // of_warp) // warps
    by_memory = kib * 1024 // (max(usage.memory, _RESERVED) + kernel.launch_memory)
    workgroups = min(by_registers, by_memory, most // (warps * 32))
    return Occupancy(usage, workgroups, workgroups * warps * of_warp)


def _sections(code: bytes) -> Iterator[tuple[bytes, bytes, int]]:
    """Yield the name, the bytes and the size of each section of an ELF file of 64 bits."""
    (start,) = struct.unpack_from("<Q", code, 0x28)
    extent, count, names = struct.unpack_from("<HHH", code, 0x3A)
    heads = [struct.unpack_from("<IIQQQQ", code, start + i * extent) for i in range(count)]
    first = heads[names][4]
    for name, _, _, _, offset, size in heads:
        end = code.index(b"\0", first + name) if first + name < len(code) else first + name
        yield code[first + name : end], code[offset : offset + size], size


def _attributes(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield attributes of kernels that are one number: which it is, and its value."""
    at = 0
    while at < len(data):
        form, which, size = struct.unpack_from("<BBH", data, at)
        if form == _NUMBER:
            if size == 8:
                yield which, struct.unpack_from("<II", data, at + 4)[1]
            at += size
        at += 4
