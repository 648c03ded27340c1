"""Commands of a graph, and what may run beside them.

That is its copies from memory of the host, or, without these, its launches that are ``beside``.
They run one after another, and so does all else. Each waits for whatever used the memory that it
fills, and a launch for what fills the memory that it uses. Nothing else waits.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from gpucore.backends.drivers.memory import CardBuffer, PinnedMemory
from gpucore.backends.interface import Command, Copy, Launch

__all__ = ["Sided", "has_sides", "with_sides"]


class Sided(NamedTuple):
    """A command, whether it runs ``beside`` the others, and where it stands in the order.

    ``after``: the number of a command on the other side that it waits for. ``awaited``: one there
    waits for it.
    """

    command: Command
    beside: bool
    after: int | None
    awaited: bool = False


def has_sides(commands: Iterable[Command]) -> bool:
    """Tell whether anything may run beside the rest."""
    return any(_is_host_copy(each) or _is_launch_beside(each) for each in commands)


def with_sides(commands: Sequence[Command]) -> list[Sided]:
    """Return commands, in their order, with their sides."""
    is_beside = _is_host_copy if any(map(_is_host_copy, commands)) else _is_launch_beside
    found: list[Sided] = []
    used: dict[CardBuffer, int] = {}
    filled: dict[CardBuffer, int] = {}
    seen = {True: -1, False: -1}  # of the other side, by each
    for number, command in enumerate(commands):
        beside = is_beside(command)
        before = used if beside else filled
        own = filled if beside else used
        after = -1
        for handle in _memory_of(command):
            after = max(after, before.get(handle, -1))
            own[handle] = number
        waits = after > seen[beside]
        seen[beside] = max(seen[beside], after)
        found.append(Sided(command, beside, after if waits else None))
    awaited = {each.after for each in found}
    return [each._replace(awaited=number in awaited) for number, each in enumerate(found)]


def _is_host_copy(command: Command) -> bool:
    return isinstance(command, Copy) and isinstance(command.source, PinnedMemory)


def _is_launch_beside(command: Command) -> bool:
    return isinstance(command, Launch) and command.beside


def _memory_of(command: Command) -> Iterator[CardBuffer]:
    """Yield the memory of the card that a command uses."""
    if isinstance(command, Copy):
        yield command.target
        if isinstance(command.source, CardBuffer):
            yield command.source
    else:
        yield from command.group.reads
        yield from command.group.writes
