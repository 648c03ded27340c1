"""Where each node of the WGSL comes from in Python."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields

from gpucore.compiler.errors import Place
from gpucore.wgsl.syntax import Module, Node

__all__ = ["map_positions"]


def map_positions(built: Module, parsed: Module, places: Sequence[Place]) -> dict[int, Place]:
    """Return the place in Python by the offset of each node in the text that was parsed.

    The nodes of ``built`` have in ``at`` an index of ``places``; those of ``parsed``, which is
    equal but for ``at``, offsets of the text.
    """
    found: dict[int, Place] = {}
    for number, offset in _pairs(built, parsed):
        if number >= 0:
            found[offset] = places[number]
    return found


def _pairs(built: object, parsed: object) -> Iterator[tuple[int, int]]:
    if isinstance(built, tuple) and isinstance(parsed, tuple):
        for one, other in zip(built, parsed, strict=True):
            yield from _pairs(one, other)
    elif isinstance(built, Node) and isinstance(parsed, Node):
        for each in fields(built):
            if each.compare:
                yield from _pairs(getattr(built, each.name), getattr(parsed, each.name))
        yield built.at, parsed.at
