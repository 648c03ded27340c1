"""Copies from memory of the host, put ahead of their place in a captured graph.

A layer's weights are copied while the layers before it compute, on engines whose copies and
launches run side by side. So they need memory of their own meanwhile. On one queue the order
changes nothing: what is copied is fixed, and the memory is new.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from gpucore.backends import Command
from gpucore.memory.sharing import PlannedHandle

__all__ = ["Step", "with_copies_ahead"]


class Step(NamedTuple):
    """A command of a graph: what makes it, and the memory of the graph that it uses.

    ``fills``: it copies from memory of the host to the one handle, ahead of all others that use it.
    """

    make: Callable[[], Command]
    handles: tuple[PlannedHandle, ...]
    fills: bool = False


def with_copies_ahead(steps: Sequence[Step]) -> list[Step]:
    """Return the steps with each copy from the host as early as its memory allows.

    What was copied and is still needed takes at most twice the largest copy, so that at least two
    take turns. Copies stay in their order, and so do all other steps.
    """
    copies = deque(step for step in steps if step.fills)
    most = 2 * max((_size(step) for step in copies), default=0)
    last = {handle: at for at, step in enumerate(steps) for handle in step.handles}
    filled, found, taken = set[PlannedHandle](), list[Step](), 0
    targets = {step.handles[0] for step in copies}
    for at, step in enumerate(steps):
        if step.fills:
            continue
        used = targets.intersection(step.handles)
        while copies and (not used <= filled or taken + _size(copies[0]) <= most):
            copy = copies.popleft()
            found.append(copy)
            filled.add(copy.handles[0])
            taken += _size(copy)
        found.append(step)
        taken -= sum(handle.nbytes for handle in used if last[handle] == at)
    return [*found, *copies]


def _size(copy: Step) -> int:
    return copy.handles[0].nbytes
