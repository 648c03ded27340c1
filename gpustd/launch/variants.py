"""Forcing a variant of an operation's shaders, for tests and for tuning."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType

__all__ = ["force_variant", "forced_tile", "forced_variant"]

_Forced = Mapping[str, tuple[str, object]]
_NONE: _Forced = MappingProxyType({})

_forced: ContextVar[_Forced] = ContextVar("forced", default=_NONE)


@contextmanager
def force_variant(op: str, variant: str, tile: object = None) -> Iterator[None]:
    """Let ``op`` take ``variant``, and ``tile`` if it has tiles, inside the context.

    ``variant`` is the stem of a WGSL file.
    """
    token = _forced.set({**_forced.get(), op: (variant, tile)})
    try:
        yield
    finally:
        _forced.reset(token)


def forced_variant(op: str) -> str | None:
    """Return the variant that `force_variant` sets for ``op``, or None."""
    return _forced.get().get(op, (None, None))[0]


def forced_tile(op: str) -> object:
    """Return the tile that `force_variant` sets for ``op``, or None."""
    return _forced.get().get(op, (None, None))[1]
