"""A kernel that was printed as C++."""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["PrintedKernel"]


@dataclass(frozen=True, slots=True)
class PrintedKernel:
    """A kernel in C++: the prelude, its own text, and what a launch must say.

    ``launch_memory`` are the bytes of workgroup memory to ask for, 0 where there is no need.
    """

    prelude: str
    body: str
    workgroup_size: tuple[int, int, int]
    launch_memory: int

    @property
    def text(self) -> str:
        """The whole source."""
        return f"{self.prelude}{self.body}"

    @property
    def threads(self) -> int:
        """The invocations of a workgroup."""
        return math.prod(self.workgroup_size)

    def bounded_text(self, workgroups: int) -> str:
        """Return the source for CUDA, so that ``workgroups`` at least fit a multiprocessor."""
        bounds = f"__launch_bounds__({self.threads}"
        return f"{self.prelude}{self.body.replace(f'{bounds})', f'{bounds}, {workgroups})', 1)}"
