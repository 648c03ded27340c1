"""The languages of the C family: what the printer must know of each, and what they share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["CUDA", "HIP_32", "HIP_64", "KERNEL", "MAX_BY_VALUE", "TARGETS", "Target"]

KERNEL: Final = "w_kernel"
"""The name of the kernel in the printed source."""

MAX_BY_VALUE: Final = 1024
"""Bytes of a uniform up to which it is a parameter of the kernel."""


@dataclass(frozen=True, slots=True)
class Target:
    """A language of the C family, for cards with subgroups of one size.

    Attributes:
        name: its name for people; several targets may share it.
        head: the file of what it says in words of its own.
        lanes: invocations of a subgroup.
        static_memory: bytes of workgroup memory up to which a kernel need not ask for them.
        by_value: what marks a parameter whose address is taken.
        units: the file of its matrix units; empty where the printer has none.
    """

    name: str
    head: str
    lanes: int
    static_memory: int
    by_value: str = ""
    units: str = ""


CUDA: Final = Target("cuda", "cuda", 32, 49152, by_value="__grid_constant__ ", units="units")
"""CUDA C++, by NVRTC."""

HIP_32: Final = Target("hip", "hip", 32, 65536)
"""HIP for cards of gfx10 and later (RDNA)."""

HIP_64: Final = Target("hip", "hip", 64, 65536)
"""HIP for cards of gfx9 (GCN, CDNA)."""

TARGETS: Final = {"cuda": CUDA, "hip": HIP_32, "hip-64": HIP_64}
"""The targets by the names under which they are shown."""
