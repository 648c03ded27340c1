"""What ``Array[f32]`` and ``Const[int]`` are, before a kernel is read."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ArrayType", "ConstantType"]


@dataclass(frozen=True, slots=True)
class ArrayType:
    """``Array[f32]`` or ``Array[f32, 2]``: an element type, and the number of axes."""

    element: object
    rank: int = 1

    def __post_init__(self) -> None:
        if self.rank not in range(1, 9):
            raise TypeError(f"an array must have 1 to 8 axes, got {self.rank!r}")

    def __repr__(self) -> str:
        name = getattr(self.element, "__name__", repr(self.element))
        return f"Array[{name}]" if self.rank == 1 else f"Array[{name}, {self.rank}]"


@dataclass(frozen=True, slots=True)
class ConstantType:
    """``Const[int]``: a number that is known when the kernel is compiled, once for each value."""

    kind: type

    def __post_init__(self) -> None:
        if self.kind not in (int, float, bool):
            raise TypeError(f"Const takes int, float or bool, got {self.kind!r}")
